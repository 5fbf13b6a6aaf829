//! What lies on the disk: key file, data directory, database.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use store::backend::BackendError;
use store::backend::sqlite::SqliteBackend;
use store::keys::KeysError;
use store::{StoreError, Table};

use super::super::commands::Context;
use super::super::protocol::Check;
use crate::server::Found;
use crate::server::disk::{self, database_exists};

/// A row that is written and read to see whether the store works. One point row of the owner `doctor`: one byte.
const PROBE: Table = Table::new("waxwingd-doctor");

/// Tells whether the data directory can be written to, and by whom it can be entered.
pub(super) fn data_directory(data: &Path) -> Check {
    let name = "data directory";
    let existing = data.ancestors().find(|path| path.exists()).unwrap_or(data);
    if rustix::fs::access(existing, rustix::fs::Access::WRITE_OK).is_err() {
        return Check::bad(
            name,
            format!("{} cannot be written to by this user, so nothing can be kept", existing.display()),
            "Make it writable for this user, or choose another with --data-dir.",
        );
    }
    if existing != data {
        return Check::good(name, format!("{} does not exist yet and can be made", data.display()));
    }
    let is_open = data.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0);
    if is_open {
        return Check::warning(
            name,
            format!(
                "other users of this machine can look into {}: how much there is, and when it changes",
                data.display()
            ),
            format!("Run: chmod 700 {}", data.display()),
        );
    }
    Check::good(name, format!("{} can be written to, and by this user only", data.display()))
}

/// Tells whether the key file can be used.
pub(super) fn key_file(data: &Path, keys: &Path) -> Check {
    let name = "key file";
    let path = disk::key_file(keys);
    if let Err(error) = store::keys::read(&path, data) {
        return Check::bad(name, format!("{}: {}", path.display(), error.what_happened()), error.what_to_do());
    }
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev()).ok();
    let beside = if device(&path) == device(data) {
        "; it lies on the same disk as the data, so whoever takes that disk has both"
    } else {
        ""
    };
    Check::good(
        name,
        format!(
            "{} is readable by its owner only{beside}. Keep a copy elsewhere: without it a backup cannot be opened",
            path.display()
        ),
    )
}

/// Tells whether there is data where the key file says that there was.
pub(super) fn belongs_together(data: &Path, keys: &Path) -> Check {
    let name = "data and key";
    match disk::refuse_if_used(data, keys) {
        Err(error @ crate::StartError::DataMissing { .. }) if !database_exists(data) => {
            Check::bad(name, error.what_happened(), error.what_to_do())
        }
        _ => match (database_exists(data), store::keys::read(&disk::key_file(keys), data)) {
            (true, Err(KeysError::Missing)) => {
                Check::bad(name, "there is data, and no key file to open it with", KeysError::Missing.what_to_do())
            }
            (true, _) => Check::good(name, "there is data, and the key file of a broker"),
            (false, _) => Check::good(name, "there is no data yet, and no key file that has opened any"),
        },
    }
}

/// Has the database engine look for damage.
pub(super) async fn integrity(data: &Path) -> Check {
    let path = data.join(disk::DATABASE);
    let looked = tokio::task::spawn_blocking(move || SqliteBackend::quick_check(&path)).await;
    integrity_found(looked.unwrap_or(Err(BackendError::Damaged)))
}

pub(super) fn integrity_found(found: Result<(), BackendError>) -> Check {
    let name = "database";
    match found {
        Ok(()) => Check::good(name, "the database file has no damage (quick_check)"),
        Err(BackendError::Damaged) => Check::bad(
            name,
            "the database file is damaged: some of what is kept cannot be read",
            "Check the disk (smartctl, dmesg), stop the broker, and put back the last backup of data and key file.",
        ),
        Err(error) => Check::bad(name, error.what_happened(), error.what_to_do()),
    }
}

/// Tells of rows that do not open and were put aside.
pub(super) async fn damaged(context: &Context) -> Check {
    damaged_found(context.shared.broker.store.aside().await)
}

pub(super) fn damaged_found(found: Result<Vec<String>, StoreError>) -> Check {
    let name = "damaged rows";
    match found {
        Ok(tables) if tables.is_empty() => Check::good(name, "no row of the database was found that does not open"),
        Ok(mut tables) => {
            let count = tables.len();
            tables.sort();
            tables.dedup();
            Check::bad(
                name,
                format!("{count} no longer open and were put aside, in: {}; all else goes on", tables.join(", ")),
                "Check the disk (smartctl, dmesg). What was in them is in your last backup of data and key file.",
            )
        }
        Err(error) => Check::bad(name, error.what_happened(), error.what_to_do()),
    }
}

/// Tells whether the store does what it is for.
pub(super) async fn works(context: &Context) -> Check {
    let store = &context.shared.broker.store;
    let key = PROBE.row(b"doctor", b"probe");
    let written = async {
        let mut transaction = store.transaction();
        transaction.put(&key, vec![1]);
        transaction.commit().await?;
        let read = store.get(&key).await?;
        if read.is_some() { Ok(()) } else { Err(StoreError::Altered) }
    };
    store_works(written.await)
}

pub(super) fn store_works(result: Result<(), StoreError>) -> Check {
    let name = "store";
    match result {
        Ok(()) => Check::good(name, "what is written can be read again"),
        Err(error) => Check::bad(name, error.what_happened(), error.what_to_do()),
    }
}

/// Tells whether the data is what the broker left behind.
pub(super) fn continuity(found: Found) -> Check {
    let name = "history";
    match found {
        Found::AsLeft => Check::good(name, "the data is what this broker left when it last ran"),
        Found::RolledBack => Check::warning(
            name,
            "the data is older than when the broker last ran: a backup was put back, and what came after is missing",
            "If you put the backup back, nothing; if you did not, find out who did.",
        ),
    }
}
