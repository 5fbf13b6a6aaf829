//! [`Bundle`]: what a device publishes so that others can start sessions with it.

use std::marker::PhantomData;

use super::error::BundleError;
use super::keys::{IdentityKey, RatchetKey};
use super::profile::Profile;

/// The byte strings of a published bundle, before base64 and in no way checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedBundle {
    /// The identity key: Ed25519 (32 bytes) for OMEMO 2, `0x05 ‖ u` (33 bytes) for legacy.
    pub identity_key: Vec<u8>,
    /// The signed prekey and its id.
    pub signed_prekey: PublishedPrekey,
    /// The identity key's signature of the signed prekey's bytes, 64 bytes.
    pub signature: Vec<u8>,
    /// The one-time prekeys.
    pub prekeys: Vec<PublishedPrekey>,
}

/// One prekey of a [`PublishedBundle`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPrekey {
    /// What a key exchange names the key by.
    pub id: u32,
    /// The public key: 32 bytes for OMEMO 2, 33 for legacy.
    pub key: Vec<u8>,
}

/// A bundle whose keys are well-formed and whose signature has been verified: only [`Bundle::parse`] makes one.
pub struct Bundle<P> {
    pub(super) identity: IdentityKey,
    pub(super) signed_prekey: (u32, RatchetKey),
    pub(super) prekeys: Vec<(u32, RatchetKey)>,
    profile: PhantomData<P>,
}

impl<P: Profile> Bundle<P> {
    /// Checks a bundle: every key, the signature, and that there is a one-time prekey.
    ///
    /// # Errors
    ///
    /// [`BundleError`]. A bad signature is an attack and must not be ignored.
    pub fn parse(published: &PublishedBundle) -> Result<Self, BundleError> {
        let identity = P::parse_identity(&published.identity_key)?;
        let signed_prekey = P::parse_prekey(&published.signed_prekey.key)?;
        let signature = published.signature.as_slice().try_into().map_err(|_| BundleError::BadSignature)?;
        if !P::verify_prekey(&identity, &signed_prekey, signature) {
            return Err(BundleError::BadSignature);
        }
        let prekeys = published
            .prekeys
            .iter()
            .map(|prekey| Ok((prekey.id, P::parse_prekey(&prekey.key)?)))
            .collect::<Result<Vec<_>, BundleError>>()?;
        if prekeys.is_empty() {
            return Err(BundleError::NoPrekey);
        }
        Ok(Self { identity, signed_prekey: (published.signed_prekey.id, signed_prekey), prekeys, profile: PhantomData })
    }

    /// Whose bundle it is: compare this with the pinned key before starting a session.
    pub fn identity(&self) -> &IdentityKey {
        &self.identity
    }
}
