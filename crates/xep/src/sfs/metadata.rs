//! What a file is (XEP-0446).

use std::fmt;

use xmpp::xml::Element;

use super::NS_METADATA;
use crate::Malformed;
use crate::hashes::{self, Hash};

/// Longest text kept of a name, type or description, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// A file's description by whoever offers it. Nothing in it is to be believed before the file is there.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct FileMetadata {
    /// Its name, exactly as sent: to be made safe before it touches a screen or a disk.
    pub name: Option<String>,
    /// Its media type.
    pub media_type: Option<String>,
    /// Its length.
    pub size_bytes: Option<u64>,
    /// Hashes of its content.
    pub hashes: Vec<Hash>,
    /// A description for people.
    pub description: Option<String>,
    /// Width and height of an image, in pixels.
    pub dimensions: Option<(u32, u32)>,
}

impl fmt::Debug for FileMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileMetadata(<redacted>)")
    }
}

impl FileMetadata {
    /// Reads a `<file/>`. Everything is optional; what is there must be right.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when a number is none, or a text is too long.
    pub fn parse(element: &Element) -> Result<Self, Malformed> {
        if !element.is("file", NS_METADATA) {
            return Err(Malformed("not a file description"));
        }
        let text = |name: &str| -> Result<Option<String>, Malformed> {
            match element.child_text(name, NS_METADATA) {
                Some(text) if text.len() > TEXT_BYTES_MAX => Err(Malformed("a text is too long")),
                text => Ok(text.filter(|t| !t.is_empty())),
            }
        };
        let width: Option<u32> = number(text("width")?)?;
        let height: Option<u32> = number(text("height")?)?;
        Ok(Self {
            name: text("name")?,
            media_type: text("media-type")?,
            size_bytes: number(text("size")?)?,
            hashes: hashes::of_children(element),
            description: text("desc")?,
            dimensions: width.zip(height),
        })
    }

    /// Writes the element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let text = |name: &'static str, value: Option<String>| {
            value.map(|value| Element::new(name, NS_METADATA).with_text(value))
        };
        Element::new("file", NS_METADATA)
            .with_children(text("media-type", self.media_type.clone()))
            .with_children(text("name", self.name.clone()))
            .with_children(text("size", self.size_bytes.map(|size| size.to_string())))
            .with_children(text("width", self.dimensions.map(|(width, _)| width.to_string())))
            .with_children(text("height", self.dimensions.map(|(_, height)| height.to_string())))
            .with_children(self.hashes.iter().map(Hash::to_element))
            .with_children(text("desc", self.description.clone()))
    }
}

fn number<T: std::str::FromStr>(text: Option<String>) -> Result<Option<T>, Malformed> {
    let Some(text) = text else { return Ok(None) };
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Malformed("a number is none"));
    }
    text.parse().map(Some).map_err(|_| Malformed("a number is too large"))
}
