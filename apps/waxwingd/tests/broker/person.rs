//! A person with nothing but `xmpp` and `net`: registers by a link, signs in, sends and receives.

use std::time::Duration;

use net::Service;
use net::certificate::Pin;
use net::connection::Connection;
use net::dial::{Dialler, Endpoint, HostPort, Mode, Target};
use net::dns::Names;
use net::tls::ClientTls;
use net::verify::Trust;
use xep::ibr::Request;
use xep::uri::Link;
use xmpp::jid::Jid;
use xmpp::sasl::Credential;
use xmpp::stanza;
use xmpp::stream::c2s::{Initiator, InitiatorConfig, InitiatorEvent, Purpose};
use xmpp::stream::{Seed, Transport};
use xmpp::xml::{Element, Frame};

/// Long enough for a machine that builds something else at the same time.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Person {
    /// Absent only while it is being secured.
    connection: Option<Connection>,
    stream: Initiator,
    tls: ClientTls,
    domain: String,
    pub(crate) received: Vec<Element>,
}

/// What a link says about the way to the broker.
pub(crate) struct Way {
    domain: String,
    at: Vec<Endpoint>,
    tls: ClientTls,
    pub(crate) token: Option<String>,
}

impl Way {
    pub(crate) fn of_link(text: &str) -> Self {
        let link = Link::parse(text).expect("the link is one");
        let pin = link.pin.expect("a broker without a public certificate puts its pin into links");
        let at = link.at.iter().map(|at| Endpoint {
            host: HostPort::parse(&at.to_text()).expect("a host and a port"),
            mode: Mode::DirectTls,
        });
        Self {
            domain: link.address.domainpart().to_owned(),
            at: at.collect(),
            tls: ClientTls::new(Service::Client, Trust::pins([Pin::from_bytes(pin)])),
            token: link.preauth,
        }
    }

    /// The same broker, by STARTTLS at another port.
    pub(crate) fn by_starttls(mut self, port: u16) -> Self {
        self.at = vec![Endpoint::new("127.0.0.1", port, Mode::StartTls)];
        self
    }
}

impl Person {
    async fn connect(way: &Way, purpose: Purpose) -> Self {
        let target = Target::new(way.domain.clone(), Service::Client).at(way.at.clone());
        let dialler = Dialler::direct(Names::system());
        let link = dialler.connect_link(&target, &way.tls, None).await.expect("the broker is there");
        let transport = link.facts.map_or(Transport::Plain, Transport::Tls);
        let mut seed = [0; 32];
        crypto::Random::fill(&net::random::SystemRandom, &mut seed);
        let config = InitiatorConfig::new(way.domain.clone(), purpose);
        let stream = Initiator::new(config, transport, Seed::new(seed));
        Self {
            connection: Some(link.connection),
            stream,
            tls: link.tls,
            domain: way.domain.clone(),
            received: Vec::new(),
        }
    }

    /// Opens an account with the token of the link, and signs in on the same connection.
    pub(crate) async fn register(way: &Way, name: &str, password: &str) -> Self {
        let mut person = Self::connect(way, Purpose::Register).await;
        person.until("features", |event| matches!(event, InitiatorEvent::ReadyToRegister)).await;
        let token = way.token.as_deref().expect("an invite has a token");
        person.ask_before_login("token", xep::invites::preauth(token)).await;
        let request = Request::Register { username: name.to_owned(), password: password.to_owned() };
        person.ask_before_login("account", request.to_element()).await;
        let credential = Credential::password(password);
        assert!(person.stream.login(name, credential).is_none(), "there is a mechanism");
        person.ready().await;
        person
    }

    pub(crate) async fn sign_in(way: &Way, name: &str, password: &str) -> Self {
        let credential = Credential::password(password);
        let mut person = Self::connect(way, Purpose::Login { username: name.to_owned(), credential }).await;
        person.ready().await;
        person
    }

    /// Tries to sign in and tells whether it worked.
    pub(crate) async fn can_sign_in(way: &Way, name: &str, password: &str) -> bool {
        let credential = Credential::password(password);
        let mut person = Self::connect(way, Purpose::Login { username: name.to_owned(), credential }).await;
        let event = person
            .until("an end of the login", |event| {
                matches!(event, InitiatorEvent::Ready { .. } | InitiatorEvent::LoginFailed(_))
            })
            .await;
        matches!(event, InitiatorEvent::Ready { .. })
    }

    async fn ready(&mut self) {
        self.until("a resource", |event| matches!(event, InitiatorEvent::Ready { .. })).await;
    }

    async fn ask_before_login(&mut self, id: &str, payload: Element) {
        self.stream.send_element(&stanza::iq("set", id, Some(&self.domain.clone()), payload));
        let answer = self.until("an answer", |event| matches!(event, InitiatorEvent::PreAuthIq(_))).await;
        let InitiatorEvent::PreAuthIq(answer) = answer else { unreachable!("waited for it") };
        assert_eq!(answer.attr("type"), Some("result"), "{id} is refused: {}", answer.to_xml(xmpp::ns::CLIENT));
    }

    pub(crate) fn jid(&self) -> &Jid {
        self.stream.jid().expect("bound")
    }

    /// Sends a stanza and waits until the broker has taken responsibility for it.
    pub(crate) async fn send_acknowledged(&mut self, element: &Element) {
        self.stream.send(&Frame::from_element(element, xmpp::ns::CLIENT), Some(7));
        self.stream.request_ack();
        self.until(
            "an acknowledgement",
            |event| matches!(event, InitiatorEvent::Acknowledged(ids) if ids.contains(&7)),
        )
        .await;
    }

    pub(crate) async fn send(&mut self, element: &Element) {
        self.stream.send_element(element);
        self.write().await;
    }

    /// Asks a question and waits for its answer.
    pub(crate) async fn ask(&mut self, kind: &str, to: &str, payload: Element) -> Element {
        self.send(&stanza::iq(kind, "question", Some(to), payload)).await;
        self.receive("an answer", |stanza| stanza.name() == "iq" && stanza.attr("id") == Some("question")).await
    }

    /// Says that we are there, and waits until the broker has heard it.
    pub(crate) async fn be_available(&mut self) {
        self.send_acknowledged(&Element::new("presence", xmpp::ns::CLIENT)).await;
    }

    /// Waits for a stanza.
    pub(crate) async fn receive(&mut self, what: &str, pick: impl Fn(&Element) -> bool) -> Element {
        if let Some(at) = self.received.iter().position(&pick) {
            return self.received.remove(at);
        }
        loop {
            let event = self.until(what, |event| matches!(event, InitiatorEvent::Stanza(_))).await;
            let InitiatorEvent::Stanza(frame) = event else { unreachable!("waited for it") };
            let element = frame.to_element();
            if pick(&element) {
                return element;
            }
            self.received.push(element);
        }
    }

    pub(crate) async fn receive_body(&mut self, body: &str) -> Element {
        self.receive(body, |stanza| {
            stanza.name() == "message" && stanza.child("body", xmpp::ns::CLIENT).is_some_and(|b| b.text() == body)
        })
        .await
    }

    /// Waits for the end of the stream that the broker announces.
    pub(crate) async fn ended(&mut self) {
        self.until("the end", |event| matches!(event, InitiatorEvent::Ended(_))).await;
    }

    fn connected(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("connected")
    }

    async fn write(&mut self) {
        while let Some(bytes) = self.stream.poll_output() {
            // a connection that has ended tells why when it is read
            let _ = self.connected().send(&bytes).await;
        }
    }

    async fn until(&mut self, what: &str, pick: impl Fn(&InitiatorEvent) -> bool) -> InitiatorEvent {
        let waiting = async {
            loop {
                while let Some(event) = self.stream.poll_event() {
                    if matches!(event, InitiatorEvent::StartTls) {
                        self.start_tls().await;
                        continue;
                    }
                    if matches!(event, InitiatorEvent::Stanza(_)) {
                        self.stream.handled(1);
                    }
                    if pick(&event) {
                        self.write().await;
                        return event;
                    }
                    match event {
                        InitiatorEvent::Stanza(frame) => self.received.push(frame.to_element()),
                        InitiatorEvent::Ended(ending) => panic!("{what}: the stream ended: {ending:?}"),
                        InitiatorEvent::LoginFailed(error) => panic!("{what}: no login: {error}"),
                        _ => {}
                    }
                }
                self.write().await;
                match self.connected().read_chunk().await {
                    Ok(Some(bytes)) => self.stream.handle_bytes(&bytes),
                    Ok(None) | Err(_) => self.stream.handle_eof(),
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| panic!("{what} did not come in time"))
    }

    async fn start_tls(&mut self) {
        self.write().await;
        let connection = self.connection.take().expect("connected");
        let (secured, facts) =
            connection.start_tls(&self.tls, &self.domain, None, 0).await.expect("the broker has the pinned key");
        self.connection = Some(secured);
        self.stream.handle_tls(facts);
    }
}

/// A message with a readable body, for brokers whose policy is off.
pub(crate) fn message(to: &str, body: &str) -> Element {
    Element::new("message", xmpp::ns::CLIENT)
        .with_attr("to", to)
        .with_attr("type", "chat")
        .with_attr("id", body)
        .with_child(Element::new("body", xmpp::ns::CLIENT).with_text(body))
}
