//! From content to encrypted elements.

use std::fmt;

use crypto::Random;
use crypto::omemo::payload::{self, KeyMaterial, PayloadError};
use crypto::omemo::{Device, EncryptError, Legacy, Omemo2, Profile, ReplyDue, SessionSet};
use xmpp::jid::BareJid;
use xmpp::xml::Element;

use crate::eme::Encryption;
use crate::hints::Hint;
use crate::omemo::encrypted::{Encrypted, KeyElement};
use crate::omemo::version::Version;
use crate::receipts;
use crate::sce::{Envelope, EnvelopeError};
use crate::sid;

/// A device to encrypt to, with the sessions that we have with it.
pub struct Recipient<'a, P> {
    /// Whose device.
    pub jid: &'a BareJid,
    /// Its id.
    pub device: u32,
    /// The sessions; one must be ready ([`SessionSet::is_ready`]).
    pub sessions: &'a mut SessionSet<P>,
}

/// The devices of one message, each under the strongest version that it has.
#[derive(Default)]
pub struct Recipients<'a> {
    /// Those that get the envelope.
    pub omemo2: Vec<Recipient<'a, Omemo2>>,
    /// Those that get the body only.
    pub legacy: Vec<Recipient<'a, Legacy>>,
}

/// What sealing needs besides content and recipients.
#[derive(Clone, Copy)]
pub struct Sealer<'a> {
    /// The own device.
    pub device: &'a Device,
    /// Unix seconds.
    pub now: u64,
    /// The source of keys and padding.
    pub random: &'a dyn Random,
}

/// What a message says, in both vocabularies. `Debug` hides it.
#[derive(Clone, Copy)]
pub struct Said<'a> {
    /// For OMEMO 2.
    pub envelope: &'a Envelope,
    /// For legacy devices, which know nothing but text.
    pub body: &'a str,
}

impl fmt::Debug for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Said(<redacted>)")
    }
}

/// An encrypted message, not yet addressed. Made by [`seal`], [`seal_empty`] and [`seal_reply`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    parts: Vec<Encrypted>,
    empty: bool,
    asks_for_receipt: bool,
}

/// Why nothing was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealError {
    /// There is nobody to encrypt to. There is no way to send without.
    NoRecipients,
    /// A device has no session: fetch its bundle and start one, or leave the device out.
    NoSession {
        /// Under which version.
        version: Version,
        /// The device.
        device: u32,
    },
    /// The envelope is too large or cannot be written.
    Envelope(EnvelopeError),
    /// The content is too large.
    TooLarge,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecipients => f.write_str("there is no device to encrypt to"),
            Self::NoSession { .. } => f.write_str("there is no session with a device"),
            Self::Envelope(error) => error.fmt(f),
            Self::TooLarge => f.write_str("the message is too large"),
        }
    }
}

impl std::error::Error for SealError {}

impl From<PayloadError> for SealError {
    fn from(_: PayloadError) -> Self {
        Self::TooLarge
    }
}

/// Encrypts a message for all its devices: one element per version that is needed, the strongest first.
///
/// # Errors
///
/// [`SealError`]; sessions are unchanged then, except when the content is too large for one of the versions, which is
/// found before any key is used.
///
/// Source: XEP-0384 §5.5, 0.3.0 §4.5, security-design §2.6.
pub fn seal(sealer: &Sealer<'_>, said: &Said<'_>, recipients: &mut Recipients<'_>) -> Result<Sealed, SealError> {
    if recipients.omemo2.is_empty() && recipients.legacy.is_empty() {
        return Err(SealError::NoRecipients);
    }
    check_ready(sealer, &recipients.omemo2)?;
    check_ready(sealer, &recipients.legacy)?;
    let omemo2 = match recipients.omemo2.is_empty() {
        true => None,
        false => {
            let envelope = said.envelope.to_bytes(|b| sealer.random.fill(b)).map_err(SealError::Envelope)?;
            Some(payload::omemo2::seal(&envelope, sealer.random)?)
        }
    };
    let legacy = match recipients.legacy.is_empty() {
        true => None,
        false => Some(payload::legacy::seal(said.body.as_bytes(), sealer.random)?),
    };
    let mut parts = Vec::new();
    if let Some(sealed) = omemo2 {
        let keys = keys_for(sealer, &sealed.key_material, &mut recipients.omemo2)?;
        parts.push(part(sealer, Version::Omemo2, keys, None, Some(sealed.ciphertext)));
    }
    if let Some(sealed) = legacy {
        let keys = keys_for(sealer, &sealed.key_material, &mut recipients.legacy)?;
        parts.push(part(sealer, Version::Legacy, keys, Some(sealed.iv.to_vec()), Some(sealed.ciphertext)));
    }
    Ok(Sealed { parts, empty: false, asks_for_receipt: false })
}

/// Makes an empty message on the current session: for a device whose own session is broken.
///
/// # Errors
///
/// [`SealError::NoSession`].
pub fn seal_empty<P: Profile>(sealer: &Sealer<'_>, recipient: Recipient<'_, P>) -> Result<Sealed, SealError> {
    check_ready(sealer, std::slice::from_ref(&recipient))?;
    let (iv, material) = empty_material::<P>(sealer);
    let keys = keys_for(sealer, &material, &mut [recipient])?;
    Ok(Sealed { parts: vec![part(sealer, P::ID.into(), keys, iv, None)], empty: true, asks_for_receipt: false })
}

/// Makes the empty message that a received one asked for, on the session that asked (XEP-0384 §6).
///
/// # Errors
///
/// [`SealError::NoSession`] when that session is gone, which is harmless.
pub fn seal_reply<P: Profile>(
    sealer: &Sealer<'_>,
    recipient: Recipient<'_, P>,
    reply: &ReplyDue,
) -> Result<Sealed, SealError> {
    let (iv, material) = empty_material::<P>(sealer);
    let encrypted = recipient.sessions.encrypt_reply(sealer.device, reply, material.expose());
    let key = key_element(&recipient, encrypted)?;
    Ok(Sealed { parts: vec![part(sealer, P::ID.into(), vec![key], iv, None)], empty: true, asks_for_receipt: false })
}

impl Sealed {
    /// Asks for a receipt beside the encrypted elements, in clear: apps that know only the older encryption look nowhere else
    /// (XEP-0184 §3). It names nothing, and says nothing about the content.
    #[must_use]
    pub fn asking_for_receipt(self) -> Self {
        Self { asks_for_receipt: true, ..self }
    }

    /// Addresses the message: a chat stanza with the encrypted elements, the hint to keep it, and the ids.
    ///
    /// `id` is the stanza's id and its origin-id, by which receivers recognise a repeat.
    #[must_use]
    pub fn to_message(&self, to: &BareJid, id: &str) -> Element {
        let eme = self.parts.first().filter(|_| !self.empty).map(|part| Encryption::omemo(part.version).to_element());
        Element::new("message", xmpp::ns::CLIENT)
            .with_attr("type", "chat")
            .with_attr("to", to.as_str())
            .with_attr("id", id)
            .with_children(self.parts.iter().map(Encrypted::to_element))
            .with_children(eme)
            .with_children(self.asks_for_receipt.then(receipts::request))
            .with_child(Hint::Store.to_element())
            .with_child(sid::origin_id(id))
    }

    /// The encrypted elements, the strongest version first.
    #[must_use]
    pub fn parts(&self) -> &[Encrypted] {
        &self.parts
    }
}

fn check_ready<P: Profile>(sealer: &Sealer<'_>, recipients: &[Recipient<'_, P>]) -> Result<(), SealError> {
    match recipients.iter().find(|r| !r.sessions.is_ready(sealer.now)) {
        None => Ok(()),
        Some(r) => Err(SealError::NoSession { version: P::ID.into(), device: r.device }),
    }
}

fn keys_for<P: Profile>(
    sealer: &Sealer<'_>,
    material: &KeyMaterial,
    recipients: &mut [Recipient<'_, P>],
) -> Result<Vec<KeyElement>, SealError> {
    recipients
        .iter_mut()
        .map(|recipient| {
            let encrypted = recipient.sessions.encrypt(sealer.device, material.expose(), sealer.now);
            key_element(recipient, encrypted)
        })
        .collect()
}

fn key_element<P: Profile>(
    recipient: &Recipient<'_, P>,
    encrypted: Result<crypto::omemo::Encrypted, EncryptError>,
) -> Result<KeyElement, SealError> {
    let version = Version::from(P::ID);
    let encrypted = encrypted.map_err(|_| SealError::NoSession { version, device: recipient.device })?;
    Ok(KeyElement {
        jid: version.is_omemo2().then(|| recipient.jid.clone()),
        device: recipient.device,
        key_exchange: encrypted.key_exchange,
        bytes: encrypted.bytes,
    })
}

fn empty_material<P: Profile>(sealer: &Sealer<'_>) -> (Option<Vec<u8>>, KeyMaterial) {
    match Version::from(P::ID) {
        Version::Omemo2 => (None, payload::omemo2::empty()),
        Version::Legacy => {
            let (iv, material) = payload::legacy::empty(sealer.random);
            (Some(iv.to_vec()), material)
        }
    }
}

fn part(
    sealer: &Sealer<'_>,
    version: Version,
    keys: Vec<KeyElement>,
    iv: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
) -> Encrypted {
    Encrypted { version, sender_device: sealer.device.id(), keys, iv, payload }
}
