//! [`MasterKey`]: the one key of a store, and what is derived from it.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{BlindIndex, Sealer};
use crate::{Random, Secret};

/// The key that everything in one store hangs from; a broker's master key, a client's profile key.
///
/// It is never used itself, only its subkeys by HKDF-SHA256 (salt 0³²).
///
/// Source: security design §3.1.
pub struct MasterKey(Secret<32>);

impl MasterKey {
    /// Draws a new master key.
    pub fn generate(random: &dyn Random) -> Self {
        Self(Secret::generate(random))
    }

    /// Takes a master key out of a key slot.
    pub fn new(key: Secret<32>) -> Self {
        Self(key)
    }

    /// Derives the key that seals values ("rec").
    pub fn sealer(&self) -> Sealer {
        Sealer::under_master(&subkey(&self.0, b"rec"))
    }

    /// Derives the key that hides names ("bidx").
    pub fn blind_index(&self) -> BlindIndex {
        BlindIndex::new(&subkey(&self.0, b"bidx"))
    }

    /// Makes up the SCRAM salt of an account that does not exist: always the same one for the same `name`, so that
    /// nobody can tell it from a real one by asking twice ("fakesalt").
    pub fn fake_salt(&self, name: &[u8]) -> [u8; 16] {
        let key = subkey(&self.0, b"fakesalt");
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).expect("HMAC takes a key of any length");
        mac.update(name);
        let mut salt = [0; 16];
        for (to, from) in salt.iter_mut().zip(mac.finalize().into_bytes()) {
            *to = from;
        }
        salt
    }

    pub(super) fn secret(&self) -> &Secret<32> {
        &self.0
    }
}

/// HKDF-SHA256 of `key` with salt 0³² and no more input than `info`.
pub(super) fn subkey(key: &Secret<32>, info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut subkey = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, key.expose().as_slice())
        .expand(info, subkey.as_mut_slice())
        .expect("32 bytes are far below the limit of HKDF, 255 hashes");
    subkey
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fake_salt_is_stable_and_depends_on_the_name_and_the_key() {
        let key = MasterKey::new(Secret::new([1; 32]));
        let other = MasterKey::new(Secret::new([2; 32]));
        assert_eq!(key.fake_salt(b"alice"), key.fake_salt(b"alice"));
        assert_ne!(key.fake_salt(b"alice"), key.fake_salt(b"bob"));
        assert_ne!(key.fake_salt(b"alice"), other.fake_salt(b"alice"));
    }

    /// Computed by a program of its own, in another language: what is on people's disks must stay findable.
    #[test]
    fn subkeys_are_what_the_design_says() {
        let key = MasterKey::new(Secret::new([5; 32]));
        assert_eq!(hex::encode(key.fake_salt(b"alice")), "cf82b7db04c6398775c1d90d2643b746");
        assert_eq!(hex::encode(key.blind_index().hash(3, &[b"ab", b"c"])), "b933e86a2d709ecbfaa0543a48c0785f");
    }
}
