//! Opening what a profile remembers: key file, database, engine. And counting its starts (security-design §3.5).

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use client::engine::Origin;
use client::{Engine, EngineError, Environment};
use crypto::Random;
use crypto::seal::{KeyFile, MasterKey, Slot};
use net::clock::SystemClock;
use net::random::SystemRandom;
use store::backend::sqlite::SqliteBackend;
use store::backend::{Backend as _, KeyRange};
use store::keys::{self, KeysError};
use store::{Continuity, Store, StoreError};

use super::Home;
use crate::api::{Kind, Refusal};
use crate::words::refusals;

/// Why a profile cannot be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The key file.
    Keys(PathBuf, KeysError),
    /// The database.
    Store(PathBuf, StoreError),
    /// What is in the database.
    Engine(PathBuf, EngineError),
    /// There is no data, and the key file has been used with data before.
    DataMissing {
        /// The directory without data.
        data: PathBuf,
        /// The key file.
        key_file: PathBuf,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys(path, error) => {
                write!(f, "{}: {}. {}", path.display(), error.what_happened(), error.what_to_do())
            }
            Self::Store(path, error) => {
                write!(f, "{}: {}. {}", path.display(), error.what_happened(), error.what_to_do())
            }
            Self::Engine(path, error) => f.write_str(&refusals::profile_unreadable(path.display(), error)),
            Self::DataMissing { data, key_file } => {
                f.write_str(&refusals::profile_data_missing(data.display(), key_file.display()))
            }
        }
    }
}

impl std::error::Error for OpenError {}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Self {
        Self::new(Kind::Disk, error.to_string())
    }
}

/// An open profile.
pub(super) struct Profile {
    pub(super) engine: Engine,
    pub(super) generation: Generation,
}

/// The count of starts, in the key file and in the database.
pub(super) struct Generation {
    store: Store,
    file: KeyFile,
    home: Home,
}

impl Generation {
    /// Counts one further, in the key file first: a database that lags behind by more than one was put back.
    pub(super) async fn advance(&mut self) -> Result<(), OpenError> {
        let next = self.store.next_generation(self.file.generation).await;
        self.file.generation = next.map_err(|error| OpenError::Store(self.home.database(), error))?;
        let path = self.home.key_file();
        keys::replace(&path, self.home.data(), &self.file).map_err(|error| OpenError::Keys(path, error))?;
        let stored = self.store.set_generation(self.file.generation).await;
        stored.map_err(|error| OpenError::Store(self.home.database(), error))
    }
}

/// Refuses to begin anew beside a key file that has opened data before: that data is elsewhere, most often on a volume that
/// is not mounted. A new profile would hide it, and its keys would be those of a stranger.
fn refuse_if_used(home: &Home) -> Result<(), OpenError> {
    match keys::read(&home.key_file(), home.data()) {
        Ok(file) if file.generation > 0 => {
            Err(OpenError::DataMissing { data: home.data().to_path_buf(), key_file: home.key_file() })
        }
        Ok(_) | Err(KeysError::Missing) => Ok(()),
        Err(error) => Err(OpenError::Keys(home.key_file(), error)),
    }
}

/// Opens a profile, and makes it first where there is none.
pub(super) async fn open(home: &Home) -> Result<Profile, OpenError> {
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let at_store = |error: StoreError| OpenError::Store(home.database(), error);
    let at_keys = |error| OpenError::Keys(home.key_file(), error);
    // The database comes first: a directory that cannot be used must not leave a key file behind.
    let backend = SqliteBackend::open(&home.database()).map_err(|error| at_store(error.into()))?;
    let rows = backend.scan(KeyRange::all(), 1).await.map_err(|error| at_store(error.into()))?;
    let mut file = if rows.is_empty() {
        refuse_if_used(home)?;
        let make = || Ok(KeyFile::new(Slot::plain(&MasterKey::generate(&*random)), &*random));
        keys::read_or_create(&home.key_file(), home.data(), make).map_err(at_keys)?
    } else {
        keys::read(&home.key_file(), home.data()).map_err(at_keys)?
    };
    let master = file.open_unattended().map_err(|error| at_keys(error.into()))?;
    let opened = Store::open(Arc::new(backend), master, file.instance, Arc::clone(&random)).await;
    let store = opened.map_err(at_store)?;
    let origin = match store.continuity(&file).await.map_err(at_store)? {
        Continuity::Same => Origin::Same,
        _ => Origin::Copied,
    };
    // From now on this file belongs to this database, and the next start finds them to fit.
    file.instance = store.instance();
    let generation = Generation { store: store.clone(), file, home: home.clone() };
    let environment = Environment::new(Arc::new(SystemClock), random);
    let opened = Engine::open(store, environment, origin).await;
    let engine = opened.map_err(|error| match error {
        EngineError::Store(error) => at_store(error),
        error => OpenError::Engine(home.database(), error),
    })?;
    Ok(Profile { engine, generation })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_profile_is_private_and_opens_again() {
        let directory = std::env::temp_dir().join(format!("waxwing-profile-{}", std::process::id()));
        let home = Home::at(&directory);
        home.create().expect("made");
        drop(open(&home).await.expect("made"));
        drop(open(&home).await.expect("opened again"));
        for (path, mode) in [(home.database(), 0o600), (home.key_file(), 0o600), (home.data().to_path_buf(), 0o700)] {
            let permissions = std::fs::metadata(&path).expect("there").permissions();
            assert_eq!(permissions.mode() & 0o777, mode, "{}", path.display());
        }
        std::fs::remove_file(home.key_file()).expect("removed");
        let Err(error) = open(&home).await.map(|_| ()) else { panic!("opened without its key") };
        assert!(error.to_string().contains("Put the key file back"), "{error}");
        std::fs::remove_dir_all(directory).expect("removed");
    }
}
