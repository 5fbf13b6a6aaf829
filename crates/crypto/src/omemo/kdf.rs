//! The key derivations that both profiles share, and the ratchet's own cipher.
//!
//! Source: XEP-0384 §4.3 (`KDF_RK`, `KDF_CK`, `ENCRYPT`); legacy differs in the `info` strings and MAC length only.

use aes::Aes256;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::error::Undecryptable;
use crate::Secret;

/// HKDF-SHA-256 to 32 bytes, twice: where a root step needs both a new root and a chain.
pub(super) fn root_step(root: &Secret<32>, shared: &Secret<32>, info: &[u8]) -> (Secret<32>, Secret<32>) {
    let mut okm = Zeroizing::new([0u8; 64]);
    expand(root.expose(), shared.expose(), info, okm.as_mut_slice());
    let (new_root, chain) = okm.split_at(32);
    (copy(new_root), copy(chain))
}

#[cfg(test)]
thread_local! {
    /// How many chain steps this thread has made, for tests of the bounds.
    pub(super) static STEP_COUNT: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    /// How many ciphertexts this thread has decrypted, for the tests that none is before its MAC has been checked.
    pub(super) static DECRYPT_COUNT: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// One step of a message chain: the message key and the next chain key.
pub(super) fn chain_step(chain: &Secret<32>) -> (Secret<32>, Secret<32>) {
    #[cfg(test)]
    STEP_COUNT.set(STEP_COUNT.get() + 1);
    (hmac(chain.expose(), &[&[0x01]]), hmac(chain.expose(), &[&[0x02]]))
}

/// HKDF-SHA-256 with a salt of 32 zero bytes, to 32 bytes (the X3DH secret).
pub(super) fn derive_secret(input: &[u8], info: &[u8]) -> Secret<32> {
    let mut secret = Secret::new([0; 32]);
    expand(&[0; 32], input, info, secret.expose_mut());
    secret
}

/// HMAC-SHA-256 over the concatenation of `parts`.
pub(super) fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> Secret<32> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    Secret::new(mac.finalize().into_bytes().into())
}

/// What one message key expands to: cipher key, MAC key and IV.
pub(super) struct MessageKeys {
    cipher: Secret<32>,
    pub(super) mac: Secret<32>,
    iv: Secret<16>,
}

impl MessageKeys {
    /// HKDF-SHA-256 with a zero salt to 80 bytes, split 32 + 32 + 16.
    pub(super) fn derive(key: &[u8; 32], info: &[u8]) -> Self {
        let mut okm = Zeroizing::new([0u8; 80]);
        expand(&[0; 32], key, info, okm.as_mut_slice());
        let (cipher, rest) = okm.split_at(32);
        let (mac, iv) = rest.split_at(32);
        Self { cipher: copy(cipher), mac: copy(mac), iv: copy(iv) }
    }

    /// AES-256-CBC with PKCS#7 padding.
    pub(super) fn encrypt(&self, plaintext: &[u8]) -> Vec<u8> {
        cbc::Encryptor::<Aes256>::new(self.cipher.expose().into(), self.iv.expose().into())
            .encrypt_padded_vec::<Pkcs7>(plaintext)
    }

    /// The reverse of [`MessageKeys::encrypt`]. Only ever called on bytes whose MAC has been checked.
    pub(super) fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, Undecryptable> {
        #[cfg(test)]
        DECRYPT_COUNT.set(DECRYPT_COUNT.get() + 1);
        cbc::Decryptor::<Aes256>::new(self.cipher.expose().into(), self.iv.expose().into())
            .decrypt_padded_vec::<Pkcs7>(ciphertext)
            .map(Zeroizing::new)
            .map_err(|_| Undecryptable)
    }
}

fn expand(salt: &[u8; 32], input: &[u8], info: &[u8], output: &mut [u8]) {
    Hkdf::<Sha256>::new(Some(salt), input)
        .expand(info, output)
        .expect("HKDF-SHA-256 yields up to 8160 bytes, and at most 80 are asked for");
}

fn copy<const N: usize>(bytes: &[u8]) -> Secret<N> {
    Secret::from_slice(bytes).expect("the caller splits a fixed array")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting<const N: usize>(from: u8) -> [u8; N] {
        std::array::from_fn(|i| from + i as u8)
    }

    #[test]
    fn kdf_ck_vector() {
        let (message, chain) = chain_step(&Secret::new(counting(0)));
        assert_eq!(hex::encode(message.expose()), "9b4c8120a4823a95f47cde17a244f4507244ee6e3957d1fab9fa29b44d3829b7");
        assert_eq!(hex::encode(chain.expose()), "4304c22c84a53755ab08ead8d97a8d429be5efa480682d7ad1da27f73e1fbe1d");
    }

    #[test]
    fn kdf_rk_vector() {
        let (root, chain) = root_step(&Secret::new(counting(0)), &Secret::new(counting(0x20)), b"OMEMO Root Chain");
        assert_eq!(hex::encode(root.expose()), "2fbe579f01132bf210d06bff40cb1603f1246281a78907a2dca43f7bf86415eb");
        assert_eq!(hex::encode(chain.expose()), "098895adc1a352cf2d6db6a44eef9f968b2ed13408ad7f9dfd36a7890f80cac1");
    }
}
