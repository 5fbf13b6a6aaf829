//! Counters that never give a number twice, whatever crashes.
//!
//! A counter is reserved in blocks: the row of a counter holds the first number that is not reserved yet, and is written
//! before the first number of a block is given out. A restart skips the rest of a block, so numbers have gaps and only grow.
//! The reservation expects the row as it was read, so two processes on one database get different blocks.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::table::StoredKey;
use crate::{Store, StoreError, Table};

/// One row per counter: the first number that is not reserved, u64.
const COUNTERS: Table = Table::new("store.counters");

/// How many numbers one commit reserves.
const BLOCK: u64 = 64;

/// Blocks remembered at once; beyond it they are all dropped, which costs gaps and nothing else.
const MAX_BLOCKS: usize = 65_536;

struct Block {
    next: u64,
    end: u64,
}

#[derive(Default)]
pub(crate) struct Counters(Mutex<HashMap<StoredKey, Block>>);

impl Counters {
    fn lock(&self) -> MutexGuard<'_, HashMap<StoredKey, Block>> {
        // Blocks are changed by single assignments: a panic leaves none in between.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, counter: &StoredKey) -> Option<u64> {
        let mut blocks = self.lock();
        let block = blocks.get_mut(counter).filter(|block| block.next < block.end)?;
        let number = block.next;
        block.next += 1;
        Some(number)
    }

    /// Keeps what remains of a block. Of two that were reserved at once the later one wins, so that numbers only grow.
    fn keep(&self, counter: StoredKey, block: Block) {
        let mut blocks = self.lock();
        if blocks.len() >= MAX_BLOCKS {
            blocks.clear();
        }
        if blocks.get(&counter).is_none_or(|kept| kept.end < block.end) {
            blocks.insert(counter, block);
        }
    }
}

impl Store {
    /// Takes the next number of the counter that belongs to `table` and `owner`: 1 or more, greater than every number it
    /// gave before, also across restarts and crashes. Numbers may be skipped.
    ///
    /// Most calls return at once; one in 64 commits a reservation first.
    ///
    /// # Errors
    ///
    /// As [`crate::Transaction::commit`], except that conflicts are resolved here.
    pub async fn next_seq(&self, table: Table, owner: &[u8]) -> Result<u64, StoreError> {
        let key = COUNTERS.row(table.name.as_bytes(), owner);
        let counter = *key.locate(self.index()).stored();
        loop {
            if let Some(number) = self.counters().take(&counter) {
                return Ok(number);
            }
            let kept = self.get(&key).await?;
            let first = match kept.as_deref() {
                None => 1,
                Some(bytes) => u64::from_be_bytes(bytes.try_into().map_err(|_| StoreError::Altered)?),
            };
            let end = first.checked_add(BLOCK).ok_or(StoreError::CounterExhausted)?;
            let mut transaction = self.transaction();
            transaction.expect(&key, kept.as_ref());
            transaction.put(&key, end.to_be_bytes());
            match transaction.commit().await {
                Ok(()) => {
                    self.counters().keep(counter, Block { next: first + 1, end });
                    return Ok(first);
                }
                Err(StoreError::Conflict) => {} // somebody else reserved this block
                Err(error) => return Err(error),
            }
        }
    }
}
