//! Content under OMEMO 2: HKDF, AES-256-CBC, HMAC (XEP-0384 §4.4, §4.5, §5.5.3).

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Content, KeyMaterial, MAX_ACCEPT_BYTES, MAX_SEND_BYTES, PayloadError};
use crate::omemo::kdf::{self, MessageKeys};
use crate::{Random, Secret};

const INFO: &[u8] = b"OMEMO Payload";
const KEY_LENGTH: usize = 32;
const MAC_LENGTH: usize = 16;

/// Encrypted content.
pub struct Sealed {
    /// For the `<payload/>`.
    pub ciphertext: Vec<u8>,
    /// For the sessions: key ‖ MAC, 48 bytes.
    pub key_material: KeyMaterial,
}

/// Encrypts `plaintext` (an SCE envelope) under a fresh key.
///
/// # Errors
///
/// [`PayloadError::TooLong`].
pub fn seal(plaintext: &[u8], random: &dyn Random) -> Result<Sealed, PayloadError> {
    if plaintext.len() > MAX_SEND_BYTES {
        return Err(PayloadError::TooLong);
    }
    Ok(seal_with(&Secret::generate(random), plaintext))
}

/// The key material of an empty message: 32 zero bytes.
pub fn empty() -> KeyMaterial {
    KeyMaterial(Zeroizing::new(vec![0; KEY_LENGTH]))
}

/// Decrypts what [`seal`] made; `payload` is `None` when the message has no `<payload/>`.
///
/// # Errors
///
/// [`PayloadError::Undecryptable`]: also for an empty message with a payload and a payload's key without one.
pub fn open(key_material: &[u8], payload: Option<&[u8]>) -> Result<Content, PayloadError> {
    let Some(ciphertext) = payload else {
        let zero = bool::from(key_material.ct_eq(&[0; KEY_LENGTH]));
        return if zero { Ok(Content::Empty) } else { Err(PayloadError::Undecryptable) };
    };
    // One block of padding at most comes on top of the plaintext.
    if key_material.len() != KEY_LENGTH + MAC_LENGTH || ciphertext.len() > MAX_ACCEPT_BYTES + 16 {
        return Err(PayloadError::Undecryptable);
    }
    let (key, mac) = key_material.split_at_checked(KEY_LENGTH).ok_or(PayloadError::Undecryptable)?;
    let key = Secret::<KEY_LENGTH>::from_slice(key).ok_or(PayloadError::Undecryptable)?;
    let keys = MessageKeys::derive(key.expose(), INFO);
    let expected = truncated_mac(&keys, ciphertext);
    if !bool::from(expected.ct_eq(mac)) {
        return Err(PayloadError::Undecryptable);
    }
    let plaintext = keys.decrypt(ciphertext).map_err(|_| PayloadError::Undecryptable)?;
    Ok(Content::Plaintext(plaintext))
}

fn seal_with(key: &Secret<KEY_LENGTH>, plaintext: &[u8]) -> Sealed {
    let keys = MessageKeys::derive(key.expose(), INFO);
    let ciphertext = keys.encrypt(plaintext);
    let mut key_material = Zeroizing::new(Vec::with_capacity(KEY_LENGTH + MAC_LENGTH));
    key_material.extend_from_slice(key.expose());
    key_material.extend_from_slice(&truncated_mac(&keys, &ciphertext));
    Sealed { ciphertext, key_material: KeyMaterial(key_material) }
}

fn truncated_mac(keys: &MessageKeys, ciphertext: &[u8]) -> [u8; MAC_LENGTH] {
    let mac = kdf::hmac(keys.mac.expose(), &[ciphertext]);
    let mut truncated = [0; MAC_LENGTH];
    for (to, from) in truncated.iter_mut().zip(mac.expose()) {
        *to = *from;
    }
    truncated
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn c12_no_payload_is_decrypted_before_its_mac_has_been_checked() {
        let sealed = seal(b"words", &SeededRandom::new(1)).unwrap();
        let mut altered = sealed.ciphertext.clone();
        altered[0] ^= 1;
        let before = kdf::DECRYPT_COUNT.get();
        assert!(open(&sealed.key_material.0, Some(&altered)).is_err());
        assert_eq!(kdf::DECRYPT_COUNT.get(), before);
        assert!(open(&sealed.key_material.0, Some(&sealed.ciphertext)).is_ok());
        assert_eq!(kdf::DECRYPT_COUNT.get(), before + 1);
    }

    #[test]
    fn payload_vector() {
        let key = Secret::new(std::array::from_fn(|i| i as u8));
        let text = b"<envelope xmlns='urn:xmpp:sce:1'><content/><rpad/></envelope>";
        let sealed = seal_with(&key, text);
        assert_eq!(
            hex::encode(&sealed.ciphertext),
            "e9d48efe8bafa55e3142ff8594a8f7209afba46bf68b529895f2853e07f7071f\
             6da2feffc9e2a1fd7c74e5601c0ce9628b5486c6919a7d6d888efd57628eb84a"
        );
        assert_eq!(hex::encode(&sealed.key_material.expose()[32..]), "62a026cdaa1a0edc5aa59833a0741d2a");
        let opened = open(sealed.key_material.expose(), Some(&sealed.ciphertext));
        assert_eq!(opened, Ok(Content::Plaintext(Zeroizing::new(text.to_vec()))));
    }

    #[test]
    fn c13_payload_and_key_come_together_or_not_at_all() {
        let sealed = seal(b"text", &SeededRandom::new(1)).unwrap();
        let (key, payload) = (sealed.key_material.expose(), sealed.ciphertext.as_slice());
        let refused = Err(PayloadError::Undecryptable);
        assert_eq!(open(empty().expose(), None), Ok(Content::Empty));
        assert_eq!(open(empty().expose(), Some(payload)), refused, "empty message with payload");
        assert_eq!(open(key, None), refused, "key without payload");
        assert_eq!(open(&key[..32], None), refused, "an empty message is zero");
        assert_eq!(open(&key[..47], Some(payload)), refused, "short tag");
        assert_eq!(open(&[key, &[0]].concat(), Some(payload)), refused, "long tag");
        assert_eq!(open(key, Some(b"")), refused, "empty payload");
        assert_eq!(open(key, Some(&payload[1..])), refused, "truncated payload");
        assert_eq!(open(b"", None), refused, "nothing");
    }

    #[test]
    fn too_much_is_refused_on_both_sides() {
        let random = SeededRandom::new(1);
        assert!(seal(&vec![0; MAX_SEND_BYTES], &random).is_ok());
        assert!(matches!(seal(&vec![0; MAX_SEND_BYTES + 1], &random), Err(PayloadError::TooLong)));
        let large = seal_with(&Secret::generate(&random), &vec![0; MAX_ACCEPT_BYTES + 16]);
        let opened = open(large.key_material.expose(), Some(&large.ciphertext));
        assert_eq!(opened, Err(PayloadError::Undecryptable));
    }
}
