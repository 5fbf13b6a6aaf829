//! Questions and answers (RFC 6120 §8.2.3, RFC 6121 §8.5): to a resource they are passed on, everything else the server
//! answers itself, also on behalf of accounts.

use xmpp::stanza::{Condition, StanzaError, reply_error, reply_result};

use super::{Stanza, answer_by, bounce, post_or_bounce};
use crate::Core;
use crate::core::Place;
use crate::iq::{IqKind, IqOutcome, IqRequest, IqTarget, dispatch};
use crate::mailbox::Delivery;

/// Routes an IQ.
pub(super) async fn route(core: &Core, stanza: Stanza) {
    let kind = match stanza.frame.attr("type").as_deref() {
        Some("get") => Some(IqKind::Get),
        Some("set") => Some(IqKind::Set),
        Some("result" | "error") => None,
        _ => return bounce(core, &stanza, &StanzaError::new(Condition::BadRequest)),
    };
    let id_missing = stanza.frame.attr("id").is_none_or(|id| id.is_empty());
    if id_missing || (kind.is_some() && stanza.frame.root().children().count() != 1) {
        return bounce(core, &stanza, &StanzaError::new(Condition::BadRequest));
    }
    match (core.place(&stanza.to), kind) {
        (Place::Remote(domain), _) => core.federation.queue(core, domain, stanza.frame.clone(), &stanza.by),
        (Place::Account, Some(_)) if !stanza.to.is_bare() => {
            let session = core.registry.session(&stanza.to);
            post_or_bounce(core, session.as_deref(), &stanza);
        }
        (Place::Account, None) => {
            // an answer to nobody is dropped, never bounced; one to the bare address is for the server
            if stanza.to.is_bare() {
                Box::pin(crate::pep::handle_answer(core, &stanza.from, &stanza.frame.to_element())).await;
            } else if let Some(session) = core.registry.session(&stanza.to) {
                let _ = session.mailbox.post(Delivery::new(stanza.frame, &stanza.by));
            }
        }
        (Place::Server | Place::Service(_), None) => {}
        (place, Some(kind)) => {
            let target = match place {
                Place::Service(name) => IqTarget::Service(name.to_owned()),
                Place::Account => IqTarget::Account(stanza.to.bare()),
                Place::Server | Place::Remote(_) => IqTarget::Server,
            };
            serve(core, &stanza, target, kind).await;
        }
    }
}

/// Has the services answer a question.
async fn serve(core: &Core, stanza: &Stanza, target: IqTarget, kind: IqKind) {
    let element = stanza.frame.to_element();
    let Some(payload) = element.children().next() else { return };
    let request = IqRequest {
        from: &stanza.from,
        is_local: core.place(&stanza.from) == Place::Account,
        target,
        kind,
        id: element.attr("id").unwrap_or_default(),
        payload,
    };
    let reply = match dispatch(core, &request).await {
        IqOutcome::Result(child) => reply_result(&element, child),
        IqOutcome::Error(error) => reply_error(&element, &error),
        IqOutcome::NotMine => reply_error(&element, &StanzaError::new(Condition::ServiceUnavailable)),
    };
    answer_by(core, &stanza.by, &stanza.from, &reply);
}
