//! One session: a ratchet, the two identities it is bound to, and the key exchange that began it.

use super::device::Device;
use super::error::{BundleError, KeyError, Undecryptable};
use super::keys::{DhPair, IdentityKey, RatchetKey};
use super::profile::{Exchange, Profile, Role};
use super::ratchet::{Decrypted, Ratchet};
use super::{Bundle, x3dh};
use crate::Random;

pub(super) struct Session<P> {
    pub(super) ratchet: Ratchet<P>,
    /// Our role in the key exchange.
    pub(super) role: Role,
    /// The peer's identity.
    pub(super) peer: IdentityKey,
    /// Our identity and the peer's, encoded for the associated data.
    pub(super) own_bytes: Vec<u8>,
    pub(super) peer_bytes: Vec<u8>,
    /// The key exchange that began the session; its identity is the initiator's.
    pub(super) exchange: Exchange,
    /// The peer is known to have the session: we have decrypted something with it.
    pub(super) acknowledged: bool,
    /// The session rests on a prekey that was used twice; it must not become current before the peer has answered on it.
    pub(super) receive_only: bool,
    /// Unix seconds.
    pub(super) created_at: u64,
    /// When the session was superseded, in Unix seconds; 0 for the current one.
    pub(super) archived_at: u64,
}

impl<P: Profile> Session<P> {
    /// Begins a session with the owner of `bundle`, using one of its prekeys at random.
    pub(super) fn initiate(
        device: &Device,
        bundle: &Bundle<P>,
        now: u64,
        random: &dyn Random,
    ) -> Result<Self, BundleError> {
        let (prekey_id, prekey) = choose(&bundle.prekeys, random).ok_or(BundleError::NoPrekey)?;
        let (signed_prekey_id, signed_prekey) = bundle.signed_prekey;
        let own = *device.identity_pair().public();
        if bundle.identity == own {
            return Err(BundleError::OwnIdentity);
        }
        let ephemeral = DhPair::generate(random);
        let small_order = BundleError::Key(KeyError::SmallOrder);
        let secret = x3dh::initiate::<P>(device.identity_pair(), &ephemeral, &bundle.identity, &signed_prekey, &prekey)
            .ok_or(small_order)?;
        let ratchet = Ratchet::initiator(secret, &signed_prekey, random).ok_or(small_order)?;
        Ok(Self {
            ratchet,
            role: Role::Initiator,
            peer: bundle.identity,
            own_bytes: P::identity_bytes(&own).ok_or(BundleError::Key(KeyError::Malformed))?,
            peer_bytes: P::identity_bytes(&bundle.identity).ok_or(BundleError::Key(KeyError::Malformed))?,
            exchange: Exchange { identity: own, ephemeral: ephemeral.public(), prekey_id, signed_prekey_id },
            acknowledged: false,
            receive_only: false,
            created_at: now,
            archived_at: 0,
        })
    }

    /// The other end of a key exchange. Nothing is proven until a message has been decrypted with it.
    pub(super) fn respond(
        device: &Device,
        exchange: &Exchange,
        signed_prekey: &DhPair,
        prekey: &DhPair,
        now: u64,
    ) -> Result<Self, Undecryptable> {
        let own = device.identity_pair();
        if exchange.identity == *own.public() {
            return Err(Undecryptable); // our own message, thrown back at us
        }
        let secret = x3dh::respond::<P>(own, signed_prekey, prekey, &exchange.identity, &exchange.ephemeral)
            .ok_or(Undecryptable)?;
        Ok(Self {
            ratchet: Ratchet::responder(secret, signed_prekey.duplicate()),
            role: Role::Responder,
            peer: exchange.identity,
            own_bytes: P::identity_bytes(own.public()).ok_or(Undecryptable)?,
            peer_bytes: P::identity_bytes(&exchange.identity).ok_or(Undecryptable)?,
            exchange: *exchange,
            acknowledged: true,
            receive_only: false,
            created_at: now,
            archived_at: 0,
        })
    }

    /// Encrypts, and wraps the message in the key exchange until the peer has answered.
    pub(super) fn encrypt(&mut self, plaintext: &[u8], own_device: u32) -> Option<(Vec<u8>, bool)> {
        let associated_data = self.associated_data(self.role);
        let message = self.ratchet.encrypt(plaintext, &associated_data)?;
        if self.acknowledged {
            return Some((message, false));
        }
        let wrapped = P::frame_exchange(&self.exchange, own_device, message)?;
        Some((wrapped, true))
    }

    /// Decrypts a ratchet message (not a key exchange), or changes nothing.
    pub(super) fn decrypt(&mut self, bytes: &[u8], random: &dyn Random) -> Result<Decrypted, Undecryptable> {
        let framed = P::parse(bytes)?;
        let associated_data = self.associated_data(self.role.other());
        let decrypted = self.ratchet.decrypt(&framed, &associated_data, random)?;
        self.acknowledged = true;
        // A new chain means that the peer has answered a fresh ratchet key of ours.
        self.receive_only &= !decrypted.new_chain;
        Ok(decrypted)
    }

    /// Whether a key exchange with this ephemeral key of the peer's began this session.
    pub(super) fn began_with(&self, ephemeral: &RatchetKey) -> bool {
        self.role == Role::Responder && self.exchange.ephemeral == *ephemeral
    }

    fn associated_data(&self, sender: Role) -> Vec<u8> {
        match self.role {
            Role::Initiator => P::associated_data(&self.own_bytes, &self.peer_bytes, sender),
            Role::Responder => P::associated_data(&self.peer_bytes, &self.own_bytes, sender),
        }
    }
}

/// One of `items` at random. The bias of the remainder is below one in 2⁵⁷ for a bundle of a hundred.
fn choose<T: Copy>(items: &[T], random: &dyn Random) -> Option<T> {
    let mut bytes = [0u8; 8];
    random.fill(&mut bytes);
    let index = u64::from_le_bytes(bytes).checked_rem(items.len() as u64)?;
    items.get(usize::try_from(index).ok()?).copied()
}
