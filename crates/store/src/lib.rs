//! The disk: typed tables, sealed at rest, over backends of three methods.
//!
//! This crate knows how the programs keep what they must remember, and where the key to it lies. It knows no XMPP: owners,
//! names and values are bytes.
//!
//! # From the outside in
//!
//! | | what it owns |
//! |---|---|
//! | [`Table`], [`Key`] | how a row is named: table, owner, and a name or a number |
//! | [`Store`] | the handle: reads, lists, ordered scans, counters; seals and opens every row; a cache in front |
//! | [`Transaction`] | changes that happen together or not at all, and what they were decided upon |
//! | [`Migration`] | numbered changes of the shape of old rows, made when a program opens its store |
//! | [`ClockGuard`] | whether the wall clock may be believed when something is destroyed by the date |
//! | [`Day`] | rows that must become unreadable on time: one key per UTC day, erased to forget the day |
//! | [`backend`] | an ordered map of opaque bytes, in [memory](backend::memory) or in SQLite |
//! | [`keys`] | the key file, outside the data directory |
//!
//! Every change is *load, decide, commit*: read what is needed, decide with plain values, then put the changes and what was
//! read ([`Transaction::expect`]) into one transaction. A commit is durable when it returns. If a row has changed meanwhile it
//! fails with [`StoreError::Conflict`], and the decision is made again. Commits of concurrent callers share one sync of the
//! disk, so many small ones are as good as few large ones.
//!
//! # When rows change their shape
//!
//! The store counts its schema per program: 1 is what first light wrote. A program lists its [`Migration`]s and calls
//! [`Store::migrate`] right after opening; each is committed together with its number, so a machine that dies goes on where
//! it was. A store of a newer schema is refused ([`StoreError::TooNew`]) and unchanged. New tables, and new fields whose
//! default is right for old rows, need no migration.
//!
//! # What a thief of the disk sees
//!
//! How many rows there are, their size classes, which rows belong to the same unnamed owner of the same unnamed table, and
//! the order in which they were written. No name, no address, no value (`crypto::seal`). Whoever can write to the files can
//! remove rows or put back older versions of them, which only the generation in the key file detects
//! ([`Store::continuity`]); they cannot make, alter or move one.
//!
//! # Use
//!
//! ```
//! use std::sync::Arc;
//! use waxwing_store::{Store, StoreError, Table, block_on};
//!
//! const CONTACTS: Table = Table::new("contacts");
//!
//! # fn main() -> Result<(), StoreError> {
//! let store = Store::in_memory(Arc::new(crypto::random::SeededRandom::new(1)));
//! let key = CONTACTS.row(b"alice", b"bob");
//! block_on(async {
//!     let known = store.get(&key).await?;
//!     let mut transaction = store.transaction();
//!     transaction.expect(&key, known.as_ref());
//!     transaction.put(&key, b"a friend");
//!     transaction.commit().await?;
//!     assert_eq!(store.get(&key).await?.as_deref(), Some(&b"a friend"[..]));
//!     Ok(())
//! })
//! # }
//! ```
//!
//! `examples/diary.rs` does the same with a key file and SQLite. The futures work on any executor; no type of one is in the
//! interface. Features: `sqlite` (default) brings [`backend::sqlite`]; `conformance` brings the suite that every backend
//! must pass.

mod aside;
pub mod backend;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub mod keys;

mod blocking;
mod cache;
mod clock;
mod counters;
mod days;
mod error;
mod every;
mod migrations;
mod private_file;
mod store;
mod table;
#[cfg(test)]
mod testing;
mod transaction;
mod value;

pub use backend::{Backend, BackendError, BoxFuture, Direction};
pub use blocking::block_on;
pub use clock::{ClockGuard, ClockReading, ClockVerdict};
pub use crypto::seal::InstanceId;
pub use days::{Day, SweepPosition, Swept};
pub use error::{Remedy, StoreError};
pub use migrations::{FIRST_SCHEMA, Migrating, Migration, Rewrite, Run};
pub use store::{Continuity, Store};
pub use table::{Key, RowId, Table};
pub use transaction::Transaction;
pub use value::Value;
