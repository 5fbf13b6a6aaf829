//! The client program: `waxwing`, its commands, and the demonstration.
//!
//! | module | owns |
//! |---|---|
//! | [`cli`] | the commands, one file each; exit codes; what is printed |
//! | [`api`] | the words between a command and the engine, which are JSON on the socket and with `--json` |
//! | [`socket`] | JSON-RPC 2.0 on a local socket: further processes use the engine of the first |
//! | [`runtime`] | the shell around [`client::Engine`]: profile, connection, files |
//! | [`terminal`] | text of others made harmless, codes to scan, progress |
//! | `words` | every sentence that the program says, to be read as a whole |
//! | [`demo`] | two brokers and two people in one process, and the proof that nobody could read along |
//!
//! The first process that opens a profile runs its engine and listens on a socket that only its owner can open; every
//! further one asks it. A command alone runs the engine, waits until the server has confirmed, and ends.
//!
//! How it is used: `docs/using-waxwing.md`.

pub mod api;
pub mod cli;
pub mod demo;
pub mod runtime;
pub mod socket;
pub mod terminal;
mod words;
