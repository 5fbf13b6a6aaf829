//! Other servers: who they are, what waits for them, and the connections to and from them (RFC 6120 §10.4, XEP-0220).
//!
//! A connection carries stanzas one way, from the server that opened it. What is for another domain waits in the mailbox
//! of its [`OutboundSession`]; when there is no connection the program is asked to dial ([`Broker::poll_dial`]), as far as
//! whoever causes it may (`source`), and must answer every request with [`Broker::dialled`] or [`Broker::dial_failed`]. Which domain a peer is, is proved by its
//! certificate (chain or configured pin) or by dialback over a connection whose certificate verifies; a stanza in the name
//! of any other domain ends its stream (attack row X08).
//!
//! Where both ends speak XEP-0198, a stanza is the sender's until the receiver has it for good: what a connection had not
//! acknowledged when it died is sent once more on the next one, with the same ids.

mod inbound;
mod introductions;
mod outbound;
mod peers;
mod rates;
mod route;
mod session;
mod source;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xmpp::jid::Jid;
use xmpp::stanza::{Condition, StanzaError};
use xmpp::stream::s2s::{DialbackVerdict, ResponderConfig};
use xmpp::time::Moment;
use xmpp::xml::Frame;
use zeroize::Zeroizing;

pub use inbound::InboundSession;
pub(crate) use introductions::handle;
pub use outbound::OutboundSession;
pub use session::ServerSession;

use crate::budget::{Refusal, Source};
use crate::config::{BrokerConfig, Peer};
use crate::environment::{Environment, Wake};
use crate::mailbox::{Claim, Delivery, Mail, Refused};
use crate::route::{self as stanzas, Stanza};
use crate::{Broker, Core};
use peers::Peers;
use rates::DomainRates;
use route::{Question, Route};
use source::Sources;
pub(crate) use source::{STRANGERS, is_self_made, registered_domain};

/// A local domain and a remote one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pair {
    pub(crate) local: Box<str>,
    pub(crate) remote: Box<str>,
}

impl Pair {
    /// The way to the server that can answer a question.
    fn of_question(question: &Question) -> Self {
        Self { local: question.claim.to.as_str().into(), remote: question.claim.from.as_str().into() }
    }
}

/// A connection that the broker needs.
#[derive(Clone)]
pub struct DialRequest {
    pub(crate) pair: Pair,
    route: Arc<Route>,
    asked_at: Moment,
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
    /// Held while somebody introduces a broker: what an account may is counted, then changed.
    introducing: tokio::sync::Mutex<()>,
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
            introducing: tokio::sync::Mutex::default(),
            rates: DomainRates::new(config.limits.server_stanzas, config.limits.new_domain_divisor),
            dialback_secret: secret,
            streams: Arc::new(streams),
        }
    }

    /// Charges a domain for work that is worth so many stanzas.
    pub(crate) fn charge_work(&self, domain: &str, now: Moment, count: usize) {
        if count > 0 {
            let _ = self.rates.charge(self.source_of(domain), now, count);
        }
    }

    /// Notes a stanza of a domain, and tells until when nothing more is to be read from it.
    fn charge_stanza(&self, domain: &str, now: Moment) -> Option<Moment> {
        self.rates.charge(self.source_of(domain), now, 1)
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
        match self.post(core, pair, delivery) {
            Ok(()) => {}
            // it ended this moment: another try opens a new one
            Err(Refused::Closed(delivery)) => {
                if let Err(Refused::Closed(delivery) | Refused::Full(delivery)) = self.post(core, pair, delivery) {
                    give_back(core, delivery, Condition::RemoteServerTimeout);
                }
            }
            Err(Refused::Full(delivery)) => give_back(core, delivery, Condition::ResourceConstraint),
        }
    }

    fn post(&self, core: &Core, pair: &Pair, delivery: Delivery) -> Result<(), Refused> {
        let frame = &delivery.frame;
        match self.route(core, pair, true, || Sources::of_stanza(core, frame, &pair.remote)) {
            Ok(route) => route.mailbox.post(delivery),
            Err(_) => Err(Refused::Full(delivery)),
        }
    }

    /// Has the authoritative server asked whether a dialback key is its own.
    fn ask(&self, core: &Core, question: Question) {
        let pair = Pair::of_question(&question);
        match self.route(core, &pair, false, || question.origin.sources(core, &pair.remote)) {
            Ok(route) => route.ask(question),
            Err(_) => question.answer(DialbackVerdict::Error(Condition::ResourceConstraint)),
        }
    }

    /// Finds the way to a domain, or begins one by asking the program to dial, if those who cause it may.
    /// Once it is for stanzas it stays, whoever else goes.
    fn route(
        &self,
        core: &Core,
        pair: &Pair,
        is_for_stanzas: bool,
        sources: impl FnOnce() -> Sources,
    ) -> Result<Arc<Route>, Refusal> {
        let mut routes = lock(&self.routes);
        if let Some(route) = routes.get(pair) {
            route.keep(is_for_stanzas);
            return Ok(Arc::clone(route));
        }
        let sources = sources();
        let descriptor = sources.charge_descriptor()?;
        let route = Arc::new(Route::new(core, sources, descriptor));
        route.keep(is_for_stanzas);
        routes.insert(pair.clone(), Arc::clone(&route));
        drop(routes);
        let (peer, asked_at) = (self.peers.find(&pair.remote), core.env.moment());
        lock(&self.dials).push_back(DialRequest { pair: pair.clone(), route: Arc::clone(&route), asked_at, peer });
        self.wake_dialling();
        Ok(route)
    }

    fn wake_dialling(&self) {
        let wake = lock(&self.dial_wake).clone();
        if let Some(wake) = wake {
            wake();
        }
    }

    /// Ends a way that nobody needs any more, because who asked is gone: a dial that waits or is under way, or a
    /// connection.
    fn drop_unwanted(&self, pair: &Pair) {
        let mut routes = lock(&self.routes);
        let Some(route) = routes.get(pair).filter(|route| !route.is_wanted()).cloned() else { return };
        routes.remove(pair);
        drop(routes);
        route.mailbox.close(); // nothing is in it
        lock(&self.dials).retain(|request| !Arc::ptr_eq(&request.route, &route));
        route.poke();
    }

    fn is_current(&self, request: &DialRequest) -> bool {
        lock(&self.routes).get(&request.pair).is_some_and(|route| Arc::ptr_eq(route, &request.route))
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

/// Sends a stanza that could not be delivered to another domain back to its sender.
fn give_back(core: &Core, delivery: Delivery, condition: Condition) {
    let Delivery { frame, claim, .. } = delivery;
    if claim.is_given_up() {
        return; // it went back before
    }
    let address = |name| frame.attr(name).and_then(|text| Jid::parse(&text).ok());
    if let (Some(from), Some(to)) = (address("from"), address("to")) {
        // whoever gets the error is local, so this does not come back here
        let stanza = Stanza::new(core, frame.clone(), from, to);
        stanzas::bounce(core, &stanza, &StanzaError::new(condition));
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
    ///
    /// There are no more at once than the budget of dials lets whoever causes them have; others wait their turn, no
    /// longer than a dial may take. To be called again now and then while [`Broker::waiting_dials`] says that some wait.
    #[must_use]
    pub fn poll_dial(&self) -> Option<DialRequest> {
        let now = self.core().env.moment();
        let (mut late, mut next) = (Vec::new(), None);
        {
            let mut dials = lock(&self.federation.dials);
            while dials.front().is_some_and(|first| now.since(first.asked_at) >= self.config.limits.server_dial) {
                late.extend(dials.pop_front());
            }
            if let Some(at) = dials.iter().position(|request| request.route.begin_dial()) {
                next = dials.remove(at);
            }
        }
        for request in late {
            self.dial_failed(&request, DialFailure::Timeout);
        }
        next
    }

    /// Returns how many connections are needed that nobody has begun to make.
    #[must_use]
    pub fn waiting_dials(&self) -> usize {
        lock(&self.federation.dials).len()
    }

    /// Sets what is called when a connection that is being made may not be needed any more: see [`Broker::is_wanted`].
    pub fn dialling(&self, request: &DialRequest, wake: Wake) {
        request.route.set_wake(wake);
    }

    /// Tells whether a connection that is being made is still needed. If not, the program stops, and says
    /// [`Broker::dial_failed`].
    #[must_use]
    pub fn is_wanted(&self, request: &DialRequest) -> bool {
        self.federation.is_current(request)
    }

    /// A connection could not be made: what waits for it goes back.
    pub fn dial_failed(&self, request: &DialRequest, failure: DialFailure) {
        tracing::debug!(?failure, "another server could not be reached");
        request.route.end_dial();
        fail_route(self.core(), &request.pair, &request.route, failure.condition());
        self.federation.wake_dialling();
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
        question.answer(DialbackVerdict::Error(condition));
    }
}
