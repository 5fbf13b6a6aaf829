//! One engine per profile: whoever holds the lock. The system takes it back when the process ends, however it ends.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use super::home::private_file;

/// The lock of a profile, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the lock of a profile; nothing when another process holds it.
///
/// # Errors
///
/// What the machine says about the file.
pub fn take(path: &Path) -> io::Result<Option<Lock>> {
    let file = private_file().create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_holder_at_a_time() {
        let path = std::env::temp_dir().join(format!("waxwing-lock-{}", std::process::id()));
        let first = take(&path).expect("a file");
        assert!(first.is_some());
        assert!(take(&path).expect("a file").is_none());
        drop(first);
        assert!(take(&path).expect("a file").is_some());
        std::fs::remove_file(path).expect("removed");
    }
}
