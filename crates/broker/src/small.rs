//! Questions with one-line answers: are you there (XEP-0199), and the session of old clients (RFC 3921 §3).

use crate::Core;
use crate::iq::{IqKind, IqOutcome, IqRequest, IqTarget};

/// Answers them.
pub(crate) async fn handle(_core: &Core, request: &IqRequest<'_>) -> IqOutcome {
    let is_ping = request.kind == IqKind::Get && request.is("ping", xep::ping::NS);
    let is_session = request.kind == IqKind::Set && request.is("session", xmpp::ns::SESSION) && request.is_local;
    match request.target {
        // an account of somebody else must not tell by its answer that it exists
        IqTarget::Account(_) if !request.is_own_account() => IqOutcome::NotMine,
        _ if is_ping || is_session => IqOutcome::Result(None),
        _ => IqOutcome::NotMine,
    }
}
