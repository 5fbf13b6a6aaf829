//! The slow way of scanning: `rxml` reads the element, and what it understood is written anew in canonical form.
//!
//! Everything that [`super::fast`] declines comes here, so `rxml` alone decides what is malformed.

use rxml::{Parse, WithOptions};

use super::element::Element;
use super::error::XmlError;
use super::limits::{Limits, NAMESPACE_BYTES_MAX};

/// How far a slow scan got.
pub(super) enum Step {
    /// More bytes are needed.
    Incomplete,
    /// The element is complete.
    Complete(Element),
}

/// The state of reading one top-level element.
#[derive(Debug)]
pub(super) struct SlowScan {
    parser: rxml::Parser,
    open: Vec<Element>,
    bytes: usize,
    /// Bytes by which the canonical form is longer: names of namespaces that were written as prefixes.
    added: usize,
    count: usize,
    declarations: Declarations,
}

/// Counts `xmlns` between two elements, in whatever pieces it arrives; rxml keeps declarations to itself.
#[derive(Debug, Default)]
struct Declarations {
    count: usize,
    carry: Vec<u8>,
}

impl Declarations {
    const WORD: &[u8] = b"xmlns";

    fn add(&mut self, used: &[u8]) {
        self.carry.extend_from_slice(used);
        self.count += memchr::memmem::find_iter(&self.carry, Self::WORD).count();
        let keep = self.carry.len().saturating_sub(Self::WORD.len() - 1);
        self.carry.drain(..keep);
    }

    fn restart(&mut self) {
        self.count = 0;
        self.carry.clear();
    }
}

impl SlowScan {
    /// Starts inside a stream whose opening tag is `header`; its declarations are in force.
    ///
    /// # Errors
    ///
    /// [`XmlError`] when the tag is malformed.
    pub(super) fn inside(header: &[u8], limits: &Limits) -> Result<(Self, Element), XmlError> {
        // Tokens are bounded by the stanza already; rxml splits longer text but refuses longer attributes.
        let options = rxml::Options { max_token_length: limits.stanza_bytes.max(8192), ..rxml::Options::default() };
        let mut parser = rxml::Parser::with_options(options);
        let mut input = header;
        loop {
            match parser.parse(&mut input, false) {
                Ok(Some(rxml::Event::StartElement(_, name, attrs))) => {
                    let tag = start(name, attrs, limits)?;
                    return Ok((
                        Self {
                            parser,
                            open: Vec::new(),
                            bytes: 0,
                            added: 0,
                            count: 0,
                            declarations: Declarations::default(),
                        },
                        tag,
                    ));
                }
                Ok(Some(rxml::Event::XmlDeclaration(..))) => {}
                Ok(_) | Err(rxml::error::EndOrError::NeedMoreData) => return Err(XmlError::Malformed),
                Err(rxml::error::EndOrError::Error(error)) => return Err(classify(&error)),
            }
        }
    }

    /// Goes on; takes from the front of `input` what was used.
    ///
    /// # Errors
    ///
    /// [`XmlError`] as `rxml` and the limits say.
    pub(super) fn run(&mut self, input: &mut &[u8], limits: &Limits) -> Result<Step, XmlError> {
        loop {
            let before = *input;
            let event = self.parser.parse(input, false);
            let used = before.get(..before.len() - input.len()).unwrap_or_default();
            self.bytes += used.len();
            self.declarations.add(used);
            if self.bytes > limits.stanza_bytes || self.declarations.count > limits.declarations {
                return Err(XmlError::TooLarge);
            }
            match event {
                Ok(Some(rxml::Event::StartElement(_, name, attrs))) => {
                    self.declarations.restart();
                    self.count += 1;
                    if self.open.len() >= limits.depth || self.count > limits.children + 1 {
                        return Err(XmlError::TooLarge);
                    }
                    let element = start(name, attrs, limits)?;
                    self.added += namespace_bytes(&element, self.open.last());
                    if self.added > limits.stanza_bytes {
                        return Err(XmlError::TooLarge);
                    }
                    self.open.push(element);
                }
                Ok(Some(rxml::Event::EndElement(_))) => {
                    let element = self.open.pop().ok_or(XmlError::Malformed)?;
                    match self.open.last_mut() {
                        Some(parent) => parent.push(element),
                        None => return Ok(Step::Complete(element)),
                    }
                }
                Ok(Some(rxml::Event::Text(_, text))) => {
                    self.declarations.restart();
                    match self.open.last_mut() {
                        Some(current) => current.push_text(&text),
                        None => return Err(XmlError::StrayText),
                    }
                }
                Ok(Some(rxml::Event::XmlDeclaration(..))) => return Err(XmlError::Malformed),
                Ok(None) | Err(rxml::error::EndOrError::NeedMoreData) => return Ok(Step::Incomplete),
                Err(rxml::error::EndOrError::Error(error)) => return Err(classify(&error)),
            }
        }
    }
}

fn start((ns, name): rxml::QName, attrs: rxml::AttrMap, limits: &Limits) -> Result<Element, XmlError> {
    if attrs.len() > limits.attributes || name.len() > limits.name_bytes || ns.len() > NAMESPACE_BYTES_MAX {
        return Err(XmlError::TooLarge);
    }
    let mut element = Element::new(name.to_string(), ns.to_string());
    for ((ns, name), value) in attrs {
        if name.len() > limits.name_bytes || ns.len() > NAMESPACE_BYTES_MAX {
            return Err(XmlError::TooLarge);
        }
        let key = match ns.as_str() {
            "" => name.to_string(),
            crate::ns::XML => format!("xml:{name}"),
            other => format!("{{{other}}}{name}"),
        };
        element.set_attr(key, value);
    }
    Ok(element)
}

/// Bytes that the names of namespaces take where an element is written without prefixes inside `parent`.
fn namespace_bytes(element: &Element, parent: Option<&Element>) -> usize {
    let own = if parent.is_some_and(|parent| parent.ns() == element.ns()) { 0 } else { element.ns().len() };
    let of_attr =
        |name: &str| name.strip_prefix('{').and_then(|rest| rest.rsplit_once('}')).map_or(0, |(ns, _)| ns.len());
    own + element.attrs().map(|(name, _)| of_attr(name)).sum::<usize>()
}

fn classify(error: &rxml::Error) -> XmlError {
    match error {
        rxml::Error::RestrictedXml(_) | rxml::Error::UndeclaredEntity => XmlError::Restricted,
        rxml::Error::UndeclaredNamespacePrefix(..) => XmlError::UndeclaredPrefix,
        _ => XmlError::Malformed,
    }
}
