//! Questions with one-line answers: are you there (XEP-0199), where you are ([`xep::address`]), and the session of old
//! clients (RFC 3921 §3).

use crate::Core;
use crate::iq::{IqKind, IqOutcome, IqRequest, IqTarget};

/// Answers them.
pub(crate) async fn handle(core: &Core, request: &IqRequest<'_>) -> IqOutcome {
    let is_ping = request.kind == IqKind::Get && request.is("ping", xep::ping::NS);
    let is_session = request.kind == IqKind::Set && request.is("session", xmpp::ns::SESSION) && request.is_local;
    match request.target {
        // an account of somebody else must not tell by its answer that it exists
        IqTarget::Account(_) if !request.is_own_account() => IqOutcome::NotMine,
        IqTarget::Server if request.kind == IqKind::Get && request.is("address", xep::address::NS) => {
            own_address(core, request)
        }
        _ if is_ping || is_session => IqOutcome::Result(None),
        _ => IqOutcome::NotMine,
    }
}

/// Tells people of this broker where it is, as its links do. Others learn it from a link that somebody gives them.
fn own_address(core: &Core, request: &IqRequest<'_>) -> IqOutcome {
    let invites = &core.config.invites;
    match invites.pin.filter(|_| request.is_local && !invites.at.is_empty()) {
        Some(pin) => IqOutcome::Result(Some(xep::address::Address { pin, at: invites.at.clone() }.to_element())),
        None => IqOutcome::NotMine,
    }
}
