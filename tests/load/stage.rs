//! A broker on loopback, a pair of bystanders, and what the broker holds meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use broker::budget::Level;
use net::verify::Trust;
use waxwing_tests::raw::{self, RawClient, SignIn};
use waxwingd::server::Server;
use waxwingd::settings::Settings;
use xep::policy::E2eePolicy;

/// The password of everybody.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// The domain of the broker.
pub(crate) const DOMAIN: &str = "load.example";

/// Between two messages of the bystanders.
const PAUSE: Duration = Duration::from_millis(20);
/// How long memory may take to come back.
const RECOVERY: Duration = Duration::from_secs(60);

/// How much is attacked: shortened in tests, long by hand (`cargo xtask bench load`).
pub(crate) fn scale() -> usize {
    std::env::var("WAXWING_LOAD_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1)
}

/// A running broker.
pub(crate) struct Stage {
    pub(crate) broker: Server,
    pub(crate) server: raw::Server,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let mut settings = Settings::in_memory();
        settings.domain = Some(DOMAIN.into());
        settings.policy = E2eePolicy::Off;
        settings.registration.is_open = true;
        settings.scram_iterations = 4096;
        let broker = Server::start(settings).await.expect("the broker starts");
        let trust = Trust::only_pem(&broker.facts().ca_pem).expect("its certificate is one");
        let (address, domain) = (broker.addresses().client, broker.domain().to_owned());
        Self { broker, server: raw::Server { address, domain, trust, danger_no_binding: false } }
    }

    /// Makes an account and signs it in, available.
    pub(crate) async fn person(&self, name: &str) -> RawClient {
        let mut client = RawClient::register(&self.server, name, PASSWORD, None).await;
        client.send("<presence/>").await;
        client.expect("the own presence", |s| s.name() == "presence").await;
        client
    }

    /// Signs an account in once more.
    pub(crate) async fn again(&self, name: &str) -> RawClient {
        RawClient::login_as(&self.server, name, PASSWORD, &SignIn::default()).await
    }

    fn levels(&self) -> [(&'static str, Level); 3] {
        self.broker.broker().budgets.levels()
    }

    fn held(&self) -> usize {
        self.broker.broker().budgets.bytes.level().held
    }
}

/// What the bystanders saw.
pub(crate) struct Seen {
    pub(crate) times: Vec<Duration>,
}

impl Seen {
    fn at(&self, percent: usize) -> f64 {
        let mut times = self.times.clone();
        times.sort();
        let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(at).copied().unwrap_or_default().as_secs_f64() * 1e3
    }
}

/// Lets two bystanders talk while an attack goes on, and for a moment after it. All that they send arrives; the broker
/// stays within its budgets, and comes back to what it held and nearly to the memory that it had.
pub(crate) async fn beside<F: Future<Output = ()>>(name: &str, attack: impl FnOnce(&'static Stage) -> F) {
    // lives as long as the process of the test: attackers of all kinds may hold it
    let stage: &'static Stage = Box::leak(Box::new(Stage::new().await));
    let (mut alice, mut bob) = (stage.person("alice").await, stage.person("bob").await);
    let before_kib = resident_kib();
    let is_over = AtomicBool::new(false);
    let watch = async {
        let (mut times, mut more) = (Vec::new(), 10);
        while more > 0 {
            more -= usize::from(is_over.load(Ordering::Relaxed));
            let id = format!("bystander-{}", times.len());
            let start = Instant::now();
            alice.send(&message(&format!("bob@{DOMAIN}"), &id, 300)).await;
            bob.expect("a bystander's message", |s| s.attr("id") == Some(&id)).await;
            times.push(start.elapsed());
            tokio::time::sleep(PAUSE).await;
        }
        Seen { times }
    };
    let attacked = async {
        attack(stage).await;
        is_over.store(true, Ordering::Relaxed);
    };
    let (seen, ()) = tokio::join!(watch, attacked);
    for (what, level) in stage.levels() {
        assert!(level.peak <= level.capacity, "{name}: {what}: {level:?}");
    }
    let recovery = Instant::now();
    let is_back = || stage.held() < 100_000 && resident_kib() * 2 <= before_kib.max(64 * 1024) * 3;
    while !is_back() && recovery.elapsed() < RECOVERY {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(is_back(), "{name}: {} bytes held, {} KiB after {before_kib} KiB", stage.held(), resident_kib());
    let [(_, bytes), (_, dials), (_, descriptors)] = stage.levels();
    println!(
        "| {name} | {} | {:.1} ms | {:.1} ms | {} KiB | {} | {} |",
        seen.times.len(),
        seen.at(50),
        seen.at(99),
        bytes.peak / 1024,
        dials.peak,
        descriptors.peak,
    );
}

/// A message in clear.
pub(crate) fn message(to: &str, id: &str, bytes: usize) -> String {
    format!("<message type='chat' to='{to}' id='{id}'><body>{}</body></message>", "x".repeat(bytes))
}

fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
