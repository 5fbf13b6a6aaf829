//! HTTP file upload: a slot to put a file into, and the address to fetch it from (XEP-0363).

use xmpp::stanza::{Condition, StanzaError};
use xmpp::time::Timestamp;
use xmpp::xml::Element;

use crate::disco::{Identity, Info};
use crate::forms::{Form, FormType};
use crate::{Claim, Malformed, Status};

/// Namespace of upload.
pub const NS: &str = "urn:xmpp:http:upload:0";

/// Slots, headers and errors; of the purposes, files of messages only.
pub const CLAIM: Claim = Claim { xep: 363, version: "1.2.0", status: Status::Complete, features: &[NS] };

/// Longest file name that we read, in bytes.
const MAX_NAME_LEN: usize = 1024;

/// What somebody wants to upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRequest {
    /// Name of the file.
    pub filename: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Media type.
    pub content_type: Option<String>,
}

impl SlotRequest {
    /// Reads a `<request/>`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the name or the size is missing, or the size is zero.
    pub fn parse(request: &Element) -> Result<Self, Malformed> {
        if !request.is("request", NS) {
            return Err(Malformed("not a request for a slot"));
        }
        let filename = request.attr("filename").filter(|n| !n.is_empty() && n.len() <= MAX_NAME_LEN);
        let size = request.attr("size").and_then(|s| s.parse().ok()).filter(|s| *s > 0);
        Ok(Self {
            filename: filename.ok_or(Malformed("the name of the file is missing"))?.to_owned(),
            size_bytes: size.ok_or(Malformed("the size of the file is missing"))?,
            content_type: request.attr("content-type").map(str::to_owned),
        })
    }

    /// Writes the `<request/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        Element::new("request", NS)
            .with_attr("filename", self.filename.as_str())
            .with_attr("size", self.size_bytes.to_string())
            .with_attr_opt("content-type", self.content_type.as_deref())
    }
}

/// Where to put a file, and where to fetch it.
#[derive(Clone, PartialEq, Eq)]
pub struct Slot {
    /// Address for `PUT`.
    pub put_url: String,
    /// Headers to send along.
    pub put_headers: Vec<(String, String)>,
    /// Address for `GET`.
    pub get_url: String,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slot(<redacted>)")
    }
}

impl Slot {
    /// Reads a `<slot/>`. Headers other than the three that the XEP allows are left out, line ends are removed.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when an address is missing or not `https`.
    ///
    /// Source: XEP-0363 §4.
    pub fn parse(slot: &Element) -> Result<Self, Malformed> {
        let url = |element: Option<&Element>| {
            let url = element.and_then(|e| e.attr("url")).filter(|u| u.starts_with("https://"));
            url.map(str::to_owned).ok_or(Malformed("a slot without https address"))
        };
        let (put, get) = (slot.child("put", NS), slot.child("get", NS));
        let single_line = |text: &str| text.replace(['\r', '\n'], "");
        let header = |e: &Element| {
            let name = single_line(e.attr("name")?);
            let allowed = ["authorization", "cookie", "expires"].contains(&name.to_ascii_lowercase().as_str());
            allowed.then(|| (name, single_line(&e.text())))
        };
        let headers = put.map(|p| p.children().filter(|c| c.is("header", NS)).filter_map(header).collect());
        Ok(Self { put_url: url(put)?, put_headers: headers.unwrap_or_default(), get_url: url(get)? })
    }

    /// Writes the `<slot/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let header = |(name, value): &(String, String)| {
            Element::new("header", NS).with_attr("name", name.as_str()).with_text(value)
        };
        Element::new("slot", NS)
            .with_child(
                Element::new("put", NS)
                    .with_attr("url", self.put_url.as_str())
                    .with_children(self.put_headers.iter().map(header)),
            )
            .with_child(Element::new("get", NS).with_attr("url", self.get_url.as_str()))
    }
}

/// Makes the error for a file that is too large (XEP-0363 §6).
#[must_use]
pub fn file_too_large(max_bytes: u64) -> StanzaError {
    let max = Element::new("max-file-size", NS).with_text(max_bytes.to_string());
    StanzaError::new(Condition::NotAcceptable)
        .with_text(format!("File too large. The maximum file size is {max_bytes} bytes"))
        .with_extra(Element::new("file-too-large", NS).with_child(max))
}

/// Makes the error for somebody who has uploaded too much for now (XEP-0363 §6).
#[must_use]
pub fn quota_reached(retry_at: Timestamp) -> StanzaError {
    StanzaError::new(Condition::ResourceConstraint)
        .with_text("Quota reached. Try again later.")
        .with_extra(Element::new("retry", NS).with_attr("stamp", retry_at.to_xep0082()))
}

/// Makes what service discovery tells about the service (XEP-0363 §3).
#[must_use]
pub fn info(name: &str, max_bytes: u64) -> Info {
    Info {
        node: None,
        identities: vec![Identity::new("store", "file", Some(name))],
        features: vec![NS.to_owned(), crate::disco::NS_INFO.to_owned()],
        forms: vec![Form::of_type(FormType::Result, NS).with("max-file-size", max_bytes.to_string())],
    }
}

/// Returns the largest file that a service takes, where it says so.
#[must_use]
pub fn max_file_size(info: &Info) -> Option<u64> {
    info.form(NS)?.value("max-file-size")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_slots_come_back_the_same() {
        let request = SlotRequest {
            filename: "très cool.jpg".into(),
            size_bytes: 23456,
            content_type: Some("image/jpeg".into()),
        };
        assert_eq!(SlotRequest::parse(&request.to_element()), Ok(request));
        let slot = Slot {
            put_url: "https://upload.example.org/1/x".into(),
            put_headers: vec![("Authorization".into(), "Basic Base64String==".into())],
            get_url: "https://download.example.org/1/x".into(),
        };
        assert_eq!(Slot::parse(&slot.to_element()), Ok(slot));
    }

    #[test]
    fn a_slot_cannot_smuggle_headers_or_clear_text() {
        let put = |url: &str| Element::new("put", NS).with_attr("url", url);
        let get = || Element::new("get", NS).with_attr("url", "https://example.org/x");
        let header = |name: &str, v: &str| Element::new("header", NS).with_attr("name", name).with_text(v);
        let slot = Element::new("slot", NS)
            .with_child(
                put("https://example.org/x")
                    .with_child(header("X-Evil", "1"))
                    .with_child(header("eXpires\r\n", "now\r\nX-Evil: 1")),
            )
            .with_child(get());
        let headers = Slot::parse(&slot).map(|s| s.put_headers);
        assert_eq!(headers, Ok(vec![("eXpires".to_owned(), "nowX-Evil: 1".to_owned())]));
        for bad in ["http://example.org/x", "ftp://example.org", ""] {
            assert!(Slot::parse(&Element::new("slot", NS).with_child(put(bad)).with_child(get())).is_err());
        }
    }

    #[test]
    fn a_file_has_a_name_and_a_size() {
        let request = |name: &str, size: &str| {
            SlotRequest::parse(&Element::new("request", NS).with_attr("filename", name).with_attr("size", size))
        };
        assert!(request("a", "1").is_ok());
        for (name, size) in [("", "1"), ("a", "0"), ("a", "-1"), ("a", "x"), ("a", "99999999999999999999")] {
            assert!(request(name, size).is_err());
        }
    }

    #[test]
    fn the_limit_is_told() {
        assert_eq!(max_file_size(&info("Files", 5_242_880)), Some(5_242_880));
        let error = file_too_large(20_000);
        let told = error.extra.first().and_then(|e| e.child_text("max-file-size", NS));
        assert_eq!((error.condition, told.as_deref()), (Condition::NotAcceptable, Some("20000")));
        let wait = quota_reached(Timestamp::from_secs(0));
        assert_eq!(wait.extra.first().and_then(|e| e.attr("stamp")), Some("1970-01-01T00:00:00.000Z"));
    }
}
