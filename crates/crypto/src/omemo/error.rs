//! Why something failed, one enum per job. None of them carries key bytes.

use std::fmt;

/// Why bytes are not a usable key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// Wrong length or wrong type byte.
    Malformed,
    /// Not the one encoding that the key's number has.
    NotCanonical,
    /// Not a point of the curve.
    NotOnCurve,
    /// One of the few points that make every agreement the same (small order).
    SmallOrder,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the key has a wrong length or type byte",
            Self::NotCanonical => "the key is not canonically encoded",
            Self::NotOnCurve => "the key is not a point of the curve",
            Self::SmallOrder => "the key has small order",
        })
    }
}

impl std::error::Error for KeyError {}

/// Why a bundle cannot be used to start a session: the peer (or its server) is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BundleError {
    /// One of its keys is not usable.
    Key(KeyError),
    /// The signed prekey is not signed by the identity key: an attack, or a broken publisher.
    BadSignature,
    /// It offers no one-time prekey.
    NoPrekey,
    /// It has our own identity key: a server could throw our words back at us in the name of its owner.
    OwnIdentity,
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(error) => write!(f, "a key of the bundle is not usable: {error}"),
            Self::BadSignature => f.write_str("the signed prekey is not signed by the identity key"),
            Self::NoPrekey => f.write_str("the bundle offers no one-time prekey"),
            Self::OwnIdentity => f.write_str("the bundle has our own identity key"),
        }
    }
}

impl std::error::Error for BundleError {}

impl From<KeyError> for BundleError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

/// Why nothing was encrypted: the caller is at fault, or the session is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncryptError {
    /// There is no session to encrypt with: fetch the bundle and start one.
    NoSession,
    /// The key material is longer than [`MAX_KEY_MATERIAL_BYTES`](super::MAX_KEY_MATERIAL_BYTES).
    TooLong,
}

impl fmt::Display for EncryptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSession => "there is no session with this device",
            Self::TooLong => "the key material is too long for one message",
        })
    }
}

impl std::error::Error for EncryptError {}

/// Why a message was not decrypted.
///
/// Everything that an attacker can cause by altering bytes is one and the same value: malformed framing, wrong MAC, bad
/// padding, unknown session or prekey, replay, counter too far ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecryptError {
    /// Not decryptable. Nothing has changed.
    Undecryptable,
    /// The message is authentic for the identity key it names, but that is not the pinned one. Nothing has changed.
    IdentityChanged {
        /// The identity key that the message proved to come from.
        claimed: super::IdentityKey,
    },
}

impl fmt::Display for DecryptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Undecryptable => "the message cannot be decrypted",
            Self::IdentityChanged { .. } => "the message comes from another identity key than the pinned one",
        })
    }
}

impl std::error::Error for DecryptError {}

/// Why stored bytes are not a device or a session set: the store is at fault, or they were written by a newer version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateError {
    /// Not what this crate writes.
    Corrupt,
    /// Written by a version of this crate that this one does not know.
    UnknownVersion {
        /// The version found.
        found: u32,
    },
    /// The session set belongs to the other profile.
    WrongProfile,
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt => f.write_str("the stored state is corrupt"),
            Self::UnknownVersion { found } => write!(f, "the stored state has the unknown version {found}"),
            Self::WrongProfile => f.write_str("the stored state belongs to another profile"),
        }
    }
}

impl std::error::Error for StateError {}

/// The internal form of [`DecryptError::Undecryptable`]: carries no reason on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undecryptable;

impl From<Undecryptable> for DecryptError {
    fn from(_: Undecryptable) -> Self {
        Self::Undecryptable
    }
}
