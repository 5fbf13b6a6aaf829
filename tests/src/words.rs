//! Searching for words in every usual encoding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Returns where `needle` shows in `haystack`: as it is, in hexadecimal digits of both cases, in base64 wherever it
/// begins, in UTF-16.
///
/// # Panics
///
/// When the needle is so short that chance would find it.
#[must_use]
pub fn find(haystack: &[u8], needle: &str) -> Option<&'static str> {
    forms(needle.as_bytes()).into_iter().find(|(_, form)| contains(haystack, form)).map(|(name, _)| name)
}

/// Writes `needle` in every encoding in which it is looked for.
fn forms(needle: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    assert!(needle.len() >= 5, "what is shorter is found by chance");
    let hex = hex::encode(needle);
    let utf16 =
        |order: fn(u16) -> [u8; 2]| -> Vec<u8> { needle.iter().flat_map(|byte| order(u16::from(*byte))).collect() };
    let mut forms = vec![
        ("as it is", needle.to_vec()),
        ("in hex", hex.to_uppercase().into_bytes()),
        ("in hex", hex.into_bytes()),
        ("in UTF-16", utf16(u16::to_le_bytes)),
        ("in UTF-16", utf16(u16::to_be_bytes)),
    ];
    for before in 0..3 {
        let mut padded = vec![0; before];
        padded.extend_from_slice(needle);
        let text = STANDARD_NO_PAD.encode(&padded);
        // the digits that depend on nothing but the needle
        let first = (before * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        forms.push(("in base64", text.as_bytes()[first..last].to_vec()));
    }
    forms
}

/// Tells whether the bytes are there as they are.
#[must_use]
pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

#[test]
fn words_are_found_in_every_encoding_and_others_are_not() {
    let word = "meet at noon";
    let text = format!("they {word} today");
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for shift in 0..3 {
        let shifted = &text[shift..];
        for seen in [
            shifted.as_bytes().to_vec(),
            hex::encode(shifted).into_bytes(),
            hex::encode_upper(shifted).into_bytes(),
            STANDARD_NO_PAD.encode(shifted).into_bytes(),
        ] {
            assert!(find(&seen, word).is_some());
            assert!(find(&seen, "meet at night").is_none());
        }
    }
    assert_eq!(find(&utf16, word), Some("in UTF-16"));
}
