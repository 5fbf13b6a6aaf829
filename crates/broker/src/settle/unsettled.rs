//! [`Unsettled`]: the stanzas of one stream that its `h` does not cover yet.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use xmpp::time::Moment;

use super::Ticket;
use crate::Core;
use crate::mailbox::Mailbox;
use crate::offline::{self, Kept, ToKeep};

/// Who sends on the stream, which says what happens to messages that nobody acknowledges and no store can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// One of our people: the `h` waits for the receiver, who acknowledges or counts as gone some time.
    Client,
    /// A server, with many people behind it who must not all wait for one receiver of ours. What no store can take (an
    /// error, a headline, a group's message, anything for a full queue) is as good as written when the grace is over.
    Server,
}

/// The stanzas of one stream that its `h` does not cover yet, oldest first.
pub(crate) struct Unsettled {
    sender: Sender,
    waiting: VecDeque<Option<Arc<Ticket>>>,
    /// When live messages are written to disk for this sender's sake.
    store_at: Option<Moment>,
}

impl Unsettled {
    pub(crate) fn new(sender: Sender) -> Self {
        Self { sender, waiting: VecDeque::new(), store_at: None }
    }

    /// Takes up the next stanza of the stream; what its ticket lacks by `store_at` is written to disk. Returns how many
    /// more stanzas are settled.
    #[must_use]
    pub(crate) fn push(&mut self, ticket: Option<Arc<Ticket>>, mailbox: &Mailbox, store_at: Moment) -> u32 {
        match ticket.filter(|ticket| !ticket.is_safe()) {
            None if self.waiting.is_empty() => return 1,
            None => self.waiting.push_back(None),
            open => {
                self.store_at = Some(self.store_at.map_or(store_at, |at| at.min(store_at)));
                mailbox.set_settling(true);
                self.waiting.push_back(open);
            }
        }
        0
    }

    /// Takes out what is settled, and returns how many stanzas that is.
    #[must_use]
    pub(crate) fn take_settled(&mut self, mailbox: &Mailbox) -> u32 {
        let mut settled = 0;
        while self.waiting.front().is_some_and(|t| t.as_ref().is_none_or(|t| t.is_safe())) {
            self.waiting.pop_front();
            settled += 1;
        }
        if settled > 0 && self.waiting.is_empty() {
            self.waiting = VecDeque::new(); // an idle session keeps no memory
            self.store_at = None;
            mailbox.set_settling(false);
        }
        settled
    }

    /// Returns when [`Unsettled::store`] is to be called.
    pub(crate) fn store_at(&self) -> Option<Moment> {
        self.store_at
    }

    /// Writes to disk what receivers have not acknowledged in time, so that the sender need not wait for them.
    pub(crate) async fn store(&mut self, core: &Core) {
        self.store_at = None;
        let mut open: HashMap<Box<str>, Vec<Arc<Ticket>>> = HashMap::new();
        for ticket in self.waiting.iter().flatten() {
            match ticket.account.clone() {
                Some(account) if ticket.begin_store() => open.entry(account).or_default().push(Arc::clone(ticket)),
                None if self.sender == Sender::Server => ticket.placed(),
                // what our people send to another server settles there, which wakes us
                _ => {}
            }
        }
        for (account, tickets) in open {
            self.store_for(core, &account, &tickets).await;
        }
    }

    /// One commit for each receiver, however many messages.
    async fn store_for(&self, core: &Core, account: &str, tickets: &[Arc<Ticket>]) {
        let to_keep = |t: &Arc<Ticket>| ToKeep { frame: t.frame.clone(), after: Some(t.position.after) };
        let Ok(kept) = offline::keep_all(core, account, tickets.iter().map(to_keep).collect()).await else {
            return tickets.iter().for_each(|ticket| ticket.store_failed());
        };
        let mut needless = Vec::new();
        for (ticket, kept) in tickets.iter().zip(kept) {
            match (kept, self.sender) {
                (Kept::Row(seq), _) => needless.extend(ticket.stored(seq)),
                // a rule says that it is not kept, so nobody waits for it
                (Kept::NotWorth, _) | (Kept::NoAccount | Kept::Full, Sender::Server) => ticket.placed(),
                // it stays live; the sender's `h` waits for the receiver
                (Kept::NoAccount | Kept::Full, Sender::Client) => ticket.store_failed(),
            }
        }
        // the receiver was faster than the disk; a row too many would only be a repetition
        let _ = offline::delete(core, account, &needless).await;
    }
}
