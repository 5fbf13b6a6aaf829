//! Messages: to sessions, to the offline store, to other servers, back (RFC 6121 §8.5).

use std::sync::Arc;

use xmpp::stanza::{Condition, StanzaError};
use xmpp::time::Timestamp;
use xmpp::xml::Frame;

use super::rules::{Addressed, Fate, MessageType, fate};
use super::{Stanza, Waiting, bounce};
use crate::Core;
use crate::core::Place;
use crate::mailbox::{Claim, Delivery, Notice};
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
            let ticket = waiting.map(|sender| Ticket::remote(stanza.frame.clone(), Arc::clone(sender)));
            let claim = ticket.clone().map_or(Claim::None, Claim::Live);
            core.federation.queue_from(core, stanza.from.domainpart(), domain, stanza.frame, claim);
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
            let ticket = ticket_for(&stanza, message_type, takers.len(), waiting);
            to_sessions(core, &stanza, &takers, message_type, ticket.as_ref()).await;
            return ticket;
        }
        Fate::Keep => Box::pin(keep(core, &stanza, |_| true)).await,
        Fate::Bounce(condition) => bounce(core, &stanza, &StanzaError::new(condition)),
        Fate::Drop => {}
    }
    None
}

/// Makes the ticket of a message that goes to sessions, if its sender waits for one.
fn ticket_for(stanza: &Stanza, message_type: MessageType, holders: usize, waiting: Waiting<'_>) -> Option<Arc<Ticket>> {
    let sender = waiting?;
    let account = may_be_kept(message_type).then(|| stanza.to.bare_str());
    Some(Ticket::new(stanza.frame.clone(), account, holders, Arc::clone(sender)))
}

/// Posts a message to sessions; what one of them cannot take is kept for it.
async fn to_sessions(
    core: &Core,
    stanza: &Stanza,
    sessions: &[Arc<SessionHandle>],
    message_type: MessageType,
    ticket: Option<&Arc<Ticket>>,
) {
    let mut refused = Vec::new();
    for session in sessions {
        let claim = ticket.cloned().map_or(Claim::None, Claim::Live);
        if session.mailbox.post(Delivery::message(stanza.frame.clone(), claim)).is_err() {
            refused.push(session.id);
        }
    }
    if refused.is_empty() {
        return;
    }
    if may_be_kept(message_type) {
        // whoever has caught up meanwhile has looked into the store before this was in it
        Box::pin(keep(core, stanza, |s| refused.contains(&s.id) && !s.mailbox.is_overflowed())).await;
    } else if refused.len() == sessions.len() {
        bounce(core, stanza, &StanzaError::new(Condition::RecipientUnavailable));
    }
    if let Some(ticket) = ticket {
        for _ in &refused {
            // a row that was written meanwhile is one copy too many, which the receiver drops by its id
            ticket.arrived();
        }
    }
}

fn may_be_kept(message_type: MessageType) -> bool {
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
            if let Some(taker) = takers.first() {
                taker.mailbox.notify(Notice::Offline);
            }
        }
        Ok(Kept::NotWorth) => {}
        Ok(Kept::NoAccount | Kept::Full) => bounce(core, stanza, &StanzaError::new(Condition::ServiceUnavailable)),
        Err(_) => bounce(core, stanza, &StanzaError::new(Condition::InternalServerError)),
    }
}

/// Finds another place for a message that a session took at `at` and never had for good.
///
/// One that was addressed to the account goes to sessions that came after it: those that were there have it already. If
/// there are none, or the message was for that resource alone and nobody else takes messages, it is kept.
pub(crate) async fn reroute(
    core: &Core,
    lost: &SessionHandle,
    frame: Frame,
    at: Timestamp,
    ticket: Option<&Arc<Ticket>>,
) {
    let message_type = MessageType::of(frame.attr("type").as_deref());
    let from = frame.attr("from").and_then(|from| xmpp::jid::Jid::parse(&from).ok());
    let Some(from) = from else { return };
    let to_all = frame.attr("to").is_some_and(|to| !to.contains('/'));
    let stanza = Stanza { frame, from, to: lost.jid.clone() };
    match message_type {
        MessageType::Error | MessageType::Headline => {}
        MessageType::Groupchat => bounce(core, &stanza, &StanzaError::new(Condition::RecipientUnavailable)),
        MessageType::Normal | MessageType::Chat => {
            let came_after = |s: &SessionHandle| !to_all || s.takes_messages_since() >= at;
            let takers =
                core.registry.sessions(lost.jid.bare_str(), |s| s.id != lost.id && s.takes_messages() && came_after(s));
            if !takers.is_empty() {
                if let Some(ticket) = ticket {
                    ticket.moved(takers.len());
                }
                return to_sessions(core, &stanza, &takers, message_type, ticket).await;
            }
            keep(core, &stanza, |s| s.id != lost.id && came_after(s)).await;
        }
    }
    if let Some(ticket) = ticket {
        ticket.placed();
    }
}
