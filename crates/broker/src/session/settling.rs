//! What the client's `h` covers, and the clocks of a session.

use std::collections::HashMap;
use std::sync::Arc;

use xmpp::ns;
use xmpp::stanza;
use xmpp::stream::StreamCondition;
use xmpp::time::Timestamp;
use xmpp::xml::{Element, Frame};

use super::{ClientSession, Phase};
use crate::offline::{self, Kept};
use crate::settle::Ticket;

/// Namespace of pings (XEP-0199).
const NS_PING: &str = "urn:xmpp:ping";

impl ClientSession {
    /// Tells the stream how many of the client's stanzas are settled, oldest first.
    pub(super) fn settle(&mut self) {
        let Phase::Bound(bound) = &mut self.phase else { return };
        let mut settled = 0;
        while bound.unsettled.front().is_some_and(|t| t.as_ref().is_none_or(|t| t.is_safe())) {
            bound.unsettled.pop_front();
            settled += 1;
        }
        self.stream.handled(settled);
        if bound.unsettled.is_empty() && bound.settle_at.take().is_some() {
            bound.unsettled = std::collections::VecDeque::new(); // an idle session keeps no memory
            bound.handle.mailbox.set_settling(false);
        }
    }

    /// Writes to disk what receivers have not acknowledged in time, so that the sender need not wait for them.
    async fn store_unsettled(&mut self) {
        let Phase::Bound(bound) = &mut self.phase else { return };
        let mut open: HashMap<Box<str>, Vec<Arc<Ticket>>> = HashMap::new();
        for ticket in bound.unsettled.iter().flatten() {
            if let Some(account) = ticket.account.clone()
                && ticket.begin_store()
            {
                open.entry(account).or_default().push(Arc::clone(ticket));
            }
        }
        for (account, tickets) in open {
            let frames: Vec<Frame> = tickets.iter().map(|ticket| ticket.frame.clone()).collect();
            // one commit for each receiver, however many messages
            let kept = offline::keep_all(&self.core, &account, &frames).await;
            let kept = kept.unwrap_or_else(|_| vec![Kept::Full; tickets.len()]);
            let mut needless = Vec::new();
            for (ticket, kept) in tickets.iter().zip(kept) {
                match kept {
                    Kept::Row(seq) => needless.extend(ticket.stored(seq)),
                    // a rule says that it is not kept, so nobody waits for it
                    Kept::NotWorth => ticket.placed(),
                    // it stays live; the sender's `h` waits for the receiver
                    Kept::NoAccount | Kept::Full => ticket.store_failed(),
                }
            }
            // the receiver was faster than the disk; a row too many would only be a repetition
            let _ = offline::delete(&self.core, &account, &needless).await;
        }
        // what no store can take (it is for another server, say) settles when it is written there, which wakes us
        bound.settle_at = None;
    }

    /// Returns when [`ClientSession::handle_timeout`] is to be called, unless something happens before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Timestamp> {
        let limits = &self.core.config.limits;
        match &self.phase {
            Phase::Login(login) => Some(login.held.as_ref().map_or(login.deadline, |h| h.until.min(login.deadline))),
            Phase::Bound(bound) => {
                let silence = match self.waiting_since {
                    Some(since) => since + limits.ack_timeout,
                    None => self.last_heard + limits.client_idle,
                };
                Some(bound.settle_at.map_or(silence, |at| at.min(silence)))
            }
            Phase::Over => None,
        }
    }

    pub(super) async fn check_timers(&mut self) {
        let now = self.core.env.now();
        match &self.phase {
            Phase::Login(login) if login.deadline <= now => {
                self.stream.fail(StreamCondition::ConnectionTimeout);
                self.phase = Phase::Over;
            }
            Phase::Login(_) => self.release_held_login().await,
            Phase::Bound(bound) => {
                if bound.settle_at.is_some_and(|at| at <= now) {
                    self.store_unsettled().await;
                }
                self.check_silence(now).await;
            }
            Phase::Over => {}
        }
    }

    /// A client that is silent is asked; one that does not answer is gone (XEP-0198 §4, XEP-0199 §4.2).
    async fn check_silence(&mut self, now: Timestamp) {
        let limits = &self.core.config.limits;
        match self.waiting_since {
            Some(since) if since + limits.ack_timeout <= now => {
                self.stream.fail(StreamCondition::ConnectionTimeout);
                self.end().await;
            }
            None if self.last_heard + limits.client_idle <= now => {
                let ping = Element::new("ping", NS_PING);
                let id = self.core.env.random_id();
                let Some(jid) = self.jid() else { return };
                let iq = stanza::iq("get", &id, Some(jid.as_str()), ping)
                    .with_attr("from", self.core.config.domain.as_str());
                self.send_own(Frame::from_element(&iq, ns::CLIENT));
                self.waiting_since = Some(now);
            }
            _ => {}
        }
    }
}
