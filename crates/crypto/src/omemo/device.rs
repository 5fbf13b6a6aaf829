//! [`Device`]: what one device of ours keeps secret between sessions, shared by both profiles.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::bundle::{PublishedBundle, PublishedPrekey};
use super::error::StateError;
use super::keys::{DhPair, IdentityKey, IdentityKeyPair, RatchetKey};
use super::legacy::Legacy;
use super::omemo2::Omemo2;
use super::profile::{Profile, ProfileId, Rules};
use super::{
    PREKEY_COUNT, PREKEY_GRACE_SECONDS, PREKEY_REFILL_BELOW, SIGNED_PREKEY_KEEP_SECONDS,
    SIGNED_PREKEY_ROTATION_SECONDS, state,
};
use crate::Random;

/// Ids of devices and prekeys are positive numbers of a signed 32-bit integer (XEP-0384 §5.1, §5.3.2).
const MAX_ID: u32 = 0x7fff_ffff;
/// How many senders may use one prekey before it is refused.
const MAX_PREKEY_USES: usize = 16;
/// How many used prekeys are kept while no bundle without them is out, or strangers could make the state grow without end.
const MAX_USED_PREKEYS: usize = 1000;

/// The secret state of a device: its id, its identity key, its signed prekeys and its one-time prekeys.
pub struct Device {
    pub(super) id: u32,
    pub(super) identity: IdentityKeyPair,
    /// Newest first; the first is the published one.
    pub(super) signed_prekeys: Vec<SignedPrekey>,
    /// Unused ones, and used ones that others may have picked too.
    pub(super) prekeys: Vec<OneTimePrekey>,
    pub(super) next_prekey_id: u32,
    pub(super) made: MadePrekeys,
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
    /// The ephemeral keys of the key exchanges that used it. Not empty: no longer offered.
    pub(super) used_by: Vec<RatchetKey>,
    /// When a bundle without it was published, in Unix seconds.
    pub(super) withdrawn_at: Option<u64>,
}

/// What has happened to a prekey.
pub(super) enum PrekeyState<'a> {
    Fresh,
    Used { by: &'a [RatchetKey], withdrawn_at: Option<u64> },
}

impl PrekeyState<'_> {
    /// Whether a key exchange with this ephemeral key that came just now may use it: somebody may have picked it before
    /// the bundle without it was out, and the same key exchange is never done twice.
    pub(super) fn serves(&self, ephemeral: &RatchetKey, now: u64) -> bool {
        self.serves_late(ephemeral)
            && match self {
                Self::Fresh => true,
                Self::Used { withdrawn_at, .. } => withdrawn_at.is_none_or(|at| !is_over(at, now)),
            }
    }

    /// The same for a key exchange that had waited, however long.
    pub(super) fn serves_late(&self, ephemeral: &RatchetKey) -> bool {
        match self {
            Self::Fresh => true,
            Self::Used { by, .. } => !by.contains(ephemeral),
        }
    }

    pub(super) fn is_fresh(&self) -> bool {
        matches!(self, Self::Fresh)
    }
}

/// The signed prekeys that a device has made, by hash and for good: one that it signed and never made shows that a copy of
/// it is, or was, in use elsewhere.
pub(super) struct MadePrekeys {
    /// Whether every one is in it. Not for a device that was made before they were counted.
    pub(super) complete: bool,
    pub(super) hashes: Vec<[u8; 32]>,
}

/// Which used prekeys a bundle no longer offers: made with the bundle, and handed back when the server has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publication {
    withdrawn: Vec<u32>,
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
            made: MadePrekeys { complete: true, hashes: Vec::new() },
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

    /// Whether a published bundle proves that a copy of this device is in use elsewhere: it holds a signed prekey that our
    /// identity key signed, and that this state has never made.
    ///
    /// Nothing else in a bundle proves anything. Ids, one-time prekeys and missing parts are not signed, so a server could
    /// show them at will and make a device throw its identity away (attack row C24). A state from before signed prekeys
    /// were counted takes no such proof.
    ///
    /// Source: security design §3.5.
    pub fn is_copied<P: Profile>(&self, published: &PublishedBundle) -> bool {
        let Ok(identity) = P::parse_identity(&published.identity_key) else { return false };
        let Ok(prekey) = P::parse_prekey(&published.signed_prekey.key) else { return false };
        let Ok(signature) = published.signature.as_slice().try_into() else { return false };
        self.made.complete
            && identity == *self.identity()
            && P::verify_prekey(self.identity(), &prekey, signature)
            && !self.made.hashes.contains(&hash_of(&prekey))
    }

    /// Whether a published prekey is one of ours that still serves, used or not.
    pub fn has_prekey<P: Profile>(&self, prekey: &PublishedPrekey) -> bool {
        let ours = self.prekeys.iter().find(|ours| ours.id == prekey.id);
        ours.is_some_and(|ours| P::prekey_bytes(&ours.pair.public()) == prekey.key)
    }

    /// How many one-time prekeys are left to publish.
    pub fn prekey_count(&self) -> usize {
        self.prekeys.iter().filter(|prekey| prekey.used_by.is_empty()).count()
    }

    /// How many used one-time prekeys are kept for others who may have picked them.
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
                self.prekeys.push(OneTimePrekey {
                    id,
                    pair: DhPair::generate(random),
                    used_by: Vec::new(),
                    withdrawn_at: None,
                });
            }
            bundle_changed = true;
        }
        Maintenance { bundle_changed }
    }

    /// What [`Device::bundle`] leaves out at this moment.
    pub fn publication(&self) -> Publication {
        let used = self.prekeys.iter().filter(|prekey| !prekey.used_by.is_empty());
        Publication { withdrawn: used.map(|prekey| prekey.id).collect() }
    }

    /// The server has confirmed the bundles that were made together with `publication`, under every profile.
    pub fn published(&mut self, publication: &Publication, now: u64) {
        let withdrawn = |prekey: &&mut OneTimePrekey| publication.withdrawn.contains(&prekey.id);
        for prekey in self.prekeys.iter_mut().filter(withdrawn) {
            prekey.withdrawn_at.get_or_insert(now);
        }
    }

    /// Whether a prekey has been used that a published bundle may still offer.
    pub fn is_publication_due(&self) -> bool {
        self.prekeys.iter().any(|prekey| !prekey.used_by.is_empty() && prekey.withdrawn_at.is_none())
    }

    /// When [`Device::catch_up_completed`] has something to erase next, in Unix seconds.
    pub fn next_erasure(&self) -> Option<u64> {
        let withdrawn = self.prekeys.iter().filter_map(|prekey| prekey.withdrawn_at);
        withdrawn.min().map(|at| at.saturating_add(PREKEY_GRACE_SECONDS))
    }

    /// Erases the private parts that nothing on its way can need: used prekeys, ten minutes after a bundle without them was
    /// published, and signed prekeys replaced more than 30 days ago. Call it only when everything that was waiting on the
    /// server has been received.
    pub fn catch_up_completed(&mut self, now: u64) {
        self.prekeys.retain(|prekey| prekey.withdrawn_at.is_none_or(|at| !is_over(at, now)));
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
            uses if uses < MAX_PREKEY_USES => {
                PrekeyState::Used { by: &prekey.used_by, withdrawn_at: prekey.withdrawn_at }
            }
            _ => return None,
        };
        Some((&signed.pair, &prekey.pair, state))
    }

    /// Takes a prekey out of the bundle; its private part stays while others may have picked it.
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
        self.made.hashes.push(hash_of(&pair.public()));
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

/// What is remembered of a signed prekey for good.
pub(super) fn hash_of(prekey: &RatchetKey) -> [u8; 32] {
    Sha256::digest(prekey.as_bytes()).into()
}

/// Whether nobody who picked a prekey before it was withdrawn can still be on their way.
fn is_over(withdrawn_at: u64, now: u64) -> bool {
    now.saturating_sub(withdrawn_at) >= PREKEY_GRACE_SECONDS
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
