//! The offer of a file and its sources (XEP-0447).

use xmpp::xml::Element;

use super::metadata::FileMetadata;
use super::{NS, NS_URL_DATA, SOURCES_MAX};
use crate::esfs::EncryptedSource;
use crate::https_url::HttpsUrl;
use crate::{Malformed, esfs};

/// How a file is meant to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// As part of the conversation.
    Inline,
    /// As something to save.
    Attachment,
}

/// Where a file can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// As it is.
    Url(HttpsUrl),
    /// Encrypted.
    Encrypted(Box<EncryptedSource>),
}

/// An offer: `<file-sharing/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSharing {
    /// How it is meant to be shown.
    pub disposition: Option<Disposition>,
    /// What it is.
    pub file: FileMetadata,
    /// Where it is. Sources of kinds that we do not know, or with URLs that we would not fetch, are left out.
    pub sources: Vec<Source>,
}

impl FileSharing {
    /// Reads a `<file-sharing/>`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the description of the file is missing or broken. A broken source is left out.
    pub fn parse(element: &Element) -> Result<Self, Malformed> {
        if !element.is("file-sharing", NS) {
            return Err(Malformed("not an offer of a file"));
        }
        let file = element.children().find(|c| c.name() == "file").ok_or(Malformed("the offer has no file"))?;
        let sources = element.child("sources", NS).into_iter().flat_map(Element::children);
        Ok(Self {
            disposition: match element.attr("disposition") {
                Some("inline") => Some(Disposition::Inline),
                Some("attachment") => Some(Disposition::Attachment),
                _ => None,
            },
            file: FileMetadata::parse(file)?,
            sources: sources.filter_map(parse_source).take(SOURCES_MAX).collect(),
        })
    }

    /// Writes the element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let disposition = self.disposition.map(|d| match d {
            Disposition::Inline => "inline",
            Disposition::Attachment => "attachment",
        });
        let sources = self.sources.iter().map(|source| match source {
            Source::Url(url) => url_element(url),
            Source::Encrypted(source) => source.to_element(),
        });
        Element::new("file-sharing", NS)
            .with_attr_opt("disposition", disposition)
            .with_child(self.file.to_element())
            .with_child(Element::new("sources", NS).with_children(sources))
    }
}

fn parse_source(element: &Element) -> Option<Source> {
    if element.is("encrypted", esfs::NS) {
        return EncryptedSource::parse(element).ok().map(|source| Source::Encrypted(Box::new(source)));
    }
    parse_url(element).map(Source::Url)
}

fn parse_url(element: &Element) -> Option<HttpsUrl> {
    let target = element.is("url-data", NS_URL_DATA).then(|| element.attr("target"))??;
    HttpsUrl::parse(target).ok()
}

/// Reads the URLs in the `<sources/>` of an element; others than `https` are left out.
pub(crate) fn parse_urls(parent: &Element) -> Vec<HttpsUrl> {
    let sources = parent.child("sources", NS).into_iter().flat_map(Element::children);
    sources.filter_map(parse_url).take(SOURCES_MAX).collect()
}

/// Writes one URL as a source.
pub(crate) fn url_element(url: &HttpsUrl) -> Element {
    Element::new("url-data", NS_URL_DATA).with_attr("target", url.to_text())
}
