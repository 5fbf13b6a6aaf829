//! The fast way of scanning: one pass over the canonical subset of XML that nearly all stanzas use.
//!
//! Canonical means: names of ASCII letters, digits, `-`, `_` and `.`; no prefix but `xml:`; default namespaces only; the
//! five references; no CDATA, no carriage return. Whatever else appears, right or wrong, is [`Step::Slow`]: the decision is
//! left to `rxml`, so that this code can be fast without ever being the one that accepts something odd. It refuses by
//! itself only what exceeds a limit.
//!
//! The pass is resumable: every byte is looked at a bounded number of times, however small the pieces are in which a
//! stanza arrives.

use super::error::XmlError;
use super::limits::{Limits, NAMESPACE_BYTES_MAX};
use super::tape::{AttrSpan, ElementSpan, NsAt, Span, Tape};

/// How far a scan got.
pub(super) enum Step {
    /// More bytes are needed.
    Incomplete,
    /// The element ends before this offset.
    Complete(usize, Tape),
    /// Not canonical: ask `rxml`.
    Slow,
}

/// The state of scanning one top-level element that starts at offset 0 of the buffer.
#[derive(Debug, Default)]
pub(super) struct FastScan {
    tape: Tape,
    /// How many elements are open.
    depth: usize,
    /// Index of the innermost open element.
    innermost: u32,
    /// Offset of the first byte that no complete token covers.
    at: usize,
    /// Offset up to which the token at `at` was searched for its end in vain.
    searched: usize,
    /// Whether the search for a tag's end stands inside this kind of quote.
    quote: Option<u8>,
}

impl FastScan {
    /// Goes on with all bytes from the start of the element.
    ///
    /// # Errors
    ///
    /// [`XmlError::TooLarge`] when a limit is exceeded.
    pub(super) fn run(&mut self, buf: &[u8], limits: &Limits) -> Result<Step, XmlError> {
        loop {
            let Some(rest) = buf.get(self.at..) else { return Ok(Step::Incomplete) };
            let Some(&first) = rest.first() else { return self.wait(buf, limits) };
            if first != b'<' {
                let from = self.searched.max(self.at);
                match memchr::memchr(b'<', buf.get(from..).unwrap_or_default()) {
                    Some(found) => {
                        let end = from + found;
                        if !is_canonical_text(buf.get(self.at..end).unwrap_or_default()) {
                            return Ok(Step::Slow);
                        }
                        self.at = end;
                        continue;
                    }
                    None => {
                        self.searched = buf.len();
                        return self.wait(buf, limits);
                    }
                }
            }
            // A tag that did not end last time is searched for its end before it is read again.
            if self.searched > self.at && !self.tag_ends(buf) {
                return self.wait(buf, limits);
            }
            let outcome = match rest.get(1) {
                Some(b'/') => self.end_tag(buf),
                Some(_) => self.start_tag(buf, limits)?,
                // It may become a CDATA section, in which quotes mean nothing: not to be searched for the end of a tag.
                None => return self.wait(buf, limits),
            };
            match outcome {
                Tag::Read => {
                    self.searched = 0;
                    self.quote = None;
                }
                Tag::Incomplete => {
                    self.searched = self.at + 1;
                    self.tag_ends(buf);
                    return self.wait(buf, limits);
                }
                Tag::Slow => return Ok(Step::Slow),
            }
            if self.depth == 0 {
                if self.at > limits.stanza_bytes {
                    return Err(XmlError::TooLarge);
                }
                return Ok(Step::Complete(self.at, std::mem::take(&mut self.tape)));
            }
        }
    }

    fn wait(&self, buf: &[u8], limits: &Limits) -> Result<Step, XmlError> {
        if buf.len() > limits.stanza_bytes { Err(XmlError::TooLarge) } else { Ok(Step::Incomplete) }
    }

    /// Goes on looking for the `>` that ends the tag at `at`; remembers where it stopped.
    fn tag_ends(&mut self, buf: &[u8]) -> bool {
        while let Some(rest) = buf.get(self.searched..).filter(|r| !r.is_empty()) {
            let found = match self.quote {
                Some(quote) => memchr::memchr(quote, rest),
                None => memchr::memchr3(b'"', b'\'', b'>', rest),
            };
            let Some(found) = found else {
                self.searched = buf.len();
                return false;
            };
            match (self.quote, rest.get(found)) {
                (None, Some(b'>')) => return true,
                (None, quote) => self.quote = quote.copied(),
                (Some(_), _) => self.quote = None,
            }
            self.searched += found + 1;
        }
        false
    }

    fn end_tag(&mut self, buf: &[u8]) -> Tag {
        let Some(element) = self.innermost() else { return Tag::Slow };
        let name = element.name.bytes(buf);
        let name_start = self.at + 2;
        let name_end = name_start + name.len();
        match buf.get(name_start..=name_end) {
            None => Tag::Incomplete,
            Some(seen) if seen.strip_suffix(b">") == Some(name) => {
                self.close(name_end + 1, self.at);
                Tag::Read
            }
            // White space before the `>`, or another name.
            Some(_) => Tag::Slow,
        }
    }

    fn innermost(&self) -> Option<&ElementSpan> {
        self.tape.elements.get(self.innermost as usize).filter(|_| self.depth > 0)
    }

    fn close(&mut self, end: usize, content_end: usize) {
        let next = u32::try_from(self.tape.elements.len()).unwrap_or(u32::MAX);
        if let Some(element) = self.tape.elements.get_mut(self.innermost as usize) {
            element.whole.end = Span::new(0, end).end;
            element.content.end = Span::new(0, content_end).end;
            self.innermost = std::mem::replace(&mut element.next, next);
            self.depth = self.depth.saturating_sub(1);
        }
        self.at = end;
    }

    fn start_tag(&mut self, buf: &[u8], limits: &Limits) -> Result<Tag, XmlError> {
        let start = self.at;
        let mut at = start + 1;
        let name = match read_name(buf, &mut at) {
            Ok(name) => name,
            Err(tag) => return Ok(tag),
        };
        let attrs_from = self.tape.attrs.len();
        let mut declared = None;
        let empty = loop {
            let spaced = skip_space(buf, &mut at);
            match buf.get(at) {
                None => return Ok(self.undo(attrs_from, Tag::Incomplete)),
                Some(b'>') => break false,
                Some(b'/') => match buf.get(at + 1) {
                    Some(b'>') => break true,
                    None => return Ok(self.undo(attrs_from, Tag::Incomplete)),
                    Some(_) => return Ok(self.undo(attrs_from, Tag::Slow)),
                },
                Some(_) if !spaced => return Ok(self.undo(attrs_from, Tag::Slow)),
                Some(_) => {}
            }
            match self.attribute(buf, &mut at, attrs_from, &mut declared) {
                Tag::Read => {}
                other => return Ok(self.undo(attrs_from, other)),
            }
            if self.tape.attrs.len() - attrs_from > limits.attributes {
                return Err(XmlError::TooLarge);
            }
        };
        if (name.end - name.start) as usize > limits.name_bytes
            || declared.is_some_and(|ns| (ns.end - ns.start) as usize > NAMESPACE_BYTES_MAX)
            || self.depth >= limits.depth
            || self.tape.elements.len() > limits.children
        {
            return Err(XmlError::TooLarge);
        }
        let end = at + if empty { 2 } else { 1 };
        self.begin(start, end, name, declared, attrs_from);
        if empty {
            self.close(end, end);
        } else {
            self.at = end;
        }
        Ok(Tag::Read)
    }

    /// Forgets the attributes of a tag that is not taken now.
    fn undo(&mut self, attrs_from: usize, tag: Tag) -> Tag {
        self.tape.attrs.truncate(attrs_from);
        tag
    }

    fn begin(&mut self, start: usize, end: usize, name: Span, declared: Option<Span>, attrs_from: usize) {
        let inherited = self.innermost().map_or(NsAt::Stream, |parent| parent.ns);
        let index = u32::try_from(self.tape.elements.len()).unwrap_or(u32::MAX);
        if self.tape.elements.capacity() == 0 {
            self.tape.elements.reserve(16);
        }
        self.tape.elements.push(ElementSpan {
            name,
            ns: declared.map_or(inherited, NsAt::Declared),
            declares_ns: declared.is_some(),
            whole: Span::new(start, end),
            content: Span::new(end, end),
            attrs: Span::new(attrs_from, self.tape.attrs.len()),
            next: self.innermost,
        });
        self.innermost = index;
        self.depth += 1;
    }

    fn attribute(&mut self, buf: &[u8], at: &mut usize, attrs_from: usize, declared: &mut Option<Span>) -> Tag {
        let name = match read_attr_name(buf, at) {
            Ok(name) => name,
            Err(tag) => return tag,
        };
        match buf.get(*at) {
            Some(b'=') => *at += 1,
            None => return Tag::Incomplete,
            // White space around the `=` is allowed and rare.
            Some(_) => return Tag::Slow,
        }
        let quote = match buf.get(*at) {
            Some(&q) if q == b'"' || q == b'\'' => q,
            None => return Tag::Incomplete,
            Some(_) => return Tag::Slow,
        };
        *at += 1;
        let Some(len) = memchr::memchr(quote, buf.get(*at..).unwrap_or_default()) else { return Tag::Incomplete };
        let value = Span::new(*at, *at + len);
        *at += len + 1;
        let bytes = value.bytes(buf);
        let Some(escaped) = canonical_value(bytes) else { return Tag::Slow };
        let name_bytes = name.bytes(buf);
        if name_bytes == b"xmlns" {
            // References and the two reserved namespaces are left to rxml.
            if escaped || declared.is_some() || bytes.starts_with(b"http://www.w3.org/") {
                return Tag::Slow;
            }
            *declared = Some(value);
            return Tag::Read;
        }
        let earlier = self.tape.attrs.get(attrs_from..).unwrap_or_default();
        if earlier.iter().any(|a| a.name.bytes(buf) == name_bytes) {
            return Tag::Slow;
        }
        if self.tape.attrs.capacity() == 0 {
            self.tape.attrs.reserve(16);
        }
        self.tape.attrs.push(AttrSpan { name, value, escaped });
        Tag::Read
    }
}

/// What became of a tag or a part of it.
enum Tag {
    Read,
    Incomplete,
    Slow,
}

/// Reads a canonical name; `at` ends on the byte after it.
fn read_name(buf: &[u8], at: &mut usize) -> Result<Span, Tag> {
    let start = *at;
    let rest = buf.get(start..).unwrap_or_default();
    let len = rest.iter().position(|b| !NAME[usize::from(*b)]).ok_or(Tag::Incomplete)?;
    *at = start + len;
    match (rest.first(), rest.get(len)) {
        (Some(b'0'..=b'9' | b'-' | b'.'), _) | (_, Some(b':' | 0x80..)) => Err(Tag::Slow),
        _ if len == 0 => Err(Tag::Slow),
        _ => Ok(Span::new(start, start + len)),
    }
}

/// Reads a canonical attribute name, which may have the prefix `xml:`.
fn read_attr_name(buf: &[u8], at: &mut usize) -> Result<Span, Tag> {
    const PREFIX: &[u8] = b"xml:";
    let start = *at;
    let head = buf.get(start..).unwrap_or_default();
    if head.starts_with(PREFIX) {
        *at += PREFIX.len();
        let local = read_name(buf, at)?;
        return Ok(Span { start: Span::new(start, start).start, end: local.end });
    }
    read_name(buf, at)
}

fn skip_space(buf: &[u8], at: &mut usize) -> bool {
    let start = *at;
    while let Some(b' ' | b'\t' | b'\n') = buf.get(*at) {
        *at += 1;
    }
    *at > start
}

/// Bytes of canonical names.
const NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 128 {
        let byte = b as u8;
        table[b] = byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte == b'.';
        b += 1;
    }
    table
};

/// Tells whether character data needs no second look: the loop compiles to vector instructions.
#[allow(clippy::manual_range_contains, reason = "the two comparisons stand as the vector unit does them")]
fn is_plain(bytes: &[u8]) -> bool {
    !bytes.iter().fold(false, |odd, &b| odd | (b < 0x20) | (b >= 0x7f) | (b == b'&') | (b == b']') | (b == b'<'))
}

fn is_canonical_text(bytes: &[u8]) -> bool {
    is_plain(bytes)
        || (memchr::memmem::find(bytes, b"]]>").is_none()
            && bytes.iter().all(|&b| b >= 0x20 || b == b'\n' || b == b'\t')
            && is_xml_utf8(bytes)
            && references(bytes).is_some())
}

/// Returns whether the value holds references, or nothing when it is not canonical.
fn canonical_value(bytes: &[u8]) -> Option<bool> {
    if is_plain(bytes) {
        return Some(false);
    }
    let fits = bytes.iter().all(|&b| b >= 0x20 && b != b'<') && is_xml_utf8(bytes);
    if fits { references(bytes) } else { None }
}

/// UTF-8 without the two code points at the end of the first plane, which XML forbids (XML 1.0 §2.2).
fn is_xml_utf8(bytes: &[u8]) -> bool {
    simdutf8::basic::from_utf8(bytes).is_ok()
        && memchr::memchr_iter(0xEF, bytes).all(|at| !matches!(bytes.get(at..at + 3), Some([0xEF, 0xBF, 0xBE | 0xBF])))
}

/// Tells whether there are references, or nothing when one is not of the five.
fn references(bytes: &[u8]) -> Option<bool> {
    let mut any = false;
    for at in memchr::memchr_iter(b'&', bytes) {
        let rest = bytes.get(at..).unwrap_or_default();
        if ![&b"&amp;"[..], b"&lt;", b"&gt;", b"&quot;", b"&apos;"].iter().any(|r| rest.starts_with(r)) {
            return None;
        }
        any = true;
    }
    Some(any)
}
