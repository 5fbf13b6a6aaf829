//! XMPP on the wire, without input or output: addresses, XML, stanzas, streams and sign-in.
//!
//! This crate turns bytes into stanzas and stanzas into bytes, and drives both ends of a stream (RFC 6120). It opens
//! no socket, starts no thread, reads no clock and draws no random numbers: all of these are handed in, so that a
//! program, a simulator and a fuzzer drive the same code.
//!
//! | module | owns |
//! |---|---|
//! | [`jid`] | addresses (RFC 7622) |
//! | [`xml`] | the scanner, [`xml::Frame`] and [`xml::Element`], the writer, the limits |
//! | [`stanza`] | the rules that all stanzas share: kinds, errors, replies (RFC 6120 §8) |
//! | [`sasl`] | SCRAM at both ends, channel binding, choice of mechanism |
//! | [`stream`] | stream state machines of both ends, client and server, with XEP-0198 |
//! | [`time`] | timestamps and their wire form (XEP-0082) |
//! | [`ns`] | namespaces of the stream layer |
//!
//! Deliberately absent: any extension that is carried *in* stanzas (crate `xep`), and any encryption.

pub mod jid;
pub mod ns;
pub mod sasl;
pub mod stanza;
pub mod stream;
pub mod time;
pub mod xml;
