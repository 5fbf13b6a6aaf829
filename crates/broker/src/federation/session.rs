//! [`ServerSession`]: a connection with another server, whoever opened it, driven like a client session.

use xmpp::stream::TlsFacts;
use xmpp::time::Moment;

use super::{InboundSession, OutboundSession};
use crate::session::Output;

/// A connection with another server.
#[derive(Debug)]
pub enum ServerSession {
    /// It sends to us.
    Inbound(Box<InboundSession>),
    /// We send to it.
    Outbound(Box<OutboundSession>),
}

impl ServerSession {
    /// Takes bytes from the connection.
    pub async fn handle_bytes(&mut self, bytes: &[u8]) {
        match self {
            Self::Inbound(session) => session.handle_bytes(bytes).await,
            Self::Outbound(session) => session.handle_bytes(bytes),
        }
    }

    /// TLS is up, after [`crate::Then::StartTls`].
    pub async fn handle_tls(&mut self, facts: TlsFacts) {
        match self {
            Self::Inbound(session) => session.handle_tls(facts).await,
            Self::Outbound(session) => session.handle_tls(facts),
        }
    }

    /// TLS did not come up after [`crate::Then::StartTls`], because it is not the dialled server that answers.
    pub fn handle_somebody_else(&mut self) {
        match self {
            Self::Inbound(_) => {}
            Self::Outbound(session) => session.handle_somebody_else(),
        }
    }

    /// The wake function was called.
    pub async fn handle_wake(&mut self) {
        match self {
            Self::Inbound(session) => session.handle_wake().await,
            Self::Outbound(session) => session.handle_wake(),
        }
    }

    /// The time of [`ServerSession::next_timeout`] has come.
    pub async fn handle_timeout(&mut self) {
        match self {
            Self::Inbound(session) => session.handle_timeout().await,
            Self::Outbound(session) => session.handle_timeout(),
        }
    }

    /// What [`ServerSession::take_output`] returned has been written to the connection.
    pub async fn handle_written(&mut self) {
        match self {
            Self::Inbound(_) => {}
            Self::Outbound(session) => session.handle_written(),
        }
    }

    /// Returns what is to be done now; once per turn.
    pub fn take_output(&mut self) -> Output {
        match self {
            Self::Inbound(session) => session.take_output(),
            Self::Outbound(session) => session.take_output(),
        }
    }

    /// Returns when [`ServerSession::handle_timeout`] is to be called, unless something happens before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Moment> {
        match self {
            Self::Inbound(session) => session.next_timeout(),
            Self::Outbound(session) => session.next_timeout(),
        }
    }

    /// Tells until when nothing is to be read from the connection.
    #[must_use]
    pub fn read_pause(&self) -> Option<Moment> {
        match self {
            Self::Inbound(session) => session.read_pause(),
            Self::Outbound(session) => session.read_pause(),
        }
    }

    /// Tells whether the peer has proved a domain; of a connection that we opened, always.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        match self {
            Self::Inbound(session) => session.is_authenticated(),
            Self::Outbound(_) => true,
        }
    }

    /// The connection is gone, however it ended. Must be called for every session.
    pub async fn closed(self) {
        match self {
            Self::Inbound(_) => {}
            Self::Outbound(session) => session.closed(),
        }
    }
}
