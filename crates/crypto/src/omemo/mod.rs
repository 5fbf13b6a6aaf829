//! OMEMO over bytes: devices, their keys, and the sessions between them.
//!
//! One ratchet core (`ratchet.rs`) serves both profiles: [`Legacy`] (`eu.siacs.conversations.axolotl`, XEP-0384 0.3.0, what
//! most deployed clients speak) and [`Omemo2`] (`urn:xmpp:omemo:2`). What differs between them, and only that, is in
//! [`Profile`].
//!
//! Deliberately lacking: XML and base64 (the `xep` crate's), the choice of a profile and of whom to trust (the client's), a
//! clock and a random source (passed in).
//!
//! # How a client uses it
//!
//! 1. [`Device::generate`] once; [`Device::bundle`] per profile is what it publishes; [`Device::maintain`] now and then.
//! 2. To send: [`payload`] encrypts the content once and returns the key material; for each peer device,
//!    [`SessionSet::start`] with its [`Bundle`] if [`SessionSet::is_ready`] says no, then [`SessionSet::encrypt`] the key
//!    material. **Commit [`SessionSet::to_bytes`] before the returned bytes leave the machine.**
//! 3. To receive: [`SessionSet::decrypt`], then `payload` opens the content. A failed decryption changes nothing; after a
//!    successful one, commit the session set, the device (its prekeys may have been used) and the plaintext together, then
//!    acknowledge.
//!
//! A [`SessionSet`] is everything known about one peer device under one profile.

mod bundle;
mod device;
mod error;
mod kdf;
mod keys;
mod legacy;
mod omemo2;
pub mod payload;
mod profile;
mod proto;
mod ratchet;
mod session;
mod sessions;
mod state;
mod witness;
mod x3dh;
pub mod xeddsa;

pub use bundle::{Bundle, PublishedBundle, PublishedPrekey};
pub use device::{Device, Maintenance, Publication};
pub use error::{BundleError, DecryptError, EncryptError, KeyError, StateError};
pub use keys::{IdentityKey, RatchetKey};
pub use legacy::Legacy;
pub use omemo2::Omemo2;
pub use profile::{Profile, ProfileId};
pub use sessions::{Delivery, Encrypted, Incoming, Opened, ReplyDue, ReplyReason, SessionSet};
pub use witness::{MARK_BYTES, WITNESS_BYTES, Witness};

/// How often the signed prekey is replaced: weekly (XEP-0384 §4.2).
pub const SIGNED_PREKEY_ROTATION_SECONDS: u64 = 7 * DAY_SECONDS;
/// How long the private part of a replaced signed prekey is kept: as long as servers keep undelivered messages.
pub const SIGNED_PREKEY_KEEP_SECONDS: u64 = 30 * DAY_SECONDS;
/// How many one-time prekeys a bundle offers.
pub const PREKEY_COUNT: usize = 100;
/// Below how many the bundle is refilled to [`PREKEY_COUNT`].
pub const PREKEY_REFILL_BELOW: usize = 50;
/// For how long a used prekey still serves others who picked it from a bundle fetched before, counted from when a bundle
/// without it was published (security design §2.3).
pub const PREKEY_GRACE_SECONDS: u64 = 600;
/// How many opened messages per receiving chain are remembered by their hash, to tell a repetition from anything else.
pub const MAX_OPENED_HASHES: usize = 1000;
/// The most message keys kept for messages that have not arrived, per session and per message.
pub const MAX_SKIPPED: usize = 1000;
/// How many receiving chains stay open per session.
pub const MAX_RECEIVING_CHAINS: usize = 5;
/// From which counter on a message calls for a heartbeat (XEP-0384 §6).
pub const HEARTBEAT_COUNTER: u32 = 53;
/// How many superseded sessions are kept per peer device.
pub const MAX_ARCHIVED: usize = 4;
/// How long a superseded session is kept.
pub const ARCHIVE_KEEP_SECONDS: u64 = 30 * DAY_SECONDS;
/// The longest key element accepted, in bytes after base64.
pub const MAX_WIRE_BYTES: usize = 2048;
/// The longest plaintext of the ratchet, in bytes. It carries key material (48 bytes at most), never content.
pub const MAX_KEY_MATERIAL_BYTES: usize = 256;

const DAY_SECONDS: u64 = 24 * 60 * 60;

#[cfg(test)]
mod tests;
