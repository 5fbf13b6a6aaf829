//! [`Migration`]: a numbered change of the shape or meaning of old rows.
//!
//! Stored names are keyed hashes, so nobody can list the rows of a table by name. A migration can still walk them: each row
//! is sealed with the name of its table, so the rows of a table are those that open under that name.
//!
//! A migration writes into one transaction, and its number is in the same one. So it has happened or it has not, wherever the
//! power fails, and it never runs twice. It therefore holds what it changes in memory: the largest tables of these programs
//! are some hundred megabytes at worst, and a migration that must rewrite those is better two.

use crate::backend::{KeyRange, Row};
use crate::store::SELF;
use crate::table::Kind;
use crate::{BoxFuture, Day, RowId, Store, StoreError, Table, Transaction, Value};

/// The schema of first light, and of every new store before its first migration.
pub const FIRST_SCHEMA: u32 = 1;

const SCAN_PAGE: u32 = 256;

/// What a migration does, in one transaction.
pub type Run = for<'a, 'b> fn(&'a mut Migrating<'b>) -> BoxFuture<'a, Result<(), StoreError>>;

/// One step from a schema to the next.
///
/// Once released a migration stays as it is: there are stores that it made.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The schema that it leads to; the first one is number 2, and no number is left out.
    pub number: u32,
    /// What it is for, in a few words, for the log.
    pub name: &'static str,
    /// What it does.
    pub run: Run,
}

/// What becomes of a row that a migration looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// It stays.
    Keep,
    /// It gets this value.
    Put(Vec<u8>),
    /// It goes.
    Delete,
}

/// A migration under way: reads the store as it was before, collects changes.
pub struct Migrating<'s> {
    store: &'s Store,
    transaction: Transaction,
}

impl Migrating<'_> {
    /// The store, as it was before this migration.
    pub fn store(&self) -> &Store {
        self.store
    }

    /// Where to put what is not the rewriting of a row.
    pub fn transaction(&mut self) -> &mut Transaction {
        &mut self.transaction
    }

    /// Shows every row of a table to `decide`, whoever owns it, in no useful order, and does with each what it says.
    ///
    /// A row under the key of a day stays under it. Rows whose day has been forgotten are not there.
    ///
    /// # Errors
    ///
    /// What `decide` says, or as [`Store::get`].
    pub async fn rewrite(
        &mut self,
        table: Table,
        mut decide: impl FnMut(&[u8]) -> Result<Rewrite, StoreError>,
    ) -> Result<(), StoreError> {
        let mut range = KeyRange::all();
        loop {
            let rows = self.store.backend().scan(range.clone(), SCAN_PAGE).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            range.start.clone_from(&last.key);
            range.start.push(0); // the smallest key beyond it
            for row in &rows {
                let Some((found, day, value)) = self.open_as(table, row).await? else { continue };
                match decide(&value)? {
                    Rewrite::Keep => {}
                    Rewrite::Put(value) => self.transaction.put_found(&found, day, value),
                    Rewrite::Delete => self.transaction.delete_row(&found),
                }
            }
        }
    }

    /// Opens a row if it belongs to `table`. One that is damaged belongs to no table, and is left alone.
    async fn open_as(&self, table: Table, row: &Row) -> Result<Option<(RowId, Option<Day>, Value)>, StoreError> {
        let Some(found) = RowId::guess(table, &row.key) else { return Ok(None) };
        let value = match self.store.unseal(&found, &row.value).await {
            Ok(Some(value)) => value,
            Ok(None) | Err(StoreError::Altered) => return Ok(None),
            Err(error) => return Err(error),
        };
        let epoch = crypto::seal::record_epoch(&row.value).filter(|_| found.kind() == Kind::Seq);
        let day = epoch.and_then(|epoch| self.store.days().day_of_epoch(epoch));
        Ok(Some((found, day, value)))
    }
}

impl Store {
    /// The number of the last migration that was made here.
    ///
    /// # Errors
    ///
    /// As [`Store::get`].
    pub async fn schema(&self) -> Result<u32, StoreError> {
        Ok(self.self_row().await?.0.schema)
    }

    /// Makes the migrations of `list` that this store has not seen, in their order. Call it right after opening, before
    /// anything else is read, and always with the whole list.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooNew`] when the store has seen migrations that the list does not have: nothing has changed then.
    /// Otherwise as [`Transaction::commit`]; what was committed before the error stays, and the next call goes on.
    pub async fn migrate(&self, list: &[Migration]) -> Result<(), StoreError> {
        let newest = list.last().map_or(FIRST_SCHEMA, |migration| migration.number);
        if self.schema().await? > newest {
            return Err(StoreError::TooNew);
        }
        for migration in list {
            let (row, read) = self.self_row().await?;
            if migration.number <= row.schema {
                continue;
            }
            let mut under_way = Migrating { store: self, transaction: self.transaction() };
            (migration.run)(&mut under_way).await?;
            let mut transaction = under_way.transaction;
            transaction.expect(&SELF.row(b"", b""), Some(&read));
            transaction.put(&SELF.row(b"", b""), crate::store::SelfRow { schema: migration.number, ..row }.encode());
            transaction.commit().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
