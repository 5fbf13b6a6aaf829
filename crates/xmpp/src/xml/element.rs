//! An XML element as an owned tree, for everything that is not on the hot path.

use std::borrow::Cow;
use std::fmt;

use super::{legal, writer};

/// A name or a namespace: usually one of our constants, sometimes text from the wire.
pub type Name = Cow<'static, str>;

/// One element: name, namespace, attributes and content.
///
/// Attributes in the namespace of the `xml:` prefix are called by their prefixed name (`"xml:lang"`); those of any other
/// namespace are called `"{namespace}local"`. Order of attributes and children is kept.
///
/// Whatever it is made of, it can be written and read again: characters that XML cannot carry become U+FFFD, and in names
/// `_`, when they are put in ([`to_carriable`](super::to_carriable)).
///
/// `Debug` shows names only: attributes and text are what people say and where they live.
#[derive(Clone, PartialEq, Eq)]
pub struct Element {
    name: Name,
    ns: Name,
    attrs: Vec<(Name, String)>,
    nodes: Vec<Node>,
}

/// A piece of an element's content.
#[derive(Clone, PartialEq, Eq)]
pub enum Node {
    /// A child element.
    Element(Element),
    /// Character data, unescaped.
    Text(String),
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} xmlns='{}' …{} children>", self.name, self.ns, self.children().count())
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element(element) => element.fmt(f),
            Self::Text(_) => f.write_str("<redacted text>"),
        }
    }
}

impl Element {
    /// Returns how much memory the tree holds.
    pub(super) fn held_bytes(&self) -> usize {
        let owned = |name: &Name| match name {
            Name::Borrowed(_) => 0,
            Name::Owned(text) => text.capacity(),
        };
        let attrs = self.attrs.iter().map(|(name, value)| owned(name) + value.capacity()).sum::<usize>();
        let nodes = self.nodes.iter().map(|node| match node {
            Node::Element(element) => element.held_bytes(),
            Node::Text(text) => text.capacity(),
        });
        let own = self.attrs.capacity() * size_of::<(Name, String)>() + self.nodes.capacity() * size_of::<Node>();
        own + owned(&self.name) + owned(&self.ns) + attrs + nodes.sum::<usize>()
    }

    /// Makes an empty element.
    pub fn new(name: impl Into<Name>, ns: impl Into<Name>) -> Self {
        let (name, ns) = (legal::local(name.into()), legal::namespace(ns.into()));
        Self { name, ns, attrs: Vec::new(), nodes: Vec::new() }
    }

    /// Adds or replaces an attribute.
    #[must_use]
    pub fn with_attr(mut self, name: impl Into<Name>, value: impl Into<String>) -> Self {
        self.set_attr(name, value);
        self
    }

    /// Adds or replaces an attribute when there is a value.
    #[must_use]
    pub fn with_attr_opt(self, name: impl Into<Name>, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with_attr(name, value),
            None => self,
        }
    }

    /// Appends a child.
    #[must_use]
    pub fn with_child(mut self, child: Element) -> Self {
        self.push(child);
        self
    }

    /// Appends all children.
    #[must_use]
    pub fn with_children(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.nodes.extend(children.into_iter().map(Node::Element));
        self
    }

    /// Appends text.
    #[must_use]
    pub fn with_text(mut self, text: impl AsRef<str>) -> Self {
        self.push_text(text.as_ref());
        self
    }

    /// Returns the local name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the namespace.
    #[must_use]
    pub fn ns(&self) -> &str {
        &self.ns
    }

    /// Tells whether this is the element `name` of `ns`.
    #[must_use]
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && self.ns == ns
    }

    /// Moves this element itself, and those children that share its namespace, into another namespace.
    ///
    /// Stanzas change theirs between client and server streams (RFC 6120 §4.8.3).
    pub fn rename_ns(&mut self, from: &str, to: &Name) {
        if self.ns == from {
            self.ns = legal::namespace(to.clone());
            for node in &mut self.nodes {
                if let Node::Element(child) = node {
                    child.rename_ns(from, to);
                }
            }
        }
    }

    /// Returns the value of an attribute.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attrs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Returns all attributes in order.
    pub fn attrs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attrs.iter().map(|(n, v)| (n.as_ref(), v.as_str()))
    }

    /// Adds or replaces an attribute.
    pub fn set_attr(&mut self, name: impl Into<Name>, value: impl Into<String>) {
        let (name, value) = (legal::attribute(name.into()), legal::carriable(value.into()));
        match self.attrs.iter_mut().find(|(n, _)| *n == name) {
            Some(slot) => slot.1 = value,
            None => self.attrs.push((name, value)),
        }
    }

    /// Adds an attribute that a reader accepted, and that is known not to be there.
    pub(super) fn push_attr(&mut self, name: impl Into<Name>, value: String) {
        self.attrs.push((name.into(), value));
    }

    /// Removes an attribute and returns its value.
    pub fn remove_attr(&mut self, name: &str) -> Option<String> {
        let at = self.attrs.iter().position(|(n, _)| n == name)?;
        Some(self.attrs.remove(at).1)
    }

    /// Returns the first child called `name` of `ns`.
    #[must_use]
    pub fn child(&self, name: &str, ns: &str) -> Option<&Element> {
        self.children().find(|c| c.is(name, ns))
    }

    /// Returns the first child called `name` of `ns`, for changing it.
    pub fn child_mut(&mut self, name: &str, ns: &str) -> Option<&mut Element> {
        self.children_mut().find(|c| c.is(name, ns))
    }

    /// Returns the child elements in order.
    pub fn children(&self) -> impl DoubleEndedIterator<Item = &Element> {
        self.nodes.iter().filter_map(|n| match n {
            Node::Element(e) => Some(e),
            Node::Text(_) => None,
        })
    }

    /// Returns the child elements in order, for changing them.
    pub fn children_mut(&mut self) -> impl Iterator<Item = &mut Element> {
        self.nodes.iter_mut().filter_map(|n| match n {
            Node::Element(e) => Some(e),
            Node::Text(_) => None,
        })
    }

    /// Returns the child elements, giving up this element.
    pub fn into_children(self) -> impl Iterator<Item = Element> {
        self.nodes.into_iter().filter_map(|n| match n {
            Node::Element(e) => Some(e),
            Node::Text(_) => None,
        })
    }

    /// Returns elements and text in order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Appends a child.
    pub fn push(&mut self, child: Element) {
        self.nodes.push(Node::Element(child));
    }

    /// Puts a child before all others.
    pub fn push_front(&mut self, child: Element) {
        self.nodes.insert(0, Node::Element(child));
    }

    /// Appends text; it joins text that stands there already.
    pub fn push_text(&mut self, text: &str) {
        self.push_read_text(legal::to_carriable(text));
    }

    /// Appends text that a reader accepted.
    pub(super) fn push_read_text(&mut self, text: Cow<'_, str>) {
        match self.nodes.last_mut() {
            Some(Node::Text(last)) => last.push_str(&text),
            _ if text.is_empty() => {}
            _ => self.nodes.push(Node::Text(text.into_owned())),
        }
    }

    /// Keeps the child elements for which `keep` says yes, and all text.
    pub fn retain_children(&mut self, mut keep: impl FnMut(&Element) -> bool) {
        self.nodes.retain(|n| match n {
            Node::Element(e) => keep(e),
            Node::Text(_) => true,
        });
    }

    /// Removes the first child called `name` of `ns` and returns it.
    pub fn take_child(&mut self, name: &str, ns: &str) -> Option<Element> {
        let at = self.nodes.iter().position(|n| matches!(n, Node::Element(e) if e.is(name, ns)))?;
        match self.nodes.remove(at) {
            Node::Element(e) => Some(e),
            Node::Text(_) => None,
        }
    }

    /// Returns the text directly inside this element, joined.
    #[must_use]
    pub fn text(&self) -> String {
        self.nodes
            .iter()
            .filter_map(|n| match n {
                Node::Text(t) => Some(t.as_str()),
                Node::Element(_) => None,
            })
            .collect()
    }

    /// Returns the text of the first child called `name` of `ns`.
    #[must_use]
    pub fn child_text(&self, name: &str, ns: &str) -> Option<String> {
        self.child(name, ns).map(Element::text)
    }

    /// Writes the element where `parent_ns` is the default namespace.
    ///
    /// Only default namespaces are written, never prefixes beyond `xml:` (a deployed client does not see prefixed
    /// encrypted elements), except for attributes that carry a namespace of their own.
    #[must_use]
    pub fn to_xml(&self, parent_ns: &str) -> String {
        let mut out = String::with_capacity(256);
        writer::write_element(&mut out, self, parent_ns);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_default_namespaces_only_where_they_change() {
        let e = Element::new("message", "jabber:client")
            .with_attr("to", "bob@example.org")
            .with_child(Element::new("body", "jabber:client").with_text("a<b & \"c\"\r"))
            .with_child(Element::new("x", "urn:x").with_child(Element::new("y", "urn:x")));
        assert_eq!(
            e.to_xml("jabber:client"),
            "<message to=\"bob@example.org\"><body>a&lt;b &amp; \"c\"&#xD;</body><x xmlns=\"urn:x\"><y/></x></message>"
        );
        assert!(e.to_xml("").starts_with("<message xmlns=\"jabber:client\" "));
    }

    #[test]
    fn debug_shows_no_content() {
        let e = Element::new("body", "jabber:client").with_attr("a", "secret-attribute").with_text("secret-text");
        let shown = format!("{e:?} {:?}", e.nodes());
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn edits_keep_order() {
        let mut e =
            Element::new("a", "n").with_text("1").with_child(Element::new("b", "n")).with_text("2").with_text("3");
        assert_eq!(e.text(), "123");
        e.set_attr("k", "v");
        e.set_attr("k", "w");
        assert_eq!(e.attrs().collect::<Vec<_>>(), [("k", "w")]);
        assert_eq!(e.take_child("b", "n").map(|b| b.name().to_owned()), Some("b".into()));
        assert_eq!(e.remove_attr("k").as_deref(), Some("w"));
        assert_eq!(e.children().count(), 0);
    }
}
