//! Opening what the broker remembers: key file, database, generation.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crypto::Random;
use crypto::seal::{KeyFile, MasterKey, Slot};
use store::backend::sqlite::SqliteBackend;
use store::backend::{Backend as _, KeyRange};
use store::keys::{self, KeysError};
use store::{Continuity, Store, StoreError};

use crate::error::StartError;
use crate::settings::Storage;

/// The name of the database in the data directory.
pub const DATABASE: &str = "broker.sqlite";

/// What was found about the database when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// What was left there, or nothing yet.
    AsLeft,
    /// An older state than the one that was left: a backup was put back.
    RolledBack,
}

/// Opens the store, and makes key and database first where there are none.
pub(super) async fn open(storage: &Storage, random: Arc<dyn Random>) -> Result<(Store, Found), StartError> {
    match storage {
        Storage::Memory => Ok((Store::in_memory(random), Found::AsLeft)),
        Storage::Directories { data, keys } => {
            let at_key_file = |error| StartError::Keys { path: key_file(keys), error };
            let at_data = |error| StartError::Store { path: Some(data.clone()), error };
            // Before anything is made: a volume that is not mounted must stay as empty as it is.
            if !database_exists(data) {
                refuse_if_used(data, keys)?;
            }
            // The database comes first: a data directory that cannot be used must not leave a key file behind.
            let backend = SqliteBackend::open(&data.join(DATABASE)).map_err(|error| at_data(error.into()))?;
            let is_new = backend.scan(KeyRange::all(), 1).await.map_err(|error| at_data(error.into()))?.is_empty();
            if is_new {
                refuse_if_used(data, keys)?;
            }
            let file = read_keys(keys, data, is_new, &*random).map_err(at_key_file)?;
            let master = file.open_unattended().map_err(|error| at_key_file(error.into()))?;
            let store = Store::open(Arc::new(backend), master, file.instance, random).await.map_err(at_data)?;
            broker::migrate(&store).await.map_err(at_data)?;
            let found = advance_generation(&store, file, keys, data).await?;
            Ok((store, found))
        }
    }
}

/// Tells whether there is a database; an empty file is none.
pub(crate) fn database_exists(data: &Path) -> bool {
    data.join(DATABASE).metadata().is_ok_and(|file| file.len() > 0)
}

/// Refuses to begin anew beside a key file that has opened data before: that data is elsewhere, most often on a volume
/// that is not mounted. A new broker under the same name would turn everybody away, and its backup replace the true one.
pub(crate) fn refuse_if_used(data: &Path, keys: &Path) -> Result<(), StartError> {
    let path = key_file(keys);
    match keys::read(&path, data) {
        Ok(file) if file.generation > 0 => Err(StartError::DataMissing { data: data.to_path_buf(), key_file: path }),
        Ok(_) | Err(KeysError::Missing) => Ok(()),
        Err(error) => Err(StartError::Keys { path, error }),
    }
}

/// The path of the key file in its directory.
#[must_use]
pub fn key_file(keys: &Path) -> PathBuf {
    keys.join(keys::FILE_NAME)
}

/// A key is made only for a database that is new: with a new key, nobody could open an old one.
fn read_keys(keys: &Path, data: &Path, is_new: bool, random: &dyn Random) -> Result<KeyFile, KeysError> {
    let path = key_file(keys);
    if !is_new {
        return keys::read(&path, data);
    }
    keys::read_or_create(&path, data, || Ok(KeyFile::new(Slot::plain(&MasterKey::generate(random)), random)))
}

/// Counts the start, in the key file first. A database whose count is lower than the key file's is an older copy.
async fn advance_generation(store: &Store, mut file: KeyFile, keys: &Path, data: &Path) -> Result<Found, StartError> {
    let at_data = |error: StoreError| StartError::Store { path: Some(data.to_path_buf()), error };
    let found = match store.continuity(&file).await.map_err(at_data)? {
        Continuity::Same => Found::AsLeft,
        Continuity::OtherInstance => return Err(at_data(StoreError::WrongKey)),
        _ => Found::RolledBack,
    };
    file.generation = store.next_generation(file.generation).await.map_err(at_data)?;
    let path = key_file(keys);
    keys::replace(&path, data, &file).map_err(|error| StartError::Keys { path, error })?;
    store.set_generation(file.generation).await.map_err(at_data)?;
    Ok(found)
}
