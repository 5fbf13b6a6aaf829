//! The benchmark: this broker beside Prosody, ejabberd and a bare TLS relay, under the same load in one run.
//!
//! What is compared is processor time of the server per unit of work, from the kernel's accounts of its process group, and
//! as a ratio to the relay: on a shared machine throughput says little. The load comes from this process, whose own cost
//! is not counted.

mod client;
mod latency;
mod load;
mod measure;
mod relay;
mod scanner;
mod servers;
mod table;

use std::time::Duration;

use servers::Kind;

/// How long and how much.
#[derive(Debug, Clone, Copy)]
struct Plan {
    pairs: usize,
    warm_up: Duration,
    messages: Duration,
    logins: usize,
    idle: usize,
    rounds: usize,
    /// Messages whose way is timed.
    timed: usize,
    /// Messages of one conversation of the client.
    conversation: usize,
}

const FULL: Plan = Plan {
    pairs: 50,
    warm_up: Duration::from_secs(2),
    messages: Duration::from_secs(6),
    logins: 300,
    idle: 1000,
    rounds: 3,
    timed: 1000,
    conversation: 10_000,
};

const QUICK: Plan = Plan {
    pairs: 50,
    warm_up: Duration::from_secs(1),
    messages: Duration::from_secs(2),
    logins: 100,
    idle: 300,
    rounds: 1,
    timed: 200,
    conversation: 1000,
};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().map(String::as_str) == Some("relay") {
        relay::serve(&args[1..]);
        return;
    }
    let plan = if args.iter().any(|a| a == "--quick") { QUICK } else { FULL };
    let only = args.iter().position(|a| a == "--only").and_then(|at| args.get(at + 1));
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|k| only.is_none_or(|name| k.name() == name)).collect();
    let parts: Vec<&str> =
        ["servers", "latency", "client"].into_iter().filter(|part| args.iter().any(|a| a == part)).collect();
    let has = |part: &str| parts.is_empty() || parts.contains(&part);
    let plan = match args.iter().position(|a| a == "--messages").and_then(|at| args.get(at + 1)?.parse().ok()) {
        Some(conversation) => Plan { conversation, ..plan },
        None => plan,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(async {
        if has("servers") {
            println!("{}\n{}", table::render(&run(plan, &kinds).await, plan.rounds), scanner::measure());
        }
        if has("latency") {
            println!("{}", latency::measure(&kinds, plan.timed).await);
        }
        if has("client") && only.is_none_or(|name| name == "waxwingd") {
            println!("{}", client::measure(plan.conversation).await);
        }
    });
}

async fn run(plan: Plan, kinds: &[Kind]) -> Vec<measure::Results> {
    let mut all: Vec<measure::Results> = kinds.iter().map(|k| measure::Results::new(k.title())).collect();
    for round in 0..plan.rounds {
        for (kind, results) in kinds.iter().zip(&mut all) {
            eprintln!("round {} of {}: {}", round + 1, plan.rounds, kind.title());
            one(plan, *kind, results).await;
        }
    }
    all
}

/// One round with one server, freshly started.
async fn one(plan: Plan, kind: Kind, results: &mut measure::Results) {
    let running = servers::start(kind, plan.pairs * 2).await;
    let group = running.group();
    tokio::time::sleep(Duration::from_secs(1)).await;
    results.empty_mib.push(measure::resident_kib(group) as f64 / 1024.0);
    let clients = load::sign_in_pairs(&running, plan.pairs).await;
    let chat = load::chat(clients, group, plan.warm_up, plan.messages).await;
    results.message_us.push(chat.cpu_us_per_message);
    results.messages_per_second.push(chat.messages_per_second);
    results.login_ms.push(load::logins(&running, group, plan.logins).await);
    results.idle_kib.push(load::idle(&running, group, plan.idle).await);
}
