//! [`SqliteBackend`]: one SQLite file, opaque rows.
//!
//! One thread writes: it takes whatever batches wait for it, commits them as one transaction and so as one sync of the disk,
//! and answers each caller. Two threads read. Nothing of that shows: futures of any executor come out.
//!
//! The file is in WAL mode with `synchronous=FULL` (an acknowledged commit survives a power cut), `secure_delete=ON` (what
//! is deleted is overwritten) and is readable by its owner only. The rows lie in a rowid table with an index on the key, and
//! not in a `WITHOUT ROWID` one: keys are hashes, so every insert lands somewhere else, and it is cheaper to spread 40-byte
//! index entries than whole rows.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, OpenFlags};

use self::reader::Readers;
use self::writer::Writer;
use super::{Backend, BackendError, Batch, BoxFuture, KeyRange, Row};
use crate::private_file;

mod failure;
mod reader;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

/// What may be chosen when opening a database.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// The file never grows beyond about this; commits that need more fail with [`BackendError::DiskFull`].
    pub max_size_bytes: Option<u64>,
}

/// Rows in one SQLite file. Dropping it finishes what was submitted, then closes the file.
pub struct SqliteBackend {
    // In the order in which they must end: the last connection to close folds the journal into the file.
    readers: Readers,
    writer: Writer,
    group_commits: Arc<AtomicU64>,
    _lock: File,
}

impl SqliteBackend {
    /// Opens the database at `path`, and makes it first where there is none (with its directory, for the owner only).
    ///
    /// # Errors
    ///
    /// [`BackendError::InUse`], [`BackendError::ReadOnly`], [`BackendError::NoAccess`], [`BackendError::Damaged`],
    /// [`BackendError::TooNew`], [`BackendError::Exposed`], [`BackendError::DiskFull`] or [`BackendError::Io`].
    pub fn open(path: &Path) -> Result<Self, BackendError> {
        Self::open_with(path, &SqliteOptions::default())
    }

    /// As [`SqliteBackend::open`], with options.
    ///
    /// # Errors
    ///
    /// As [`SqliteBackend::open`].
    pub fn open_with(path: &Path, options: &SqliteOptions) -> Result<Self, BackendError> {
        if let Some(directory) = path.parent() {
            private_file::create_directory(directory).map_err(refused)?;
        }
        create_or_tighten(path)?;
        let lock = lock(path)?;
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        schema::prepare(&mut connection, options).map_err(|error| match error {
            // The file did open for writing: what cannot be made is the journal, in a directory that is read-only.
            BackendError::NoAccess => BackendError::ReadOnly,
            other => other,
        })?;
        private_file::sync_directory(path.parent().unwrap_or(Path::new("")))
            .map_err(|error| BackendError::from(&error))?;
        let readers = Readers::start(|| connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY))?;
        let group_commits = Arc::new(AtomicU64::new(0));
        let writer = Writer::start(connection, Arc::clone(&group_commits))?;
        Ok(Self { readers, writer, group_commits, _lock: lock })
    }

    /// Has SQLite look for damage in the file at `path`, also while it is in use; reads all of it.
    ///
    /// # Errors
    ///
    /// [`BackendError::Damaged`], or why the file cannot be read.
    pub fn quick_check(path: &Path) -> Result<(), BackendError> {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict == "ok" { Ok(()) } else { Err(BackendError::Damaged) }
    }

    /// How many times the disk was synced for commits since this was opened; batches that came together share one.
    pub fn group_commit_count(&self) -> u64 {
        self.group_commits.load(Ordering::Relaxed)
    }
}

impl Backend for SqliteBackend {
    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<Vec<u8>>, BackendError>> {
        self.readers.get(key.to_vec())
    }

    fn scan(&self, range: KeyRange, limit: u32) -> BoxFuture<'_, Result<Vec<Row>, BackendError>> {
        self.readers.scan(range, limit)
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<(), BackendError>> {
        self.writer.commit(batch)
    }
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, BackendError> {
    // Each connection stays with one thread, so SQLite need not lock it.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.execute_batch("PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;")?;
    Ok(connection)
}

/// Keeps other processes out: their commits would make this one's cache wrong.
fn lock(path: &Path) -> Result<File, BackendError> {
    let path = beside(path, ".lock");
    create_or_tighten(&path)?;
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(refused)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BackendError::InUse),
        Err(TryLockError::Error(error)) => Err(BackendError::from(&error)),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes an empty file where there is none, and takes away the permissions of others where there is one.
fn create_or_tighten(path: &Path) -> Result<(), BackendError> {
    let file = private_file::private_options().create(true).truncate(false).open(path).map_err(refused)?;
    if private_file::is_exposed(&file.metadata().map_err(refused)?) {
        private_file::tighten(&file).map_err(|_| BackendError::Exposed)?;
    }
    Ok(())
}

/// The meaning of a refusal while opening: where we may not make files, the directory is read-only to us.
fn refused(error: io::Error) -> BackendError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => BackendError::ReadOnly,
        _ => BackendError::from(&error),
    }
}
