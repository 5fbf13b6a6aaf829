//! Sharing files by reference: the offer that travels inside an envelope.
//!
//! | file | owns |
//! |---|---|
//! | `metadata.rs` | `<file/>`: name, type, size, hashes (XEP-0446) |
//! | `sharing.rs` | `<file-sharing/>` and `<sources/>` (XEP-0447) |
//!
//! The encrypted source is [`crate::esfs`]. Lacks: Jingle sources, thumbnails, and any judgement of URLs and names,
//! which whoever fetches and stores has to make.

mod metadata;
mod sharing;

pub use metadata::FileMetadata;
pub use sharing::{Disposition, FileSharing, Source};
pub(crate) use sharing::{parse_urls, url_element};

use crate::{Claim, Status};

/// Namespace of `<file-sharing/>` and `<sources/>`.
pub const NS: &str = "urn:xmpp:sfs:0";
/// Namespace of `<file/>`.
pub const NS_METADATA: &str = "urn:xmpp:file:metadata:0";
/// Namespace of `<url-data/>` (XEP-0103).
pub const NS_URL_DATA: &str = "http://jabber.org/protocol/url-data";

/// What this module claims.
pub const CLAIM: Claim = Claim { xep: 447, version: "0.3.1", status: Status::Partial, features: &[NS] };
/// What it claims of the metadata.
pub const CLAIM_METADATA: Claim = Claim { xep: 446, version: "0.2.0", status: Status::Partial, features: &[] };

/// The most sources of one offer that are read.
const SOURCES_MAX: usize = 16;

#[cfg(test)]
mod tests;
