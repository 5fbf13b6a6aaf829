//! Whole files under AES-256-GCM, in memory: `aesgcm://` (XEP-0454) and `urn:xmpp:ciphers:aes-256-gcm-nopadding:0`
//! (XEP-0448). Both have a 12-byte IV and the tag appended.
//!
//! Nothing of a file is released before its tag has been checked. Names, URLs and where bytes come from are the callers'.

use std::fmt;

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use sha2::{Digest, Sha256};

use crate::{Random, Secret};

/// How much longer the ciphertext is than the file, in bytes.
pub const TAG_LENGTH: usize = 16;

/// The key and IV of one file; never used for a second one.
pub struct FileKey {
    /// The AES-256 key.
    pub key: Secret<32>,
    /// The IV.
    pub iv: [u8; 12],
}

/// The bytes are not this key's file, or not the whole of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileError;

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the file cannot be decrypted")
    }
}

impl std::error::Error for FileError {}

impl FileKey {
    /// Draws the key and IV of a new file.
    pub fn generate(random: &dyn Random) -> Self {
        let mut iv = [0; 12];
        random.fill(&mut iv);
        Self { key: Secret::generate(random), iv }
    }

    /// Encrypts `file` in place and appends the tag. It takes the key, because a second file must have another.
    ///
    /// # Errors
    ///
    /// [`FileError`] above 64 GiB, the limit of the cipher.
    pub fn encrypt(self, file: &mut Vec<u8>) -> Result<Self, FileError> {
        let tag = Aes256Gcm::new(self.key.expose().into())
            .encrypt_inout_detached((&self.iv).into(), &[], InOutBuf::from(file.as_mut_slice()))
            .map_err(|_| FileError)?;
        file.extend_from_slice(&tag);
        Ok(self)
    }

    /// Checks the tag at the end of `file`, then decrypts the rest in place and cuts the tag off.
    ///
    /// # Errors
    ///
    /// [`FileError`]; the contents of `file` are the ciphertext, unchanged.
    pub fn decrypt(&self, file: &mut Vec<u8>) -> Result<(), FileError> {
        let length = file.len().checked_sub(TAG_LENGTH).ok_or(FileError)?;
        let (body, tag) = file.split_at_mut_checked(length).ok_or(FileError)?;
        let tag: &[u8; TAG_LENGTH] = (&*tag).try_into().map_err(|_| FileError)?;
        Aes256Gcm::new(self.key.expose().into())
            .decrypt_inout_detached((&self.iv).into(), &[], InOutBuf::from(body), tag.into())
            .map_err(|_| FileError)?;
        file.truncate(length);
        Ok(())
    }
}

/// SHA-256, the hash of files in offers (XEP-0300, XEP-0447).
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    fn sealed() -> (FileKey, Vec<u8>) {
        let mut file = b"a picture".to_vec();
        let key = FileKey::generate(&SeededRandom::new(1)).encrypt(&mut file).unwrap();
        (key, file)
    }

    #[test]
    fn a_file_comes_back_and_is_not_there_before() {
        let (key, mut file) = sealed();
        assert_eq!(file.len(), 9 + TAG_LENGTH);
        assert!(!file.windows(7).any(|window| window == b"picture"));
        key.decrypt(&mut file).unwrap();
        assert_eq!(file, b"a picture");
    }

    #[test]
    fn every_altered_byte_and_every_cut_is_noticed() {
        let (key, file) = sealed();
        for at in 0..file.len() {
            let mut altered = file.clone();
            altered[at] ^= 1;
            let before = altered.clone();
            assert_eq!(key.decrypt(&mut altered), Err(FileError));
            assert_eq!(altered, before, "nothing is released");
            assert_eq!(key.decrypt(&mut file[..at].to_vec()), Err(FileError));
        }
    }

    /// The test case 14 of the GCM specification: one zero block under a zero key and IV.
    #[test]
    fn gcm_vector() {
        let key = FileKey { key: Secret::new([0; 32]), iv: [0; 12] };
        let mut file = vec![0; 16];
        key.encrypt(&mut file).unwrap();
        assert_eq!(hex::encode(file), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
    }

    #[test]
    fn hash_vector() {
        // FIPS 180-2 appendix B.1.
        assert_eq!(hex::encode(sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
