//! [`Home`]: where a profile lies. Directories are 0700 and files 0600 from their first moment.
//!
//! | | with `--home DIR` | without |
//! |---|---|---|
//! | database, lock, socket | `DIR/data/` | `$XDG_DATA_HOME/waxwing/data/` (`~/.local/share/waxwing/data/`) |
//! | key file | `DIR/keys/` | `$XDG_CONFIG_HOME/waxwing/keys/` (`~/.config/waxwing/keys/`) |
//! | settings | `DIR/settings.json` | `$XDG_CONFIG_HOME/waxwing/settings.json` |
//! | received files | `DIR/files/` | `~/Downloads/`, or `~/.local/share/waxwing/files/` |

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The places of one profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    data: PathBuf,
    keys: PathBuf,
    settings: PathBuf,
    files: PathBuf,
}

impl Home {
    /// Everything below one directory.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_path_buf());
        Self {
            data: directory.join("data"),
            keys: directory.join("keys"),
            settings: directory.join("settings.json"),
            files: directory.join("files"),
        }
    }

    /// The usual places of this user; `variable` reads the environment. Nothing without a home directory.
    #[must_use]
    pub fn usual(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let user = absolute("HOME")?;
        let share = absolute("XDG_DATA_HOME").unwrap_or_else(|| user.join(".local/share")).join("waxwing");
        let config = absolute("XDG_CONFIG_HOME").unwrap_or_else(|| user.join(".config")).join("waxwing");
        let downloads = user.join("Downloads");
        let files = if downloads.is_dir() { downloads } else { share.join("files") };
        // Below `data`, so that the keys are outside of it even where both variables name one directory.
        Some(Self {
            data: share.join("data"),
            keys: config.join("keys"),
            settings: config.join("settings.json"),
            files,
        })
    }

    /// The directory of the database.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.data.join("profile.sqlite")
    }

    /// The key file.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.keys.join(store::keys::FILE_NAME)
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Path {
        &self.settings
    }

    /// Where received files go, unless the settings say otherwise.
    #[must_use]
    pub fn files(&self) -> &Path {
        &self.files
    }

    /// The lock that the one engine of this profile holds.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.data.join("lock")
    }

    /// The socket that the engine listens on.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.data.join("socket")
    }

    /// Makes the data directory.
    ///
    /// # Errors
    ///
    /// What the machine says.
    pub fn create(&self) -> io::Result<()> {
        create_directory(&self.data)
    }
}

/// Makes a directory, and what is missing above it, for its owner only. One that exists stays as it is.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Options for a new file that only its owner can read, and nobody can run.
pub(crate) fn private_file() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_places_follow_xdg() {
        let with = |pairs: &'static [(&'static str, &'static str)]| {
            Home::usual(move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
        };
        let plain = with(&[("HOME", "/nonexistent/alice")]).expect("a home");
        assert_eq!(plain.data(), Path::new("/nonexistent/alice/.local/share/waxwing/data"));
        assert_eq!(plain.key_file(), Path::new("/nonexistent/alice/.config/waxwing/keys/wxkeys.cbor"));
        assert_eq!(plain.files(), Path::new("/nonexistent/alice/.local/share/waxwing/files"));
        let moved = with(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d"), ("XDG_CONFIG_HOME", "not/absolute")]);
        let moved = moved.expect("a home");
        assert_eq!(
            (moved.data(), moved.settings()),
            (Path::new("/d/waxwing/data"), Path::new("/h/.config/waxwing/settings.json"))
        );
        assert_eq!(with(&[]), None);
    }

    #[test]
    fn the_key_is_never_inside_the_data() {
        for home in [Home::at(Path::new("/x")), Home::usual(|_| Some("/x".into())).expect("a home")] {
            assert!(!home.key_file().starts_with(home.data()));
        }
    }
}
