//! [`Device`]: what one device of ours keeps secret between sessions, shared by both profiles.

use std::fmt;

use zeroize::Zeroizing;

use super::bundle::{PublishedBundle, PublishedPrekey};
use super::error::StateError;
use super::keys::{DhPair, IdentityKey, IdentityKeyPair, RatchetKey};
use super::legacy::Legacy;
use super::omemo2::Omemo2;
use super::profile::{Profile, ProfileId, Rules};
use super::{PREKEY_COUNT, PREKEY_REFILL_BELOW, SIGNED_PREKEY_KEEP_SECONDS, SIGNED_PREKEY_ROTATION_SECONDS, state};
use crate::Random;

/// Ids of devices and prekeys are positive numbers of a signed 32-bit integer (XEP-0384 §5.1, §5.3.2).
const MAX_ID: u32 = 0x7fff_ffff;
/// How many senders may use one prekey during a catch-up before it is refused.
const MAX_PREKEY_USES: usize = 16;
/// How many used prekeys are kept when no catch-up completes, or strangers could make the state grow without end.
const MAX_USED_PREKEYS: usize = 1000;

/// The secret state of a device: its id, its identity key, its signed prekeys and its one-time prekeys.
pub struct Device {
    pub(super) id: u32,
    pub(super) identity: IdentityKeyPair,
    /// Newest first; the first is the published one.
    pub(super) signed_prekeys: Vec<SignedPrekey>,
    /// Unused ones, and used ones that a catch-up may still need.
    pub(super) prekeys: Vec<OneTimePrekey>,
    pub(super) next_prekey_id: u32,
}

pub(super) struct SignedPrekey {
    pub(super) id: u32,
    pub(super) pair: DhPair,
    pub(super) legacy_signature: [u8; 64],
    pub(super) omemo2_signature: [u8; 64],
    /// Unix seconds.
    pub(super) created_at: u64,
    /// When another took its place; `None` for the published one.
    pub(super) retired_at: Option<u64>,
}

pub(super) struct OneTimePrekey {
    pub(super) id: u32,
    pub(super) pair: DhPair,
    /// The ephemeral keys of the key exchanges that used it. Not empty: no longer published.
    pub(super) used_by: Vec<RatchetKey>,
}

/// What has happened to a prekey.
pub(super) enum PrekeyState<'a> {
    Fresh,
    UsedBy(&'a [RatchetKey]),
}

/// What [`Device::maintain`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maintenance {
    /// The bundles are to be published again.
    pub bundle_changed: bool,
}

impl Device {
    /// Makes a new device with a random id and fresh keys. `now` is in Unix seconds.
    ///
    /// Before its first publication, check that the id is not in the account's device lists; [`Device::renumber`] if it is.
    pub fn generate(now: u64, random: &dyn Random) -> Self {
        let mut device = Self {
            id: random_id(random),
            identity: IdentityKeyPair::generate(random),
            signed_prekeys: Vec::new(),
            prekeys: Vec::new(),
            next_prekey_id: 1,
        };
        device.maintain(now, random);
        device
    }

    /// The device id, 1 to 2³¹ − 1.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Draws another id, for a device that has not been published yet.
    pub fn renumber(&mut self, random: &dyn Random) {
        self.id = random_id(random);
    }

    /// The public identity key, the same under both profiles.
    pub fn identity(&self) -> &IdentityKey {
        self.identity.public()
    }

    /// Signs with the identity key (plain Ed25519, RFC 8032), as OMEMO 2 does for device labels.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.identity.sign(message)
    }

    /// What to publish for the profile `P`.
    pub fn bundle<P: Profile>(&self) -> PublishedBundle {
        let (signed_prekey, signature) = match self.signed_prekeys.first() {
            Some(current) => {
                let signature = match P::ID {
                    ProfileId::Legacy => current.legacy_signature,
                    ProfileId::Omemo2 => current.omemo2_signature,
                };
                (published::<P>(current.id, &current.pair), signature.to_vec())
            }
            // Unreachable: `generate` makes one, and a stored device without one is refused.
            None => (PublishedPrekey { id: 0, key: Vec::new() }, Vec::new()),
        };
        PublishedBundle {
            identity_key: P::identity_bytes(self.identity()).unwrap_or_default(),
            signed_prekey,
            signature,
            prekeys: self
                .prekeys
                .iter()
                .filter(|prekey| prekey.used_by.is_empty())
                .map(|prekey| published::<P>(prekey.id, &prekey.pair))
                .collect(),
        }
    }

    /// Whether this device has ever made a one-time prekey with this id. A published one that it has not made shows that
    /// the state was put back to an older one.
    pub fn has_issued_prekey(&self, id: u32) -> bool {
        id < self.next_prekey_id
    }

    /// How many one-time prekeys are left to publish.
    pub fn prekey_count(&self) -> usize {
        self.prekeys.iter().filter(|prekey| prekey.used_by.is_empty()).count()
    }

    /// How many used one-time prekeys are kept for a catch-up that is not complete.
    pub fn used_prekey_count(&self) -> usize {
        self.prekeys.len() - self.prekey_count()
    }

    /// Replaces the signed prekey weekly, and refills the one-time prekeys to a hundred when fewer than fifty are left.
    ///
    /// Call it at every start and after every used prekey; commit, then publish if the bundle has changed.
    pub fn maintain(&mut self, now: u64, random: &dyn Random) -> Maintenance {
        let mut bundle_changed = false;
        let due = self
            .signed_prekeys
            .first()
            .is_none_or(|current| now.saturating_sub(current.created_at) >= SIGNED_PREKEY_ROTATION_SECONDS);
        if due {
            self.rotate_signed_prekey(now, random);
            bundle_changed = true;
        }
        let count = self.prekey_count();
        if count < PREKEY_REFILL_BELOW {
            for _ in count..PREKEY_COUNT {
                let id = self.next_prekey_id;
                self.next_prekey_id = next_id(id);
                self.prekeys.push(OneTimePrekey { id, pair: DhPair::generate(random), used_by: Vec::new() });
            }
            bundle_changed = true;
        }
        Maintenance { bundle_changed }
    }

    /// Erases the private parts that only messages on their way could need: used prekeys, and signed prekeys replaced more
    /// than 30 days ago. Call it only when everything that was waiting on the server has been received.
    pub fn catch_up_completed(&mut self, now: u64) {
        self.prekeys.retain(|prekey| prekey.used_by.is_empty());
        self.signed_prekeys.retain(|prekey| {
            prekey.retired_at.is_none_or(|retired_at| now.saturating_sub(retired_at) <= SIGNED_PREKEY_KEEP_SECONDS)
        });
    }

    /// The state as bytes, secrets included: to be sealed before it is stored.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        state::encode_device(self)
    }

    /// Restores what [`Device::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        state::decode_device(bytes)
    }

    pub(super) fn identity_pair(&self) -> &IdentityKeyPair {
        &self.identity
    }

    /// The key pairs that a key exchange names, if they are still there.
    pub(super) fn prekeys_for(&self, signed_id: u32, id: u32) -> Option<(&DhPair, &DhPair, PrekeyState<'_>)> {
        let signed = self.signed_prekeys.iter().find(|prekey| prekey.id == signed_id)?;
        let prekey = self.prekeys.iter().find(|prekey| prekey.id == id)?;
        let state = match prekey.used_by.len() {
            0 => PrekeyState::Fresh,
            uses if uses < MAX_PREKEY_USES => PrekeyState::UsedBy(&prekey.used_by),
            _ => return None,
        };
        Some((&signed.pair, &prekey.pair, state))
    }

    /// Takes a prekey out of the bundle; its private part stays until the catch-up is complete.
    pub(super) fn use_prekey(&mut self, id: u32, ephemeral: RatchetKey) {
        if let Some(prekey) = self.prekeys.iter_mut().find(|prekey| prekey.id == id) {
            prekey.used_by.push(ephemeral);
        }
        if self.used_prekey_count() > MAX_USED_PREKEYS
            && let Some(oldest) = self.prekeys.iter().position(|prekey| !prekey.used_by.is_empty())
        {
            self.prekeys.remove(oldest);
        }
    }

    fn rotate_signed_prekey(&mut self, now: u64, random: &dyn Random) {
        if let Some(current) = self.signed_prekeys.first_mut() {
            current.retired_at = Some(now);
        }
        let id = self.signed_prekeys.first().map_or(1, |current| next_id(current.id));
        let pair = DhPair::generate(random);
        let prekey = SignedPrekey {
            id,
            legacy_signature: Legacy::sign_prekey(&self.identity, &pair.public(), random),
            omemo2_signature: Omemo2::sign_prekey(&self.identity, &pair.public(), random),
            pair,
            created_at: now,
            retired_at: None,
        };
        self.signed_prekeys.insert(0, prekey);
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Device(<redacted>)")
    }
}

fn published<P: Rules>(id: u32, pair: &DhPair) -> PublishedPrekey {
    PublishedPrekey { id, key: P::prekey_bytes(&pair.public()) }
}

/// Uniform over 1 to 2³¹ − 1: 31 random bits, drawn again in the one case of zero.
fn random_id(random: &dyn Random) -> u32 {
    loop {
        let mut bytes = [0u8; 4];
        random.fill(&mut bytes);
        let id = u32::from_le_bytes(bytes) & MAX_ID;
        if id != 0 {
            return id;
        }
    }
}

fn next_id(id: u32) -> u32 {
    if id >= MAX_ID { 1 } else { id + 1 }
}
