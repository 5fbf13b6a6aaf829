//! Looking for words in bytes, also where they are written in another way: hexadecimal, base64, UTF-16.
//!
//! Base64 writes three bytes as four characters, so a word looks different for each place in a group of three at which it
//! may begin. All three are searched for, without the characters at the edges that depend on what stands beside it.

use std::collections::HashMap;

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What a thing is, for the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// The words of a message.
    Words,
    /// The name of a file.
    FileName,
    /// A piece of a file.
    FileBytes,
    /// An address of a person.
    Address,
    /// A password.
    Password,
    /// What was put there on purpose.
    Marker,
}

/// How it was written where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Writing {
    Raw,
    Hex,
    /// With the number of bytes before it in its group of three.
    Base64(u8),
    Utf16Le,
    Utf16Be,
}

/// All writings that are searched for.
pub(super) const WRITINGS: [Writing; 7] = [
    Writing::Raw,
    Writing::Hex,
    Writing::Base64(0),
    Writing::Base64(1),
    Writing::Base64(2),
    Writing::Utf16Le,
    Writing::Utf16Be,
];

/// Something that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) what: What,
    pub(super) writing: Writing,
    /// How many bytes of the secret could be read there.
    pub(super) secret_bytes: usize,
}

/// Searches for a set of things, all of them in one pass over the bytes.
pub(super) struct Scanner {
    patterns: Vec<Pattern>,
    /// One bit for each pair of bytes that a pattern begins with: almost every place is passed over by it.
    heads: Vec<bool>,
    /// The patterns by their first four bytes.
    by_start: HashMap<[u8; START], Vec<usize>>,
}

/// No pattern is shorter.
const START: usize = 4;

struct Pattern {
    found: Found,
    bytes: Vec<u8>,
}

impl Scanner {
    /// Prepares the search. Things of less than four bytes are not searched for: they occur by chance.
    pub(super) fn new<'a>(things: impl IntoIterator<Item = (What, &'a [u8])>) -> Self {
        let mut scanner = Self { patterns: Vec::new(), heads: vec![false; 1 << 16], by_start: HashMap::new() };
        for (what, secret) in things {
            for writing in WRITINGS {
                for bytes in write(secret, writing) {
                    scanner.add(Found { what, writing, secret_bytes: secret.len() }, bytes);
                }
            }
        }
        scanner
    }

    fn add(&mut self, found: Found, bytes: Vec<u8>) {
        let Some(start) = bytes.first_chunk::<START>() else { return };
        if let Some(head) = self.heads.get_mut(head(start[0], start[1])) {
            *head = true;
        }
        self.by_start.entry(*start).or_default().push(self.patterns.len());
        self.patterns.push(Pattern { found, bytes });
    }

    /// How many forms are searched for.
    pub(super) fn pattern_count(&self) -> usize {
        self.patterns.len()
    }

    /// Finds everything, once for each place where it stands.
    pub(super) fn scan(&self, bytes: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        for (at, window) in bytes.windows(START).enumerate() {
            let &[a, b, c, d] = window else { continue };
            if !self.heads.get(head(a, b)).copied().unwrap_or(false) {
                continue;
            }
            let rest = bytes.get(at..).unwrap_or_default();
            for index in self.by_start.get(&[a, b, c, d]).into_iter().flatten() {
                found.extend(self.patterns.get(*index).filter(|p| rest.starts_with(&p.bytes)).map(|p| p.found));
            }
        }
        found
    }
}

fn head(first: u8, second: u8) -> usize {
    usize::from(u16::from_be_bytes([first, second]))
}

/// Writes something in one way; several forms where the way has several alphabets, none where it cannot be written so.
pub(super) fn write(secret: &[u8], writing: Writing) -> Vec<Vec<u8>> {
    match writing {
        Writing::Raw => vec![secret.to_vec()],
        Writing::Hex => vec![hex::encode(secret).into_bytes(), hex::encode_upper(secret).into_bytes()],
        Writing::Base64(before) => {
            let (standard, url_safe) =
                (base64(secret, before, &STANDARD_NO_PAD), base64(secret, before, &URL_SAFE_NO_PAD));
            if standard == url_safe { vec![standard] } else { vec![standard, url_safe] }
        }
        Writing::Utf16Le => utf16(secret, u16::to_le_bytes),
        Writing::Utf16Be => utf16(secret, u16::to_be_bytes),
    }
}

/// The characters that the secret alone decides, when `before` bytes precede it in its group.
fn base64(secret: &[u8], before: u8, alphabet: &impl base64::Engine) -> Vec<u8> {
    let before = usize::from(before % 3);
    let group: Vec<u8> = std::iter::repeat_n(0, before).chain(secret.iter().copied()).collect();
    let first = (before * 8).div_ceil(6);
    let end = group.len() * 8 / 6;
    let encoded = alphabet.encode(&group).into_bytes();
    encoded.get(first..end).map(<[u8]>::to_vec).unwrap_or_default()
}

/// Text only: bytes that are no text have no such form.
fn utf16(secret: &[u8], order: fn(u16) -> [u8; 2]) -> Vec<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(secret) else { return Vec::new() };
    vec![text.encode_utf16().flat_map(order).collect()]
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    const SECRET: &[u8] = b"meet me at the old mill";

    fn found(bytes: &[u8]) -> Vec<Writing> {
        Scanner::new([(What::Words, SECRET)]).scan(bytes).iter().map(|found| found.writing).collect()
    }

    #[test]
    fn every_writing_is_found_wherever_it_begins() {
        for offset in 0..7 {
            let noise = |bytes: Vec<u8>| [vec![0xaa; offset], bytes, vec![0x55; 9]].concat();
            assert_eq!(found(&noise(SECRET.to_vec())), [Writing::Raw]);
            assert_eq!(found(&noise(hex::encode(SECRET).into())), [Writing::Hex]);
            assert_eq!(found(&noise(hex::encode_upper(SECRET).into())), [Writing::Hex]);
            let le = "meet me at the old mill".encode_utf16().flat_map(u16::to_le_bytes).collect();
            let be = "meet me at the old mill".encode_utf16().flat_map(u16::to_be_bytes).collect();
            assert!(found(&noise(le)).contains(&Writing::Utf16Le));
            assert!(found(&noise(be)).contains(&Writing::Utf16Be));
        }
    }

    #[test]
    fn base64_of_what_surrounds_it_is_found_in_each_phase() {
        for before in 0..9 {
            for after in 0..4 {
                for fill in [0u8, 0xff, b'x'] {
                    let whole = [vec![fill; before], SECRET.to_vec(), vec![fill; after]].concat();
                    let phase = Writing::Base64(u8::try_from(before % 3).expect("small"));
                    assert_eq!(found(STANDARD_NO_PAD.encode(&whole).as_bytes()), [phase], "{before} {after} {fill}");
                }
            }
        }
    }

    #[test]
    fn the_url_alphabet_is_found_too() {
        let secret = [0xfb, 0xef, 0xbe, 0xff, 0xfe, 0xfb, 0xef, 0xbe, 0xff];
        let scanner = Scanner::new([(What::FileBytes, &secret[..])]);
        for encoded in [STANDARD_NO_PAD.encode(secret), URL_SAFE_NO_PAD.encode(secret)] {
            assert_eq!(scanner.scan(encoded.as_bytes()).len(), 1, "{encoded}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found_and_each_place_counts() {
        assert_eq!(found(b"meet me at the old mil"), []);
        assert_eq!(found(&[0; 4096]), []);
        assert_eq!(found(&[SECRET, b"-", SECRET].concat()), [Writing::Raw, Writing::Raw]);
        assert_eq!(found(b""), []);
    }

    #[test]
    fn bytes_that_are_no_text_have_no_utf16() {
        assert!(write(&[0xff, 0xfe, 0xfd], Writing::Utf16Le).is_empty());
        let forms: usize = WRITINGS.iter().map(|writing| write(SECRET, *writing).len()).sum();
        assert_eq!(Scanner::new([(What::Words, SECRET)]).pattern_count(), forms);
    }
}
