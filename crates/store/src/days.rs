//! Keys that expire: one per UTC day, for rows that must become unreadable on time.
//!
//! The key of a day lies in a row of its own, sealed under the master key. Forgetting a day erases that row first, so from
//! then on nothing of the day can be read, wherever copies of its rows still lie; sweeping those away is housekeeping.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crypto::seal::{DayKey, Sealer, record_epoch};

use crate::backend::KeyRange;
use crate::{Store, StoreError, Table};

/// One row per day: day u32, key bytes[32].
const DAYS: Table = Table::new("store.days");

const MILLIS_PER_DAY: i64 = 24 * 60 * 60 * 1000;
const SCAN_PAGE: u32 = 256;

/// A UTC day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u32);

impl Day {
    /// The day that a time falls in, given in milliseconds since the Unix epoch. Times before it count as its first day.
    pub fn of_millis(unix_millis: i64) -> Self {
        Self(u32::try_from(unix_millis.max(0) / MILLIS_PER_DAY).unwrap_or(u32::MAX))
    }

    /// The day `days` before this one.
    #[must_use]
    pub fn minus(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }
}

/// The day keys that exist, opened.
#[derive(Default)]
pub(crate) struct DayKeys(RwLock<BTreeMap<Day, Arc<Sealer>>>);

impl DayKeys {
    fn of_day(&self, day: Day) -> Option<Arc<Sealer>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&day).cloned()
    }

    pub(crate) fn of_epoch(&self, epoch: u32) -> Option<Arc<Sealer>> {
        let days = self.0.read().unwrap_or_else(PoisonError::into_inner);
        days.values().find(|sealer| sealer.epoch() == epoch).cloned()
    }

    /// The day whose key has this epoch.
    pub(crate) fn day_of_epoch(&self, epoch: u32) -> Option<Day> {
        let days = self.0.read().unwrap_or_else(PoisonError::into_inner);
        days.iter().find(|(_, sealer)| sealer.epoch() == epoch).map(|(day, _)| *day)
    }

    fn newest(&self) -> Option<Day> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().next_back().copied()
    }

    fn insert(&self, day: Day, key: &DayKey) {
        let mut days = self.0.write().unwrap_or_else(PoisonError::into_inner);
        days.insert(day, Arc::new(key.sealer()));
    }

    fn remove_before(&self, day: Day) {
        let mut days = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *days = days.split_off(&day);
    }
}

/// How far a sweep has come; see [`Store::sweep_forgotten`].
#[derive(Clone)]
pub struct SweepPosition(Vec<u8>);

/// What one step of a sweep did.
pub struct Swept {
    /// Rows removed in this step.
    pub removed_count: usize,
    /// Where to go on; `None` when the sweep is complete.
    pub next: Option<SweepPosition>,
}

impl Store {
    /// The sealer for rows of `day`; its key is made, and committed, when it is the first such row.
    pub(crate) async fn day_sealer(&self, day: Day) -> Result<Arc<Sealer>, StoreError> {
        loop {
            if let Some(sealer) = self.days().of_day(day) {
                return Ok(sealer);
            }
            let key = DayKey::generate(self.random());
            // Epochs name keys in the records, so no two may be equal; one chance in 2³² that this draws again.
            if self.days().of_epoch(key.sealer().epoch()).is_some() {
                continue;
            }
            let row = DAYS.row(b"", &day.0.to_be_bytes());
            let mut wrapped = day.0.to_be_bytes().to_vec();
            wrapped.extend_from_slice(key.expose());
            let mut transaction = self.transaction();
            transaction.expect(&row, None);
            transaction.put(&row, wrapped);
            match transaction.commit().await {
                Ok(()) => self.days().insert(day, &key),
                Err(StoreError::Conflict) => self.load_days().await?, // somebody else made it first
                Err(error) => return Err(error),
            }
        }
    }

    /// The newest day that something was put under.
    pub(crate) fn newest_day(&self) -> Option<Day> {
        self.days().newest()
    }

    /// Reads the day keys that exist.
    pub(crate) async fn load_days(&self) -> Result<(), StoreError> {
        for (_, value) in self.list(DAYS, b"").await? {
            let (day, key) = value.split_first_chunk::<4>().ok_or(StoreError::Altered)?;
            let key = DayKey::from_slice(key).ok_or(StoreError::Altered)?;
            let day = Day(u32::from_be_bytes(*day));
            if self.days().of_day(day).is_none() {
                self.days().insert(day, &key);
            }
        }
        Ok(())
    }

    /// Makes everything that was put under a day before `day` unreadable for good, and returns how many days that were.
    ///
    /// The wrapped keys are erased, from the journal of the database too. The rows themselves remain until they are swept
    /// ([`Store::sweep_forgotten`]); reads pass over them.
    ///
    /// # Errors
    ///
    /// As [`crate::Transaction::commit`]; nothing is forgotten then.
    pub async fn forget_days_before(&self, day: Day) -> Result<usize, StoreError> {
        let mut transaction = self.transaction();
        let mut forgotten = 0;
        for (row, value) in self.list(DAYS, b"").await? {
            let (kept, _) = value.split_first_chunk::<4>().ok_or(StoreError::Altered)?;
            if Day(u32::from_be_bytes(*kept)) < day {
                transaction.delete_row(&row);
                forgotten += 1;
            }
        }
        if forgotten > 0 {
            transaction.erase();
            transaction.commit().await?;
        }
        self.days().remove_before(day);
        Ok(forgotten)
    }

    /// Removes rows whose day has been forgotten: reads up to some hundred rows from `from` on, of whatever table.
    ///
    /// Call it with `None` first, then with what it returned, until that is `None`; other work may go on in between.
    ///
    /// # Errors
    ///
    /// As [`crate::Transaction::commit`].
    pub async fn sweep_forgotten(&self, from: Option<SweepPosition>) -> Result<Swept, StoreError> {
        let start = from.map_or_else(Vec::new, |position| position.0);
        let rows = self.backend().scan(KeyRange { start, ..KeyRange::all() }, SCAN_PAGE).await?;
        let is_unknown = |value: &[u8]| {
            record_epoch(value)
                .is_some_and(|epoch| !self.is_master_epoch(epoch) && self.days().of_epoch(epoch).is_none())
        };
        if rows.iter().any(|row| is_unknown(&row.value)) {
            self.load_days().await?; // another process may have begun a day
        }
        let full = rows.len() >= SCAN_PAGE as usize;
        let next = rows.last().filter(|_| full).map(|row| {
            let mut after = row.key.clone();
            after.push(0); // the smallest key beyond it
            SweepPosition(after)
        });
        let gone: Vec<_> = rows.into_iter().filter(|row| is_unknown(&row.value)).map(|row| row.key).collect();
        let removed_count = gone.len();
        if removed_count > 0 {
            self.delete_stored(gone).await?;
        }
        Ok(Swept { removed_count, next })
    }
}

#[cfg(test)]
mod tests;
