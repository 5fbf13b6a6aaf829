//! The sockets: how Waxwing reaches other machines, and who it believes they are.
//!
//! The rest of Waxwing is bytes in, bytes out. This crate is where those bytes meet the operating system: clock,
//! randomness, ports, names, TLS. It uses `tokio`; nothing that depends on an operating system lies below it.
//!
//! | module | owns |
//! |---|---|
//! | [`dial`] | from a domain to a connection: hosts of a link, static routes, SRV, happy eyeballs, SOCKS5 |
//! | [`dns`] | SRV and address lookups, the order of RFC 2782 |
//! | [`listen`] | ports with errors that say what to do; the gate before sign-in |
//! | [`proxy_header`] | whom a load balancer connects for |
//! | [`connection`] | one connection before and after TLS, without a read buffer of its own |
//! | [`tls`] | both sides of the handshake and the facts that sign-in binds itself to |
//! | [`verify`] | is this chain the one of that domain? pins, authorities, `.onion` |
//! | [`identity`] | our certificate and key, the broker's own authority, replacement while running |
//! | [`certificate`] | what a certificate says: [`certificate::Pin`], names, expiry, end-point hash |
//! | [`http`] | HTTPS for files, with the rules for links that strangers made |
//! | [`clock`], [`random`], [`wake`] | what the pure crates are handed |
//!
//! A server and a client that know each other by pin, in 40 lines: `examples/pinned_echo.rs`.
//!
//! # Rules that hold everywhere
//!
//! - **One way out.** Every connection is opened by [`dial::Dialler::open`]. With a proxy set, that is the only
//!   address this program connects to, and it resolves no name.
//! - **TLS or nothing.** Version 1.3, floor 1.2 with ephemeral keys, AEAD and extended master secret;
//!   X25519MLKEM768 first; no resumption and no early data. After STARTTLS no byte from before may remain.
//! - **Pins before paths.** Where a link carried a pin, the key decides and authorities are not asked.
//! - **Silence.** No error, `Debug` form or log line holds an address, a name or a key.
//!
//! Deliberately absent: XMPP itself (crate `xmpp`), policy about who may connect to whom (crates `broker` and
//! `client`), files with certificates in them (the programs read and write PEM text), TLS resumption, revocation
//! lists, DANE.

pub mod certificate;
pub mod clock;
pub mod connection;
pub mod dial;
pub mod dns;
pub mod http;
pub mod identity;
pub mod listen;
pub mod names;
pub mod proxy_header;
pub mod random;
mod service;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tls;
pub mod verify;
pub mod wake;

pub use service::Service;

#[cfg(test)]
extern crate self as waxwing_net; // the example names the crate as its users do

#[cfg(test)]
#[path = "../examples/pinned_echo.rs"]
mod pinned_echo;

#[cfg(test)]
#[test]
fn the_example_runs() {
    pinned_echo::main().expect("the example succeeds");
}
