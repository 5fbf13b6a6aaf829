//! The content of a message: encrypted once, however many devices it is for.
//!
//! `seal` returns the ciphertext for the `<payload/>` and the [`KeyMaterial`] that each device's session carries. `open`
//! takes both together, because a payload and its key are only valid together: an empty message has no payload, a payload has
//! a key and a tag.

pub mod legacy;
pub mod omemo2;

use std::fmt;

use zeroize::Zeroizing;

/// The longest plaintext accepted from others, in bytes. Longer content goes by reference.
pub const MAX_ACCEPT_BYTES: usize = 128 * 1024;
/// The longest plaintext to send, in bytes.
pub const MAX_SEND_BYTES: usize = 64 * 1024;

/// Key and tag of a payload (or the filler of an empty message): what goes through the sessions. Erased when dropped.
pub struct KeyMaterial(Zeroizing<Vec<u8>>);

impl KeyMaterial {
    /// The bytes to hand to [`SessionSet::encrypt`](super::SessionSet::encrypt).
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// What a message says.
#[derive(PartialEq, Eq)]
pub enum Content {
    /// Nothing: it only moves the session.
    Empty,
    /// The plaintext.
    Plaintext(Zeroizing<Vec<u8>>),
}

/// Why content was not encrypted or not decrypted. One value for everything that altered bytes can cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadError {
    /// Not decryptable, or payload and key material do not belong together.
    Undecryptable,
    /// The plaintext is longer than [`MAX_SEND_BYTES`].
    TooLong,
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Undecryptable => "the content cannot be decrypted",
            Self::TooLong => "the content is too long for one message",
        })
    }
}

impl std::error::Error for PayloadError {}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Plaintext(_) => "Plaintext(<redacted>)",
        })
    }
}
