//! The benchmark: this broker beside Prosody, ejabberd and a bare TLS relay, under the same load in one run.
//!
//! What is compared is processor time of the server per unit of work, from the kernel's accounts of its process group, and
//! as a ratio to the relay: on a shared machine throughput says little. The load comes from this process, whose own cost
//! is not counted.

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
}

const FULL: Plan = Plan {
    pairs: 50,
    warm_up: Duration::from_secs(2),
    messages: Duration::from_secs(6),
    logins: 300,
    idle: 1000,
    rounds: 3,
};

const QUICK: Plan = Plan {
    pairs: 50,
    warm_up: Duration::from_secs(1),
    messages: Duration::from_secs(2),
    logins: 100,
    idle: 300,
    rounds: 1,
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let results = runtime.block_on(run(plan, &kinds));
    println!("{}\n{}", table::render(&results, plan.rounds), scanner::measure());
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
