//! The four SCRAM messages (RFC 5802 §7): strict parsing, no copying.

use super::ExchangeError;
use base64::{Engine, engine::general_purpose::STANDARD};

/// Longer messages are refused unread; a real one is a few hundred bytes.
const MAX_MESSAGE_BYTES: usize = 4096;

/// The `gs2-cbind-flag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BindingFlag<'a> {
    /// `n`: the client does not bind.
    None,
    /// `y`: the client would bind, but saw no offer.
    NotOffered,
    /// `p=`: this type.
    Type(&'a str),
}

/// `client-first-message`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst<'a> {
    pub(super) gs2_header: &'a str,
    pub(super) bare: &'a str,
    pub(super) flag: BindingFlag<'a>,
    pub(super) authzid: Option<String>,
    pub(super) username: String,
    pub(super) nonce: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<ClientFirst<'a>, ExchangeError> {
        let text = as_text(message)?;
        let (flag_text, rest) = text.split_once(',').ok_or(ExchangeError::Malformed)?;
        let (authzid_text, bare) = rest.split_once(',').ok_or(ExchangeError::Malformed)?;
        let flag = match flag_text {
            "n" => BindingFlag::None,
            "y" => BindingFlag::NotOffered,
            _ => BindingFlag::Type(parse_binding_flag(flag_text)?),
        };
        let authzid = match authzid_text {
            "" => None,
            _ => Some(unescape(authzid_text.strip_prefix("a=").ok_or(ExchangeError::Malformed)?)?),
        };
        let mut attributes = Attributes::new(bare);
        let username = unescape(attributes.next_value('n')?)?;
        let nonce = checked_nonce(attributes.next_value('r')?)?;
        attributes.skip_extensions()?;
        let header_len = text.len() - bare.len();
        let gs2_header = text.get(..header_len).ok_or(ExchangeError::Malformed)?;
        Ok(ClientFirst { gs2_header, bare, flag, authzid, username, nonce })
    }
}

fn parse_binding_flag(flag: &str) -> Result<&str, ExchangeError> {
    let name = flag.strip_prefix("p=").ok_or(ExchangeError::Malformed)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    if name.is_empty() || !name.bytes().all(legal) { Err(ExchangeError::Malformed) } else { Ok(name) }
}

/// `server-first-message`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerFirst<'a> {
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
    /// XEP-0474.
    pub(super) offer_hash: Option<&'a str>,
    /// XEP-0515.
    pub(super) tls_version: Option<&'a str>,
}

impl<'a> ServerFirst<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<ServerFirst<'a>, ExchangeError> {
        let mut attributes = Attributes::new(as_text(message)?);
        let nonce = checked_nonce(attributes.next_value('r')?)?;
        let salt = decode(attributes.next_value('s')?)?;
        let digits = attributes.next_value('i')?;
        // `parse` alone would take a leading plus sign
        let posit = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        let iterations = digits.parse().ok().filter(|_| posit).ok_or(ExchangeError::Malformed)?;
        let (mut offer_hash, mut tls_version) = (None, None);
        while let Some((name, value)) = attributes.next()? {
            match name {
                'h' if offer_hash.replace(value).is_some() => return Err(ExchangeError::Malformed),
                't' if tls_version.replace(value).is_some() => return Err(ExchangeError::Malformed),
                _ => {}
            }
        }
        Ok(ServerFirst { nonce, salt, iterations, offer_hash, tls_version })
    }
}

/// `client-final-message`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFinal<'a> {
    /// Everything before the proof: the part that is signed.
    pub(super) without_proof: &'a str,
    pub(super) binding: Vec<u8>,
    pub(super) nonce: &'a str,
    pub(super) proof: Vec<u8>,
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<ClientFinal<'a>, ExchangeError> {
        let text = as_text(message)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(ExchangeError::Malformed)?;
        let mut attributes = Attributes::new(without_proof);
        let binding = decode(attributes.next_value('c')?)?;
        let nonce = checked_nonce(attributes.next_value('r')?)?;
        attributes.skip_extensions()?;
        Ok(ClientFinal { without_proof, binding, nonce, proof: decode(proof)? })
    }
}

/// `server-final-message`: the server's signature.
pub(super) fn parse_server_final(message: &[u8]) -> Result<Vec<u8>, ExchangeError> {
    let mut attributes = Attributes::new(as_text(message)?);
    let signature = match attributes.next()? {
        Some(('v', value)) => decode(value)?,
        Some(('e', _)) => return Err(ExchangeError::ServerRefused),
        _ => return Err(ExchangeError::Malformed),
    };
    attributes.skip_extensions()?;
    Ok(signature)
}

/// Writes a name so that it holds neither `,` nor `=`.
pub(super) fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

fn unescape(name: &str) -> Result<String, ExchangeError> {
    let mut plain = String::with_capacity(name.len());
    let mut parts = name.split('=');
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (character, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(ExchangeError::Malformed),
        };
        plain.push(character);
        plain.push_str(rest);
    }
    if plain.is_empty() || plain.contains('\0') { Err(ExchangeError::Malformed) } else { Ok(plain) }
}

pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn decode(text: &str) -> Result<Vec<u8>, ExchangeError> {
    match STANDARD.decode(text) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(ExchangeError::Malformed),
    }
}

fn as_text(message: &[u8]) -> Result<&str, ExchangeError> {
    if message.len() > MAX_MESSAGE_BYTES {
        return Err(ExchangeError::Malformed);
    }
    std::str::from_utf8(message).map_err(|_| ExchangeError::Malformed)
}

fn checked_nonce(nonce: &str) -> Result<&str, ExchangeError> {
    let printable = |byte: u8| (0x21..=0x7e).contains(&byte) && byte != b',';
    if nonce.is_empty() || !nonce.bytes().all(printable) { Err(ExchangeError::Malformed) } else { Ok(nonce) }
}

/// The comma-separated `x=value` list that every SCRAM message is.
struct Attributes<'a> {
    parts: std::str::Split<'a, char>,
}

impl<'a> Attributes<'a> {
    fn new(text: &'a str) -> Attributes<'a> {
        Attributes { parts: text.split(',') }
    }

    fn next(&mut self) -> Result<Option<(char, &'a str)>, ExchangeError> {
        let Some(part) = self.parts.next() else { return Ok(None) };
        let (name, value) = part.split_once('=').ok_or(ExchangeError::Malformed)?;
        let mut letters = name.chars();
        match (letters.next(), letters.next()) {
            (Some('m'), None) => Err(ExchangeError::MandatoryExtension),
            (Some(letter), None) if letter.is_ascii_alphabetic() => Ok(Some((letter, value))),
            _ => Err(ExchangeError::Malformed),
        }
    }

    /// The next attribute must have this name: the order is part of the grammar.
    fn next_value(&mut self, expected: char) -> Result<&'a str, ExchangeError> {
        match self.next()? {
            Some((name, value)) if name == expected => Ok(value),
            _ => Err(ExchangeError::Malformed),
        }
    }

    fn skip_extensions(&mut self) -> Result<(), ExchangeError> {
        while self.next()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_back() {
        for name in ["user", "a=b", "a,b", "=2C", "=", ",,", "ünï"] {
            assert_eq!(unescape(&escape(name)).unwrap(), name);
        }
        for broken in ["", "a=", "a=2", "a=2c", "a=41", "=3d", "nul\0"] {
            assert_eq!(unescape(broken), Err(ExchangeError::Malformed), "{broken}");
        }
    }

    #[test]
    fn client_first_by_the_grammar() {
        let first = ClientFirst::parse(b"p=tls-exporter,a=u=2C,n=u=2C,r=abc,x=ext").unwrap();
        assert_eq!(first.gs2_header, "p=tls-exporter,a=u=2C,");
        assert_eq!(first.bare, "n=u=2C,r=abc,x=ext");
        assert_eq!(first.flag, BindingFlag::Type("tls-exporter"));
        assert_eq!(first.authzid.as_deref(), Some("u,"));
        assert_eq!((first.username.as_str(), first.nonce), ("u,", "abc"));
        for broken in [
            "",
            "n",
            "n,",
            "n,,",
            "x,,n=u,r=abc",
            "p=,,n=u,r=abc",
            "p=a b,,n=u,r=a",
            "n,u,n=u,r=abc",
            "n,,r=abc,n=u",
            "n,,n=u",
            "n,,n=,r=abc",
            "n,,n=u,r=",
            "n,,n=u,r=a\u{7f}",
            "n,,n=u,r=abc,",
            "n,,n=u,r=abc,xx=1",
            "n,,n=u,r=abc,1=1",
        ] {
            assert_eq!(ClientFirst::parse(broken.as_bytes()), Err(ExchangeError::Malformed), "{broken}");
        }
        assert_eq!(ClientFirst::parse(b"n,,m=x,n=u,r=abc"), Err(ExchangeError::MandatoryExtension));
        assert_eq!(ClientFirst::parse(b"n,,n=\xff,r=abc"), Err(ExchangeError::Malformed));
    }

    #[test]
    fn server_first_by_the_grammar() {
        let first = ServerFirst::parse(b"r=abc,s=QQ==,i=4096,h=aGk=,t=0304,z=?").unwrap();
        assert_eq!((first.nonce, first.salt.as_slice(), first.iterations), ("abc", b"A".as_slice(), 4096));
        assert_eq!((first.offer_hash, first.tls_version), (Some("aGk="), Some("0304")));
        for broken in [
            "r=abc,s=QQ==,i=",
            "r=abc,s=QQ==,i=+4096",
            "r=abc,s=QQ==,i=04096",
            "r=abc,s=QQ==,i=99999999999",
            "r=abc,s=,i=4096",
            "r=abc,s=Q,i=4096",
            "s=QQ==,r=abc,i=4096",
            "r=abc,s=QQ==,i=4096,h=a,h=b",
            "e=other-error",
        ] {
            assert_eq!(ServerFirst::parse(broken.as_bytes()), Err(ExchangeError::Malformed), "{broken}");
        }
        assert_eq!(ServerFirst::parse(b"m=x,r=abc,s=QQ==,i=4096"), Err(ExchangeError::MandatoryExtension));
    }

    #[test]
    fn final_messages_by_the_grammar() {
        let last = ClientFinal::parse(b"c=biws,r=abc,x=1,p=QUI=").unwrap();
        assert_eq!(last.without_proof, "c=biws,r=abc,x=1");
        assert_eq!((last.binding.as_slice(), last.proof.as_slice()), (b"n,,".as_slice(), b"AB".as_slice()));
        for broken in
            ["c=biws,r=abc", "c=biws,p=QUI=", "r=abc,c=biws,p=QUI=", "c=biws,r=abc,p=", "c=biws,r=abc,p=QUI=,x=1"]
        {
            assert_eq!(ClientFinal::parse(broken.as_bytes()), Err(ExchangeError::Malformed), "{broken}");
        }
        assert_eq!(parse_server_final(b"v=QUI=,x=1").unwrap(), b"AB");
        assert_eq!(parse_server_final(b"e=invalid-proof"), Err(ExchangeError::ServerRefused));
        assert_eq!(parse_server_final(b"v="), Err(ExchangeError::Malformed));
    }

    #[test]
    fn oversized_messages_are_not_read() {
        let long = format!("n,,n={},r=abc", "u".repeat(MAX_MESSAGE_BYTES));
        assert_eq!(ClientFirst::parse(long.as_bytes()), Err(ExchangeError::Malformed));
    }
}
