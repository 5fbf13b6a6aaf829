//! Forms as browsers send them, and where they come from.

use crate::http::Request;

/// Fields of a form that are read.
const FIELDS_MAX: usize = 16;

/// Tells whether a form was sent by a page of ours: browsers say so themselves, and a page elsewhere cannot make them
/// say otherwise. A request that says nothing at all does not come from a browser of this century.
pub(super) fn is_from_our_page(request: &Request<'_>) -> bool {
    if let Some(site) = request.header("sec-fetch-site") {
        return site == "same-origin";
    }
    match (request.header("origin"), request.header("host")) {
        (Some(origin), Some(host)) => origin.strip_prefix("https://").is_some_and(|o| o.eq_ignore_ascii_case(host)),
        _ => false,
    }
}

/// Reads `application/x-www-form-urlencoded`.
pub(super) fn parse(body: &[u8]) -> Vec<(String, String)> {
    let pair = |pair: &[u8]| {
        let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at(at);
        Some((decode(name)?, decode(value.strip_prefix(b"=").unwrap_or(value))?))
    };
    body.split(|b| *b == b'&').take(FIELDS_MAX).filter_map(pair).collect()
}

/// Decodes `+` and `%41`; `None` for what is not UTF-8.
fn decode(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_browsers_send() {
        let fields = parse("name=ren%C3%A9e+b&token=abc&empty=&alone".as_bytes());
        let expected = [("name", "renée b"), ("token", "abc"), ("empty", ""), ("alone", "")];
        assert_eq!(fields, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(parse(b"a=%zz&b=%4&c=%ff&d=1"), [("d".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn x20_only_our_own_page_can_send_a_form() {
        let from = |headers: &[(&str, &str)]| is_from_our_page(&Request { method: "POST", path: "/invite/x", headers });
        assert!(from(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(from(&[("origin", "https://example.org:5443"), ("host", "example.org:5443")]));
        for headers in [
            &[][..],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://example.org"), ("host", "example.org")],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://evil.example"), ("host", "example.org")],
            &[("origin", "http://example.org"), ("host", "example.org")],
            &[("origin", "null"), ("host", "example.org")],
            &[("origin", "https://example.org")],
            &[("origin", "https://example.org"), ("origin", "https://evil.example"), ("host", "example.org")],
        ] {
            assert!(!from(headers), "{headers:?}");
        }
    }
}
