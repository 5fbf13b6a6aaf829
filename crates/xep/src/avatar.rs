//! User avatar (XEP-0084): the types on the wire.

use xmpp::xml::Element;

use crate::encoding::{base64, parse_base64};
use crate::{Claim, Malformed, Status};

/// The node of the metadata, and its namespace.
pub const NS_METADATA: &str = "urn:xmpp:avatar:metadata";
/// The node of the image, and its namespace.
pub const NS_DATA: &str = "urn:xmpp:avatar:data";

/// What this module claims. Nothing is asked for by itself: no client of ours fetches pictures of strangers.
pub const CLAIM: Claim = Claim { xep: 84, version: "1.1.4", status: Status::WireOnly, features: &[] };

/// The largest image accepted; it travels in one stanza.
pub const IMAGE_BYTES_MAX: usize = 96 * 1024;

/// One image of an avatar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// SHA-1 of the image in lower-case hexadecimal; also the item that holds it.
    pub id: String,
    /// Its length.
    pub size_bytes: u64,
    /// Its media type.
    pub media_type: String,
    /// Width and height in pixels.
    pub dimensions: Option<(u16, u16)>,
}

/// Reads `<metadata/>`; no images means that there is no avatar. Images behind URLs are left out: fetching one tells
/// its host who looks (XEP-0084 §4.2.2).
///
/// # Errors
///
/// [`Malformed`] when an image lacks what it must have.
pub fn parse_metadata(element: &Element) -> Result<Vec<Image>, Malformed> {
    if !element.is("metadata", NS_METADATA) {
        return Err(Malformed("not avatar metadata"));
    }
    let images = element.children().filter(|c| c.is("info", NS_METADATA) && c.attr("url").is_none());
    images.take(16).map(parse_image).collect()
}

/// Writes `<metadata/>`.
#[must_use]
pub fn metadata_element(images: &[Image]) -> Element {
    Element::new("metadata", NS_METADATA).with_children(images.iter().map(|image| {
        Element::new("info", NS_METADATA)
            .with_attr("id", image.id.as_str())
            .with_attr("bytes", image.size_bytes.to_string())
            .with_attr("type", image.media_type.as_str())
            .with_attr_opt("width", image.dimensions.map(|(width, _)| width.to_string()))
            .with_attr_opt("height", image.dimensions.map(|(_, height)| height.to_string()))
    }))
}

/// Reads `<data/>`.
///
/// # Errors
///
/// [`Malformed`] when the text is no base64, or the image larger than [`IMAGE_BYTES_MAX`].
pub fn parse_data(element: &Element) -> Result<Vec<u8>, Malformed> {
    if !element.is("data", NS_DATA) {
        return Err(Malformed("not avatar data"));
    }
    parse_base64(&element.text(), IMAGE_BYTES_MAX)
}

/// Writes `<data/>`.
#[must_use]
pub fn data_element(image: &[u8]) -> Element {
    Element::new("data", NS_DATA).with_text(base64(image))
}

fn parse_image(info: &Element) -> Result<Image, Malformed> {
    let number = |name: &str| info.attr(name).and_then(|text| text.parse::<u16>().ok());
    let id = info.attr("id").filter(|id| id.len() == 40 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    Ok(Image {
        id: id.ok_or(Malformed("the image has no SHA-1"))?.to_ascii_lowercase(),
        size_bytes: info.attr("bytes").and_then(|b| b.parse().ok()).ok_or(Malformed("the image has no length"))?,
        media_type: info.attr("type").filter(|t| t.len() <= 128).ok_or(Malformed("the image has no type"))?.to_owned(),
        dimensions: number("width").zip(number("height")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let image = Image {
            id: "111f4b3c50d7b0df729d299bc6f8e9ef9066971f".into(),
            size_bytes: 12345,
            media_type: "image/png".into(),
            dimensions: Some((64, 64)),
        };
        assert_eq!(parse_metadata(&metadata_element(std::slice::from_ref(&image))), Ok(vec![image.clone()]));
        assert_eq!(parse_metadata(&metadata_element(&[])), Ok(Vec::new()));
        assert_eq!(parse_data(&data_element(b"png")), Ok(b"png".to_vec()));
        let mut with_url = metadata_element(&[image]);
        for info in with_url.children_mut() {
            info.set_attr("url", "https://tracker.example/x.png");
        }
        assert_eq!(parse_metadata(&with_url), Ok(Vec::new()));
    }

    #[test]
    fn what_is_broken_or_too_large_is_refused() {
        for id in ["", "xyz", "../../../../etc/passwd"] {
            let image =
                Element::new("info", NS_METADATA).with_attr("id", id).with_attr("bytes", "1").with_attr("type", "t");
            assert!(parse_metadata(&Element::new("metadata", NS_METADATA).with_child(image)).is_err(), "{id}");
        }
        assert!(parse_data(&data_element(&vec![0; IMAGE_BYTES_MAX + 1])).is_err());
    }
}
