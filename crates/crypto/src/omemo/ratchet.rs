//! The Double Ratchet, generic over the profile's rules.
//!
//! Every message key is used once: sending steps the chain, receiving either steps a chain or takes a key that an earlier
//! message skipped over. Decryption works on a copy, which replaces the state only after MAC and padding have been checked.
//!
//! Source: XEP-0384 §4.3 and the Double Ratchet document as summarised in `signal-protocols-summary.md` §4. Where a new
//! receiving chain begins, the keys that the old one still owes (`pn`) are kept, as the document says. Five chains stay open
//! besides: libsignal sends `pn` one short and never reads it, so the last message of a chain may still come.

use std::collections::VecDeque;
use std::marker::PhantomData;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::error::Undecryptable;
use super::kdf::{self, MessageKeys};
use super::keys::{DhPair, RatchetKey};
use super::profile::{Framed, Header, Rules};
use super::{MAX_OPENED_HASHES, MAX_RECEIVING_CHAINS, MAX_SKIPPED};
use crate::{Random, Secret};

/// A chain of message keys, for sending.
pub(super) struct SendingChain {
    pub(super) key: Secret<32>,
    /// The number of the next message.
    pub(super) next: u32,
}

/// A chain of message keys that follows the peer's sending chain.
pub(super) struct ReceivingChain {
    pub(super) ratchet: RatchetKey,
    pub(super) key: Secret<32>,
    /// The number of the next message in order.
    pub(super) next: u32,
    /// A heartbeat has been asked for on this chain already.
    pub(super) heartbeat: bool,
    pub(super) opened: OpenedLog,
}

/// What a message is remembered by: half a SHA-256 over its MAC and everything that the MAC covers.
pub(super) type OpenedHash = [u8; 16];

/// The last messages of a chain that were opened.
#[derive(Clone)]
pub(super) struct OpenedLog {
    /// Places below this one were passed before hashes were kept: nothing is known of what was opened there.
    pub(super) since: u32,
    /// Oldest first.
    pub(super) hashes: VecDeque<(u32, OpenedHash)>,
}

impl OpenedLog {
    /// Begins with the message at `since`.
    pub(super) fn new(since: u32) -> Self {
        Self { since, hashes: VecDeque::new() }
    }

    fn note(&mut self, message: &Framed<'_>) {
        self.hashes.push_back((message.header.counter, hash_of(message)));
        while self.hashes.len() > MAX_OPENED_HASHES {
            self.hashes.pop_front();
        }
    }

    fn has(&self, message: &Framed<'_>) -> bool {
        let hash = hash_of(message);
        message.header.counter < self.since || self.hashes.contains(&(message.header.counter, hash))
    }
}

fn hash_of(message: &Framed<'_>) -> OpenedHash {
    let hash = Sha256::new().chain_update(message.mac).chain_update(message.authenticated).finalize();
    hash.first_chunk().copied().unwrap_or_default()
}

/// The key of a message that has not arrived.
pub(super) struct SkippedKey {
    pub(super) ratchet: RatchetKey,
    pub(super) counter: u32,
    pub(super) key: Secret<32>,
}

/// One end of a Double Ratchet.
pub(super) struct Ratchet<P> {
    pub(super) root: Secret<32>,
    pub(super) own: DhPair,
    /// Absent only in a responder that has received nothing yet.
    pub(super) sending: Option<SendingChain>,
    /// How many messages the sending chain before this one had.
    pub(super) previous: u32,
    /// Oldest first.
    pub(super) receiving: Vec<ReceivingChain>,
    /// Oldest first.
    pub(super) skipped: VecDeque<SkippedKey>,
    pub(super) profile: PhantomData<P>,
}

/// What a decrypted ratchet message says besides its plaintext.
pub(super) struct Decrypted {
    pub(super) plaintext: Zeroizing<Vec<u8>>,
    /// It is the first of its chain with a counter that calls for a heartbeat.
    pub(super) heartbeat: bool,
    /// It began a new receiving chain.
    pub(super) new_chain: bool,
}

impl<P: Rules> Ratchet<P> {
    /// The initiator's end, which can send at once. `None` when the peer's key has small order.
    pub(super) fn initiator(secret: Secret<32>, peer: &RatchetKey, random: &dyn Random) -> Option<Self> {
        let mut ratchet = Self::responder(secret, DhPair::generate(random));
        ratchet.step_sending(peer)?;
        Some(ratchet)
    }

    /// The responder's end, whose first ratchet key is its signed prekey. It sends only after it has received.
    pub(super) fn responder(secret: Secret<32>, own: DhPair) -> Self {
        Self {
            root: secret,
            own,
            sending: None,
            previous: 0,
            receiving: Vec::new(),
            skipped: VecDeque::new(),
            profile: PhantomData,
        }
    }

    pub(super) fn duplicate(&self) -> Self {
        Self {
            root: self.root.duplicate(),
            own: self.own.duplicate(),
            sending: self.sending.as_ref().map(|chain| SendingChain { key: chain.key.duplicate(), next: chain.next }),
            previous: self.previous,
            receiving: self.receiving.iter().map(ReceivingChain::duplicate).collect(),
            skipped: self.skipped.iter().map(SkippedKey::duplicate).collect(),
            profile: PhantomData,
        }
    }

    /// Encrypts the next message. `None` when there is no sending chain, or its 2³² messages are used up.
    pub(super) fn encrypt(&mut self, plaintext: &[u8], associated_data: &[u8]) -> Option<Vec<u8>> {
        let chain = self.sending.as_mut()?;
        let after = chain.next.checked_add(1)?;
        let (message_key, next_key) = kdf::chain_step(&chain.key);
        let header = Header { ratchet: self.own.public(), counter: chain.next, previous: self.previous };
        chain.key = next_key;
        chain.next = after;
        Some(seal::<P>(message_key.expose(), &header, plaintext, associated_data))
    }

    /// Decrypts one message, or changes nothing.
    pub(super) fn decrypt(
        &mut self,
        message: &Framed<'_>,
        associated_data: &[u8],
        random: &dyn Random,
    ) -> Result<Decrypted, Undecryptable> {
        let mut copy = self.duplicate();
        let known = copy.chain(&message.header.ratchet).is_some();
        let message_key = match copy.take_skipped(&message.header) {
            Some(key) => key,
            None => copy.advance(&message.header, random)?,
        };
        let plaintext = open::<P>(message_key.expose(), message, associated_data)?;
        let heartbeat = message.header.counter >= super::HEARTBEAT_COUNTER
            && copy
                .chain_mut(&message.header.ratchet)
                .is_some_and(|chain| !std::mem::replace(&mut chain.heartbeat, true));
        if let Some(chain) = copy.chain_mut(&message.header.ratchet) {
            chain.opened.note(message);
        }
        let new_chain = !known && copy.chain(&message.header.ratchet).is_some();
        *self = copy;
        Ok(Decrypted { plaintext, heartbeat, new_chain })
    }

    /// Whether exactly this message was opened before.
    pub(super) fn has_opened(&self, message: &Framed<'_>) -> bool {
        let kept = |key: &SkippedKey| key.ratchet == message.header.ratchet && key.counter == message.header.counter;
        self.chain(&message.header.ratchet)
            .is_some_and(|chain| message.header.counter < chain.next && chain.opened.has(message))
            && !self.skipped.iter().any(kept)
    }

    fn chain(&self, ratchet: &RatchetKey) -> Option<&ReceivingChain> {
        self.receiving.iter().find(|chain| chain.ratchet == *ratchet)
    }

    fn chain_mut(&mut self, ratchet: &RatchetKey) -> Option<&mut ReceivingChain> {
        self.receiving.iter_mut().find(|chain| chain.ratchet == *ratchet)
    }

    fn take_skipped(&mut self, header: &Header) -> Option<Secret<32>> {
        let at = self.skipped.iter().position(|key| key.ratchet == header.ratchet && key.counter == header.counter)?;
        self.skipped.remove(at).map(|skipped| skipped.key)
    }

    /// Moves the chains forward to the message's key; the keys passed over are kept.
    fn advance(&mut self, header: &Header, random: &dyn Random) -> Result<Secret<32>, Undecryptable> {
        match self.chain(&header.ratchet) {
            Some(chain) => {
                let distance = header.counter.checked_sub(chain.next).ok_or(Undecryptable)?;
                check_distance(u64::from(distance))?;
            }
            None => {
                let owed = self.receiving.last().map_or(0, |chain| header.previous.saturating_sub(chain.next));
                check_distance(u64::from(owed) + u64::from(header.counter))?;
                if let Some(chain) = self.receiving.last_mut() {
                    chain.skip_to(header.previous, &mut self.skipped)?;
                }
                self.step_receiving(&header.ratchet, random).ok_or(Undecryptable)?;
            }
        }
        let chain = self.receiving.iter_mut().find(|chain| chain.ratchet == header.ratchet).ok_or(Undecryptable)?;
        chain.skip_to(header.counter, &mut self.skipped)?;
        let key = chain.step()?;
        while self.skipped.len() > MAX_SKIPPED {
            self.skipped.pop_front();
        }
        Ok(key)
    }

    /// The peer has a new ratchet key: a new receiving chain, then a new key and sending chain of our own.
    fn step_receiving(&mut self, peer: &RatchetKey, random: &dyn Random) -> Option<()> {
        let (root, key) = kdf::root_step(&self.root, &self.own.agree(peer.as_bytes())?, P::ROOT_INFO);
        self.root = root;
        self.receiving.push(ReceivingChain {
            ratchet: *peer,
            key,
            next: 0,
            heartbeat: false,
            opened: OpenedLog::new(0),
        });
        let surplus = self.receiving.len().saturating_sub(MAX_RECEIVING_CHAINS);
        self.receiving.drain(..surplus);
        self.previous = self.sending.as_ref().map_or(0, |chain| chain.next);
        self.own = DhPair::generate(random);
        self.step_sending(peer)
    }

    fn step_sending(&mut self, peer: &RatchetKey) -> Option<()> {
        let (root, key) = kdf::root_step(&self.root, &self.own.agree(peer.as_bytes())?, P::ROOT_INFO);
        self.root = root;
        self.sending = Some(SendingChain { key, next: 0 });
        Some(())
    }
}

impl ReceivingChain {
    fn duplicate(&self) -> Self {
        Self {
            ratchet: self.ratchet,
            key: self.key.duplicate(),
            next: self.next,
            heartbeat: self.heartbeat,
            opened: self.opened.clone(),
        }
    }

    /// Keeps the keys of all messages before `counter`. The distance has been checked.
    fn skip_to(&mut self, counter: u32, skipped: &mut VecDeque<SkippedKey>) -> Result<(), Undecryptable> {
        while self.next < counter {
            let counter = self.next;
            let key = self.step()?;
            skipped.push_back(SkippedKey { ratchet: self.ratchet, counter, key });
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Secret<32>, Undecryptable> {
        self.next = self.next.checked_add(1).ok_or(Undecryptable)?;
        let (message_key, chain_key) = kdf::chain_step(&self.key);
        self.key = chain_key;
        Ok(message_key)
    }
}

impl SkippedKey {
    fn duplicate(&self) -> Self {
        Self { ratchet: self.ratchet, counter: self.counter, key: self.key.duplicate() }
    }
}

/// One message may make us derive at most [`MAX_SKIPPED`] keys that are not its own; checked before the first derivation.
fn check_distance(distance: u64) -> Result<(), Undecryptable> {
    if distance > MAX_SKIPPED as u64 { Err(Undecryptable) } else { Ok(()) }
}

/// `ENCRYPT` of XEP-0384 §4.3.
pub(super) fn seal<P: Rules>(key: &[u8; 32], header: &Header, plaintext: &[u8], associated_data: &[u8]) -> Vec<u8> {
    let keys = MessageKeys::derive(key, P::MESSAGE_INFO);
    P::frame(header, keys.encrypt(plaintext), |message| {
        *kdf::hmac(keys.mac.expose(), &[associated_data, message]).expose()
    })
}

/// The MAC first, in constant time, and only then the padding.
fn open<P: Rules>(
    key: &[u8; 32],
    message: &Framed<'_>,
    associated_data: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Undecryptable> {
    let keys = MessageKeys::derive(key, P::MESSAGE_INFO);
    let mac = kdf::hmac(keys.mac.expose(), &[associated_data, message.authenticated]);
    // The profile's parser has fixed the length of the received MAC.
    let expected = mac.expose().get(..message.mac.len()).ok_or(Undecryptable)?;
    if !bool::from(expected.ct_eq(message.mac)) {
        return Err(Undecryptable);
    }
    keys.decrypt(message.ciphertext)
}
