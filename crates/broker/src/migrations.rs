//! How stores of earlier versions become stores of this one: see [`store::Migration`].
//!
//! A new table, and a new field whose default is right for old rows, are no migration. Whatever else changes the shape or the
//! meaning of rows that are there gets the next number here, and what it did stays as it is. `tests/sim/first_light.rs` opens
//! a store of the first version.

use store::{Migration, Store, StoreError};

/// What has changed since first light, which is number 1.
const MIGRATIONS: &[Migration] = &[];

/// Brings a store to the shape that this version knows. Call it before [`crate::Broker::new`], and before reading anything.
///
/// # Errors
///
/// As [`Store::migrate`]: above all [`StoreError::TooNew`], when a newer version has used the store.
pub async fn migrate(store: &Store) -> Result<(), StoreError> {
    store.migrate(MIGRATIONS).await
}
