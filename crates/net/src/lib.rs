//! (in progress)
pub mod certificate;
pub mod clock;
pub mod connection;
pub mod dial;
pub mod dns;
pub mod facts;
pub mod http;
pub mod identity;
pub mod listen;
pub mod names;
pub mod random;
mod service;
pub mod tls;
pub mod verify;
pub mod wake;

pub use service::Service;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
