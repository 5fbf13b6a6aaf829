//! [`StartError`]: why a broker does not start, and what a person can do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use net::identity::IdentityError;
use net::listen::BindError;
use net::verify::VerifyError;
use store::StoreError;
use store::backend::BackendError;
use store::keys::KeysError;

use crate::config::unreadable_because;

/// Why a broker does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// The domain is no name that accounts can live under.
    BadDomain,
    /// There are accounts under another domain already.
    DomainFixed {
        /// The domain of the accounts.
        domain: String,
    },
    /// A port cannot be opened.
    Bind(BindError),
    /// The key file.
    Keys {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        error: KeysError,
    },
    /// The key file has opened data before, and there is none in the data directory.
    DataMissing {
        /// The data directory.
        data: PathBuf,
        /// The key file.
        key_file: PathBuf,
    },
    /// The data directory.
    Store {
        /// Where it is; nothing when the data is in memory.
        path: Option<PathBuf>,
        /// What is wrong.
        error: StoreError,
    },
    /// A certificate cannot be made or used.
    Identity {
        /// The file, where it is one.
        path: Option<PathBuf>,
        /// What is wrong.
        error: IdentityError,
    },
    /// A file that the settings name cannot be read.
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        kind: io::ErrorKind,
    },
    /// The additional authorities for federation cannot be used.
    Authorities(VerifyError),
    /// A link in the list of peers is none.
    BadPeer,
    /// The socket for administration cannot be made.
    AdminSocket {
        /// Where it should be.
        path: PathBuf,
    },
}

impl StartError {
    /// A word for programs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::BadDomain => "bad_domain",
            Self::DomainFixed { .. } => "domain_fixed",
            Self::Bind(_) => "port",
            Self::Keys { .. } => "key_file",
            Self::DataMissing { .. } => "data_missing",
            Self::Store { .. } => "store",
            Self::Identity { .. } | Self::Authorities(_) => "certificate",
            Self::Unreadable { .. } => "unreadable",
            Self::BadPeer => "settings",
            Self::AdminSocket { .. } => "admin_socket",
        }
    }

    /// What happened, in one sentence without a full stop.
    #[must_use]
    pub fn what_happened(&self) -> String {
        match self {
            Self::BadDomain => "this domain cannot be used: it must be a name, not an address".to_owned(),
            Self::DomainFixed { domain } => format!("this broker already has accounts under {domain}"),
            Self::Bind(error) => error.to_string(),
            Self::Keys { path, error } => format!("{}: {}", path.display(), error.what_happened()),
            Self::Store { path: Some(path), error } => format!("{}: {}", path.display(), error.what_happened()),
            Self::Store { path: None, error } => error.what_happened().to_owned(),
            Self::Identity { path: Some(path), error } => format!("{}: {error}", path.display()),
            Self::Identity { path: None, error } => error.to_string(),
            Self::Unreadable { path, kind } => format!("{} {}", path.display(), unreadable_because(*kind)),
            Self::DataMissing { data, key_file } => format!(
                "{} holds no data, but the key file {} has been used with data before",
                data.display(),
                key_file.display()
            ),
            Self::Authorities(_) => {
                "the file that [federation] ca_file names holds no authority that can be read".to_owned()
            }
            Self::BadPeer => "a link in the list of peers is not a peer link".to_owned(),
            Self::AdminSocket { path } => format!("the socket {} cannot be made", path.display()),
        }
    }

    /// What a person can do about it, in one sentence; empty where the first one says it already.
    #[must_use]
    pub fn what_to_do(&self) -> String {
        match self {
            Self::Bind(_) => String::new(),
            Self::BadDomain => "Give a name like example.org, or none: then the broker names itself.".to_owned(),
            Self::DomainFixed { .. } => {
                "Leave out --domain, or give another --data-dir for a broker of its own.".to_owned()
            }
            Self::Keys { error, .. } => error.what_to_do().to_owned(),
            Self::Store { error: StoreError::Backend(BackendError::DiskFull), .. } => {
                "Free some space on the disk that holds the data directory, then start again.".to_owned()
            }
            Self::Store { error, .. } => error.what_to_do().to_owned(),
            Self::DataMissing { key_file, .. } => format!(
                "Nothing was changed. Is a volume not mounted? Mount it, or put the data back from a backup, and start \
                 again. For a new, empty broker move the key file away first: mv {0} {0}.old",
                key_file.display()
            ),
            Self::Identity { .. } => "Check the certificate and its private key.".to_owned(),
            Self::Unreadable { kind, .. } => match kind {
                io::ErrorKind::PermissionDenied => {
                    "Give the user that runs the broker the right to read it, and to enter its directory.".to_owned()
                }
                _ => "Check the path in the settings.".to_owned(),
            },
            Self::Authorities(_) => "It must hold certificates in PEM form (-----BEGIN CERTIFICATE-----).".to_owned(),
            Self::BadPeer => "Copy it again from the other broker: `waxwingd status` there shows it.".to_owned(),
            Self::AdminSocket { .. } => {
                "Choose a data directory with a shorter path on a file system that has sockets.".to_owned()
            }
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what_happened())
    }
}

impl std::error::Error for StartError {}

impl From<BindError> for StartError {
    fn from(error: BindError) -> Self {
        Self::Bind(error)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crypto::seal::KeyFileError;

    use super::*;
    use crate::admin::protocol::Failure;
    use crate::config::ConfigError;
    use crate::server::PeerError;

    fn start_errors() -> Vec<StartError> {
        let key_file = Path::new("/home/operator/.config/waxwingd/wxkeys.cbor");
        let data = Path::new("/home/operator/.local/share/waxwingd");
        let keys = |error| StartError::Keys { path: key_file.to_path_buf(), error };
        let store = |error| StartError::Store { path: Some(data.to_path_buf()), error };
        let backend = |error| store(StoreError::Backend(error));
        let identity = |error| StartError::Identity { path: Some("/etc/waxwingd/fullchain.pem".into()), error };
        let unreadable = |kind| StartError::Unreadable { path: "/etc/waxwingd/privkey.pem".into(), kind };
        vec![
            StartError::BadDomain,
            StartError::DomainFixed { domain: "north.example".into() },
            StartError::Bind(BindError::PortTaken { port: 5222 }),
            StartError::Bind(BindError::NotPermitted { port: 443 }),
            StartError::Bind(BindError::NotOurAddress),
            keys(KeysError::Missing),
            keys(KeysError::Exposed),
            keys(KeysError::InsideData),
            keys(KeysError::NoAccess),
            keys(KeysError::ReadOnly),
            keys(KeysError::DiskFull),
            keys(KeysError::Content(KeyFileError::Damaged)),
            keys(KeysError::Content(KeyFileError::TooNew)),
            StartError::DataMissing { data: data.to_path_buf(), key_file: key_file.to_path_buf() },
            store(StoreError::WrongKey),
            store(StoreError::Altered),
            store(StoreError::TooNew),
            backend(BackendError::InUse),
            backend(BackendError::ReadOnly),
            backend(BackendError::NoAccess),
            backend(BackendError::DiskFull),
            backend(BackendError::Damaged),
            identity(IdentityError::NoCertificate),
            identity(IdentityError::BadCertificate),
            identity(IdentityError::BadKey),
            identity(IdentityError::KeyMismatch),
            unreadable(io::ErrorKind::NotFound),
            unreadable(io::ErrorKind::PermissionDenied),
            StartError::Authorities(VerifyError::Malformed),
            StartError::BadPeer,
            StartError::AdminSocket { path: data.join("admin.sock") },
        ]
    }

    fn failures() -> Vec<Failure> {
        use broker::accounts::AccountError as Account;
        use broker::invites::InviteError as Invite;
        let accounts = [Account::InvalidName, Account::NameTaken, Account::NameReserved, Account::NotFound];
        let invites = [Invite::NameTaken, Invite::TooLong, Invite::Store(StoreError::Backend(BackendError::DiskFull))];
        let peers = [PeerError::NotAPeerLink, PeerError::Oneself, PeerError::Unknown];
        let settings = [
            ConfigError::Unreadable { path: "/etc/waxwingd/waxwingd.toml".into(), kind: io::ErrorKind::NotFound },
            ConfigError::CannotWork {
                path: "/etc/waxwingd/waxwingd.toml".into(),
                problems: vec!["[login] scram_iterations is 1, and must be 4096 to 1000000".into()],
            },
        ];
        let mut failures: Vec<Failure> = accounts.into_iter().map(Failure::from).collect();
        failures.extend(invites.into_iter().map(Failure::from));
        failures.extend(peers.into_iter().map(Failure::from));
        failures.extend(settings.iter().map(|error| Failure::new(error.to_string())));
        failures
    }

    #[test]
    fn words_of_errors() {
        let mut failures_of_start: Vec<Failure> = start_errors().into_iter().map(Failure::from).collect();
        failures_of_start.extend(failures());
        let text = |failure: &Failure| format!("{}\n    -> {}\n", failure.what, failure.todo);
        for failure in &failures_of_start {
            assert!(failure.what.split(' ').count() >= 4, "what happened: {failure:?}");
        }
        crate::words::assert_matches("errors", &failures_of_start.iter().map(text).collect::<String>());
    }
}
