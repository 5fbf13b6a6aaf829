//! Encryption for stateless file sharing (XEP-0448): a source whose bytes are encrypted, with the key to them.
//!
//! Ours is `<wx xmlns='urn:waxwing:files:0' pin='…' at='…'/>` in it: by which TLS key, and where without DNS, the
//! sender's broker serves the file (security-design §5.3). Others ignore it.

use std::fmt;

use xmpp::xml::Element;

use crate::encoding::{base64, base64url, parse_base64, parse_base64url};
use crate::hashes::{self, Hash};
use crate::https_url::HttpsUrl;
use crate::uri::Endpoint;
use crate::{Claim, Malformed, Status, sfs};

/// Namespace of `<encrypted/>`.
pub const NS: &str = "urn:xmpp:esfs:0";
/// Namespace of our own `<wx/>`.
pub const NS_WX: &str = "urn:waxwing:files:0";

/// What this module claims.
pub const CLAIM: Claim = Claim { xep: 448, version: "0.2.0", status: Status::Partial, features: &[NS] };

/// The most endpoints that are read.
const ENDPOINTS_MAX: usize = 16;

/// How a file is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// AES-256 in Galois/Counter Mode, 12-byte nonce, the tag appended to the ciphertext.
    Aes256Gcm,
}

impl Cipher {
    /// The cipher's namespace (XEP-0448 §4).
    #[must_use]
    pub const fn ns(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "urn:xmpp:ciphers:aes-256-gcm-nopadding:0",
        }
    }

    fn parse(ns: &str) -> Option<Self> {
        (ns == Self::Aes256Gcm.ns()).then_some(Self::Aes256Gcm)
    }
}

/// How to reach the sender's broker when neither DNS nor a certificate authority vouches for it. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Reach {
    /// SHA-256 of its TLS public key.
    pub pin: [u8; 32],
    /// Where it listens; may be empty.
    pub at: Vec<Endpoint>,
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reach(<redacted>)")
    }
}

/// An encrypted source. `Debug` hides the key.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptedSource {
    /// How it is encrypted.
    pub cipher: Cipher,
    /// The key, 32 bytes.
    pub key: Vec<u8>,
    /// The nonce, 12 bytes.
    pub iv: Vec<u8>,
    /// Hashes of the ciphertext.
    pub hashes: Vec<Hash>,
    /// Where the ciphertext is; at least one.
    pub urls: Vec<HttpsUrl>,
    /// How the sender's broker is reached.
    pub reach: Option<Reach>,
}

impl fmt::Debug for EncryptedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptedSource(<redacted>)")
    }
}

impl EncryptedSource {
    /// Reads an `<encrypted/>`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the cipher is not ours, the key or nonce has another length or is there twice, there is no
    /// `https` URL, or the pin is damaged.
    pub fn parse(element: &Element) -> Result<Self, Malformed> {
        if !element.is("encrypted", NS) {
            return Err(Malformed("not an encrypted source"));
        }
        let cipher = element.attr("cipher").and_then(Cipher::parse).ok_or(Malformed("a cipher that we do not know"))?;
        let urls = sfs::parse_urls(element);
        if urls.is_empty() {
            return Err(Malformed("no URL to fetch"));
        }
        let reach = match element.child("wx", NS_WX) {
            Some(wx) => Some(parse_reach(wx)?),
            None => None,
        };
        Ok(Self {
            cipher,
            key: parse_secret(element, "key", 32)?,
            iv: parse_secret(element, "iv", 12)?,
            hashes: hashes::of_children(element),
            urls,
            reach,
        })
    }

    /// Writes the element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let reach = self.reach.as_ref().map(|reach| {
            let at = reach.at.iter().map(Endpoint::to_text).collect::<Vec<_>>().join(",");
            Element::new("wx", NS_WX)
                .with_attr("pin", base64url(&reach.pin))
                .with_attr_opt("at", (!at.is_empty()).then_some(at))
        });
        Element::new("encrypted", NS)
            .with_attr("cipher", self.cipher.ns())
            .with_child(Element::new("key", NS).with_text(base64(&self.key)))
            .with_child(Element::new("iv", NS).with_text(base64(&self.iv)))
            .with_children(self.hashes.iter().map(Hash::to_element))
            .with_child(Element::new("sources", sfs::NS).with_children(self.urls.iter().map(sfs::url_element)))
            .with_children(reach)
    }
}

fn parse_secret(element: &Element, name: &str, len: usize) -> Result<Vec<u8>, Malformed> {
    let mut found = element.children().filter(|c| c.is(name, NS));
    let (Some(secret), None) = (found.next(), found.next()) else {
        return Err(Malformed("key and iv must be there once"));
    };
    let bytes = parse_base64(&secret.text(), len)?;
    if bytes.len() == len { Ok(bytes) } else { Err(Malformed("key or iv has a wrong length")) }
}

fn parse_reach(wx: &Element) -> Result<Reach, Malformed> {
    let pin = wx.attr("pin").and_then(parse_base64url).ok_or(Malformed("the pin is damaged"))?;
    let at = match wx.attr("at") {
        Some(list) => list.split(',').map(Endpoint::parse).collect::<Result<Vec<_>, _>>(),
        None => Ok(Vec::new()),
    };
    let at = at.map_err(|_| Malformed("an endpoint is damaged"))?;
    if at.len() > ENDPOINTS_MAX { Err(Malformed("too many endpoints")) } else { Ok(Reach { pin, at }) }
}
