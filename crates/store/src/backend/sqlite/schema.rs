//! The one table, its settings, and how older files become newer ones.

use rusqlite::{Connection, TransactionBehavior};

use super::SqliteOptions;
use crate::backend::BackendError;

/// Each brings the schema from the version of its index to the next. Never change one that was released: add one.
const MIGRATIONS: [&str; 1] = ["CREATE TABLE rows (key BLOB NOT NULL UNIQUE, value BLOB NOT NULL) STRICT;"];

const PAGE_BYTES: u64 = 4096;

/// Sets up the writing connection and brings the schema up to date.
pub(super) fn prepare(connection: &mut Connection, options: &SqliteOptions) -> Result<(), BackendError> {
    let mode: String = connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(BackendError::ReadOnly); // the one reason for which SQLite answers with the old mode
    }
    connection.execute_batch("PRAGMA synchronous=FULL; PRAGMA journal_size_limit=16777216;")?;
    // This one answers with a row: what it is now.
    connection.query_row("PRAGMA secure_delete=ON", [], |_| Ok(()))?;
    if let Some(bytes) = options.max_size_bytes {
        let pages = bytes.div_ceil(PAGE_BYTES);
        connection.query_row(&format!("PRAGMA max_page_count={pages}"), [], |_| Ok(()))?;
    }
    migrate(connection, &MIGRATIONS)
}

fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), BackendError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let version = usize::try_from(version).map_err(|_| BackendError::Damaged)?;
    let Some(missing) = migrations.get(version..) else {
        return Err(BackendError::TooNew);
    };
    if missing.is_empty() {
        return Ok(());
    }
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    transaction.execute_batch(&format!("PRAGMA user_version={}", migrations.len()))?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_migration_runs_once_and_newer_files_are_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y"];
        migrate(&mut connection, &steps[..1]).unwrap();
        migrate(&mut connection, &steps).unwrap();
        migrate(&mut connection, &steps).unwrap(); // would fail if the column were added again
        connection.execute_batch("INSERT INTO a (x, y) VALUES (1, 2)").unwrap();
        assert_eq!(migrate(&mut connection, &steps[..1]), Err(BackendError::TooNew));
    }

    #[test]
    fn a_failing_migration_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(migrate(&mut connection, &["CREATE TABLE a (x)", "nonsense"]).is_err());
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 0);
    }
}
