//! Dialback: keys, and the elements that carry them (XEP-0220, XEP-0185).

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::jid::BareJid;
use crate::ns;
use crate::stanza::{Condition, StanzaError};
use crate::xml::{Frame, escape_attr, escape_text};

/// A peer's claim to be a domain: `<db:result/>` without a type.
#[derive(Clone, PartialEq, Eq)]
pub struct DialbackKey {
    /// The domain that the peer claims.
    pub from: String,
    /// The local domain it wants to send to.
    pub to: String,
    /// The id of this stream, which the authoritative server needs to check the key.
    pub stream_id: String,
    /// The key.
    pub key: String,
}

/// A question to the authoritative server: `<db:verify/>` without a type.
#[derive(Clone, PartialEq, Eq)]
pub struct DialbackVerify {
    /// The domain of the receiving server, which asks.
    pub from: String,
    /// The domain whose key it is, which is asked.
    pub to: String,
    /// The id of the stream on which the key was presented.
    pub id: String,
    /// The key.
    pub key: String,
}

impl std::fmt::Debug for DialbackKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DialbackKey(<redacted>)")
    }
}

impl std::fmt::Debug for DialbackVerify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DialbackVerify(<redacted>)")
    }
}

/// The answer to either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialbackVerdict {
    /// The key is right.
    Valid,
    /// The key is wrong: somebody pretends.
    Invalid,
    /// It could not be found out (XEP-0220 §2.5).
    Error(Condition),
}

/// Computes the key that `originating` presents to `receiving` on the stream `stream_id` of the receiving server.
///
/// Source: XEP-0185 §2.
#[must_use]
pub fn key(secret: &[u8], receiving: &str, originating: &str, stream_id: &str) -> String {
    let hashed_secret = hex(&Sha256::digest(secret));
    let mut mac = Hmac::<Sha256>::new_from_slice(hashed_secret.as_bytes())
        .expect("HMAC accepts keys of any length (RFC 2104 section 2)");
    mac.update(format!("{receiving} {originating} {stream_id}").as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// Checks a key that is said to be ours, in constant time.
#[must_use]
pub fn is_ours(secret: &[u8], request: &DialbackVerify) -> DialbackVerdict {
    let expected = key(secret, &request.from, &request.to, &request.id);
    match bool::from(expected.as_bytes().ct_eq(request.key.as_bytes())) {
        true => DialbackVerdict::Valid,
        false => DialbackVerdict::Invalid,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The longest key that is taken, in bytes. Keys are 64 (XEP-0185), and others make no longer ones.
pub const KEY_MAX: usize = 128;

/// One dialback element in either direction.
pub(super) struct Dialback {
    pub(super) is_verify: bool,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) id: String,
    /// `None` for a request.
    pub(super) verdict: Option<DialbackVerdict>,
    pub(super) key: String,
}

impl Dialback {
    /// Reads an element; `None` when it is not one of ours or its addresses are none.
    pub(super) fn parse(frame: &Frame) -> Option<Dialback> {
        let is_verify = match frame.name() {
            "result" => false,
            "verify" => true,
            _ => return None,
        };
        let verdict = match frame.attr("type").as_deref() {
            None => None,
            Some("valid") => Some(DialbackVerdict::Valid),
            Some("invalid") => Some(DialbackVerdict::Invalid),
            Some("error") => {
                let error = frame
                    .to_element()
                    .child("error", ns::SERVER)
                    .and_then(|error| error.children().find_map(|child| Condition::parse(child.name())));
                Some(DialbackVerdict::Error(error.unwrap_or(Condition::UndefinedCondition)))
            }
            Some(_) => return None,
        };
        let id = frame.attr("id").unwrap_or_default().into_owned();
        if is_verify && id.is_empty() {
            return None;
        }
        Some(Dialback {
            is_verify,
            from: domain(&frame.attr("from")?)?,
            to: domain(&frame.attr("to")?)?,
            id,
            verdict,
            key: frame.root().text().trim().to_owned(),
        })
    }

    /// Writes the element with the prefix `db`, which older servers insist on (XEP-0220 §2).
    pub(super) fn write(&self) -> String {
        let name = if self.is_verify { "db:verify" } else { "db:result" };
        let mut out = format!("<{name}");
        let mut attr = |name: &str, value: &str| {
            out.push_str(&format!(" {name}='"));
            escape_attr(&mut out, value);
            out.push('\'');
        };
        attr("from", &self.from);
        attr("to", &self.to);
        if self.is_verify {
            attr("id", &self.id);
        }
        match self.verdict {
            None => {}
            Some(DialbackVerdict::Valid) => attr("type", "valid"),
            Some(DialbackVerdict::Invalid) => attr("type", "invalid"),
            Some(DialbackVerdict::Error(_)) => attr("type", "error"),
        }
        out.push('>');
        match self.verdict {
            None => escape_text(&mut out, &self.key),
            Some(DialbackVerdict::Error(condition)) => {
                out.push_str(&StanzaError::new(condition).to_element(ns::SERVER).to_xml(ns::SERVER));
            }
            Some(_) => {}
        }
        out.push_str(&format!("</{name}>"));
        out
    }
}

/// Brings a domain into its one form; `None` when it is none, or more than a domain.
pub(super) fn domain(text: &str) -> Option<String> {
    let jid = BareJid::parse(text).ok()?;
    (jid.localpart().is_none() && jid.as_str() == jid.domainpart()).then(|| jid.domainpart().to_owned())
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn the_example_of_xep_0185() {
        let key = key(b"s3cr3tf0rd14lb4ck", "xmpp.example.com", "example.org", "D60000229F");
        assert_eq!(key, "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643");
    }

    #[test]
    fn the_examples_of_xep_0220() {
        let key = key(b"s3cr3tf0rd14lb4ck", "montague.example", "capulet.example", "D60000229F");
        assert_eq!(key, "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3");
        let mut request = DialbackVerify {
            from: "capulet.example".into(),
            to: "montague.example".into(),
            id: "417GAF25".into(),
            key: "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d".into(),
        };
        assert_eq!(is_ours(b"d14lb4ck43v3r", &request), DialbackVerdict::Valid);
        request.id.push('x');
        assert_eq!(is_ours(b"d14lb4ck43v3r", &request), DialbackVerdict::Invalid);
    }

    #[test]
    fn only_bare_domains_are_domains() {
        assert_eq!(domain("Example.ORG").as_deref(), Some("example.org"));
        for other in ["", "a@example.org", "example.org/x", "exa mple"] {
            assert_eq!(domain(other), None, "{other}");
        }
    }
}
