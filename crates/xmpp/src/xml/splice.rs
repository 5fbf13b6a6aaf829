//! Changing a frame without parsing it again: what a broker does to every stanza that it routes.

use bytes::Bytes;

use super::element::{Element, Name};
use super::frame::{ElementRef, Frame, Shape};
use super::tape::{ElementSpan, Tape};
use super::writer;

/// A changed copy of a [`Frame`] in the making: attributes of the root, children dropped or added, another stream.
///
/// Of a scanned frame only the root's opening tag is written anew; the content is copied as it came.
pub struct Splice {
    frame: Frame,
    /// Attributes to set, or with nothing to remove.
    attrs: Vec<(Name, Option<String>)>,
    /// Byte ranges of dropped children, in order.
    dropped: Vec<(usize, usize)>,
    appended: String,
    /// Set when the bytes cannot simply be copied.
    tree: Option<Element>,
    stream_ns: Name,
}

impl Splice {
    pub(super) fn of(frame: &Frame) -> Self {
        let tree = match frame.shape() {
            Shape::Tree(element) => Some(element.clone()),
            Shape::Tape(_) => None,
        };
        Self {
            frame: frame.clone(),
            attrs: Vec::new(),
            dropped: Vec::new(),
            appended: String::new(),
            tree,
            stream_ns: frame.stream_name().clone(),
        }
    }

    /// Adds or replaces an attribute of the root.
    #[must_use]
    pub fn set_attr(mut self, name: &'static str, value: &str) -> Self {
        match &mut self.tree {
            Some(tree) => tree.set_attr(name, value),
            None => self.change(name, Some(value.to_owned())),
        }
        self
    }

    /// Removes an attribute of the root.
    #[must_use]
    pub fn remove_attr(mut self, name: &'static str) -> Self {
        match &mut self.tree {
            Some(tree) => {
                tree.remove_attr(name);
            }
            None => self.change(name, None),
        }
        self
    }

    fn change(&mut self, name: &'static str, value: Option<String>) {
        self.attrs.retain(|(n, _)| n != name);
        self.attrs.push((Name::Borrowed(name), value));
    }

    /// Drops the children of the root for which `drop` says yes.
    #[must_use]
    pub fn drop_children(mut self, drop: impl Fn(ElementRef<'_>) -> bool) -> Self {
        if let Some(tree) = &mut self.tree {
            tree.retain_children(|element| !drop(ElementRef::of_tree(element)));
            return self;
        }
        let Shape::Tape(tape) = self.frame.shape() else { return self };
        let spans = child_spans(tape);
        let drops = self.frame.root().children().zip(spans).filter(|(child, _)| drop(*child));
        let ranges = drops.map(|(_, s)| (s.whole.start as usize, s.whole.end as usize));
        let mut dropped: Vec<_> = ranges.chain(self.dropped.iter().copied()).collect();
        dropped.sort_unstable();
        dropped.dedup();
        self.dropped = dropped;
        self
    }

    /// Appends a child to the root.
    #[must_use]
    pub fn append(mut self, child: &Element) -> Self {
        match &mut self.tree {
            Some(tree) => tree.push(child.clone()),
            None => self.appended.push_str(&child.to_xml(self.frame.ns())),
        }
        self
    }

    /// Moves the stanza to a stream of another content namespace (RFC 6120 §4.8.3).
    #[must_use]
    pub fn to_stream(mut self, stream_ns: &'static str) -> Self {
        let from = std::mem::replace(&mut self.stream_ns, Name::Borrowed(stream_ns));
        if from == self.stream_ns {
            return self;
        }
        // Where the old namespace is only inherited, the bytes mean the right thing on the new stream as they are.
        if self.tree.is_none() && declares(&self.frame, &from) {
            let stream_ns = std::mem::replace(&mut self.stream_ns, from.clone());
            self = Self { stream_ns, tree: Some(self.finish().to_element()), ..Self::of_nothing() };
        }
        if let Some(tree) = &mut self.tree {
            tree.rename_ns(&from, &self.stream_ns);
        }
        self
    }

    /// An empty splice whose frame is never looked at, because it gets a tree.
    fn of_nothing() -> Self {
        Self::of(&Frame::from_owned(Element::new("", ""), Name::Borrowed("")))
    }

    /// Makes the new frame.
    #[must_use]
    pub fn finish(self) -> Frame {
        match (self.tree, self.frame.shape()) {
            (Some(tree), _) => Frame::from_owned(tree, self.stream_ns),
            (None, Shape::Tape(tape)) => {
                let bytes = rewrite(&self.frame, tape, &self.attrs, &self.dropped, &self.appended);
                Frame::from_spliced(bytes, self.stream_ns)
            }
            (None, Shape::Tree(_)) => self.frame.clone(),
        }
    }
}

/// The direct children of the root, in order.
fn child_spans(tape: &Tape) -> impl Iterator<Item = &ElementSpan> {
    let mut index = 1;
    std::iter::from_fn(move || {
        let span = tape.elements.get(index)?;
        index = span.next as usize;
        Some(span)
    })
}

/// Tells whether an element of the frame declares `ns` by itself.
fn declares(frame: &Frame, ns: &str) -> bool {
    let Shape::Tape(tape) = frame.shape() else { return true };
    let bytes = frame.bytes();
    tape.elements.iter().any(|e| match e.ns {
        super::tape::NsAt::Declared(span) => e.declares_ns && span.of(bytes) == ns,
        super::tape::NsAt::Stream => false,
    })
}

fn rewrite(
    frame: &Frame,
    tape: &Tape,
    changes: &[(Name, Option<String>)],
    dropped: &[(usize, usize)],
    appended: &str,
) -> Bytes {
    let bytes: &[u8] = frame.bytes();
    let Some(root) = tape.elements.first() else { return frame.bytes().clone() };
    let added: usize = changes.iter().map(|(n, v)| n.len() + v.as_ref().map_or(0, String::len) + 16).sum();
    let mut head = String::with_capacity(bytes.len() + added + appended.len() + 16);
    head.push('<');
    head.push_str(root.name.of(bytes));
    if let (true, super::tape::NsAt::Declared(span)) = (root.declares_ns, root.ns) {
        writer::write_attr(&mut head, "xmlns", span.of(bytes));
    }
    for attr in tape.attrs_of(root) {
        let name = attr.name.of(bytes);
        if changes.iter().all(|(n, _)| n != name) {
            // The raw value is escaped already, for the kind of quote around it: keep that quote.
            let quote = bytes.get(attr.value.end as usize).copied().unwrap_or(b'"') as char;
            head.push(' ');
            head.push_str(name);
            head.push('=');
            head.push(quote);
            head.push_str(attr.value.of(bytes));
            head.push(quote);
        }
    }
    for (name, value) in changes {
        if let Some(value) = value {
            writer::write_attr(&mut head, name, value);
        }
    }
    let mut out = head.into_bytes();
    let content = (root.content.start as usize, root.content.end as usize);
    if content.0 == content.1 && appended.is_empty() {
        out.extend_from_slice(b"/>");
        return out.into();
    }
    out.push(b'>');
    let mut at = content.0;
    for &(start, end) in dropped {
        out.extend_from_slice(bytes.get(at..start).unwrap_or_default());
        at = end;
    }
    out.extend_from_slice(bytes.get(at..content.1).unwrap_or_default());
    out.extend_from_slice(appended.as_bytes());
    out.extend_from_slice(b"</");
    out.extend_from_slice(root.name.of(bytes).as_bytes());
    out.push(b'>');
    out.into()
}
