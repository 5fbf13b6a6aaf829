//! [`Sealer`]: one value, encrypted for exactly one row.
//!
//! ```text
//! sealed = 1 u8 ‖ epoch u32 ‖ nonce[24] ‖ XChaCha20-Poly1305(length u32 ‖ value ‖ zeros up to the size class)
//! AAD    = LP(table) ‖ LP(full stored key) ‖ epoch u32          LP(x) = u32 length ‖ x, all little-endian
//! ```
//!
//! The length is part of what is encrypted, so a row shows its size class and no more. The table and the stored key are
//! authenticated, so a row copied over another one does not open there. Source: security design §4.

use std::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::master::subkey;
use crate::{Random, Secret};

/// The longest value that can be sealed, in bytes.
pub const MAX_VALUE_BYTES: usize = 16 * 1024 * 1024;

/// How many bytes at the start of a sealed record tell this write of a row from every other: format, epoch and nonce.
pub const ROW_TAG_BYTES: usize = 1 + EPOCH_BYTES + NONCE_BYTES;

const FORMAT: u8 = 1;
const EPOCH_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;
const AEAD_TAG_BYTES: usize = 16;
const LENGTH_BYTES: usize = 4;

/// The epoch of records that are sealed under the master key and not under the key of a day.
const EPOCH_MASTER: u32 = 0;

/// Why a value could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealError {
    /// The value is longer than [`MAX_VALUE_BYTES`].
    TooLong,
    /// The record was altered, belongs to another row, or was sealed under another key. Which of these is not told.
    NotOpened,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the value is too long to be sealed",
            Self::NotOpened => "the record does not open: it was altered or moved, or the key is another one",
        })
    }
}

impl std::error::Error for SealError {}

/// Seals and opens the values of rows under one key.
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    epoch: u32,
}

impl Sealer {
    pub(super) fn under_master(record_key: &[u8; 32]) -> Self {
        Self { cipher: XChaCha20Poly1305::new(record_key.into()), epoch: EPOCH_MASTER }
    }

    /// The number that records of this sealer carry in clear, by which [`record_epoch`] finds the key again.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Seals `value` for the row `stored_key` of `table`, under a fresh random nonce.
    ///
    /// # Errors
    ///
    /// [`SealError::TooLong`] when `value` has more than [`MAX_VALUE_BYTES`] bytes.
    pub fn seal(
        &self,
        random: &dyn Random,
        table: &str,
        stored_key: &[u8],
        value: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        if value.len() > MAX_VALUE_BYTES {
            return Err(SealError::TooLong);
        }
        let length = u32::try_from(value.len()).map_err(|_| SealError::TooLong)?;
        let padded = size_class(LENGTH_BYTES + value.len());
        let mut nonce = XNonce::default();
        random.fill(nonce.as_mut_slice());

        // One allocation of the final size, so that no copy of the value stays behind in an outgrown buffer.
        let mut sealed = Vec::with_capacity(ROW_TAG_BYTES + padded + AEAD_TAG_BYTES);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.epoch.to_le_bytes());
        sealed.extend_from_slice(nonce.as_slice());
        sealed.extend_from_slice(&length.to_le_bytes());
        sealed.extend_from_slice(value);
        sealed.resize(ROW_TAG_BYTES + padded, 0);
        let (_, body) = sealed.split_at_mut(ROW_TAG_BYTES);
        let aad = associated_data(table, stored_key, self.epoch);
        let tag = self.cipher.encrypt_inout_detached(&nonce, &aad, body.into()).map_err(|_| SealError::TooLong)?;
        sealed.extend_from_slice(tag.as_slice());
        Ok(sealed)
    }

    /// Opens what was sealed for the row `stored_key` of `table`.
    ///
    /// # Errors
    ///
    /// [`SealError::NotOpened`], the same one whatever the reason.
    pub fn open(&self, table: &str, stored_key: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let refused = SealError::NotOpened;
        if record_epoch(sealed) != Some(self.epoch) {
            return Err(refused);
        }
        let (head, body) = sealed.split_at_checked(ROW_TAG_BYTES).ok_or(refused)?;
        let nonce: &[u8; NONCE_BYTES] = head.last_chunk().ok_or(refused)?;
        let (body, tag): (_, &[u8; AEAD_TAG_BYTES]) = body.split_last_chunk().ok_or(refused)?;
        let mut value = Zeroizing::new(body.to_vec());
        let aad = associated_data(table, stored_key, self.epoch);
        self.cipher
            .decrypt_inout_detached(&XNonce::from(*nonce), &aad, value.as_mut_slice().into(), &Tag::from(*tag))
            .map_err(|_| refused)?;
        strip_padding(&mut value)?;
        Ok(value)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(<redacted>)")
    }
}

/// Reads which key a record was sealed under; `None` when these bytes are not a sealed record of a known format.
pub fn record_epoch(sealed: &[u8]) -> Option<u32> {
    match sealed {
        [FORMAT, a, b, c, d, ..] => Some(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

/// The key of everything that expires with one UTC day. Erasing it is what makes expiry final.
///
/// Which day it belongs to is not in the records: they carry a number derived from the key itself.
pub struct DayKey(Secret<32>);

impl DayKey {
    /// Draws the key of a new day.
    pub fn generate(random: &dyn Random) -> Self {
        Self(Secret::generate(random))
    }

    /// Takes the key back from the row it was kept in; `None` unless there are 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Secret::from_slice(bytes).map(Self)
    }

    /// The bytes to keep in a sealed row: this is how a day key is wrapped by the master key.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// Derives the sealer for the rows of this day.
    pub fn sealer(&self) -> Sealer {
        let [a, b, c, d, ..] = *subkey(&self.0, b"epoch");
        Sealer {
            cipher: XChaCha20Poly1305::new((&*subkey(&self.0, b"rec")).into()),
            // 0 is the master key's; a clash of one in 2³² days that is better excluded than explained
            epoch: u32::from_le_bytes([a, b, c, d]).max(EPOCH_MASTER + 1),
        }
    }
}

/// The next of 256, 512, 1024, 2048, 4096 bytes, then of multiples of 4096.
fn size_class(bytes: usize) -> usize {
    match bytes {
        0..=256 => 256,
        257..=4096 => bytes.next_power_of_two(),
        _ => bytes.next_multiple_of(4096),
    }
}

fn strip_padding(padded: &mut Zeroizing<Vec<u8>>) -> Result<(), SealError> {
    let (length, rest) = padded.split_first_chunk::<LENGTH_BYTES>().ok_or(SealError::NotOpened)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| SealError::NotOpened)?;
    if length > rest.len() {
        return Err(SealError::NotOpened);
    }
    padded.copy_within(LENGTH_BYTES..LENGTH_BYTES + length, 0);
    padded.truncate(length);
    Ok(())
}

fn associated_data(table: &str, stored_key: &[u8], epoch: u32) -> Vec<u8> {
    let mut aad = Vec::with_capacity(table.len() + stored_key.len() + 3 * 4);
    for part in [table.as_bytes(), stored_key] {
        // Table names are constants and stored keys 32 bytes: neither comes near the 4 GiB where this would saturate.
        aad.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        aad.extend_from_slice(part);
    }
    aad.extend_from_slice(&epoch.to_le_bytes());
    aad
}

#[cfg(test)]
mod tests;
