//! What happens to a message between its sender and the router, step by step in the order below.
//!
//! The same steps hold for messages from our clients and from other servers; the order is the text order.

use xep::policy::{Verdict, inspect};
use xmpp::stanza::StanzaError;
use xmpp::xml::{Frame, Splice};

use crate::Core;

/// Runs a message through the rules: it comes out as it is to be delivered, or not at all.
///
/// `stamp` makes what every message of its origin needs; it shares one pass over the bytes with what the rules change.
///
/// # Errors
///
/// The error that goes back to the sender.
pub(crate) fn message(core: &Core, frame: &Frame, stamp: impl FnOnce(Splice) -> Splice) -> Result<Frame, StanzaError> {
    // 1. The policy comes first: what may not be here must not be stored, counted or forwarded either.
    match inspect(frame, core.config.policy) {
        Verdict::Pass => Ok(stamp(frame.splice()).finish()),
        Verdict::Strip(drop) => Ok(stamp(frame.splice().drop_children(drop)).finish()),
        Verdict::Reject(error) => Err(error),
    }
    // 2. Archive and carbons follow here; both must see what the policy has left.
}
