//! From what was fetched to the file that was offered.

use std::fmt;

use bytes::Bytes;
use crypto::Secret;
use crypto::file::FileKey;
use xep::hashes::Hash;
use xep::sfs::Source;

use super::offer::Offer;
use crate::error::Failure;

/// A file that is what was offered. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedFile {
    /// A safe name.
    pub name: String,
    /// The content.
    pub bytes: Bytes,
}

impl fmt::Debug for ReceivedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceivedFile({} bytes)", self.bytes.len())
    }
}

/// Checks and decrypts a fetched file: hashes of the ciphertext, the tag, the length, hashes of the content. Nothing of
/// it is handed out unless all of them are right.
///
/// The hash makes the offer mean one file: without it, a sender could make a ciphertext that opens as one file for one
/// recipient and as another for the next (attack row C05).
///
/// # Errors
///
/// [`Failure::FileDamaged`].
///
/// Source: XEP-0448 §3.2, security-design §5.3.
pub fn open(offer: &Offer, ciphertext: &Bytes) -> Result<ReceivedFile, Failure> {
    let name = offer.description().name;
    let bytes = match offer {
        Offer::Link(link) => decrypt(&link.key, &link.iv, ciphertext)?,
        Offer::Sharing(sharing) => {
            let source = sharing.sources.iter().find_map(|source| match source {
                Source::Encrypted(source) => Some(source),
                Source::Url(_) => None,
            });
            let source = source.ok_or(Failure::FileDamaged)?;
            check(&source.hashes, ciphertext)?;
            let mut bytes = decrypt(&source.key, &source.iv, ciphertext)?;
            if let Some(size) = sharing.file.size_bytes {
                let size = usize::try_from(size).map_err(|_| Failure::FileDamaged)?;
                if bytes.len() < size {
                    return Err(Failure::FileDamaged);
                }
                bytes.truncate(size);
            }
            check(&sharing.file.hashes, &bytes)?;
            bytes
        }
    };
    Ok(ReceivedFile { name, bytes: bytes.into() })
}

/// Compares with every hash whose function we know.
fn check(hashes: &[Hash], bytes: &[u8]) -> Result<(), Failure> {
    let wrong = hashes.iter().any(|hash| hash.matches(bytes) == Some(false));
    if wrong { Err(Failure::FileDamaged) } else { Ok(()) }
}

fn decrypt(key: &[u8], iv: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, Failure> {
    let key = Secret::<32>::from_slice(key).ok_or(Failure::FileDamaged)?;
    let iv = iv.try_into().map_err(|_| Failure::FileDamaged)?;
    let mut bytes = ciphertext.to_vec();
    FileKey { key, iv }.decrypt(&mut bytes).map_err(|_| Failure::FileDamaged)?;
    Ok(bytes)
}
