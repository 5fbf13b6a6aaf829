//! What lies on a disk: sealed records, blind indexes, key files.
//!
//! This module knows how one master key protects every row that a program keeps, and in which form the master key itself
//! may lie in a file. It does no input or output: rows and files are bytes in, bytes out (the `store` crate does the rest).
//!
//! ```text
//! MasterKey (32 bytes) ── HKDF-SHA256 ─┬─ "rec"      → Sealer       values: XChaCha20-Poly1305, padded
//!   │                                  ├─ "bidx"     → BlindIndex   keys: HMAC-SHA256
//!   │                                  └─ "fakesalt" → fake_salt    the salt shown for accounts that do not exist
//!   └─ seals each DayKey ───────────────── "rec"      → Sealer       values of expiring queues, one key per UTC day
//! KeyFile ── slots that hold the master key: plainly (a 0600 file), or under a passphrase (Argon2id)
//! ```
//!
//! A thief of the disk sees how many rows there are, their size classes and the order in which they were written;
//! he sees no name, no address and no value. Erasing a [`DayKey`] makes the rows of that day unreadable wherever copies
//! of them may still lie.
//!
//! Deliberately lacking: a way to open a record without naming the table and the row it must belong to.

mod cbor;
mod index;
mod keyfile;
mod master;
mod passphrase;
mod record;

pub use index::{BlindHash, BlindIndex};
pub use keyfile::{InstanceId, KeyFile, KeyFileError, Slot, SlotKind};
pub use master::MasterKey;
pub use passphrase::{PassphraseCost, PassphraseSlot};
pub use record::{DayKey, MAX_VALUE_BYTES, ROW_TAG_BYTES, SealError, Sealer, record_epoch};
