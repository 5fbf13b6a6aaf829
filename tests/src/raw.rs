//! A bare client: a connection, a login, and stanzas as text. It knows nothing of what they mean.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use net::Service;
use net::connection::Connection;
use net::random::SystemRandom;
use net::tls::ClientTls;
use net::verify::Trust;
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::sasl::Credential;
use xmpp::stream::c2s::{Initiator, InitiatorConfig, InitiatorEvent, LoginError, Purpose};
use xmpp::stream::{Seed, Transport};
use xmpp::xml::{Element, Frame, Limits, StreamScanner, Token, XmlError};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connected client stream.
pub struct RawClient {
    connection: Option<Connection>,
    stream: Initiator,
    jid: Option<Jid>,
    trust: Trust,
    domain: String,
}

/// Where a server is and how its certificate is believed.
#[derive(Clone)]
pub struct Server {
    /// The STARTTLS port.
    pub address: SocketAddr,
    /// The XMPP domain.
    pub domain: String,
    /// Whom to believe.
    pub trust: Trust,
    /// Whether to sign in without channel binding, for a server that offers it and then refuses every type.
    pub danger_no_binding: bool,
}

impl Server {
    /// Describes a server whose authority is in a PEM file.
    ///
    /// # Panics
    ///
    /// When the file cannot be read or holds no certificate.
    #[must_use]
    pub fn new(address: SocketAddr, domain: &str, ca_file: &Path) -> Self {
        let pem = std::fs::read_to_string(ca_file).expect("the authority's file can be read");
        let trust = Trust::only_pem(&pem).expect("the authority's file holds certificates");
        Self { address, domain: domain.to_owned(), trust, danger_no_binding: false }
    }

    /// Signs in without channel binding.
    #[must_use]
    pub fn without_binding(mut self) -> Self {
        self.danger_no_binding = true;
        self
    }
}

/// Choices about a login.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The resource to ask for; the server chooses where absent.
    pub resource: Option<String>,
    /// Whether acknowledgements (XEP-0198) are switched on where the server has them.
    pub acks: bool,
}

impl Default for SignIn {
    fn default() -> Self {
        Self { resource: None, acks: true }
    }
}

fn seed() -> Seed {
    let mut bytes = [0; 32];
    crypto::Random::fill(&SystemRandom, &mut bytes);
    Seed::new(bytes)
}

impl RawClient {
    /// Logs in and binds a resource.
    ///
    /// # Panics
    ///
    /// When anything fails or takes too long; that is what a test wants.
    pub async fn login(server: &Server, user: &str, password: &str) -> Self {
        Self::login_as(server, user, password, &SignIn::default()).await
    }

    /// Logs in with choices.
    ///
    /// # Panics
    ///
    /// As [`RawClient::login`].
    pub async fn login_as(server: &Server, user: &str, password: &str, how: &SignIn) -> Self {
        let client = Self::try_login(server, user, password, how).await;
        client.unwrap_or_else(|why| panic!("login refused: {why}"))
    }

    /// Logs in, or returns the server's refusal.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub async fn try_login(server: &Server, user: &str, password: &str, how: &SignIn) -> Result<Self, LoginError> {
        let credential = Credential::password(password);
        let mut client = Self::open(server, Purpose::Login { username: user.to_owned(), credential }, how).await;
        client.run_to_ready().await?;
        Ok(client)
    }

    /// Registers an account in band (XEP-0077), with an invite token where one is given (XEP-0445), then logs in.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn register(server: &Server, user: &str, password: &str, token: Option<&str>) -> Self {
        let mut client = Self::open(server, Purpose::Register, &SignIn::default()).await;
        client.until("the features", |event| matches!(event, InitiatorEvent::ReadyToRegister).then_some(())).await;
        if let Some(token) = token {
            let preauth = Element::new("preauth", "urn:xmpp:pars:0").with_attr("token", token);
            client.pre_auth(iq("set", "preauth").with_attr("to", server.domain.as_str()).with_child(preauth)).await;
        }
        let query = Element::new("query", "jabber:iq:register")
            .with_child(Element::new("username", "jabber:iq:register").with_text(user))
            .with_child(Element::new("password", "jabber:iq:register").with_text(password));
        client.pre_auth(iq("set", "register").with_child(query)).await;
        assert!(client.stream.login(user, Credential::password(password)).is_none());
        client.run_to_ready().await.unwrap_or_else(|why| panic!("login refused: {why}"));
        client
    }

    async fn open(server: &Server, purpose: Purpose, how: &SignIn) -> Self {
        let tcp = tokio::net::TcpStream::connect(server.address).await.expect("the server listens");
        let mut config = InitiatorConfig::new(server.domain.clone(), purpose);
        config.policy.danger_no_binding = server.danger_no_binding;
        config.resource.clone_from(&how.resource);
        config.use_acks = how.acks;
        let stream = Initiator::new(config, Transport::Plain, seed());
        Self {
            connection: Some(Connection::from(tcp)),
            stream,
            jid: None,
            trust: server.trust.clone(),
            domain: server.domain.clone(),
        }
    }

    async fn pre_auth(&mut self, request: Element) {
        let id = request.attr("id").unwrap_or_default().to_owned();
        self.stream.send_element(&request);
        let answer = self
            .until("an answer before the login", |event| match event {
                InitiatorEvent::PreAuthIq(answer) if answer.attr("id") == Some(&id) => Some(answer),
                _ => None,
            })
            .await;
        assert_eq!(answer.attr("type"), Some("result"), "{id} refused: {}", answer.to_xml(ns::CLIENT));
    }

    async fn run_to_ready(&mut self) -> Result<(), LoginError> {
        let outcome = self
            .until("the login", |event| match event {
                InitiatorEvent::Ready { jid, .. } => Some(Ok(jid)),
                InitiatorEvent::LoginFailed(why) => Some(Err(why)),
                _ => None,
            })
            .await;
        self.jid = Some(outcome?);
        Ok(())
    }

    /// Ends the stream in order and waits for the server's end of it.
    pub async fn close(mut self) {
        self.stream.close();
        self.flush().await;
        let Some(mut connection) = self.connection.take() else { return };
        let drained = async { while let Ok(Some(_)) = connection.read_chunk().await {} };
        // A server that keeps the connection open has still read our end.
        let _ = tokio::time::timeout(Duration::from_secs(2), drained).await;
    }

    /// Returns the full address.
    ///
    /// # Panics
    ///
    /// Before the login.
    #[must_use]
    pub fn jid(&self) -> &Jid {
        self.jid.as_ref().expect("logged in")
    }

    /// Sends stanzas written as text.
    ///
    /// # Panics
    ///
    /// When the text is no XML or the connection is gone.
    pub async fn send(&mut self, xml: &str) {
        for frame in parse(xml) {
            assert!(self.stream.send(&frame, None), "the stream takes stanzas");
        }
        self.flush().await;
    }

    /// Asks the server to acknowledge, and waits for it.
    pub async fn sync(&mut self) {
        self.stream.request_ack();
        self.flush().await;
    }

    /// Returns the next stanza that `wanted` accepts; others are skipped.
    ///
    /// # Panics
    ///
    /// When none comes in time; `what` says what was expected.
    pub async fn expect(&mut self, what: &str, wanted: impl Fn(&Element) -> bool) -> Element {
        self.until(what, |event| match event {
            InitiatorEvent::Stanza(frame) => Some(frame.to_element()).filter(&wanted),
            _ => None,
        })
        .await
    }

    /// Sends a request and returns its answer.
    ///
    /// # Panics
    ///
    /// When no answer comes.
    pub async fn ask(&mut self, xml: &str) -> Element {
        let id = parse(xml).first().and_then(|f| f.attr("id").map(|id| id.into_owned())).expect("a request has an id");
        self.send(xml).await;
        self.expect("an answer", |stanza| stanza.name() == "iq" && stanza.attr("id") == Some(&id)).await
    }

    /// Takes events until `pick` returns something.
    async fn until<T>(&mut self, what: &str, pick: impl Fn(InitiatorEvent) -> Option<T>) -> T {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                while let Some(event) = self.stream.poll_event() {
                    match event {
                        InitiatorEvent::StartTls => self.start_tls().await,
                        InitiatorEvent::Ended(why) => panic!("the stream ended while waiting for {what}: {why:?}"),
                        InitiatorEvent::Stanza(_) => {
                            self.stream.handled(1);
                            if let Some(found) = pick(event) {
                                return found;
                            }
                        }
                        other => {
                            if let Some(found) = pick(other) {
                                return found;
                            }
                        }
                    }
                }
                self.flush().await;
                let connection = self.connection.as_mut().expect("connected");
                match connection.read_chunk().await {
                    Ok(Some(bytes)) => self.stream.handle_bytes(&bytes),
                    Ok(None) | Err(_) => self.stream.handle_eof(),
                }
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{what} did not come in {PATIENCE:?}"))
    }

    async fn start_tls(&mut self) {
        self.flush().await;
        let connection = self.connection.take().expect("connected");
        let tls = ClientTls::new(Service::Client, self.trust.clone());
        let (connection, facts) = connection.start_tls(&tls, &self.domain, None, 0).await.expect("TLS comes up");
        self.connection = Some(connection);
        self.stream.handle_tls(facts);
    }

    async fn flush(&mut self) {
        while let Some(bytes) = self.stream.poll_output() {
            let connection = self.connection.as_mut().expect("connected");
            connection.send(&bytes).await.expect("the connection takes bytes");
        }
    }

    /// Gives up the stream machine and returns the bare connection, for load that needs no machine.
    ///
    /// # Panics
    ///
    /// Before the connection is made.
    #[must_use]
    pub fn into_connection(self) -> Connection {
        self.connection.expect("connected")
    }
}

fn iq(kind: &str, id: &str) -> Element {
    Element::new("iq", ns::CLIENT).with_attr("type", kind).with_attr("id", id)
}

/// Reads stanzas written as text for a client stream.
///
/// # Panics
///
/// When the text is no XML.
#[must_use]
pub fn parse(xml: &str) -> Vec<Frame> {
    try_parse(xml).expect("the test's stanzas are XML")
}

/// Reads stanzas written as text for a client stream.
///
/// # Errors
///
/// When the text is no XML.
pub fn try_parse(xml: &str) -> Result<Vec<Frame>, XmlError> {
    let mut scanner = StreamScanner::new(Limits::SERVER);
    scanner.push(b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>");
    scanner.push(xml.as_bytes());
    let mut frames = Vec::new();
    while let Some(token) = scanner.poll()? {
        if let Token::Frame(frame) = token {
            frames.push(frame);
        }
    }
    Ok(frames)
}
