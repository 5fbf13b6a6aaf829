//! From an encrypted element to its content.

use std::fmt;

use crypto::Random;
use crypto::omemo::payload;
use crypto::omemo::{DecryptError, Delivery, Device, IdentityKey, Incoming, Profile, ReplyDue, SessionSet};
use xmpp::jid::BareJid;

use crate::omemo::encrypted::Encrypted;
use crate::omemo::version::Version;

/// What opening needs besides the element, the device and the sessions with its sender.
#[derive(Clone, Copy)]
pub struct Opener<'a> {
    /// The own account.
    pub own: &'a BareJid,
    /// The identity key by which the sender's device is known, if it is.
    pub pinned: Option<&'a IdentityKey>,
    /// How the message came.
    pub delivery: Delivery,
    /// Unix seconds.
    pub now: u64,
    /// The source of ratchet keys.
    pub random: &'a dyn Random,
}

/// What an element says, not yet looked at.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing; it only moved the session.
    Empty,
    /// OMEMO 2: the bytes of an envelope, for [`crate::sce::open`].
    Envelope(Vec<u8>),
    /// Legacy: the text of the body.
    Body(String),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Envelope(_) => "Envelope(<redacted>)",
            Self::Body(_) => "Body(<redacted>)",
        })
    }
}

/// A decrypted element.
#[derive(Debug)]
pub struct Opened {
    /// What it says.
    pub content: Content,
    /// The identity key that said it. Whether that key may speak for the stanza's sender is the caller's question.
    pub identity: IdentityKey,
    /// Whether it began a new session.
    pub new_session: bool,
    /// The one-time prekey that it used up: publish the bundle again.
    pub used_prekey: Option<u32>,
    /// The empty message that is due: send it with [`seal_reply`](super::seal_reply).
    pub reply_due: Option<ReplyDue>,
}

/// Why an element was not opened. Device and sessions are unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// It has no key for this device: discard it silently (XEP-0384 §5.6).
    NotForThisDevice,
    /// The sessions are of another version than the element: a bug in the caller.
    WrongVersion,
    /// The key does not decrypt. A message that was decrypted before ends here too ([`SessionSet::looks_repeated`]).
    Key(DecryptError),
    /// The key decrypts, but the content does not belong to it, or is no text.
    Content,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotForThisDevice => f.write_str("the message is not for this device"),
            Self::WrongVersion => f.write_str("the sessions are of another version"),
            Self::Key(error) => error.fmt(f),
            Self::Content => f.write_str("the content cannot be decrypted"),
        }
    }
}

impl std::error::Error for OpenError {}

/// Opens an element for the own device with the sessions that we have with the sender's device.
///
/// # Errors
///
/// [`OpenError`]; nothing has changed then, neither device nor sessions.
///
/// Source: XEP-0384 §5.6, 0.3.0 §4.7; attack row C13.
pub fn open<P: Profile>(
    opener: &Opener<'_>,
    element: &Encrypted,
    device: &mut Device,
    sessions: &mut SessionSet<P>,
) -> Result<Opened, OpenError> {
    if element.version != Version::from(P::ID) {
        return Err(OpenError::WrongVersion);
    }
    let key = element.key_for(opener.own, device.id()).ok_or(OpenError::NotForThisDevice)?;
    let incoming =
        Incoming { bytes: &key.bytes, key_exchange: key.key_exchange, delivery: opener.delivery, now: opener.now };
    // The ratchet moves before the content can be checked, so that a spoilt content has to be undone.
    let sessions_before = sessions.to_bytes();
    let device_before = key.key_exchange.then(|| device.to_bytes());
    let opened = sessions.decrypt(device, &incoming, opener.pinned, opener.random).map_err(OpenError::Key)?;
    match content(element, &opened.key_material) {
        Ok(content) => Ok(Opened {
            content,
            identity: opened.identity,
            new_session: opened.new_session,
            used_prekey: opened.used_prekey,
            reply_due: opened.reply_due,
        }),
        Err(error) => {
            if let Ok(before) = SessionSet::from_bytes(&sessions_before) {
                *sessions = before;
            }
            if let Some(before) = device_before.and_then(|bytes| Device::from_bytes(&bytes).ok()) {
                *device = before;
            }
            Err(error)
        }
    }
}

fn content(element: &Encrypted, key_material: &[u8]) -> Result<Content, OpenError> {
    let payload = element.payload.as_deref();
    let content = match element.version {
        Version::Omemo2 => payload::omemo2::open(key_material, payload),
        Version::Legacy => payload::legacy::open(key_material, element.iv.as_deref().unwrap_or_default(), payload),
    };
    match (content, element.version) {
        (Err(_), _) => Err(OpenError::Content),
        (Ok(payload::Content::Empty), _) => Ok(Content::Empty),
        (Ok(payload::Content::Plaintext(bytes)), Version::Omemo2) => Ok(Content::Envelope(bytes.to_vec())),
        (Ok(payload::Content::Plaintext(bytes)), Version::Legacy) => {
            std::str::from_utf8(&bytes).map(|text| Content::Body(text.to_owned())).map_err(|_| OpenError::Content)
        }
    }
}
