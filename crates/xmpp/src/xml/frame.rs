//! One complete top-level element of a stream, as it travels.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::element::{Element, Name};
use super::fast::{FastScan, Step};
use super::limits::Limits;
use super::slow;
use super::splice::Splice;
use super::tape::{AttrSpan, ElementSpan, NsAt, Tape, unescape};

/// One complete top-level element of a stream: its bytes and its structure. Immutable and cheap to clone.
///
/// The bytes stand by themselves where the stream's content namespace is the default one.
#[derive(Clone)]
pub struct Frame {
    inner: Arc<Inner>,
}

struct Inner {
    /// All of it, or its beginning where `shared` has the rest.
    bytes: Bytes,
    shared: Option<Box<Shared>>,
    stream_ns: Name,
    /// Filled at once by a scanner, and when somebody looks by a splice.
    shape: OnceLock<Shape>,
}

/// The two forms of structure: spans over canonical bytes, or a tree for what `rxml` had to read.
pub(super) enum Shape {
    Tape(Tape),
    Tree(Element),
}

/// The end of a frame that others have too.
struct Shared {
    content: Bytes,
    /// Beginning and end together, once somebody has looked.
    whole: OnceLock<Bytes>,
}

impl Inner {
    fn new(bytes: Bytes, stream_ns: Name, shape: OnceLock<Shape>) -> Arc<Self> {
        Arc::new(Self { bytes, shared: None, stream_ns, shape })
    }

    fn bytes(&self) -> &Bytes {
        let Some(shared) = &self.shared else { return &self.bytes };
        shared.whole.get_or_init(|| [&self.bytes[..], &shared.content[..]].concat().into())
    }
}

/// What is inside several stanzas and held once: see [`Frame::around`].
#[derive(Clone)]
pub struct SharedContent {
    root: &'static str,
    bytes: Bytes,
}

impl fmt::Debug for SharedContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedContent(of {} bytes)", self.bytes.len())
    }
}

impl SharedContent {
    /// Writes what is inside stanzas of the name `root` where `ns` is the default namespace.
    #[must_use]
    pub fn new<'a>(root: &'static str, children: impl IntoIterator<Item = &'a Element>, ns: &str) -> Self {
        let mut text: String = children.into_iter().map(|child| child.to_xml(ns)).collect();
        text.push_str("</");
        text.push_str(root);
        text.push('>');
        text.shrink_to_fit();
        Self { root, bytes: text.into() }
    }

    /// Returns the length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Tells whether there are no bytes; never so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Keeps something for as long as the last stanza with this content lives.
    #[must_use]
    pub fn keeping(self, kept: impl Send + 'static) -> Self {
        struct Owner<K>(Bytes, #[allow(dead_code, reason = "it is held, and dropped with the bytes")] K);
        impl<K> AsRef<[u8]> for Owner<K> {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        Self { bytes: Bytes::from_owner(Owner(self.bytes, kept)), ..self }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame(<{}> of {} bytes)", self.name(), self.len())
    }
}

impl Frame {
    /// Makes a frame by writing `element` where `stream_ns` is the default namespace.
    #[must_use]
    pub fn from_element(element: &Element, stream_ns: &str) -> Self {
        let stream_ns = match stream_ns {
            crate::ns::CLIENT => Cow::Borrowed(crate::ns::CLIENT),
            crate::ns::SERVER => Cow::Borrowed(crate::ns::SERVER),
            other => Cow::Owned(other.to_owned()),
        };
        Self::from_owned(element.clone(), stream_ns)
    }

    /// Makes a stanza of a root without children, whose name the content was written for, and that content, which it shares
    /// with others.
    #[must_use]
    pub fn around(root: &Element, content: &SharedContent, stream_ns: &'static str) -> Self {
        let mut head = root.to_xml(stream_ns);
        debug_assert!(root.name() == content.root && head.ends_with("/>"), "an empty root of the right name");
        head.truncate(head.len().saturating_sub(2));
        head.push('>');
        head.shrink_to_fit();
        let shared = Some(Box::new(Shared { content: content.bytes.clone(), whole: OnceLock::new() }));
        let stream_ns = Cow::Borrowed(stream_ns);
        Self { inner: Arc::new(Inner { bytes: head.into(), shared, stream_ns, shape: OnceLock::new() }) }
    }

    pub(super) fn from_owned(element: Element, stream_ns: Name) -> Self {
        let bytes = Bytes::from(element.to_xml(&stream_ns));
        Self { inner: Inner::new(bytes, stream_ns, OnceLock::from(Shape::Tree(element))) }
    }

    pub(super) fn from_tape(bytes: Bytes, tape: Tape, stream_ns: Name) -> Self {
        Self { inner: Inner::new(bytes, stream_ns, OnceLock::from(Shape::Tape(tape))) }
    }

    /// Makes a frame of bytes that were put together from accepted spans and our own writer's output.
    pub(super) fn from_spliced(bytes: Bytes, stream_ns: Name) -> Self {
        Self { inner: Inner::new(bytes, stream_ns, OnceLock::new()) }
    }

    pub(super) fn shape(&self) -> &Shape {
        self.inner.shape.get_or_init(|| rescan(self.inner.bytes(), &self.inner.stream_ns))
    }

    /// Returns the default namespace of the stream that the bytes are for.
    #[must_use]
    pub fn stream_ns(&self) -> &str {
        &self.inner.stream_ns
    }

    pub(super) fn stream_name(&self) -> &Name {
        &self.inner.stream_ns
    }

    /// Returns the local name of the root.
    #[must_use]
    pub fn name(&self) -> &str {
        self.root().name()
    }

    /// Returns the namespace of the root.
    #[must_use]
    pub fn ns(&self) -> &str {
        self.root().ns()
    }

    /// Tells whether the root is the element `name` of `ns`.
    #[must_use]
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.root().is(name, ns)
    }

    /// Returns an attribute of the root, unescaped.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<Cow<'_, str>> {
        self.root().attr(name)
    }

    /// Returns the root for reading.
    #[must_use]
    pub fn root(&self) -> ElementRef<'_> {
        match self.shape() {
            Shape::Tree(element) => ElementRef::of_tree(element),
            Shape::Tape(tape) => ElementRef(Kind::Tape(Cursor { frame: &self.inner, tape, index: 0 })),
        }
    }

    /// Copies the structure into an owned tree.
    #[must_use]
    pub fn to_element(&self) -> Element {
        self.root().to_element()
    }

    /// Returns the bytes as they go on the wire.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        self.inner.bytes()
    }

    /// Returns the bytes in two pieces, as they are held; the second is mostly empty.
    pub(crate) fn pieces(&self) -> [&[u8]; 2] {
        [&self.inner.bytes, self.inner.shared.as_ref().map_or(&[], |shared| &shared.content)]
    }

    /// Returns the length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces().map(<[u8]>::len).into_iter().sum()
    }

    /// Returns about how much memory the frame holds: its bytes, and its structure where that is known. Clones hold it
    /// together. Content that other stanzas share is not counted.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let shape = match self.inner.shape.get() {
            None => 0,
            Some(Shape::Tape(tape)) => tape.held_bytes(),
            Some(Shape::Tree(element)) => element.held_bytes(),
        };
        let whole = self.inner.shared.as_ref().and_then(|shared| shared.whole.get()).map_or(0, Bytes::len);
        size_of::<Inner>().saturating_add(self.inner.bytes.len()).saturating_add(whole).saturating_add(shape)
    }

    /// Returns a frame of the same bytes, which it shares, without the structure: that is found again when somebody looks,
    /// and belongs to this frame alone. For what is kept for long, or is looked at once.
    #[must_use]
    pub fn without_structure(&self) -> Self {
        let shared = self
            .inner
            .shared
            .as_ref()
            .map(|shared| Box::new(Shared { content: shared.content.clone(), whole: OnceLock::new() }));
        let (bytes, stream_ns) = (self.inner.bytes.clone(), self.inner.stream_ns.clone());
        Self { inner: Arc::new(Inner { bytes, shared, stream_ns, shape: OnceLock::new() }) }
    }

    /// Tells whether there are no bytes; never so for a frame from a scanner.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Starts a changed copy.
    #[must_use]
    pub fn splice(&self) -> Splice {
        Splice::of(self)
    }
}

/// Finds the structure of bytes that are known to be one acceptable element.
fn rescan(bytes: &Bytes, stream_ns: &str) -> Shape {
    // A splice may add to what the limits allowed; they were enforced when the bytes came in.
    let limits = Limits {
        stanza_bytes: usize::MAX,
        depth: usize::MAX,
        attributes: usize::MAX,
        declarations: usize::MAX,
        name_bytes: usize::MAX,
        children: usize::MAX - 1,
    };
    if let Ok(Step::Complete(_, tape)) = FastScan::default().run(bytes, &limits) {
        return Shape::Tape(tape);
    }
    let header = format!("<s xmlns=\"{}\">", stream_ns.replace('"', "&quot;"));
    let read = slow::SlowScan::inside(header.as_bytes(), &Limits::SERVER)
        .and_then(|(mut scan, _)| scan.run(&mut bytes.as_ref(), &limits));
    match read {
        Ok(slow::Step::Complete(element)) => Shape::Tree(element),
        // Not reachable by input: every part was accepted before or written by us. An empty element carries nothing on.
        Ok(slow::Step::Incomplete) | Err(_) => Shape::Tree(Element::new("", "")),
    }
}

/// A borrowed element inside a [`Frame`].
#[derive(Clone, Copy)]
pub struct ElementRef<'a>(Kind<'a>);

#[derive(Clone, Copy)]
enum Kind<'a> {
    Tree(&'a Element),
    Tape(Cursor<'a>),
}

/// An element of a tape.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    frame: &'a Inner,
    tape: &'a Tape,
    index: u32,
}

impl<'a> ElementRef<'a> {
    pub(super) fn of_tree(element: &'a Element) -> Self {
        Self(Kind::Tree(element))
    }
}

impl<'a> Cursor<'a> {
    fn span(self) -> Option<&'a ElementSpan> {
        self.tape.elements.get(self.index as usize)
    }

    fn bytes(self) -> &'a [u8] {
        self.frame.bytes()
    }

    fn value(self, attr: &AttrSpan) -> Cow<'a, str> {
        let raw = attr.value.of(self.bytes());
        if attr.escaped { unescape(raw) } else { Cow::Borrowed(raw) }
    }

    fn children(self) -> impl Iterator<Item = Cursor<'a>> {
        let end = self.span().map_or(0, |s| s.next);
        let mut index = self.index + 1;
        std::iter::from_fn(move || {
            let child = Cursor { index, ..self };
            let span = child.span().filter(|_| index < end)?;
            index = span.next;
            Some(child)
        })
    }

    /// Calls `text` and `element` for the content, in order.
    fn content(self, mut text: impl FnMut(&'a str), mut element: impl FnMut(Cursor<'a>)) {
        let Some(span) = self.span() else { return };
        let mut at = span.content.start;
        for child in self.children() {
            let Some(inner) = child.span() else { return };
            text(super::tape::Span { start: at, end: inner.whole.start }.of(self.bytes()));
            element(child);
            at = inner.whole.end;
        }
        text(super::tape::Span { start: at, end: span.content.end }.of(self.bytes()));
    }

    fn text(self) -> Cow<'a, str> {
        let mut joined: Cow<'a, str> = Cow::Borrowed("");
        self.content(
            |raw| {
                if !raw.is_empty() {
                    let piece = unescape(raw);
                    if joined.is_empty() { joined = piece } else { joined.to_mut().push_str(&piece) }
                }
            },
            |_| {},
        );
        joined
    }

    fn to_element(self) -> Element {
        let it = ElementRef(Kind::Tape(self));
        let mut element = Element::new(it.name().to_owned(), it.ns().to_owned());
        if let Some(span) = self.span() {
            for attr in self.tape.attrs_of(span) {
                element.push_attr(attr.name.of(self.bytes()).to_owned(), self.value(attr).into_owned());
            }
        }
        let element = std::cell::RefCell::new(element);
        self.content(
            |raw| element.borrow_mut().push_read_text(unescape(raw)),
            |child| element.borrow_mut().push(child.to_element()),
        );
        element.into_inner()
    }
}

impl<'a> ElementRef<'a> {
    /// Returns the local name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        match self.0 {
            Kind::Tree(element) => element.name(),
            Kind::Tape(cursor) => cursor.span().map_or("", |s| s.name.of(cursor.bytes())),
        }
    }

    /// Returns the namespace.
    #[must_use]
    pub fn ns(&self) -> &'a str {
        match self.0 {
            Kind::Tree(element) => element.ns(),
            Kind::Tape(cursor) => match cursor.span().map(|s| s.ns) {
                Some(NsAt::Declared(span)) => span.of(cursor.bytes()),
                Some(NsAt::Stream) | None => &cursor.frame.stream_ns,
            },
        }
    }

    /// Tells whether this is the element `name` of `ns`.
    #[must_use]
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name() == name && self.ns() == ns
    }

    /// Returns an attribute, unescaped.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<Cow<'a, str>> {
        match self.0 {
            Kind::Tree(element) => element.attr(name).map(Cow::Borrowed),
            Kind::Tape(cursor) => {
                let attrs = cursor.tape.attrs_of(cursor.span()?);
                attrs.iter().find(|a| a.name.of(cursor.bytes()) == name).map(|a| cursor.value(a))
            }
        }
    }

    /// Returns the child elements in order.
    pub fn children(&self) -> impl Iterator<Item = ElementRef<'a>> + use<'a> {
        let (tree, tape) = match self.0 {
            Kind::Tree(element) => (Some(element), None),
            Kind::Tape(cursor) => (None, Some(cursor)),
        };
        let tree = tree.into_iter().flat_map(Element::children).map(ElementRef::of_tree);
        tree.chain(tape.into_iter().flat_map(Cursor::children).map(|c| ElementRef(Kind::Tape(c))))
    }

    /// Returns the first child called `name` of `ns`.
    #[must_use]
    pub fn child(&self, name: &str, ns: &str) -> Option<ElementRef<'a>> {
        self.children().find(|c| c.is(name, ns))
    }

    /// Returns the text directly inside this element, joined and unescaped.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        match self.0 {
            Kind::Tree(element) => Cow::Owned(element.text()),
            Kind::Tape(cursor) => cursor.text(),
        }
    }

    /// Copies this element into an owned tree.
    #[must_use]
    pub fn to_element(&self) -> Element {
        match self.0 {
            Kind::Tree(element) => element.clone(),
            Kind::Tape(cursor) => cursor.to_element(),
        }
    }
}
