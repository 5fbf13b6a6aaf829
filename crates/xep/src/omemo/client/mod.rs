//! The client half: content to encrypted elements for a list of devices, and back.
//!
//! [`seal`] is the only maker of a [`Sealed`], and a [`Sealed`] is the only thing that an outbox accepts: what people say
//! has no other way onto the wire. [`open`] takes one element apart for the own device.
//!
//! Both change sessions. What they return may leave the machine (or be shown) only after the changed sessions, and in
//! [`open`]'s case the device, have been committed (security-design §2.3).

mod open;
mod seal;

pub use open::{Content, OpenError, Opened, Opener, open};
pub use seal::{Recipient, Recipients, Said, SealError, Sealed, Sealer, seal, seal_empty, seal_reply};

#[cfg(test)]
mod tests;
