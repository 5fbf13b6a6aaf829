//! [`Unsettled`]: the stanzas of one stream that its `h` does not cover yet.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use xmpp::jid::Jid;
use xmpp::stanza::{Condition, StanzaError};
use xmpp::time::Moment;

use super::Ticket;
use crate::Core;
use crate::config::Limits;
use crate::core::Place;
use crate::mailbox::Mailbox;
use crate::offline::{self, Kept, ToKeep};
use crate::route::{self, Stanza};

/// Who sends on the stream, which says what happens to messages that nobody acknowledges and no store can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// One of our people: the `h` waits for the receiver, who acknowledges, or counts as gone, or is waited for no longer.
    Client,
    /// A server, with many people behind it who must not all wait for one receiver of ours. What no store can take (an
    /// error, a headline, a group's message, anything for a full queue) is as good as written when the grace is over.
    Server,
}

/// One stanza of a stream.
struct Waiting {
    /// What it waits for, if it is not for those before it.
    ticket: Option<Arc<Ticket>>,
    /// When it goes back to its sender, whoever has it.
    give_up_at: Moment,
}

impl Waiting {
    fn is_safe(&self) -> bool {
        self.ticket.as_ref().is_none_or(|ticket| ticket.is_safe())
    }
}

/// The stanzas of one stream that its `h` does not cover yet, oldest first.
pub(crate) struct Unsettled {
    sender: Sender,
    waiting: VecDeque<Waiting>,
    /// When live messages are written to disk for this sender's sake.
    store_at: Option<Moment>,
}

impl Unsettled {
    pub(crate) fn new(sender: Sender) -> Self {
        Self { sender, waiting: VecDeque::new(), store_at: None }
    }

    /// Takes up the next stanza of the stream. What its ticket lacks after the grace is written to disk, and what it lacks
    /// after the bound goes back. Returns how many more stanzas are settled.
    #[must_use]
    pub(crate) fn push(&mut self, ticket: Option<Arc<Ticket>>, mailbox: &Mailbox, now: Moment, limits: &Limits) -> u32 {
        let ticket = ticket.filter(|ticket| !ticket.is_safe());
        if ticket.is_some() {
            let store_at = now + limits.settle_grace;
            self.store_at = Some(self.store_at.map_or(store_at, |at| at.min(store_at)));
            mailbox.set_settling(true);
        } else if self.waiting.is_empty() {
            return 1;
        }
        self.waiting.push_back(Waiting { ticket, give_up_at: now + limits.settle_max });
        0
    }

    /// Takes out what is settled, and returns how many stanzas that is.
    #[must_use]
    pub(crate) fn take_settled(&mut self, mailbox: &Mailbox) -> u32 {
        let mut settled = 0;
        while self.waiting.front().is_some_and(Waiting::is_safe) {
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

    /// Returns when [`Unsettled::check`] is to be called.
    pub(crate) fn next_timeout(&self) -> Option<Moment> {
        let give_up_at = self.waiting.front().map(|waiting| waiting.give_up_at);
        [self.store_at, give_up_at].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(crate) async fn check(&mut self, core: &Core, now: Moment) {
        if self.store_at.is_some_and(|at| at <= now) {
            self.store(core).await;
        }
        self.give_up(core, now);
    }

    /// Sends back what nobody has acknowledged for too long, so that one contact or one server that is silent does not
    /// hold up what is sent to everybody else. It is of the kind that its sender tries again later.
    fn give_up(&self, core: &Core, now: Moment) {
        let late = self.waiting.iter().take_while(|waiting| waiting.give_up_at <= now);
        for ticket in late.filter_map(|waiting| waiting.ticket.as_ref()) {
            if !ticket.give_up() {
                continue;
            }
            let frame = ticket.frame.without_structure();
            let address = |name| frame.attr(name).and_then(|text| Jid::parse(&text).ok());
            let (Some(from), Some(to)) = (address("from"), address("to")) else { continue };
            let condition = match core.place(&to) {
                Place::Remote(_) => Condition::RemoteServerTimeout,
                _ => Condition::RecipientUnavailable,
            };
            let stanza = Stanza::new(core, frame.clone(), from, to);
            route::bounce(core, &stanza, &StanzaError::new(condition));
        }
    }

    /// Writes to disk what receivers have not acknowledged in time, so that the sender need not wait for them.
    async fn store(&mut self, core: &Core) {
        self.store_at = None;
        let mut open: HashMap<Box<str>, Vec<Arc<Ticket>>> = HashMap::new();
        for ticket in self.waiting.iter().filter_map(|waiting| waiting.ticket.as_ref()) {
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
        let to_keep = |t: &Arc<Ticket>| ToKeep { frame: t.frame.without_structure(), after: Some(t.position.after) };
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
