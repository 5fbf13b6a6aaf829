//! Administration of a running broker, over a local socket that only its owner can open.
//!
//! `admin.sock` in the data directory has file permissions 0600; who can open it may do everything. Both sides speak
//! lines of JSON, a version in each; see [`protocol`].

pub mod client;
mod commands;
pub(crate) mod doctor;
mod invites;
pub mod protocol;
mod server;

use std::path::{Path, PathBuf};

pub(crate) use commands::Context;
pub(crate) use server::serve;

/// The name of the socket in the data directory.
pub const SOCKET: &str = "admin.sock";

/// The socket of the broker whose data is in `data`.
#[must_use]
pub fn socket(data: &Path) -> PathBuf {
    data.join(SOCKET)
}
