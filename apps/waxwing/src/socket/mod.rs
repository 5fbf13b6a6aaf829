//! The local socket: further `waxwing` processes, and scripts, speak with the one engine of a profile.
//!
//! JSON-RPC 2.0, one object per line (UTF-8, `\n`), on a Unix socket that only its owner can open. The first request must
//! be `hello`; the methods after it are those of [`crate::api::Request`], and `listen`, after which every
//! [`crate::api::Event`] comes as a notification `event`.
//!
//! ```text
//! --> {"jsonrpc":"2.0","id":1,"method":"hello","params":{"version":1}}
//! <-- {"jsonrpc":"2.0","id":1,"result":{"version":1,"program":"waxwing 0.1.0"}}
//! --> {"jsonrpc":"2.0","id":2,"method":"say","params":{"who":"bob","text":"hello"}}
//! <-- {"jsonrpc":"2.0","id":2,"result":{"kind":"saved","contact":"bob@example.org","message":"..."}}
//! --> {"jsonrpc":"2.0","id":3,"method":"listen"}
//! <-- {"jsonrpc":"2.0","id":3,"result":{"kind":"done"}}
//! <-- {"jsonrpc":"2.0","method":"event","params":{"event":"message_state",...}}
//! ```

mod client;
mod server;
mod wire;

pub use client::{Client, ConnectError};
pub use server::Server;
