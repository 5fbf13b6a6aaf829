//! Stanza content encryption (XEP-0420): the envelope that OMEMO 2 encrypts, and what may stand where.
//!
//! An envelope carries everything that people say, plus who says it to whom and when, so that a server can neither
//! redirect nor repeat it. It is padded to size classes. [`Envelope::to_bytes`] writes it; [`open`] reads it and
//! checks it against the stanza that carried it; [`Opened::restore`] makes the stanza that the sender meant: what was
//! inside, plus the little that is believed outside.
//!
//! Lacks: the encryption, and what to do about a wrong clock (the caller shows both times).

mod affix;
mod envelope;
mod placement;

pub use affix::recipients_hash;
pub use envelope::{Arrival, Envelope, EnvelopeError, Expected, Opened, TimeVerdict, open};
pub use placement::{allowed_inside, allowed_outside, restore};

use crate::{Claim, Status};

/// Namespace of the envelope.
pub const NS: &str = "urn:xmpp:sce:1";
/// Namespace of our own affix `<wx/>`.
pub const NS_WX: &str = "urn:waxwing:e2ee:0";

/// What this module claims.
pub const CLAIM: Claim = Claim { xep: 420, version: "0.5.0", status: Status::Partial, features: &[NS] };

/// The largest envelope that is sent, padding included (security-design §6). Larger content goes by reference.
pub const SEND_BYTES_MAX: usize = 64 * 1024;
/// The largest envelope that is accepted.
pub const ACCEPT_BYTES_MAX: usize = 128 * 1024;

/// The smallest size class that holds `len` bytes: 256, 512, … 8192, then multiples of 8192 (security-design §2.5).
#[must_use]
pub fn size_class(len: usize) -> usize {
    match len {
        0..=256 => 256,
        257..=8192 => len.next_power_of_two(),
        _ => len.div_ceil(8192).saturating_mul(8192),
    }
}

#[cfg(test)]
mod tests;
