//! [`Writer`]: one commit for everybody who changes an offline queue at the same moment.
//!
//! Whoever wants to change a queue leaves the change here and waits for the turn ([`crate::turns`]). Whoever has it makes
//! all changes that wait by then, in the order in which they came, and the others find theirs done. So fifty people who
//! write to one who is away cost a few commits and no conflict.
//!
//! Rows are numbered far apart, so that a message which a session was sent and never had can be put where it stood in the
//! stream of its sender: behind the row that was the newest when it was routed, ahead of those that came later.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prost::Message as _;
use store::{Day, Direction, StoreError};

use super::quota::Room;
use super::{Kept, ToKeep, is_worth_keeping, recount_in_turn};
use crate::Core;
use crate::tables::{OFFLINE, OfflineRow};

/// Bytes of messages beyond which one commit takes no more changes.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// A change of one queue.
pub(super) enum Change {
    /// Add what is worth keeping of these, which came at this time in milliseconds.
    Keep(Vec<ToKeep>, i64),
    /// Remove these rows; not an error when they are gone.
    Delete(Vec<u64>),
}

/// What became of the messages of a change; nothing where it had none.
type Outcome = Result<Vec<Kept>, StoreError>;

struct Job {
    change: Change,
    outcome: Mutex<Option<Outcome>>,
}

impl Job {
    fn outcome(&self) -> MutexGuard<'_, Option<Outcome>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn len(&self) -> usize {
        match &self.change {
            Change::Keep(messages, _) => messages.iter().map(|message| message.frame.len()).sum(),
            Change::Delete(_) => 0,
        }
    }
}

/// Two rows that were written one after the other are two to the power of this apart.
const ROOM_BITS: u32 = 31;

/// Changes that wait, by account. Remembers nothing of accounts for which none does.
#[derive(Default)]
pub(crate) struct Writer {
    waiting: Mutex<HashMap<Box<str>, VecDeque<Arc<Job>>>>,
    /// Counts rows that were put between others. No number is given twice while a session may still name the row that
    /// had it.
    between: AtomicU64,
}

impl Writer {
    fn waiting(&self) -> MutexGuard<'_, HashMap<Box<str>, VecDeque<Arc<Job>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, account: &str, job: Arc<Job>) {
        self.waiting().entry(account.into()).or_default().push_back(job);
    }

    /// Takes out what one commit makes.
    fn take(&self, account: &str) -> Vec<Arc<Job>> {
        let mut waiting = self.waiting();
        let Some(jobs) = waiting.get_mut(account) else { return Vec::new() };
        let (mut taken, mut bytes) = (Vec::new(), 0_usize);
        while bytes < COMMIT_BYTES
            && let Some(job) = jobs.pop_front()
        {
            bytes = bytes.saturating_add(job.len());
            taken.push(job);
        }
        if jobs.is_empty() {
            waiting.remove(account);
        }
        taken
    }
}

/// Makes a change, together with all that wait. Says what became of its messages.
pub(super) async fn make(core: &Core, account: &str, change: Change) -> Outcome {
    let job = Arc::new(Job { change, outcome: Mutex::default() });
    core.offline.leave(account, Arc::clone(&job));
    let _turn = core.turns.take(OFFLINE, account).await;
    loop {
        if let Some(outcome) = job.outcome().take() {
            return outcome;
        }
        let mut jobs = core.offline.take(account);
        if jobs.is_empty() {
            jobs.push(Arc::clone(&job)); // whoever took it out was dropped before its end
        }
        make_all(core, account, &jobs).await;
    }
}

async fn make_all(core: &Core, account: &str, jobs: &[Arc<Job>]) {
    match commit(core, account, jobs).await {
        Ok(outcomes) => {
            for (job, kept) in jobs.iter().zip(outcomes) {
                *job.outcome() = Some(Ok(kept));
            }
        }
        Err(error) if jobs.len() == 1 => jobs.iter().for_each(|job| *job.outcome() = Some(Err(error))),
        // what one cannot have must not cost the others theirs: a full disk still deletes
        Err(_) => {
            for job in jobs {
                let alone = commit(core, account, std::slice::from_ref(job)).await;
                *job.outcome() = Some(alone.map(|outcomes| outcomes.into_iter().next().unwrap_or_default()));
            }
        }
    }
}

/// Commits changes, all or nothing; one outcome for each.
///
/// A damaged row, of a count or of a message, is put aside and the queue counted anew, once: otherwise one byte on the disk
/// would close it for good.
async fn commit(core: &Core, account: &str, jobs: &[Arc<Job>]) -> Result<Vec<Vec<Kept>>, StoreError> {
    match commit_as_it_is(core, account, jobs).await {
        Err(StoreError::Altered) => {
            recount_in_turn(core, account).await?;
            commit_as_it_is(core, account, jobs).await
        }
        done => done,
    }
}

async fn commit_as_it_is(core: &Core, account: &str, jobs: &[Arc<Job>]) -> Result<Vec<Vec<Kept>>, StoreError> {
    loop {
        let mut batch = Batch::begin(core, account).await?;
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in jobs {
            outcomes.push(match &job.change {
                Change::Keep(messages, at) => batch.keep(messages, *at).await?,
                Change::Delete(rows) => {
                    batch.delete(rows).await?;
                    Vec::new()
                }
            });
        }
        match batch.commit().await {
            Ok(()) => {
                let rows = outcomes.iter().flatten().filter_map(|kept| match kept {
                    Kept::Row(seq) => Some(*seq),
                    _ => None,
                });
                if let Some(newest) = rows.max() {
                    core.registry.note_row(account, newest);
                }
                return Ok(outcomes);
            }
            Err(StoreError::Conflict) => {} // another process got on with it
            Err(error) => return Err(error),
        }
    }
}

/// One commit in the making.
struct Batch<'a> {
    core: &'a Core,
    account: &'a str,
    room: Room<'a>,
    transaction: store::Transaction,
    deleted: HashSet<u64>,
    /// The last row that was put behind another, by that other one.
    between: HashMap<u64, u64>,
    is_needed: bool,
}

impl<'a> Batch<'a> {
    async fn begin(core: &'a Core, account: &'a str) -> Result<Self, StoreError> {
        let room = Room::read(core, account).await?;
        let transaction = core.store.transaction();
        Ok(Self {
            core,
            account,
            room,
            transaction,
            deleted: HashSet::new(),
            between: HashMap::new(),
            is_needed: false,
        })
    }

    async fn keep(&mut self, messages: &[ToKeep], at: i64) -> Outcome {
        let mut kept = Vec::with_capacity(messages.len());
        for ToKeep { frame, after } in messages {
            kept.push(if !is_worth_keeping(frame) {
                Kept::NotWorth
            } else if !self.room.take(frame).await? {
                Kept::Full
            } else {
                let owner = self.account.as_bytes();
                let seq = self.number(*after).await?;
                let row = OfflineRow { stanza: frame.bytes().to_vec(), at }.encode_to_vec();
                self.transaction.put_expiring(OFFLINE, owner, seq, Day::of_millis(at), row);
                self.is_needed = true;
                Kept::Row(seq)
            });
        }
        Ok(kept)
    }

    /// Numbers a row: behind another one, or at the end.
    async fn number(&mut self, after: Option<u64>) -> Result<u64, StoreError> {
        let between = match after {
            Some(after) => self.number_behind(after).await?,
            None => None,
        };
        if let Some(seq) = between {
            return Ok(seq);
        }
        let count = self.core.store.next_seq(OFFLINE, self.account.as_bytes()).await?;
        count.checked_mul(1 << ROOM_BITS).ok_or(StoreError::CounterExhausted)
    }

    /// Numbers a row that comes behind another one; `None` when no number is left there.
    async fn number_behind(&mut self, after: u64) -> Result<Option<u64>, StoreError> {
        let first = after >> ROOM_BITS << ROOM_BITS;
        let Some(end) = first.checked_add(1 << ROOM_BITS) else { return Ok(None) };
        let last = match self.between.get(&first) {
            Some(last) => *last,
            None => {
                let owner = self.account.as_bytes();
                let rows = self.core.store.scan_seq(OFFLINE, owner, first..end, Direction::Backward, 1).await?;
                rows.first().map_or(first, |(seq, _)| *seq).max(after)
            }
        };
        let least = last - first + 1; // `last` lies in this range, like `after`
        let counted = self.core.offline.between.fetch_add(1, Ordering::AcqRel).max(least);
        self.core.offline.between.fetch_max(counted + 1, Ordering::AcqRel);
        let seq = first + counted;
        if seq >= end {
            return Ok(None); // two thousand million of them: at the end, then
        }
        self.between.insert(first, seq);
        Ok(Some(seq))
    }

    async fn delete(&mut self, rows: &[u64]) -> Result<(), StoreError> {
        for seq in rows {
            let key = OFFLINE.seq(self.account.as_bytes(), *seq);
            if !self.deleted.insert(*seq) {
                continue; // its room was given back
            }
            if let Some(value) = self.core.store.get(&key).await? {
                let row = OfflineRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
                self.room.give_back(&row.stanza).await?;
            }
            self.transaction.delete(&key);
            self.is_needed = true;
        }
        Ok(())
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        if !self.is_needed {
            return Ok(()); // a queue that is full costs no more than a look
        }
        self.room.write(&mut self.transaction);
        self.transaction.commit().await
    }
}
