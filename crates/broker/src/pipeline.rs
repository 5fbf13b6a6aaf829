//! What happens to a message between its sender and the router, step by step in the order below.
//!
//! The same steps hold for messages from our clients and from other servers; the order is the text order.

use xep::policy::testimony::{self, Parties};
use xep::policy::{Verdict, inspect};
use xmpp::jid::Jid;
use xmpp::stanza::StanzaError;
use xmpp::xml::{Frame, Splice};

use crate::Core;

/// Where a stanza comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A client of ours.
    Client,
    /// Another server.
    Server,
}

/// Runs a message through the rules: it comes out as it is to be delivered, or not at all.
///
/// `stamp` makes what every message of its origin needs; it shares one pass over the bytes with what the rules change.
///
/// # Errors
///
/// The error that goes back to the sender.
pub(crate) fn message(
    core: &Core,
    frame: &Frame,
    (from, to): (&Jid, &Jid),
    origin: Origin,
    stamp: impl FnOnce(Splice) -> Splice,
) -> Result<Frame, StanzaError> {
    // 1. The policy comes first: what may not be here must not be stored, counted or forwarded either.
    let splice = match inspect(frame, core.config.policy) {
        Verdict::Pass => frame.splice(),
        Verdict::Strip(drop) => frame.splice().drop_children(drop),
        Verdict::Reject(error) => return Err(error),
    };
    // 2. What is said in the server's name, before anything is said in it.
    Ok(stamp(true_words(core, frame, splice, (from, to), origin)).finish())
    // 3. Archive and carbons follow here; both must see what the policy has left.
}

/// Removes from a message or presence what its sender says in the name of the server (attack row X07).
pub(crate) fn true_words(
    core: &Core,
    frame: &Frame,
    splice: Splice,
    (from, to): (&Jid, &Jid),
    origin: Origin,
) -> Splice {
    let is_ours = |domain: &str| core.is_own_domain(domain);
    testimony::without_false(
        frame,
        splice,
        Parties { from, from_server: origin == Origin::Server, to, is_ours: &is_ours },
    )
}
