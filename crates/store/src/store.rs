//! [`Store`]: the handle that programs hold.

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use crypto::Random;
use crypto::seal::{BlindIndex, InstanceId, KeyFile, MasterKey, ROW_TAG_BYTES, Sealer, record_epoch};

use crate::backend::memory::MemoryBackend;
use crate::backend::{Backend, BackendError, Batch, Change, Direction, KeyRange, Row};
use crate::cache::{Cache, Lookup};
use crate::counters::Counters;
use crate::days::DayKeys;
use crate::migrations::FIRST_SCHEMA;
use crate::table::{Kind, RowId, rows_prefix, seq_prefix, seq_row};
use crate::{Key, StoreError, Table, Transaction, Value};

/// What the store remembers of itself: format u8, instance bytes[16], generation u64, and since format 2 schema u32.
pub(crate) const SELF: Table = Table::new("store.self");
/// Format 1 is first light's, which had no schema number and refuses any other format.
const FORMAT: u8 = 2;

const DEFAULT_CACHE_BYTES: usize = 16 * 1024 * 1024;
/// Rows that are opened in one go; then whoever else waits for this thread comes first.
const SLICE: usize = 32;

const SCAN_PAGE: u32 = 256;

/// A sealed store on some backend. A clone is another handle to the same store.
///
/// Reads of point rows are answered from a bounded cache where possible. Everything it gives out has been authenticated:
/// a row that was altered, or moved from elsewhere, is [`StoreError::Altered`] and never a wrong value. (That a row is
/// *missing*, or is an older version of itself, cannot be seen in the row; see [`Store::continuity`].)
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    backend: Arc<dyn Backend>,
    random: Arc<dyn Random>,
    master: MasterKey,
    sealer: Sealer,
    index: BlindIndex,
    cache: Cache,
    counters: Counters,
    days: DayKeys,
    instance: InstanceId,
}

/// Whether a store is the one that a key file was last used with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Continuity {
    /// It is.
    Same,
    /// It is a store of its own: a copy that was made into a new one, or the key file of another.
    OtherInstance,
    /// It is an older state of the right store, put back from a backup or a snapshot.
    RolledBack,
}

impl Store {
    /// Opens the store on `backend`, or makes a new one there, named `instance`, when the backend is empty.
    ///
    /// # Errors
    ///
    /// [`StoreError::WrongKey`] when there are rows, and not of this key; [`StoreError::TooNew`]; [`StoreError::Backend`].
    pub async fn open(
        backend: Arc<dyn Backend>,
        master: MasterKey,
        instance: InstanceId,
        random: Arc<dyn Random>,
    ) -> Result<Self, StoreError> {
        Self::open_with_cache(backend, master, instance, random, DEFAULT_CACHE_BYTES).await
    }

    /// As [`Store::open`], with a cache of about `cache_bytes`.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub async fn open_with_cache(
        backend: Arc<dyn Backend>,
        master: MasterKey,
        instance: InstanceId,
        random: Arc<dyn Random>,
        cache_bytes: usize,
    ) -> Result<Self, StoreError> {
        let mut inner = Inner {
            backend,
            random,
            sealer: master.sealer(),
            index: master.blind_index(),
            master,
            cache: Cache::new(cache_bytes),
            counters: Counters::default(),
            days: DayKeys::default(),
            instance,
        };
        let row = SELF.row(b"", b"");
        let stored = row.locate(&inner.index);
        match inner.backend.get(stored.stored().as_slice()).await? {
            Some(sealed) => {
                let opened = inner.sealer.open(SELF.name, stored.stored().as_slice(), &sealed)?;
                inner.instance = SelfRow::parse(&opened)?.instance;
            }
            None if !inner.backend.scan(KeyRange::all(), 1).await?.is_empty() => return Err(StoreError::WrongKey),
            None => {
                let store = Self(Arc::new(inner));
                let mut transaction = store.transaction();
                transaction.expect(&row, None);
                transaction.put(&row, SelfRow { instance, generation: 0, schema: FIRST_SCHEMA }.encode());
                transaction.commit().await?;
                return Ok(store);
            }
        }
        let store = Self(Arc::new(inner));
        store.load_days().await?;
        Ok(store)
    }

    /// Makes a store in memory, with keys that nobody else has: for tests, and for programs that leave nothing behind.
    pub fn in_memory(random: Arc<dyn Random>) -> Self {
        let (master, instance) = (MasterKey::generate(&*random), InstanceId::generate(&*random));
        let opening = Self::open(Arc::new(MemoryBackend::new()), master, instance, random);
        crate::block_on(opening).expect("a memory backend without faults does not fail, and never waits")
    }

    /// Reads a row.
    ///
    /// # Errors
    ///
    /// [`StoreError::Altered`] or [`StoreError::Backend`].
    pub async fn get(&self, key: &Key) -> Result<Option<Value>, StoreError> {
        let row = key.locate(&self.0.index);
        if row.kind() == Kind::Seq {
            return self.read(&row).await;
        }
        match self.0.cache.lookup(row.stored()) {
            Lookup::Hit(value) => Ok(value),
            Lookup::Miss(ticket) => {
                let value = self.read(&row).await?;
                self.0.cache.fill(&ticket, *row.stored(), value.clone());
                Ok(value)
            }
        }
    }

    /// Reads all point rows of an owner, in no useful order. Values name themselves: a stored name cannot be read back.
    /// Rows that do not open are put aside ([`Store::aside`]).
    ///
    /// # Errors
    ///
    /// As [`Store::get`], but for [`StoreError::Altered`].
    pub async fn list(&self, table: Table, owner: &[u8]) -> Result<Vec<(RowId, Value)>, StoreError> {
        let range = KeyRange::prefix(&rows_prefix(&self.0.index, table, owner));
        self.scan(table, Kind::Row, range, usize::MAX).await
    }

    /// Reads at most `limit` ordered rows of an owner whose numbers lie in `range`, from the end that `direction` says.
    ///
    /// Rows whose day has been forgotten are passed over, and rows that do not open are put aside ([`Store::aside`]).
    ///
    /// # Errors
    ///
    /// As [`Store::get`].
    pub async fn scan_seq(
        &self,
        table: Table,
        owner: &[u8],
        range: impl RangeBounds<u64>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(u64, Value)>, StoreError> {
        let prefix = seq_prefix(&self.0.index, table, owner);
        let stored = |seq| seq_row(table, &prefix, seq).stored().as_slice().to_vec();
        let beyond_all = KeyRange::prefix(&prefix).end;
        let after = |seq: u64| seq.checked_add(1).map_or(beyond_all.clone(), |next| Some(stored(next)));
        let start = match range.start_bound() {
            Bound::Unbounded => Some(stored(0)),
            Bound::Included(first) => Some(stored(*first)),
            Bound::Excluded(before) => before.checked_add(1).map(stored),
        };
        let Some(start) = start else { return Ok(Vec::new()) };
        let end = match range.end_bound() {
            Bound::Unbounded => beyond_all.clone(),
            Bound::Included(last) => after(*last),
            Bound::Excluded(end) => Some(stored(*end)),
        };
        let rows = self.scan(table, Kind::Seq, KeyRange { start, end, direction }, limit).await?;
        Ok(rows.into_iter().map(|(row, value)| (row.seq(), value)).collect())
    }

    /// Begins to collect changes.
    pub fn transaction(&self) -> Transaction {
        Transaction::new(self.clone())
    }

    /// The name of this store, drawn when it was made; it is in the key file too.
    pub fn instance(&self) -> InstanceId {
        self.0.instance
    }

    /// Reads the generation that was last written here.
    ///
    /// # Errors
    ///
    /// As [`Store::get`].
    pub async fn generation(&self) -> Result<u64, StoreError> {
        Ok(self.self_row().await?.0.generation)
    }

    /// Writes the generation. Write it to the key file first ([`crate::keys::replace`]), then here.
    ///
    /// # Errors
    ///
    /// As [`Transaction::commit`].
    pub async fn set_generation(&self, generation: u64) -> Result<(), StoreError> {
        let (row, read) = self.self_row().await?;
        let mut transaction = self.transaction();
        transaction.expect(&SELF.row(b"", b""), Some(&read));
        transaction.put(&SELF.row(b"", b""), SelfRow { generation, ..row }.encode());
        transaction.commit().await
    }

    /// The generation to write next, where the key file says `in_file`: to the file first, then here.
    ///
    /// A file that is ahead already is caught up with and not outrun: a disk that takes nothing for several starts would
    /// otherwise look like a store that was put back.
    ///
    /// # Errors
    ///
    /// As [`Store::get`].
    pub async fn next_generation(&self, in_file: u64) -> Result<u64, StoreError> {
        let here = self.generation().await?;
        Ok(if in_file > here { in_file } else { here.saturating_add(1) })
    }

    /// Compares this store with the key file that it was opened by.
    ///
    /// A crash between the two writes of a generation leaves the store one behind its file: that is not a rollback.
    ///
    /// Source: security design §3.5.
    ///
    /// # Errors
    ///
    /// As [`Store::get`].
    pub async fn continuity(&self, file: &KeyFile) -> Result<Continuity, StoreError> {
        if file.instance != self.0.instance {
            return Ok(Continuity::OtherInstance);
        }
        let behind = file.generation.saturating_sub(self.generation().await?);
        Ok(if behind > 1 { Continuity::RolledBack } else { Continuity::Same })
    }

    /// Makes up the SCRAM salt of an account that does not exist, always the same for the same `name`.
    pub fn fake_salt(&self, name: &[u8]) -> [u8; 16] {
        self.0.master.fake_salt(name)
    }

    /// What the store remembers of itself, and the row as read.
    pub(crate) async fn self_row(&self) -> Result<(SelfRow, Value), StoreError> {
        let value = self.get(&SELF.row(b"", b"")).await?.ok_or(StoreError::Altered)?;
        Ok((SelfRow::parse(&value)?, value))
    }

    async fn read(&self, row: &RowId) -> Result<Option<Value>, StoreError> {
        match self.0.backend.get(row.stored().as_slice()).await? {
            Some(sealed) => self.unseal(row, &sealed).await,
            None => Ok(None),
        }
    }

    async fn scan(
        &self,
        table: Table,
        kind: Kind,
        mut range: KeyRange,
        limit: usize,
    ) -> Result<Vec<(RowId, Value)>, StoreError> {
        let mut found = Vec::new();
        while found.len() < limit {
            let page = u32::try_from(limit - found.len()).unwrap_or(u32::MAX).min(SCAN_PAGE);
            let rows = self.0.backend.scan(range.clone(), page).await?;
            let Some(last) = rows.last() else { break };
            let ended = rows.len() < page as usize;
            match range.direction {
                Direction::Forward => {
                    range.start.clone_from(&last.key);
                    range.start.push(0); // the smallest key beyond it
                }
                Direction::Backward => range.end = Some(last.key.clone()),
            }
            for (n, Row { key, value }) in rows.into_iter().enumerate() {
                if n % SLICE == SLICE - 1 {
                    crate::blocking::give_way().await;
                }
                let Some(row) = RowId::found(table, kind, &key) else { continue };
                match self.unseal(&row, &value).await {
                    Ok(opened) => found.extend(opened.map(|value| (row, value))),
                    // One damaged row costs that row: the others are read all the same.
                    Err(StoreError::Altered) => Box::pin(self.set_aside(&row, &value)).await,
                    Err(error) => return Err(error),
                }
            }
            if ended {
                break;
            }
        }
        Ok(found)
    }

    /// Opens a row; `None` when it is one whose day has been forgotten.
    pub(crate) async fn unseal(&self, row: &RowId, sealed: &[u8]) -> Result<Option<Value>, StoreError> {
        let epoch = record_epoch(sealed).ok_or(StoreError::Altered)?;
        let tag = *sealed.first_chunk::<ROW_TAG_BYTES>().ok_or(StoreError::Altered)?;
        let (table, stored) = (row.table().name, row.stored().as_slice());
        // Point rows are never put under a day, so there an unknown epoch can only be damage.
        if self.is_master_epoch(epoch) || row.kind() == Kind::Row {
            return Ok(Some(Value::new(self.0.sealer.open(table, stored, sealed)?, tag)));
        }
        let mut day_sealer = self.0.days.of_epoch(epoch);
        if day_sealer.is_none() {
            Box::pin(self.load_days()).await?; // another process may have begun a day
            day_sealer = self.0.days.of_epoch(epoch);
        }
        match day_sealer {
            Some(sealer) => Ok(Some(Value::new(sealer.open(table, stored, sealed)?, tag))),
            None => Ok(None),
        }
    }

    /// Removes rows that are not in the cache by their stored keys.
    pub(crate) async fn delete_stored(&self, keys: Vec<Vec<u8>>) -> Result<(), BackendError> {
        let changes = keys.into_iter().map(|key| Change::Delete { key }).collect();
        self.0.backend.commit(Batch { changes, ..Batch::default() }).await
    }

    pub(crate) fn is_master_epoch(&self, epoch: u32) -> bool {
        epoch == self.0.sealer.epoch()
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.0.backend
    }

    pub(crate) fn random(&self) -> &dyn Random {
        &*self.0.random
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }

    pub(crate) fn index(&self) -> &BlindIndex {
        &self.0.index
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.0.cache
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    pub(crate) fn days(&self) -> &DayKeys {
        &self.0.days
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store(<redacted>)")
    }
}

pub(crate) struct SelfRow {
    pub(crate) instance: InstanceId,
    pub(crate) generation: u64,
    /// The number of the last migration that was made.
    pub(crate) schema: u32,
}

impl SelfRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(&self.instance.0);
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(&self.schema.to_le_bytes());
        bytes
    }

    fn parse(bytes: &[u8]) -> Result<Self, StoreError> {
        let (format, rest) = bytes.split_first().ok_or(StoreError::Altered)?;
        if *format > FORMAT {
            return Err(StoreError::TooNew);
        }
        let (instance, rest) = rest.split_first_chunk::<16>().ok_or(StoreError::Altered)?;
        let (generation, rest) = rest.split_first_chunk::<8>().ok_or(StoreError::Altered)?;
        let schema = match (*format, rest.first_chunk::<4>()) {
            (1, _) => FIRST_SCHEMA,
            (_, Some(schema)) => u32::from_le_bytes(*schema),
            (_, None) => return Err(StoreError::Altered),
        };
        Ok(Self { instance: InstanceId(*instance), generation: u64::from_le_bytes(*generation), schema })
    }
}

#[cfg(test)]
mod tests;
