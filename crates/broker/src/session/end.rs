//! The end of a session: who hears of it, and what becomes of what the client never got.

use std::collections::VecDeque;

use xmpp::jid::Jid;
use xmpp::stanza::{Condition, StanzaError};
use xmpp::time::Moment;
use xmpp::xml::{Element, Frame};

use super::{Bound, ClientSession, OfflineReading, Phase};
use crate::mailbox::{Claim, Delivery, Mail, Notice};
use crate::registry::SessionHandle;
use crate::route::{self, Left, Stanza};

impl ClientSession {
    /// The connection is gone, however it ended. Must be called for every session.
    ///
    /// What the client did not acknowledge goes to its other sessions or to the offline store, what it asked is left
    /// unanswered, and those who see its presence learn that it left.
    pub async fn closed(mut self) {
        self.end().await;
    }

    /// Ends the session; the connection may live on until the last bytes are written.
    pub(super) async fn end(&mut self) {
        let Phase::Bound(bound) = std::mem::replace(&mut self.phase, Phase::Over) else { return };
        let Bound { handle, in_flight, directed, done_rows, offline, looks_again, deferred, .. } = *bound;
        self.core.registry.unbind(&handle);
        self.core.registry.tell_waiting(handle.jid.bare_str());
        tracing::debug!(session = handle.id, unacknowledged = in_flight.len(), "a client session has ended");
        let queued = handle.mailbox.close();
        // whoever took the resource over has told the contacts that it is there; only those who were addressed directly
        // know nothing of the new session
        let successor = self.core.registry.session(&handle.jid);
        if successor.is_some_and(|successor| successor.is_available()) {
            handle.set_unavailable();
        }
        if handle.is_available() || directed.is_some() {
            let gone = Element::new("presence", xmpp::ns::CLIENT)
                .with_attr("type", "unavailable")
                .with_attr("from", handle.jid.as_str());
            let gone = Frame::from_element(&gone, xmpp::ns::CLIENT);
            crate::presence::broadcast_unavailable(&self.core, &handle, gone, directed.as_ref()).await;
        }
        let _ = crate::offline::delete(&self.core, handle.jid.bare_str(), &done_rows).await;
        let mut unacked: VecDeque<Frame> = self.stream.take_unacked().into();
        let mut rows_left = looks_again || offline != OfflineReading::Idle;
        let mut left = Vec::new();
        for sent in in_flight {
            // with XEP-0198 the stream kept the frame, in the same order
            let Some(frame) = sent.frame.or_else(|| unacked.pop_front()) else { continue };
            rows_left |= matches!(sent.claim, Claim::Row(_));
            let delivery = Delivery::message(frame, sent.claim, sent.position, sent.held);
            left.extend(self.leave(&handle, delivery, sent.at));
        }
        let now = self.core.env.moment();
        let queued = queued.into_iter().filter_map(|mail| match mail {
            Mail::Stanza(delivery) => Some(delivery),
            Mail::Notice(_) => None,
        });
        for delivery in deferred.into_iter().chain(queued) {
            left.extend(self.leave(&handle, delivery, now));
        }
        route::reroute(&self.core, &handle, left, rows_left).await;
        // read anew: the one that was there may have been replaced in turn
        if let Some(heir) = self.core.registry.session(&handle.jid) {
            heir.mailbox.notify(Notice::Ended(handle.id));
        }
    }

    /// A message lies in the store already, where a session that came after it has not looked.
    fn point_at_store(&self, handle: &SessionHandle, frame: &Frame, at: Moment) {
        let to_all = frame.attr("to").is_some_and(|to| !to.contains('/'));
        let has_missed_it = |s: &SessionHandle| s.takes_messages() && (!to_all || s.takes_messages_since() >= at);
        if let Some(other) = self.core.registry.sessions(handle.jid.bare_str(), has_missed_it).first() {
            other.mailbox.notify(Notice::Offline);
        }
    }

    /// Looks at a stanza that the client never got. Returns it if it is a message that needs another place.
    fn leave(&self, handle: &SessionHandle, delivery: Delivery, at: Moment) -> Option<Left> {
        let Delivery { frame, claim, position, held, .. } = delivery;
        match (frame.name(), claim) {
            (_, Claim::Row(_)) => {} // it lies where it was
            ("message", Claim::Live(ticket)) if ticket.lost() => {
                return Some(Left { frame, position, at, ticket: Some(ticket), held });
            }
            ("message", Claim::Live(_)) => self.point_at_store(handle, &frame, at),
            ("message", Claim::None) => return Some(Left { frame, position, at, ticket: None, held }),
            ("iq", _) => {
                let from = frame.attr("from").and_then(|from| Jid::parse(&from).ok())?;
                let stanza = Stanza::new(&self.core, frame, from, handle.jid.clone());
                route::bounce(&self.core, &stanza, &StanzaError::new(Condition::RecipientUnavailable));
            }
            _ => {}
        }
        None
    }
}
