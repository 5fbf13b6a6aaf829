//! [`SessionSet`]: every session with one peer device under one profile, and which of them to use.
//!
//! The state machine of a peer device: *none* → *sent* (we began, no answer yet) → *active* → *archived* → gone. A valid key
//! exchange makes a new active session and archives the old one; a message that an archived session decrypts makes that one
//! active again. Both ends following these rules end up on the same session, however their key exchanges crossed.

use std::fmt;

use zeroize::Zeroizing;

use super::device::Device;
use super::error::{BundleError, DecryptError, EncryptError, StateError};
use super::keys::{IdentityKey, RatchetKey};
use super::profile::{Exchange, Profile};
use super::ratchet::Decrypted;
use super::session::Session;
use super::{ARCHIVE_KEEP_SECONDS, Bundle, MAX_ARCHIVED, MAX_KEY_MATERIAL_BYTES, MAX_WIRE_BYTES, state};
use crate::Random;

/// A message for one device, ready for base64. Release it only after the session set has been committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encrypted {
    /// The content of the key element.
    pub bytes: Vec<u8>,
    /// Whether the bytes are a key exchange (`prekey='true'` in legacy, `kex='true'` in OMEMO 2).
    pub key_exchange: bool,
}

/// How a message came to us; decides what a used prekey may still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Just now. A prekey that has been used is accepted again until a bundle without it has been out for ten minutes: two
    /// senders may have picked it, and neither is to lose a message.
    Live,
    /// From an archive or the offline queue, while catching up. It may have been picked at any time, so it is accepted as
    /// long as it is there.
    CatchUp,
}

/// A received key element.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
    /// Its content, after base64.
    pub bytes: &'a [u8],
    /// Whether it is marked as a key exchange.
    pub key_exchange: bool,
    /// How it came.
    pub delivery: Delivery,
    /// Unix seconds.
    pub now: u64,
}

/// A decrypted message. Commit the session set, the device and what the message said in one transaction.
pub struct Opened {
    /// The key material: hand it to [`payload`](super::payload).
    pub key_material: Zeroizing<Vec<u8>>,
    /// The identity key that the message came from.
    pub identity: IdentityKey,
    /// The message began a new session.
    pub new_session: bool,
    /// The one-time prekey that the message used up: publish the bundle again.
    pub used_prekey: Option<u32>,
    /// The peer's device needs an empty message: send it with [`SessionSet::encrypt_reply`].
    pub reply_due: Option<ReplyDue>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("new_session", &self.new_session)
            .field("used_prekey", &self.used_prekey)
            .field("reply_due", &self.reply_due)
            .finish_non_exhaustive()
    }
}

/// An empty message that is due, and the session to send it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyDue {
    /// Why.
    pub reason: ReplyReason,
    session: RatchetKey,
}

/// Why an empty message is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyReason {
    /// The peer began a session and repeats its key exchange until it hears from us (XEP-0384 §6).
    NewSession,
    /// The peer used a prekey for the second time. Its session receives only, until our reply has moved it on to a fresh
    /// ratchet key and the peer has answered.
    ReusedPrekey,
    /// The peer has sent 53 messages without hearing from us (XEP-0384 §6).
    Heartbeat,
}

/// The sessions with one device of a peer under the profile `P`.
pub struct SessionSet<P> {
    pub(super) current: Option<Session<P>>,
    /// Newest first.
    pub(super) archived: Vec<Session<P>>,
}

impl<P: Profile> Default for SessionSet<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> fmt::Debug for SessionSet<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionSet")
            .field("current", &self.current.is_some())
            .field("archived", &self.archived.len())
            .finish()
    }
}

impl<P: Profile> SessionSet<P> {
    /// No session yet.
    pub fn new() -> Self {
        Self { current: None, archived: Vec::new() }
    }

    /// Whether [`SessionSet::encrypt`] would work: there is a session, and the peer can still be expected to have the keys
    /// for it. Otherwise fetch the bundle and [`SessionSet::start`].
    pub fn is_ready(&self, now: u64) -> bool {
        self.usable(now).is_some()
    }

    /// Whether the current session is ours and unanswered: every message still carries the key exchange.
    pub fn is_unacknowledged(&self) -> bool {
        self.current.as_ref().is_some_and(|session| !session.acknowledged)
    }

    /// How many keys of skipped messages all sessions keep together.
    pub fn skipped_key_count(&self) -> usize {
        self.sessions().map(|session| session.ratchet.skipped.len()).sum()
    }

    /// The identity that the current session is bound to.
    pub fn identity(&self) -> Option<&IdentityKey> {
        self.current.as_ref().map(|session| &session.peer)
    }

    /// Whether every session was made with this identity key of ours. Those of another one must not be used any more: the
    /// device that they belong to has been given up.
    pub fn belongs_to(&self, own: &IdentityKey) -> bool {
        let own = P::identity_bytes(own);
        self.sessions().all(|session| own.as_ref() == Some(&session.own_bytes))
    }

    /// Begins a new session; the current one is archived.
    ///
    /// Compare [`Bundle::identity`] with the pinned key first.
    ///
    /// # Errors
    ///
    /// [`BundleError`], when one of the bundle's keys has small order; the set is unchanged.
    pub fn start(
        &mut self,
        device: &Device,
        bundle: &Bundle<P>,
        now: u64,
        random: &dyn Random,
    ) -> Result<(), BundleError> {
        let session = Session::initiate(device, bundle, now, random)?;
        self.make_current(session, now);
        Ok(())
    }

    /// Encrypts key material with the current session.
    ///
    /// # Errors
    ///
    /// [`EncryptError`]; the set is unchanged.
    pub fn encrypt(&mut self, device: &Device, key_material: &[u8], now: u64) -> Result<Encrypted, EncryptError> {
        if self.usable(now).is_none() {
            return Err(EncryptError::NoSession);
        }
        encrypt_with(self.current.as_mut(), device, key_material)
    }

    /// Encrypts the key material of an empty message on the session that asked for it.
    ///
    /// # Errors
    ///
    /// [`EncryptError::NoSession`] when that session is gone by now, which is harmless.
    pub fn encrypt_reply(
        &mut self,
        device: &Device,
        reply: &ReplyDue,
        key_material: &[u8],
    ) -> Result<Encrypted, EncryptError> {
        let session = self
            .current
            .iter_mut()
            .chain(&mut self.archived)
            .find(|session| session.exchange.ephemeral == reply.session);
        encrypt_with(session, device, key_material)
    }

    /// Decrypts a message, whichever session it belongs to; a key exchange may begin a new one.
    ///
    /// `pinned` is the identity key that this device is known by, if it is known.
    ///
    /// # Errors
    ///
    /// [`DecryptError`]. Neither the set nor the device has changed then.
    pub fn decrypt(
        &mut self,
        device: &mut Device,
        incoming: &Incoming<'_>,
        pinned: Option<&IdentityKey>,
        random: &dyn Random,
    ) -> Result<Opened, DecryptError> {
        if incoming.bytes.len() > MAX_WIRE_BYTES {
            return Err(DecryptError::Undecryptable);
        }
        if !incoming.key_exchange {
            return self.decrypt_message(incoming.bytes, incoming.now, pinned, random);
        }
        let (exchange, message) = P::parse_exchange(incoming.bytes)?;
        if self.sessions().any(|session| session.began_with(&exchange.ephemeral)) {
            return self.decrypt_repeated(&exchange, message, incoming.now, pinned, random);
        }
        let (signed_prekey, prekey, state) =
            device.prekeys_for(exchange.signed_prekey_id, exchange.prekey_id).ok_or(DecryptError::Undecryptable)?;
        let serves = match incoming.delivery {
            Delivery::Live => state.serves(&exchange.ephemeral, incoming.now),
            Delivery::CatchUp => state.serves_late(&exchange.ephemeral),
        };
        if !serves {
            return Err(DecryptError::Undecryptable);
        }
        let reused = !state.is_fresh();
        let mut session = Session::respond(device, &exchange, signed_prekey, prekey, incoming.now)?;
        let decrypted = session.decrypt(message, random)?;
        check_pin(pinned, &session.peer)?;

        device.use_prekey(exchange.prekey_id, exchange.ephemeral);
        let reason = if reused { ReplyReason::ReusedPrekey } else { ReplyReason::NewSession };
        let opened = Opened {
            key_material: decrypted.plaintext,
            identity: session.peer,
            new_session: true,
            used_prekey: Some(exchange.prekey_id),
            reply_due: Some(ReplyDue { reason, session: exchange.ephemeral }),
        };
        if reused {
            // Not current: it becomes so when the peer has answered our reply, on keys of which one is fresh.
            session.receive_only = true;
            self.archive(session, incoming.now);
        } else {
            self.make_current(session, incoming.now);
        }
        Ok(opened)
    }

    /// Whether a message is one that was decrypted before, for deciding what to show about a failure: a repetition is no
    /// reason to warn or to repair a session.
    ///
    /// Its place in a chain having passed is not enough: a peer whose state was put back to an older one uses the same places
    /// for other words (attack row C23). It is a repetition only when the hash of what was opened there is the same.
    ///
    /// Source: security design §3.5.
    pub fn looks_repeated(&self, bytes: &[u8], key_exchange: bool) -> bool {
        let message = match key_exchange {
            true => P::parse_exchange(bytes).map(|(_, message)| message),
            false => Ok(bytes),
        };
        message
            .and_then(P::parse)
            .is_ok_and(|framed| self.sessions().any(|session| session.ratchet.has_opened(&framed)))
    }

    /// Drops archived sessions whose time is over. Called by itself whenever a session is archived.
    pub fn expire(&mut self, now: u64) {
        self.archived.retain(|session| now.saturating_sub(session.archived_at) <= ARCHIVE_KEEP_SECONDS);
        self.archived.truncate(MAX_ARCHIVED);
    }

    /// The state as bytes, secrets included: to be sealed before it is stored.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        state::encode_sessions(self)
    }

    /// Restores what [`SessionSet::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        state::decode_sessions(bytes)
    }

    /// A message that is no key exchange: tried on every session, newest first.
    fn decrypt_message(
        &mut self,
        bytes: &[u8],
        now: u64,
        pinned: Option<&IdentityKey>,
        random: &dyn Random,
    ) -> Result<Opened, DecryptError> {
        let (ephemeral, opened) = self
            .current
            .iter_mut()
            .chain(&mut self.archived)
            // Sessions of another identity than the pinned one are left alone: decrypting would change them.
            .filter(|session| check_pin(pinned, &session.peer).is_ok())
            .find_map(|session| {
                let decrypted = session.decrypt(bytes, random).ok()?;
                Some((session.exchange.ephemeral, describe(session, decrypted)))
            })
            .ok_or(DecryptError::Undecryptable)?;
        self.promote(&ephemeral, now);
        Ok(opened)
    }

    /// A key exchange that we have answered already: only the message inside it is new.
    fn decrypt_repeated(
        &mut self,
        exchange: &Exchange,
        message: &[u8],
        now: u64,
        pinned: Option<&IdentityKey>,
        random: &dyn Random,
    ) -> Result<Opened, DecryptError> {
        let session = self
            .current
            .iter_mut()
            .chain(&mut self.archived)
            .find(|session| session.began_with(&exchange.ephemeral) && session.peer == exchange.identity)
            .ok_or(DecryptError::Undecryptable)?;
        check_pin(pinned, &session.peer)?;
        let decrypted = session.decrypt(message, random)?;
        let opened = describe(session, decrypted);
        self.promote(&exchange.ephemeral, now);
        Ok(opened)
    }

    fn sessions(&self) -> impl Iterator<Item = &Session<P>> {
        self.current.iter().chain(&self.archived)
    }

    /// The current session, unless it is ours, unanswered, and so old that the peer may have lost the prekeys for it.
    fn usable(&self, now: u64) -> Option<&Session<P>> {
        self.current
            .as_ref()
            .filter(|session| session.acknowledged || now.saturating_sub(session.created_at) <= ARCHIVE_KEEP_SECONDS)
    }

    fn make_current(&mut self, session: Session<P>, now: u64) {
        if let Some(old) = self.current.replace(session) {
            self.archive(old, now);
        }
    }

    fn archive(&mut self, mut session: Session<P>, now: u64) {
        session.archived_at = now;
        self.archived.insert(0, session);
        self.expire(now);
    }

    /// Makes an archived session the current one, unless it may only receive yet.
    fn promote(&mut self, ephemeral: &RatchetKey, now: u64) {
        let at =
            self.archived.iter().position(|session| session.exchange.ephemeral == *ephemeral && !session.receive_only);
        if let Some(at) = at {
            let mut session = self.archived.remove(at);
            session.archived_at = 0;
            self.make_current(session, now);
        }
    }
}

fn encrypt_with<P: Profile>(
    session: Option<&mut Session<P>>,
    device: &Device,
    key_material: &[u8],
) -> Result<Encrypted, EncryptError> {
    if key_material.len() > MAX_KEY_MATERIAL_BYTES {
        return Err(EncryptError::TooLong);
    }
    let (bytes, key_exchange) =
        session.and_then(|session| session.encrypt(key_material, device.id())).ok_or(EncryptError::NoSession)?;
    Ok(Encrypted { bytes, key_exchange })
}

fn describe<P>(session: &Session<P>, decrypted: Decrypted) -> Opened {
    Opened {
        key_material: decrypted.plaintext,
        identity: session.peer,
        new_session: false,
        used_prekey: None,
        reply_due: decrypted
            .heartbeat
            .then_some(ReplyDue { reason: ReplyReason::Heartbeat, session: session.exchange.ephemeral }),
    }
}

fn check_pin(pinned: Option<&IdentityKey>, proven: &IdentityKey) -> Result<(), DecryptError> {
    match pinned {
        Some(pinned) if pinned != proven => Err(DecryptError::IdentityChanged { claimed: *proven }),
        _ => Ok(()),
    }
}
