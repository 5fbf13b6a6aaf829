//! [`Transaction`]: changes that happen together or not at all, and what they were decided upon.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crypto::seal::{ROW_TAG_BYTES, Sealer};
use zeroize::Zeroizing;

use crate::backend::{Batch, Change, Expectation, Row};
use crate::table::{Kind, RowId, StoredKey};
use crate::value::RowTag;
use crate::{Day, Key, Store, StoreError, Table, Value};

/// Changes that are collected here and made by [`Transaction::commit`]; dropped, they are forgotten.
#[must_use = "a transaction does nothing until it is committed"]
pub struct Transaction {
    store: Store,
    changes: Vec<PlainChange>,
    expectations: Vec<(RowId, Option<RowTag>)>,
    erase: bool,
}

struct PlainChange {
    row: RowId,
    /// `None` deletes.
    put: Option<Put>,
}

struct Put {
    value: Zeroizing<Vec<u8>>,
    day: Option<Day>,
}

impl Transaction {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, changes: Vec::new(), expectations: Vec::new(), erase: false }
    }

    /// Writes a row, over the old one if there is one.
    pub fn put(&mut self, key: &Key, value: impl Into<Vec<u8>>) {
        let row = key.locate(self.store.index());
        self.changes.push(PlainChange { row, put: Some(Put { value: Zeroizing::new(value.into()), day: None }) });
    }

    /// Writes an ordered row that becomes unreadable when `day` is forgotten ([`Store::forget_days_before`]).
    pub fn put_expiring(&mut self, table: Table, owner: &[u8], seq: u64, day: Day, value: impl Into<Vec<u8>>) {
        let row = table.seq(owner, seq).locate(self.store.index());
        self.changes.push(PlainChange { row, put: Some(Put { value: Zeroizing::new(value.into()), day: Some(day) }) });
    }

    /// Writes a row that was found by walking a table, under the key that it lies under.
    pub(crate) fn put_found(&mut self, row: &RowId, day: Option<Day>, value: Vec<u8>) {
        self.changes.push(PlainChange { row: *row, put: Some(Put { value: Zeroizing::new(value), day }) });
    }

    /// Removes a row; not an error when there is none.
    pub fn delete(&mut self, key: &Key) {
        let row = key.locate(self.store.index());
        self.delete_row(&row);
    }

    /// Removes a row that [`Store::list`] found.
    pub fn delete_row(&mut self, row: &RowId) {
        self.changes.push(PlainChange { row: *row, put: None });
    }

    /// States what the decision was based on: the row as it was read, or `None` for "there was no such row". The commit
    /// fails with [`StoreError::Conflict`] when the row has been written since, even with the same value.
    pub fn expect(&mut self, key: &Key, as_read: Option<&Value>) {
        let row = key.locate(self.store.index());
        self.expectations.push((row, as_read.map(|value| *value.tag())));
    }

    /// As [`Transaction::expect`], for a row that [`Store::list`] found.
    pub fn expect_row(&mut self, row: &RowId, as_read: &Value) {
        self.expectations.push((*row, Some(*as_read.tag())));
    }

    /// States that a row is still the sealed one that begins with `tag`.
    pub(crate) fn expect_tag(&mut self, row: &RowId, tag: RowTag) {
        self.expectations.push((*row, Some(tag)));
    }

    /// Asks that no copy of what is deleted or overwritten stays in a journal of the database. Slower.
    pub fn erase(&mut self) {
        self.erase = true;
    }

    /// Whether there is nothing to do and nothing to check.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.expectations.is_empty()
    }

    /// Makes the changes: all or nothing, durable on return. Commits of concurrent callers share one sync of the disk.
    ///
    /// Dropping the future neither makes nor undoes the commit for certain; it is still all or nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when something expected has changed; [`StoreError::TooLong`]; [`StoreError::Backend`].
    pub async fn commit(self) -> Result<(), StoreError> {
        if self.is_empty() {
            return Ok(());
        }
        let Self { store, changes, expectations, erase } = self;
        let sealers = day_sealers(&store, &changes).await?;
        let sealed = seal(&store, changes, &sealers, expectations.as_slice(), erase)?;

        store.cache().begin(&sealed.cached_rows);
        let outcome = store.backend().commit(sealed.batch).await.map_err(StoreError::from);
        let written = outcome.is_ok().then_some(sealed.cached_values);
        store.cache().finish(&sealed.cached_rows, written);
        if outcome == Err(StoreError::Conflict) {
            // Only another process on the same database can have outdated the cache: do not serve it again.
            expectations.iter().for_each(|(row, _)| store.cache().invalidate(row.stored()));
        }
        outcome
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("changes", &self.changes.len()).finish_non_exhaustive()
    }
}

async fn day_sealers(store: &Store, changes: &[PlainChange]) -> Result<HashMap<Day, Arc<Sealer>>, StoreError> {
    let mut sealers = HashMap::new();
    for day in changes.iter().filter_map(|change| change.put.as_ref()?.day) {
        if let std::collections::hash_map::Entry::Vacant(entry) = sealers.entry(day) {
            // Boxed, because making the key of a day is itself a commit.
            entry.insert(Box::pin(store.day_sealer(day)).await?);
        }
    }
    Ok(sealers)
}

struct Sealed {
    batch: Batch,
    /// The point rows that change, each once, and what they become.
    cached_rows: Vec<StoredKey>,
    cached_values: Vec<Option<Value>>,
}

fn seal(
    store: &Store,
    changes: Vec<PlainChange>,
    day_sealers: &HashMap<Day, Arc<Sealer>>,
    expectations: &[(RowId, Option<RowTag>)],
    erase: bool,
) -> Result<Sealed, StoreError> {
    let mut batch = Batch { changes: Vec::with_capacity(changes.len()), expectations: Vec::new(), erase };
    let mut cached: HashMap<StoredKey, Option<Value>> = HashMap::new();
    for PlainChange { row, put } in changes {
        let stored = row.stored().as_slice();
        let mut becomes = None;
        batch.changes.push(match put {
            None => Change::Delete { key: stored.to_vec() },
            Some(Put { value, day }) => {
                let day_sealer = day.and_then(|day| day_sealers.get(&day));
                let sealer = day_sealer.map_or(store.sealer(), Arc::as_ref);
                let sealed = sealer.seal(store.random(), row.table().name, stored, &value)?;
                let tag = *sealed.first_chunk::<ROW_TAG_BYTES>().ok_or(StoreError::Altered)?;
                becomes = Some(Value::new(value, tag));
                Change::Put(Row { key: stored.to_vec(), value: sealed })
            }
        });
        // Ordered rows are read once and in bulk, so they would only push others out of the cache.
        if row.kind() == Kind::Row {
            cached.insert(*row.stored(), becomes);
        }
    }
    batch.expectations.extend(
        expectations.iter().map(|(row, tag)| Expectation {
            key: row.stored().as_slice().to_vec(),
            found: tag.map(|tag| tag.to_vec()),
        }),
    );
    let (cached_rows, cached_values) = cached.into_iter().unzip();
    Ok(Sealed { batch, cached_rows, cached_values })
}
