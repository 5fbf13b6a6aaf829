//! What a person can choose: few things, in a small JSON file that nothing secret is in.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::home::{create_directory, private_file};
use crate::api::{Kind, Refusal};
use crate::words::refusals;

/// The choices of one profile. What is absent has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A SOCKS5 proxy as `address:port`. While it is set, it is the only way out and no name is resolved here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Where received files go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<PathBuf>,
    /// Authorities in PEM that are believed besides the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// How many seconds a command waits for the server to confirm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
}

/// What can be set, and what it is for.
pub const NAMES: [(&str, &str); 4] = [
    ("proxy", "a SOCKS5 proxy, address:port (Tor: 127.0.0.1:9050); the only way out while it is set"),
    ("files", "the directory for received files"),
    ("ca-file", "authorities (PEM) that are believed besides the public ones"),
    ("wait", "seconds to wait for the server to confirm (default 30)"),
];

impl Settings {
    /// Reads the settings; the defaults when there are none.
    ///
    /// # Errors
    ///
    /// [`Kind::Disk`] when the file cannot be read, or has something in it that this version does not know.
    pub fn load(path: &Path) -> Result<Self, Refusal> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(disk(path, &error.to_string())),
        };
        serde_json::from_str(&text).map_err(|error| disk(path, &error.to_string()))
    }

    /// Writes the settings, so that after a crash there are the old or the new ones.
    ///
    /// # Errors
    ///
    /// [`Kind::Disk`].
    pub fn save(&self, path: &Path) -> Result<(), Refusal> {
        let write = || -> io::Result<()> {
            create_directory(path.parent().unwrap_or(Path::new(".")))?;
            let beside = path.with_extension("new");
            let mut file = private_file().create(true).truncate(true).open(&beside)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            std::fs::rename(beside, path)
        };
        write().map_err(|error| disk(path, &error.to_string()))
    }

    /// Returns a setting as text; nothing when it has its default.
    ///
    /// # Errors
    ///
    /// [`Kind::BadInput`] when there is no setting of that name.
    pub fn get(&self, name: &str) -> Result<Option<String>, Refusal> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        match name {
            "proxy" => Ok(self.proxy.clone()),
            "files" => Ok(path(&self.files)),
            "ca-file" => Ok(path(&self.ca_file)),
            "wait" => Ok(self.wait.map(|seconds| seconds.to_string())),
            _ => Err(unknown(name)),
        }
    }

    /// Changes a setting; nothing brings the default back.
    ///
    /// # Errors
    ///
    /// [`Kind::BadInput`] when there is no such setting, or the value is none for it.
    pub fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Refusal> {
        let absolute =
            |text: &str| std::path::absolute(text).map_err(|error| disk(Path::new(text), &error.to_string()));
        match name {
            "proxy" => {
                self.proxy = value.map(|text| proxy_address(text).map(|address| address.to_string())).transpose()?;
            }
            "files" => self.files = value.map(absolute).transpose()?,
            "ca-file" => {
                let path = value.map(absolute).transpose()?;
                if let Some(path) = &path {
                    super::network::authorities(path)?;
                }
                self.ca_file = path;
            }
            "wait" => {
                let seconds = value.map(|text| text.parse().map_err(|_| bad(refusals::setting_wait())));
                self.wait = seconds.transpose()?;
            }
            _ => return Err(unknown(name)),
        }
        Ok(())
    }
}

/// Reads the address of a proxy.
pub(crate) fn proxy_address(text: &str) -> Result<std::net::SocketAddr, Refusal> {
    text.parse().map_err(|_| bad(refusals::setting_proxy()))
}

fn unknown(name: &str) -> Refusal {
    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    bad(refusals::setting_unknown(name, names.join(", ")))
}

fn bad(text: String) -> Refusal {
    Refusal::new(Kind::BadInput, text)
}

fn disk(path: &Path, what: &str) -> Refusal {
    Refusal::new(Kind::Disk, refusals::settings_unusable(path.display(), what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_read_again() {
        let directory = std::env::temp_dir().join(format!("waxwing-settings-{}", std::process::id()));
        let path = directory.join("settings.json");
        let mut settings = Settings::load(&path).expect("no file is no error");
        settings.set("proxy", Some("127.0.0.1:9050")).expect("an address");
        settings.set("files", Some("/x/y")).expect("a path");
        settings.set("wait", Some("5")).expect("a number");
        settings.save(&path).expect("written");
        let read = Settings::load(&path).expect("read");
        assert_eq!(read, settings);
        assert_eq!(read.get("proxy").expect("known").as_deref(), Some("127.0.0.1:9050"));
        settings.set("proxy", None).expect("back to the default");
        assert_eq!(settings.get("proxy").expect("known"), None);
        std::fs::write(&path, "{\"prox\": 1}").expect("written");
        assert_eq!(Settings::load(&path).expect_err("unknown").kind, Kind::Disk);
        std::fs::remove_dir_all(directory).expect("removed");
    }

    #[test]
    fn nonsense_is_refused_with_what_there_is() {
        let mut settings = Settings::default();
        for (name, value) in [("proxy", "tor"), ("wait", "soon"), ("ca-file", "/nonexistent/ca.pem")] {
            assert!(settings.set(name, Some(value)).is_err(), "{name}");
        }
        let refusal = settings.set("colour", Some("red")).expect_err("unknown");
        assert!(refusal.text.contains("ca-file"), "{}", refusal.text);
        assert_eq!(settings, Settings::default());
        for (name, _) in NAMES {
            assert_eq!(settings.get(name), Ok(None));
        }
    }
}
