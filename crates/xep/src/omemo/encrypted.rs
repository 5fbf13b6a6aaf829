//! The encrypted element: one payload and, for every recipient device, the key to it.

use xmpp::jid::BareJid;
use xmpp::xml::Element;

use super::version::Version;
use super::{KEYS_MAX, PAYLOAD_BYTES_MAX, parse_id};
use crate::Malformed;
use crate::encoding::{base64, parse_base64};

/// Longest key element accepted, in bytes after base64; the ratchet's own bound is the same.
const KEY_BYTES_MAX: usize = 2048;

/// The key for one recipient device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyElement {
    /// Whose device; legacy elements do not say.
    pub jid: Option<BareJid>,
    /// The recipient's device id.
    pub device: u32,
    /// Whether the bytes also carry a key exchange.
    pub key_exchange: bool,
    /// The ratchet message.
    pub bytes: Vec<u8>,
}

/// An `<encrypted/>` element of either version, complete and consistent, nothing of it decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encrypted {
    /// Which version.
    pub version: Version,
    /// The sender's device id.
    pub sender_device: u32,
    /// One entry per recipient device; at least one, none twice.
    pub keys: Vec<KeyElement>,
    /// The payload's nonce, 12 or 16 bytes: in legacy only.
    pub iv: Option<Vec<u8>>,
    /// The ciphertext; none in an empty message, which only moves the ratchet.
    pub payload: Option<Vec<u8>>,
}

impl Encrypted {
    /// Finds the encrypted element of a version among a stanza's children.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it breaks a rule, or is there twice.
    pub fn of_stanza(stanza: &Element, version: Version) -> Result<Option<Self>, Malformed> {
        let mut found = stanza.children().filter(|c| c.is("encrypted", version.ns()));
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some(element), None) => Self::parse(element).map(Some),
            (Some(_), Some(_)) => Err(Malformed("two encrypted elements of one version")),
        }
    }

    /// Reads the element. The same check serves brokers, which let nothing else pass as encrypted.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for anything but: one header with a device id and at least one key, no device addressed twice,
    /// base64 within bounds; in OMEMO 2 a payload of whole cipher blocks, in legacy a payload only with an iv of 12 or
    /// 16 bytes.
    ///
    /// Source: XEP-0384 §5.5.3, 0.3.0 §4.5.
    pub fn parse(element: &Element) -> Result<Self, Malformed> {
        let version = Version::of_ns(element.ns()).ok_or(Malformed("not an encrypted element"))?;
        if element.name() != "encrypted" {
            return Err(Malformed("not an encrypted element"));
        }
        let header = at_most_one(element, "header")?.ok_or(Malformed("the header is missing"))?;
        let sender_device = parse_id(header.attr("sid"))?;
        let keys = match version {
            Version::Legacy => legacy_keys(header)?,
            Version::Omemo2 => omemo2_keys(header)?,
        };
        if keys.is_empty() {
            return Err(Malformed("no key element"));
        }
        let payload = match at_most_one(element, "payload")? {
            Some(payload) => Some(parse_base64(&payload.text(), PAYLOAD_BYTES_MAX)?),
            None => None,
        };
        let iv = match version {
            Version::Legacy => legacy_iv(header, payload.is_some())?,
            Version::Omemo2 => None,
        };
        check_payload(version, payload.as_deref())?;
        Ok(Self { version, sender_device, keys, iv, payload })
    }

    /// Writes the element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let ns = self.version.ns();
        let mut header = Element::new("header", ns).with_attr("sid", self.sender_device.to_string());
        match self.version {
            Version::Legacy => {
                for key in &self.keys {
                    header.push(key_element(key, ns, "prekey"));
                }
                if let Some(iv) = &self.iv {
                    header.push(Element::new("iv", ns).with_text(base64(iv)));
                }
            }
            Version::Omemo2 => {
                for group in by_owner(&self.keys) {
                    let owner = group.first().and_then(|k| k.jid.as_ref()).map(BareJid::as_str);
                    header.push(
                        Element::new("keys", ns)
                            .with_attr_opt("jid", owner)
                            .with_children(group.into_iter().map(|key| key_element(key, ns, "kex"))),
                    );
                }
            }
        }
        let payload = self.payload.as_ref().map(|p| Element::new("payload", ns).with_text(base64(p)));
        Element::new("encrypted", ns).with_child(header).with_children(payload)
    }

    /// Finds the key for a device of an account. Legacy elements name no accounts: there the id alone decides.
    #[must_use]
    pub fn key_for(&self, owner: &BareJid, device: u32) -> Option<&KeyElement> {
        self.keys.iter().find(|k| k.device == device && k.jid.as_ref().is_none_or(|jid| jid == owner))
    }
}

fn at_most_one<'a>(parent: &'a Element, name: &str) -> Result<Option<&'a Element>, Malformed> {
    let mut found = parent.children().filter(|c| c.is(name, parent.ns()));
    match (found.next(), found.next()) {
        (one, None) => Ok(one),
        _ => Err(Malformed("an element is there twice")),
    }
}

fn legacy_keys(header: &Element) -> Result<Vec<KeyElement>, Malformed> {
    let mut keys = Vec::new();
    for key in header.children().filter(|c| c.is("key", header.ns())) {
        push_key(&mut keys, key, None, "prekey")?;
    }
    Ok(keys)
}

fn omemo2_keys(header: &Element) -> Result<Vec<KeyElement>, Malformed> {
    let mut keys = Vec::new();
    let mut owners: Vec<BareJid> = Vec::new();
    for group in header.children().filter(|c| c.is("keys", header.ns())) {
        let owner = group.attr("jid").ok_or(Malformed("keys of nobody"))?;
        let owner = BareJid::parse(owner).map_err(|_| Malformed("keys of no bare JID"))?;
        if owners.contains(&owner) {
            return Err(Malformed("an account is addressed twice"));
        }
        for key in group.children().filter(|c| c.is("key", header.ns())) {
            push_key(&mut keys, key, Some(&owner), "kex")?;
        }
        owners.push(owner);
    }
    Ok(keys)
}

/// Appends a key unless its device has one already: which of two to trust is not ours to guess (C13).
fn push_key(
    keys: &mut Vec<KeyElement>,
    key: &Element,
    jid: Option<&BareJid>,
    exchange_attr: &str,
) -> Result<(), Malformed> {
    let device = parse_id(key.attr("rid"))?;
    if keys.iter().any(|k: &KeyElement| k.device == device && k.jid.as_ref() == jid) {
        return Err(Malformed("a device is addressed twice"));
    }
    if keys.len() == KEYS_MAX {
        return Err(Malformed("too many devices addressed"));
    }
    let key_exchange = parse_bool(key.attr(exchange_attr))?;
    let bytes = parse_base64(&key.text(), KEY_BYTES_MAX)?;
    if bytes.is_empty() {
        return Err(Malformed("an empty key element"));
    }
    keys.push(KeyElement { jid: jid.cloned(), device, key_exchange, bytes });
    Ok(())
}

/// Reads an `xs:boolean`; absent is false.
fn parse_bool(text: Option<&str>) -> Result<bool, Malformed> {
    match text {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(_) => Err(Malformed("neither true nor false")),
    }
}

fn legacy_iv(header: &Element, required: bool) -> Result<Option<Vec<u8>>, Malformed> {
    let Some(iv) = at_most_one(header, "iv")? else {
        return if required { Err(Malformed("the iv is missing")) } else { Ok(None) };
    };
    let iv = parse_base64(&iv.text(), 16)?;
    if iv.len() == 12 || iv.len() == 16 { Ok(Some(iv)) } else { Err(Malformed("the iv has a wrong length")) }
}

fn check_payload(version: Version, payload: Option<&[u8]>) -> Result<(), Malformed> {
    let Some(payload) = payload else { return Ok(()) };
    let fits = match version {
        Version::Legacy => !payload.is_empty(),
        Version::Omemo2 => !payload.is_empty() && payload.len() % 16 == 0,
    };
    if fits { Ok(()) } else { Err(Malformed("the payload has an impossible length")) }
}

/// Groups keys by account, in the order in which the accounts first appear.
fn by_owner(keys: &[KeyElement]) -> Vec<Vec<&KeyElement>> {
    let mut groups: Vec<Vec<&KeyElement>> = Vec::new();
    for key in keys {
        match groups.iter_mut().find(|g| g.first().is_some_and(|first| first.jid == key.jid)) {
            Some(group) => group.push(key),
            None => groups.push(vec![key]),
        }
    }
    groups
}

fn key_element(key: &KeyElement, ns: &'static str, exchange_attr: &'static str) -> Element {
    Element::new("key", ns)
        .with_attr("rid", key.device.to_string())
        .with_attr_opt(exchange_attr, key.key_exchange.then_some("true"))
        .with_text(base64(&key.bytes))
}

#[cfg(test)]
mod tests;
