//! Offers of files: what is sent, what is found in a message, what is kept until somebody wants the file.

use std::fmt;

use xep::aesgcm::AesgcmUrl;
use xep::document;
use xep::sfs::{FileSharing, NS, Source};
use xmpp::xml::Element;

use super::name::safe_name;

/// Longest offer read from the store, in bytes.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// The same file in both vocabularies. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct OutgoingOffer {
    /// For envelopes (XEP-0447, 0448).
    pub sharing: FileSharing,
    /// For legacy devices (XEP-0454): the whole body.
    pub legacy: AesgcmUrl,
}

impl fmt::Debug for OutgoingOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutgoingOffer(<redacted>)")
    }
}

impl OutgoingOffer {
    /// What goes into the envelope to apps that read offers.
    #[must_use]
    pub fn content(&self) -> Vec<Element> {
        vec![self.sharing.to_element()]
    }

    /// What goes into the envelope where apps read it that know no offers, only links: the link beside the offer, marked so
    /// that those who know better do not show it (XEP-0428).
    #[must_use]
    pub fn content_with_link(&self) -> Vec<Element> {
        content_with_link(self.sharing.to_element(), &self.body())
    }

    /// What legacy devices get.
    #[must_use]
    pub fn body(&self) -> String {
        self.legacy.to_text()
    }
}

/// Puts the link of an offer beside it.
pub(crate) fn content_with_link(sharing: Element, link: &str) -> Vec<Element> {
    let body = Element::new("body", xmpp::ns::CLIENT).with_text(link);
    vec![sharing, xep::fallback::whole_body(NS), body]
}

/// An offered file. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub enum Offer {
    /// By an element in an envelope.
    Sharing(Box<FileSharing>),
    /// By a legacy link.
    Link(Box<AesgcmUrl>),
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sharing(_) => "Offer::Sharing(<redacted>)",
            Self::Link(_) => "Offer::Link(<redacted>)",
        })
    }
}

/// What is shown of an offer before the file is there: the sender's words, the name made safe.
#[derive(Clone, PartialEq, Eq)]
pub struct Description {
    /// A safe name.
    pub name: String,
    /// How long it is said to be.
    pub size_bytes: Option<u64>,
    /// What it is said to be.
    pub media_type: Option<String>,
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Description(<redacted>)")
    }
}

impl Offer {
    /// Finds an offer in the content of an envelope. Offers of files that are not encrypted are none.
    #[must_use]
    pub fn of_content(content: &[Element]) -> Option<Self> {
        content.iter().filter(|e| e.is("file-sharing", NS)).find_map(|e| Self::of_sharing(FileSharing::parse(e).ok()?))
    }

    /// Reads the body of a decrypted message that is nothing but a legacy link.
    #[must_use]
    pub fn of_body(body: &str) -> Option<Self> {
        AesgcmUrl::parse(body).ok().map(|url| Self::Link(Box::new(url)))
    }

    fn of_sharing(sharing: FileSharing) -> Option<Self> {
        let encrypted = sharing.sources.iter().any(|s| matches!(s, Source::Encrypted(_)));
        encrypted.then(|| Self::Sharing(Box::new(sharing)))
    }

    /// Writes the offer for the store; it holds the file's key.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Sharing(sharing) => sharing.to_element().to_xml(""),
            Self::Link(url) => url.to_text(),
        }
    }

    /// Reads what [`Self::to_text`] wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        if !text.starts_with('<') {
            return Self::of_body(text);
        }
        let element = document::parse(text.as_bytes(), KEPT_BYTES_MAX).ok()?;
        Self::of_sharing(FileSharing::parse(&element).ok()?)
    }

    /// Describes the offer.
    #[must_use]
    pub fn description(&self) -> Description {
        match self {
            Self::Sharing(sharing) => Description {
                name: safe_name(sharing.file.name.as_deref().unwrap_or_default()),
                size_bytes: sharing.file.size_bytes,
                media_type: sharing.file.media_type.clone(),
            },
            Self::Link(url) => {
                let path = url.url.target.split('?').next().unwrap_or_default();
                Description { name: safe_name(&unescape(path)), size_bytes: None, media_type: None }
            }
        }
    }
}

/// Undoes percent escapes for showing; what is damaged stays as it is.
fn unescape(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|pair| hex::decode(pair).ok());
        match escaped.as_deref() {
            Some([byte]) => {
                bytes.push(*byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
