//! Files out and in, as pieces without input or output: bytes and plain values in, plain values out.
//!
//! | file | owns |
//! |---|---|
//! | `name.rs` | names that are safe to save under (attack row F01) |
//! | `prepare.rs` | a file to ciphertext, request for a slot, upload |
//! | `offer.rs` | the offer, in both vocabularies: written, read, kept |
//! | `fetch.rs` | whether and from where a file may be fetched (attack row F04) |
//! | `open.rs` | what was fetched to what was offered, or nothing |
//!
//! The order out: [`Prepared::new`], ask the own broker for a slot ([`Prepared::slot_request`], XEP-0363), then
//! [`Prepared::upload`], then send [`Prepared::offer`]. The order in: [`Offer::of_content`] or [`Offer::of_body`], and on
//! the user's word [`fetch_request`], then [`fetched`] and [`open`](open()).
//!
//! Nothing is fetched by itself, and nothing at all from people who are no contacts: a download tells its host that
//! somebody is there, and from where.

mod fetch;
mod name;
mod offer;
mod open;
mod prepare;

pub(crate) use offer::content_with_link;

pub use fetch::{Broker, fetch_request, fetched, may_fetch};
pub use name::{NAME_BYTES_MAX, safe_name, with_suffix};
pub use offer::{Description, Offer, OutgoingOffer};
pub use open::{ReceivedFile, open};
pub use prepare::{Padding, Prepared, padded_len};

/// The largest file that is sent or fetched, in bytes (security-design §6).
pub const FILE_BYTES_MAX: u64 = 200 * 1024 * 1024;
