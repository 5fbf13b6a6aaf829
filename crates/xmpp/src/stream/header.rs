//! Stream headers: what must be in one, and how ours are written (RFC 6120 §4.7, §4.8).

use super::error::Misbehaviour;
use crate::jid::BareJid;
use crate::ns;
use crate::xml::{StreamHeader, escape_attr};

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The receiving domain, prepared.
    pub(super) to: Option<String>,
    /// The sending domain or account, prepared.
    pub(super) from: Option<String>,
    /// The id of the stream, in an answer.
    pub(super) id: Option<String>,
}

impl Header {
    /// Checks what holds for every header.
    ///
    /// The stream namespace comes before the name, so that a web browser's `<html>` is told the truth about itself.
    pub(super) fn parse(header: &StreamHeader, content_ns: &str) -> Result<Header, Misbehaviour> {
        let element = &header.element;
        if element.name() != "stream" {
            return Err(Misbehaviour::NotAStream);
        }
        if element.ns() != ns::STREAM || header.content_ns != content_ns {
            return Err(Misbehaviour::WrongNamespace);
        }
        let major = element.attr("version").and_then(|version| version.split_once('.')).map(|(major, _)| major);
        if major.and_then(|major| major.parse::<u32>().ok()).is_none_or(|major| major < 1) {
            return Err(Misbehaviour::Version);
        }
        Ok(Header {
            to: address(element.attr("to"))?,
            from: address(element.attr("from"))?,
            id: element.attr("id").map(str::to_owned),
        })
    }
}

fn address(attr: Option<&str>) -> Result<Option<String>, Misbehaviour> {
    let Some(text) = attr else { return Ok(None) };
    let jid = BareJid::parse(text).map_err(|_| Misbehaviour::Addressing)?;
    Ok(Some(jid.as_str().to_owned()))
}

/// Brings a configured domain into the form in which addresses are compared; what is no domain stays as it is and
/// matches nothing.
pub(super) fn prepared(domain: &str) -> String {
    BareJid::parse(domain).map_or_else(|_| domain.to_owned(), |jid| jid.as_str().to_owned())
}

/// Which header to write.
pub(super) struct Outgoing<'a> {
    pub(super) content_ns: &'a str,
    pub(super) from: Option<&'a str>,
    pub(super) to: Option<&'a str>,
    pub(super) id: Option<&'a str>,
}

impl Outgoing<'_> {
    pub(super) fn write(&self, out: &mut String) {
        out.push_str("<?xml version='1.0'?><stream:stream xmlns='");
        out.push_str(self.content_ns);
        out.push_str("' xmlns:stream='http://etherx.jabber.org/streams'");
        if self.content_ns == ns::SERVER {
            // this declaration is how dialback is announced (XEP-0220 §2.4.1)
            out.push_str(" xmlns:db='jabber:server:dialback'");
        }
        for (name, value) in [("from", self.from), ("to", self.to), ("id", self.id)] {
            if let Some(value) = value {
                out.push(' ');
                out.push_str(name);
                out.push_str("='");
                escape_attr(out, value);
                out.push('\'');
            }
        }
        out.push_str(" version='1.0' xml:lang='en'>");
    }
}
