//! [`Engine`]: the state of one profile, and the doors through which the world and the user reach it.

mod connection;
mod queries;
mod route;
mod service;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use crypto::omemo::Device;
use store::{ClockGuard, ClockVerdict, Store};
use xmpp::jid::BareJid;
use xmpp::stream::{TlsFacts, Transport};
use xmpp::time::Timestamp;

pub(crate) use connection::Connection;
pub(crate) use queries::{Answer, Queries, Question, Republish};

use crate::Command;
use crate::account::{Account, Registering};
use crate::command::{Outcome, Reply, RequestId};
use crate::contacts::WrittenTo;
use crate::devices::Fetches;
use crate::downloads::Downloads;
use crate::environment::Environment;
use crate::error::{CommandError, EngineError, Failure};
use crate::event::{AccountState, Event};
use crate::migrations::MIGRATIONS;
use crate::output::{ConnectFailure, Endpoint, HttpId, HttpOutcome, Output, SaveId};
use crate::own_device::Publishing;
use crate::receipts::DueReceipt;
use crate::transfers::Transfers;
use crate::witness::Witnessing;

/// Whether a store is the one that its key file was last used with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is.
    Same,
    /// It is a copy, or was put back: keys in it may be in use elsewhere, so this device makes itself new ones.
    Copied,
}

/// One person's profile: an account, its contacts and conversations, and the connection to its server.
pub struct Engine {
    pub(crate) store: Store,
    pub(crate) env: Environment,
    /// What is thought of the wall clock.
    pub(crate) clock: ClockGuard,
    pub(crate) account: Option<Account>,
    /// The private keys of this device; there as soon as there is an account.
    pub(crate) device: Option<Device>,
    pub(crate) connection: Connection,
    pub(crate) account_state: AccountState,
    pub(crate) registering: Option<Registering>,
    pub(crate) queries: Queries,
    pub(crate) fetches: Fetches,
    pub(crate) transfers: Transfers,
    pub(crate) downloads: Downloads,
    /// Receipts that could not be sealed yet.
    pub(crate) receipts_due: Vec<DueReceipt>,
    /// Those who became contacts only because the user wrote to them.
    pub(crate) written_to: HashMap<BareJid, WrittenTo>,
    /// Waiting messages are tried again then.
    pub(crate) retry_waiting_at: HashMap<BareJid, Timestamp>,
    outputs: VecDeque<Output>,
    events: VecDeque<Event>,
    next_request: u64,
    next_http: u64,
    /// The day on which the own keys were last looked after.
    pub(crate) maintained_day: Option<i64>,
    pub(crate) publishing: Publishing,
    pub(crate) witnessing: Witnessing,
    /// The rows of the outbox: what the server has not acknowledged.
    pub(crate) outbox_open: BTreeSet<u64>,
    /// Those of them that have been sent on this connection.
    pub(crate) outbox_sent: BTreeSet<u64>,
    /// Whether they go one by one, because the server has ended a connection over one of them.
    pub(crate) outbox_careful: bool,
}

impl Engine {
    /// Opens the profile that `store` holds, or an empty one. Nothing is connected before [`Command::GoOnline`],
    /// [`Command::Join`] or [`Command::Login`]: a verb that merely reads does not connect.
    ///
    /// # Errors
    ///
    /// [`EngineError`] when the store cannot be read, or was written by a newer version.
    pub async fn open(store: Store, env: Environment, origin: Origin) -> Result<Self, EngineError> {
        store.migrate(MIGRATIONS).await?;
        let clock = ClockGuard::new(store.clone());
        clock.look(env.clock_reading()).await?;
        let mut engine = Self {
            store,
            env,
            clock,
            account: None,
            device: None,
            connection: Connection::default(),
            account_state: AccountState::None,
            registering: None,
            queries: Queries::default(),
            fetches: Fetches::default(),
            transfers: Transfers::default(),
            downloads: Downloads::default(),
            receipts_due: Vec::new(),
            written_to: HashMap::new(),
            retry_waiting_at: HashMap::new(),
            outputs: VecDeque::new(),
            events: VecDeque::new(),
            next_request: 1,
            next_http: 1,
            maintained_day: None,
            publishing: Publishing::default(),
            witnessing: Witnessing::default(),
            outbox_open: BTreeSet::new(),
            outbox_sent: BTreeSet::new(),
            outbox_careful: false,
        };
        engine.load_account(origin).await?;
        engine.output(Output::AdvanceGeneration);
        Ok(engine)
    }

    /// Does what the user wants, or says why not.
    ///
    /// # Errors
    ///
    /// [`CommandError`]; nothing has changed then.
    pub async fn command(&mut self, command: Command) -> Result<Reply, CommandError> {
        let reply = self.dispatch(command).await;
        self.flush();
        reply
    }

    async fn dispatch(&mut self, command: Command) -> Result<Reply, CommandError> {
        match command {
            Command::Join { link, name } => self.join(&link, name.as_deref()).await,
            Command::Login(login) => self.login(login).await,
            Command::GoOnline => self.go_online(),
            Command::GoOffline => Ok(self.go_offline()),
            Command::ChangePassword { new } => self.change_password(new).await,
            Command::DeleteAccount => self.delete_account(),
            Command::AcceptClock => {
                self.clock.accept(self.env.clock_reading()).await?;
                Ok(Reply::Nothing)
            }
            Command::Status => self.status().await.map(Reply::Status),
            Command::Invite => self.invite(),
            Command::Add { link, name } => self.add(&link, name).await,
            Command::Contacts => self.contacts().await.map(Reply::Contacts),
            Command::Requests => self.requests().await.map(Reply::Contacts),
            Command::Accept { who } => self.accept(&who).await,
            Command::Block { who } => self.block(&who).await,
            Command::Remove { who } => self.remove(&who).await,
            Command::Rename { who, name } => self.rename(&who, name).await,
            Command::GrantPresence { who } => self.grant_presence(&who).await,
            Command::RevokePresence { who } => self.revoke_presence(&who).await,
            Command::Receipts { who, on } => self.set_receipts(who.as_deref(), on).await,
            Command::Number { who } => self.number(&who).await.map(Reply::Number),
            Command::Verify { who, proof } => self.verify(&who, &proof).await,
            Command::AcceptChange { who } => self.accept_change(&who).await,
            Command::Devices { who, to_show } => self.devices(who.as_deref(), to_show).await.map(Reply::Devices),
            Command::DecideDevice { who, device, fingerprint, decision } => {
                self.decide_device(who.as_deref(), device, fingerprint.as_deref(), decision).await
            }
            Command::Say { who, text } => self.say(&who, text).await,
            Command::SendFile { who, name, media_type, bytes } => self.send_file(&who, &name, media_type, bytes).await,
            Command::WantedFiles => self.wanted_files().await.map(Reply::Messages),
            Command::Fetch { who, message } => self.fetch_file(&who, &message).await,
            Command::History { who, before, limit } => self.history(&who, before, limit).await.map(Reply::Messages),
            Command::Inbox(filter) => self.inbox(filter).await.map(Reply::Messages),
            Command::MarkRead { who } => self.mark_read(&who).await,
            Command::Notices => self.notices().await.map(Reply::Notices),
            Command::NoticesSeen { up_to } => self.notices_seen(up_to).await,
            Command::Retry { who, message } => self.retry(&who, &message).await,
            Command::Outbox => self.outbox().await.map(Reply::Outbox),
            Command::RetryMessage { id } => self.retry_message(&id).await,
            Command::RetryAll => self.retry_all().await,
            Command::CancelMessage { id } => self.cancel_message(&id).await,
        }
    }

    /// The connection asked for by [`Output::Connect`] is open; `transport` tells whether TLS is up already.
    ///
    /// # Errors
    ///
    /// [`EngineError`] when the store failed; the connection is given up then, and what was not saved comes again.
    pub async fn handle_connected(&mut self, transport: Transport) -> Result<(), EngineError> {
        self.connected(transport).await?;
        self.drive().await
    }

    /// The connection that is about to be told of by [`Engine::handle_connected`] was opened at this address of the plan. It
    /// is tried first from now on, if it leads to a session.
    pub fn handle_place(&mut self, place: Endpoint) {
        self.connection.opened_at = Some(place);
    }

    /// No connection could be opened.
    ///
    /// # Errors
    ///
    /// As [`Engine::handle_connected`].
    pub async fn handle_connect_failed(&mut self, reason: ConnectFailure) -> Result<(), EngineError> {
        self.connect_failed(reason).await
    }

    /// TLS is up, after [`Output::StartTls`].
    ///
    /// # Errors
    ///
    /// As [`Engine::handle_connected`].
    pub async fn handle_tls(&mut self, facts: TlsFacts) -> Result<(), EngineError> {
        self.tls_up(facts).await?;
        self.drive().await
    }

    /// Bytes arrived.
    ///
    /// # Errors
    ///
    /// As [`Engine::handle_connected`].
    pub async fn handle_bytes(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        self.received(bytes);
        self.drive().await
    }

    /// The connection is gone.
    ///
    /// # Errors
    ///
    /// As [`Engine::handle_connected`].
    pub async fn handle_disconnected(&mut self) -> Result<(), EngineError> {
        self.connection_lost();
        self.drive().await
    }

    /// An HTTPS request has ended.
    ///
    /// # Errors
    ///
    /// As [`Engine::handle_connected`].
    pub async fn handle_http(&mut self, id: HttpId, outcome: HttpOutcome) -> Result<(), EngineError> {
        let handled = self.http_done(id, outcome).await;
        self.flush();
        handled
    }

    /// The file of [`Output::SaveFile`] lies at its place, or could not be saved.
    ///
    /// # Errors
    ///
    /// As [`Engine::handle_connected`].
    pub async fn handle_saved(&mut self, id: SaveId, saved: bool) -> Result<(), EngineError> {
        self.save_ended(id, saved).await
    }

    /// The time of [`Engine::next_timeout`] has come; too early does no harm.
    ///
    /// # Errors
    ///
    /// As [`Engine::handle_connected`].
    pub async fn handle_timeout(&mut self) -> Result<(), EngineError> {
        self.timeout().await?;
        self.drive().await
    }

    /// When to call [`Engine::handle_timeout`] next, if at all.
    pub fn next_timeout(&self) -> Option<Timestamp> {
        let waiting = self.retry_waiting_at.values().min().copied().filter(|_| self.is_online());
        let look_up = self.fetches.look_ups.next_timeout().filter(|_| self.is_online());
        let fetches = self.downloads.next_timeout().filter(|_| self.is_online());
        let own = [self.connection.next_timeout(), self.queries.next_timeout(), self.next_look_at_keys()];
        own.into_iter().chain([waiting, look_up, fetches]).flatten().min()
    }

    /// Whether nothing is under way that is worth waiting for before the program ends: online, that every question is
    /// answered and everything that was sent is acknowledged; offline, always.
    pub fn is_settled(&self) -> bool {
        let is_moving = self.transfers.is_busy() || self.downloads.is_busy();
        !self.is_online() || (self.queries.is_empty() && self.outbox_open.is_empty() && !is_moving)
    }

    /// The next thing to do in the world.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The next thing to tell the user.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(crate) fn emit(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn set_account_state(&mut self, state: AccountState) {
        if self.account_state != state {
            self.account_state = state.clone();
            self.emit(Event::Account(state));
        }
    }

    pub(crate) fn new_request(&mut self) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        id
    }

    pub(crate) fn new_http(&mut self) -> HttpId {
        let id = HttpId(self.next_http);
        self.next_http += 1;
        id
    }

    pub(crate) fn done(&mut self, request: RequestId, outcome: Result<Outcome, Failure>) {
        self.emit(Event::Done { request, outcome });
    }

    /// Returns the address of the account.
    pub(crate) fn own(&self) -> Result<BareJid, CommandError> {
        self.account.as_ref().map(|account| account.jid.clone()).ok_or(CommandError::NoAccount)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.env.now()
    }

    /// The date by which things come to their end: the wall clock's while it is believed, else the one that was believed
    /// last and what has passed since (B10).
    pub(crate) fn date(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.time_ms_since_look(self.env.clock_reading()))
    }

    /// Whether keys may be erased and renewed by the date.
    pub(crate) async fn believes_clock(&self) -> Result<bool, EngineError> {
        Ok(self.clock.look(self.env.clock_reading()).await? == ClockVerdict::Believed)
    }

    /// Seconds, as the cryptography counts them.
    pub(crate) fn now_secs(&self) -> u64 {
        u64::try_from(self.date().as_secs()).unwrap_or(0)
    }

    pub(crate) fn after(&self, wait: Duration) -> Timestamp {
        self.now() + wait
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engine({:?})", self.account_state)
    }
}
