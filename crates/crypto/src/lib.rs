//! The secrets: everything Waxwing encrypts, signs and derives, as functions over bytes.
//!
//! This crate knows no XML, no clock, no sockets, no files and has no randomness of its own: keys and bytes come in, keys
//! and bytes go out, times are passed in as seconds since the Unix epoch and random bytes through [`Random`]. Everything is
//! therefore deterministic and can be replayed from a seed, which is how it is tested.
//!
//! # What is where
//!
//! | module | feature | what it owns |
//! |---|---|---|
//! | [`secret`] | always | [`Secret`], the only home of key bytes |
//! | [`random`] | always | [`Random`], the way randomness comes in |
//! | `seal` | `seal` | what lies on a disk: sealed records, blind indexes, key files |
//! | `omemo` | `e2e` | what people say to each other: one ratchet core, the profiles Legacy (OMEMO 0.3) and Omemo2 |
//! | `file` | `e2e` | whole files under AES-256-GCM |
//! | `number` | `e2e` | the sixty digits that two people compare |
//!
//! The two features keep the halves apart: a broker is built with `seal` only and holds no code that could open a
//! message.
//!
//! # Two devices
//!
//! `examples/ratchet_pair.rs` shows two devices exchanging messages; start reading there, then at `omemo`.

pub mod random;
pub mod secret;

#[cfg(feature = "seal")]
pub mod seal;

#[cfg(feature = "e2e")]
pub mod file;
#[cfg(feature = "e2e")]
pub mod number;
#[cfg(feature = "e2e")]
pub mod omemo;

pub use random::Random;
pub use secret::Secret;
