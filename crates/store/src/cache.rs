//! The cache in front of the backend: point rows that were read or written lately, and the knowledge that a row is absent.
//!
//! It never answers with an older value than a finished commit has written. Three rules make that so:
//!
//! 1. From before a commit reaches the backend until its outcome is known, its rows are `Pending`: not answered from here.
//! 2. What was read from the backend is kept only when no commit of that row began or ended meanwhile ([`Ticket`]).
//! 3. A commit whose future is dropped leaves its rows `Pending` for good, for it may still happen: slower, never wrong.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Value;
use crate::table::StoredKey;

/// What an entry costs besides its value: key, pointers, place in the queue.
const ENTRY_OVERHEAD_BYTES: usize = 192;

pub(crate) struct Cache {
    state: Mutex<State>,
    limit_bytes: usize,
}

struct State {
    entries: HashMap<StoredKey, Entry>,
    /// Candidates for eviction, oldest first; an entry that was used since gets a second chance.
    queue: VecDeque<(StoredKey, u64)>,
    used_bytes: usize,
    next_birth: u64,
    /// Per [`StoredKey::spread`], how often a commit of such a row has begun or ended.
    changes: [u64; 256],
}

enum Entry {
    Known { value: Option<Value>, used: bool, birth: u64 },
    Pending { commits: usize, contended: bool },
}

pub(crate) enum Lookup {
    /// The row, or the knowledge that there is none.
    Hit(Option<Value>),
    /// Not known here; bring the ticket when filling in what the backend says.
    Miss(Ticket),
}

/// Proof of when a read began.
pub(crate) struct Ticket(u64);

impl Cache {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        let state =
            State { entries: HashMap::new(), queue: VecDeque::new(), used_bytes: 0, next_birth: 0, changes: [0; 256] };
        Self { state: Mutex::new(state), limit_bytes }
    }

    pub(crate) fn lookup(&self, key: &StoredKey) -> Lookup {
        let mut state = self.lock();
        match state.entries.get_mut(key) {
            Some(Entry::Known { value, used, .. }) => {
                *used = true;
                Lookup::Hit(value.clone())
            }
            Some(Entry::Pending { .. }) | None => Lookup::Miss(Ticket(*state.changes_of(key))),
        }
    }

    /// Keeps what the backend said, unless it may be outdated already.
    pub(crate) fn fill(&self, ticket: &Ticket, key: StoredKey, value: Option<Value>) {
        let mut state = self.lock();
        if *state.changes_of(&key) == ticket.0 && !state.entries.contains_key(&key) {
            state.insert(key, value);
            state.evict(self.limit_bytes);
        }
    }

    /// Takes the rows of a commit out of the cache, before it reaches the backend.
    pub(crate) fn begin(&self, keys: &[StoredKey]) {
        let mut state = self.lock();
        for key in keys {
            *state.changes_of(key) += 1;
            if let Some(Entry::Pending { commits, contended }) = state.entries.get_mut(key) {
                *commits += 1;
                *contended = true;
            } else {
                state.forget(key);
                state.entries.insert(*key, Entry::Pending { commits: 1, contended: false });
            }
        }
    }

    /// Ends what [`Cache::begin`] began for the same keys. `written`: what the rows now are, when the commit succeeded.
    pub(crate) fn finish(&self, keys: &[StoredKey], written: Option<Vec<Option<Value>>>) {
        let mut state = self.lock();
        let mut written = written.map(Vec::into_iter);
        for key in keys {
            let value = written.as_mut().and_then(Iterator::next);
            *state.changes_of(key) += 1;
            let Some(Entry::Pending { commits, contended }) = state.entries.get_mut(key) else { continue };
            *commits -= 1;
            if *commits > 0 {
                continue;
            }
            // With two commits under way at once, only the backend knows which one came last.
            let alone = !*contended;
            state.entries.remove(key);
            if let (true, Some(value)) = (alone, value) {
                state.insert(*key, value);
            }
        }
        state.evict(self.limit_bytes);
    }

    /// Drops what is known of a row, because a conflict showed that it is outdated.
    pub(crate) fn invalidate(&self, key: &StoredKey) {
        let mut state = self.lock();
        *state.changes_of(key) += 1;
        if matches!(state.entries.get(key), Some(Entry::Known { .. })) {
            state.forget(key);
        }
    }

    #[cfg(test)]
    pub(crate) fn used_bytes(&self) -> usize {
        self.lock().used_bytes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock could at worst leave a wrong byte count; rows are replaced whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn changes_of(&mut self, key: &StoredKey) -> &mut u64 {
        // A byte always indexes an array of 256.
        &mut self.changes[usize::from(key.spread())]
    }

    fn insert(&mut self, key: StoredKey, value: Option<Value>) {
        let birth = self.next_birth;
        self.next_birth += 1;
        self.used_bytes += cost(value.as_ref());
        self.queue.push_back((key, birth));
        self.entries.insert(key, Entry::Known { value, used: false, birth });
    }

    fn forget(&mut self, key: &StoredKey) {
        if let Some(Entry::Known { value, .. }) = self.entries.remove(key) {
            self.used_bytes -= cost(value.as_ref());
        }
    }

    fn evict(&mut self, limit_bytes: usize) {
        while self.used_bytes > limit_bytes {
            let Some((key, queued_birth)) = self.queue.pop_front() else { return };
            match self.entries.get_mut(&key) {
                Some(Entry::Known { used, birth, .. }) if *birth == queued_birth => {
                    if std::mem::take(used) {
                        self.queue.push_back((key, queued_birth));
                    } else {
                        self.forget(&key);
                    }
                }
                _ => {} // replaced since it was queued
            }
        }
        // Replaced entries leave their old places behind; without this, writing one row for ever would grow the queue.
        if self.queue.len() > 2 * self.entries.len() + 64 {
            let entries = &self.entries;
            self.queue.retain(
                |(key, queued)| matches!(entries.get(key), Some(Entry::Known { birth, .. }) if birth == queued),
            );
        }
    }
}

fn cost(value: Option<&Value>) -> usize {
    ENTRY_OVERHEAD_BYTES + value.map_or(0, |value| value.len())
}

#[cfg(test)]
mod tests;
