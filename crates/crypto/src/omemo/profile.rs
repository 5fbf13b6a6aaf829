//! [`Profile`]: what differs between the two OMEMO versions, and nothing else.

use super::error::{KeyError, Undecryptable};
use super::keys::{IdentityKey, IdentityKeyPair, RatchetKey};
use crate::Random;

/// Which version of OMEMO: for tables, logs and choices at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProfileId {
    /// `eu.siacs.conversations.axolotl`, XEP-0384 0.3.0.
    Legacy,
    /// `urn:xmpp:omemo:2`.
    Omemo2,
}

/// A version of OMEMO, as a type: [`Legacy`](super::Legacy) or [`Omemo2`](super::Omemo2). Sealed.
#[expect(private_bounds, reason = "the rules are this crate's own business; the bound seals the trait")]
pub trait Profile: Rules {
    /// The same as a value.
    const ID: ProfileId;
}

/// Who of the two began the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Initiator,
    Responder,
}

impl Role {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}

/// The header of a ratchet message.
#[derive(Clone, Copy)]
pub(super) struct Header {
    pub(super) ratchet: RatchetKey,
    /// The message's number in its chain.
    pub(super) counter: u32,
    /// The length of the sender's chain before this one.
    pub(super) previous: u32,
}

/// A ratchet message taken apart, nothing of it verified yet.
pub(super) struct Framed<'a> {
    pub(super) header: Header,
    pub(super) ciphertext: &'a [u8],
    /// The bytes that the MAC covers, after the associated data.
    pub(super) authenticated: &'a [u8],
    /// The truncated MAC; its length is the profile's.
    pub(super) mac: &'a [u8],
}

/// What a key exchange says besides the message inside it.
#[derive(Clone, Copy)]
pub(super) struct Exchange {
    pub(super) identity: IdentityKey,
    pub(super) ephemeral: RatchetKey,
    pub(super) prekey_id: u32,
    pub(super) signed_prekey_id: u32,
}

/// The rules of a profile, over bytes.
pub(super) trait Rules: 'static {
    const X3DH_INFO: &'static [u8];
    const ROOT_INFO: &'static [u8];
    const MESSAGE_INFO: &'static [u8];

    /// The identity key as associated data and key exchanges carry it. `None` when the needed form is unknown.
    fn identity_bytes(key: &IdentityKey) -> Option<Vec<u8>>;
    fn parse_identity(bytes: &[u8]) -> Result<IdentityKey, KeyError>;
    /// A prekey as bundles carry it, and as it is signed.
    fn prekey_bytes(key: &RatchetKey) -> Vec<u8>;
    fn parse_prekey(bytes: &[u8]) -> Result<RatchetKey, KeyError>;
    fn sign_prekey(identity: &IdentityKeyPair, prekey: &RatchetKey, random: &dyn Random) -> [u8; 64];
    /// Whether `identity` signed the prekey.
    fn verify_prekey(identity: &IdentityKey, prekey: &RatchetKey, signature: &[u8; 64]) -> bool;

    /// The associated data of a message, from both identities as [`Rules::identity_bytes`] gives them.
    fn associated_data(initiator: &[u8], responder: &[u8], sender: Role) -> Vec<u8>;
    /// Frames a message; `mac` computes the full MAC over what the profile authenticates.
    fn frame(header: &Header, ciphertext: Vec<u8>, mac: impl FnOnce(&[u8]) -> [u8; 32]) -> Vec<u8>;
    fn parse(bytes: &[u8]) -> Result<Framed<'_>, Undecryptable>;
    /// Frames a key exchange around a message. `None` when the identity's needed form is unknown.
    fn frame_exchange(exchange: &Exchange, sender_device: u32, message: Vec<u8>) -> Option<Vec<u8>>;
    fn parse_exchange(bytes: &[u8]) -> Result<(Exchange, &[u8]), Undecryptable>;
}
