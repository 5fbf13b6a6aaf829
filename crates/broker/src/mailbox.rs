//! [`Mailbox`]: how sessions hand each other stanzas.
//!
//! Each session is driven by one task. Others leave what is for it in its mailbox and wake that task; the lock is held
//! for the length of a push. A mailbox is bounded by what waits in it *and* what its session has sent without an
//! acknowledgement, so that one slow reader costs a bounded amount of memory: beyond it, the sender finds another place
//! (the offline store), and once overflowed a mailbox takes no more messages until half of it is free and its session
//! looks into that store, or the order would be lost. What it holds is charged to who sent it ([`crate::budget`]).

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xmpp::xml::Frame;

use crate::budget::{Held, Source};
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

impl Claim {
    /// Whether it went back to its sender meanwhile, who tries again.
    pub(crate) fn is_given_up(&self) -> bool {
        matches!(self, Self::Live(ticket) if ticket.is_given_up())
    }
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
    /// What of the budget of the whole is held for it.
    pub(crate) held: Held,
}

impl Delivery {
    /// A stanza for which nobody waits, and which has no other place to go; charged to who caused it.
    pub(crate) fn new(frame: Frame, by: &Source) -> Self {
        let held = Held::charge(by, &frame, 1);
        Self::remote(frame, Claim::None, held, false)
    }

    pub(crate) fn message(frame: Frame, claim: Claim, position: Position, held: Held) -> Self {
        Self { frame, claim, position, is_message: true, is_repeat: false, held }
    }

    /// A stanza for another server; says whether that was sent it before.
    pub(crate) fn remote(frame: Frame, claim: Claim, held: Held, is_repeat: bool) -> Self {
        Self { frame, claim, position: Position::default(), is_message: false, is_repeat, held }
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

impl Notice {
    /// It ends the session, so it does not wait for what is in front of it.
    fn is_urgent(&self) -> bool {
        matches!(self, Self::Conflict | Self::AccountGone | Self::Shutdown)
    }
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
            || delivery.held.is_refused()
        {
            self.overflowed |= delivery.is_message;
            return Err(Refused::Full(delivery));
        }
        self.bytes += size;
        self.queue.push_back(Mail::Stanza(delivery));
        Ok(())
    }

    fn take_urgent(&mut self) -> VecDeque<Mail> {
        self.take_those(|mail| matches!(mail, Mail::Notice(notice) if notice.is_urgent()))
    }

    fn take_those(&mut self, wanted: impl Fn(&Mail) -> bool) -> VecDeque<Mail> {
        if !self.queue.iter().any(&wanted) {
            return VecDeque::new();
        }
        let (taken, others): (VecDeque<_>, _) = std::mem::take(&mut self.queue).into_iter().partition(wanted);
        self.queue = others;
        for mail in &taken {
            if let Mail::Stanza(delivery) = mail {
                self.bytes = self.bytes.saturating_sub(delivery.frame.len());
                self.in_flight_bytes += delivery.frame.len();
                self.in_flight_count += 1;
            }
        }
        taken
    }

    fn take_some(&mut self, bytes_max: usize) -> VecDeque<Mail> {
        let (mut taken, mut bytes) = (VecDeque::new(), 0);
        while bytes < bytes_max
            && let Some(mail) = self.queue.pop_front()
        {
            if let Mail::Stanza(delivery) = &mail {
                bytes += delivery.frame.len();
                self.in_flight_count += 1;
            }
            taken.push_back(mail);
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        self.in_flight_bytes += bytes;
        taken
    }

    /// Opens again after an overflow, once half of the bounds is free. To wait until nothing is in flight would let
    /// whoever keeps a little in flight keep the mailbox shut.
    fn reopen(&mut self, bounds: Bounds) -> bool {
        let has_room = self.queue.len() + self.in_flight_count <= bounds.count / 2
            && self.bytes + self.in_flight_bytes <= bounds.bytes / 2;
        let reopens = self.overflowed && has_room;
        if reopens {
            self.overflowed = false;
        }
        reopens
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

    /// Leaves a stanza that the session itself has asked for, within bounds that are wider than those for others.
    pub(crate) fn post_own(&self, delivery: Delivery) -> Result<(), Refused> {
        let bounds = Bounds {
            count: self.bounds.count.saturating_mul(OWN_COUNT_FACTOR),
            bytes: self.bounds.bytes.saturating_mul(OWN_BYTES_FACTOR),
        };
        let mut inner = self.inner();
        inner.push(delivery, bounds)?;
        drop(inner);
        (self.wake)();
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

    /// Takes out what comes first, until it has `bytes_max` bytes or more. What is stanzas counts as in flight until
    /// [`Mailbox::landed`]. With no bytes at all only the notices come that end the session.
    pub(crate) fn take(&self, bytes_max: usize) -> VecDeque<Mail> {
        let mut inner = self.inner();
        if bytes_max == 0 {
            return inner.take_urgent();
        }
        if inner.bytes > bytes_max {
            return inner.take_some(bytes_max);
        }
        if inner.queue.is_empty() {
            return VecDeque::new();
        }
        inner.in_flight_count += inner.queue.iter().filter(|m| matches!(m, Mail::Stanza(_))).count();
        inner.in_flight_bytes += std::mem::take(&mut inner.bytes);
        std::mem::take(&mut inner.queue)
    }

    /// Takes out all messages, and among them the word that the offline queue may have something; all else stays.
    pub(crate) fn take_messages(&self) -> VecDeque<Mail> {
        self.inner().take_those(|mail| match mail {
            Mail::Stanza(delivery) => delivery.is_message,
            Mail::Notice(notice) => *notice == Notice::Offline,
        })
    }

    /// Whether something waits that has not been taken out.
    pub(crate) fn has_mail(&self) -> bool {
        !self.inner().queue.is_empty()
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

    /// So much of what was taken out has arrived. Returns whether there is room again after an overflow.
    pub(crate) fn landed(&self, count: usize, bytes: usize) -> bool {
        let mut inner = self.inner();
        inner.in_flight_count = inner.in_flight_count.saturating_sub(count);
        inner.in_flight_bytes = inner.in_flight_bytes.saturating_sub(bytes);
        inner.reopen(self.bounds)
    }

    /// Has the session look into the offline store, ahead of whatever is posted from here on; no while it is overflowed: it
    /// looks when it has caught up. Opens again where there is room: it may have overflowed with nothing in flight.
    pub(crate) fn look_again(&self) -> bool {
        let mut inner = self.inner();
        inner.reopen(self.bounds);
        if inner.overflowed || inner.closed {
            return false;
        }
        inner.queue.push_back(Mail::Notice(Notice::Offline));
        drop(inner);
        (self.wake)();
        true
    }

    /// Opens again, if there is room, after a message was refused of which nothing came into the store; has the session
    /// look there, where others may lie that were refused meanwhile. Nothing may be in flight whose arrival would do it.
    pub(crate) fn open_again(&self) {
        let mut inner = self.inner();
        if inner.closed || !inner.reopen(self.bounds) {
            return;
        }
        inner.queue.push_back(Mail::Notice(Notice::Offline));
        drop(inner);
        (self.wake)();
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
        Delivery::message(frame, Claim::None, Position::default(), Held::Nothing)
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
        assert_eq!(mailbox.take(usize::MAX).len(), 3);
    }

    fn posts(mailbox: &Mailbox, count: usize) -> usize {
        (0..count).filter(|_| mailbox.post(message()).is_ok()).count()
    }

    /// With "until nothing is in flight" whoever kept one stanza in flight kept the mailbox shut for everybody.
    #[test]
    fn b06_an_overflowed_mailbox_opens_again_when_half_of_it_is_free() {
        let mailbox = Mailbox::new(Arc::new(|| ()), Bounds { count: 4, bytes: 1 << 20 });
        assert_eq!(posts(&mailbox, 6), 4);
        assert_eq!(mailbox.take(usize::MAX).len(), 4);
        assert_eq!(posts(&mailbox, 1), 0, "in flight counts");
        assert!(!mailbox.landed(1, 10));
        assert_eq!(posts(&mailbox, 1), 0, "order would be lost");
        assert!(!mailbox.look_again(), "it looks when it has caught up");
        assert!(mailbox.landed(1, 10), "half of it is free");
        assert_eq!(posts(&mailbox, 3), 2);
        assert_eq!(mailbox.take(usize::MAX).len(), 2);
    }

    #[test]
    fn what_overflowed_with_nothing_in_flight_opens_when_the_store_has_something() {
        let budget = crate::budget::Budget::new(0, 1);
        let nobody = budget.own_share(crate::budget::Scope::Account);
        let mailbox = Mailbox::detached();
        let refused = Delivery { held: Held::charge(&nobody, &message().frame, 1), ..message() };
        assert!(matches!(mailbox.post(refused), Err(Refused::Full(_))), "the budget has no room");
        assert_eq!(posts(&mailbox, 1), 0, "order would be lost");
        assert!(mailbox.look_again());
        assert_eq!(posts(&mailbox, 1), 1);
        let mail = mailbox.take(usize::MAX);
        assert!(matches!(mail.front(), Some(Mail::Notice(Notice::Offline))), "the store comes first");
    }

    #[test]
    fn b08_what_is_taken_out_is_bounded_and_only_an_end_passes_what_waits() {
        let mailbox = Mailbox::new(Arc::new(|| ()), Bounds { count: 100, bytes: 1 << 20 });
        let size = message().frame.len();
        assert_eq!(posts(&mailbox, 5), 5);
        mailbox.notify(Notice::Offline);
        mailbox.notify(Notice::Shutdown);
        assert_eq!(mailbox.take(size + 1).len(), 2);
        let urgent = mailbox.take(0);
        assert!(matches!(urgent.iter().collect::<Vec<_>>()[..], [Mail::Notice(Notice::Shutdown)]));
        assert!(mailbox.has_mail());
        assert_eq!(mailbox.take(1).len(), 1, "at least one");
        assert_eq!(mailbox.take(usize::MAX).len(), 3, "two stanzas and a notice, in order");
        assert!(mailbox.take(usize::MAX).is_empty());
    }

    #[test]
    fn a_closed_mailbox_gives_back() {
        let mailbox = Mailbox::detached();
        assert!(mailbox.post(message()).is_ok());
        assert_eq!(mailbox.close().len(), 1);
        assert!(matches!(mailbox.post(message()), Err(Refused::Closed(_))));
    }
}
