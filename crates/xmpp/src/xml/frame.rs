//! One complete top-level element of a stream, as it travels.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::element::{Element, Name};

/// One complete top-level element of a stream: its bytes and its structure. Immutable and cheap to clone.
///
/// The bytes stand by themselves where the stream's content namespace is the default one.
#[derive(Clone)]
pub struct Frame {
    element: Arc<Element>,
    bytes: Bytes,
    stream_ns: Name,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({:?}, {} bytes)", self.element, self.bytes.len())
    }
}

impl Frame {
    /// Makes a frame by writing `element` where `stream_ns` is the default namespace.
    #[must_use]
    pub fn from_element(element: &Element, stream_ns: &str) -> Self {
        Self::from_owned(element.clone(), Cow::Owned(stream_ns.to_owned()))
    }

    pub(super) fn from_owned(element: Element, stream_ns: Name) -> Self {
        let bytes = Bytes::from(element.to_xml(&stream_ns));
        Self { element: Arc::new(element), bytes, stream_ns }
    }

    /// Returns the local name of the root.
    #[must_use]
    pub fn name(&self) -> &str {
        self.element.name()
    }

    /// Returns the namespace of the root.
    #[must_use]
    pub fn ns(&self) -> &str {
        self.element.ns()
    }

    /// Tells whether the root is the element `name` of `ns`.
    #[must_use]
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.element.is(name, ns)
    }

    /// Returns an attribute of the root, unescaped.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<Cow<'_, str>> {
        self.element.attr(name).map(Cow::Borrowed)
    }

    /// Returns the root for reading.
    #[must_use]
    pub fn root(&self) -> ElementRef<'_> {
        ElementRef { element: &self.element }
    }

    /// Copies the structure into an owned tree.
    #[must_use]
    pub fn to_element(&self) -> Element {
        (*self.element).clone()
    }

    /// Returns the bytes as they go on the wire.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Tells whether there are no bytes; never so for a frame from a scanner.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Starts a changed copy.
    #[must_use]
    pub fn splice(&self) -> Splice {
        Splice { element: (*self.element).clone(), stream_ns: self.stream_ns.clone() }
    }
}

/// A borrowed element inside a [`Frame`].
#[derive(Clone, Copy)]
pub struct ElementRef<'a> {
    element: &'a Element,
}

impl<'a> ElementRef<'a> {
    /// Returns the local name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.element.name()
    }

    /// Returns the namespace.
    #[must_use]
    pub fn ns(&self) -> &'a str {
        self.element.ns()
    }

    /// Tells whether this is the element `name` of `ns`.
    #[must_use]
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.element.is(name, ns)
    }

    /// Returns an attribute, unescaped.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<Cow<'a, str>> {
        self.element.attr(name).map(Cow::Borrowed)
    }

    /// Returns the child elements in order.
    pub fn children(&self) -> impl Iterator<Item = ElementRef<'a>> + use<'a> {
        self.element.children().map(|element| ElementRef { element })
    }

    /// Returns the first child called `name` of `ns`.
    #[must_use]
    pub fn child(&self, name: &str, ns: &str) -> Option<ElementRef<'a>> {
        self.children().find(|c| c.is(name, ns))
    }

    /// Returns the text directly inside this element.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        Cow::Owned(self.element.text())
    }

    /// Copies this element into an owned tree.
    #[must_use]
    pub fn to_element(&self) -> Element {
        self.element.clone()
    }
}

/// A changed copy of a [`Frame`] in the making: attributes of the root, children dropped or added, another stream.
///
/// This is what a broker does to every stanza it routes, so nothing is parsed again.
pub struct Splice {
    element: Element,
    stream_ns: Name,
}

impl Splice {
    /// Adds or replaces an attribute of the root.
    #[must_use]
    pub fn set_attr(mut self, name: &'static str, value: &str) -> Self {
        self.element.set_attr(name, value);
        self
    }

    /// Removes an attribute of the root.
    #[must_use]
    pub fn remove_attr(mut self, name: &str) -> Self {
        self.element.remove_attr(name);
        self
    }

    /// Drops the children of the root for which `drop` says yes.
    #[must_use]
    pub fn drop_children(mut self, drop: impl Fn(ElementRef<'_>) -> bool) -> Self {
        self.element.retain_children(|element| !drop(ElementRef { element }));
        self
    }

    /// Appends a child to the root.
    #[must_use]
    pub fn append(mut self, child: &Element) -> Self {
        self.element.push(child.clone());
        self
    }

    /// Moves the stanza to a stream of another content namespace (RFC 6120 §4.8.3).
    #[must_use]
    pub fn to_stream(mut self, stream_ns: &'static str) -> Self {
        let to: Name = Cow::Borrowed(stream_ns);
        let from = std::mem::replace(&mut self.stream_ns, to.clone());
        self.element.rename_ns(&from, &to);
        self
    }

    /// Makes the new frame.
    #[must_use]
    pub fn finish(self) -> Frame {
        Frame::from_owned(self.element, self.stream_ns)
    }
}
