//! How devices and session sets are written to the store: protocol buffers of our own, with a version.
//!
//! They hold secrets in clear; the store seals every row. The structures here erase themselves when dropped.

use std::marker::PhantomData;

use prost::Message;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::device::{Device, MadePrekeys, OneTimePrekey, SignedPrekey};
use super::error::StateError;
use super::keys::{DhPair, IdentityKey, IdentityKeyPair, RatchetKey};
use super::profile::{Exchange, Profile, ProfileId, Role};
use super::ratchet::{OpenedHash, OpenedLog, Ratchet, ReceivingChain, SendingChain, SkippedKey};
use super::session::Session;
use super::sessions::SessionSet;
use crate::Secret;

/// The version that this crate writes. Version 1, first light's, knew no withdrawn prekeys, no list of the signed prekeys
/// made and no hashes of opened messages; what it wrote is read, and says so by their absence.
const VERSION: u32 = 2;
const OLDEST_VERSION: u32 = 1;

#[derive(Clone, PartialEq, Message, Zeroize, ZeroizeOnDrop)]
#[prost(skip_debug)]
struct StoredDevice {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint32, tag = "2")]
    id: u32,
    #[prost(bytes = "vec", tag = "3")]
    identity_seed: Vec<u8>,
    #[prost(message, repeated, tag = "4")]
    signed_prekeys: Vec<StoredSignedPrekey>,
    #[prost(message, repeated, tag = "5")]
    prekeys: Vec<StoredPrekey>,
    #[prost(uint32, tag = "6")]
    next_prekey_id: u32,
    /// Whether the list of made signed prekeys is complete.
    #[prost(bool, tag = "7")]
    made_all: bool,
    /// Their hashes, 32 bytes each.
    #[prost(bytes = "vec", tag = "8")]
    made: Vec<u8>,
}

#[derive(Clone, PartialEq, Message, Zeroize, ZeroizeOnDrop)]
#[prost(skip_debug)]
struct StoredSignedPrekey {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(bytes = "vec", tag = "2")]
    secret: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    legacy_signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    omemo2_signature: Vec<u8>,
    #[prost(uint64, tag = "5")]
    created_at: u64,
    #[prost(uint64, optional, tag = "6")]
    retired_at: Option<u64>,
}

#[derive(Clone, PartialEq, Message, Zeroize, ZeroizeOnDrop)]
#[prost(skip_debug)]
struct StoredPrekey {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(bytes = "vec", tag = "2")]
    secret: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    used_by: Vec<Vec<u8>>,
    #[prost(uint64, optional, tag = "4")]
    withdrawn_at: Option<u64>,
}

#[derive(Clone, PartialEq, Message, Zeroize, ZeroizeOnDrop)]
#[prost(skip_debug)]
struct StoredSessionSet {
    #[prost(uint32, tag = "1")]
    version: u32,
    /// 1 legacy, 2 OMEMO 2.
    #[prost(uint32, tag = "2")]
    profile: u32,
    #[prost(message, optional, tag = "3")]
    current: Option<StoredSession>,
    #[prost(message, repeated, tag = "4")]
    archived: Vec<StoredSession>,
}

#[derive(Clone, PartialEq, Message, Zeroize, ZeroizeOnDrop)]
#[prost(skip_debug)]
struct StoredSession {
    #[prost(bool, tag = "1")]
    initiator: bool,
    #[prost(bytes = "vec", tag = "2")]
    own_identity: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    peer_identity: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    ephemeral: Vec<u8>,
    #[prost(uint32, tag = "5")]
    prekey_id: u32,
    #[prost(uint32, tag = "6")]
    signed_prekey_id: u32,
    #[prost(bool, tag = "7")]
    acknowledged: bool,
    #[prost(uint64, tag = "8")]
    created_at: u64,
    #[prost(uint64, tag = "9")]
    archived_at: u64,
    #[prost(bool, tag = "10")]
    receive_only: bool,
    #[prost(bytes = "vec", tag = "11")]
    root: Vec<u8>,
    #[prost(bytes = "vec", tag = "12")]
    own_ratchet: Vec<u8>,
    #[prost(message, optional, tag = "13")]
    sending: Option<StoredChain>,
    #[prost(uint32, tag = "14")]
    previous: u32,
    #[prost(message, repeated, tag = "15")]
    receiving: Vec<StoredChain>,
    #[prost(message, repeated, tag = "16")]
    skipped: Vec<StoredChain>,
}

/// A chain key and the number it stands for; also a skipped message key and its number.
#[derive(Clone, PartialEq, Message, Zeroize, ZeroizeOnDrop)]
#[prost(skip_debug)]
struct StoredChain {
    /// Empty for the sending chain, whose ratchet key is our own.
    #[prost(bytes = "vec", tag = "1")]
    ratchet: Vec<u8>,
    #[prost(uint32, tag = "2")]
    counter: u32,
    #[prost(bytes = "vec", tag = "3")]
    key: Vec<u8>,
    #[prost(bool, tag = "4")]
    heartbeat: bool,
    /// Of a receiving chain, from which message on hashes are kept; absent where none were.
    #[prost(uint32, optional, tag = "5")]
    opened_since: Option<u32>,
    /// Counter (four bytes, little-endian) and hash (16 bytes) of each opened message, oldest first.
    #[prost(bytes = "vec", tag = "6")]
    opened: Vec<u8>,
}

pub(super) fn encode_device(device: &Device) -> Zeroizing<Vec<u8>> {
    let stored = StoredDevice {
        version: VERSION,
        id: device.id,
        identity_seed: device.identity.seed().expose().to_vec(),
        signed_prekeys: device.signed_prekeys.iter().map(StoredSignedPrekey::from).collect(),
        prekeys: device.prekeys.iter().map(StoredPrekey::from).collect(),
        next_prekey_id: device.next_prekey_id,
        made_all: device.made.complete,
        made: device.made.hashes.concat(),
    };
    Zeroizing::new(stored.encode_to_vec())
}

pub(super) fn decode_device(bytes: &[u8]) -> Result<Device, StateError> {
    let stored = StoredDevice::decode(bytes).map_err(|_| StateError::Corrupt)?;
    check_version(stored.version)?;
    let device = Device {
        id: stored.id,
        identity: IdentityKeyPair::from_seed(secret(&stored.identity_seed)?),
        signed_prekeys: all(&stored.signed_prekeys, StoredSignedPrekey::restore)?,
        prekeys: all(&stored.prekeys, StoredPrekey::restore)?,
        next_prekey_id: stored.next_prekey_id,
        made: MadePrekeys { complete: stored.made_all, hashes: chunks::<32>(&stored.made)? },
    };
    // A device always has a published signed prekey; `Device::bundle` relies on it.
    if device.id == 0 || device.signed_prekeys.is_empty() {
        return Err(StateError::Corrupt);
    }
    Ok(device)
}

pub(super) fn encode_sessions<P: Profile>(set: &SessionSet<P>) -> Zeroizing<Vec<u8>> {
    let stored = StoredSessionSet {
        version: VERSION,
        profile: profile_number(P::ID),
        current: set.current.as_ref().map(StoredSession::from),
        archived: set.archived.iter().map(StoredSession::from).collect(),
    };
    Zeroizing::new(stored.encode_to_vec())
}

pub(super) fn decode_sessions<P: Profile>(bytes: &[u8]) -> Result<SessionSet<P>, StateError> {
    let stored = StoredSessionSet::decode(bytes).map_err(|_| StateError::Corrupt)?;
    check_version(stored.version)?;
    if stored.profile != profile_number(P::ID) {
        return Err(StateError::WrongProfile);
    }
    Ok(SessionSet {
        current: stored.current.as_ref().map(StoredSession::restore).transpose()?,
        archived: all(&stored.archived, StoredSession::restore)?,
    })
}

impl From<&SignedPrekey> for StoredSignedPrekey {
    fn from(prekey: &SignedPrekey) -> Self {
        Self {
            id: prekey.id,
            secret: prekey.pair.secret().expose().to_vec(),
            legacy_signature: prekey.legacy_signature.to_vec(),
            omemo2_signature: prekey.omemo2_signature.to_vec(),
            created_at: prekey.created_at,
            retired_at: prekey.retired_at,
        }
    }
}

impl StoredSignedPrekey {
    fn restore(&self) -> Result<SignedPrekey, StateError> {
        Ok(SignedPrekey {
            id: self.id,
            pair: DhPair::from_secret(secret(&self.secret)?),
            legacy_signature: array(&self.legacy_signature)?,
            omemo2_signature: array(&self.omemo2_signature)?,
            created_at: self.created_at,
            retired_at: self.retired_at,
        })
    }
}

impl From<&OneTimePrekey> for StoredPrekey {
    fn from(prekey: &OneTimePrekey) -> Self {
        Self {
            id: prekey.id,
            secret: prekey.pair.secret().expose().to_vec(),
            used_by: prekey.used_by.iter().map(|key| key.as_bytes().to_vec()).collect(),
            withdrawn_at: prekey.withdrawn_at,
        }
    }
}

impl StoredPrekey {
    fn restore(&self) -> Result<OneTimePrekey, StateError> {
        Ok(OneTimePrekey {
            id: self.id,
            pair: DhPair::from_secret(secret(&self.secret)?),
            used_by: all(&self.used_by, |bytes| ratchet_key(bytes))?,
            withdrawn_at: self.withdrawn_at,
        })
    }
}

impl<P: Profile> From<&Session<P>> for StoredSession {
    fn from(session: &Session<P>) -> Self {
        let ratchet = &session.ratchet;
        Self {
            initiator: session.role == Role::Initiator,
            own_identity: session.own_bytes.clone(),
            peer_identity: session.peer_bytes.clone(),
            ephemeral: session.exchange.ephemeral.as_bytes().to_vec(),
            prekey_id: session.exchange.prekey_id,
            signed_prekey_id: session.exchange.signed_prekey_id,
            acknowledged: session.acknowledged,
            created_at: session.created_at,
            archived_at: session.archived_at,
            receive_only: session.receive_only,
            root: ratchet.root.expose().to_vec(),
            own_ratchet: ratchet.own.secret().expose().to_vec(),
            sending: ratchet.sending.as_ref().map(StoredChain::from),
            previous: ratchet.previous,
            receiving: ratchet.receiving.iter().map(StoredChain::from).collect(),
            skipped: ratchet.skipped.iter().map(StoredChain::from).collect(),
        }
    }
}

impl StoredSession {
    fn restore<P: Profile>(&self) -> Result<Session<P>, StateError> {
        let own = identity::<P>(&self.own_identity)?;
        let peer = identity::<P>(&self.peer_identity)?;
        let role = if self.initiator { Role::Initiator } else { Role::Responder };
        Ok(Session {
            ratchet: Ratchet {
                root: secret(&self.root)?,
                own: DhPair::from_secret(secret(&self.own_ratchet)?),
                sending: self.sending.as_ref().map(StoredChain::restore_sending).transpose()?,
                previous: self.previous,
                receiving: all(&self.receiving, StoredChain::restore_receiving)?,
                skipped: all(&self.skipped, StoredChain::restore_skipped)?.into(),
                profile: PhantomData,
            },
            role,
            peer,
            own_bytes: self.own_identity.clone(),
            peer_bytes: self.peer_identity.clone(),
            exchange: Exchange {
                identity: if self.initiator { own } else { peer },
                ephemeral: ratchet_key(&self.ephemeral)?,
                prekey_id: self.prekey_id,
                signed_prekey_id: self.signed_prekey_id,
            },
            acknowledged: self.acknowledged,
            receive_only: self.receive_only,
            created_at: self.created_at,
            archived_at: self.archived_at,
        })
    }
}

impl From<&SendingChain> for StoredChain {
    fn from(chain: &SendingChain) -> Self {
        Self {
            ratchet: Vec::new(),
            counter: chain.next,
            key: chain.key.expose().to_vec(),
            heartbeat: false,
            opened_since: None,
            opened: Vec::new(),
        }
    }
}

impl From<&ReceivingChain> for StoredChain {
    fn from(chain: &ReceivingChain) -> Self {
        Self {
            ratchet: chain.ratchet.as_bytes().to_vec(),
            counter: chain.next,
            key: chain.key.expose().to_vec(),
            heartbeat: chain.heartbeat,
            opened_since: Some(chain.opened.since),
            opened: chain.opened.hashes.iter().flat_map(opened_entry).collect(),
        }
    }
}

impl From<&SkippedKey> for StoredChain {
    fn from(skipped: &SkippedKey) -> Self {
        Self {
            ratchet: skipped.ratchet.as_bytes().to_vec(),
            counter: skipped.counter,
            key: skipped.key.expose().to_vec(),
            heartbeat: false,
            opened_since: None,
            opened: Vec::new(),
        }
    }
}

impl StoredChain {
    fn restore_sending(&self) -> Result<SendingChain, StateError> {
        Ok(SendingChain { key: secret(&self.key)?, next: self.counter })
    }

    fn restore_receiving(&self) -> Result<ReceivingChain, StateError> {
        Ok(ReceivingChain {
            ratchet: ratchet_key(&self.ratchet)?,
            key: secret(&self.key)?,
            next: self.counter,
            heartbeat: self.heartbeat,
            opened: self.restore_opened()?,
        })
    }

    fn restore_opened(&self) -> Result<OpenedLog, StateError> {
        let mut log = OpenedLog::new(self.opened_since.unwrap_or(self.counter));
        for entry in chunks::<20>(&self.opened)? {
            let (counter, hash) = entry.split_first_chunk::<4>().ok_or(StateError::Corrupt)?;
            log.hashes.push_back((u32::from_le_bytes(*counter), array(hash)?));
        }
        Ok(log)
    }

    fn restore_skipped(&self) -> Result<SkippedKey, StateError> {
        Ok(SkippedKey { ratchet: ratchet_key(&self.ratchet)?, counter: self.counter, key: secret(&self.key)? })
    }
}

fn check_version(found: u32) -> Result<(), StateError> {
    if (OLDEST_VERSION..=VERSION).contains(&found) { Ok(()) } else { Err(StateError::UnknownVersion { found }) }
}

fn opened_entry((counter, hash): &(u32, OpenedHash)) -> impl Iterator<Item = u8> {
    counter.to_le_bytes().into_iter().chain(*hash)
}

/// Cuts a list of entries of one length.
fn chunks<const N: usize>(bytes: &[u8]) -> Result<Vec<[u8; N]>, StateError> {
    let (entries, rest) = bytes.as_chunks::<N>();
    if rest.is_empty() { Ok(entries.to_vec()) } else { Err(StateError::Corrupt) }
}

fn profile_number(profile: ProfileId) -> u32 {
    match profile {
        ProfileId::Legacy => 1,
        ProfileId::Omemo2 => 2,
    }
}

fn all<S, T>(stored: &[S], restore: impl Fn(&S) -> Result<T, StateError>) -> Result<Vec<T>, StateError> {
    stored.iter().map(restore).collect()
}

fn secret(bytes: &[u8]) -> Result<Secret<32>, StateError> {
    Secret::from_slice(bytes).ok_or(StateError::Corrupt)
}

fn ratchet_key(bytes: &[u8]) -> Result<RatchetKey, StateError> {
    RatchetKey::from_slice(bytes).map_err(|_| StateError::Corrupt)
}

fn identity<P: Profile>(bytes: &[u8]) -> Result<IdentityKey, StateError> {
    P::parse_identity(bytes).map_err(|_| StateError::Corrupt)
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StateError> {
    bytes.try_into().map_err(|_| StateError::Corrupt)
}
