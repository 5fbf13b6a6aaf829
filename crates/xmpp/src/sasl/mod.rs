//! SASL: proving a password without showing it (RFC 5802, RFC 7677).
//!
//! This module knows the SCRAM messages, their cryptography, which mechanism to choose, and how both
//! ends notice that somebody between them edited the offer. It works on plain strings and bytes: it
//! does not know XML or base64 framing (that is [`crate::stream`]), accounts, or storage.
//!
//! | a question | the answer lives in |
//! |---|---|
//! | what a server stores, how a password becomes keys | [`ScramVerifier`], [`ScramKeys`] |
//! | the broker's side of an exchange | [`server`] |
//! | the client's side | [`client`] |
//! | which mechanism, which channel binding | [`select`] |
//! | what ties the login to this TLS connection | [`channel_binding`] |
//! | was the offer edited on the way | [`Offer`] (XEP-0474, XEP-0515) |
//!
//! Deliberately absent: PLAIN, DIGEST-MD5, ANONYMOUS, and every other mechanism that shows the password
//! or does not prove the server. There is nothing to fall back to, hence nothing to be forced down to.

pub mod channel_binding;
pub mod client;
mod error;
mod keys;
mod message;
mod offer;
mod password;
pub mod select;
pub mod server;
#[cfg(test)]
mod tests;

pub use channel_binding::{BindingType, ChannelBindings};
pub use error::{ExchangeError, SaslCondition};
pub use keys::{ClientKey, Credential, DEFAULT_ITERATIONS, ScramKeys, ScramVerifier, VerifierKeys};
pub use offer::{Offer, TlsVersion};
pub use password::{PasswordError, PasswordForm, PasswordForms};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The hash functions that our SCRAM mechanisms are built on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hash {
    /// SHA-1, 20 bytes: for clients that know nothing newer. HMAC-SHA-1 itself is not broken.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
}

impl Hash {
    /// Both, strongest first.
    pub const ALL: [Hash; 2] = [Hash::Sha256, Hash::Sha1];

    /// The length of its output in bytes.
    pub const fn len_bytes(self) -> usize {
        match self {
            Hash::Sha1 => 20,
            Hash::Sha256 => 32,
        }
    }

    /// The name of the SCRAM mechanism without channel binding, as on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Hash::Sha1 => "SCRAM-SHA-1",
            Hash::Sha256 => "SCRAM-SHA-256",
        }
    }

    fn digest(self, input: &[u8]) -> Digest {
        match self {
            Hash::Sha1 => Digest::from_output(&Sha1::digest(input)),
            Hash::Sha256 => Digest::from_output(&Sha256::digest(input)),
        }
    }

    fn hmac(self, key: &[u8], input: &[u8]) -> Digest {
        const ANY_KEY: &str = "HMAC accepts keys of any length (RFC 2104 section 2)";
        match self {
            Hash::Sha1 => {
                let mut mac = Hmac::<Sha1>::new_from_slice(key).expect(ANY_KEY);
                mac.update(input);
                Digest::from_output(&mac.finalize().into_bytes())
            }
            Hash::Sha256 => {
                let mut mac = Hmac::<Sha256>::new_from_slice(key).expect(ANY_KEY);
                mac.update(input);
                Digest::from_output(&mac.finalize().into_bytes())
            }
        }
    }

    /// `Hi()` of RFC 5802 §2.2, which is PBKDF2 with one block of output.
    fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Digest {
        let mut out = Digest::zero(self);
        match self {
            Hash::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, out.as_mut()),
            Hash::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, out.as_mut()),
        }
        out
    }
}

/// A SCRAM mechanism: a hash, with or without channel binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mechanism {
    /// The hash it is built on.
    pub hash: Hash,
    /// Whether it is the `-PLUS` variant, which binds the login to the TLS connection.
    pub plus: bool,
}

impl Mechanism {
    /// All mechanisms, in the order in which a client prefers them.
    pub const ALL: [Mechanism; 4] = [
        Mechanism { hash: Hash::Sha256, plus: true },
        Mechanism { hash: Hash::Sha256, plus: false },
        Mechanism { hash: Hash::Sha1, plus: true },
        Mechanism { hash: Hash::Sha1, plus: false },
    ];

    /// Recognises a mechanism by its name on the wire; `None` for any we do not speak.
    pub fn parse(name: &str) -> Option<Mechanism> {
        Mechanism::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    /// Its registered name.
    pub const fn name(self) -> &'static str {
        match (self.hash, self.plus) {
            (hash, false) => hash.name(),
            (Hash::Sha1, true) => "SCRAM-SHA-1-PLUS",
            (Hash::Sha256, true) => "SCRAM-SHA-256-PLUS",
        }
    }
}

/// The output of one of the hashes. Wiped when dropped, compared in constant time, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct Digest {
    bytes: [u8; 32],
    len: usize,
}

impl Digest {
    fn zero(hash: Hash) -> Digest {
        Digest { bytes: [0; 32], len: hash.len_bytes() }
    }

    fn from_output(output: &[u8]) -> Digest {
        let mut bytes = [0; 32];
        for (slot, byte) in bytes.iter_mut().zip(output) {
            *slot = *byte;
        }
        Digest { bytes, len: output.len().min(32) }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }

    fn as_mut(&mut self) -> &mut [u8] {
        let len = self.len.min(32);
        self.bytes.split_at_mut(len).0
    }

    /// XOR with bytes of the same length; what is longer than either is left out.
    fn xor(&self, other: &[u8]) -> Digest {
        let mut result = self.clone();
        for (slot, byte) in result.as_mut().iter_mut().zip(other) {
            *slot ^= byte;
        }
        result
    }

    fn ct_eq(&self, other: &[u8]) -> bool {
        use subtle::ConstantTimeEq;
        self.as_bytes().ct_eq(other).into()
    }
}
