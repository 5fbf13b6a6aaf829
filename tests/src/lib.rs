//! What the test programs share: scratch directories, a laboratory of names and certificates, and other people's servers.

pub mod dialogue;
pub mod lab;
pub mod peers;
pub mod person;
pub mod process;
pub mod programs;
pub mod raw;
pub mod scratch;
pub mod words;
