//! The disk: typed tables, sealed at rest, over backends of three methods.
//! (full text follows)

pub mod backend;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub mod keys;

mod cache;
mod counters;
mod days;
mod error;
mod private_file;
mod store;
mod table;
#[cfg(test)]
mod testing;
mod transaction;
mod value;

pub use backend::{Backend, BackendError, BoxFuture, Direction};
pub use crypto::seal::InstanceId;
pub use days::{Day, SweepPosition, Swept};
pub use error::{Remedy, StoreError};
pub use store::{Continuity, Store};
pub use table::{Key, RowId, Table};
pub use transaction::Transaction;
pub use value::Value;
