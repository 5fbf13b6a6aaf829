//! The syntax of `xmpp:` URIs (RFC 5122 §2.2).

use xmpp::jid::Jid;

use super::{BYTES_MAX, UriError, percent};

/// The most keys of one link.
const PAIRS_MAX: usize = 160;

/// An `xmpp:` URI taken apart, its meaning not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmppUri {
    /// The address.
    pub address: Jid,
    /// What to do with it; empty when the link only identifies.
    pub action: String,
    /// Keys and values, unescaped, in order.
    pub pairs: Vec<(String, String)>,
}

impl XmppUri {
    /// Takes a URI or IRI apart.
    ///
    /// The scheme may have any case; an authority (`xmpp://account/…`) and a fragment are ignored, as RFC 5122 §2.3 and
    /// §2.6 allow to those who do not need them.
    ///
    /// # Errors
    ///
    /// [`UriError`] says which part is wrong.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let text = text.trim();
        if text.len() > BYTES_MAX {
            return Err(UriError::TooLong);
        }
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("xmpp") {
            return Err(UriError::Scheme);
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let path = match path.strip_prefix("//") {
            Some(with_authority) => with_authority.split_once('/').map_or("", |(_, path)| path),
            None => path,
        };
        let address = parse_path(path)?;
        let Some(query) = query else {
            return Ok(Self { address, action: String::new(), pairs: Vec::new() });
        };
        let mut parts = query.split(';');
        let action = percent::decode(parts.next().unwrap_or_default())?;
        let pairs = parts.filter(|part| !part.is_empty()).map(parse_pair).collect::<Result<Vec<_>, _>>()?;
        if pairs.len() > PAIRS_MAX {
            return Err(UriError::TooLong);
        }
        Ok(Self { address, action, pairs })
    }

    /// Writes the URI, in ASCII.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::from("xmpp:");
        if let Some(local) = self.address.localpart() {
            percent::encode(&mut out, local, b"!$()*+,;=");
            out.push('@');
        }
        percent::encode(&mut out, self.address.domainpart(), b"[]:");
        if let Some(resource) = self.address.resourcepart() {
            out.push('/');
            percent::encode(&mut out, resource, b"!$&'()*+,:;=");
        }
        if self.action.is_empty() && self.pairs.is_empty() {
            return out;
        }
        out.push('?');
        percent::encode(&mut out, &self.action, b"");
        for (key, value) in &self.pairs {
            out.push(';');
            percent::encode(&mut out, key, b"");
            out.push('=');
            // XEP-0434 §9.1.1 and our own `wx-at` leave colons and commas readable
            percent::encode(&mut out, value, b":,");
        }
        out
    }

    /// Returns the first value of a key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Returns all values of a key.
    pub fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(k, _)| k == key).map(|(_, v)| v.as_str())
    }
}

/// The path is split before it is unescaped: an escaped `/` or `@` is part of a name.
fn parse_path(path: &str) -> Result<Jid, UriError> {
    let (bare, resource) = match path.split_once('/') {
        Some((bare, resource)) => (bare, Some(percent::decode(resource)?)),
        None => (path, None),
    };
    let (local, domain) = match bare.split_once('@') {
        Some((local, domain)) => (Some(percent::decode(local)?), domain),
        None => (None, bare),
    };
    Ok(Jid::from_parts(local.as_deref(), &percent::decode(domain)?, resource.as_deref())?)
}

/// A key without `=` has an empty value.
fn parse_pair(pair: &str) -> Result<(String, String), UriError> {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let key = percent::decode(key)?;
    if key.is_empty() {
        return Err(UriError::Query);
    }
    Ok((key, percent::decode(value)?))
}
