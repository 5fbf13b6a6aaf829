//! [`Witness`]: what a device lets others keep for it, so that it notices when it was put back to an older state.
//!
//! It is sealed to the device itself: whoever keeps it can withhold it or show an old one, and can neither forge it nor learn
//! from it how often the device was started.
//!
//! Source: security design §3.5.

use std::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::device::Device;
use super::kdf;
use crate::Random;

/// Random bytes of a mark.
pub const MARK_BYTES: usize = 16;
/// How long a sealed witness is: nonce, generation, mark, tag.
pub const WITNESS_BYTES: usize = NONCE_BYTES + PLAIN_BYTES + TAG_BYTES;

const NONCE_BYTES: usize = 24;
const PLAIN_BYTES: usize = 8 + MARK_BYTES;
const TAG_BYTES: usize = 16;

/// How far a device had come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// The generation that it had counted.
    pub generation: u64,
    /// Drawn anew with every generation: two copies of one state that count alike draw different ones.
    pub mark: [u8; MARK_BYTES],
}

impl Witness {
    /// Whether this, kept by somebody else, proves that a device that has come as far as `ours` was put back or copied.
    pub fn is_ahead_of(&self, ours: &Self) -> bool {
        self.generation > ours.generation || (self.generation == ours.generation && self.mark != ours.mark)
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witness(<redacted>)")
    }
}

impl Device {
    /// Seals a witness for this device of the account `account`, a bare address.
    pub fn seal_witness(&self, account: &str, witness: &Witness, random: &dyn Random) -> Vec<u8> {
        let mut nonce = XNonce::default();
        random.fill(nonce.as_mut_slice());
        let mut plain = Zeroizing::new([0; PLAIN_BYTES]);
        let (generation, mark) = plain.split_at_mut(8);
        generation.copy_from_slice(&witness.generation.to_le_bytes());
        mark.copy_from_slice(&witness.mark);
        // The cipher refuses only what is longer than gigabytes.
        let tag = self
            .witness_cipher(account)
            .encrypt_inout_detached(&nonce, &[], plain.as_mut_slice().into())
            .unwrap_or_default();
        [nonce.as_slice(), plain.as_slice(), tag.as_slice()].concat()
    }

    /// Opens what [`Device::seal_witness`] sealed; `None` for whatever else it is.
    pub fn open_witness(&self, account: &str, sealed: &[u8]) -> Option<Witness> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let (plain, rest) = rest.split_first_chunk::<PLAIN_BYTES>()?;
        let tag: &[u8; TAG_BYTES] = rest.try_into().ok()?;
        let mut plain = Zeroizing::new(*plain);
        self.witness_cipher(account)
            .decrypt_inout_detached(&XNonce::from(*nonce), &[], plain.as_mut_slice().into(), &Tag::from(*tag))
            .ok()?;
        let (generation, mark) = plain.split_first_chunk::<8>()?;
        Some(Witness { generation: u64::from_le_bytes(*generation), mark: mark.try_into().ok()? })
    }

    fn witness_cipher(&self, account: &str) -> XChaCha20Poly1305 {
        let length = u32::try_from(account.len()).unwrap_or(u32::MAX);
        let mut info = b"WX-WITNESS-1".to_vec();
        info.extend_from_slice(&length.to_le_bytes());
        info.extend_from_slice(account.as_bytes());
        info.extend_from_slice(&self.id.to_le_bytes());
        let key = kdf::derive_secret(self.identity.seed().expose(), &info);
        XChaCha20Poly1305::new(key.expose().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    const ALICE: &str = "alice@example.org";

    #[test]
    fn only_the_device_itself_opens_it_and_only_unaltered() {
        let random = SeededRandom::new(1);
        let mut device = Device::generate(0, &random);
        let witness = Witness { generation: 7, mark: [3; MARK_BYTES] };
        let sealed = device.seal_witness(ALICE, &witness, &random);
        assert_eq!(sealed.len(), WITNESS_BYTES);
        assert!(device.open_witness(ALICE, &sealed) == Some(witness));
        assert_ne!(sealed, device.seal_witness(ALICE, &witness, &random), "a fresh nonce each time");
        assert!(device.open_witness("bob@example.org", &sealed).is_none());
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(device.open_witness(ALICE, &altered).is_none(), "byte {at}");
        }
        for length in 0..sealed.len() {
            assert!(device.open_witness(ALICE, &sealed[..length]).is_none());
        }
        assert!(device.open_witness(ALICE, &[&sealed[..], &[0]].concat()).is_none());
        assert!(Device::generate(0, &random).open_witness(ALICE, &sealed).is_none());
        device.renumber(&random);
        assert!(device.open_witness(ALICE, &sealed).is_none(), "another id");
    }

    #[test]
    fn the_key_is_the_one_that_the_design_names() {
        use hkdf::Hkdf;
        use sha2::Sha256;
        let random = SeededRandom::new(2);
        let device = Device::generate(0, &random);
        let witness = Witness { generation: 1, mark: [9; MARK_BYTES] };
        let sealed = device.seal_witness("a@b", &witness, &random);
        let mut info = b"WX-WITNESS-1\x03\0\0\0a@b".to_vec();
        info.extend_from_slice(&device.id().to_le_bytes());
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(Some(&[0; 32]), device.identity.seed().expose()).expand(&info, &mut key).unwrap();
        let mut plain = sealed[24..48].to_vec();
        let (nonce, tag) = (XNonce::from(<[u8; 24]>::try_from(&sealed[..24]).unwrap()), &sealed[48..]);
        XChaCha20Poly1305::new(&key.into())
            .decrypt_inout_detached(
                &nonce,
                &[],
                plain.as_mut_slice().into(),
                &Tag::from(<[u8; 16]>::try_from(tag).unwrap()),
            )
            .unwrap();
        assert_eq!(plain, [&1u64.to_le_bytes()[..], &[9; 16]].concat());
    }

    #[test]
    fn what_is_ahead_is_proof_and_nothing_else() {
        let at = |generation, mark| Witness { generation, mark: [mark; MARK_BYTES] };
        let ours = at(5, 1);
        assert!(!ours.is_ahead_of(&ours));
        assert!(!at(4, 2).is_ahead_of(&ours), "an older one proves nothing");
        assert!(at(5, 2).is_ahead_of(&ours));
        assert!(at(6, 1).is_ahead_of(&ours));
    }
}
