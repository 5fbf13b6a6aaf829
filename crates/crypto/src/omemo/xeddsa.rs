//! XEdDSA in libsignal's variant: Ed25519-style signatures made with an X25519 key.
//!
//! The published XEdDSA negates the private key where needed so that the public Edwards point always has sign 0. libsignal
//! keeps the point as it is and stores its sign in the top bit of the signature's last byte, which S never uses. That is
//! what legacy OMEMO bundles carry; a verifier of the published variant rejects half of them.
//!
//! Source: `signal-protocols-summary.md` §1, XEdDSA §2.

use curve25519_dalek::constants::ED25519_BASEPOINT_TABLE;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, Zeroizing};

use super::keys::IdentityKey;
use crate::Secret;

const SIGN_BIT: u8 = 0x80;

/// Signs `message` with an X25519 private key. `nonce` must be 64 fresh random bytes.
///
/// Source: XEdDSA §2.3, without the negation.
pub fn sign(private: &Secret<32>, message: &[u8], nonce: &Secret<64>) -> [u8; 64] {
    let clamped = Zeroizing::new(clamp_integer(*private.expose()));
    let mut a = Scalar::from_bytes_mod_order(*clamped);
    let public = (&a * ED25519_BASEPOINT_TABLE).compress().to_bytes();

    // hash_1 of XEdDSA §2.1: 2^256 - 2 in little-endian, which no encoded point can be.
    let mut prefix = [0xff; 32];
    prefix[0] = 0xfe;
    let mut r = wide_scalar(
        Sha512::new().chain_update(prefix).chain_update(*clamped).chain_update(message).chain_update(nonce.expose()),
    );
    let commitment = (&r * ED25519_BASEPOINT_TABLE).compress().to_bytes();
    let h = wide_scalar(Sha512::new().chain_update(commitment).chain_update(public).chain_update(message));
    let s = (r + h * a).to_bytes();
    a.zeroize();
    r.zeroize();

    let mut signature = [0u8; 64];
    for (to, from) in signature.iter_mut().zip(commitment.iter().chain(&s)) {
        *to = *from;
    }
    signature[63] |= public[31] & SIGN_BIT;
    signature
}

/// Checks a signature by the owner of `identity`, strictly: canonical S, no small-order R.
pub fn verify(identity: &IdentityKey, message: &[u8], signature: &[u8; 64]) -> bool {
    let mut plain = *signature;
    plain[63] &= !SIGN_BIT;
    identity.with_sign(sign_bit(signature)).verify(message, &plain)
}

/// The sign of the signer's Ed25519 public key, which libsignal's signatures carry along.
pub fn sign_bit(signature: &[u8; 64]) -> bool {
    signature[63] & SIGN_BIT != 0
}

fn wide_scalar(hash: Sha512) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}
