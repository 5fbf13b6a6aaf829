//! [`Mailbox`]: how sessions hand each other stanzas.
//!
//! Each session is driven by one task. Others leave what is for it in its mailbox and wake that task; the lock is held
//! for the length of a push. A mailbox is bounded by what waits in it *and* what its session has sent without an
//! acknowledgement, so that one slow reader costs a bounded amount of memory: beyond it, the sender finds another place
//! (the offline store), and once overflowed a mailbox takes no more messages until its session has caught up, or the
//! order would be lost.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xmpp::xml::Frame;

use crate::environment::Wake;
use crate::settle::Ticket;

/// How many times the bounds a session's own answers may reach: the presence of a full contact list fits.
const OWN_COUNT_FACTOR: usize = 16;
/// As [`OWN_COUNT_FACTOR`], for bytes.
const OWN_BYTES_FACTOR: usize = 4;

/// Who answers for a stanza until its receiver has it for good.
#[derive(Clone, Default)]
pub(crate) enum Claim {
    /// Nobody waits for it.
    #[default]
    None,
    /// A sender waits for it.
    Live(Arc<Ticket>),
    /// It lies in the offline store of the session's account, as this row.
    Row(u64),
}

/// Where a message stands among all that its receiver gets, wherever it goes on its way (RFC 6120 §10.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The newest row in the receiver's offline store when the message was routed: it comes after this one, and before
    /// all that are written later.
    pub(crate) after: u64,
    /// Counts routed messages, so that those between the same rows keep their order too.
    pub(crate) order: u64,
}

/// A stanza on its way to a session.
pub(crate) struct Delivery {
    pub(crate) frame: Frame,
    pub(crate) claim: Claim,
    pub(crate) position: Position,
    /// Messages keep their order across an overflow. Noted here, because asking a spliced frame reads its bytes again.
    pub(crate) is_message: bool,
    /// It was sent to another server once, on a connection that died before the server had it for good.
    pub(crate) is_repeat: bool,
}

impl Delivery {
    /// A stanza for which nobody waits, and which has no other place to go.
    pub(crate) fn new(frame: Frame) -> Self {
        Self::remote(frame, Claim::None, false)
    }

    pub(crate) fn message(frame: Frame, claim: Claim, position: Position) -> Self {
        Self { frame, claim, position, is_message: true, is_repeat: false }
    }

    /// A stanza for another server; says whether that was sent it before.
    pub(crate) fn remote(frame: Frame, claim: Claim, is_repeat: bool) -> Self {
        Self { frame, claim, position: Position::default(), is_message: false, is_repeat }
    }
}

/// What a session finds in its mailbox.
pub(crate) enum Mail {
    /// A stanza for its peer.
    Stanza(Delivery),
    /// A notice for the session itself.
    Notice(Notice),
}

/// What others ask of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Another session has bound the same resource (RFC 6120 §7.7.2.2).
    Conflict,
    /// The account is gone, or was told to sign in again.
    AccountGone,
    /// The broker stops.
    Shutdown,
    /// The offline queue may have something for this session.
    Offline,
    /// The session of this number, whose resource this one has taken over, has ended and left behind what it had.
    Ended(u64),
}

/// Why a mailbox did not take a delivery, which comes back.
pub(crate) enum Refused {
    /// The session has ended.
    Closed(Delivery),
    /// Too much waits already.
    Full(Delivery),
}

/// The bounds of a mailbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

/// The queue in front of one session.
pub(crate) struct Mailbox {
    inner: Mutex<Inner>,
    /// The session's client asked for an `h` that must wait for receivers.
    settling: AtomicBool,
    wake: Wake,
    bounds: Bounds,
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<Mail>,
    bytes: usize,
    /// Taken out and sent, not acknowledged.
    in_flight_count: usize,
    in_flight_bytes: usize,
    overflowed: bool,
    closed: bool,
}

impl Inner {
    fn push(&mut self, delivery: Delivery, bounds: Bounds) -> Result<(), Refused> {
        if self.closed {
            return Err(Refused::Closed(delivery));
        }
        let size = delivery.frame.len();
        if (self.overflowed && delivery.is_message)
            || self.queue.len() + self.in_flight_count >= bounds.count
            || self.bytes + self.in_flight_bytes + size > bounds.bytes
        {
            self.overflowed = true;
            return Err(Refused::Full(delivery));
        }
        self.bytes += size;
        self.queue.push_back(Mail::Stanza(delivery));
        Ok(())
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox")
    }
}

impl Mailbox {
    pub(crate) fn new(wake: Wake, bounds: Bounds) -> Self {
        Self { inner: Mutex::default(), settling: AtomicBool::new(false), wake, bounds }
    }

    /// A mailbox that wakes nobody, for tests.
    #[cfg(test)]
    pub(crate) fn detached() -> Self {
        Self::new(Arc::new(|| ()), Bounds { count: 10, bytes: 1 << 20 })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a stanza.
    pub(crate) fn post(&self, delivery: Delivery) -> Result<(), Refused> {
        let mut inner = self.inner();
        let first = inner.queue.is_empty();
        inner.push(delivery, self.bounds)?;
        drop(inner);
        if first {
            (self.wake)();
        }
        Ok(())
    }

    /// Leaves messages that another session left behind, at once, with word that the offline queue may have some too
    /// where `look` says so. Returns what was not taken.
    pub(crate) fn post_all(&self, look: bool, deliveries: Vec<Delivery>) -> Vec<Delivery> {
        let mut inner = self.inner();
        if inner.closed {
            return deliveries;
        }
        if look {
            inner.queue.push_back(Mail::Notice(Notice::Offline));
        }
        let mut refused = Vec::new();
        for delivery in deliveries {
            match inner.push(delivery, self.bounds) {
                Ok(()) => {}
                Err(Refused::Closed(delivery) | Refused::Full(delivery)) => refused.push(delivery),
            }
        }
        drop(inner);
        (self.wake)();
        refused
    }

    /// Leaves a notice; it is never refused, and lost if the session has ended.
    pub(crate) fn notify(&self, notice: Notice) {
        let mut inner = self.inner();
        if inner.closed {
            return;
        }
        inner.queue.push_back(Mail::Notice(notice));
        drop(inner);
        (self.wake)();
    }

    /// Takes everything out. What is stanzas counts as in flight until [`Mailbox::landed`].
    pub(crate) fn take(&self) -> VecDeque<Mail> {
        let mut inner = self.inner();
        if inner.queue.is_empty() {
            return VecDeque::new();
        }
        inner.in_flight_count += inner.queue.iter().filter(|m| matches!(m, Mail::Stanza(_))).count();
        inner.in_flight_bytes += std::mem::take(&mut inner.bytes);
        std::mem::take(&mut inner.queue)
    }

    /// The session itself has sent so much more.
    pub(crate) fn launched(&self, count: usize, bytes: usize) {
        let mut inner = self.inner();
        inner.in_flight_count += count;
        inner.in_flight_bytes += bytes;
    }

    /// Whether far more is in flight than others may post: the session's own answers, which nothing refuses.
    pub(crate) fn is_overdrawn(&self) -> bool {
        let inner = self.inner();
        inner.in_flight_count > self.bounds.count.saturating_mul(OWN_COUNT_FACTOR)
            || inner.in_flight_bytes > self.bounds.bytes.saturating_mul(OWN_BYTES_FACTOR)
    }

    /// So much of what was taken out has arrived. Returns whether the session has caught up after an overflow.
    pub(crate) fn landed(&self, count: usize, bytes: usize) -> bool {
        let mut inner = self.inner();
        inner.in_flight_count = inner.in_flight_count.saturating_sub(count);
        inner.in_flight_bytes = inner.in_flight_bytes.saturating_sub(bytes);
        let caught_up = inner.overflowed && inner.in_flight_count == 0 && inner.queue.is_empty();
        if caught_up {
            inner.overflowed = false;
        }
        caught_up
    }

    /// Whether messages go to the offline store until the session has caught up.
    pub(crate) fn is_overflowed(&self) -> bool {
        self.inner().overflowed
    }

    /// Ends the mailbox and returns what nobody has taken.
    pub(crate) fn close(&self) -> VecDeque<Mail> {
        let mut inner = self.inner();
        inner.closed = true;
        std::mem::take(&mut inner.queue)
    }

    /// Says whether the session's client waits for an `h`.
    pub(crate) fn set_settling(&self, settling: bool) {
        self.settling.store(settling, Ordering::Release);
    }

    /// Wakes the session if its client waits for an `h`.
    pub(crate) fn wake_if_settling(&self) {
        if self.settling.load(Ordering::Acquire) {
            (self.wake)();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use xmpp::xml::Element;

    fn message() -> Delivery {
        let frame = Frame::from_element(&Element::new("message", xmpp::ns::CLIENT), xmpp::ns::CLIENT);
        Delivery::message(frame, Claim::None, Position::default())
    }

    #[test]
    fn wakes_once_for_many() {
        let wakes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&wakes);
        let wake: Wake = Arc::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let mailbox = Mailbox::new(wake, Bounds { count: 10, bytes: 1 << 20 });
        for _ in 0..3 {
            assert!(mailbox.post(message()).is_ok());
        }
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
        assert_eq!(mailbox.take().len(), 3);
    }

    #[test]
    fn an_overflowed_mailbox_stays_shut_until_all_has_landed() {
        let mailbox = Mailbox::new(Arc::new(|| ()), Bounds { count: 2, bytes: 1 << 20 });
        assert!(mailbox.post(message()).is_ok());
        assert!(mailbox.post(message()).is_ok());
        assert!(matches!(mailbox.post(message()), Err(Refused::Full(_))));
        assert_eq!(mailbox.take().len(), 2);
        assert!(matches!(mailbox.post(message()), Err(Refused::Full(_))), "in flight counts");
        assert!(!mailbox.landed(1, 10));
        assert!(matches!(mailbox.post(message()), Err(Refused::Full(_))), "order would be lost");
        assert!(mailbox.landed(1, 1 << 20), "caught up");
        assert!(mailbox.post(message()).is_ok());
    }

    #[test]
    fn a_closed_mailbox_gives_back() {
        let mailbox = Mailbox::detached();
        assert!(mailbox.post(message()).is_ok());
        assert_eq!(mailbox.close().len(), 1);
        assert!(matches!(mailbox.post(message()), Err(Refused::Closed(_))));
    }
}
