//! [`OutboundSession`]: we send to another server.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use xmpp::ns;
use xmpp::stanza::{Condition, ErrorType};
use xmpp::stream::s2s::{DialbackVerdict, Initiator, InitiatorConfig, InitiatorEvent};
use xmpp::stream::{Ending, Misbehaviour, PeerCertificate, Seed, StreamCondition, StreamError, TlsFacts, Transport};
use xmpp::time::Moment;
use xmpp::xml::Frame;

use super::route::{Question, Route};
use super::{DialRequest, Pair, ServerSession, fail_route, give_back};
use crate::budget::{Held, Scope, Unread};
use crate::environment::Wake;
use crate::mailbox::{Claim, Delivery, Mail};
use crate::session::{Output, Then};
use crate::{Broker, Core};

/// A connection on which we send.
pub struct OutboundSession {
    core: Arc<Core>,
    stream: Initiator,
    certificate: Option<PeerCertificate>,
    pair: Pair,
    route: Arc<Route>,
    /// The peer is who it should be: dialback questions may be asked.
    is_open: bool,
    /// The peer takes our stanzas.
    is_authorized: bool,
    /// Dialback questions that are asked and not answered.
    asked: Vec<Question>,
    /// Sent, and not with the peer for good, oldest first.
    sent: VecDeque<Sent>,
    deadline: Moment,
    /// When a peer that acknowledges nothing counts as dead.
    ack_deadline: Option<Moment>,
    /// Input that is not read to its end; the domain is charged.
    unread: Unread,
    starts_tls: bool,
    over: bool,
}

/// A stanza that was sent. A peer with XEP-0198 has it for good when it says so, another when it is written to the socket.
struct Sent {
    claim: Claim,
    bytes: usize,
    /// It had been sent on an earlier connection already.
    is_repeat: bool,
    held: Held,
    /// Kept here only where the stream does not keep it (without XEP-0198).
    frame: Option<Frame>,
}

impl fmt::Debug for OutboundSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutboundSession")
    }
}

impl Broker {
    /// Makes the session of a connection that the program has dialled. `None` when nothing waits for it any more.
    #[must_use]
    pub fn dialled(&self, request: &DialRequest, transport: Transport, wake: Wake) -> Option<ServerSession> {
        let core = Arc::clone(self.core());
        let route = Arc::clone(&request.route);
        route.end_dial();
        core.federation.wake_dialling();
        if !core.federation.is_current(request) {
            return None;
        }
        route.set_wake(wake);
        let mut seed = [0; 32];
        core.env.random.fill(&mut seed);
        let mut config = InitiatorConfig::new(&*request.pair.local, &*request.pair.remote);
        config.limits = core.config.limits.server_xml;
        config.dialback_secret = Some(core.federation.dialback_secret.clone());
        let certificate = match &transport {
            Transport::Tls(facts) => facts.peer_certificate.clone(),
            Transport::Plain => None,
        };
        let deadline = core.env.moment() + core.config.limits.server_dial;
        let mut session = OutboundSession {
            stream: Initiator::new(config, transport, Seed::new(seed)),
            certificate,
            pair: request.pair.clone(),
            route,
            is_open: false,
            is_authorized: false,
            asked: Vec::new(),
            sent: VecDeque::new(),
            deadline,
            ack_deadline: None,
            unread: Unread::new(
                core.budgets.bytes.share(Scope::Domain, core.federation.source_of(&request.pair.remote)),
            ),
            starts_tls: false,
            over: false,
            core,
        };
        session.turn();
        Some(ServerSession::Outbound(Box::new(session)))
    }
}

impl OutboundSession {
    pub(super) fn handle_bytes(&mut self, bytes: &[u8]) {
        self.stream.handle_bytes(bytes);
        self.turn();
        self.unread.set(self.stream.held_input());
    }

    pub(super) fn handle_tls(&mut self, facts: TlsFacts) {
        self.certificate.clone_from(&facts.peer_certificate);
        self.stream.handle_tls(facts);
        self.turn();
    }

    pub(super) fn handle_somebody_else(&mut self) {
        self.end(Condition::RemoteServerNotFound);
    }

    pub(super) fn handle_wake(&mut self) {
        self.turn();
    }

    pub(super) fn handle_timeout(&mut self) {
        let now = self.core.env.moment();
        if self.over || self.next_timeout().is_some_and(|at| at > now) {
            return;
        }
        if self.is_authorized && self.deadline <= now {
            self.stream.close(); // idle
            self.end(Condition::RemoteServerTimeout);
        } else {
            self.stream.fail(StreamCondition::ConnectionTimeout);
            self.end(Condition::RemoteServerTimeout);
        }
    }

    /// What was sent is with the socket: for a peer without acknowledgements that is as good as it gets.
    pub(super) fn handle_written(&mut self) {
        if !self.stream.has_acks() {
            self.land(self.sent.len());
        }
    }

    /// The peer has the oldest `count` stanzas for good.
    fn land(&mut self, count: usize) {
        let (mut landed, mut bytes) = (0, 0);
        for sent in self.sent.drain(..count.min(self.sent.len())) {
            landed += 1;
            bytes += sent.bytes;
            if let Claim::Live(ticket) = sent.claim {
                ticket.arrived();
            }
        }
        if landed > 0 {
            self.route.mailbox.landed(landed, bytes);
        }
        if self.sent.is_empty() {
            self.sent = VecDeque::new(); // an idle connection keeps no memory
        }
    }

    /// When a peer that has something to acknowledge and does not counts as dead: it may wait for one of its own clients
    /// first, which it gives up no later than we would.
    fn expect_acks(&mut self) {
        let waits = self.stream.has_acks() && !self.sent.is_empty();
        self.ack_deadline = waits.then(|| self.core.env.moment() + 2 * self.core.config.limits.ack_timeout);
    }

    pub(super) fn take_output(&mut self) -> Output {
        let bytes = self.stream.poll_output();
        let then = match (self.over, std::mem::take(&mut self.starts_tls)) {
            (true, _) => Then::Close,
            (false, true) => Then::StartTls,
            (false, false) => Then::Continue,
        };
        Output { bytes, then }
    }

    pub(super) fn read_pause(&self) -> Option<Moment> {
        self.unread.pause(self.core.env.moment())
    }

    pub(super) fn next_timeout(&self) -> Option<Moment> {
        (!self.over).then(|| self.ack_deadline.map_or(self.deadline, |at| at.min(self.deadline)))
    }

    /// The connection is gone. What the peer does not have for good is tried once more on a new one.
    pub(super) fn closed(mut self) {
        self.end(Condition::RemoteServerTimeout); // it was there: whoever waits may try again
    }

    fn turn(&mut self) {
        while let Some(event) = self.stream.poll_event() {
            self.handle_event(event);
        }
        if self.over {
            return;
        }
        if !self.route.is_wanted() {
            self.stream.close(); // who asked is gone, and nothing else was to be said
            return self.end(Condition::RemoteServerTimeout);
        }
        if self.is_open {
            for question in self.route.take_questions() {
                if self.stream.verify(&question.request()) {
                    self.asked.push(question);
                } else {
                    question.answer(DialbackVerdict::Error(Condition::RemoteServerTimeout));
                }
            }
        }
        if self.is_authorized {
            self.send_waiting();
        }
    }

    fn handle_event(&mut self, event: InitiatorEvent) {
        match event {
            InitiatorEvent::StartTls => self.starts_tls = true,
            InitiatorEvent::VerifyCertificate { domain } => {
                let trusted = self.core.trusts(self.certificate.as_ref(), &domain);
                self.stream.certificate_verified(trusted);
            }
            InitiatorEvent::Opened => self.is_open = true,
            InitiatorEvent::Authorized { from, to } if *from == *self.pair.local && *to == *self.pair.remote => {
                self.is_authorized = true;
                self.is_open = true;
                self.deadline = self.core.env.moment() + self.core.config.limits.server_idle;
            }
            InitiatorEvent::Acknowledged(count) => {
                self.land(count);
                // an answer that acknowledges nothing is no progress
                if count > 0 || self.sent.is_empty() {
                    self.expect_acks();
                }
            }
            InitiatorEvent::Refused { verdict, .. } => {
                self.stream.close();
                self.end(refusal(verdict));
            }
            InitiatorEvent::DialbackVerified { request, verdict } => {
                let same = |question: &Question| {
                    question.claim.stream_id == request.id
                        && question.claim.from == request.to
                        && question.claim.to == request.from
                };
                if let Some(at) = self.asked.iter().position(same) {
                    let question = self.asked.swap_remove(at);
                    question.answer(verdict);
                }
            }
            InitiatorEvent::Ended(ending) => self.end(condition(&ending)),
            _ => {}
        }
    }

    fn send_waiting(&mut self) {
        let waiting = self.route.mailbox.take(usize::MAX);
        if waiting.is_empty() {
            return;
        }
        self.deadline = self.core.env.moment() + self.core.config.limits.server_idle;
        for mail in waiting {
            let Mail::Stanza(delivery) = mail else { continue };
            if delivery.claim.is_given_up() {
                self.route.mailbox.landed(1, delivery.frame.len());
                continue;
            }
            let frame = delivery.frame.splice().to_stream(ns::SERVER).finish();
            if self.stream.send(&frame) {
                let Delivery { frame, claim, is_repeat, held, .. } = delivery;
                let bytes = frame.len();
                let frame = (!self.stream.has_acks()).then_some(frame);
                self.sent.push_back(Sent { claim, bytes, is_repeat, held, frame });
            } else {
                give_back(&self.core, delivery, Condition::RemoteServerTimeout);
            }
        }
        if self.ack_deadline.is_none() {
            self.expect_acks();
        }
    }

    /// Ends the session. A connection that had worked is replaced by a new one for what it did not carry; otherwise what
    /// waits goes back with `condition`.
    fn end(&mut self, condition: Condition) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        for question in std::mem::take(&mut self.asked) {
            question.answer(DialbackVerdict::Error(condition));
        }
        if !self.is_authorized {
            return fail_route(&self.core, &self.pair, &self.route, condition);
        }
        let queued = self.core.federation.forget(&self.pair, &self.route);
        for question in self.route.take_questions() {
            self.core.federation.ask(&self.core, question);
        }
        let queued = queued.into_iter().filter_map(|mail| match mail {
            Mail::Stanza(delivery) => Some(delivery),
            Mail::Notice(_) => None,
        });
        let sent = self.take_sent().filter(|delivery| !delivery.claim.is_given_up());
        let (back, mut again): (Vec<_>, Vec<_>) = sent.partition(|delivery| delivery.is_repeat);
        for delivery in back {
            give_back(&self.core, delivery, condition);
        }
        again.iter_mut().for_each(|delivery| delivery.is_repeat = true);
        for delivery in again.into_iter().chain(queued) {
            self.core.federation.queue_delivery(&self.core, &self.pair, delivery);
        }
    }

    /// Takes what was sent and is not with the peer for good, oldest first, as stanzas of a client stream.
    fn take_sent(&mut self) -> impl Iterator<Item = Delivery> + use<> {
        // with XEP-0198 the stream kept the frames, in the same order
        let mut unacked = self.stream.take_unacked().into_iter();
        std::mem::take(&mut self.sent).into_iter().filter_map(move |sent| {
            let kept = || unacked.next().map(|frame| frame.splice().to_stream(ns::CLIENT).finish());
            let frame = sent.frame.or_else(kept)?;
            Some(Delivery::remote(frame, sent.claim, sent.held, sent.is_repeat))
        })
    }
}

/// What the end of a stream means to those whose stanzas wait for it: only a server that is not who it should be, or that
/// says it is not that one, is not found. Every other may be there again soon: it restarts, is full, or is being repaired.
fn condition(ending: &Ending) -> Condition {
    match ending {
        Ending::PeerError(StreamCondition::HostUnknown | StreamCondition::HostGone)
        | Ending::Failed(StreamError::PeerMisbehaved(Misbehaviour::Certificate | Misbehaviour::UnknownHost)) => {
            Condition::RemoteServerNotFound
        }
        _ => Condition::RemoteServerTimeout,
    }
}

/// What it means that a server does not let us send: it may only have failed to ask for us (XEP-0220 §2.5).
fn refusal(verdict: DialbackVerdict) -> Condition {
    match verdict {
        DialbackVerdict::Error(why) if why.default_type() == ErrorType::Wait => Condition::RemoteServerTimeout,
        _ => Condition::RemoteServerNotFound,
    }
}
