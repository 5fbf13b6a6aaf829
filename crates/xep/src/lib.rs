//! XMPP extensions: one module each, the types on the wire and the rules of both halves.
//!
//! A module turns elements into types and back (`parse`, `to_element`) and decides as pure functions over plain values.
//! Nothing here reads a clock, draws random numbers, opens a file or waits: the caller passes in what a rule needs.
//! The halves that only one program needs are behind the features `broker` and `client`; the wire types need neither.
//!
//! Each module opens with what it is and carries a [`Claim`]: the specification, its version, how much of it is done,
//! and the features that service discovery announces.
//!
//! | to read about | start at |
//! |---|---|
//! | what a broker lets through | [`policy`], and `examples/policy.rs` |
//! | asking entities what they are | [`disco`], [`caps`] |
//! | publishing, and hearing of it | [`pubsub`] |
//! | encryption as it travels | [`omemo`], [`sce`] |
//! | links and invitations | [`uri`], [`invites`], [`ibr`] |
//! | files | [`upload`], [`sfs`] |
//! | where a broker is | [`address`] |

mod claim;
mod fault;

pub mod address;
pub mod aesgcm;
pub mod avatar;
pub mod caps;
pub mod commands;
pub mod delay;
pub mod disco;
pub mod document;
pub mod eme;
pub mod encoding;
pub mod esfs;
pub mod fallback;
pub mod forms;
pub mod hashes;
pub mod hints;
pub mod https_url;
pub mod ibr;
pub mod invites;
pub mod nick;
pub mod omemo;
pub mod oob;
pub mod origin;
pub mod peer;
pub mod ping;
pub mod policy;
pub mod pubsub;
pub mod receipts;
pub mod roster;
pub mod rsm;
pub mod sce;
pub mod sfs;
pub mod sid;
pub mod trust;
pub mod upload;
pub mod uri;
pub mod witness;

pub use claim::{Claim, Status};
pub use fault::Malformed;

#[cfg(test)]
extern crate self as waxwing_xep; // the example names the crate as its users do

#[cfg(test)]
#[path = "../examples/policy.rs"]
mod policy_example;

#[cfg(test)]
#[test]
fn the_example_runs() {
    policy_example::main();
}
