//! [`StartError`]: why a broker does not start, and what a person can do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use net::identity::IdentityError;
use net::listen::BindError;
use net::verify::VerifyError;
use store::StoreError;
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
            Self::Authorities(error) => format!("the additional authorities cannot be used: {error}"),
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
            Self::Authorities(_) => "Check the file that [federation] ca_file names.".to_owned(),
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
