//! [`Ticket`]: what a sender's `h` waits for.
//!
//! With XEP-0198 the broker promises a sender that what it acknowledged is safe, even if the broker is killed the next
//! moment. A message counts as settled once every receiving session has it for good (acknowledged it, or had it written
//! to its socket where it does not speak XEP-0198), or once it lies in the offline store, or once a rule has bounced or
//! dropped it. A message to another server is settled when that server has acknowledged it, or when it is written where
//! that server does not speak XEP-0198. A ticket follows one message through that. It exists only while a sender waits for
//! it: messages from clients and servers without XEP-0198 have none. [`Unsettled`] is what a session keeps of them.

mod unsettled;

use std::sync::{Arc, Mutex, PoisonError};

use xmpp::xml::Frame;

use crate::budget::Held;
use crate::mailbox::{Mailbox, Position};

pub(crate) use unsettled::{Sender, Unsettled};

/// One live message whose sender will ask whether it is safe.
pub(crate) struct Ticket {
    state: Mutex<State>,
    /// What to write to disk if the receivers take their time.
    pub(crate) frame: Frame,
    /// The account whose offline store can take it; nothing where no store can.
    pub(crate) account: Option<Box<str>>,
    /// Where it stands among what that account gets.
    pub(crate) position: Position,
    /// The sender's mailbox, to wake him when he waits.
    sender: Arc<Mailbox>,
    /// What of the budget of the whole is held for it, by whoever holds the ticket.
    _held: Held,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many sessions still hold it without having it for good.
    Live { holders: u16 },
    /// Somebody is writing it to the offline store.
    Storing { holders: u16 },
    /// It lies in the offline store.
    Stored { seq: u64, holders: u16 },
    /// It lies in the offline store for good: a receiver was lost.
    Kept,
    /// Everybody has it.
    Settled,
    /// It went back to its sender, who tries again: nobody else finds it another place.
    GivenUp,
}

impl Ticket {
    /// For a message that `holders` sessions are about to get.
    pub(crate) fn new(
        frame: Frame,
        account: Option<&str>,
        position: Position,
        holders: usize,
        sender: Arc<Mailbox>,
        held: Held,
    ) -> Arc<Self> {
        let holders = u16::try_from(holders).unwrap_or(u16::MAX);
        let account = account.map(Into::into);
        Arc::new(Self { state: Mutex::new(State::Live { holders }), frame, account, position, sender, _held: held })
    }

    /// For a message to another server: it is settled when that server has acknowledged it, or when it is written to one
    /// that does not.
    pub(crate) fn remote(frame: Frame, sender: Arc<Mailbox>, held: Held) -> Arc<Self> {
        Self::new(frame, None, Position::default(), 1, sender, held)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A holder has it for good. Returns the row that is no longer needed, when there is one.
    pub(crate) fn arrived(&self) -> Option<u64> {
        let mut state = self.state();
        let (next, row) = match *state {
            State::Live { holders: 0 | 1 } => (State::Settled, None),
            State::Live { holders } => (State::Live { holders: holders - 1 }, None),
            State::Storing { holders } => (State::Storing { holders: holders.saturating_sub(1) }, None),
            State::Stored { seq, holders: 0 | 1 } => (State::Settled, Some(seq)),
            State::Stored { seq, holders } => (State::Stored { seq, holders: holders - 1 }, None),
            kept @ (State::Kept | State::Settled | State::GivenUp) => (kept, None),
        };
        *state = next;
        drop(state);
        if next == State::Settled {
            self.sender.wake_if_settling();
        }
        row
    }

    /// A holder is gone and never had it. Returns whether the caller must find it another place; otherwise it lies in
    /// the offline store, or will in a moment.
    pub(crate) fn lost(&self) -> bool {
        let mut state = self.state();
        match *state {
            State::Stored { .. } => {
                *state = State::Kept;
                false
            }
            // the writer finds `holders` above zero when it is done, so the row stays
            State::Storing { .. } | State::Kept | State::GivenUp => false,
            State::Live { .. } | State::Settled => true,
        }
    }

    /// The caller of [`Ticket::lost`] is about to give it to `holders` others.
    pub(crate) fn moved(&self, holders: usize) {
        let mut state = self.state();
        if let State::Live { holders: before } = *state {
            let more = u16::try_from(holders).unwrap_or(u16::MAX);
            *state = State::Live { holders: before.saturating_sub(1).saturating_add(more) };
        }
    }

    /// The caller of [`Ticket::lost`] has found it another place for good.
    pub(crate) fn placed(&self) {
        *self.state() = State::Settled;
        self.sender.wake_if_settling();
    }

    /// Begins writing it to disk; no when that is not needed or under way.
    pub(crate) fn begin_store(&self) -> bool {
        let mut state = self.state();
        match *state {
            State::Live { holders } if self.account.is_some() => {
                *state = State::Storing { holders };
                true
            }
            _ => false,
        }
    }

    /// It was written as row `seq`. Returns the row if everybody got it meanwhile.
    pub(crate) fn stored(&self, seq: u64) -> Option<u64> {
        let mut state = self.state();
        match *state {
            State::Storing { holders: 0 } => {
                *state = State::Settled;
                Some(seq)
            }
            State::Storing { holders } => {
                *state = State::Stored { seq, holders };
                None
            }
            _ => None,
        }
    }

    /// Writing failed; it is as live as before.
    pub(crate) fn store_failed(&self) {
        let mut state = self.state();
        if let State::Storing { holders } = *state {
            *state = State::Live { holders };
        }
    }

    /// Returns the row in which it lies while sessions hold it too.
    pub(crate) fn row(&self) -> Option<u64> {
        match *self.state() {
            State::Stored { seq, .. } => Some(seq),
            _ => None,
        }
    }

    /// Its sender has waited long enough. Returns whether it goes back; no when it is safe, or will be in a moment.
    pub(crate) fn give_up(&self) -> bool {
        let mut state = self.state();
        let is_live = matches!(*state, State::Live { .. });
        if is_live {
            *state = State::GivenUp;
        }
        is_live
    }

    /// Whether it went back to its sender.
    pub(crate) fn is_given_up(&self) -> bool {
        *self.state() == State::GivenUp
    }

    /// Whether the sender may be told that it is safe.
    pub(crate) fn is_safe(&self) -> bool {
        matches!(*self.state(), State::Stored { .. } | State::Kept | State::Settled | State::GivenUp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmpp::xml::Element;

    fn ticket(holders: usize) -> Arc<Ticket> {
        let frame = Frame::from_element(&Element::new("message", xmpp::ns::CLIENT), xmpp::ns::CLIENT);
        Ticket::new(
            frame,
            Some("bob@example.org"),
            Position::default(),
            holders,
            Arc::new(Mailbox::detached()),
            Held::Nothing,
        )
    }

    #[test]
    fn is_safe_when_the_last_holder_has_it() {
        let ticket = ticket(2);
        assert_eq!(ticket.arrived(), None);
        assert!(!ticket.is_safe());
        assert_eq!(ticket.arrived(), None);
        assert!(ticket.is_safe());
    }

    #[test]
    fn a_row_written_for_the_senders_sake_goes_when_all_have_it() {
        let ticket = ticket(1);
        assert!(ticket.begin_store());
        assert!(!ticket.begin_store(), "written once only");
        assert_eq!(ticket.stored(7), None);
        assert!(ticket.is_safe());
        assert_eq!(ticket.arrived(), Some(7));
    }

    #[test]
    fn a_row_goes_at_once_when_the_receiver_was_faster_than_the_disk() {
        let ticket = ticket(1);
        assert!(ticket.begin_store());
        assert_eq!(ticket.arrived(), None);
        assert!(!ticket.is_safe(), "nothing is written yet, and nobody was told");
        assert_eq!(ticket.stored(7), Some(7));
        assert!(ticket.is_safe());
    }

    #[test]
    fn a_row_stays_when_a_receiver_is_lost() {
        let ticket = ticket(2);
        assert!(ticket.begin_store());
        assert_eq!(ticket.stored(7), None);
        assert!(!ticket.lost(), "it lies on disk already");
        assert_eq!(ticket.arrived(), None, "the row waits for the device that was lost");
        assert!(ticket.is_safe());
    }

    #[test]
    fn a_moved_message_waits_for_its_new_holders() {
        let ticket = ticket(1);
        assert!(ticket.lost());
        ticket.moved(2);
        assert_eq!(ticket.arrived(), None);
        assert!(!ticket.is_safe());
        assert_eq!(ticket.arrived(), None);
        assert!(ticket.is_safe());
    }

    #[test]
    fn a_lost_message_without_a_row_must_be_placed() {
        let ticket = ticket(1);
        assert!(ticket.lost());
        assert!(!ticket.is_safe());
        ticket.placed();
        assert!(ticket.is_safe());
    }
}
