//! What links mean to us.

use std::fmt;

use xmpp::jid::Jid;

use super::endpoint::Endpoint;
use super::syntax::XmppUri;
use super::{BYTES_MAX, UriError};
use crate::encoding::{base64url, parse_base64url};
use crate::omemo;

/// The most endpoints that are read.
const ENDPOINTS_MAX: usize = 16;
/// The most identity keys of one person that are read.
const KEYS_MAX: usize = omemo::DEVICES_MAX;
/// Longest token of an invite.
const TOKEN_BYTES_MAX: usize = 256;
/// Longest name suggested for somebody, in characters.
const NAME_CHARS_MAX: usize = 64;

/// What a link asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing: it names somebody (no query at all).
    Identify,
    /// Write to somebody (`message`, XEP-0147 §3.1).
    Message,
    /// Take somebody into the contact list (`roster`, `subscribe`); with a token it is an invite (XEP-0379), which may
    /// also open an account on the same server (`ibr=y`, XEP-0401).
    Roster,
    /// Open an account (`register`, XEP-0445): at the address's domain, under its localpart if it has one.
    Register,
    /// Take somebody's keys for verified (`trust-message`, XEP-0434 §9.1.1).
    Trust,
    /// Connect two brokers without DNS (`wx-peer`, ours).
    Peer,
    /// Something that we do not act on: treat it as [`Self::Identify`] (RFC 5122 §2.5).
    Other,
}

/// Identity keys in a link: what XEP-0434 calls trust and distrust.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TrustKeys {
    /// Ed25519 or Curve25519 identity keys of the person's devices, as the encryption defines.
    pub trust: Vec<[u8; 32]>,
    /// Keys that are not, or no longer, the person's.
    pub distrust: Vec<[u8; 32]>,
}

impl TrustKeys {
    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trust.is_empty() && self.distrust.is_empty()
    }
}

impl fmt::Debug for TrustKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustKeys({} trusted, {} not)", self.trust.len(), self.distrust.len())
    }
}

/// A link that we understand.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    /// Whom or what it is about.
    pub address: Jid,
    /// What it asks for.
    pub action: Action,
    /// A name suggested for the person.
    pub name: Option<String>,
    /// The token of an invite.
    pub preauth: Option<String>,
    /// Whether the token also opens an account on the inviter's server.
    pub ibr: bool,
    /// Text suggested for a message.
    pub body: Option<String>,
    /// Keys of OMEMO 2 devices. Keys for other encryptions are ignored.
    pub keys: TrustKeys,
    /// SHA-256 of the broker's TLS public key, enforced at the first connection.
    pub pin: Option<[u8; 32]>,
    /// Where the broker can be reached without DNS.
    pub at: Vec<Endpoint>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({:?}, <redacted>)", self.action)
    }
}

impl Link {
    /// Makes a link that asks for `action` and says nothing else.
    #[must_use]
    pub fn new(address: Jid, action: Action) -> Self {
        Self {
            address,
            action,
            name: None,
            preauth: None,
            ibr: false,
            body: None,
            keys: TrustKeys::default(),
            pin: None,
            at: Vec::new(),
        }
    }

    /// Reads a link.
    ///
    /// # Errors
    ///
    /// [`UriError`] says which part is wrong. What we do not know is ignored; what we know must be right, because a
    /// link with a damaged pin or key must not pass for one without.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let uri = XmppUri::parse(text)?;
        let token = |key| uri.value(key).filter(|t| !t.is_empty()).map(str::to_owned);
        let preauth = token("preauth");
        if preauth.as_ref().is_some_and(|t| t.len() > TOKEN_BYTES_MAX) {
            return Err(UriError::TooLong);
        }
        let pin = match uri.value("wx-pin") {
            Some(pin) => Some(parse_base64url(pin).ok_or(UriError::Pin)?),
            None => None,
        };
        Ok(Self {
            action: parse_action(&uri.action),
            name: token("name").map(|name| name.chars().take(NAME_CHARS_MAX).collect()),
            preauth,
            ibr: matches!(uri.value("ibr"), Some("y" | "true" | "1")),
            body: token("body"),
            keys: parse_keys(&uri)?,
            pin,
            at: parse_endpoints(&uri)?,
            address: uri.address,
        })
    }

    /// Writes the link.
    ///
    /// # Errors
    ///
    /// [`UriError::TooLong`] when it holds more than a reader accepts.
    pub fn to_text(&self) -> Result<String, UriError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        let mut push = |key: &str, value: String| pairs.push((key.to_owned(), value));
        // The encryption comes first: XEP-0434 §9.1.1 wants it so.
        if !self.keys.is_empty() {
            push("encryption", omemo::NS_OMEMO2.to_owned());
        }
        for (key, values) in [("trust", &self.keys.trust), ("distrust", &self.keys.distrust)] {
            for value in values {
                push(key, hex::encode(value));
            }
        }
        if let Some(token) = &self.preauth {
            push("preauth", token.clone());
        }
        if self.ibr {
            push("ibr", "y".to_owned());
        }
        if let Some(name) = &self.name {
            push("name", name.clone());
        }
        if let Some(body) = &self.body {
            push("body", body.clone());
        }
        if let Some(pin) = &self.pin {
            push("wx-pin", base64url(pin));
        }
        if !self.at.is_empty() {
            push("wx-at", self.at.iter().map(Endpoint::to_text).collect::<Vec<_>>().join(","));
        }
        let action = action_name(&self.action).to_owned();
        let text = XmppUri { address: self.address.clone(), action, pairs }.to_text();
        let fits = text.len() <= BYTES_MAX
            && self.at.len() <= ENDPOINTS_MAX
            && self.keys.trust.len().max(self.keys.distrust.len()) <= KEYS_MAX
            && self.preauth.as_ref().is_none_or(|t| t.len() <= TOKEN_BYTES_MAX)
            && self.name.as_ref().is_none_or(|n| n.chars().count() <= NAME_CHARS_MAX);
        if fits { Ok(text) } else { Err(UriError::TooLong) }
    }

    /// Tells whether the link invites: it carries a token.
    #[must_use]
    pub fn is_invite(&self) -> bool {
        self.preauth.is_some() && matches!(self.action, Action::Roster | Action::Register)
    }
}

fn parse_action(name: &str) -> Action {
    match name {
        "" => Action::Identify,
        "message" => Action::Message,
        "roster" | "subscribe" => Action::Roster,
        "register" => Action::Register,
        "trust-message" => Action::Trust,
        "wx-peer" => Action::Peer,
        _ => Action::Other,
    }
}

fn action_name(action: &Action) -> &'static str {
    match action {
        Action::Identify | Action::Other => "",
        Action::Message => "message",
        Action::Roster => "roster",
        Action::Register => "register",
        Action::Trust => "trust-message",
        Action::Peer => "wx-peer",
    }
}

fn parse_keys(uri: &XmppUri) -> Result<TrustKeys, UriError> {
    let read = |key| -> Result<Vec<[u8; 32]>, UriError> {
        let mut keys: Vec<[u8; 32]> = Vec::new();
        for value in uri.values(key) {
            let mut bytes = [0; 32];
            hex::decode_to_slice(value, &mut bytes).map_err(|_| UriError::TrustKey)?;
            if !keys.contains(&bytes) {
                keys.push(bytes);
            }
        }
        if keys.len() > KEYS_MAX { Err(UriError::TooLong) } else { Ok(keys) }
    };
    match uri.value("encryption") {
        Some(omemo::NS_OMEMO2) => Ok(TrustKeys { trust: read("trust")?, distrust: read("distrust")? }),
        Some(_) => Ok(TrustKeys::default()),
        None if uri.value("trust").is_some() => Err(UriError::TrustKey),
        None => Ok(TrustKeys::default()),
    }
}

fn parse_endpoints(uri: &XmppUri) -> Result<Vec<Endpoint>, UriError> {
    let Some(list) = uri.value("wx-at") else { return Ok(Vec::new()) };
    let endpoints = list.split(',').map(Endpoint::parse).collect::<Result<Vec<_>, _>>()?;
    if endpoints.len() > ENDPOINTS_MAX { Err(UriError::TooLong) } else { Ok(endpoints) }
}
