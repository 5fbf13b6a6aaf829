//! Result set management: asking for long answers page by page (XEP-0059).
//!
//! Knows the request and what a page says about itself. Lacks: an archive; who owns rows counts and cuts them.

use xmpp::xml::Element;

use crate::{Claim, Malformed, Status};

/// Namespace of result set management.
pub const NS: &str = "http://jabber.org/protocol/rsm";

/// Requests and pages.
pub const CLAIM: Claim = Claim { xep: 59, version: "1.0", status: Status::WireOnly, features: &[NS] };

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Position {
    /// At the start.
    #[default]
    First,
    /// At the end, going backwards.
    Last,
    /// After the item of that id.
    After(String),
    /// Before the item of that id, going backwards.
    Before(String),
    /// At an index.
    Index(u32),
}

/// What a requester wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// Items at most.
    pub max: Option<u32>,
    /// Where the page begins.
    pub position: Position,
}

impl Request {
    /// Reads the `<set/>` inside a request, where there is one.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when a number is none.
    pub fn inside(parent: &Element) -> Result<Option<Self>, Malformed> {
        let Some(set) = parent.child("set", NS) else { return Ok(None) };
        let number = |name| match set.child_text(name, NS) {
            None => Ok(None),
            Some(text) => text.trim().parse().map(Some).map_err(|_| Malformed("a page size is not a number")),
        };
        let position = match (set.child_text("after", NS), set.child_text("before", NS), number("index")?) {
            (Some(id), _, _) if id.is_empty() => Position::First,
            (Some(id), _, _) => Position::After(id),
            (None, Some(id), _) if id.is_empty() => Position::Last,
            (None, Some(id), _) => Position::Before(id),
            (None, None, Some(index)) => Position::Index(index),
            (None, None, None) => Position::First,
        };
        Ok(Some(Self { max: number("max")?, position }))
    }

    /// Writes the `<set/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let text = |name: &'static str, text: String| Element::new(name, NS).with_text(text);
        let position = match &self.position {
            Position::First => None,
            Position::Last => Some(Element::new("before", NS)),
            Position::After(id) => Some(text("after", id.clone())),
            Position::Before(id) => Some(text("before", id.clone())),
            Position::Index(index) => Some(text("index", index.to_string())),
        };
        Element::new("set", NS).with_children(self.max.map(|m| text("max", m.to_string()))).with_children(position)
    }
}

/// What a page says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Id of the first item.
    pub first: Option<String>,
    /// Id of the last item.
    pub last: Option<String>,
    /// Items in the whole set, where that is known.
    pub count: Option<u32>,
}

impl Page {
    /// Reads the `<set/>` inside an answer, where there is one.
    #[must_use]
    pub fn inside(parent: &Element) -> Option<Self> {
        let set = parent.child("set", NS)?;
        Some(Self {
            first: set.child_text("first", NS),
            last: set.child_text("last", NS),
            count: set.child_text("count", NS).and_then(|c| c.trim().parse().ok()),
        })
    }

    /// Writes the `<set/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let text = |name: &'static str, text: &str| Element::new(name, NS).with_text(text);
        Element::new("set", NS)
            .with_children(self.first.as_deref().map(|t| text("first", t)))
            .with_children(self.last.as_deref().map(|t| text("last", t)))
            .with_children(self.count.map(|c| text("count", &c.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_pages_come_back_the_same() {
        for position in [
            Position::First,
            Position::Last,
            Position::After("a".into()),
            Position::Before("b".into()),
            Position::Index(7),
        ] {
            let request = Request { max: Some(10), position };
            let query = Element::new("query", "q").with_child(request.to_element());
            assert_eq!(Request::inside(&query), Ok(Some(request)));
        }
        let page = Page { first: Some("a".into()), last: Some("b".into()), count: Some(800) };
        assert_eq!(Page::inside(&Element::new("query", "q").with_child(page.to_element())), Some(page));
    }

    #[test]
    fn a_page_size_is_a_number() {
        let set = Element::new("set", NS).with_child(Element::new("max", NS).with_text("-1"));
        assert!(Request::inside(&Element::new("query", "q").with_child(set)).is_err());
    }
}
