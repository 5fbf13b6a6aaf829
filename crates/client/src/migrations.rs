//! How stores of earlier versions become stores of this one: see [`store::Migration`].
//!
//! A new table, and a new field whose default is right for old rows, are no migration. Whatever else changes the shape or the
//! meaning of rows that are there gets the next number here, and what it did stays as it is. `tests/sim/first_light.rs` opens
//! a store of the first version.

use store::Migration;

/// What has changed since first light, which is number 1.
pub(crate) const MIGRATIONS: &[Migration] = &[];
