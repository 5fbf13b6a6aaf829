//! Server streams: [`Responder`] receives stanzas from another server, [`Initiator`] sends them to one.
//!
//! A server stream carries stanzas one way, from the server that opened it (XEP-0220 §2.3). Who that is, is proved by
//! its certificate (SASL EXTERNAL, XEP-0178) or by dialback (XEP-0220); a stanza from any domain that was not proved
//! ends the stream (attack X08). TLS is required.

pub mod dialback;
mod event;
mod initiator;
mod responder;
#[cfg(test)]
mod tests;

pub use dialback::{DialbackKey, DialbackVerdict, DialbackVerify};
pub use event::{InitiatorConfig, InitiatorEvent, ResponderConfig, ResponderEvent};
pub use initiator::Initiator;
pub use responder::Responder;
