//! The end of a session: who hears of it, and what becomes of what the client never got.

use std::collections::VecDeque;

use xmpp::jid::Jid;
use xmpp::stanza::{Condition, StanzaError};
use xmpp::xml::{Element, Frame};

use super::{Bound, ClientSession, Phase};
use crate::mailbox::{Claim, Mail, Notice};
use crate::registry::SessionHandle;
use crate::route::{self, Stanza};

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
        let Bound { handle, in_flight, directed, done_rows, .. } = *bound;
        self.core.registry.unbind(&handle);
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
        let mut rows_left = false;
        for sent in in_flight {
            // with XEP-0198 the stream kept the frame, in the same order
            let Some(frame) = sent.frame.or_else(|| unacked.pop_front()) else { continue };
            rows_left |= matches!(sent.claim, Claim::Row(_));
            self.place_elsewhere(&handle, frame, sent.claim, sent.at).await;
        }
        let now = self.core.env.now();
        for mail in queued {
            if let Mail::Stanza(delivery) = mail {
                self.place_elsewhere(&handle, delivery.frame, delivery.claim, now).await;
            }
        }
        if rows_left {
            let others = self.core.registry.sessions(handle.jid.bare_str(), SessionHandle::takes_messages);
            if let Some(other) = others.first() {
                other.mailbox.notify(Notice::Offline);
            }
        }
    }

    /// A message lies in the store already, where a session that came after it has not looked.
    fn point_at_store(&self, handle: &SessionHandle, frame: &Frame, at: xmpp::time::Timestamp) {
        let to_all = frame.attr("to").is_some_and(|to| !to.contains('/'));
        let has_missed_it = |s: &SessionHandle| s.takes_messages() && (!to_all || s.takes_messages_since() >= at);
        if let Some(other) = self.core.registry.sessions(handle.jid.bare_str(), has_missed_it).first() {
            other.mailbox.notify(Notice::Offline);
        }
    }

    /// Finds another place for a stanza that the client never got.
    async fn place_elsewhere(&self, handle: &SessionHandle, frame: Frame, claim: Claim, at: xmpp::time::Timestamp) {
        match (frame.name(), claim) {
            (_, Claim::Row(_)) => {} // it lies where it was
            ("message", Claim::Live(ticket)) if ticket.lost() => {
                route::reroute(&self.core, handle, frame, at, Some(&ticket)).await;
            }
            ("message", Claim::Live(_)) => self.point_at_store(handle, &frame, at),
            ("message", Claim::None) => route::reroute(&self.core, handle, frame, at, None).await,
            ("iq", _) => {
                let Some(from) = frame.attr("from").and_then(|from| Jid::parse(&from).ok()) else { return };
                let stanza = Stanza { frame, from, to: handle.jid.clone() };
                route::bounce(&self.core, &stanza, &StanzaError::new(Condition::RecipientUnavailable));
            }
            _ => {}
        }
    }
}
