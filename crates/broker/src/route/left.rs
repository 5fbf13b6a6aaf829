//! Messages that a session took and never had for good: each finds another place, and keeps its order (RFC 6120 §10.1).

use std::sync::Arc;

use xmpp::jid::Jid;
use xmpp::stanza::{Condition, StanzaError};
use xmpp::time::Moment;
use xmpp::xml::Frame;

use super::message::may_be_kept;
use super::{MessageType, Stanza, bounce};
use crate::Core;
use crate::budget::Held;
use crate::mailbox::{Claim, Delivery, Position};
use crate::offline::{self, Kept, ToKeep};
use crate::registry::SessionHandle;
use crate::settle::Ticket;

/// A message that a session took at `at` and never had for good. Nobody has found another place for it yet.
pub(crate) struct Left {
    pub(crate) frame: Frame,
    pub(crate) position: Position,
    pub(crate) at: Moment,
    pub(crate) ticket: Option<Arc<Ticket>>,
    pub(crate) held: Held,
}

/// What a session has left behind and where it is going.
struct Removal<'a> {
    core: &'a Core,
    lost: &'a SessionHandle,
    /// Other sessions of the account, each with what it gets, oldest first.
    takers: Vec<(Arc<SessionHandle>, Vec<Delivery>)>,
    /// What goes into the offline store.
    kept: Vec<(Left, Stanza)>,
}

/// Finds other places for the messages that a session has left behind, oldest first. `rows_left`: it has also left rows
/// in the offline store that it had been sent, or was about to be.
///
/// One that was addressed to the account goes to sessions that came after it: those that were there have it already. If
/// there are none, or the message was for that resource alone and nobody else takes messages, it is kept.
pub(crate) async fn reroute(core: &Core, lost: &SessionHandle, left: Vec<Left>, rows_left: bool) {
    let mut removal = Removal { core, lost, takers: Vec::new(), kept: Vec::new() };
    for message in left {
        removal.add(message);
    }
    removal.carry_out(rows_left).await;
}

impl Removal<'_> {
    fn add(&mut self, left: Left) {
        let from = left.frame.attr("from").and_then(|from| Jid::parse(&from).ok());
        let Some(from) = from else { return };
        let message_type = MessageType::of(left.frame.attr("type").as_deref());
        let stanza = Stanza::new(self.core, left.frame.clone(), from, self.lost.jid.clone());
        if !may_be_kept(message_type) {
            if message_type == MessageType::Groupchat {
                bounce(self.core, &stanza, &StanzaError::new(Condition::RecipientUnavailable));
            }
            return left.ticket.iter().for_each(|ticket| ticket.placed());
        }
        let takers = self.core.registry.sessions(self.lost.jid.bare_str(), |s| self.lacks(s, &left));
        if takers.is_empty() {
            return self.kept.push((left, stanza));
        }
        if let Some(ticket) = &left.ticket {
            ticket.moved(takers.len());
        }
        for taker in takers {
            let claim = left.ticket.clone().map_or(Claim::None, Claim::Live);
            self.bag(taker).push(Delivery::message(left.frame.clone(), claim, left.position, left.held.clone()));
        }
    }

    /// Whether another session takes messages and has not had this one.
    fn lacks(&self, session: &SessionHandle, left: &Left) -> bool {
        let to_all = left.frame.attr("to").is_some_and(|to| !to.contains('/'));
        session.id != self.lost.id && session.takes_messages() && (!to_all || session.takes_messages_since() >= left.at)
    }

    fn bag(&mut self, taker: Arc<SessionHandle>) -> &mut Vec<Delivery> {
        let at = self.takers.iter().position(|(known, _)| known.id == taker.id).unwrap_or_else(|| {
            self.takers.push((taker, Vec::new()));
            self.takers.len() - 1
        });
        &mut self.takers[at].1 // found or pushed in the line above
    }

    async fn carry_out(mut self, rows_left: bool) {
        let account = self.lost.jid.bare_str();
        let kept = self.keep().await;
        let others = self.core.registry.sessions(account, |s| s.id != self.lost.id && s.takes_messages());
        // one reads the store: whoever came meanwhile and looked in vain, or anybody where rows were left
        let reader = others.iter().find(|s| kept.iter().any(|left| self.lacks(s, left)));
        let reader = reader.or_else(|| others.first().filter(|_| rows_left)).cloned();
        if let Some(reader) = &reader {
            self.bag(Arc::clone(reader));
        }
        for (taker, bag) in std::mem::take(&mut self.takers) {
            // told of the store at once with what it gets, or it might send one before the other
            let look = reader.as_ref().is_some_and(|reader| reader.id == taker.id);
            let refused = taker.mailbox.post_all(look, bag);
            self.keep_refused(&taker, refused).await;
        }
    }

    /// Writes what nobody takes to the offline store, in one commit. Returns what is there now.
    async fn keep(&mut self) -> Vec<Left> {
        let kept = std::mem::take(&mut self.kept);
        let to_keep =
            |(left, _): &(Left, Stanza)| ToKeep { frame: left.frame.clone(), after: Some(left.position.after) };
        let outcomes = offline::keep_all(self.core, self.lost.jid.bare_str(), kept.iter().map(to_keep).collect()).await;
        let mut written = Vec::new();
        for (n, (left, stanza)) in kept.into_iter().enumerate() {
            let outcome = outcomes.as_ref().map(|outcomes| outcomes.get(n).copied());
            let refused = match outcome {
                Ok(Some(Kept::NoAccount | Kept::Full)) => Some(Condition::ServiceUnavailable),
                Err(_) => Some(Condition::InternalServerError),
                Ok(_) => None,
            };
            if let Some(condition) = refused {
                bounce(self.core, &stanza, &StanzaError::new(condition));
            }
            left.ticket.iter().for_each(|ticket| ticket.placed());
            if matches!(outcome, Ok(Some(Kept::Row(_)))) {
                written.push(left);
            }
        }
        written
    }

    /// Keeps for a session what it cannot take now, and looks for when it has caught up.
    async fn keep_refused(&self, taker: &SessionHandle, refused: Vec<Delivery>) {
        if refused.is_empty() {
            return;
        }
        let to_keep = |d: &Delivery| ToKeep { frame: d.frame.clone(), after: Some(d.position.after) };
        let outcomes = offline::keep_all(self.core, taker.jid.bare_str(), refused.iter().map(to_keep).collect()).await;
        for (n, delivery) in refused.into_iter().enumerate() {
            if !matches!(outcomes.as_ref().map(|o| o.get(n)), Ok(Some(Kept::Row(_) | Kept::NotWorth)))
                && let Some(from) = delivery.frame.attr("from").and_then(|from| Jid::parse(&from).ok())
            {
                let stanza = Stanza::new(self.core, delivery.frame.clone(), from, taker.jid.clone());
                bounce(self.core, &stanza, &StanzaError::new(Condition::ServiceUnavailable));
            }
            if let Claim::Live(ticket) = delivery.claim {
                ticket.arrived(); // a row that was written meanwhile is one copy too many, which the receiver drops
            }
        }
        taker.mailbox.look_again();
    }
}
