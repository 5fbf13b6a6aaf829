//! The engine of a messenger: accounts, contacts, conversations, an outbox that loses nothing and an inbox that shows
//! everything once, all of it encrypted end to end.
//!
//! An [`Engine`] is one person's profile. It owns no socket, file, thread, clock or random source: the program around it
//! hands in what happened and carries out what it wants, so that a command line, a screen and a simulator drive the
//! same code.
//!
//! ```text
//! engine.command(Command::Say { .. }).await      what the user wants   -> Reply, at once
//! engine.handle_bytes(&read).await               what the world did
//! while let Some(output) = engine.poll_output()  what to do in the world: connect, write, fetch
//! while let Some(event) = engine.poll_event()    what to tell the user
//! engine.next_timeout()                          when to call handle_timeout
//! ```
//!
//! Calls are `async` only because they load from and commit to the store. What is told in an event has been committed.
//!
//! | module | owns |
//! |---|---|
//! | [`engine`] | the state, the connection, questions and their answers, who handles which stanza |
//! | [`command`], [`event`], [`output`], [`error`] | the words spoken with the program around |
//! | `account` | joining, signing in, password, deletion |
//! | `contacts`, `conversations`, `invites`, `trust` | people: who they are, what was said, how they come, whether it is them |
//! | `own_device`, `devices`, `bundles` | our keys as published, and the keys of others as found |
//! | `own_devices` | what the user decides about devices, above all the other ones of the own account |
//! | `encryption` | the one place where a message becomes something that can be sent |
//! | `outbox`, `inbox` | messages out, messages in |
//! | `retries` | what could not be delivered for now |
//! | `notices` | what the user must know, until they have seen it |
//! | `transfers`, `downloads` | files out, files in |
//! | `tables` | everything that is remembered |
//!
//! `examples/echo_bot.rs` is a whole bot but for its sockets.
//!
//! There is no function that sends a text unencrypted: the outbox takes only what `encryption` has sealed, and nothing
//! but encrypting makes that type:
//!
//! ```compile_fail
//! use xep::omemo::client::Sealed;
//! let smuggled = Sealed { parts: Vec::new(), empty: true };
//! ```

mod account;
mod brokers;
mod bundles;
pub mod command;
mod contacts;
mod conversations;
mod devices;
pub mod display;
mod downloads;
mod encryption;
pub mod engine;
mod environment;
pub mod error;
pub mod event;
pub mod files;
mod inbox;
mod introduction;
mod invites;
mod migrations;
mod notices;
mod outbox;
pub mod output;
mod own_device;
mod own_devices;
mod presence;
mod receipts;
mod repairs;
mod retries;
mod tables;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transfers;
mod trust;
mod witness;

pub use command::{Command, Reply};
pub use engine::Engine;
pub use environment::Environment;
pub use error::{CommandError, EngineError, Failure, LinkProblem};
pub use event::{EVENT_VERSION, Event};
pub use output::{HttpOutcome, Output};

#[cfg(test)]
extern crate self as waxwing_client; // the example names the crate as its users do

#[cfg(test)]
#[path = "../examples/echo_bot.rs"]
mod echo_bot_example;
