//! Content under the legacy profile: AES-128-GCM, whose tag travels with the key (`omemo-legacy-wire-notes.md` 2, 4).

use aes::Aes128;
use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, AesGcm, KeyInit};
use zeroize::Zeroizing;

use super::{Content, KeyMaterial, MAX_ACCEPT_BYTES, MAX_SEND_BYTES, PayloadError};
use crate::{Random, Secret};

const KEY_LENGTH: usize = 16;
const TAG_LENGTH: usize = 16;

/// Encrypted content.
pub struct Sealed {
    /// For the `<payload/>`.
    pub ciphertext: Vec<u8>,
    /// For the `<iv/>`.
    pub iv: [u8; 12],
    /// For the sessions: key ‖ tag, 32 bytes.
    pub key_material: KeyMaterial,
}

/// Encrypts `plaintext` (a message body) under a fresh key.
///
/// # Errors
///
/// [`PayloadError::TooLong`].
pub fn seal(plaintext: &[u8], random: &dyn Random) -> Result<Sealed, PayloadError> {
    if plaintext.len() > MAX_SEND_BYTES {
        return Err(PayloadError::TooLong);
    }
    let key = Secret::<KEY_LENGTH>::generate(random);
    let mut iv = [0; 12];
    random.fill(&mut iv);
    let mut ciphertext = plaintext.to_vec();
    let tag = AesGcm::<Aes128, U12>::new(key.expose().into())
        .encrypt_inout_detached((&iv).into(), &[], InOutBuf::from(ciphertext.as_mut_slice()))
        .map_err(|_| PayloadError::TooLong)?;
    let mut key_material = Zeroizing::new(Vec::with_capacity(KEY_LENGTH + TAG_LENGTH));
    key_material.extend_from_slice(key.expose());
    key_material.extend_from_slice(&tag);
    Ok(Sealed { ciphertext, iv, key_material: KeyMaterial(key_material) })
}

/// The IV and the key material of an empty message: a fresh key that nothing is encrypted with.
pub fn empty(random: &dyn Random) -> ([u8; 12], KeyMaterial) {
    let mut iv = [0; 12];
    random.fill(&mut iv);
    let mut key = Zeroizing::new(vec![0; KEY_LENGTH]);
    random.fill(&mut key);
    (iv, KeyMaterial(key))
}

/// Decrypts what [`seal`] made; `payload` is `None` when the message has no `<payload/>`. IVs of 12 and of 16 bytes (old
/// senders) are accepted.
///
/// # Errors
///
/// [`PayloadError::Undecryptable`]: also for a payload whose key material lacks the tag.
pub fn open(key_material: &[u8], iv: &[u8], payload: Option<&[u8]>) -> Result<Content, PayloadError> {
    let Some(ciphertext) = payload else {
        // Clients send the bare key, or key and tag, to move a session; neither says anything.
        let plausible = [KEY_LENGTH, KEY_LENGTH + TAG_LENGTH].contains(&key_material.len());
        return if plausible { Ok(Content::Empty) } else { Err(PayloadError::Undecryptable) };
    };
    if ciphertext.is_empty() || ciphertext.len() > MAX_ACCEPT_BYTES {
        return Err(PayloadError::Undecryptable);
    }
    let (key, tag) = key_material.split_at_checked(KEY_LENGTH).ok_or(PayloadError::Undecryptable)?;
    let key: &[u8; KEY_LENGTH] = key.try_into().map_err(|_| PayloadError::Undecryptable)?;
    let tag: &[u8; TAG_LENGTH] = tag.try_into().map_err(|_| PayloadError::Undecryptable)?;
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    let buffer = InOutBuf::from(plaintext.as_mut_slice());
    let result = if let Ok(iv) = <&[u8; 12]>::try_from(iv) {
        AesGcm::<Aes128, U12>::new(key.into()).decrypt_inout_detached(iv.into(), &[], buffer, tag.into())
    } else if let Ok(iv) = <&[u8; 16]>::try_from(iv) {
        AesGcm::<Aes128, U16>::new(key.into()).decrypt_inout_detached(iv.into(), &[], buffer, tag.into())
    } else {
        return Err(PayloadError::Undecryptable);
    };
    result.map_err(|_| PayloadError::Undecryptable)?;
    Ok(Content::Plaintext(plaintext))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn what_was_sealed_opens_with_either_length_of_iv() {
        let random = SeededRandom::new(1);
        let sealed = seal(b"text", &random).unwrap();
        let expected = Ok(Content::Plaintext(Zeroizing::new(b"text".to_vec())));
        assert_eq!(open(sealed.key_material.expose(), &sealed.iv, Some(&sealed.ciphertext)), expected);

        let (key, iv, mut text) = ([1u8; 16], [2u8; 16], *b"text");
        let tag = AesGcm::<Aes128, U16>::new((&key).into())
            .encrypt_inout_detached((&iv).into(), &[], InOutBuf::from(text.as_mut_slice()))
            .unwrap();
        assert_eq!(open(&[&key[..], &tag].concat(), &iv, Some(&text)), expected);
    }

    #[test]
    fn c13_payload_and_key_come_together_or_not_at_all() {
        let random = SeededRandom::new(1);
        let sealed = seal(b"text", &random).unwrap();
        let (iv, empty_key) = empty(&random);
        let (key, payload) = (sealed.key_material.expose(), sealed.ciphertext.as_slice());
        let refused = Err(PayloadError::Undecryptable);
        assert_eq!(open(empty_key.expose(), &iv, None), Ok(Content::Empty));
        assert_eq!(open(key, &iv, None), Ok(Content::Empty), "a key transport with a tag");
        assert_eq!(open(empty_key.expose(), &iv, Some(payload)), refused, "empty message with payload");
        assert_eq!(open(key, &sealed.iv, Some(b"")), refused, "empty payload");
        assert_eq!(open(&key[..31], &sealed.iv, Some(payload)), refused, "short tag");
        assert_eq!(open(&[key, &[0]].concat(), &sealed.iv, Some(payload)), refused, "long tag");
        assert_eq!(open(key, &sealed.iv[..11], Some(payload)), refused, "short iv");
        assert_eq!(open(key, &[], Some(payload)), refused, "no iv");
        assert_eq!(open(key, &sealed.iv, Some(&payload[1..])), refused, "truncated payload");
        assert_eq!(open(b"", &iv, None), refused, "nothing");
    }
}
