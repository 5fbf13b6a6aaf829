//! [`Registry`]: which accounts have sessions, and which.
//!
//! Everything here is in memory and ends with the process. Accounts are found by the text of their bare address, without
//! parsing or allocating, in one of several maps, so that two messages rarely wait for one lock; no lock is held while
//! anything else happens.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicI16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use xmpp::jid::Jid;
use xmpp::time::Moment;
use xmpp::xml::Frame;

use crate::budget::Source;
use crate::mailbox::{Mailbox, Notice, Position};

/// Where others see a session: its address, its mailbox, its presence.
pub struct SessionHandle {
    /// Unique in this process.
    pub(crate) id: u64,
    /// The full address that the session has bound.
    pub jid: Jid,
    pub(crate) mailbox: Arc<Mailbox>,
    /// Who causes what the session causes: its account.
    pub(crate) by: Source,
    /// The priority while available, [`AWAY`] otherwise.
    priority: AtomicI16,
    available_since: AtomicU64,
    /// Has asked for the roster, so it wants roster pushes (RFC 6121 §2.2: an interested resource).
    interested: AtomicBool,
    presence: Mutex<Option<Frame>>,
    /// The newest row of the account's offline store that is known of.
    newest_row: AtomicU64,
    /// Could not read the offline store, because another session was at it.
    waits_for_store: AtomicBool,
}

/// No priority: the resource is connected but not available.
const AWAY: i16 = i16::MIN;

impl std::fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionHandle").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SessionHandle {
    pub(crate) fn new(id: u64, jid: Jid, mailbox: Arc<Mailbox>, by: Source) -> Self {
        Self {
            id,
            jid,
            mailbox,
            by,
            priority: AtomicI16::new(AWAY),
            available_since: AtomicU64::new(u64::MAX),
            interested: AtomicBool::new(false),
            presence: Mutex::new(None),
            newest_row: AtomicU64::new(0),
            waits_for_store: AtomicBool::new(false),
        }
    }

    /// Returns the priority of an available resource; nothing while it is only connected.
    #[must_use]
    pub fn priority(&self) -> Option<i8> {
        i8::try_from(self.priority.load(Ordering::Acquire)).ok()
    }

    /// Tells whether the resource is available (has sent initial presence).
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.priority().is_some()
    }

    /// Tells whether messages to the bare address go here (RFC 6121 §8.5.2.1.1).
    #[must_use]
    pub fn takes_messages(&self) -> bool {
        self.priority().is_some_and(|p| p >= 0)
    }

    /// Tells whether the resource has asked for the roster.
    #[must_use]
    pub fn is_interested(&self) -> bool {
        self.interested.load(Ordering::Acquire)
    }

    pub(crate) fn set_interested(&self) {
        self.interested.store(true, Ordering::Release);
    }

    /// Returns the newest row of the account's offline store that is known of.
    pub(crate) fn newest_row(&self) -> u64 {
        self.newest_row.load(Ordering::Acquire)
    }

    /// Notes a row of the account's offline store.
    pub(crate) fn note_row(&self, seq: u64) {
        self.newest_row.fetch_max(seq, Ordering::AcqRel);
    }

    /// When the resource began to take messages.
    pub(crate) fn takes_messages_since(&self) -> Moment {
        Moment::from_millis(self.available_since.load(Ordering::Acquire))
    }

    /// Returns the last presence that the resource broadcast, stamped with its address.
    #[must_use]
    pub fn presence(&self) -> Option<Frame> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_available(&self, priority: i8, presence: Frame, now: Moment) {
        *self.presence.lock().unwrap_or_else(PoisonError::into_inner) = Some(presence);
        let before = self.takes_messages();
        self.priority.store(i16::from(priority), Ordering::Release);
        if !before && priority >= 0 {
            self.available_since.store(now.as_millis(), Ordering::Release);
        }
    }

    pub(crate) fn set_unavailable(&self) {
        self.priority.store(AWAY, Ordering::Release);
        self.available_since.store(u64::MAX, Ordering::Release);
        *self.presence.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What is in memory about an account that has sessions.
#[derive(Default)]
struct Live {
    sessions: Vec<Arc<SessionHandle>>,
    /// The session that is being sent the offline messages.
    offline_reader: Option<u64>,
}

/// Accounts by bare address.
type Accounts = HashMap<Box<str>, Live>;

/// Too many sessions of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManySessions;

/// The accounts that have sessions.
pub(crate) struct Registry {
    shards: Box<[RwLock<Accounts>]>,
    hasher: RandomState,
    next_id: AtomicU64,
    routed: AtomicU64,
}

const SHARDS: usize = 16;

impl Registry {
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { shards, hasher: RandomState::new(), next_id: AtomicU64::new(1), routed: AtomicU64::new(0) }
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells where a message stands that is routed to these sessions of one account now.
    pub(crate) fn position(&self, sessions: &[Arc<SessionHandle>]) -> Position {
        let after = sessions.iter().map(|session| session.newest_row()).max().unwrap_or_default();
        Position { after, order: self.routed.fetch_add(1, Ordering::AcqRel) }
    }

    /// A row was added to the offline store of an account.
    pub(crate) fn note_row(&self, account: &str, seq: u64) {
        self.read(account, |live| live.sessions.iter().for_each(|session| session.note_row(seq)));
    }

    fn read<R>(&self, account: &str, read: impl FnOnce(&Live) -> R) -> Option<R> {
        let shard = self.shards.get(self.shard_of(account))?;
        shard.read().unwrap_or_else(PoisonError::into_inner).get(account).map(read)
    }

    fn write<R>(&self, account: &str, write: impl FnOnce(&mut Accounts) -> R) -> Option<R> {
        let shard = self.shards.get(self.shard_of(account))?;
        Some(write(&mut shard.write().unwrap_or_else(PoisonError::into_inner)))
    }

    fn shard_of(&self, account: &str) -> usize {
        usize::try_from(self.hasher.hash_one(account)).unwrap_or_default() % SHARDS
    }

    /// Adds a session. A session that had the same resource comes back, already removed.
    pub(crate) fn bind(
        &self,
        handle: Arc<SessionHandle>,
        sessions_max: usize,
    ) -> Result<Option<Arc<SessionHandle>>, TooManySessions> {
        let account = handle.jid.bare_str().to_owned();
        let bound = self.write(&account, |map| {
            let live = map.entry(account.as_str().into()).or_default();
            let at = live.sessions.iter().position(|s| s.jid == handle.jid);
            if at.is_none() && live.sessions.len() >= sessions_max {
                return Err(TooManySessions);
            }
            let replaced = at.map(|at| live.sessions.remove(at));
            live.sessions.push(handle);
            live.sessions.shrink_to_fit();
            Ok(replaced)
        });
        bound.unwrap_or(Err(TooManySessions))
    }

    /// Removes a session; nothing happens when it has been replaced before.
    pub(crate) fn unbind(&self, handle: &SessionHandle) {
        let account = handle.jid.bare_str();
        self.write(account, |map| {
            let Some(live) = map.get_mut(account) else { return };
            live.sessions.retain(|s| s.id != handle.id);
            if live.offline_reader == Some(handle.id) {
                live.offline_reader = None;
            }
            if live.sessions.is_empty() {
                map.remove(account);
            }
        });
    }

    /// Finds the session of a full address.
    pub(crate) fn session(&self, full: &Jid) -> Option<Arc<SessionHandle>> {
        self.read(full.bare_str(), |live| live.sessions.iter().find(|s| s.jid == *full).cloned()).flatten()
    }

    /// Lists the sessions of an account for which `pick` says yes.
    pub(crate) fn sessions(&self, account: &str, pick: impl Fn(&SessionHandle) -> bool) -> Vec<Arc<SessionHandle>> {
        self.read(account, |live| live.sessions.iter().filter(|s| pick(s)).cloned().collect()).unwrap_or_default()
    }

    /// Makes a session the one that reads the offline queue; no when another one is at it, and then it is told when that
    /// one has finished.
    pub(crate) fn claim_offline(&self, handle: &SessionHandle) -> bool {
        handle.waits_for_store.store(true, Ordering::Release);
        let claimed = self.try_claim(handle);
        if claimed {
            handle.waits_for_store.store(false, Ordering::Release);
        }
        claimed
    }

    fn try_claim(&self, handle: &SessionHandle) -> bool {
        let account = handle.jid.bare_str();
        let claimed = self.write(account, |map| {
            let live = map.get_mut(account)?;
            match live.offline_reader {
                Some(reader) if reader != handle.id => Some(false),
                _ => {
                    live.offline_reader = Some(handle.id);
                    Some(true)
                }
            }
        });
        claimed.flatten().unwrap_or(false)
    }

    /// The session has read the offline queue to its end, or goes.
    pub(crate) fn release_offline(&self, handle: &SessionHandle) {
        let account = handle.jid.bare_str();
        self.write(account, |map| {
            if let Some(live) = map.get_mut(account).filter(|live| live.offline_reader == Some(handle.id)) {
                live.offline_reader = None;
            }
        });
        self.tell_waiting(account);
    }

    /// Tells the sessions that wait for the offline queue that nobody reads it any more.
    pub(crate) fn tell_waiting(&self, account: &str) {
        for session in self.sessions(account, |s| s.waits_for_store.swap(false, Ordering::AcqRel)) {
            session.mailbox.notify(Notice::Offline);
        }
    }

    /// Counts all sessions.
    pub(crate) fn len(&self) -> usize {
        let count = |shard: &RwLock<Accounts>| {
            let map = shard.read().unwrap_or_else(PoisonError::into_inner);
            map.values().map(|live| live.sessions.len()).sum::<usize>()
        };
        self.shards.iter().map(count).sum()
    }

    /// Lists every session there is; for shutting down.
    pub(crate) fn all(&self) -> Vec<Arc<SessionHandle>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let map = shard.read().unwrap_or_else(PoisonError::into_inner);
            all.extend(map.values().flat_map(|live| live.sessions.iter().cloned()));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(registry: &Registry, jid: &str) -> Arc<SessionHandle> {
        let jid = Jid::parse(jid).unwrap();
        let by = crate::budget::Budget::new(1 << 20, 2).own_share(crate::budget::Scope::Account);
        Arc::new(SessionHandle::new(registry.next_id(), jid, Arc::new(Mailbox::detached()), by))
    }

    #[test]
    fn the_same_resource_replaces_and_the_old_one_cannot_unbind_the_new() {
        let registry = Registry::new();
        let old = handle(&registry, "alice@example.org/a");
        let new = handle(&registry, "alice@example.org/a");
        assert!(registry.bind(Arc::clone(&old), 2).unwrap().is_none());
        assert_eq!(registry.bind(Arc::clone(&new), 2).unwrap().map(|s| s.id), Some(old.id));
        registry.unbind(&old);
        assert_eq!(registry.session(&new.jid).map(|s| s.id), Some(new.id));
        registry.unbind(&new);
        assert_eq!(registry.len(), 0);
    }

    #[test]
    fn the_number_of_sessions_is_bounded() {
        let registry = Registry::new();
        assert!(registry.bind(handle(&registry, "alice@example.org/a"), 1).is_ok());
        assert_eq!(registry.bind(handle(&registry, "alice@example.org/b"), 1).err(), Some(TooManySessions));
        assert!(registry.bind(handle(&registry, "alice@example.org/a"), 1).is_ok(), "replacing adds none");
    }

    #[test]
    fn one_session_reads_the_offline_queue() {
        let registry = Registry::new();
        let (a, b) = (handle(&registry, "alice@example.org/a"), handle(&registry, "alice@example.org/b"));
        for session in [&a, &b] {
            assert!(registry.bind(Arc::clone(session), 9).is_ok());
        }
        assert!(registry.claim_offline(&a));
        assert!(!registry.claim_offline(&b));
        registry.unbind(&a);
        assert!(registry.claim_offline(&b));
    }
}
