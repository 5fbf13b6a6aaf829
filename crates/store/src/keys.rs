//! The key file on the disk (`wxkeys.cbor`): made once, readable by its owner only, never inside the data directory.
//!
//! What is in it, and how it opens, is [`crypto::seal::KeyFile`]'s; this module knows where it may lie and how it is
//! replaced without ever being absent or half-written: a new file beside it, synced, renamed over it, directory synced.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crypto::seal::{KeyFile, KeyFileError};
use zeroize::Zeroizing;

use crate::private_file;

/// The usual name of a key file.
pub const FILE_NAME: &str = "wxkeys.cbor";

/// No key file is longer; what is, is something else.
const MAX_FILE_BYTES: u64 = 16 * 1024;

/// Why a key file was not made, read or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeysError {
    /// There is no file. For a data directory that has rows in it, that means: its key is lost or elsewhere.
    Missing,
    /// There is one already; it is not overwritten.
    Exists,
    /// Other users of this machine can read it.
    Exposed,
    /// It lies inside the data directory, where a copy of the data would carry the key along.
    InsideData,
    /// Its content: see [`KeyFileError`].
    Content(KeyFileError),
    /// There is no space left; the old file, if there was one, is unchanged.
    DiskFull,
    /// The place cannot be written to; the old file, if there was one, is unchanged.
    ReadOnly,
    /// The file is there, and this user may not read it.
    NoAccess,
    /// The machine refused in another way.
    Io(io::ErrorKind),
}

impl KeysError {
    /// One of each kind, for whoever keeps watch over what is said to people.
    #[must_use]
    pub fn every() -> Vec<Self> {
        use KeyFileError as Content;
        crate::every!(Self {
            Missing => [Self::Missing],
            Exists => [Self::Exists],
            Exposed => [Self::Exposed],
            InsideData => [Self::InsideData],
            Content => [
                Self::Content(Content::Damaged),
                Self::Content(Content::TooNew),
                Self::Content(Content::CostOutOfBounds),
                Self::Content(Content::PassphraseNeeded),
                Self::Content(Content::WrongPassphrase),
            ],
            DiskFull => [Self::DiskFull],
            ReadOnly => [Self::ReadOnly],
            NoAccess => [Self::NoAccess],
            Io => [Self::Io(io::ErrorKind::Other)],
        })
    }

    /// One sentence: what happened.
    pub fn what_happened(&self) -> &'static str {
        match self {
            Self::Missing => "the key file is not there",
            Self::Exists => "there is a key file already",
            Self::Exposed => "other users of this machine can read the key file",
            Self::InsideData => "the key file lies inside the data directory",
            Self::Content(KeyFileError::Damaged) => "the key file is damaged, or is not a key file",
            Self::Content(KeyFileError::TooNew) => "the key file was written by a newer version of this program",
            Self::Content(KeyFileError::PassphraseNeeded) => "the key file opens only with a passphrase",
            Self::Content(KeyFileError::WrongPassphrase) => "the passphrase is wrong",
            Self::Content(_) => "the key file has parameters that are not accepted",
            Self::DiskFull => "the disk is full; the key file was not written",
            Self::ReadOnly => "the key file cannot be written here",
            Self::NoAccess => "the key file may not be read by this user",
            Self::Io(_) => "the machine refused to read or write the key file",
        }
    }

    /// One sentence: what a person can do about it.
    pub fn what_to_do(&self) -> &'static str {
        match self {
            Self::Missing => "Put the key file back where it was; without it the data cannot be opened by anyone.",
            Self::Exists => "Use it, or move it away.",
            Self::Exposed => "Run chmod 600 on it, and consider who may have read it.",
            Self::InsideData => "Move it to a directory outside of the data directory.",
            Self::Content(KeyFileError::TooNew) => "Update this program.",
            Self::Content(KeyFileError::PassphraseNeeded) => "Give the passphrase.",
            Self::Content(KeyFileError::WrongPassphrase) => "Try again.",
            Self::Content(_) => "Put back your copy of it.",
            Self::DiskFull => "Free some space on that disk.",
            Self::ReadOnly => "Make its directory writable for this user.",
            Self::NoAccess => {
                "Run this as the user who owns the file, or give the file to the user who runs this (chown)."
            }
            Self::Io(_) => "Check the disk and the system log.",
        }
    }
}

impl fmt::Display for KeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what_happened())
    }
}

impl std::error::Error for KeysError {}

impl From<KeyFileError> for KeysError {
    fn from(error: KeyFileError) -> Self {
        Self::Content(error)
    }
}

impl From<io::Error> for KeysError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::AlreadyExists => Self::Exists,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly,
            kind => Self::Io(kind),
        }
    }
}

/// Reads the key file at `path`, which must not lie inside `data_directory`.
///
/// # Errors
///
/// [`KeysError::Missing`], [`KeysError::Exposed`], [`KeysError::InsideData`], [`KeysError::Content`] or another.
pub fn read(path: &Path, data_directory: &Path) -> Result<KeyFile, KeysError> {
    require_outside(path, data_directory)?;
    let file = File::open(path).map_err(unreadable)?;
    // Asked of the open file, so that it cannot be exchanged between the question and the reading.
    let metadata = file.metadata()?;
    if private_file::is_exposed(&metadata) {
        return Err(KeysError::Exposed);
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(KeyFileError::Damaged.into());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_FILE_BYTES).unwrap_or(0)));
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(KeyFile::parse(&bytes)?)
}

/// Writes a new key file, and its directory (0700) where there is none.
///
/// # Errors
///
/// [`KeysError::Exists`], [`KeysError::InsideData`], [`KeysError::DiskFull`], [`KeysError::ReadOnly`] or another.
pub fn create(path: &Path, data_directory: &Path, keys: &KeyFile) -> Result<(), KeysError> {
    private_file::create_directory(directory_of(path))?;
    require_outside(path, data_directory)?;
    let written = write_beside(path, keys)?;
    // A hard link fails where a rename would overwrite: of two programs that start at once, one makes the key.
    let linked = fs::hard_link(&written, path);
    fs::remove_file(&written)?;
    linked?;
    Ok(private_file::sync_directory(directory_of(path))?)
}

/// Replaces the key file at `path`, durably: after a crash there is the old one or the new one.
///
/// # Errors
///
/// [`KeysError::Missing`] when there is none to replace; otherwise as [`create`].
pub fn replace(path: &Path, data_directory: &Path, keys: &KeyFile) -> Result<(), KeysError> {
    require_outside(path, data_directory)?;
    fs::metadata(path)?;
    let written = write_beside(path, keys)?;
    if let Err(error) = fs::rename(&written, path) {
        let _ = fs::remove_file(&written);
        return Err(error.into());
    }
    Ok(private_file::sync_directory(directory_of(path))?)
}

/// Reads the key file at `path`, or writes what `make` makes where there is none.
///
/// # Errors
///
/// As [`read`] and [`create`], and what `make` says.
pub fn read_or_create(
    path: &Path,
    data_directory: &Path,
    make: impl FnOnce() -> Result<KeyFile, KeyFileError>,
) -> Result<KeyFile, KeysError> {
    match read(path, data_directory) {
        Err(KeysError::Missing) => {}
        read_or_failed => return read_or_failed,
    }
    match create(path, data_directory, &make()?) {
        // Read back in both cases, so that everybody uses what is on the disk.
        Ok(()) | Err(KeysError::Exists) => read(path, data_directory),
        Err(error) => Err(error),
    }
}

/// The meaning of a refusal while reading: nothing was to be written.
fn unreadable(error: io::Error) -> KeysError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => KeysError::NoAccess,
        io::ErrorKind::IsADirectory => KeyFileError::Damaged.into(),
        _ => error.into(),
    }
}

fn write_beside(path: &Path, keys: &KeyFile) -> Result<PathBuf, KeysError> {
    // A name that no other writer uses, be it in another thread or another process.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{}.new", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    let beside = PathBuf::from(name);
    let _ = fs::remove_file(&beside); // what a crash of an earlier process of this number left
    let write = || {
        let mut file = private_file::private_options().create_new(true).open(&beside)?;
        file.write_all(&keys.encode())?;
        file.sync_all()
    };
    match write() {
        Ok(()) => Ok(beside),
        Err(error) => {
            let _ = fs::remove_file(&beside);
            Err(error.into())
        }
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Both paths as the system resolves them, so that a link does not lead inside.
fn require_outside(path: &Path, data_directory: &Path) -> Result<(), KeysError> {
    // What does not exist yet has nothing inside it.
    let Ok(data_directory) = data_directory.canonicalize() else { return Ok(()) };
    let inside = directory_of(path).canonicalize().is_ok_and(|directory| directory.starts_with(&data_directory))
        || path.canonicalize().is_ok_and(|file| file.starts_with(&data_directory));
    if inside { Err(KeysError::InsideData) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
