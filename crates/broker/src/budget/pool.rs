//! One budget, its sources, and what they hold.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::{Level, Scope};

/// Shares that one charge can be in beside the first.
const FURTHER_SHARES: usize = 2;

/// How much of one thing may be held, and who holds it. A cheap handle.
#[derive(Clone)]
pub struct Budget(Arc<Pool>);

struct Pool {
    capacity: AtomicUsize,
    /// One part in so many of the capacity is for clients alone.
    reserve_divisor: usize,
    held: AtomicUsize,
    /// Held in the name of others than clients.
    held_by_others: AtomicUsize,
    peak: AtomicUsize,
    refused: AtomicU64,
    shares: Mutex<HashMap<Key, Weak<Share>>>,
}

type Key = (Scope, Box<str>);

/// Why a charge was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The source holds its part, or more than is left for others.
    Share,
    /// There is no room for anybody of this kind.
    Whole,
}

/// What one source holds of one budget.
///
/// Whoever causes something has one of it at hand: a session its account's, a connection its own. It is forgotten when
/// nobody holds it and nothing is charged to it.
pub struct Share {
    pool: Arc<Pool>,
    scope: Scope,
    /// It may hold one part in so many of the whole.
    divisor: usize,
    held: AtomicUsize,
    key: Option<Key>,
}

/// Something that is held in the name of one source, or of several; given back when it is dropped.
pub struct Charge {
    /// Who caused it. Whether that is one of our people decides whether the reserve is open to it.
    share: Arc<Share>,
    further: [Option<Arc<Share>>; FURTHER_SHARES],
    amount: usize,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Budget").field(&self.level()).finish()
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("scope", &self.scope).field("held", &self.held()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charge").field("amount", &self.amount).finish_non_exhaustive()
    }
}

impl Budget {
    /// Makes a budget of which nothing is held; one part in `reserve_divisor` of it is for clients alone.
    #[must_use]
    pub fn new(capacity: usize, reserve_divisor: usize) -> Self {
        Self(Arc::new(Pool {
            capacity: AtomicUsize::new(capacity),
            reserve_divisor: reserve_divisor.max(1),
            held: AtomicUsize::new(0),
            held_by_others: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            shares: Mutex::default(),
        }))
    }

    /// Sets how much may be held, for example once the operating system has said how many descriptors there are. What is
    /// held already stays.
    pub fn set_capacity(&self, capacity: usize) {
        self.0.capacity.store(capacity, Ordering::Relaxed);
    }

    /// Returns the share of a source by its name. All who ask for it while it lives have the same one.
    #[must_use]
    pub fn share(&self, scope: Scope, name: &str) -> Arc<Share> {
        self.share_of(scope, name, scope.divisor())
    }

    /// As [`Budget::share`], of a source that may hold one part in `divisor` of the whole.
    #[must_use]
    pub fn share_of(&self, scope: Scope, name: &str, divisor: usize) -> Arc<Share> {
        let key: Key = (scope, name.into());
        let mut shares = self.0.shares();
        if let Some(share) = shares.get(&key).and_then(Weak::upgrade) {
            return share;
        }
        let share = self.make(scope, divisor, Some(key.clone()));
        shares.insert(key, Arc::downgrade(&share));
        share
    }

    /// Makes a share that nobody else finds, for one connection.
    #[must_use]
    pub fn own_share(&self, scope: Scope) -> Arc<Share> {
        self.own_share_of(scope, scope.divisor())
    }

    /// As [`Budget::own_share`], of a source that may hold one part in `divisor` of the whole.
    #[must_use]
    pub fn own_share_of(&self, scope: Scope, divisor: usize) -> Arc<Share> {
        self.make(scope, divisor, None)
    }

    fn make(&self, scope: Scope, divisor: usize, key: Option<Key>) -> Arc<Share> {
        Arc::new(Share { pool: Arc::clone(&self.0), scope, divisor: divisor.max(1), held: AtomicUsize::new(0), key })
    }

    /// Returns the numbers.
    #[must_use]
    pub fn level(&self) -> Level {
        let pool = &*self.0;
        let (held, others) = (pool.held.load(Ordering::Relaxed), pool.held_by_others.load(Ordering::Relaxed));
        // upgraded under the lock and dropped behind it: a share that goes takes the lock
        let live: Vec<Arc<Share>> = pool.shares().values().filter_map(Weak::upgrade).collect();
        Level {
            held,
            held_by_clients: held.saturating_sub(others),
            peak: pool.peak.load(Ordering::Relaxed),
            capacity: pool.capacity(),
            reserved: pool.reserved(),
            sources: live.len(),
            largest: live.iter().map(|share| share.held()).max().unwrap_or(0),
            refused: pool.refused.load(Ordering::Relaxed),
        }
    }
}

impl Pool {
    fn shares(&self) -> MutexGuard<'_, HashMap<Key, Weak<Share>>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn capacity(&self) -> usize {
        self.capacity.load(Ordering::Relaxed)
    }

    fn reserved(&self) -> usize {
        self.capacity() / self.reserve_divisor
    }

    /// How much may be held in the name of others than clients.
    fn open_to_others(&self) -> usize {
        self.capacity() - self.reserved()
    }

    /// How much is left for sources of this kind.
    fn left(&self, scope: Scope) -> usize {
        let left = self.capacity().saturating_sub(self.held.load(Ordering::Relaxed));
        match scope {
            Scope::Account => left,
            _ => left.min(self.open_to_others().saturating_sub(self.held_by_others.load(Ordering::Relaxed))),
        }
    }

    /// Takes from the whole, if there is room.
    fn take(&self, scope: Scope, amount: usize) -> bool {
        let is_other = scope != Scope::Account;
        if is_other && !add_within(&self.held_by_others, amount, self.open_to_others()) {
            return false;
        }
        let taken = add_within(&self.held, amount, self.capacity());
        if taken {
            self.note_peak();
        } else if is_other {
            sub(&self.held_by_others, amount);
        }
        taken
    }

    /// Takes from the whole, whether there is room or not.
    fn take_anyway(&self, scope: Scope, amount: usize) {
        if scope != Scope::Account {
            add(&self.held_by_others, amount);
        }
        add(&self.held, amount);
        self.note_peak();
    }

    fn give_back(&self, scope: Scope, amount: usize) {
        if scope != Scope::Account {
            sub(&self.held_by_others, amount);
        }
        sub(&self.held, amount);
    }

    fn note_peak(&self) {
        let held = self.held.load(Ordering::Relaxed);
        // mostly a look: writing would make all processors wait for each other
        if held > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(held, Ordering::Relaxed);
        }
    }

    fn refuse(&self, refusal: Refusal) -> Refusal {
        self.refused.fetch_add(1, Ordering::Relaxed);
        refusal
    }
}

impl Share {
    /// Returns how much is held in its name.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Returns the most that it may hold, however empty the budget is. Never less than one.
    #[must_use]
    pub fn most(&self) -> usize {
        (self.pool.capacity() / self.divisor).max(1)
    }

    /// Whether it holds so much that a charge of anything more would be refused: whoever is read from is not read from
    /// until it is less.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.held() >= self.most().min(self.pool.left(self.scope))
    }

    /// Holds something in its name.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: nothing is held then.
    pub fn charge(self: &Arc<Self>, amount: usize) -> Result<Charge, Refusal> {
        self.reserve(amount)?;
        if !self.pool.take(self.scope, amount) {
            sub(&self.held, amount);
            return Err(self.pool.refuse(Refusal::Whole));
        }
        Ok(Charge { share: Arc::clone(self), further: [const { None }; FURTHER_SHARES], amount })
    }

    /// Holds something that is there already and cannot be refused, such as bytes that have been read. Whoever does this
    /// looks at [`Share::is_spent`] before the next.
    #[must_use]
    pub fn charge_anyway(self: &Arc<Self>, amount: usize) -> Charge {
        add(&self.held, amount);
        self.pool.take_anyway(self.scope, amount);
        Charge { share: Arc::clone(self), further: [const { None }; FURTHER_SHARES], amount }
    }

    /// Counts an amount for this source, if it may hold that much.
    fn reserve(&self, amount: usize) -> Result<(), Refusal> {
        let left = self.pool.left(self.scope);
        let is_reserved = add_within(&self.held, amount, self.most().min(left));
        if is_reserved {
            return Ok(());
        }
        // with nothing held it is not this source's fault
        let refusal = if self.held() == 0 && amount <= self.most() { Refusal::Whole } else { Refusal::Share };
        Err(self.pool.refuse(refusal))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some(key) = &self.key else { return };
        let mut shares = self.pool.shares();
        // somebody may have asked for it anew meanwhile
        if shares.get(key).is_some_and(|share| share.strong_count() == 0) {
            shares.remove(key);
        }
    }
}

impl Charge {
    /// Holds the same in the name of another source as well: the domain that is dialled beside the account that asked. The
    /// budget counts it once. There is room for three names; a fourth is not counted.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: nothing is held any more then.
    pub fn also(mut self, share: &Arc<Share>) -> Result<Self, Refusal> {
        let Some(free) = self.further.iter_mut().find(|further| further.is_none()) else { return Ok(self) };
        // the whole has it already, so only the part of this source counts
        if !add_within(&share.held, self.amount, share.most()) {
            return Err(share.pool.refuse(Refusal::Share));
        }
        *free = Some(Arc::clone(share));
        Ok(self)
    }

    /// Returns how much is held.
    #[must_use]
    pub fn amount(&self) -> usize {
        self.amount
    }

    /// Holds another amount from now on, as [`Share::charge_anyway`] does.
    pub fn set_amount(&mut self, amount: usize) {
        let before = std::mem::replace(&mut self.amount, amount);
        let (scope, pool) = (self.share.scope, &self.share.pool);
        if amount >= before {
            self.shares().for_each(|share| add(&share.held, amount - before));
            pool.take_anyway(scope, amount - before);
        } else {
            self.shares().for_each(|share| sub(&share.held, before - amount));
            pool.give_back(scope, before - amount);
        }
    }

    /// Holds the same in the name of somebody else from now on: of the account, once a connection has signed in.
    #[must_use]
    pub fn hand_to(self, share: &Arc<Share>) -> Self {
        let moved = share.charge_anyway(self.amount);
        drop(self);
        moved
    }

    fn shares(&self) -> impl Iterator<Item = &Arc<Share>> {
        std::iter::once(&self.share).chain(self.further.iter().flatten())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.shares().for_each(|share| sub(&share.held, self.amount));
        self.share.pool.give_back(self.share.scope, self.amount);
    }
}

/// Adds, unless there would be more than `most`.
fn add_within(counter: &AtomicUsize, amount: usize, most: usize) -> bool {
    let added = |held: usize| held.checked_add(amount).filter(|sum| *sum <= most);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, added).is_ok()
}

fn add(counter: &AtomicUsize, amount: usize) {
    let added = |held: usize| Some(held.saturating_add(amount));
    let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, added);
}

fn sub(counter: &AtomicUsize, amount: usize) {
    let left = |held: usize| Some(held.saturating_sub(amount));
    let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
}
