//! [`InboundSession`]: another server sends to us.

use std::fmt;
use std::sync::Arc;

use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{Condition, StanzaError};
use xmpp::stream::s2s::{DialbackVerdict, Responder, ResponderEvent, dialback};
use xmpp::stream::{PeerCertificate, Seed, StreamCondition, TlsFacts, Transport};
use xmpp::time::Moment;
use xmpp::xml::{Frame, Splice};

use super::route::Asker;
use crate::budget::{Scope, Source, Unread};
use crate::core::Place;
use crate::environment::Wake;
use crate::mailbox::{Bounds, Mailbox};
use crate::pipeline::Origin;
use crate::route::{self, MessageType, Stanza};
use crate::session::{Output, Then};
use crate::settle::{Sender, Ticket, Unsettled};
use crate::{Broker, Core, pipeline};

/// A connection on which another server sends.
pub struct InboundSession {
    core: Arc<Core>,
    stream: Responder,
    certificate: Option<PeerCertificate>,
    asker: Asker,
    /// A domain has been proved.
    is_authenticated: bool,
    /// The peer speaks XEP-0198.
    acks: bool,
    /// Stanzas that the peer's `h` does not cover yet.
    unsettled: Unsettled,
    /// Where their receivers wake us; nothing is left in it.
    mailbox: Arc<Mailbox>,
    /// When it is closed if no domain is proved by then; what arrives meanwhile changes nothing.
    proof_deadline: Moment,
    last_heard: Moment,
    read_pause: Option<Moment>,
    /// Input that is not read to its end; who connects is charged at first, then the domain that speaks.
    unread: Unread,
    /// Who is charged for what the domain that spoke last causes.
    by: Option<(Box<str>, Source)>,
    starts_tls: bool,
    over: bool,
}

impl fmt::Debug for InboundSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InboundSession")
    }
}

impl Broker {
    /// Makes the session of a connection that another server opened.
    #[must_use]
    pub fn accept_server(&self, transport: Transport, wake: Wake) -> super::ServerSession {
        self.accept_server_from(transport, wake, None)
    }

    /// As [`Broker::accept_server`]. What the peer makes the broker do before it has proved a domain is charged to
    /// `network` too: any name for where it comes from, the same for all who come from there.
    #[must_use]
    pub fn accept_server_from(&self, transport: Transport, wake: Wake, network: Option<&str>) -> super::ServerSession {
        let core = Arc::clone(self.core());
        let mut seed = [0; 32];
        core.env.random.fill(&mut seed);
        let certificate = match &transport {
            Transport::Tls(facts) => facts.peer_certificate.clone(),
            Transport::Plain => None,
        };
        let now = core.env.moment();
        super::ServerSession::Inbound(Box::new(InboundSession {
            stream: Responder::new(Arc::clone(&core.federation.streams), transport, Seed::new(seed)),
            certificate,
            mailbox: Arc::new(Mailbox::new(Arc::clone(&wake), Bounds { count: 0, bytes: 0 })),
            asker: Asker::new(Arc::clone(&core), network, wake),
            is_authenticated: false,
            acks: false,
            unsettled: Unsettled::new(Sender::Server),
            proof_deadline: now + core.config.limits.pre_auth,
            last_heard: now,
            read_pause: None,
            unread: Unread::new(match network {
                Some(network) => core.budgets.bytes.share(Scope::Network, network),
                None => core.budgets.bytes.own_share(Scope::Connection),
            }),
            by: None,
            starts_tls: false,
            over: false,
            core,
        }))
    }
}

impl InboundSession {
    pub(super) async fn handle_bytes(&mut self, bytes: &[u8]) {
        self.last_heard = self.core.env.moment();
        self.stream.handle_bytes(bytes);
        self.turn().await;
        self.unread.set(self.stream.held_input());
    }

    pub(super) async fn handle_tls(&mut self, facts: TlsFacts) {
        self.certificate.clone_from(&facts.peer_certificate);
        self.stream.handle_tls(facts);
        self.turn().await;
    }

    /// Verdicts about dialback keys have come in, or receivers have messages for good.
    pub(super) async fn handle_wake(&mut self) {
        for (claim, verdict) in self.asker.take() {
            self.is_authenticated |= verdict == DialbackVerdict::Valid;
            self.stream.dialback_result(&claim, verdict);
        }
        self.turn().await;
    }

    pub(super) fn is_authenticated(&self) -> bool {
        self.is_authenticated
    }

    pub(super) async fn handle_timeout(&mut self) {
        let now = self.core.env.moment();
        self.unsettled.check(&self.core, now).await;
        self.settle();
        if !self.over && self.patience_ends() <= now {
            if self.is_authenticated {
                self.stream.close(); // idle, and in order (XEP-0478)
            } else {
                self.stream.fail(StreamCondition::ConnectionTimeout);
            }
            self.over = true;
        }
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

    pub(super) fn next_timeout(&self) -> Option<Moment> {
        let end = self.patience_ends();
        (!self.over).then(|| self.unsettled.next_timeout().map_or(end, |at| at.min(end)))
    }

    /// When the peer has been silent for too long, or has not proved a domain in time.
    fn patience_ends(&self) -> Moment {
        if self.is_authenticated { self.last_heard + self.core.config.limits.server_idle } else { self.proof_deadline }
    }

    pub(super) fn read_pause(&self) -> Option<Moment> {
        let now = self.core.env.moment();
        self.read_pause.filter(|until| *until > now).max(self.unread.pause(now))
    }

    async fn turn(&mut self) {
        while let Some(event) = self.stream.poll_event() {
            match event {
                ResponderEvent::StartTls => self.starts_tls = true,
                ResponderEvent::VerifyCertificate { domain } => {
                    let trusted = self.core.trusts(self.certificate.as_ref(), &domain);
                    self.stream.certificate_verified(trusted);
                }
                ResponderEvent::Authenticated { .. } => self.is_authenticated = true,
                ResponderEvent::DialbackKey(claim) => {
                    if self.core.is_own_domain(&claim.from) {
                        self.stream.dialback_result(&claim, DialbackVerdict::Invalid);
                    } else {
                        self.asker.ask(claim);
                    }
                }
                ResponderEvent::DialbackVerify(request) => {
                    let verdict = dialback::is_ours(&self.core.federation.dialback_secret, &request);
                    self.stream.dialback_verified(&request, verdict);
                }
                ResponderEvent::AcksEnabled => self.acks = true,
                ResponderEvent::Stanza(frame) => self.handle_stanza(&frame).await,
                ResponderEvent::Ended(_) => self.over = true,
                _ => {}
            }
        }
        self.settle();
    }

    /// Tells the stream how many of the peer's stanzas are settled.
    fn settle(&mut self) {
        let settled = self.unsettled.take_settled(&self.mailbox);
        self.stream.handled(settled);
    }

    /// Takes responsibility for a stanza of the peer.
    async fn handle_stanza(&mut self, frame: &Frame) {
        let ticket = self.take_stanza(frame).await;
        let (now, limits) = (self.core.env.moment(), &self.core.config.limits);
        let settled = self.unsettled.push(ticket, &self.mailbox, now, limits);
        self.stream.handled(settled);
    }

    /// Finds who is charged, mostly by remembering the last one.
    fn source(&mut self, from: &Jid) -> Source {
        match &self.by {
            Some((domain, by)) if **domain == *from.domainpart() => Arc::clone(by),
            _ => {
                let by = self.core.source(from);
                self.by = Some((from.domainpart().into(), Arc::clone(&by)));
                self.unread = Unread::new(Arc::clone(&by));
                by
            }
        }
    }

    /// The stream has checked that `from` is of a proved domain and `to` of one of ours (attack row X08).
    async fn take_stanza(&mut self, frame: &Frame) -> Option<Arc<Ticket>> {
        let address = |name| frame.attr(name).and_then(|text| Jid::parse(&text).ok());
        let (Some(from), Some(to)) = (address("from"), address("to")) else {
            self.stream.fail(StreamCondition::ImproperAddressing);
            return None;
        };
        // checked once more, where it would matter most: nobody but us speaks for our domains
        if self.core.place(&from) != Place::Remote(from.domainpart()) || self.core.is_own_domain(from.domainpart()) {
            self.stream.fail(StreamCondition::InvalidFrom);
            return None;
        }
        self.read_pause = self.core.federation.charge_stanza(from.domainpart(), self.core.env.moment());
        let by = self.source(&from);
        let for_clients = |splice: Splice| splice.to_stream(ns::CLIENT);
        let is_message = frame.name() == "message";
        let frame = &route::prepared(frame, Some(&from), Some(&to));
        let parties = (&from, &to);
        let judged = match frame.name() {
            "message" => pipeline::message(&self.core, frame, parties, Origin::Server, for_clients),
            "presence" => Ok(pipeline::true_words(&self.core, frame, frame.splice(), parties, Origin::Server).finish()),
            _ => Ok(frame.clone()),
        };
        let judged = match judged {
            // the broker does not relay between other servers
            Ok(_) if matches!(self.core.place(&to), Place::Remote(_)) => Err(StanzaError::new(Condition::ItemNotFound)),
            other => other,
        };
        match judged {
            Ok(judged) if is_message => {
                let message_type = MessageType::of(frame.attr("type").as_deref());
                let waiting = self.acks.then_some(&self.mailbox);
                return route::message(&self.core, Stanza { frame: judged, from, to, by }, message_type, waiting).await;
            }
            Ok(judged) => {
                let frame = for_clients(judged.splice()).finish();
                route::route(&self.core, Stanza { frame, from, to, by }, None).await;
            }
            Err(error) => {
                let frame = for_clients(frame.splice()).finish();
                route::bounce(&self.core, &Stanza { frame, from, to, by }, &error);
            }
        }
        None
    }
}
