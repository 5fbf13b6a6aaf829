//! Tiny servers on loopback for tests of this and of other crates: DNS and SOCKS5. Behind the feature `testing`.
//!
//! Each runs in a thread of its own, answers one kind of question, and ends when it is dropped. They answer what the
//! test told them and are no model of how to write such servers.

mod dns;
mod socks;

pub use dns::{DnsResponder, Record};
pub use socks::SocksProxy;
