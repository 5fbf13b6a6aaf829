//! Other people's programs, started as their users would.

pub mod dino;
pub mod ejabberd;
pub mod prosody;
pub mod python;
pub mod terminal;
