//! Writing and reading envelopes.

use std::fmt;
use std::time::Duration;

use xmpp::jid::{BareJid, Jid};
use xmpp::time::Timestamp;
use xmpp::xml::Element;

use super::{ACCEPT_BYTES_MAX, NS, NS_WX, SEND_BYTES_MAX, affix, placement, size_class};
use crate::witness::Witnesses;
use crate::{Malformed, document};

/// How far a live message's own time may lie from ours.
const LIVE_TOLERANCE: Duration = Duration::from_secs(10 * 60);
/// How far a delayed message's own time may lie from the time that the server states.
const DELAYED_TOLERANCE: Duration = Duration::from_secs(24 * 60 * 60);

/// An envelope to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The sender's account.
    pub from: BareJid,
    /// The recipient's account, or the room.
    pub to: BareJid,
    /// When it was written.
    pub time: Timestamp,
    /// The devices addressed ([`recipients_hash`](super::recipients_hash)), for peers who check it.
    pub recipients_hash: Option<[u8; 32]>,
    /// What Waxwing devices keep for each other.
    pub witnesses: Witnesses,
    /// What is said.
    pub content: Vec<Element>,
}

/// How the stanza reached us, which decides how its time is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Just now.
    Live {
        /// The time now.
        now: Timestamp,
    },
    /// From a store; a stamp of our own server says when it was sent.
    Delayed {
        /// The server's stamp.
        stamp: Timestamp,
    },
}

/// What the stanza around the envelope says, after the rules of [`crate::origin`].
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Who sent it: the bare JID of the stanza's `from`; in a room the occupant's real JID.
    pub from: &'a BareJid,
    /// To whom: the bare JID of the stanza's `to` (for a copy of an own message the contact); in a room the room.
    pub to: &'a BareJid,
    /// Whether it came through a room, where `to` is mandatory.
    pub group: bool,
    /// When it came.
    pub arrival: Arrival,
}

/// What the envelope's own time says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeVerdict {
    /// It fits what we know.
    Fits(Timestamp),
    /// It does not: a wrong clock, or an old message sent again. Both times are to be shown.
    Differs {
        /// What the sender wrote.
        stated: Timestamp,
    },
    /// The sender gave none, as other clients may.
    Absent,
}

/// A checked envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What is said, without what may not be said inside.
    pub content: Vec<Element>,
    /// Whether the time fits.
    pub time: TimeVerdict,
    /// The sender's list of addressed devices, as a hash.
    pub recipients_hash: Option<[u8; 32]>,
    /// What the sender's device gives to keep, and gives back.
    pub witnesses: Witnesses,
    /// How many forbidden elements were dropped.
    pub dropped_count: usize,
}

/// Why an envelope is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Its bytes are no envelope.
    Malformed(Malformed),
    /// It names another sender than the stanza.
    WrongSender,
    /// It names another recipient than the stanza: redirected, or taken from a room into private or back.
    WrongRecipient,
    /// It came through a room and does not name it.
    RecipientMissing,
    /// It is too large to be sent.
    TooLarge,
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed(fault) => fault.0,
            Self::WrongSender => "the envelope names another sender",
            Self::WrongRecipient => "the envelope names another recipient",
            Self::RecipientMissing => "the envelope does not name the room",
            Self::TooLarge => "the message is too large",
        })
    }
}

impl std::error::Error for EnvelopeError {}

impl From<Malformed> for EnvelopeError {
    fn from(fault: Malformed) -> Self {
        Self::Malformed(fault)
    }
}

impl Envelope {
    /// Writes the envelope, padded to its size class; `fill` supplies random bytes for the padding.
    ///
    /// # Errors
    ///
    /// [`EnvelopeError::TooLarge`] beyond [`SEND_BYTES_MAX`].
    ///
    /// Source: XEP-0420 §4, XEP-0384 §5.5.1, security-design §2.5.
    pub fn to_bytes(&self, fill: impl FnOnce(&mut [u8])) -> Result<Vec<u8>, EnvelopeError> {
        let bare = self.to_element("=").to_xml("");
        let target = size_class(bare.len());
        if target > SEND_BYTES_MAX {
            return Err(EnvelopeError::TooLarge);
        }
        // one character stood for the padding already: an empty <rpad/> would be written shorter than its two tags
        let mut padding = vec![0u8; 1 + target - bare.len()];
        fill(&mut padding);
        let padding: String = padding.iter().map(|byte| pad_char(*byte)).collect();
        Ok(self.to_element(&padding).to_xml("").into_bytes())
    }

    fn to_element(&self, padding: &str) -> Element {
        let affix = |name: &'static str, jid: &BareJid| Element::new(name, NS).with_attr("jid", jid.as_str());
        Element::new("envelope", NS)
            .with_child(Element::new("content", NS).with_children(self.content.iter().cloned()))
            .with_child(Element::new("rpad", NS).with_text(padding))
            .with_child(Element::new("time", NS).with_attr("stamp", self.time.to_xep0082()))
            .with_child(affix("from", &self.from))
            .with_child(affix("to", &self.to))
            .with_children(affix::to_element(self.recipients_hash.as_ref(), &self.witnesses))
    }
}

/// Maps a random byte to a character that XML writes as one byte.
fn pad_char(byte: u8) -> char {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    ALPHABET.get(usize::from(byte & 63)).copied().map_or('A', char::from)
}

/// Reads a decrypted envelope and checks it against the stanza that carried it.
///
/// The affixes `from`, `to` and `time` may be missing, as other clients' profiles allow, except `to` in a room; where
/// they are present they must be right, and none may be there twice. Padding of any length is accepted.
///
/// # Errors
///
/// [`EnvelopeError`]; the message is then not shown.
///
/// Source: XEP-0420 §8 and §10, security-design §2.5.
pub fn open(bytes: &[u8], expected: &Expected<'_>) -> Result<Opened, EnvelopeError> {
    let envelope = document::parse(bytes, ACCEPT_BYTES_MAX)?;
    if !envelope.is("envelope", NS) {
        return Err(Malformed("not an envelope").into());
    }
    match affix_jid(&envelope, "from")? {
        Some(from) if from != *expected.from => return Err(EnvelopeError::WrongSender),
        _ => {}
    }
    match affix_jid(&envelope, "to")? {
        Some(to) if to != *expected.to => return Err(EnvelopeError::WrongRecipient),
        None if expected.group => return Err(EnvelopeError::RecipientMissing),
        _ => {}
    }
    let time = match only(&envelope, "time", NS)? {
        None => TimeVerdict::Absent,
        Some(time) => {
            let stamp = time.attr("stamp").ok_or(Malformed("the time has no stamp"))?;
            let stated = Timestamp::parse_xep0082(stamp).map_err(|_| Malformed("the time is no time"))?;
            judge_time(stated, expected.arrival)
        }
    };
    let (recipients_hash, witnesses) = match only(&envelope, "wx", NS_WX)? {
        Some(element) => (affix::parse(element)?, Witnesses::parse(element, NS_WX)),
        None => (None, Witnesses::default()),
    };
    let content = only(&envelope, "content", NS)?.ok_or(Malformed("the content is missing"))?;
    let all = content.children().count();
    let content: Vec<Element> = content.children().filter(|c| placement::allowed_inside(c)).cloned().collect();
    Ok(Opened { time, recipients_hash, witnesses, dropped_count: all - content.len(), content })
}

/// Finds at most one child.
fn only<'a>(envelope: &'a Element, name: &str, ns: &str) -> Result<Option<&'a Element>, Malformed> {
    let mut found = envelope.children().filter(|c| c.is(name, ns));
    match (found.next(), found.next()) {
        (one, None) => Ok(one),
        _ => Err(Malformed("an affix is there twice")),
    }
}

/// Reads `from` or `to`. Some clients write full JIDs; only the account is compared.
fn affix_jid(envelope: &Element, name: &str) -> Result<Option<BareJid>, Malformed> {
    let Some(element) = only(envelope, name, NS)? else { return Ok(None) };
    let jid = element.attr("jid").ok_or(Malformed("an affix has no JID"))?;
    let jid = Jid::parse(jid).map_err(|_| Malformed("an affix has no valid JID"))?;
    Ok(Some(jid.bare()))
}

fn judge_time(stated: Timestamp, arrival: Arrival) -> TimeVerdict {
    let (known, tolerance) = match arrival {
        Arrival::Live { now } => (now, LIVE_TOLERANCE),
        Arrival::Delayed { stamp } => (stamp, DELAYED_TOLERANCE),
    };
    let apart = known.since(stated).max(stated.since(known));
    if apart <= tolerance { TimeVerdict::Fits(stated) } else { TimeVerdict::Differs { stated } }
}

impl Opened {
    /// Makes the stanza that the sender meant: what `stanza` may say in clear, plus the content.
    #[must_use]
    pub fn restore(self, stanza: &Element) -> Element {
        placement::restore(stanza, self.content)
    }
}
