//! A world in memory: brokers, clients and the links between them, without sockets, in virtual time.
//!
//! Everything is driven by hand from one thread, so that a test says exactly what happens when: [`World::settle`] lets
//! all bytes that are on their way arrive, [`World::advance`] lets time pass, [`World::freeze`] makes a client deaf,
//! [`World::cut`] ends its connection, [`World::crash`] kills a broker as `kill -9` would and starts it again on what was
//! on its disk. The same seed gives the same run.

mod client;
mod link;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crypto::Secret;
use crypto::random::SeededRandom;
use crypto::seal::{InstanceId, MasterKey};
use prost::Message;
use store::Store;
use store::backend::memory::MemoryBackend;
use store::backend::{Backend, Batch, Change, KeyRange, Row};
use xmpp::sasl::{Hash, ScramVerifier};
use xmpp::stream::{DomainCheck, PeerCertificate, TlsFacts, TlsVersion};
use xmpp::time::{Clock, Moment, Timestamp};
use xmpp::xml::Element;

use crate::environment::Wake;
use crate::tables::{ACCOUNTS, ACCOUNTS_OWNER, AccountRow, VerifierRow};
use crate::{Broker, BrokerConfig, Environment};

pub use client::TestClient;
pub use link::Certificates;
use link::Link;

/// The password of every account in a [`World`].
pub const PASSWORD: &str = "correct horse battery staple";
/// The SCRAM iterations in a [`World`]: the least that a client accepts.
pub const ITERATIONS: u32 = 4096;

/// Clocks that are set by hand.
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicI64,
    passed: AtomicU64,
}

impl ManualClock {
    /// Makes a clock that stands at some day of the year 2026.
    #[must_use]
    pub fn new() -> Self {
        Self { wall: AtomicI64::new(1_780_000_000_000), passed: AtomicU64::new(1_000_000) }
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.wall.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
        self.passed.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Sets the wall clock, as an administrator or a time service would. No time passes.
    pub fn set_wall(&self, now: Timestamp) {
        self.wall.store(now.as_millis(), Ordering::Relaxed);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.wall.load(Ordering::Relaxed))
    }

    fn moment(&self) -> Moment {
        Moment::from_millis(self.passed.load(Ordering::Relaxed))
    }
}

/// Runs a future that never really waits, as with a store in memory.
///
/// # Panics
///
/// When the future waits all the same.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..1000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
    panic!("a future waits for something that does not come");
}

/// A wake that sets a flag.
fn flag() -> (Arc<AtomicBool>, Wake) {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    (flag, Arc::new(move || set.store(true, Ordering::Release)))
}

/// The TLS facts of a connection to a host of `server`, from one that shows a certificate for `peer`.
fn tls(peer: Option<&str>) -> TlsFacts {
    let certificate = peer.map(|domain| {
        let owned = domain.to_owned();
        PeerCertificate {
            verified_domain_check: DomainCheck::new(move |domain| domain == owned),
            chain: Vec::new(),
            spki_sha256: spki_of(domain),
        }
    });
    TlsFacts {
        version: TlsVersion::Tls13,
        exporter: Some([7; 32]),
        server_end_point: Some(vec![8; 32]),
        peer_certificate: certificate,
    }
}

/// The TLS facts of a connection on which the other end shows a certificate for a domain, or none.
#[must_use]
pub fn facts_of(shown: Option<&str>) -> TlsFacts {
    tls(shown)
}

/// The made-up key hash of a server's certificate, for pins.
#[must_use]
pub fn spki_of(domain: &str) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(domain.as_bytes()).into()
}

/// One broker and the disk below it.
struct Site {
    config: BrokerConfig,
    disk: Arc<MemoryBackend>,
    broker: Broker,
}

/// Brokers, clients and links.
pub struct World {
    clock: Arc<ManualClock>,
    random: Arc<SeededRandom>,
    sites: Vec<Site>,
    clients: Vec<TestClient>,
    links: Vec<Link>,
    /// Domains that cannot be dialled.
    unreachable: Vec<String>,
    /// Whether servers show certificates when they open connections.
    pub certificates: Certificates,
    /// Whether servers that were dialled say nothing, though they hear everything.
    pub servers_are_mute: bool,
}

impl World {
    /// Makes a world with one broker per domain, all with default settings but for the E2EE policy, which is off.
    #[must_use]
    pub fn new(seed: u64, domains: &[&str]) -> Self {
        Self::with_config(seed, domains, |_| ())
    }

    /// As [`World::new`], with other settings.
    #[must_use]
    pub fn with_config(seed: u64, domains: &[&str], configure: impl Fn(&mut BrokerConfig)) -> Self {
        let mut world = Self {
            clock: Arc::default(),
            random: Arc::new(SeededRandom::new(seed)),
            sites: Vec::new(),
            clients: Vec::new(),
            links: Vec::new(),
            unreachable: Vec::new(),
            certificates: Certificates::Shown,
            servers_are_mute: false,
        };
        for domain in domains {
            let mut config = BrokerConfig::new(*domain);
            config.policy = xep::policy::E2eePolicy::Off;
            config.scram_iterations = ITERATIONS;
            configure(&mut config);
            let disk = Arc::new(MemoryBackend::new());
            let broker = world.start(&config, &disk);
            world.sites.push(Site { config, disk, broker });
        }
        world
    }

    fn start(&self, config: &BrokerConfig, disk: &Arc<MemoryBackend>) -> Broker {
        let master = MasterKey::new(Secret::new([3; 32]));
        let instance = InstanceId([4; 16]);
        let opening = Store::open(Arc::clone(disk) as _, master, instance, Arc::clone(&self.random) as _);
        let store = run(opening).expect("a store in memory opens");
        let env = Environment::new(Arc::clone(&self.clock) as _, Arc::clone(&self.random) as _);
        store::block_on(crate::migrate(&store)).expect("the store takes what is new");
        let broker = Broker::new(config.clone(), store, env);
        run(broker.load_peers()).expect("a store in memory is readable");
        broker
    }

    fn site(&self, domain: &str) -> &Site {
        self.sites.iter().find(|site| site.config.domain == domain).expect("the test names a broker that it has made")
    }

    /// Returns the broker of a domain.
    #[must_use]
    pub fn broker(&self, domain: &str) -> &Broker {
        &self.site(domain).broker
    }

    /// Returns the time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the present moment.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.clock.moment()
    }

    /// Makes an account with the [`PASSWORD`].
    pub fn register(&self, jid: &str) {
        let (_, domain) = jid.split_once('@').expect("the test names an account");
        let verifier = ScramVerifier::derive(Hash::Sha256, PASSWORD, b"0123456789abcdef", ITERATIONS);
        let verifier = VerifierRow::of(Hash::Sha256, &verifier.expect("the password is one"));
        let row = AccountRow { jid: jid.into(), verifiers: verifier.into_iter().collect(), ..AccountRow::default() };
        let mut transaction = self.site(domain).broker.store.transaction();
        transaction.put(&ACCOUNTS.row(ACCOUNTS_OWNER, jid.as_bytes()), row.encode_to_vec());
        run(transaction.commit()).expect("a store in memory takes a row");
    }

    /// Connects a client with XEP-0198, signs in and binds `resource`. Nothing else is sent, no presence either.
    pub fn connect(&mut self, account: &str, resource: &str) -> usize {
        self.connect_with(account, resource, true)
    }

    /// As [`World::connect`]; says whether the client speaks XEP-0198.
    pub fn connect_with(&mut self, account: &str, resource: &str, acks: bool) -> usize {
        let (name, domain) = account.split_once('@').expect("the test names an account");
        let client = TestClient::connect(&self.site(domain).broker, name, resource, acks, &*self.random);
        self.clients.push(client);
        self.settle();
        self.clients.len() - 1
    }

    /// Connects a client, makes it available and reads away what it gets for that.
    pub fn online(&mut self, account: &str, resource: &str) -> usize {
        let client = self.connect(account, resource);
        self.send(client, "<presence/>");
        self.take(client);
        client
    }

    /// Connects a client and makes it available; what it gets for that is left for the test to read.
    pub fn online_unread(&mut self, account: &str, resource: &str) -> usize {
        let client = self.connect(account, resource);
        self.send(client, "<presence/>");
        client
    }

    /// Returns a client.
    #[must_use]
    pub fn client(&mut self, client: usize) -> &mut TestClient {
        &mut self.clients[client]
    }

    /// Sends a stanza, given as XML, and lets everything arrive.
    pub fn send(&mut self, client: usize, stanza: &str) {
        self.clients[client].send(stanza);
        self.settle();
    }

    /// Takes what a client has received since the last time.
    pub fn take(&mut self, client: usize) -> Vec<Element> {
        self.clients[client].take()
    }

    /// Lets everything arrive that is on its way.
    ///
    /// # Panics
    ///
    /// When it never ends.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut busy = self.dial();
            for client in &mut self.clients {
                busy |= client.pump();
            }
            for link in &mut self.links {
                busy |= link.pump(self.servers_are_mute);
            }
            self.links.retain(|link| !link.is_over());
            if !busy {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// Lets time pass, in steps that miss no timeout.
    pub fn advance(&mut self, by: Duration) {
        let end = self.clock.moment() + by;
        loop {
            let next = self.clients.iter().filter_map(TestClient::next_timeout);
            let next = next.chain(self.links.iter().filter_map(Link::next_timeout)).min();
            let now = self.clock.moment();
            let step = next.filter(|at| *at < end).unwrap_or(end);
            self.clock.advance(step.since(now));
            let now = self.clock.moment();
            for client in &mut self.clients {
                client.check_timeout(now);
            }
            for link in &mut self.links {
                link.check_timeout(now);
            }
            self.settle();
            if now >= end {
                return;
            }
            if step == now && next.is_some_and(|at| at <= now) {
                self.clock.advance(Duration::from_millis(1)); // a timeout that re-arms for now must not stop the clock
            }
        }
    }

    /// Sets the wall clock of all machines. No time passes.
    pub fn set_wall_clock(&mut self, now: Timestamp) {
        self.clock.set_wall(now);
    }

    /// Makes a client deaf and mute: its connection lives, and nothing is read from it or written to it.
    pub fn freeze(&mut self, client: usize) {
        self.clients[client].frozen = true;
    }

    /// Ends a freeze.
    pub fn thaw(&mut self, client: usize) {
        self.clients[client].frozen = false;
        self.settle();
    }

    /// Ends the connection of a client, as a lost network would once it is noticed.
    pub fn cut(&mut self, client: usize) {
        self.clients[client].cut();
        self.settle();
    }

    /// Kills the broker of a domain with all its connections, and starts it again on what was on its disk.
    pub fn crash(&mut self, domain: &str) {
        for client in self.clients.iter_mut().filter(|client| client.domain == domain) {
            client.lose_server();
        }
        let (lost, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.links).into_iter().partition(|link| link.touches(domain));
        self.links = kept;
        let at = self.sites.iter().position(|site| site.config.domain == domain);
        let at = at.expect("the test names a broker that it has made");
        let (config, disk) = (self.sites[at].config.clone(), Arc::clone(&self.sites[at].disk));
        self.sites[at].broker = self.start(&config, &disk);
        for link in lost {
            link.lose(domain);
        }
    }

    /// Returns the stored keys of everything on the disk of a broker.
    pub fn stored_keys(&self, domain: &str) -> Vec<Vec<u8>> {
        let rows = store::block_on(self.disk_of(domain).scan(KeyRange::all(), u32::MAX)).expect("the disk can be read");
        rows.into_iter().map(|row| row.key).collect()
    }

    /// Flips the last bit of a row on the disk of a broker.
    pub fn damage(&self, domain: &str, key: &[u8]) {
        let disk = self.disk_of(domain);
        let mut value = store::block_on(disk.get(key)).expect("the disk can be read").expect("the row is there");
        if let Some(last) = value.last_mut() {
            *last ^= 1;
        }
        let changes = vec![Change::Put(Row { key: key.to_vec(), value })];
        store::block_on(disk.commit(Batch { changes, ..Batch::default() })).expect("the disk can be written");
    }

    fn disk_of(&self, domain: &str) -> &MemoryBackend {
        let site = self.sites.iter().find(|site| site.config.domain == domain);
        &site.expect("the test names a broker that it has made").disk
    }

    /// Makes a domain impossible to reach, or possible again.
    pub fn set_reachable(&mut self, domain: &str, reachable: bool) {
        self.unreachable.retain(|other| other != domain);
        if !reachable {
            self.unreachable.push(domain.to_owned());
        }
    }

    /// Makes the connections that brokers ask for.
    fn dial(&mut self) -> bool {
        let mut links = Vec::new();
        let mut busy = false;
        for site in &self.sites {
            while let Some(request) = site.broker.poll_dial() {
                busy = true;
                let reachable = !self.unreachable.iter().any(|domain| domain == request.domain());
                let other = self.sites.iter().find(|other| reachable && other.config.domain == request.domain());
                match other {
                    Some(other) => links.extend(Link::dial(&site.broker, &other.broker, &request, self.certificates)),
                    None => site.broker.dial_failed(&request, crate::federation::DialFailure::NotFound),
                }
            }
        }
        self.links.extend(links);
        busy
    }
}
