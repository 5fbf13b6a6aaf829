//! Running under a service manager: knowing it, and telling it how far we are.
//!
//! What a service prints lies in a journal that others read and that is kept for months, so no invitation goes there.

use std::io;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells whether a service manager has started this process, or its journal takes what we print.
///
/// The variables are inherited by shells that a desktop session starts, so their presence alone says nothing
/// (systemd.exec(5), `$JOURNAL_STREAM` and `$SYSTEMD_EXEC_PID`).
pub(super) fn is_service() -> bool {
    let started = std::env::var("SYSTEMD_EXEC_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    started || std::env::var("JOURNAL_STREAM").is_ok_and(|stream| is_stream(&stream, io::stdout().as_fd()))
}

/// Tells whether a file is the one that `device:inode` names.
fn is_stream(stream: &str, file: impl AsFd) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| format!("{}:{}", stat.st_dev, stat.st_ino) == stream)
}

/// Tells the service manager something, where there is one that listens (sd_notify(3)): `READY=1`, `STOPPING=1`.
pub(super) fn notify(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let path = path.as_bytes();
    let address = match path.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path)),
    };
    // Nobody may be listening any more; the broker runs all the same.
    let _ = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
}
