//! Streams: the state machines of RFC 6120 §4-§7 and XEP-0198, at both ends, for clients and for servers.
//!
//! A machine is fed bytes and facts and asked for events and bytes; it owns no socket, timer or random source. One
//! turn of any of them:
//!
//! ```text
//! stream.handle_bytes(&read);                       // what the connection delivered
//! while let Some(event) = stream.poll_event() {..}  // questions, stanzas, the end
//! if let Some(bytes) = stream.poll_output() {..}    // everything to write, in one piece
//! ```
//!
//! What holds for all of them:
//!
//! - **TLS first.** On a plain connection nothing but STARTTLS happens, and bytes that arrive between `<proceed/>` and
//!   the handshake end the stream (RFC 7590, attack X09).
//! - **One error, one answer.** Whatever breaks a rule is answered with a stream error of the right condition, the
//!   stream is closed, and an `Ended` event says why (RFC 6120 §4.9). Nothing is resynchronised.
//! - **Calls out of order** (an answer to a question that was not asked) do nothing.
//! - **Small when idle.** Buffers are given back when they are empty; a stream that waits owns a few hundred bytes.
//!
//! Deliberately absent: timeouts, rates and routing, which are policy and belong to the caller.

mod ack;
pub mod c2s;
mod entropy;
mod error;
mod header;
pub mod s2s;
mod tls;
mod wire;

pub use ack::AckError;
pub use entropy::Seed;
pub use error::{Ending, Misbehaviour, StreamCondition, StreamError};
pub use tls::{DomainCheck, PeerCertificate, TlsFacts, TlsVersion, Transport};

use c2s::limits_feature;
