//! A connection: two ends, and between them two pipes in which bytes keep their order and take their time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use broker::Wake;
use broker::federation::ServerSession;
use broker::session::{ClientSession, Then};
use bytes::Bytes;
use store::block_on;
use xmpp::stream::{DomainCheck, PeerCertificate, TlsFacts, TlsVersion};
use xmpp::time::{Moment, Timestamp};

use super::Party;
use super::site::pin_of;

/// Tells connections apart; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LinkId(pub(crate) u64);

/// What travels in a pipe.
pub(crate) enum Parcel {
    /// Bytes.
    Bytes(Bytes),
    /// The handshake is done.
    Tls,
    /// The other side has closed, or the network says that it is gone.
    End,
}

/// One direction of a connection.
#[derive(Default)]
pub(crate) struct Pipe {
    pub(crate) parcels: VecDeque<(Timestamp, Parcel)>,
    /// When the last parcel arrives: nothing overtakes it.
    pub(crate) busy_until: Option<Timestamp>,
}

impl Pipe {
    pub(crate) fn push(&mut self, at: Timestamp, parcel: Parcel) {
        let at = self.busy_until.map_or(at, |until| until.max(at));
        self.busy_until = Some(at);
        self.parcels.push_back((at, parcel));
    }

    /// Throws away what is on its way.
    pub(crate) fn clear(&mut self) {
        self.parcels.clear();
    }
}

/// The broker's session at one end.
pub(crate) enum Session {
    Client(Box<ClientSession>),
    Server(ServerSession),
}

impl Session {
    pub(crate) fn handle_bytes(&mut self, bytes: &[u8]) {
        match self {
            Self::Client(session) => block_on(session.handle_bytes(bytes)),
            Self::Server(session) => block_on(session.handle_bytes(bytes)),
        }
    }

    pub(crate) fn handle_tls(&mut self, facts: TlsFacts) {
        match self {
            Self::Client(session) => block_on(session.handle_tls(facts)),
            Self::Server(session) => block_on(session.handle_tls(facts)),
        }
    }

    pub(crate) fn handle_wake(&mut self) {
        match self {
            Self::Client(session) => block_on(session.handle_wake()),
            Self::Server(session) => block_on(session.handle_wake()),
        }
    }

    pub(crate) fn handle_timeout(&mut self) {
        match self {
            Self::Client(session) => block_on(session.handle_timeout()),
            Self::Server(session) => block_on(session.handle_timeout()),
        }
    }

    pub(crate) fn handle_written(&mut self) {
        match self {
            Self::Client(session) => block_on(session.handle_written()),
            Self::Server(session) => block_on(session.handle_written()),
        }
    }

    pub(crate) fn take_output(&mut self) -> (Option<Bytes>, Then) {
        let output = match self {
            Self::Client(session) => session.take_output(),
            Self::Server(session) => session.take_output(),
        };
        (output.bytes, output.then)
    }

    pub(crate) fn next_timeout(&self) -> Option<Timestamp> {
        match self {
            Self::Client(session) => session.next_timeout().map(time_of),
            Self::Server(session) => session.next_timeout().map(time_of),
        }
    }

    pub(crate) fn read_pause(&self) -> Option<Timestamp> {
        match self {
            Self::Client(session) => session.read_pause().map(time_of),
            Self::Server(session) => session.read_pause().map(time_of),
        }
    }

    pub(crate) fn closed(self) {
        match self {
            Self::Client(session) => block_on(session.closed()),
            Self::Server(session) => block_on(session.closed()),
        }
    }
}

/// Who is at one end.
pub(crate) enum End {
    /// The engine of a person.
    Person(usize),
    /// A session of a broker.
    Broker { site: usize, session: Box<Session>, woken: Arc<AtomicBool> },
    /// Nobody any more; whatever arrives is lost.
    Gone,
}

impl End {
    pub(crate) fn broker(site: usize, session: Session, woken: Arc<AtomicBool>) -> Self {
        Self::Broker { site, session: Box::new(session), woken }
    }

    /// Whose machine it is.
    ///
    /// # Panics
    ///
    /// At an end where nobody is.
    pub(crate) fn party(&self) -> Party {
        match self {
            Self::Person(person) => Party::Person(*person),
            Self::Broker { site, .. } => Party::Site(*site),
            Self::Gone => panic!("a new connection has somebody at both ends"),
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }

    pub(crate) fn take_wake(&self) -> bool {
        match self {
            Self::Broker { woken, .. } => woken.swap(false, Ordering::AcqRel),
            _ => false,
        }
    }
}

/// Makes a wake that sets a flag. It is set at first: a new session may have something to say.
pub(crate) fn flag() -> (Arc<AtomicBool>, Wake) {
    let flag = Arc::new(AtomicBool::new(true));
    let set = Arc::clone(&flag);
    (flag, Arc::new(move || set.store(true, Ordering::Release)))
}

/// What runs over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A person and a broker.
    Client,
    /// Two brokers.
    Server,
}

/// A connection. End 0 opened it; `pipes[i]` leads away from end `i`.
pub(crate) struct Link {
    pub(crate) kind: Kind,
    pub(crate) ends: [End; 2],
    /// Whose machines the ends are, or were.
    pub(crate) parties: [Party; 2],
    pub(crate) pipes: [Pipe; 2],
    /// What both ends derive from the handshake; they differ when somebody sits between them.
    pub(crate) exporters: [[u8; 32]; 2],
    /// Whose certificate each end shows, if any.
    pub(crate) shown: [Option<String>; 2],
    /// Shortest delay, in milliseconds.
    pub(crate) delay_ms: u64,
    /// Nothing arrives and nobody is told: the network is gone.
    pub(crate) silent: bool,
}

impl Link {
    /// What the handshake says to end `end`.
    pub(crate) fn facts(&self, end: usize) -> TlsFacts {
        facts(self.exporters[end], self.shown[1 - end].as_deref(), self.shown[1].as_deref())
    }
}

/// What a handshake says to one end: `peer` is the domain of the certificate that the other end shows, `server` that of
/// the accepting end.
pub(crate) fn facts(exporter: [u8; 32], peer: Option<&str>, server: Option<&str>) -> TlsFacts {
    let certificate = peer.map(|domain| {
        let owned = domain.to_owned();
        PeerCertificate {
            verified_domain_check: DomainCheck::new(move |asked| asked == owned),
            chain: Vec::new(),
            spki_sha256: pin_of(domain),
        }
    });
    TlsFacts {
        version: TlsVersion::Tls13,
        exporter: Some(exporter),
        server_end_point: server.map(|server| pin_of(server).to_vec()),
        peer_certificate: certificate,
    }
}

impl Link {
    /// Whether it is between these two machines.
    pub(crate) fn joins(&self, a: Party, b: Party) -> bool {
        self.parties == [a, b] || self.parties == [b, a]
    }
}

/// The wall clock of this world never jumps, so it and the moments are the same numbers.
fn time_of(moment: Moment) -> Timestamp {
    Timestamp::from_millis(i64::try_from(moment.as_millis()).unwrap_or(i64::MAX))
}
