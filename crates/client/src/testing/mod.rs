//! A world in memory for tests: people with engines, one server behind them all, a clock that stands still until told.

mod ghost;
mod server;
mod stalling;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use crypto::random::SeededRandom;
use crypto::seal::{InstanceId, MasterKey};
use store::backend::memory::MemoryBackend;
use store::backend::{Backend, Batch, Change};
use store::{Store, block_on};
use xmpp::jid::BareJid;
use xmpp::stream::{DomainCheck, PeerCertificate, TlsFacts, TlsVersion, Transport};
use xmpp::time::{Clock, Moment, Timestamp};

use crate::command::{Command, InboxFilter, InboxSide, Reply, RequestId};
use crate::engine::{Engine, Origin};
use crate::environment::Environment;
use crate::error::{CommandError, EngineError};
use crate::event::{Content, Event, KeptNotice, Message, MessageId, MessageState};
use crate::output::{HttpFailure, HttpMethod, HttpOutcome, HttpRequest, Output, PrivateAddresses, SaveFile};

pub(crate) use ghost::Ghost;
pub(crate) use server::Server;
use stalling::{Stalled, StallingBackend};

/// The key of every server.
pub(crate) const PIN: [u8; 32] = [7; 32];

/// The time that passes, and by how much the wall clock is ahead of it.
pub(crate) struct TestClock(AtomicI64, AtomicI64);

impl TestClock {
    fn pass_to(&self, now: Timestamp) {
        self.0.store(now.as_millis() - self.1.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Sets the wall clock wrong by so many milliseconds. No time passes.
    pub(crate) fn set_wrong_by(&self, ahead: i64) {
        self.1.store(ahead, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed) + self.1.load(Ordering::Relaxed))
    }

    fn boot(&self) -> Option<([u8; 16], Duration)> {
        Some(([1; 16], Duration::from_millis(self.0.load(Ordering::Relaxed).unsigned_abs())))
    }

    fn moment(&self) -> Moment {
        Moment::from_millis(self.0.load(Ordering::Relaxed).unsigned_abs())
    }
}

pub(crate) fn tls() -> TlsFacts {
    TlsFacts {
        version: TlsVersion::Tls13,
        exporter: Some([9; 32]),
        server_end_point: None,
        peer_certificate: Some(PeerCertificate {
            verified_domain_check: DomainCheck::new(|_| true),
            chain: Vec::new(),
            spki_sha256: PIN,
        }),
    }
}

/// Somebody with a machine.
pub(crate) struct Person {
    pub(crate) backend: MemoryBackend,
    /// Whether the disk takes for ever to write.
    pub(crate) stalled: Stalled,
    /// Whether the program goes on when its store fails. Otherwise it dies.
    pub(crate) survives: bool,
    seed: u64,
    starts: u64,
    engine: Option<Engine>,
    pub(crate) events: Vec<Event>,
    pub(crate) saved: Vec<SaveFile>,
    /// Every connection that was wanted.
    pub(crate) plans: Vec<crate::output::ConnectPlan>,
    /// Whether there is no room for files.
    pub(crate) files_full: bool,
    pub(crate) requests: Vec<HttpRequest>,
    domain: String,
    connected: bool,
}

pub(crate) struct World {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) server: Server,
    pub(crate) people: Vec<Person>,
    seed: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let clock = Arc::new(TestClock(AtomicI64::new(1_800_000_000_000), AtomicI64::new(0)));
        Self { clock, server: Server::new(), people: Vec::new(), seed }
    }

    /// Adds a person with an empty machine.
    pub(crate) fn person(&mut self) -> usize {
        let seed = self.seed * 1000 + self.people.len() as u64;
        self.people.push(Person {
            backend: MemoryBackend::new(),
            stalled: Stalled::default(),
            survives: false,
            seed,
            starts: 0,
            engine: None,
            events: Vec::new(),
            saved: Vec::new(),
            plans: Vec::new(),
            files_full: false,
            requests: Vec::new(),
            domain: String::new(),
            connected: false,
        });
        let person = self.people.len() - 1;
        self.start(person, Origin::Same).unwrap();
        person
    }

    /// Starts the person's program on what the machine holds.
    pub(crate) fn start(&mut self, person: usize, origin: Origin) -> Result<(), EngineError> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let who = &mut self.people[person];
        who.starts += 1;
        who.backend.restart();
        let keys = SeededRandom::new(who.seed);
        let (master, instance) = (MasterKey::generate(&keys), InstanceId::generate(&keys));
        // Randomness never repeats, not even after a crash.
        let random = Arc::new(SeededRandom::new(who.seed * 1_000_003 + who.starts));
        let env = Environment::new(clock, random.clone());
        let backend = Arc::new(StallingBackend { inner: who.backend.clone(), stalled: who.stalled.clone() });
        let engine = block_on(async {
            let store = Store::open(backend, master, instance, random).await?;
            Engine::open(store, env, origin).await
        })?;
        who.engine = Some(engine);
        Ok(())
    }

    /// The program dies, as if by `kill -9`; the connection breaks.
    pub(crate) fn kill(&mut self, person: usize) {
        self.people[person].engine = None;
        self.people[person].connected = false;
        self.server.disconnect(person);
    }

    fn store_failed(&mut self, person: usize) {
        if !self.people[person].survives {
            self.kill(person);
        }
    }

    pub(crate) fn restart(&mut self, person: usize) {
        self.kill(person);
        self.start(person, Origin::Same).unwrap();
        self.command(person, Command::GoOnline).unwrap();
    }

    pub(crate) fn engine(&mut self, person: usize) -> &mut Engine {
        self.people[person].engine.as_mut().unwrap()
    }

    /// Gives a command and lets everything happen that follows.
    pub(crate) fn command(&mut self, person: usize, command: Command) -> Result<Reply, CommandError> {
        let reply = self.command_only(person, command);
        self.settle();
        reply
    }

    pub(crate) fn command_only(&mut self, person: usize, command: Command) -> Result<Reply, CommandError> {
        block_on(self.engine(person).command(command))
    }

    /// Moves bytes until nobody has anything to say. An engine whose store fails is dead.
    pub(crate) fn settle(&mut self) {
        self.server.set_now(self.clock.now());
        for _ in 0..10_000 {
            let mut busy = false;
            for person in 0..self.people.len() {
                busy |= self.step(person);
            }
            if !busy {
                return;
            }
        }
        panic!("the world does not settle");
    }

    fn step(&mut self, person: usize) -> bool {
        let mut busy = false;
        while let Some(output) = self.people[person].engine.as_mut().and_then(Engine::poll_output) {
            busy = true;
            let done = self.carry_out(person, output);
            if done.is_err() {
                self.store_failed(person);
                return true;
            }
        }
        while let Some(event) = self.people[person].engine.as_mut().and_then(Engine::poll_event) {
            self.people[person].events.push(event);
        }
        while let Some(bytes) = self.server.poll_output(person) {
            busy = true;
            let Some(engine) = self.people[person].engine.as_mut() else { return busy };
            if block_on(engine.handle_bytes(&bytes)).is_err() {
                if self.people[person].survives {
                    return true;
                }
                // What the engine has given out by now leaves the machine: it must not promise what was not saved.
                while let Some(output) = self.people[person].engine.as_mut().and_then(Engine::poll_output) {
                    if let Output::Bytes(bytes) = output {
                        self.server.handle_bytes(person, &bytes);
                    }
                }
                self.store_failed(person);
                return true;
            }
        }
        busy
    }

    fn carry_out(&mut self, person: usize, output: Output) -> Result<(), EngineError> {
        let who = &mut self.people[person];
        let Some(engine) = who.engine.as_mut() else { return Ok(()) };
        match output {
            Output::Connect(plan) => {
                who.plans.push(plan.clone());
                let is_dead = |at: &crate::output::Endpoint| self.server.dead_hosts.contains(&at.host);
                if !plan.addresses.is_empty() && plan.addresses.iter().all(is_dead) {
                    return block_on(engine.handle_connect_failed(crate::output::ConnectFailure::Unreachable));
                }
                if let Some(at) = plan.addresses.into_iter().find(|at| !is_dead(at)) {
                    engine.handle_place(at);
                }
                who.domain = plan.domain;
                who.connected = true;
                self.server.connect(person, &who.domain);
                block_on(engine.handle_connected(Transport::Tls(tls())))
            }
            Output::Bytes(bytes) => {
                self.server.handle_bytes(person, &bytes);
                Ok(())
            }
            Output::Disconnect => {
                who.connected = false;
                self.server.disconnect(person);
                Ok(())
            }
            Output::Http(request) => {
                let outcome = match request.method {
                    HttpMethod::Put => {
                        self.server.uploads.insert(request.url.clone(), request.body.to_vec());
                        HttpOutcome::Response { status: 201, body: Bytes::new() }
                    }
                    HttpMethod::Get
                        if self.server.uploads_private && request.private_addresses == PrivateAddresses::Refuse =>
                    {
                        HttpOutcome::Failed(HttpFailure::PrivateAddress)
                    }
                    HttpMethod::Get if self.server.uploads_down => HttpOutcome::Failed(HttpFailure::Network),
                    HttpMethod::Get => match self.server.uploads.get(&request.url) {
                        Some(body) => HttpOutcome::Response { status: 200, body: body.clone().into() },
                        None => HttpOutcome::Response { status: 404, body: Bytes::new() },
                    },
                };
                let id = request.id;
                who.requests.push(request);
                block_on(engine.handle_http(id, outcome))
            }
            Output::SaveFile(file) => {
                let (id, saved) = (file.id, !who.files_full);
                if saved {
                    who.saved.push(file);
                }
                block_on(engine.handle_saved(id, saved))
            }
            Output::StartTls => Ok(()),
            Output::AdvanceGeneration => {
                let engine = self.engine(person);
                let counted = block_on(async {
                    let generation = engine.store.generation().await?;
                    engine.store.set_generation(generation + 1).await
                });
                match counted {
                    Ok(()) => block_on(engine.handle_generation()),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// Lets time pass; timers that come due on the way ring in their order.
    pub(crate) fn advance(&mut self, by: Duration) {
        let until = self.clock.now() + by;
        loop {
            let next = self.people.iter().filter_map(|p| p.engine.as_ref()?.next_timeout()).min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.clock.pass_to(next.max(self.clock.now()));
            for person in 0..self.people.len() {
                if let Some(engine) = self.people[person].engine.as_mut()
                    && block_on(engine.handle_timeout()).is_err()
                {
                    self.store_failed(person);
                }
            }
            self.settle();
        }
        self.clock.pass_to(until);
        self.settle();
    }

    /// Breaks a person's connection, and tells the engine.
    pub(crate) fn cut(&mut self, person: usize) {
        self.server.disconnect(person);
        self.people[person].connected = false;
        block_on(self.engine(person).handle_disconnected()).unwrap();
        self.settle();
    }

    /// Registers a person by a fresh invitation of the server.
    pub(crate) fn join(&mut self, name: &str, domain: &str) -> usize {
        let person = self.person();
        let token = self.server.token();
        let pin = xep::encoding::base64url(&PIN);
        let link = format!("xmpp:{domain}?register;preauth={token};wx-pin={pin};wx-at=127.0.0.1:5222");
        self.command(person, Command::Join { link, name: Some(name.to_owned()) }).unwrap();
        assert!(self.server.has_account(&format!("{name}@{domain}")));
        person
    }

    /// Two people on two servers, the second added the first by an invite link.
    pub(crate) fn alice_and_bob(seed: u64) -> (Self, usize, usize) {
        let mut world = Self::new(seed);
        let alice = world.join("alice", "north.example");
        let bob = world.join("bob", "south.example");
        let link = world.invite_of(alice);
        world.command(bob, Command::Add { link, name: None }).unwrap();
        (world, alice, bob)
    }

    pub(crate) fn invite_of(&mut self, person: usize) -> String {
        let Reply::Accepted(request) = self.command(person, Command::Invite).unwrap() else { panic!() };
        match self.outcome(person, request) {
            Some(Ok(crate::command::Outcome::Invited { link, .. })) => link,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn outcome(
        &self,
        person: usize,
        wanted: RequestId,
    ) -> Option<Result<crate::command::Outcome, crate::Failure>> {
        self.people[person].events.iter().find_map(|event| match event {
            Event::Done { request, outcome } if *request == wanted => Some(outcome.clone()),
            _ => None,
        })
    }

    pub(crate) fn say(&mut self, person: usize, who: &str, text: &str) -> MessageId {
        match self.command(person, Command::Say { who: who.into(), text: text.into() }).unwrap() {
            Reply::Saved { message, .. } => message,
            other => panic!("{other:?}"),
        }
    }

    /// What lies in a person's inbox, oldest first.
    pub(crate) fn inbox(&mut self, person: usize, from: InboxSide) -> Vec<Message> {
        let filter = InboxFilter { from, unread_only: false, limit: 1000 };
        match self.command_only(person, Command::Inbox(filter)).unwrap() {
            Reply::Messages(messages) => messages,
            other => panic!("{other:?}"),
        }
    }

    /// The texts that a person has received from contacts.
    pub(crate) fn received(&mut self, person: usize) -> Vec<String> {
        self.texts(person, InboxSide::Contacts)
    }

    pub(crate) fn texts(&mut self, person: usize, from: InboxSide) -> Vec<String> {
        let incoming = |m: &Message| m.state == MessageState::Received;
        self.inbox(person, from)
            .into_iter()
            .filter(incoming)
            .map(|message| match message.content {
                Content::Text(text) => text,
                Content::File(file) => format!("file {}", file.name),
            })
            .collect()
    }

    pub(crate) fn state(&mut self, person: usize, who: &str, id: &MessageId) -> MessageState {
        let command = Command::History { who: who.into(), before: None, limit: 1000 };
        let Reply::Messages(messages) = self.command_only(person, command).unwrap() else { panic!() };
        messages.into_iter().find(|m| m.id == *id).unwrap().state
    }

    pub(crate) fn contact(&mut self, person: usize, address: &str) -> Option<crate::event::Contact> {
        let jid = BareJid::parse(address).unwrap();
        let mut all = Vec::new();
        for command in [Command::Contacts, Command::Requests] {
            let Reply::Contacts(contacts) = self.command_only(person, command).unwrap() else { panic!() };
            all.extend(contacts);
        }
        all.into_iter().find(|contact| contact.address == jid)
    }

    /// What a person has not seen yet.
    pub(crate) fn notices(&mut self, person: usize) -> Vec<KeptNotice> {
        match self.command_only(person, Command::Notices).unwrap() {
            Reply::Notices(notices) => notices,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn is_running(&self, person: usize) -> bool {
        self.people[person].engine.is_some()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn account_state(&mut self, person: usize) -> crate::event::AccountState {
        match self.command_only(person, Command::Status).unwrap() {
            Reply::Status(status) => status.account,
            other => panic!("{other:?}"),
        }
    }

    /// The devices that an account shows for OMEMO 2.
    pub(crate) fn device_ids(&mut self, address: &str) -> Vec<u32> {
        let node = &self.server.nodes(address)["urn:xmpp:omemo:2:devices"];
        let list = node.last().unwrap().payload.as_ref().unwrap();
        xep::omemo::DeviceList::parse(list).unwrap().1.ids().collect()
    }

    /// Lets the bot of the example have its turn.
    pub(crate) fn echo(&mut self, person: usize) {
        let engine = self.people[person].engine.as_mut().unwrap();
        let outputs = block_on(crate::echo_bot_example::turn(engine)).unwrap();
        for output in outputs {
            self.carry_out(person, output).unwrap();
        }
        self.settle();
    }

    /// Moves bytes without taking a person's events away.
    pub(crate) fn settle_leaving_events(&mut self, person: usize) {
        let before = self.people[person].events.len();
        self.settle();
        let events = self.people[person].events.split_off(before);
        for event in events {
            self.engine(person).emit(event);
        }
    }

    /// Takes a copy of a person's disk.
    pub(crate) fn backup(&self, person: usize) -> MemoryBackend {
        let copy = MemoryBackend::new();
        let changes = self.people[person].backend.raw_rows().into_iter().map(Change::Put).collect();
        block_on(copy.commit(Batch { changes, ..Batch::default() })).unwrap();
        copy
    }
}
