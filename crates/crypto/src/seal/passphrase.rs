//! [`PassphraseSlot`]: a master key wrapped under a passphrase.
//!
//! Argon2id gives 64 bytes: the wrapping key and a commitment. The commitment is compared first, in constant time, so
//! that a wrong passphrase is told from an altered file, and no ciphertext can be made to open under two passphrases.
//!
//! Source: security design §3.2 (the same construction as its backup) and RFC 9106.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::cbor::{NotCbor, Value};
use super::{KeyFileError, MasterKey};
use crate::{Random, Secret};

/// What it costs to try one passphrase. Only costs within sane bounds can be made, from a file as from code:
/// less than 19 MiB is too little to protect a key, more than 1 GiB, 10 passes or 16 lanes would let a file exhaust us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassphraseCost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl PassphraseCost {
    /// For a key that is opened once per boot: 256 MiB, 3 passes, 4 lanes.
    pub const BOOT: Self = Self::raw(256 * 1024, 3, 4);
    /// For a key that a person opens at work: 64 MiB, 3 passes, 4 lanes.
    pub const LOCAL_UNLOCK: Self = Self::raw(64 * 1024, 3, 4);
    /// The least that is accepted: 19 MiB, 1 pass, 1 lane. For tests and very small machines.
    pub const FLOOR: Self = Self::raw(19 * 1024, 1, 1);

    const fn raw(memory_kib: u32, passes: u32, lanes: u32) -> Self {
        Self { memory_kib, passes, lanes }
    }

    /// Chooses a cost.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::CostOutOfBounds`] unless memory is 19 MiB to 1 GiB, passes are 1 to 10 and lanes 1 to 16.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, KeyFileError> {
        let within =
            (19 * 1024..=1024 * 1024).contains(&memory_kib) && (1..=10).contains(&passes) && (1..=16).contains(&lanes);
        if within { Ok(Self::raw(memory_kib, passes, lanes)) } else { Err(KeyFileError::CostOutOfBounds) }
    }
}

const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;
const COMMIT_BYTES: usize = 32;
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// The part of a key file that opens with a passphrase.
pub struct PassphraseSlot {
    cost: PassphraseCost,
    salt: [u8; SALT_BYTES],
    nonce: [u8; NONCE_BYTES],
    commit: [u8; COMMIT_BYTES],
    wrapped: [u8; KEY_BYTES],
    tag: [u8; TAG_BYTES],
}

impl PassphraseSlot {
    /// Wraps `master`. The passphrase is used as it is given: preparing it (PRECIS OpaqueString) is the caller's.
    ///
    /// Takes as long as `cost` says, by default a good part of a second.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::CostOutOfBounds`] when this machine cannot allocate the memory that `cost` asks for.
    pub fn wrap(
        master: &MasterKey,
        passphrase: &[u8],
        cost: PassphraseCost,
        random: &dyn Random,
    ) -> Result<Self, KeyFileError> {
        let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_BYTES]);
        random.fill(&mut salt);
        random.fill(&mut nonce);
        let derived = derive(passphrase, &salt, cost)?;
        let mut slot = Self {
            cost,
            salt,
            nonce,
            commit: *derived.commit.expose(),
            wrapped: *master.secret().expose(), // until the next statement, which encrypts it in place
            tag: [0; TAG_BYTES],
        };
        let tag = XChaCha20Poly1305::new(derived.key.expose().into())
            .encrypt_inout_detached(&XNonce::from(slot.nonce), &slot.header(), slot.wrapped.as_mut_slice().into())
            .expect("32 bytes are far below the limit of the cipher");
        slot.tag = tag.into();
        Ok(slot)
    }

    /// Unwraps the master key.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::WrongPassphrase`], or [`KeyFileError::Damaged`] when the passphrase is right and the file altered.
    pub fn unwrap(&self, passphrase: &[u8]) -> Result<MasterKey, KeyFileError> {
        let derived = derive(passphrase, &self.salt, self.cost)?;
        if !bool::from(derived.commit.expose().ct_eq(&self.commit)) {
            return Err(KeyFileError::WrongPassphrase);
        }
        let mut key = Secret::new(self.wrapped);
        XChaCha20Poly1305::new(derived.key.expose().into())
            .decrypt_inout_detached(
                &XNonce::from(self.nonce),
                &self.header(),
                key.expose_mut().as_mut_slice().into(),
                &Tag::from(self.tag),
            )
            .map_err(|_| KeyFileError::Damaged)?;
        Ok(MasterKey::new(key))
    }

    /// What the wrapping authenticates: everything in the slot that comes before the ciphertext.
    fn header(&self) -> Vec<u8> {
        let mut header = b"WX-KEY-SLOT-1\0".to_vec();
        for number in [self.cost.memory_kib, self.cost.passes, self.cost.lanes] {
            header.extend_from_slice(&number.to_le_bytes());
        }
        header.extend_from_slice(&self.salt);
        header.extend_from_slice(&self.nonce);
        header.extend_from_slice(&self.commit);
        header
    }

    pub(super) fn to_entries(&self) -> Vec<(u64, Value)> {
        vec![
            (2, Value::Uint(self.cost.memory_kib.into())),
            (3, Value::Uint(self.cost.passes.into())),
            (4, Value::Uint(self.cost.lanes.into())),
            (5, Value::bytes(&self.salt)),
            (6, Value::bytes(&self.nonce)),
            (7, Value::bytes(&self.commit)),
            (8, Value::bytes(&self.wrapped)),
            (9, Value::bytes(&self.tag)),
        ]
    }

    pub(super) fn from_map(map: &mut Value) -> Result<Self, KeyFileError> {
        let read = |_: NotCbor| KeyFileError::Damaged;
        Ok(Self {
            cost: PassphraseCost::new(
                map.take_u32(2).map_err(read)?,
                map.take_u32(3).map_err(read)?,
                map.take_u32(4).map_err(read)?,
            )?,
            salt: *map.take_bytes(5).map_err(read)?,
            nonce: *map.take_bytes(6).map_err(read)?,
            commit: *map.take_bytes(7).map_err(read)?,
            wrapped: *map.take_bytes(8).map_err(read)?,
            tag: *map.take_bytes(9).map_err(read)?,
        })
    }
}

struct Derived {
    key: Secret<KEY_BYTES>,
    commit: Secret<COMMIT_BYTES>,
}

fn derive(passphrase: &[u8], salt: &[u8], cost: PassphraseCost) -> Result<Derived, KeyFileError> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(KEY_BYTES + COMMIT_BYTES))
        .map_err(|_| KeyFileError::CostOutOfBounds)?;
    let mut output = Zeroizing::new([0; KEY_BYTES + COMMIT_BYTES]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase, salt, output.as_mut_slice())
        .map_err(|_| KeyFileError::CostOutOfBounds)?;
    let (key, commit) = output.split_at(KEY_BYTES);
    Ok(Derived {
        key: Secret::from_slice(key).expect("the first half of 64 bytes"),
        commit: Secret::from_slice(commit).expect("the second half of 64 bytes"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn only_the_right_passphrase_unwraps() {
        let master = MasterKey::new(Secret::new([9; 32]));
        let slot =
            PassphraseSlot::wrap(&master, b"correct horse", PassphraseCost::FLOOR, &SeededRandom::new(1)).unwrap();
        assert!(slot.unwrap(b"correct horse").unwrap().secret() == master.secret());
        assert_eq!(slot.unwrap(b"correct house").err(), Some(KeyFileError::WrongPassphrase));
        assert_ne!(&slot.wrapped, master.secret().expose());
    }

    #[test]
    fn an_altered_slot_does_not_unwrap() {
        let master = MasterKey::new(Secret::new([9; 32]));
        let wrap = || PassphraseSlot::wrap(&master, b"p", PassphraseCost::FLOOR, &SeededRandom::new(1)).unwrap();
        let mut altered = wrap();
        altered.wrapped[0] ^= 1;
        assert_eq!(altered.unwrap(b"p").err(), Some(KeyFileError::Damaged));
        let mut altered = wrap();
        altered.nonce[0] ^= 1;
        assert_eq!(altered.unwrap(b"p").err(), Some(KeyFileError::Damaged));
        let mut altered = wrap();
        altered.salt[0] ^= 1;
        assert_eq!(altered.unwrap(b"p").err(), Some(KeyFileError::WrongPassphrase));
    }

    /// Attack K01: parameters that cost too little or too much are refused before anything is computed.
    #[test]
    fn costs_out_of_bounds_are_refused() {
        for (memory_kib, passes, lanes) in [
            (19 * 1024 - 1, 3, 4),
            (1024 * 1024 + 1, 3, 4),
            (64 * 1024, 0, 4),
            (64 * 1024, 11, 4),
            (64 * 1024, 3, 0),
            (64 * 1024, 3, 17),
        ] {
            let refused = PassphraseCost::new(memory_kib, passes, lanes);
            assert_eq!(refused, Err(KeyFileError::CostOutOfBounds), "{memory_kib} {passes} {lanes}");
        }
        assert_eq!(PassphraseCost::new(64 * 1024, 3, 4), Ok(PassphraseCost::LOCAL_UNLOCK));
        assert!(PassphraseCost::new(1024 * 1024, 10, 16).is_ok());
    }
}
