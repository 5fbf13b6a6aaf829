//! [`Backend`]: what a database must be able to do, three methods.
//!
//! A backend is an ordered map of opaque bytes. Everything above it (tables, owners, sealing, the cache) is in this
//! crate's other modules and the same for every backend, so that none has a cipher or a schema of its own. A new one is a
//! file here and a line that runs the shared suite, `conformance`, on it.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;

pub mod memory;
#[cfg(feature = "sqlite")]
pub mod sqlite;

/// A future of any executor.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An ordered map of opaque bytes. [`crate::Store`] encrypts first: a backend sees no name, no key, no value.
///
/// Commits that were submitted one after the other by one caller take effect in that order. A commit whose future is
/// dropped may or may not happen, but never by half.
pub trait Backend: Send + Sync {
    /// Reads the value of `key`.
    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<Vec<u8>>, BackendError>>;

    /// Reads at most `limit` rows of `range`, in the order of its direction.
    fn scan(&self, range: KeyRange, limit: u32) -> BoxFuture<'_, Result<Vec<Row>, BackendError>>;

    /// Makes the changes of `batch`: all or nothing, durable on return.
    ///
    /// # Errors
    ///
    /// [`BackendError::Conflict`] when a row read by the decision has changed: nothing was written, decide again. After any
    /// other error nothing was written either, except [`BackendError::Closed`], after which only reopening tells.
    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<(), BackendError>>;
}

/// One row, as the backend holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The full stored key.
    pub key: Vec<u8>,
    /// The stored value.
    pub value: Vec<u8>,
}

/// Which way a range is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest key first.
    Forward,
    /// Greatest key first.
    Backward,
}

/// The keys from `start` (included) to `end` (excluded; `None`: to the last key there is), in bytewise order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// The smallest key that belongs to the range.
    pub start: Vec<u8>,
    /// The smallest key beyond the range, if it has an end.
    pub end: Option<Vec<u8>>,
    /// Which end is read first.
    pub direction: Direction,
}

impl KeyRange {
    /// Every key, smallest first.
    pub fn all() -> Self {
        Self { start: Vec::new(), end: None, direction: Direction::Forward }
    }

    /// Every key that begins with `prefix`, smallest first.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self { start: prefix.to_vec(), end: after_prefix(prefix), direction: Direction::Forward }
    }

    /// Reads the range from its other end.
    #[must_use]
    pub fn backward(self) -> Self {
        Self { direction: Direction::Backward, ..self }
    }
}

/// The smallest key greater than everything that begins with `prefix`; `None` when there is none.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// A change of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Writes a row, over the old one if there is one.
    Put(Row),
    /// Removes a row; not an error when there is none.
    Delete {
        /// The full stored key.
        key: Vec<u8>,
    },
}

impl Change {
    /// The key of the row that changes.
    pub fn key(&self) -> &[u8] {
        match self {
            Self::Put(row) => &row.key,
            Self::Delete { key } => key,
        }
    }
}

/// What a decision was based on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The full stored key of the row that was read.
    pub key: Vec<u8>,
    /// How its value began (enough of it to tell every write from every other); `None`: there was no such row.
    pub found: Option<Vec<u8>>,
}

impl Expectation {
    /// Whether a row is still as it was read.
    pub fn holds(&self, now: Option<&[u8]>) -> bool {
        match (&self.found, now) {
            (None, None) => true,
            (Some(found), Some(now)) => now.starts_with(found),
            _ => false,
        }
    }
}

/// Changes that happen together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order in which they apply: the last change of a row wins.
    pub changes: Vec<Change>,
    /// What must still be true, checked before the first change.
    pub expectations: Vec<Expectation>,
    /// On return, no copy of what was deleted or overwritten may be left in a journal of the backend.
    pub erase: bool,
}

/// Why a backend did not do what it was asked. Says nothing about the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendError {
    /// A row that the decision was based on has changed.
    Conflict,
    /// There is no space left.
    DiskFull,
    /// The directory, the file or its file system does not allow writing.
    ReadOnly,
    /// The directory or the file does not allow reading, or is not there.
    NoAccess,
    /// Another process holds the database.
    InUse,
    /// The file is not a database, or is damaged.
    Damaged,
    /// The database was written by a newer version of the program.
    TooNew,
    /// The database can be read by other users of the machine, and its permissions could not be changed.
    Exposed,
    /// The backend has stopped; what was under way may or may not have happened.
    Closed,
    /// The machine refused in another way.
    Io(io::ErrorKind),
}

impl BackendError {
    /// One of each kind, for whoever keeps watch over what is said to people.
    #[must_use]
    pub fn every() -> Vec<Self> {
        crate::every!(Self {
            Conflict => [Self::Conflict],
            DiskFull => [Self::DiskFull],
            ReadOnly => [Self::ReadOnly],
            NoAccess => [Self::NoAccess],
            InUse => [Self::InUse],
            Damaged => [Self::Damaged],
            TooNew => [Self::TooNew],
            Exposed => [Self::Exposed],
            Closed => [Self::Closed],
            Io => [Self::Io(io::ErrorKind::Other)],
        })
    }

    /// One sentence: what happened.
    pub fn what_happened(&self) -> &'static str {
        match self {
            Self::Conflict => "a row changed while it was being decided upon",
            Self::DiskFull => "the disk is full; nothing was written and nothing is lost",
            Self::ReadOnly => "the data directory is read-only; nothing was written and nothing is lost",
            Self::NoAccess => "the database cannot be opened: it is not there, or its permissions forbid it",
            Self::InUse => "another process is using the database",
            Self::Damaged => "the database file is damaged or is not a database",
            Self::TooNew => "the database was written by a newer version of this program",
            Self::Exposed => "other users of this machine can read the database",
            Self::Closed => "the database has been closed",
            Self::Io(_) => "the machine refused to read or write the database",
        }
    }

    /// One sentence: what a person can do about it.
    pub fn what_to_do(&self) -> &'static str {
        match self {
            Self::Conflict => "Try again.",
            Self::DiskFull => "Free some space on the disk that holds the data directory; it goes on by itself.",
            Self::ReadOnly => "Make the data directory and its file system writable for this user.",
            Self::NoAccess => "Check the path of the data directory and its permissions.",
            Self::InUse => "Stop the other process, or give this one a data directory of its own.",
            Self::Damaged => "Check the disk, then put back the last backup of the data directory.",
            Self::TooNew => "Update this program, or use another data directory.",
            Self::Exposed => "Remove the permissions of group and others from the data directory (chmod -R go= …).",
            Self::Closed => "Start the program again.",
            Self::Io(_) => "Check the disk and the system log, then start the program again.",
        }
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what_happened())
    }
}

impl std::error::Error for BackendError {}

impl From<&io::Error> for BackendError {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound => Self::NoAccess,
            kind => Self::Io(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_the_next_key_that_lacks_it() {
        assert_eq!(after_prefix(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(after_prefix(&[1, 0xff]), Some(vec![2]));
        assert_eq!(after_prefix(&[0xff, 0xff]), None);
        assert_eq!(after_prefix(&[]), None);
    }

    #[test]
    fn an_expectation_holds_for_the_row_as_it_was_read_only() {
        let absent = Expectation { key: vec![1], found: None };
        assert!(absent.holds(None));
        assert!(!absent.holds(Some(b"")));
        let read = Expectation { key: vec![1], found: Some(b"ab".to_vec()) };
        assert!(read.holds(Some(b"abc")));
        assert!(!read.holds(Some(b"axc")));
        assert!(!read.holds(None));
    }
}
