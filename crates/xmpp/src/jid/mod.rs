//! Addresses: `localpart@domainpart/resourcepart` (RFC 7622).
//!
//! Knows: how each part is enforced (PRECIS, IDNA) and compared. An address is parsed once and is canonical from then
//! on, so comparing two is comparing bytes. Lacks: `Display`, because an address never belongs in a log by accident;
//! [`Jid::as_str`] says it on purpose.

mod parts;

use std::fmt;
use std::sync::Arc;

pub use parts::to_ascii;

/// Longest part, in bytes of UTF-8 (RFC 7622 §3.1).
pub const PART_BYTES_MAX: usize = 1023;

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JidError {
    /// The localpart is empty, too long, or has characters that PRECIS or RFC 7622 §3.3 forbids.
    Localpart,
    /// The domainpart is empty, too long, or no domain name or IP address (RFC 7622 §3.2).
    Domainpart,
    /// The resourcepart is empty, too long, or has characters that PRECIS forbids (RFC 7622 §3.4).
    Resourcepart,
    /// A bare address was expected.
    HasResource,
}

impl fmt::Display for JidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Localpart => "the part before the @ is not a valid user name",
            Self::Domainpart => "the part after the @ is not a valid server name",
            Self::Resourcepart => "the part after the / is not valid",
            Self::HasResource => "an address without a / was expected",
        })
    }
}

impl std::error::Error for JidError {}

/// An address, bare or full, in canonical form. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Jid {
    text: Arc<str>,
    /// Length of the localpart; 0 when there is none (it cannot be empty).
    local_len: u16,
    /// Length of everything before the slash.
    bare_len: u16,
}

/// An address without a resourcepart.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BareJid(Jid);

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl fmt::Debug for BareJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl Jid {
    /// Parses and canonicalises an address.
    ///
    /// # Errors
    ///
    /// [`JidError`] names the part that is wrong.
    ///
    /// Source: RFC 7622 §3.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        let (local, domain) = match bare.split_once('@') {
            Some((local, domain)) => (Some(local), domain),
            None => (None, bare),
        };
        Self::from_parts(local, domain, resource)
    }

    /// Makes an address from its parts.
    ///
    /// # Errors
    ///
    /// [`JidError`] names the part that is wrong.
    pub fn from_parts(local: Option<&str>, domain: &str, resource: Option<&str>) -> Result<Self, JidError> {
        let local = local.map(parts::localpart).transpose()?;
        let domain = parts::domainpart(domain)?;
        let resource = resource.map(parts::resourcepart).transpose()?;
        let mut text = String::with_capacity(
            local.as_ref().map_or(0, |l| l.len() + 1) + domain.len() + resource.as_ref().map_or(0, |r| r.len() + 1),
        );
        if let Some(local) = &local {
            text.push_str(local);
            text.push('@');
        }
        let local_len = local.as_ref().map_or(0, |l| l.len());
        text.push_str(&domain);
        let bare_len = text.len();
        if let Some(resource) = &resource {
            text.push('/');
            text.push_str(resource);
        }
        let local_len = u16::try_from(local_len).map_err(|_| JidError::Localpart)?;
        let bare_len = u16::try_from(bare_len).map_err(|_| JidError::Domainpart)?;
        Ok(Self { text: text.into(), local_len, bare_len })
    }

    /// Returns the canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the part before the `@`.
    #[must_use]
    pub fn localpart(&self) -> Option<&str> {
        self.text.get(..usize::from(self.local_len)).filter(|l| !l.is_empty())
    }

    /// Returns the name of the server or service.
    #[must_use]
    pub fn domainpart(&self) -> &str {
        let start = if self.local_len == 0 { 0 } else { usize::from(self.local_len) + 1 };
        self.text.get(start..usize::from(self.bare_len)).unwrap_or_default()
    }

    /// Returns the part after the first `/`.
    #[must_use]
    pub fn resourcepart(&self) -> Option<&str> {
        self.text.get(usize::from(self.bare_len) + 1..)
    }

    /// Returns the text without the resourcepart.
    #[must_use]
    pub fn bare_str(&self) -> &str {
        self.text.get(..usize::from(self.bare_len)).unwrap_or_default()
    }

    /// Tells whether there is no resourcepart.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.text.len() == usize::from(self.bare_len)
    }

    /// Returns the address without its resourcepart.
    #[must_use]
    pub fn bare(&self) -> BareJid {
        if self.is_bare() {
            return BareJid(self.clone());
        }
        BareJid(Self { text: self.bare_str().into(), local_len: self.local_len, bare_len: self.bare_len })
    }

    /// Returns the same account at another resource.
    ///
    /// # Errors
    ///
    /// [`JidError::Resourcepart`] when the resourcepart is not valid.
    pub fn with_resource(&self, resource: &str) -> Result<Self, JidError> {
        let resource = parts::resourcepart(resource)?;
        let text = format!("{}/{resource}", self.bare_str());
        Ok(Self { text: text.into(), local_len: self.local_len, bare_len: self.bare_len })
    }
}

impl BareJid {
    /// Parses and canonicalises an address without a resourcepart.
    ///
    /// # Errors
    ///
    /// [`JidError`] names the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let jid = Jid::parse(text)?;
        if jid.is_bare() { Ok(Self(jid)) } else { Err(JidError::HasResource) }
    }

    /// Makes an address from a localpart and a domainpart.
    ///
    /// # Errors
    ///
    /// [`JidError`] names the part that is wrong.
    pub fn from_parts(local: Option<&str>, domain: &str) -> Result<Self, JidError> {
        Jid::from_parts(local, domain, None).map(Self)
    }

    /// Returns the address as a general one.
    #[must_use]
    pub fn to_jid(&self) -> Jid {
        self.0.clone()
    }

    /// Returns the canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the part before the `@`.
    #[must_use]
    pub fn localpart(&self) -> Option<&str> {
        self.0.localpart()
    }

    /// Returns the name of the server or service.
    #[must_use]
    pub fn domainpart(&self) -> &str {
        self.0.domainpart()
    }

    /// Returns the same account at a resource.
    ///
    /// # Errors
    ///
    /// [`JidError::Resourcepart`] when the resourcepart is not valid.
    pub fn with_resource(&self, resource: &str) -> Result<Jid, JidError> {
        self.0.with_resource(resource)
    }
}

impl AsRef<Jid> for BareJid {
    fn as_ref(&self) -> &Jid {
        &self.0
    }
}

impl From<BareJid> for Jid {
    fn from(bare: BareJid) -> Self {
        bare.0
    }
}

#[cfg(test)]
mod tests;
