//! `waxwingd`: the broker program.
//!
//! A library with a thin `main`, so that demonstrations and tests can run brokers in their own process:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use waxwingd::{Server, Settings};
//!
//! let mut settings = Settings::in_memory();
//! settings.domain = Some("north.example".into());
//! let server = Server::start(settings).await?;
//! println!("{} is at {}", server.domain(), server.invite().await?.link);
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! | module | owns |
//! |---|---|
//! | [`settings`] | everything that can be chosen, with its defaults |
//! | [`server`] | starting and stopping: store, key, certificate, name, ports, links |
//! | `connection` | one task per connection; dialling other servers; web pages and files |
//! | [`config`], [`paths`] | `waxwingd.toml`; where files lie |
//! | [`cli`] | the command line |
//! | [`admin`] | administration of a running broker over a local socket; `doctor` |
//! | [`error`] | why a broker does not start, and what to do |
//!
//! Deliberately absent: what is spoken on a connection (crate `broker`), TLS (crate `net`), what lies on the disk (crate
//! `store`), and any way to decrypt messages: the dependency graph of this program has none.

pub mod admin;
pub mod cli;
pub mod config;
mod connection;
pub mod error;
pub mod paths;
mod process;
pub mod server;
pub mod settings;
#[cfg(test)]
mod words;

pub use error::StartError;
pub use server::{Addresses, Facts, Invite, PeerError, Server};
pub use settings::{Direction, Ports, Settings, Storage, Tap};
