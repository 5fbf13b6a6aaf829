//! The structure of one scanned element: spans over its bytes, in document order.

use std::borrow::Cow;

/// A range of bytes of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Self {
        // A frame is bounded far below 4 GiB; saturating keeps even a wrong limit from wrapping around.
        Self { start: u32::try_from(start).unwrap_or(u32::MAX), end: u32::try_from(end).unwrap_or(u32::MAX) }
    }

    /// Returns the bytes of the span.
    pub(super) fn bytes(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Returns the text of the span. The scanner checked that the bytes are UTF-8 and cuts only beside ASCII.
    pub(super) fn of(self, bytes: &[u8]) -> &str {
        std::str::from_utf8(self.bytes(bytes)).unwrap_or_default()
    }
}

/// Where an element's namespace stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NsAt {
    /// It is the default namespace of the stream.
    Stream,
    /// It is the value of the `xmlns` attribute here, of this element or of one around it.
    Declared(Span),
}

/// One element of the tape.
#[derive(Debug, Clone, Copy)]
pub(super) struct ElementSpan {
    pub(super) name: Span,
    pub(super) ns: NsAt,
    /// Whether this element itself declares its namespace.
    pub(super) declares_ns: bool,
    /// From `<` to past the last `>`.
    pub(super) whole: Span,
    /// Between the tags; empty for `<x/>`.
    pub(super) content: Span,
    /// Index of the first attribute, and past the last.
    pub(super) attrs: Span,
    /// Index of the next element that is not inside this one. While the element is open: of the one around it.
    pub(super) next: u32,
}

/// One attribute; declarations of namespaces are not among them.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttrSpan {
    pub(super) name: Span,
    pub(super) value: Span,
    /// Whether the value holds references.
    pub(super) escaped: bool,
}

/// All elements and attributes of a frame. Element 0 is the root; children follow their parent.
#[derive(Debug, Default)]
pub(super) struct Tape {
    pub(super) elements: Vec<ElementSpan>,
    pub(super) attrs: Vec<AttrSpan>,
}

impl Tape {
    /// Returns how much memory it holds.
    pub(super) fn held_bytes(&self) -> usize {
        self.elements.capacity() * size_of::<ElementSpan>() + self.attrs.capacity() * size_of::<AttrSpan>()
    }

    pub(super) fn attrs_of(&self, element: &ElementSpan) -> &[AttrSpan] {
        self.attrs.get(element.attrs.start as usize..element.attrs.end as usize).unwrap_or_default()
    }
}

/// Replaces the five references. The scanner let no other pass.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'&', text.as_bytes()) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    let (plain, mut rest) = text.split_at(first);
    out.push_str(plain);
    while let Some((reference, after)) = rest.strip_prefix('&').and_then(|r| r.split_once(';')) {
        out.push_str(match reference {
            "amp" => "&",
            "lt" => "<",
            "gt" => ">",
            "quot" => "\"",
            "apos" => "'",
            _ => "",
        });
        let stop = memchr::memchr(b'&', after.as_bytes()).unwrap_or(after.len());
        let (plain, tail) = after.split_at(stop);
        out.push_str(plain);
        rest = tail;
    }
    Cow::Owned(out)
}
