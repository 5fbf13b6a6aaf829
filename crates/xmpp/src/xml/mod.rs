//! The XML that XMPP allows: scanning, holding, changing and writing it.
//!
//! XMPP forbids comments, processing instructions, document types and entities beyond the five (RFC 6120 §11.1), and
//! every limit here is enforced before memory is set aside for what exceeds it.

mod element;
mod error;
mod fast;
mod frame;
mod legal;
mod limits;
mod scanner;
mod slow;
mod splice;
mod tape;
mod writer;

pub use element::{Element, Name, Node};
pub use error::XmlError;
pub use frame::{ElementRef, Frame, SharedContent};
pub use legal::{is_xml_char, to_carriable};
pub use limits::Limits;
pub use scanner::{StreamHeader, StreamScanner, Token};
pub use splice::Splice;
pub use writer::{escape_attr, escape_text};
