//! Other servers: who they are, what waits for them, and the connections to and from them (RFC 6120 §10.4, XEP-0220).
//!
//! A connection carries stanzas one way, from the server that opened it. What is for another domain waits in the mailbox
//! of its [`OutboundSession`]; when there is no connection the program is asked to dial ([`Broker::poll_dial`]), and must
//! answer every request with [`Broker::dialled`] or [`Broker::dial_failed`]. Which domain a peer is, is proved by its
//! certificate (chain or configured pin) or by dialback over a connection whose certificate verifies; a stanza in the name
//! of any other domain ends its stream (attack row X08).
//!
//! Where both ends speak XEP-0198, a stanza is the sender's until the receiver has it for good: what a connection had not
//! acknowledged when it died is sent once more on the next one, with the same ids.

mod inbound;
mod outbound;
mod peers;
mod rates;
mod session;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xmpp::jid::Jid;
use xmpp::stanza::{Condition, StanzaError};
use xmpp::stream::s2s::{DialbackKey, DialbackVerdict, DialbackVerify, ResponderConfig};
use xmpp::xml::Frame;
use zeroize::Zeroizing;

pub use inbound::InboundSession;
pub use outbound::OutboundSession;
pub use session::ServerSession;

use crate::budget::Source;
use crate::config::{BrokerConfig, Peer};
use crate::environment::{Environment, Wake};
use crate::mailbox::{Bounds, Claim, Delivery, Mail, Mailbox, Refused};
use crate::route::{self, Stanza};
use crate::{Broker, Core};
use peers::Peers;
use rates::DomainRates;

/// A local domain and a remote one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pair {
    pub(crate) local: Box<str>,
    pub(crate) remote: Box<str>,
}

/// A connection that the broker needs.
#[derive(Clone, PartialEq, Eq)]
pub struct DialRequest {
    pub(crate) pair: Pair,
    /// Where to find it and how to know it, if that is configured; otherwise DNS says where, and the certificate must
    /// be valid for the domain.
    pub peer: Option<Peer>,
}

impl DialRequest {
    /// Returns the domain to reach.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.pair.remote
    }
}

impl std::fmt::Debug for DialRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DialRequest(<redacted>)")
    }
}

/// Why another server could not be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialFailure {
    /// There is no such server, or it is not who it should be.
    NotFound,
    /// It did not answer in time.
    Timeout,
}

impl DialFailure {
    fn condition(self) -> Condition {
        match self {
            Self::NotFound => Condition::RemoteServerNotFound,
            Self::Timeout => Condition::RemoteServerTimeout,
        }
    }
}

/// What is on its way to one remote domain, whether or not there is a connection yet.
pub(crate) struct Route {
    pub(crate) mailbox: Arc<Mailbox>,
    /// Where the mailbox's wake leads once there is a session.
    wake: Arc<Mutex<Option<Wake>>>,
    /// Dialback keys to ask the peer about.
    questions: Mutex<Vec<Question>>,
}

/// A dialback key that somebody presented, to be checked with the authoritative server.
pub(crate) struct Question {
    pub(crate) claim: DialbackKey,
    pub(crate) answer_to: Arc<Verdicts>,
}

impl Question {
    fn request(&self) -> DialbackVerify {
        DialbackVerify {
            from: self.claim.to.clone(),
            to: self.claim.from.clone(),
            id: self.claim.stream_id.clone(),
            key: self.claim.key.clone(),
        }
    }
}

/// Where the answers for one inbound session arrive.
pub(crate) struct Verdicts {
    answers: Mutex<Vec<(DialbackKey, DialbackVerdict)>>,
    wake: Wake,
}

impl Verdicts {
    fn new(wake: Wake) -> Self {
        Self { answers: Mutex::default(), wake }
    }

    fn put(&self, claim: DialbackKey, verdict: DialbackVerdict) {
        lock(&self.answers).push((claim, verdict));
        (self.wake)();
    }

    fn take(&self) -> Vec<(DialbackKey, DialbackVerdict)> {
        std::mem::take(&mut *lock(&self.answers))
    }
}

/// Locks; what is behind these locks is changed by single steps, so a panic leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the broker knows of other servers.
pub(crate) struct Federation {
    routes: Mutex<HashMap<Pair, Arc<Route>>>,
    dials: Mutex<VecDeque<DialRequest>>,
    dial_wake: Mutex<Option<Wake>>,
    peers: Peers,
    rates: DomainRates,
    /// What dialback keys are made of (XEP-0185); as old as the process.
    dialback_secret: Zeroizing<Vec<u8>>,
    streams: Arc<ResponderConfig>,
}

impl Federation {
    pub(crate) fn new(config: &BrokerConfig, env: &Environment) -> Self {
        let mut secret = Zeroizing::new(vec![0; 32]);
        env.random.fill(&mut secret);
        let services = config.services.iter().map(|service| format!("{service}.{}", config.domain));
        let mut streams = ResponderConfig::new(std::iter::once(config.domain.clone()).chain(services).collect());
        streams.pre_auth_limits = config.limits.pre_auth_xml;
        streams.limits = config.limits.server_xml;
        streams.idle_seconds = u32::try_from(config.limits.server_idle.as_secs()).ok();
        Self {
            routes: Mutex::default(),
            dials: Mutex::default(),
            dial_wake: Mutex::default(),
            peers: Peers::new(config.peers.clone()),
            rates: DomainRates::new(config.limits.server_stanzas, config.limits.new_domain_divisor),
            dialback_secret: secret,
            streams: Arc::new(streams),
        }
    }

    /// Queues a stanza (of a client stream) of ours for another domain.
    pub(crate) fn queue(&self, core: &Core, remote: &str, frame: Frame, by: &Source) {
        let local = frame.attr("from").and_then(|from| Jid::parse(&from).ok());
        if let Some(local) = local {
            self.queue_from(core, local.domainpart(), remote, Delivery::new(frame, by));
        }
    }

    /// Queues a stanza (of a client stream) from a domain of ours, and asks for a connection if there is none.
    pub(crate) fn queue_from(&self, core: &Core, local: &str, remote: &str, delivery: Delivery) {
        let pair = Pair { local: local.into(), remote: remote.into() };
        self.queue_delivery(core, &pair, delivery);
    }

    fn queue_delivery(&self, core: &Core, pair: &Pair, delivery: Delivery) {
        let route = self.route(core, pair);
        match route.mailbox.post(delivery) {
            Ok(()) => {}
            // it ended this moment: another try opens a new one
            Err(Refused::Closed(delivery)) => {
                let again = self.route(core, pair).mailbox.post(delivery);
                if let Err(Refused::Closed(delivery) | Refused::Full(delivery)) = again {
                    give_back(core, delivery, Condition::RemoteServerTimeout);
                }
            }
            Err(Refused::Full(delivery)) => give_back(core, delivery, Condition::ResourceConstraint),
        }
    }

    /// Has the authoritative server asked whether a dialback key is its own.
    fn ask(&self, core: &Core, question: Question) {
        let pair = Pair { local: question.claim.to.as_str().into(), remote: question.claim.from.as_str().into() };
        let route = self.route(core, &pair);
        lock(&route.questions).push(question);
        route.poke();
    }

    /// Finds the way to a domain, or begins one by asking the program to dial.
    fn route(&self, core: &Core, pair: &Pair) -> Arc<Route> {
        let mut routes = lock(&self.routes);
        if let Some(route) = routes.get(pair) {
            return Arc::clone(route);
        }
        let route = Arc::new(Route::new(core));
        routes.insert(pair.clone(), Arc::clone(&route));
        drop(routes);
        lock(&self.dials).push_back(DialRequest { pair: pair.clone(), peer: self.peers.find(&pair.remote) });
        let wake = lock(&self.dial_wake).clone();
        if let Some(wake) = wake {
            wake();
        }
        route
    }

    /// Forgets the way to a domain; what comes next begins a new one.
    fn forget(&self, pair: &Pair, route: &Arc<Route>) -> VecDeque<Mail> {
        let mut routes = lock(&self.routes);
        if routes.get(pair).is_some_and(|known| Arc::ptr_eq(known, route)) {
            routes.remove(pair);
        }
        drop(routes);
        route.mailbox.close()
    }
}

impl Route {
    fn new(core: &Core) -> Self {
        let slot: Arc<Mutex<Option<Wake>>> = Arc::default();
        let for_mailbox = Arc::clone(&slot);
        let wake: Wake = Arc::new(move || {
            let session = lock(&for_mailbox).clone();
            if let Some(wake) = session {
                wake();
            }
        });
        let limits = &core.config.limits;
        let bounds = Bounds { count: limits.server_queue_count, bytes: limits.server_queue_bytes };
        Self { mailbox: Arc::new(Mailbox::new(wake, bounds)), wake: slot, questions: Mutex::default() }
    }

    fn poke(&self) {
        let session = lock(&self.wake).clone();
        if let Some(wake) = session {
            wake();
        }
    }

    fn take_questions(&self) -> Vec<Question> {
        std::mem::take(&mut *lock(&self.questions))
    }
}

/// Sends a stanza that could not be delivered to another domain back to its sender.
fn give_back(core: &Core, delivery: Delivery, condition: Condition) {
    let Delivery { frame, claim, .. } = delivery;
    if claim.is_given_up() {
        return; // it went back before
    }
    let address = |name| frame.attr(name).and_then(|text| Jid::parse(&text).ok());
    if let (Some(from), Some(to)) = (address("from"), address("to")) {
        // whoever gets the error is local, so this does not come back here
        route::bounce(core, &Stanza::new(core, frame.clone(), from, to), &StanzaError::new(condition));
    }
    if let Claim::Live(ticket) = claim {
        ticket.arrived();
    }
}

impl Broker {
    /// Sets what is called when there is something to dial.
    pub fn set_dial_wake(&self, wake: Wake) {
        *lock(&self.federation.dial_wake) = Some(wake);
    }

    /// Returns the next connection that is needed. Every one must be answered by [`Broker::dialled`] or
    /// [`Broker::dial_failed`], or what waits for it waits for ever.
    #[must_use]
    pub fn poll_dial(&self) -> Option<DialRequest> {
        lock(&self.federation.dials).pop_front()
    }

    /// A connection could not be made: what waits for it goes back.
    pub fn dial_failed(&self, request: &DialRequest, failure: DialFailure) {
        tracing::debug!(?failure, "another server could not be reached");
        let route = lock(&self.federation.routes).get(&request.pair).cloned();
        if let Some(route) = route {
            fail_route(self.core(), &request.pair, &route, failure.condition());
        }
    }
}

/// Ends the way to a domain: what waits goes back, open questions are answered with an error.
fn fail_route(core: &Core, pair: &Pair, route: &Arc<Route>, condition: Condition) {
    for mail in core.federation.forget(pair, route) {
        if let Mail::Stanza(delivery) = mail {
            give_back(core, delivery, condition);
        }
    }
    for question in route.take_questions() {
        question.answer_to.put(question.claim, DialbackVerdict::Error(condition));
    }
}
