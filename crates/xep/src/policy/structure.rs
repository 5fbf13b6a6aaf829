//! The form that an encrypted element must have to count as one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use xmpp::xml::ElementRef;

use super::{NS_OMEMO_2, NS_OMEMO_LEGACY, NS_OPENPGP};
use crate::Malformed;

/// Checks an element that calls itself encrypted; `None` for any other element.
///
/// # Errors
///
/// [`Malformed`] names the rule that the element breaks.
///
/// Source: XEP-0384 v0.9 §5.5 and v0.3.0 §4.5, XEP-0373 §3, security-design §4 "Structure check".
#[must_use]
pub fn check(element: ElementRef<'_>) -> Option<Result<(), Malformed>> {
    match (element.ns(), element.name()) {
        (NS_OMEMO_2, "encrypted") => Some(check_omemo2(element)),
        (NS_OMEMO_LEGACY, "encrypted") => Some(check_legacy(element)),
        (NS_OPENPGP, "openpgp") => Some(check_openpgp(element)),
        _ => None,
    }
}

fn check_omemo2(encrypted: ElementRef<'_>) -> Result<(), Malformed> {
    let header = only_child(encrypted, "header", NS_OMEMO_2)?.ok_or(Malformed("no header"))?;
    check_device_id(header.attr("sid").as_deref())?;
    let mut keys_seen = false;
    for keys in header.children().filter(|c| c.is("keys", NS_OMEMO_2)) {
        for key in keys.children().filter(|c| c.is("key", NS_OMEMO_2)) {
            check_key(key)?;
            keys_seen = true;
        }
    }
    if !keys_seen {
        return Err(Malformed("no key element"));
    }
    match only_child(encrypted, "payload", NS_OMEMO_2)? {
        None => Ok(()),
        // AES-256-CBC with PKCS#7 padding: whole blocks, at least one.
        Some(payload) => match decoded_len(&payload.text()) {
            Some(len) if len >= 16 && len % 16 == 0 => Ok(()),
            _ => Err(Malformed("the payload is not whole blocks of base64")),
        },
    }
}

fn check_legacy(encrypted: ElementRef<'_>) -> Result<(), Malformed> {
    let header = only_child(encrypted, "header", NS_OMEMO_LEGACY)?.ok_or(Malformed("no header"))?;
    check_device_id(header.attr("sid").as_deref())?;
    let mut keys_seen = false;
    for key in header.children().filter(|c| c.is("key", NS_OMEMO_LEGACY)) {
        check_key(key)?;
        keys_seen = true;
    }
    if !keys_seen {
        return Err(Malformed("no key element"));
    }
    let iv = only_child(header, "iv", NS_OMEMO_LEGACY)?.ok_or(Malformed("no iv"))?;
    if !matches!(decoded_len(&iv.text()), Some(12 | 16)) {
        return Err(Malformed("the iv is not 12 or 16 bytes of base64"));
    }
    match only_child(encrypted, "payload", NS_OMEMO_LEGACY)? {
        None => Ok(()),
        Some(payload) => match decoded_len(&payload.text()) {
            Some(1..) => Ok(()),
            _ => Err(Malformed("the payload is not base64")),
        },
    }
}

fn check_openpgp(element: ElementRef<'_>) -> Result<(), Malformed> {
    let text: Vec<u8> = element.text().bytes().filter(|b| !is_space(*b)).collect();
    let message = STANDARD.decode(text).map_err(|_| Malformed("the OpenPGP message is not base64"))?;
    let mut rest = message.as_slice();
    let mut session_keys = 0_u32;
    loop {
        let packet = Packet::read(rest).ok_or(Malformed("the OpenPGP message is cut off"))?;
        match packet.tag {
            Packet::PUBLIC_KEY_ENCRYPTED_SESSION_KEY => {
                session_keys += 1;
                rest = packet.after.ok_or(Malformed("the OpenPGP message is cut off"))?;
            }
            // Nothing may follow the encrypted data: it would be readable.
            Packet::ENCRYPTED_INTEGRITY_PROTECTED if session_keys > 0 => {
                return match packet.after {
                    None | Some([]) => Ok(()),
                    Some(_) => Err(Malformed("something follows the encrypted data")),
                };
            }
            _ => return Err(Malformed("the OpenPGP message is not encrypted to a key")),
        }
    }
}

/// The head of an OpenPGP packet (RFC 4880 §4.2).
struct Packet<'a> {
    tag: u8,
    /// What follows the packet; `None` when its length is only known further on.
    after: Option<&'a [u8]>,
}

impl<'a> Packet<'a> {
    const PUBLIC_KEY_ENCRYPTED_SESSION_KEY: u8 = 1;
    const ENCRYPTED_INTEGRITY_PROTECTED: u8 = 18;

    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&head, rest) = bytes.split_first()?;
        if head & 0x80 == 0 {
            return None;
        }
        if head & 0x40 == 0 { Self::read_old(head, rest) } else { Self::read_new(head & 0x3f, rest) }
    }

    fn read_new(tag: u8, rest: &'a [u8]) -> Option<Self> {
        let (&first, rest) = rest.split_first()?;
        let (len, body) = match first {
            0..=191 => (usize::from(first), rest),
            192..=223 => {
                let (&second, rest) = rest.split_first()?;
                ((usize::from(first) - 192) * 256 + usize::from(second) + 192, rest)
            }
            224..=254 => return Some(Self { tag, after: None }),
            255 => {
                let (len, rest) = rest.split_first_chunk::<4>()?;
                (usize::try_from(u32::from_be_bytes(*len)).ok()?, rest)
            }
        };
        Some(Self { tag, after: Some(body.get(len..)?) })
    }

    fn read_old(head: u8, rest: &'a [u8]) -> Option<Self> {
        let tag = (head >> 2) & 0x0f;
        let (len, body) = match head & 3 {
            0 => rest.split_first().map(|(len, rest)| (usize::from(*len), rest))?,
            1 => rest.split_first_chunk::<2>().map(|(len, rest)| (usize::from(u16::from_be_bytes(*len)), rest))?,
            2 => {
                let (len, rest) = rest.split_first_chunk::<4>()?;
                (usize::try_from(u32::from_be_bytes(*len)).ok()?, rest)
            }
            _ => return Some(Self { tag, after: None }),
        };
        Some(Self { tag, after: Some(body.get(len..)?) })
    }
}

/// Finds the child called `name`, which may stand there once at most.
fn only_child<'a>(
    parent: ElementRef<'a>,
    name: &'static str,
    ns: &'static str,
) -> Result<Option<ElementRef<'a>>, Malformed> {
    let mut found = parent.children().filter(|c| c.is(name, ns));
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(_) => Err(Malformed("an element stands there twice")),
    }
}

fn check_key(key: ElementRef<'_>) -> Result<(), Malformed> {
    check_device_id(key.attr("rid").as_deref())?;
    match decoded_len(&key.text()) {
        Some(1..) => Ok(()),
        _ => Err(Malformed("a key is not base64")),
    }
}

fn check_device_id(id: Option<&str>) -> Result<(), Malformed> {
    match id.map(str::parse::<u32>) {
        Some(Ok(_)) => Ok(()),
        _ => Err(Malformed("a device id is not a number")),
    }
}

/// Returns how many bytes a text in base64 stands for, or `None` when it is no base64.
///
/// White space between the characters is allowed, as the examples of the XEPs have it; padding is required.
#[must_use]
pub fn decoded_len(text: &str) -> Option<usize> {
    let (mut digits, mut padding) = (0_usize, 0_usize);
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        // every message comes by here: runs of digits are counted without looking at each for anything else
        let run = rest.iter().take_while(|b| is_digit(**b)).count();
        if run > 0 {
            if padding > 0 {
                return None;
            }
            digits += run;
            rest = rest.get(run..)?;
            continue;
        }
        match byte {
            b'=' => padding += 1,
            byte if is_space(*byte) => {}
            _ => return None,
        }
        rest = after;
    }
    if !(digits + padding).is_multiple_of(4) || padding > 2 {
        return None;
    }
    Some((digits + padding) / 4 * 3 - padding)
}

/// The digits of base64 (RFC 4648 §4), by value of the byte.
const DIGITS: [bool; 256] = {
    let mut digits = [false; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0;
    while at < alphabet.len() {
        digits[alphabet[at] as usize] = true;
        at += 1;
    }
    digits
};

fn is_digit(byte: u8) -> bool {
    DIGITS.get(usize::from(byte)).copied().unwrap_or(false)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
