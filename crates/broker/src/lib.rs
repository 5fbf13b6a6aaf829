//! Who is online, and where a stanza goes: the server's half of XMPP, without sockets.
//!
//! A [`Broker`] serves one domain. It is driven from outside: a program accepts connections and makes a
//! [`ClientSession`] for each, feeds it the bytes that arrive, writes the bytes that come out, and calls it again when it
//! is woken or a time has come. Functions are `async` only because they read from or commit to the store; there is no
//! runtime, no thread, no clock and no random source in here but those that [`Environment`] lends.
//!
//! ```text
//!  bytes ──▶ session ──▶ pipeline ──▶ route ──▶ mailbox of another session ──▶ bytes
//!            stamps       policy        │ ├───▶ offline (nobody there)
//!            `from`                     │ └───▶ federation (another domain) ──▶ bytes
//!                                       ├─────▶ presence, roster (RFC 6121 §2-§4)
//!                                       └─────▶ iq (questions to the broker itself)
//! ```
//!
//! | module | owns |
//! |---|---|
//! | [`config`], [`environment`] | settings, what the machine lends |
//! | [`budget`] | what the whole may hold of bytes, dials and descriptors, and who holds it |
//! | [`rate`], `pace` | token buckets, for connections and for accounts |
//! | `turns` | whoever changes the same rows does so one after the other |
//! | [`tables`], [`migrate`] | everything that is remembered on disk, one line each; what older versions remembered |
//! | [`session`] | one client connection: sign-in, limits, stamping, acknowledgements (XEP-0198) |
//! | `registry`, `mailbox`, `settle` | who has sessions, how they hand each other stanzas, what an `h` waits for |
//! | `pipeline`, [`route`] | what happens to a stanza, and where it goes (RFC 6121 §8) |
//! | `presence`, [`roster`] | RFC 6121 §2-§4 |
//! | [`offline`] | messages for people who are away (XEP-0160) |
//! | [`iq`] | questions to the broker: each service is a function there |
//! | [`accounts`], [`invites`], [`pep`], [`upload`], [`web`], [`discovery`] | the services |
//! | [`federation`] | other servers: who they are, what waits for them (RFC 6120 §10) |
//!
//! `testing` (a feature) is a world in memory, of brokers, clients and links, in virtual time; `examples/two_clients.rs`
//! shows it.
//!
//! Deliberately absent: message content (the policy of security-design §4 refuses what could be read), sockets, names of
//! hosts, and every key of every user.

pub mod accounts;
mod allowance;
pub mod budget;
pub mod config;
mod core;
pub mod discovery;
pub mod environment;
pub mod federation;
mod guesses;
pub mod http;
pub mod invites;
pub mod iq;
mod mailbox;
mod migrations;
pub mod offline;
mod pace;
pub mod pep;
mod pipeline;
pub mod presence;
pub mod rate;
mod registry;
pub mod roster;
pub mod route;
pub mod session;
mod settle;
mod small;
pub mod tables;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod turns;
pub mod upload;
pub mod web;

#[cfg(test)]
mod tests;

pub use crate::config::{BrokerConfig, Limits, Peer};
pub use crate::core::{Broker, Core};
pub use crate::environment::{Environment, OnTheSpot, Wake, Workers};
pub use crate::iq::{IqKind, IqOutcome, IqRequest, IqTarget};
pub use crate::migrations::migrate;
pub use crate::registry::SessionHandle;
pub use crate::session::{ClientSession, Output, Then};
