//! From a file to something that can lie on a server.

use std::fmt;

use bytes::Bytes;
use crypto::Random;
use crypto::file::{FileKey, TAG_LENGTH, sha256};
use xep::aesgcm::AesgcmUrl;
use xep::esfs::{Cipher, EncryptedSource, Reach};
use xep::hashes::Hash;
use xep::https_url::HttpsUrl;
use xep::sfs::{FileMetadata, FileSharing, Source};
use xep::upload::{Slot, SlotRequest};

use super::FILE_BYTES_MAX;
use super::fetch::Broker;
use super::name::safe_name;
use super::offer::OutgoingOffer;
use crate::error::Failure;
use crate::output::{HttpId, HttpMethod, HttpRequest};

/// Longest ending that is told to an upload service.
const ENDING_BYTES_MAX: usize = 8;
/// The most that an upload service may say in answer to an upload.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Whether length and kind of a file are hidden from the upload service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// Zeros are appended up to [`padded_len`]. The receiver must know the true length and cut them off (XEP-0448
    /// §3.2).
    ToSizeClass,
    /// For messages that also go to apps which know only `aesgcm:` links. Those have no room for the length, and the apps
    /// show a file by the ending of its URL: so the upload service learns the length, and the ending.
    None,
}

/// A file, encrypted and waiting for a place. `Debug` hides it.
pub struct Prepared {
    metadata: FileMetadata,
    key: FileKey,
    ciphertext: Bytes,
    ciphertext_hash: Hash,
    /// A random name, under which the upload service sees it.
    public_name: String,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prepared({} bytes)", self.ciphertext.len())
    }
}

impl Prepared {
    /// Encrypts a file under a fresh key.
    ///
    /// # Errors
    ///
    /// [`Failure::FileTooLarge`].
    ///
    /// Source: XEP-0448 §3.1, security-design §5.3.
    pub fn new(
        name: &str,
        media_type: Option<&str>,
        mut bytes: Vec<u8>,
        padding: Padding,
        random: &dyn Random,
    ) -> Result<Self, Failure> {
        let size_bytes = u64::try_from(bytes.len()).map_err(|_| Failure::FileTooLarge)?;
        if size_bytes > FILE_BYTES_MAX {
            return Err(Failure::FileTooLarge);
        }
        let metadata = FileMetadata {
            name: Some(safe_name(name)),
            media_type: media_type.map(str::to_owned),
            size_bytes: Some(size_bytes),
            hashes: vec![Hash::of_sha256(sha256(&bytes))],
            description: None,
            dimensions: None,
        };
        let target = match padding {
            Padding::ToSizeClass => padded_len(bytes.len()),
            Padding::None => bytes.len(),
        };
        bytes.reserve_exact(target.saturating_sub(bytes.len()) + TAG_LENGTH);
        bytes.resize(target, 0);
        let key = FileKey::generate(random).encrypt(&mut bytes).map_err(|_| Failure::FileTooLarge)?;
        let ciphertext_hash = Hash::of_sha256(sha256(&bytes));
        let mut public_name = [0; 16];
        random.fill(&mut public_name);
        let ending = match padding {
            Padding::ToSizeClass => None,
            Padding::None => metadata.name.as_deref().and_then(plain_ending),
        };
        let public_name = format!("{}.{}", hex::encode(public_name), ending.unwrap_or("bin"));
        Ok(Self { metadata, key, ciphertext: bytes.into(), ciphertext_hash, public_name })
    }

    /// The question for a slot: says a random name, with the true ending only where a link goes along, and the length of the
    /// ciphertext; nothing else.
    #[must_use]
    pub fn slot_request(&self) -> SlotRequest {
        SlotRequest {
            filename: self.public_name.clone(),
            size_bytes: self.ciphertext.len() as u64,
            content_type: Some("application/octet-stream".to_owned()),
        }
    }

    /// The upload into the slot that the own broker gave.
    ///
    /// # Errors
    ///
    /// [`Failure::FileAddress`] when the slot is at a place that must not be used.
    pub fn upload(&self, id: HttpId, slot: &Slot, own: &Broker) -> Result<HttpRequest, Failure> {
        let url = HttpsUrl::parse(&slot.put_url).map_err(|_| Failure::FileAddress)?;
        let place = own.place(&url).or_else(|| Broker::public_place(&url)).ok_or(Failure::FileAddress)?;
        let mut headers = slot.put_headers.clone();
        headers.push(("Content-Type".to_owned(), "application/octet-stream".to_owned()));
        Ok(HttpRequest {
            id,
            method: HttpMethod::Put,
            url: url.to_text(),
            headers,
            body: self.ciphertext.clone(),
            identity: place.identity,
            addresses: place.addresses,
            private_addresses: place.private_addresses,
            response_bytes_max: ANSWER_BYTES_MAX,
        })
    }

    /// The offer to send once the upload has succeeded. `reach` says how the own broker is reached without DNS and
    /// certificate authorities, if that is so.
    ///
    /// # Errors
    ///
    /// [`Failure::FileAddress`] when the slot's address is no usable URL.
    pub fn offer(&self, slot: &Slot, reach: Option<Reach>) -> Result<OutgoingOffer, Failure> {
        let url = HttpsUrl::parse(&slot.get_url).map_err(|_| Failure::FileAddress)?;
        let source = EncryptedSource {
            cipher: Cipher::Aes256Gcm,
            key: self.key.key.expose().to_vec(),
            iv: self.key.iv.to_vec(),
            hashes: vec![self.ciphertext_hash.clone()],
            urls: vec![url.clone()],
            reach,
        };
        let sharing = FileSharing {
            disposition: None,
            file: self.metadata.clone(),
            sources: vec![Source::Encrypted(Box::new(source))],
        };
        Ok(OutgoingOffer { sharing, legacy: AesgcmUrl { url, iv: self.key.iv, key: *self.key.key.expose() } })
    }
}

/// The ending of a name, where it is one that programs know files by: short, letters and digits.
fn plain_ending(name: &str) -> Option<&str> {
    let (_, ending) = name.rsplit_once('.')?;
    let fits = (1..=ENDING_BYTES_MAX).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_alphanumeric());
    fits.then_some(ending)
}

/// The length to which a file of `len` bytes is padded: powers of two from 4 KiB to 64 KiB, then Padmé, which adds at
/// most 12 %.
///
/// Source: security-design §5.1.
#[must_use]
pub fn padded_len(len: usize) -> usize {
    if len <= 65_536 {
        return len.next_power_of_two().max(4096);
    }
    let exponent = len.ilog2();
    let kept_bits = exponent.ilog2() + 1;
    let low_bits = (1_usize << (exponent - kept_bits)) - 1;
    len.checked_add(low_bits).map_or(len, |sum| sum & !low_bits)
}
