//! Messages: to sessions, to the offline store, to other servers, back (RFC 6121 §8.5).

use std::sync::Arc;

use xmpp::stanza::{Condition, StanzaError};

use super::rules::{Addressed, Fate, MessageType, fate};
use super::{Stanza, Waiting, bounce};
use crate::Core;
use crate::budget::Held;
use crate::core::Place;
use crate::mailbox::{Claim, Delivery, Position};
use crate::offline::{self, Kept};
use crate::registry::SessionHandle;
use crate::settle::Ticket;

/// Routes a message.
///
/// The type is passed in, because whoever read the stanza has it at hand.
pub(crate) async fn route(
    core: &Core,
    stanza: Stanza,
    message_type: MessageType,
    waiting: Waiting<'_>,
) -> Option<Arc<Ticket>> {
    match core.place(&stanza.to) {
        Place::Account => to_account(core, stanza, message_type, waiting).await,
        Place::Remote(domain) => {
            let held = Held::charge(&stanza.by, &stanza.frame, 1);
            let sender = waiting.filter(|_| !held.is_refused());
            let ticket = sender.map(|sender| Ticket::remote(stanza.frame.clone(), Arc::clone(sender), held.clone()));
            let claim = ticket.clone().map_or(Claim::None, Claim::Live);
            let delivery = Delivery::remote(stanza.frame, claim, held, false);
            core.federation.queue_from(core, stanza.from.domainpart(), domain, delivery);
            ticket
        }
        Place::Server | Place::Service(_) => {
            bounce(core, &stanza, &StanzaError::new(Condition::ServiceUnavailable));
            None
        }
    }
}

async fn to_account(
    core: &Core,
    stanza: Stanza,
    message_type: MessageType,
    waiting: Waiting<'_>,
) -> Option<Arc<Ticket>> {
    let account = stanza.to.bare_str();
    let resource = if stanza.to.is_bare() { None } else { core.registry.session(&stanza.to) };
    let addressed = match &resource {
        _ if stanza.to.is_bare() => Addressed::Bare,
        Some(_) => Addressed::Resource,
        None => Addressed::MissingResource,
    };
    let takers = match resource {
        Some(resource) => vec![resource],
        None => core.registry.sessions(account, SessionHandle::takes_messages),
    };
    match fate(addressed, message_type, !takers.is_empty()) {
        Fate::ToResource | Fate::ToAll => {
            let position = core.registry.position(&takers);
            let held = Held::charge(&stanza.by, &stanza.frame, takers.len());
            let ticket = ticket_for(&stanza, message_type, position, takers.len(), waiting, &held);
            to_sessions(core, &stanza, &takers, message_type, position, ticket.as_ref(), &held).await;
            return ticket;
        }
        Fate::Keep => Box::pin(keep(core, &stanza, |_| true)).await,
        Fate::Bounce(condition) => bounce(core, &stanza, &StanzaError::new(condition)),
        Fate::Drop => {}
    }
    None
}

/// Makes the ticket of a message that goes to sessions, if its sender waits for one.
fn ticket_for(
    stanza: &Stanza,
    message_type: MessageType,
    position: Position,
    holders: usize,
    waiting: Waiting<'_>,
    held: &Held,
) -> Option<Arc<Ticket>> {
    let sender = waiting.filter(|_| !held.is_refused())?;
    let account = may_be_kept(message_type).then(|| stanza.to.bare_str());
    Some(Ticket::new(stanza.frame.clone(), account, position, holders, Arc::clone(sender), held.clone()))
}

/// Posts a message to sessions; what one of them cannot take is kept for it.
async fn to_sessions(
    core: &Core,
    stanza: &Stanza,
    sessions: &[Arc<SessionHandle>],
    message_type: MessageType,
    position: Position,
    ticket: Option<&Arc<Ticket>>,
    held: &Held,
) {
    let mut refused = Vec::new();
    for session in sessions {
        let claim = ticket.cloned().map_or(Claim::None, Claim::Live);
        if session.mailbox.post(Delivery::message(stanza.frame.clone(), claim, position, held.clone())).is_err() {
            refused.push(session.id);
        }
    }
    if refused.is_empty() {
        return;
    }
    if may_be_kept(message_type) {
        // whoever has caught up meanwhile has looked into the store before this was in it
        Box::pin(keep(core, stanza, |s| refused.contains(&s.id))).await;
    } else if refused.len() == sessions.len() {
        bounce(core, stanza, &StanzaError::new(Condition::RecipientUnavailable));
    }
    for session in sessions.iter().filter(|session| refused.contains(&session.id)) {
        session.mailbox.open_again(); // whatever became of it: with nothing in flight nothing else would
    }
    if let Some(ticket) = ticket {
        for _ in &refused {
            // a row that was written meanwhile is one copy too many, which the receiver drops by its id
            ticket.arrived();
        }
    }
}

pub(super) fn may_be_kept(message_type: MessageType) -> bool {
    matches!(message_type, MessageType::Chat | MessageType::Normal)
}

/// Keeps a message for an account that cannot take it now, or says that it could not.
///
/// While it was written, a session may have come and looked for it in vain: one for which `came` says yes looks again.
async fn keep(core: &Core, stanza: &Stanza, came: impl Fn(&SessionHandle) -> bool) {
    let account = stanza.to.bare_str();
    match offline::keep(core, account, &stanza.frame).await {
        Ok(Kept::Row(_)) => {
            let takers = core.registry.sessions(account, |session| session.takes_messages() && came(session));
            let _ = takers.iter().any(|taker| taker.mailbox.look_again());
        }
        Ok(Kept::NotWorth) => {}
        Ok(Kept::NoAccount | Kept::Full) => bounce(core, stanza, &StanzaError::new(Condition::ServiceUnavailable)),
        Err(_) => bounce(core, stanza, &StanzaError::new(Condition::InternalServerError)),
    }
}
