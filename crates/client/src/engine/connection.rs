//! The connection to the own server: dialling, the stream, staying connected, and what of it a failure means.

use std::time::Duration;

use xmpp::jid::Jid;
use xmpp::sasl::SaslCondition;
use xmpp::sasl::select::SelectError;
use xmpp::stream::c2s::{Initiator, InitiatorConfig, InitiatorEvent, LoginError};
use xmpp::stream::{Ending, Seed, StreamCondition, TlsFacts, Transport};
use xmpp::time::Timestamp;
use xmpp::xml::{Element, Frame};

use super::{Engine, Question};
use crate::error::{EngineError, Failure};
use crate::event::{AccountState, Event};
use crate::output::{ConnectFailure, ConnectPlan, Endpoint, Output, ServerIdentity};

/// The first and the longest pause between attempts to connect.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(120);
/// After so much silence the connection is checked (XEP-0199), and given up when nothing comes within `ANSWER_WAIT`.
const SILENCE_MAX: Duration = Duration::from_secs(240);
/// With something in the outbox, one wants to know sooner.
const SILENCE_MAX_BUSY: Duration = Duration::from_secs(20);
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// How long a stream may take until it is ready.
const LOGIN_WAIT: Duration = Duration::from_secs(60);

/// How the engine is connected.
#[derive(Default)]
pub(crate) struct Connection {
    state: State,
    /// The address that the connection was opened at, where the plan named some.
    pub(crate) opened_at: Option<Endpoint>,
    /// Attempts since a session got as far as [`Engine::note_session_works`].
    failures: u32,
}

#[derive(Default)]
enum State {
    /// Not connected, and not trying.
    #[default]
    Off,
    /// Waiting to try again.
    Pausing { until: Timestamp },
    /// `Output::Connect` is out.
    Dialling,
    /// There is a connection.
    Up(Box<Live>),
}

struct Live {
    stream: Initiator,
    /// Known once the stream is ready.
    session: Option<Session>,
    /// When to do something about silence.
    watch_at: Timestamp,
    /// A check is under way: the next silence is the end.
    checking: bool,
}

struct Session {
    jid: Jid,
    /// Whether the server acknowledges stanzas (XEP-0198).
    acks: bool,
    /// Whether everything that had waited at the server has come.
    caught_up: bool,
}

impl Connection {
    pub(crate) fn next_timeout(&self) -> Option<Timestamp> {
        match &self.state {
            State::Off | State::Dialling => None,
            State::Pausing { until } => Some(*until),
            State::Up(live) => Some(live.watch_at),
        }
    }

    /// Takes the stream when there is one.
    pub(crate) fn stream(&mut self) -> Option<&mut Initiator> {
        match &mut self.state {
            State::Up(live) => Some(&mut live.stream),
            _ => None,
        }
    }

    fn session(&self) -> Option<&Session> {
        match &self.state {
            State::Up(live) => live.session.as_ref(),
            _ => None,
        }
    }
}

impl Engine {
    /// Whether stanzas can be sent.
    pub(crate) fn is_online(&self) -> bool {
        self.connection.session().is_some()
    }

    /// The full address of this session.
    pub(crate) fn full_jid(&self) -> Option<Jid> {
        self.connection.session().map(|session| session.jid.clone())
    }

    /// Whether the server acknowledges stanzas by itself.
    pub(crate) fn has_acks(&self) -> bool {
        self.connection.session().is_some_and(|session| session.acks)
    }

    /// Whether what arrives may have waited at the server.
    pub(crate) fn is_catching_up(&self) -> bool {
        self.connection.session().is_some_and(|session| !session.caught_up)
    }

    pub(crate) fn note_caught_up(&mut self) {
        if let State::Up(live) = &mut self.connection.state
            && let Some(session) = &mut live.session
        {
            session.caught_up = true;
            self.emit(Event::CaughtUp);
        }
    }

    /// The next pauses are short again once everything that had waited is here and in the store, and the own keys as well.
    /// Signing in alone says nothing: with a full or read-only disk it would succeed every second, for ever.
    pub(crate) fn note_session_works(&mut self) {
        if self.fetches.own_device_checked && self.is_online() && !self.is_catching_up() {
            self.connection.failures = 0;
        }
    }

    /// Whether there is a connection, or one is wanted.
    pub(crate) fn is_connecting_or_connected(&self) -> bool {
        !matches!(self.connection.state, State::Off)
    }

    /// Begins to connect, unless that is under way.
    pub(crate) fn connect(&mut self) {
        let Some(account) = &self.account else { return };
        if matches!(self.connection.state, State::Off | State::Pausing { .. }) {
            let plan = ConnectPlan {
                domain: account.jid.domainpart().to_owned(),
                addresses: account.places(),
                identity: account.server_identity(),
            };
            self.connection.state = State::Dialling;
            self.connection.opened_at = None;
            self.set_account_state(AccountState::Connecting);
            self.output(Output::Connect(plan));
        }
    }

    /// Ends the connection and stays so.
    pub(crate) fn disconnect(&mut self) {
        let old = std::mem::take(&mut self.connection.state);
        if let State::Up(mut live) = old {
            live.stream.close();
            if let Some(bytes) = live.stream.poll_output() {
                self.output(Output::Bytes(bytes));
            }
            self.output(Output::Disconnect);
        }
        self.forget_session();
        self.set_account_state(if self.account.is_some() { AccountState::Offline } else { AccountState::None });
    }

    /// Sends a stanza; `number`, where its loss matters, comes back when it is acknowledged. `false` without a session.
    pub(crate) fn send_stanza(&mut self, stanza: &Element, number: Option<u64>) -> bool {
        self.send_frame(&Frame::from_element(stanza, xmpp::ns::CLIENT), number)
    }

    /// Sends a stanza as it was written before.
    pub(crate) fn send_frame(&mut self, frame: &Frame, number: Option<u64>) -> bool {
        match &mut self.connection.state {
            State::Up(live) if live.session.is_some() => live.stream.send(frame, number),
            _ => false,
        }
    }

    /// Hands the stream's bytes out.
    pub(crate) fn flush(&mut self) {
        if let State::Up(live) = &mut self.connection.state
            && let Some(bytes) = live.stream.poll_output()
        {
            self.output(Output::Bytes(bytes));
        }
    }

    pub(super) async fn connected(&mut self, transport: Transport) -> Result<(), EngineError> {
        let Some(account) = self.account.as_ref().filter(|_| matches!(self.connection.state, State::Dialling)) else {
            return Ok(());
        };
        if let Transport::Tls(facts) = &transport
            && !account.accepts(facts)
        {
            return self.refuse_server().await;
        }
        let mut config = InitiatorConfig::new(account.jid.domainpart(), account.purpose());
        config.resource = Some(account.row.resource.clone());
        config.policy = account.login_policy();
        let stream = Initiator::new(config, transport, Seed::new(self.env.bytes()));
        let watch_at = self.after(LOGIN_WAIT);
        self.connection.state = State::Up(Box::new(Live { stream, session: None, watch_at, checking: true }));
        Ok(())
    }

    pub(super) async fn tls_up(&mut self, facts: TlsFacts) -> Result<(), EngineError> {
        if self.account.as_ref().is_some_and(|account| !account.accepts(&facts)) {
            return self.refuse_server().await;
        }
        if let State::Up(live) = &mut self.connection.state {
            live.stream.handle_tls(facts);
        }
        Ok(())
    }

    /// The program around checks certificates; the pin is checked here as well, because everything hangs on it.
    async fn refuse_server(&mut self) -> Result<(), EngineError> {
        self.output(Output::Disconnect);
        self.login_impossible(self.not_the_server()).await
    }

    /// What a server is that could not prove itself: by a link, another one than it names; otherwise one without a
    /// certificate that counts.
    fn not_the_server(&self) -> Failure {
        let by_link = self.account.as_ref().is_some_and(|a| a.server_identity() != ServerIdentity::PublicCertificate);
        if by_link { Failure::OtherServer } else { Failure::NotTrusted }
    }

    pub(super) fn received(&mut self, bytes: &[u8]) {
        let (now, busy) = (self.now(), self.transfers.is_busy() || self.downloads.is_busy() || self.has_outbox());
        if let State::Up(live) = &mut self.connection.state {
            if live.session.is_some() {
                live.watch_at = now + if busy { SILENCE_MAX_BUSY } else { SILENCE_MAX };
                live.checking = false;
            }
            live.stream.handle_bytes(bytes);
        }
    }

    /// Something was sent whose acknowledgement matters: silence is noticed soon.
    pub(crate) fn expect_sign_of_life(&mut self) {
        let soon = self.after(SILENCE_MAX_BUSY);
        if let State::Up(live) = &mut self.connection.state
            && live.session.is_some()
        {
            live.watch_at = live.watch_at.min(soon);
        }
    }

    pub(super) fn connection_lost(&mut self) {
        match &mut self.connection.state {
            State::Up(live) => live.stream.handle_eof(),
            State::Dialling => {
                if !self.end_trial(Failure::Disconnected) {
                    self.pause();
                }
            }
            State::Off | State::Pausing { .. } => {}
        }
    }

    pub(super) async fn connect_failed(&mut self, reason: ConnectFailure) -> Result<(), EngineError> {
        // A server may also fail to prove itself when TLS starts on a connection that is open.
        let is_starting = matches!(&self.connection.state, State::Up(live) if live.session.is_none());
        if !is_starting && !matches!(self.connection.state, State::Dialling) {
            return Ok(());
        }
        match reason {
            ConnectFailure::NotTrusted => self.login_impossible(self.not_the_server()).await,
            ConnectFailure::Tls => self.login_impossible(Failure::NoSafeConnection).await,
            ConnectFailure::NoSuchServer if self.registering.is_some() => {
                self.login_impossible(Failure::NoSuchServer).await
            }
            ConnectFailure::NoSuchServer | ConnectFailure::Unreachable => {
                if self.end_trial(Failure::Disconnected) {
                    return Ok(());
                }
                self.pause();
                Ok(())
            }
        }
    }

    /// Waits before the next attempt: twice as long each time, and never exactly when everybody else comes back.
    fn pause(&mut self) {
        let attempt = self.connection.failures.min(7);
        self.connection.failures = self.connection.failures.saturating_add(1);
        let wait = RETRY_MIN.saturating_mul(1 << attempt).min(RETRY_MAX);
        let jitter = u32::from(self.env.bytes::<1>()[0]);
        let until = self.after(wait + wait.saturating_mul(jitter) / 512);
        self.connection.state = State::Pausing { until };
        self.forget_session();
        self.set_account_state(AccountState::Connecting);
    }

    /// Stops trying: only the user can help.
    pub(crate) async fn login_impossible(&mut self, failure: Failure) -> Result<(), EngineError> {
        if self.end_trial(failure) {
            return Ok(());
        }
        self.connection.state = State::Off;
        self.forget_session();
        self.set_account_state(AccountState::Refused(failure));
        self.fail_sign_in(failure).await
    }

    /// Connects anew at once.
    pub(crate) fn reconnect(&mut self) {
        self.disconnect();
        self.connect();
    }

    fn forget_session(&mut self) {
        for question in self.queries.take_all() {
            self.question_lost(question);
        }
        self.fetches.forget_session();
        self.witnessing.forget_session();
        self.outbox_sent.clear();
    }

    pub(super) async fn timeout(&mut self) -> Result<(), EngineError> {
        let now = self.now();
        for question in self.queries.take_overdue(now) {
            self.handle_answer(question, super::Answer::Lost).await?;
        }
        match &mut self.connection.state {
            State::Pausing { until } if *until <= now => self.connect(),
            State::Up(live) if live.watch_at <= now => {
                if live.checking {
                    live.stream.handle_eof();
                    self.output(Output::Disconnect);
                } else {
                    live.checking = true;
                    live.watch_at = now + ANSWER_WAIT;
                    self.ask("get", None, Element::new("ping", xep::ping::NS), Question::KeepAlive);
                }
            }
            _ => {}
        }
        self.look_up_again();
        self.maintain_daily().await?;
        if self.downloads.are_due(now) {
            self.retry_downloads(now).await?;
        }
        self.look_at_keys(now).await?;
        self.retry_waiting(now).await
    }

    /// Lets the stream tell what happened, until it has nothing more to tell.
    pub(super) async fn drive(&mut self) -> Result<(), EngineError> {
        while let Some(event) = self.connection.stream().and_then(Initiator::poll_event) {
            if let Err(error) = self.stream_event(event).await {
                // What was not saved was not acknowledged either: the server keeps it until we are back.
                self.output(Output::Disconnect);
                self.pause();
                return Err(error);
            }
        }
        self.flush();
        Ok(())
    }

    async fn stream_event(&mut self, event: InitiatorEvent) -> Result<(), EngineError> {
        match event {
            InitiatorEvent::StartTls => {
                self.flush();
                self.output(Output::StartTls);
            }
            InitiatorEvent::ReadyToRegister => self.ready_to_register(),
            InitiatorEvent::PreAuthIq(iq) => self.registration_answer(&iq).await?,
            InitiatorEvent::Authenticated { form, .. } => self.authenticated(form).await?,
            InitiatorEvent::LoginFailed(error) => self.login_failed(&error).await?,
            InitiatorEvent::BindFailed(_) => {}
            InitiatorEvent::Ready { jid, acks } => {
                self.session_ready(jid, acks);
                self.start_session().await?;
            }
            InitiatorEvent::Acknowledged(numbers) => self.acknowledged(&numbers).await?,
            InitiatorEvent::Stanza(frame) => {
                self.handle_stanza(frame.to_element()).await?;
                // Only now is it ours: everything it changed has been committed (C04).
                if let Some(stream) = self.connection.stream() {
                    stream.handled(1);
                }
            }
            InitiatorEvent::Ended(ending) => self.stream_ended(&ending).await?,
            _ => {}
        }
        Ok(())
    }

    fn session_ready(&mut self, jid: Jid, acks: bool) {
        let watch_at = self.after(SILENCE_MAX);
        if let State::Up(live) = &mut self.connection.state {
            live.session = Some(Session { jid, acks, caught_up: false });
            live.watch_at = watch_at;
            live.checking = false;
        }
        self.set_account_state(AccountState::Online);
    }

    async fn stream_ended(&mut self, ending: &Ending) -> Result<(), EngineError> {
        self.flush();
        if !matches!(self.connection.state, State::Up(_)) {
            return Ok(());
        }
        self.output(Output::Disconnect);
        if let Ending::PeerError(condition) = ending {
            self.outbox_blamed(*condition).await?;
        }
        match ending {
            Ending::PeerError(StreamCondition::Conflict) => self.login_impossible(Failure::Replaced).await,
            Ending::PeerError(StreamCondition::HostUnknown | StreamCondition::HostGone) => {
                self.login_impossible(Failure::NoSuchServer).await
            }
            _ => {
                if !self.end_trial(Failure::Disconnected) {
                    self.pause();
                }
                Ok(())
            }
        }
    }

    /// A password that somebody has just typed is wrong; one that was good before has been changed, or the account is gone.
    fn refused_password(&self) -> Failure {
        let was_good = self.account.as_ref().is_some_and(|account| account.has_been_online());
        if was_good && self.registering.is_none() { Failure::NoLongerAccepted } else { Failure::WrongPassword }
    }

    async fn login_failed(&mut self, error: &LoginError) -> Result<(), EngineError> {
        if self.try_other_password().await? {
            return Ok(());
        }
        let failure = match error {
            LoginError::Select(SelectError::EveryBindingRefused) => Failure::BindingRefused,
            LoginError::Select(_) => Failure::NoSafeLogin,
            LoginError::Refused { condition: SaslCondition::TemporaryAuthFailure, .. } => {
                if self.end_trial(Failure::ServerTimeout) {
                    return Ok(());
                }
                self.output(Output::Disconnect);
                self.pause();
                return Ok(());
            }
            LoginError::Refused { .. } if self.unregister_shown_by_refusal().await? => return Ok(()),
            LoginError::Refused { .. } => self.refused_password(),
            _ => Failure::ServerNotProved,
        };
        self.flush();
        self.output(Output::Disconnect);
        self.login_impossible(failure).await
    }
}
