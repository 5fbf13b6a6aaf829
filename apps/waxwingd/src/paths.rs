//! Where a broker keeps its files.
//!
//! The data and what opens it lie apart, so that a copy of one is not a copy of both:
//!
//! | | usually | with `--data-dir DIR` |
//! |---|---|---|
//! | data directory | `$XDG_DATA_HOME/waxwingd` (`~/.local/share/waxwingd`) | `DIR` |
//! | configuration directory: `wxkeys.cbor`, `waxwingd.toml` | `$XDG_CONFIG_HOME/waxwingd` (`~/.config/waxwingd`) | `DIR.keys` |

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::settings::Storage;

/// The name of the configuration file in the configuration directory.
pub const CONFIG_FILE: &str = "waxwingd.toml";

/// The directories of one broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Where the data is.
    pub data: PathBuf,
    /// Where the key file and the configuration file are.
    pub config: PathBuf,
}

impl Places {
    /// The directories of a broker whose data is in `data`.
    #[must_use]
    pub fn beside(data: &Path) -> Self {
        // "x/" and "x" are the same directory and must have the same keys.
        let data: PathBuf = data.components().collect();
        let mut config: OsString = data.clone().into();
        config.push(".keys");
        Self { config: config.into(), data }
    }

    /// The usual directories, by the XDG base directory specification; `None` when there is not even a home.
    #[must_use]
    pub fn usual() -> Option<Self> {
        Self::from_environment(|name| std::env::var_os(name))
    }

    fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        // Relative paths are to be ignored, says the specification.
        let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let below = |xdg: &str, home: &str| absolute(xdg).or_else(|| Some(absolute("HOME")?.join(home)));
        Some(Self {
            data: below("XDG_DATA_HOME", ".local/share")?.join("waxwingd"),
            config: below("XDG_CONFIG_HOME", ".config")?.join("waxwingd"),
        })
    }

    /// The storage in these directories.
    #[must_use]
    pub fn storage(&self) -> Storage {
        Storage::Directories { data: self.data.clone(), keys: self.config.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_lies_beside_the_data_and_never_in_it() {
        for given in ["/var/lib/wx", "/var/lib/wx/"] {
            let places = Places::beside(Path::new(given));
            assert_eq!(places.data, Path::new("/var/lib/wx"));
            assert_eq!(places.config, Path::new("/var/lib/wx.keys"));
        }
    }

    #[test]
    fn the_usual_places_follow_the_environment() {
        let environment = |pairs: &'static [(&str, &str)]| {
            move |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        let home = Places::from_environment(environment(&[("HOME", "/home/op")])).expect("there is a home");
        assert_eq!(home.data, Path::new("/home/op/.local/share/waxwingd"));
        assert_eq!(home.config, Path::new("/home/op/.config/waxwingd"));
        let xdg = [("HOME", "/home/op"), ("XDG_DATA_HOME", "/data"), ("XDG_CONFIG_HOME", "not/absolute")];
        let xdg = Places::from_environment(move |name| {
            xdg.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        });
        let xdg = xdg.expect("there is a home");
        assert_eq!(xdg.data, Path::new("/data/waxwingd"));
        assert_eq!(xdg.config, Path::new("/home/op/.config/waxwingd"));
        assert_eq!(Places::from_environment(|_| None), None);
    }
}
