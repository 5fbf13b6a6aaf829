//! Where a stanza goes (RFC 6120 §10, RFC 6121 §8).
//!
//! What comes in here has a true `from` (stamped by the session or checked against the proved domain of a server) and a
//! parsed `to`. It leaves towards a mailbox, the offline store, the federation, a service of the broker, or back.

mod iq;
mod left;
mod message;
mod rules;

use std::sync::Arc;

use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{Condition, StanzaError, may_bounce, reply_error};
use xmpp::xml::{Element, Frame};

use crate::Core;
use crate::budget::Source;
use crate::core::Place;
use crate::mailbox::{Delivery, Mailbox, Refused};
use crate::registry::SessionHandle;
use crate::settle::Ticket;

pub(crate) use left::{Left, reroute};
pub(crate) use message::route as message;
pub(crate) use rules::MessageType;

/// A stanza with its addresses parsed.
#[derive(Clone)]
pub(crate) struct Stanza {
    pub(crate) frame: Frame,
    /// True, whoever it names.
    pub(crate) from: Jid,
    pub(crate) to: Jid,
    /// Who caused it.
    pub(crate) by: Source,
}

impl Stanza {
    /// Makes one that its sender has caused.
    pub(crate) fn new(core: &Core, frame: Frame, from: Jid, to: Jid) -> Self {
        let by = core.source(&from);
        Self { frame, from, to, by }
    }
}

/// Who waits for the `h` that covers a message: the mailbox of a sender with XEP-0198.
pub(crate) type Waiting<'a> = Option<&'a Arc<Mailbox>>;

/// Routes a stanza. Returns the ticket that the sender's `h` must wait for, if there is one.
pub(crate) async fn route(core: &Core, stanza: Stanza, waiting: Waiting<'_>) -> Option<Arc<Ticket>> {
    match stanza.frame.name() {
        "message" => {
            let message_type = MessageType::of(stanza.frame.attr("type").as_deref());
            return message(core, stanza, message_type, waiting).await;
        }
        "iq" => iq::route(core, stanza).await,
        _ => crate::presence::route(core, stanza).await,
    }
    None
}

/// Writes the addresses of a stanza in their prepared form, as they are sent on (RFC 7622 §4), where they were not.
pub(crate) fn prepared(frame: &Frame, from: Option<&Jid>, to: Option<&Jid>) -> Frame {
    let is_other = |name, jid: &&Jid| frame.attr(name).is_some_and(|text| text != jid.as_str());
    let (from, to) = (from.filter(|jid| is_other("from", jid)), to.filter(|jid| is_other("to", jid)));
    if from.is_none() && to.is_none() {
        return frame.clone(); // nearly always: bytes are shared
    }
    let splice = from.into_iter().fold(frame.splice(), |splice, from| splice.set_attr("from", from.as_str()));
    to.into_iter().fold(splice, |splice, to| splice.set_attr("to", to.as_str())).finish()
}

/// Routes a stanza that the broker itself has made; its addresses are set. Addresses that are none send it nowhere.
pub async fn send(core: &Core, element: &Element) {
    let address = |name| element.attr(name).and_then(|text| Jid::parse(text).ok());
    let (Some(from), Some(to)) = (address("from"), address("to")) else { return };
    let frame = Frame::from_element(element, ns::CLIENT);
    // boxed: a route that sends is inside a send that routes
    Box::pin(route(core, Stanza::new(core, frame, from, to), None)).await;
}

/// Delivers a stanza that the broker has made to one session, whatever its `to`.
pub fn deliver(session: &SessionHandle, element: &Element) {
    // a session that is gone or overloaded loses what is not a message
    let frame = Frame::from_element(element, ns::CLIENT).without_structure();
    let _ = session.mailbox.post(Delivery::new(frame, &session.by));
}

/// Sends a stanza back with an error, unless it is one of those that are never answered (RFC 6120 §8.3.1).
pub(crate) fn bounce(core: &Core, stanza: &Stanza, error: &StanzaError) {
    let element = stanza.frame.to_element();
    if may_bounce(&element) {
        answer_by(core, &stanza.by, &stanza.from, &reply_error(&element, error));
    }
}

/// Delivers an answer to whoever asked: a session of ours, or somebody on another server. Answers are never answered,
/// so this neither waits nor fails.
pub(crate) fn answer(core: &Core, to: &Jid, element: &Element) {
    answer_by(core, &core.source(to), to, element);
}

/// As [`answer`], where the share of whoever asked is at hand.
pub(crate) fn answer_by(core: &Core, by: &Source, to: &Jid, element: &Element) {
    let frame = Frame::from_element(element, ns::CLIENT).without_structure();
    match core.place(to) {
        Place::Account => {
            if let Some(session) = core.registry.session(to) {
                let _ = session.mailbox.post(Delivery::new(frame, by));
            }
        }
        Place::Remote(domain) => core.federation.queue(core, domain, frame, by),
        Place::Server | Place::Service(_) => {}
    }
}

/// Posts a stanza that is not a message to one session; back with it when nobody is there.
fn post_or_bounce(core: &Core, session: Option<&SessionHandle>, stanza: &Stanza) {
    let posted = session.is_some_and(|s| match s.mailbox.post(Delivery::new(stanza.frame.clone(), &stanza.by)) {
        Ok(()) => true,
        Err(Refused::Closed(_) | Refused::Full(_)) => false,
    });
    if !posted {
        bounce(core, stanza, &StanzaError::new(Condition::ServiceUnavailable));
    }
}
