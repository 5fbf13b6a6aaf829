//! What the ratchets show on the wire: no key and counter may ever belong to two different messages.

use std::collections::BTreeMap;

use xep::omemo::{Encrypted, Version};
use xmpp::xml::Element;

/// The field of a protobuf message that has this number.
fn field(bytes: &[u8], wanted: u64) -> Option<Field<'_>> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let value = match tag & 7 {
            0 => Field::Number(varint(&mut rest)?),
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                let (value, after) = rest.split_at_checked(length)?;
                rest = after;
                Field::Bytes(value)
            }
            _ => return None,
        };
        if tag >> 3 == wanted {
            return Some(value);
        }
    }
    None
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn bytes(message: &[u8], number: u64) -> Option<&[u8]> {
    match field(message, number)? {
        Field::Bytes(value) => Some(value),
        Field::Number(_) => None,
    }
}

/// The ratchet key, the counter and the ciphertext of one key element.
fn header(version: Version, element: &[u8], key_exchange: bool) -> Option<(Vec<u8>, u64, Vec<u8>)> {
    let (inner, [counter, key, ciphertext]) = match (version, key_exchange) {
        // XEP-0384 §7.4: OMEMOKeyExchange, OMEMOAuthenticatedMessage, OMEMOMessage
        (Version::Omemo2, true) => (bytes(bytes(element, 5)?, 2)?, [1, 3, 4]),
        (Version::Omemo2, false) => (bytes(element, 2)?, [1, 3, 4]),
        // the legacy namespace: a version byte, a message, and a code of 8 bytes; in a key exchange another of the kind
        (Version::Legacy, true) => (unframed(bytes(element.get(1..)?, 4)?)?, [2, 1, 4]),
        (Version::Legacy, false) => (unframed(element)?, [2, 1, 4]),
    };
    let Some(Field::Number(count)) = field(inner, counter) else { return None };
    Some((bytes(inner, key)?.to_vec(), count, bytes(inner, ciphertext)?.to_vec()))
}

fn unframed(message: &[u8]) -> Option<&[u8]> {
    message.get(1..message.len().checked_sub(8)?)
}

/// What was seen under each ratchet key and counter.
#[derive(Default)]
pub(crate) struct Ratchets {
    seen: BTreeMap<(Vec<u8>, u64), Vec<u8>>,
}

impl Ratchets {
    /// Looks at every encrypted element.
    ///
    /// # Panics
    ///
    /// When a key and counter were used for two different messages, or an element cannot be read.
    pub(crate) fn watch(&mut self, stanzas: impl Iterator<Item = Element>) {
        for stanza in stanzas.filter(|stanza| stanza.name() == "message") {
            for element in stanza.children().filter(|child| child.name() == "encrypted") {
                let Ok(encrypted) = Encrypted::parse(element) else { panic!("an engine sends what it could read") };
                for key in &encrypted.keys {
                    let (ratchet_key, counter, ciphertext) =
                        header(encrypted.version, &key.bytes, key.key_exchange).expect("a ratchet message");
                    let before = self.seen.entry((ratchet_key, counter)).or_insert_with(|| ciphertext.clone());
                    assert!(*before == ciphertext, "a ratchet key and counter were used for two messages");
                }
            }
        }
    }

    /// How many messages were seen that are different.
    pub(crate) fn count(&self) -> usize {
        self.seen.len()
    }
}
