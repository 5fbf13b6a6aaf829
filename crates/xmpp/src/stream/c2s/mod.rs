//! Client streams: [`Responder`] is the broker's end, [`Initiator`] the client's.
//!
//! Both are driven the same way: give them bytes (`handle_bytes`), then drain `poll_event` until it is empty, then
//! write what `poll_output` returns, once. An event that is a *question* holds back everything behind it until it is
//! answered, so that no stanza overtakes a login.

mod event;
mod features;
mod initiator;
mod initiator_login;
mod responder;
mod responder_login;
#[cfg(test)]
mod tests;

pub use event::{InitiatorConfig, InitiatorEvent, LoginError, Purpose, Registration, ResponderConfig, ResponderEvent};
pub use features::Features;
pub(super) use features::limits as limits_feature;
pub use initiator::Initiator;
pub use responder::Responder;
