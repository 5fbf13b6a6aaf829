//! Public and private keys of the two curve forms, checked when they are made.
//!
//! An identity key pair is stored as an Ed25519 seed and converted for X25519 (RFC 7748 §4.1). Every key that comes from
//! outside is checked once, in the constructors here: canonical encoding, a point of the curve, not of small order.

use std::fmt;

use curve25519_dalek::montgomery::MontgomeryPoint;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroize;

use super::error::KeyError;
use super::xeddsa;
use crate::{Random, Secret};

/// The type byte of libsignal's 33-byte public keys (`DJB_TYPE`).
const LEGACY_TYPE: u8 = 0x05;

/// The public identity key of a device.
///
/// Two keys are equal when their Montgomery forms are: that is the form both profiles know, and the one to pin.
#[derive(Clone, Copy)]
pub struct IdentityKey {
    montgomery: [u8; 32],
    /// Known when the key came in Ed25519 form; the Montgomery form lacks the sign.
    ed25519: Option<[u8; 32]>,
}

impl IdentityKey {
    /// Checks an Ed25519 public key, the form of OMEMO 2.
    ///
    /// # Errors
    ///
    /// [`KeyError`], when the bytes are not the canonical encoding of a point, or the point has small order.
    pub fn from_ed25519(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotOnCurve)?;
        let point = key.to_edwards();
        if point.compress().to_bytes() != *bytes {
            return Err(KeyError::NotCanonical);
        }
        if point.is_small_order() {
            return Err(KeyError::SmallOrder);
        }
        Ok(Self { montgomery: key.to_montgomery().to_bytes(), ed25519: Some(*bytes) })
    }

    /// Checks an X25519 public key, the form of the legacy profile without its type byte.
    ///
    /// # Errors
    ///
    /// [`KeyError`], as for [`IdentityKey::from_ed25519`].
    pub fn from_montgomery(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        RatchetKey::from_bytes(bytes)?;
        // The twist has no Ed25519 form, so nothing could ever verify a signature of such a key.
        let point = MontgomeryPoint(*bytes).to_edwards(0).ok_or(KeyError::NotOnCurve)?;
        if point.is_small_order() {
            return Err(KeyError::SmallOrder);
        }
        Ok(Self { montgomery: *bytes, ed25519: None })
    }

    /// Checks a 33-byte legacy public key (`0x05 ‖ u`).
    ///
    /// # Errors
    ///
    /// [`KeyError`], as for [`IdentityKey::from_ed25519`], and when length or type byte are wrong.
    pub fn from_legacy(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::from_montgomery(strip_type(bytes)?)
    }

    /// The Montgomery u-coordinate: what to pin, to compare and to show, the same under both profiles.
    pub fn montgomery(&self) -> &[u8; 32] {
        &self.montgomery
    }

    /// The 33-byte legacy form (`0x05 ‖ u`).
    pub fn to_legacy(&self) -> [u8; 33] {
        add_type(&self.montgomery)
    }

    /// The Ed25519 form, when it is known.
    pub fn ed25519(&self) -> Option<&[u8; 32]> {
        self.ed25519.as_ref()
    }

    /// The Ed25519 form that has the given sign bit, whether it was known before or not.
    ///
    /// A legacy key lacks the sign; libsignal's signatures carry it ([`xeddsa::sign_bit`]), and keys made by this crate
    /// always have sign 0.
    pub fn with_sign(&self, sign: bool) -> Self {
        let ed25519 =
            MontgomeryPoint(self.montgomery).to_edwards(u8::from(sign)).map(|point| point.compress().to_bytes());
        Self { montgomery: self.montgomery, ed25519 }
    }

    /// Checks an Ed25519 signature strictly: canonical S, no small-order R, the cofactorless equation (RFC 8032 §5.1.7).
    /// `false` when the Ed25519 form is unknown.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.ed25519
            .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
            .is_some_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }
}

impl PartialEq for IdentityKey {
    fn eq(&self, other: &Self) -> bool {
        self.montgomery == other.montgomery
    }
}

impl Eq for IdentityKey {}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityKey(<redacted>)")
    }
}

/// An X25519 public key: a prekey, an ephemeral or a ratchet key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RatchetKey([u8; 32]);

impl RatchetKey {
    /// Checks that `bytes` are the canonical encoding of a u-coordinate.
    ///
    /// Small order is not looked for here: every agreement refuses a result without contribution, which is the same check
    /// where it matters.
    ///
    /// # Errors
    ///
    /// [`KeyError::NotCanonical`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        // The field's prime is 2^255 - 19; in little-endian bytes ed ff … ff 7f.
        let [first, middle @ .., last] = bytes;
        let at_least_prime = *last >= 0x80 || (*last == 0x7f && middle.iter().all(|b| *b == 0xff) && *first >= 0xed);
        if at_least_prime { Err(KeyError::NotCanonical) } else { Ok(Self(*bytes)) }
    }

    /// Checks a byte string of OMEMO 2.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::from_bytes(bytes.try_into().map_err(|_| KeyError::Malformed)?)
    }

    /// Checks a 33-byte legacy key (`0x05 ‖ u`).
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    pub fn from_legacy(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::from_bytes(strip_type(bytes)?)
    }

    /// The u-coordinate.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 33-byte legacy form (`0x05 ‖ u`).
    pub fn to_legacy(&self) -> [u8; 33] {
        add_type(&self.0)
    }
}

impl fmt::Debug for RatchetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RatchetKey(<redacted>)")
    }
}

fn strip_type(bytes: &[u8]) -> Result<&[u8; 32], KeyError> {
    match bytes.split_first() {
        Some((&LEGACY_TYPE, key)) => key.try_into().map_err(|_| KeyError::Malformed),
        _ => Err(KeyError::Malformed),
    }
}

fn add_type(key: &[u8; 32]) -> [u8; 33] {
    let mut out = [LEGACY_TYPE; 33];
    for (to, from) in out.iter_mut().skip(1).zip(key) {
        *to = *from;
    }
    out
}

/// An X25519 key pair.
pub(super) struct DhPair {
    secret: Secret<32>,
    public: RatchetKey,
}

impl DhPair {
    pub(super) fn generate(random: &dyn Random) -> Self {
        Self::from_secret(Secret::generate(random))
    }

    pub(super) fn from_secret(secret: Secret<32>) -> Self {
        let public = PublicKey::from(&StaticSecret::from(*secret.expose()));
        Self { secret, public: RatchetKey(public.to_bytes()) }
    }

    pub(super) fn secret(&self) -> &Secret<32> {
        &self.secret
    }

    pub(super) fn public(&self) -> RatchetKey {
        self.public
    }

    pub(super) fn duplicate(&self) -> Self {
        Self { secret: self.secret.duplicate(), public: self.public }
    }

    /// X25519. `None` when the other key has small order: the result would not depend on our secret (RFC 7748 §6.1).
    pub(super) fn agree(&self, their: &[u8; 32]) -> Option<Secret<32>> {
        let shared = StaticSecret::from(*self.secret.expose()).diffie_hellman(&PublicKey::from(*their));
        shared.was_contributory().then(|| Secret::new(shared.to_bytes()))
    }
}

/// The private identity of a device: an Ed25519 seed whose public key has sign bit 0.
pub(super) struct IdentityKeyPair {
    seed: Secret<32>,
    /// The X25519 form of the seed: the clamped scalar and its u-coordinate.
    agreement: DhPair,
    public: IdentityKey,
}

impl IdentityKeyPair {
    /// Draws seeds until the Ed25519 public key has sign bit 0: a deployed OMEMO 2 client rejects the other half.
    pub(super) fn generate(random: &dyn Random) -> Self {
        loop {
            let pair = Self::from_seed(Secret::generate(random));
            if pair.public.ed25519.is_some_and(|[.., last]| last & 0x80 == 0) {
                return pair;
            }
        }
    }

    pub(super) fn from_seed(seed: Secret<32>) -> Self {
        let signing = SigningKey::from_bytes(seed.expose());
        let mut scalar = signing.to_scalar_bytes();
        // Clamped here so that XEdDSA can use it as it is; X25519 would clamp by itself.
        let clamped = curve25519_dalek::scalar::clamp_integer(scalar);
        scalar.zeroize();
        let agreement = DhPair::from_secret(Secret::new(clamped));
        let public =
            IdentityKey { montgomery: *agreement.public.as_bytes(), ed25519: Some(signing.verifying_key().to_bytes()) };
        Self { seed, agreement, public }
    }

    pub(super) fn seed(&self) -> &Secret<32> {
        &self.seed
    }

    pub(super) fn public(&self) -> &IdentityKey {
        &self.public
    }

    pub(super) fn agree(&self, their: &RatchetKey) -> Option<Secret<32>> {
        self.agreement.agree(their.as_bytes())
    }

    /// A plain Ed25519 signature, as OMEMO 2 has it.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        SigningKey::from_bytes(self.seed.expose()).sign(message).to_bytes()
    }

    /// A signature by the X25519 form, as the legacy profile has it.
    pub(super) fn sign_legacy(&self, message: &[u8], random: &dyn Random) -> [u8; 64] {
        xeddsa::sign(self.agreement.secret(), message, &Secret::generate(random))
    }
}
