//! [`KeyFile`]: the form in which a master key lies beside, never inside, the data directory (`wxkeys.cbor`).
//!
//! ```text
//! {1: 1, 2: instance bytes[16], 3: generation uint, 4: [slot, …]}      deterministic CBOR, RFC 8949 §4.2.1
//! slot = {1: 1, 2: key bytes[32]}                                      opens unattended: the file's permissions protect it
//!      | {1: 2, 2: memory KiB, 3: passes, 4: lanes, 5: salt, 6: nonce, 7: commitment, 8: wrapped key, 9: tag}
//! ```
//!
//! The instance id and the generation detect a store that was copied or put back from a backup (security design §3.5):
//! both are also kept inside the store, and the file is written first.

use std::fmt;

use zeroize::Zeroizing;

use super::cbor::{NotCbor, Value};
use super::{MasterKey, PassphraseCost, PassphraseSlot};
use crate::{Random, Secret};

/// The longest key file that is read, in bytes.
const MAX_FILE_BYTES: usize = 16 * 1024;
/// How many ways to open one key there may be.
const MAX_SLOTS: usize = 8;

const VERSION: u64 = 1;
const KIND_PLAIN: u64 = 1;
const KIND_PASSPHRASE: u64 = 2;

/// Why a key file was not read or not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFileError {
    /// These bytes are not a key file, or were altered.
    Damaged,
    /// The file was written by a newer version of the program.
    TooNew,
    /// A passphrase would cost too little to protect the key, or too much to be tried.
    CostOutOfBounds,
    /// No slot opens without a passphrase: somebody has to be asked.
    PassphraseNeeded,
    /// No passphrase slot opens with this passphrase.
    WrongPassphrase,
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => "this is not a key file, or it was altered: put back your copy of it",
            Self::TooNew => "the key file was written by a newer version: update the program",
            Self::CostOutOfBounds => "the passphrase parameters of the key file are outside the accepted bounds",
            Self::PassphraseNeeded => "the key file opens only with a passphrase",
            Self::WrongPassphrase => "the passphrase is wrong",
        })
    }
}

impl std::error::Error for KeyFileError {}

/// Names one store for as long as it lives; a restored copy is recognised by it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InstanceId(pub [u8; 16]);

impl InstanceId {
    /// Draws a new id.
    pub fn generate(random: &dyn Random) -> Self {
        let mut id = [0; 16];
        random.fill(&mut id);
        Self(id)
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstanceId(<redacted>)")
    }
}

/// What kind of slot a key file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotKind {
    /// The key itself; whoever can read the file has it.
    Plain,
    /// The key under a passphrase.
    Passphrase,
}

/// One way to open the master key.
#[non_exhaustive]
pub enum Slot {
    /// The key itself, protected by the permissions of the file only. Opens unattended.
    Plain(Secret<32>),
    /// The key under a passphrase.
    Passphrase(PassphraseSlot),
}

impl Slot {
    /// Makes a slot that opens unattended.
    pub fn plain(master: &MasterKey) -> Self {
        Self::Plain(master.secret().duplicate())
    }

    /// Makes a slot that opens with `passphrase`; see [`PassphraseSlot::wrap`].
    ///
    /// # Errors
    ///
    /// [`KeyFileError::CostOutOfBounds`].
    pub fn passphrase(
        master: &MasterKey,
        passphrase: &[u8],
        cost: PassphraseCost,
        random: &dyn Random,
    ) -> Result<Self, KeyFileError> {
        PassphraseSlot::wrap(master, passphrase, cost, random).map(Self::Passphrase)
    }

    /// What is needed to open this slot.
    pub fn kind(&self) -> SlotKind {
        match self {
            Self::Plain(_) => SlotKind::Plain,
            Self::Passphrase(_) => SlotKind::Passphrase,
        }
    }
}

/// A parsed key file: the slots of one master key, and what detects a rolled-back store.
pub struct KeyFile {
    /// The store that this key belongs to.
    pub instance: InstanceId,
    /// Counts the starts of the store, and each 256th sending step of a client; never goes back.
    pub generation: u64,
    /// The ways to open the key; at least one.
    pub slots: Vec<Slot>,
}

impl KeyFile {
    /// Makes the key file of a new store, with a new instance id and one slot.
    pub fn new(slot: Slot, random: &dyn Random) -> Self {
        Self { instance: InstanceId::generate(random), generation: 0, slots: vec![slot] }
    }

    /// Whether the key opens without asking anybody.
    pub fn opens_unattended(&self) -> bool {
        self.slots.iter().any(|slot| slot.kind() == SlotKind::Plain)
    }

    /// Opens the key by the first slot that needs no one.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::PassphraseNeeded`].
    pub fn open_unattended(&self) -> Result<MasterKey, KeyFileError> {
        let plain = self.slots.iter().find_map(|slot| match slot {
            Slot::Plain(key) => Some(MasterKey::new(key.duplicate())),
            Slot::Passphrase(_) => None,
        });
        plain.ok_or(KeyFileError::PassphraseNeeded)
    }

    /// Opens the key by the first passphrase slot that `passphrase` fits. Takes as long as the slots' costs say.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::WrongPassphrase`] when none fits; [`KeyFileError::Damaged`] when one fits and was altered.
    pub fn open_with_passphrase(&self, passphrase: &[u8]) -> Result<MasterKey, KeyFileError> {
        for slot in &self.slots {
            let Slot::Passphrase(slot) = slot else { continue };
            match slot.unwrap(passphrase) {
                Err(KeyFileError::WrongPassphrase) => {}
                opened_or_damaged => return opened_or_damaged,
            }
        }
        Err(KeyFileError::WrongPassphrase)
    }

    /// Writes the file's bytes; erased when dropped, for a plain slot is the key itself.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let slots = self.slots.iter().map(|slot| {
            Value::Map(match slot {
                Slot::Plain(key) => vec![(1, Value::Uint(KIND_PLAIN)), (2, Value::bytes(key.expose()))],
                Slot::Passphrase(slot) => {
                    let mut entries = vec![(1, Value::Uint(KIND_PASSPHRASE))];
                    entries.extend(slot.to_entries());
                    entries
                }
            })
        });
        Value::Map(vec![
            (1, Value::Uint(VERSION)),
            (2, Value::bytes(&self.instance.0)),
            (3, Value::Uint(self.generation)),
            (4, Value::Array(slots.collect())),
        ])
        .encode()
    }

    /// Reads a file's bytes. Nothing in them is trusted: sizes, nesting and costs are bounded.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::Damaged`], [`KeyFileError::TooNew`] or [`KeyFileError::CostOutOfBounds`].
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyFileError> {
        let damaged = |_: NotCbor| KeyFileError::Damaged;
        if bytes.len() > MAX_FILE_BYTES {
            return Err(KeyFileError::Damaged);
        }
        let mut map = Value::decode(bytes).map_err(damaged)?;
        if map.take_uint(1).map_err(damaged)? != VERSION {
            return Err(KeyFileError::TooNew);
        }
        let instance = InstanceId(*map.take_bytes(2).map_err(damaged)?);
        let generation = map.take_uint(3).map_err(damaged)?;
        let Value::Array(slots) = map.take(4).map_err(damaged)? else {
            return Err(KeyFileError::Damaged);
        };
        if slots.is_empty() || slots.len() > MAX_SLOTS || !map.is_used_up() {
            return Err(KeyFileError::Damaged);
        }
        let slots = slots.into_iter().map(parse_slot).collect::<Result<_, _>>()?;
        Ok(Self { instance, generation, slots })
    }
}

fn parse_slot(mut map: Value) -> Result<Slot, KeyFileError> {
    let damaged = |_: NotCbor| KeyFileError::Damaged;
    let slot = match map.take_uint(1).map_err(damaged)? {
        KIND_PLAIN => {
            let key = map.take_bytes::<32>(2).map_err(damaged)?;
            Slot::Plain(Secret::new(*key))
        }
        KIND_PASSPHRASE => Slot::Passphrase(PassphraseSlot::from_map(&mut map)?),
        _ => return Err(KeyFileError::TooNew),
    };
    if map.is_used_up() { Ok(slot) } else { Err(KeyFileError::Damaged) }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFile(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    fn master() -> MasterKey {
        MasterKey::new(Secret::new([3; 32]))
    }

    #[test]
    fn a_plain_key_file_comes_back_and_opens_unattended() {
        let mut file = KeyFile::new(Slot::plain(&master()), &SeededRandom::new(1));
        file.generation = 77;
        let read = KeyFile::parse(&file.encode()).unwrap();
        assert_eq!(read.instance, file.instance);
        assert_eq!(read.generation, 77);
        assert!(read.opens_unattended());
        assert!(read.open_unattended().unwrap().secret() == master().secret());
        assert_eq!(read.open_with_passphrase(b"").err(), Some(KeyFileError::WrongPassphrase));
    }

    #[test]
    fn a_sealed_key_file_holds_no_key_and_opens_with_its_passphrase_only() {
        let random = SeededRandom::new(2);
        let slot = Slot::passphrase(&master(), b"tea", PassphraseCost::FLOOR, &random).unwrap();
        let bytes = KeyFile::new(slot, &random).encode();
        assert!(!bytes.windows(8).any(|window| window == [3; 8]));
        let read = KeyFile::parse(&bytes).unwrap();
        assert_eq!(read.open_unattended().err(), Some(KeyFileError::PassphraseNeeded));
        assert_eq!(read.open_with_passphrase(b"coffee").err(), Some(KeyFileError::WrongPassphrase));
        assert!(read.open_with_passphrase(b"tea").unwrap().secret() == master().secret());
    }

    #[test]
    fn the_bytes_of_version_1_stay_what_they_are() {
        let file = KeyFile {
            instance: InstanceId([0xAA; 16]),
            generation: 1,
            slots: vec![Slot::Plain(Secret::new([0xBB; 32]))],
        };
        let mut expected = vec![0xa4, 0x01, 0x01, 0x02, 0x50];
        expected.extend([0xAA; 16]);
        expected.extend([0x03, 0x01, 0x04, 0x81, 0xa2, 0x01, 0x01, 0x02, 0x58, 0x20]);
        expected.extend([0xBB; 32]);
        assert_eq!(*file.encode(), expected);
    }

    #[test]
    fn cut_or_extended_files_are_refused() {
        let bytes = KeyFile::new(Slot::plain(&master()), &SeededRandom::new(1)).encode();
        for length in 0..bytes.len() {
            assert!(KeyFile::parse(&bytes[..length]).is_err(), "cut to {length}");
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert_eq!(KeyFile::parse(&longer).err(), Some(KeyFileError::Damaged));
        assert_eq!(KeyFile::parse(&vec![0; MAX_FILE_BYTES + 1]).err(), Some(KeyFileError::Damaged));
    }

    /// Whatever single byte is changed: the file is refused, or it is the one encoding of something else.
    #[test]
    fn no_altered_file_is_read_in_two_ways() {
        let random = SeededRandom::new(3);
        let mut file = KeyFile::new(Slot::plain(&master()), &random);
        file.slots.push(Slot::passphrase(&master(), b"tea", PassphraseCost::FLOOR, &random).unwrap());
        let bytes = file.encode();
        let mut refused = 0;
        for at in 0..bytes.len() {
            for change in [0x01, 0x20, 0x80] {
                let mut altered = bytes.to_vec();
                altered[at] ^= change;
                match KeyFile::parse(&altered) {
                    Ok(read) => assert_eq!(*read.encode(), altered, "byte {at}"),
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(refused > 50, "{refused} refused: every change of the structure");
    }

    #[test]
    fn newer_versions_and_unknown_slots_say_so() {
        let bytes = KeyFile::new(Slot::plain(&master()), &SeededRandom::new(1)).encode();
        let mut newer = bytes.to_vec();
        newer[2] = 2;
        assert_eq!(KeyFile::parse(&newer).err(), Some(KeyFileError::TooNew));
        let mut unknown_slot = bytes.to_vec();
        unknown_slot[27] = 9;
        assert_eq!(KeyFile::parse(&unknown_slot).err(), Some(KeyFileError::TooNew));
    }
}
