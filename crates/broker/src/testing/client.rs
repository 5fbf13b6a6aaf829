//! A client in the world: the client's end of a stream, and the broker's session for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crypto::Random;
use xmpp::sasl::Credential;
use xmpp::stream::c2s::{Initiator, InitiatorConfig, InitiatorEvent, Purpose};
use xmpp::stream::{Ending, Seed, Transport};
use xmpp::time::Moment;
use xmpp::xml::Element;

use super::{PASSWORD, flag, run, tls};
use crate::Broker;
use crate::offline::parse_stanza;
use crate::session::{ClientSession, Then};

/// A client and the broker's session for it.
pub struct TestClient {
    pub(super) domain: String,
    stream: Initiator,
    session: Option<ClientSession>,
    woken: Arc<AtomicBool>,
    /// The client speaks XEP-0198.
    acks: bool,
    /// The client acknowledges what it receives.
    pub handles: bool,
    pub(super) frozen: bool,
    received: Vec<Element>,
    /// How much of it was not acknowledged.
    unhandled: usize,
    /// The ids given to [`TestClient::send_numbered`] that the broker has acknowledged.
    pub acknowledged: Vec<u64>,
    /// Why the stream is over, if it is.
    pub ended: Option<Ending>,
    /// The client has bound its resource.
    pub ready: bool,
}

impl TestClient {
    pub(super) fn connect(broker: &Broker, name: &str, resource: &str, acks: bool, random: &dyn Random) -> Self {
        let (woken, wake) = flag();
        let domain = broker.config.domain.clone();
        let login = Purpose::Login { username: name.to_owned(), credential: Credential::password(PASSWORD) };
        let mut config = InitiatorConfig::new(domain.as_str(), login);
        config.resource = Some(resource.to_owned());
        let mut seed = [0; 32];
        random.fill(&mut seed);
        Self {
            domain,
            stream: Initiator::new(config, Transport::Tls(tls(None)), Seed::new(seed)),
            session: Some(broker.accept_client(Transport::Tls(tls(None)), wake)),
            woken,
            acks,
            handles: true,
            frozen: false,
            received: Vec::new(),
            unhandled: 0,
            acknowledged: Vec::new(),
            ended: None,
            ready: false,
        }
    }

    /// Returns the bound address.
    #[must_use]
    pub fn jid(&self) -> String {
        self.stream.jid().map(|jid| jid.as_str().to_owned()).unwrap_or_default()
    }

    /// Returns the broker's session, if there is one.
    #[must_use]
    pub fn session(&self) -> Option<&ClientSession> {
        self.session.as_ref()
    }

    /// Sends a stanza, given as XML.
    pub fn send(&mut self, stanza: &str) {
        self.send_numbered(stanza, None);
    }

    /// Sends a stanza under a number, by which it is acknowledged.
    pub fn send_numbered(&mut self, stanza: &str, id: Option<u64>) {
        let frame = parse_stanza(stanza.as_bytes()).expect("the test writes well-formed stanzas");
        self.stream.send(&frame, id);
    }

    /// Takes the broker's session away from the link: it lingers, and hears of nothing, until the caller ends it.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn leave_unread(&mut self) -> ClientSession {
        self.session.take().expect("the client is connected")
    }

    /// Brings what was sent to the broker, and nothing else; [`super::World::settle`] does the rest.
    pub fn deliver(&mut self) {
        if let Some(bytes) = self.stream.poll_output()
            && let Some(session) = &mut self.session
        {
            run(session.handle_bytes(&bytes));
        }
    }

    /// Acknowledges all that has been received, and everything from now on.
    pub fn handle_all(&mut self) {
        if !std::mem::replace(&mut self.handles, true) {
            self.stream.handled(u32::try_from(std::mem::take(&mut self.unhandled)).unwrap_or(u32::MAX));
        }
    }

    /// Acknowledges all that has been received but for the last few, and nothing from now on.
    pub fn handle_but(&mut self, few: usize) {
        self.handles = false;
        let count = self.unhandled.saturating_sub(few);
        self.unhandled -= count;
        self.stream.handled(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Brings bytes to the broker as they are, whatever the client's end of the stream thinks of them.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Some(session) = &mut self.session {
            run(session.handle_bytes(bytes));
        }
    }

    /// Closes the stream in order.
    pub fn close(&mut self) {
        self.stream.close();
    }

    pub(super) fn take(&mut self) -> Vec<Element> {
        std::mem::take(&mut self.received)
    }

    /// Moves bytes in both directions; returns whether there were any.
    pub(super) fn pump(&mut self) -> bool {
        let mut busy = false;
        if let Some(session) = &mut self.session
            && self.woken.swap(false, Ordering::AcqRel)
        {
            run(session.handle_wake());
            busy = true;
        }
        if self.frozen {
            return busy; // what the broker writes waits in its session, as behind a full socket
        }
        if let Some(bytes) = self.stream.poll_output()
            && let Some(session) = &mut self.session
        {
            run(session.handle_bytes(&bytes));
            busy = true;
        }
        busy | self.take_output()
    }

    fn take_output(&mut self) -> bool {
        let Some(session) = &mut self.session else { return false };
        let output = session.take_output();
        let busy = output.bytes.is_some();
        if let Some(bytes) = output.bytes {
            run(session.handle_written());
            let bytes = if self.acks { bytes.to_vec() } else { without_acks(&bytes) };
            self.stream.handle_bytes(&bytes);
            self.handle_events();
        }
        if output.then == Then::Close {
            self.cut();
            return true;
        }
        busy
    }

    fn handle_events(&mut self) {
        while let Some(event) = self.stream.poll_event() {
            match event {
                InitiatorEvent::Ready { .. } => self.ready = true,
                InitiatorEvent::Acknowledged(ids) => self.acknowledged.extend(ids),
                InitiatorEvent::Stanza(frame) => {
                    self.received.push(frame.to_element());
                    if self.handles {
                        self.stream.handled(1);
                    } else {
                        self.unhandled += 1;
                    }
                }
                InitiatorEvent::Ended(ending) => self.ended = Some(ending),
                _ => {}
            }
        }
    }

    pub(super) fn cut(&mut self) {
        if let Some(session) = self.session.take() {
            run(session.closed());
        }
    }

    /// The broker is gone without a word.
    pub(super) fn lose_server(&mut self) {
        self.session = None;
    }

    pub(super) fn next_timeout(&self) -> Option<Moment> {
        self.session.as_ref().and_then(ClientSession::next_timeout)
    }

    pub(super) fn check_timeout(&mut self, now: Moment) {
        if let Some(session) = &mut self.session
            && session.next_timeout().is_some_and(|at| at <= now)
        {
            run(session.handle_timeout());
            if self.frozen && session.take_output().then == Then::Close {
                self.cut();
            }
        }
    }
}

/// Hides the offer of acknowledgements, so that the client does without.
fn without_acks(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    text.replace("<sm xmlns='urn:xmpp:sm:3'/>", "").into_bytes()
}
