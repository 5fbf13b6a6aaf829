//! X3DH: the secret that two devices agree on while one of them is away.
//!
//! Source: XEP-0384 §4.2, `signal-protocols-summary.md` §2. A one-time prekey is always part of it.

use zeroize::Zeroizing;

use super::kdf;
use super::keys::{DhPair, IdentityKey, IdentityKeyPair, RatchetKey};
use super::profile::Rules;
use crate::Secret;

/// The initiator's side. `None` when one of the peer's keys has small order.
pub(super) fn initiate<P: Rules>(
    identity: &IdentityKeyPair,
    ephemeral: &DhPair,
    peer: &IdentityKey,
    signed_prekey: &RatchetKey,
    prekey: &RatchetKey,
) -> Option<Secret<32>> {
    Some(derive::<P>([
        identity.agree(signed_prekey)?,
        ephemeral.agree(peer.montgomery())?,
        ephemeral.agree(signed_prekey.as_bytes())?,
        ephemeral.agree(prekey.as_bytes())?,
    ]))
}

/// The responder's side. `None` when one of the peer's keys has small order.
pub(super) fn respond<P: Rules>(
    identity: &IdentityKeyPair,
    signed_prekey: &DhPair,
    prekey: &DhPair,
    peer: &IdentityKey,
    ephemeral: &RatchetKey,
) -> Option<Secret<32>> {
    Some(derive::<P>([
        signed_prekey.agree(peer.montgomery())?,
        identity.agree(ephemeral)?,
        signed_prekey.agree(ephemeral.as_bytes())?,
        prekey.agree(ephemeral.as_bytes())?,
    ]))
}

/// HKDF over 32 bytes 0xFF and the four results: the prefix keeps the input apart from any encoded point.
fn derive<P: Rules>(agreements: [Secret<32>; 4]) -> Secret<32> {
    let mut input = Zeroizing::new(Vec::with_capacity(5 * 32));
    input.extend_from_slice(&[0xff; 32]);
    for agreement in &agreements {
        input.extend_from_slice(agreement.expose());
    }
    kdf::derive_secret(&input, P::X3DH_INFO)
}
