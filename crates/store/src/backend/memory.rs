//! [`MemoryBackend`]: a map in memory, for tests, simulations and programs that leave nothing behind.
//!
//! It can be told to misbehave as disks do ([`Fault`]): to be full, to be read-only, to lose everything after the last
//! commit it acknowledged. A simulator keeps the backend and opens a new [`crate::Store`] on it: that is a restart.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Backend, BackendError, Batch, BoxFuture, Change, Direction, KeyRange, Row};

/// How a [`MemoryBackend`] misbehaves from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Not at all.
    None,
    /// Commits that would need more space fail with [`BackendError::DiskFull`]; deleting works, as it does on a disk.
    DiskFull,
    /// Commits fail with [`BackendError::ReadOnly`].
    ReadOnly,
    /// After this many further commits the power is cut: the commit under way is lost or (by the last bit of the seed)
    /// durable without its caller being told, and everything fails with [`BackendError::Closed`] until
    /// [`MemoryBackend::restart`].
    PowerCut {
        /// Commits that still succeed.
        after_commits: u64,
        /// Decides what becomes of the commit under way.
        seed: u64,
    },
}

struct State {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    fault: Fault,
    powered: bool,
    commits: u64,
}

/// Rows in memory. A clone is another handle to the same rows.
#[derive(Clone)]
pub struct MemoryBackend {
    state: Arc<Mutex<State>>,
}

impl Default for MemoryBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryBackend {
    /// Makes an empty one that works.
    pub fn new() -> Self {
        let state = State { rows: BTreeMap::new(), fault: Fault::None, powered: true, commits: 0 };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Misbehaves from now on as `fault` says.
    pub fn inject(&self, fault: Fault) {
        self.lock().fault = fault;
    }

    /// Cuts the power now: every call fails until [`MemoryBackend::restart`]. What was committed stays.
    pub fn cut_power(&self) {
        self.lock().powered = false;
    }

    /// Whether the power is on.
    pub fn is_powered(&self) -> bool {
        self.lock().powered
    }

    /// Switches on again, without faults, with exactly what was durable.
    pub fn restart(&self) {
        let mut state = self.lock();
        state.powered = true;
        state.fault = Fault::None;
    }

    /// How many commits have succeeded.
    pub fn commit_count(&self) -> u64 {
        self.lock().commits
    }

    /// Copies what a thief of this memory would find: every stored key and value, for tests that search it.
    pub fn raw_rows(&self) -> Vec<Row> {
        self.lock().rows.iter().map(|(key, value)| Row { key: key.clone(), value: value.clone() }).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No method leaves the map half-changed when it panics, so a poisoned lock still guards whole rows.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn require_power(&self) -> Result<(), BackendError> {
        if self.powered { Ok(()) } else { Err(BackendError::Closed) }
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> Vec<Row> {
        let end = match &range.end {
            Some(end) if *end <= range.start => return Vec::new(), // BTreeMap::range panics on these
            Some(end) => Bound::Excluded(end.as_slice()),
            None => Bound::Unbounded,
        };
        let rows = self.rows.range::<[u8], _>((Bound::Included(range.start.as_slice()), end));
        let copy = |(key, value): (&Vec<u8>, &Vec<u8>)| Row { key: key.clone(), value: value.clone() };
        match range.direction {
            Direction::Forward => rows.take(limit).map(copy).collect(),
            Direction::Backward => rows.rev().take(limit).map(copy).collect(),
        }
    }

    fn commit(&mut self, batch: Batch) -> Result<(), BackendError> {
        self.require_power()?;
        let holds = |e: &super::Expectation| e.holds(self.rows.get(&e.key).map(Vec::as_slice));
        if !batch.expectations.iter().all(holds) {
            return Err(BackendError::Conflict);
        }
        match &mut self.fault {
            Fault::None => {}
            Fault::DiskFull if batch.changes.iter().all(|change| matches!(change, Change::Delete { .. })) => {}
            Fault::DiskFull => return Err(BackendError::DiskFull),
            Fault::ReadOnly => return Err(BackendError::ReadOnly),
            Fault::PowerCut { after_commits: 0, seed } => {
                self.powered = false;
                if *seed & 1 == 1 {
                    self.apply(batch);
                }
                return Err(BackendError::Closed);
            }
            Fault::PowerCut { after_commits, .. } => *after_commits -= 1,
        }
        self.apply(batch);
        self.commits += 1;
        Ok(())
    }

    fn apply(&mut self, batch: Batch) {
        for change in batch.changes {
            match change {
                Change::Put(row) => {
                    self.rows.insert(row.key, row.value);
                }
                Change::Delete { key } => {
                    self.rows.remove(&key);
                }
            }
        }
    }
}

impl Backend for MemoryBackend {
    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<Vec<u8>>, BackendError>> {
        let state = self.lock();
        let found = state.require_power().map(|()| state.rows.get(key).cloned());
        Box::pin(std::future::ready(found))
    }

    fn scan(&self, range: KeyRange, limit: u32) -> BoxFuture<'_, Result<Vec<Row>, BackendError>> {
        let state = self.lock();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let rows = state.require_power().map(|()| state.scan(&range, limit));
        Box::pin(std::future::ready(rows))
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<(), BackendError>> {
        let done = self.lock().commit(batch);
        Box::pin(std::future::ready(done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block_on, conformance};

    fn put(backend: &MemoryBackend, key: &[u8]) -> Result<(), BackendError> {
        let changes = vec![Change::Put(Row { key: key.to_vec(), value: b"v".to_vec() })];
        block_on(backend.commit(Batch { changes, ..Batch::default() }))
    }

    fn has(backend: &MemoryBackend, key: &[u8]) -> Result<bool, BackendError> {
        block_on(backend.get(key)).map(|value| value.is_some())
    }

    #[test]
    fn it_conforms() {
        conformance::run(|| Arc::new(MemoryBackend::new()));
    }

    #[test]
    fn a_power_cut_keeps_what_was_acknowledged_and_decides_the_rest_by_its_seed() {
        for (seed, last_survives) in [(0, false), (1, true)] {
            let backend = MemoryBackend::new();
            backend.inject(Fault::PowerCut { after_commits: 2, seed });
            assert_eq!(put(&backend, b"1"), Ok(()));
            assert_eq!(put(&backend, b"2"), Ok(()));
            assert_eq!(put(&backend, b"3"), Err(BackendError::Closed));
            assert!(!backend.is_powered());
            assert_eq!(put(&backend, b"4"), Err(BackendError::Closed));
            assert_eq!(has(&backend, b"1"), Err(BackendError::Closed));
            backend.restart();
            assert_eq!(has(&backend, b"1"), Ok(true));
            assert_eq!(has(&backend, b"2"), Ok(true));
            assert_eq!(has(&backend, b"3"), Ok(last_survives));
            assert_eq!(has(&backend, b"4"), Ok(false));
            assert_eq!(put(&backend, b"5"), Ok(()));
        }
    }

    #[test]
    fn a_full_disk_refuses_to_write_and_lets_delete() {
        let backend = MemoryBackend::new();
        put(&backend, b"1").unwrap();
        backend.inject(Fault::DiskFull);
        assert_eq!(put(&backend, b"2"), Err(BackendError::DiskFull));
        assert_eq!(has(&backend, b"1"), Ok(true));
        let changes = vec![Change::Delete { key: b"1".to_vec() }];
        assert_eq!(block_on(backend.commit(Batch { changes, ..Batch::default() })), Ok(()));
        backend.inject(Fault::ReadOnly);
        assert_eq!(put(&backend, b"2"), Err(BackendError::ReadOnly));
        backend.inject(Fault::None);
        assert_eq!(put(&backend, b"2"), Ok(()));
    }
}
