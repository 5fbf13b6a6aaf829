//! `doctor`: what is looked at, why it matters, and what to do.
//!
//! | module | looks at |
//! |---|---|
//! | [`machine`] | clock, space, descriptors, memory, user |
//! | [`disk`] | key file, data, database |
//! | [`network`] | ports, DNS, links |
//! | [`certificate`] | names, authority, expiry |
//!
//! Each check is a function from what is there to a [`Check`], and its words are held by a file (`words/doctor.txt`).

mod certificate;
mod disk;
mod machine;
mod network;

use net::dns::Names;
use xep::policy::E2eePolicy;

use super::commands::Context;
use super::protocol::{Check, PortsLine};
use crate::connection::probe;
use crate::paths::Places;
use crate::server::disk::database_exists;
use crate::server::peers;
use crate::settings::{Settings, Storage};

/// Looks at a running broker, and at the way to another domain if one is named.
pub(super) async fn examine(context: &Context, domain: Option<&str>) -> Vec<Check> {
    let (shared, facts) = (&context.shared, &context.facts);
    let now = shared.broker.env.now();
    let identity = context.identity.choose(None);
    let mut checks = vec![
        network::listening(context).await,
        machine::clock(now, Some(identity.facts().not_before)),
        machine::steadiness(shared.broker.core().look_at_clock().await),
        machine::synchronisation(),
        machine::descriptors(),
        machine::core_dumps(),
        machine::swap(),
        machine::user(),
    ];
    checks.extend(certificate::all(context, &identity, now));
    if let Storage::Directories { data, keys } = &context.storage {
        checks.push(disk::data_directory(data));
        checks.push(machine::space(data));
        checks.push(disk::key_file(data, keys));
        checks.push(disk::integrity(data).await);
    }
    checks.push(disk::damaged(context).await);
    checks.push(disk::works(context).await);
    checks.push(disk::continuity(facts.found));
    checks.extend(
        network::dns(&network::Place {
            domain: &facts.domain,
            is_public_name: facts.is_public_name,
            ports: facts.addresses.into(),
            is_federating: shared.federation.is_enabled,
            names: &shared.names,
        })
        .await,
    );
    checks.push(network::links(&shared.broker.config.invites.at, facts.is_public_name));
    checks.push(encryption(shared.broker.config.policy));
    checks.push(registration(shared.broker.config.accounts.is_open));
    checks.push(network::federation(shared.federation.is_enabled, &shared.federation.allow));
    checks.extend(shared.broker.budgets.levels().map(|(what, level)| budget(what, &level)));
    checks.extend(known_peers(context, domain).await);
    if let Some(domain) = domain {
        checks.push(probe::federation(shared, domain).await);
    }
    checks
}

/// Looks at a broker that does not run: would it start?
pub(crate) async fn examine_stopped(places: &Places, settings: &Settings) -> Vec<Check> {
    let now = xmpp::time::Clock::now(&net::clock::SystemClock);
    let mut checks = vec![
        Check::warning(
            "broker",
            format!("no broker is running with the data in {}", places.data.display()),
            "Start it with `waxwingd up`; some checks need it.",
        ),
        Check::good("settings", "they can be read, and every value can work"),
        disk::data_directory(&places.data),
        machine::space(&places.data),
    ];
    if crate::server::disk::key_file(&places.config).exists() || database_exists(&places.data) {
        checks.push(disk::key_file(&places.data, &places.config));
    } else {
        checks.push(Check::good("key file", "there is none yet; the first start makes it"));
    }
    checks.push(disk::belongs_together(&places.data, &places.config));
    if database_exists(&places.data) {
        checks.push(disk::integrity(&places.data).await);
    }
    checks.push(network::free_ports(settings.listen, settings.ports).await);
    checks.push(machine::clock(now, None));
    checks.extend([
        machine::synchronisation(),
        machine::descriptors(),
        machine::core_dumps(),
        machine::swap(),
        machine::user(),
    ]);
    if let Some(domain) = &settings.domain {
        checks.extend(certificate::of_files(settings, domain, now));
        let names = settings.federation.dns.map_or_else(Names::system, Names::from_server);
        let place = network::Place {
            domain,
            is_public_name: true,
            ports: PortsLine::from(settings.ports),
            is_federating: settings.federation.is_enabled,
            names: &names,
        };
        checks.extend(network::dns(&place).await);
    }
    checks.push(encryption(settings.policy));
    checks.push(registration(settings.registration.is_open));
    checks.push(network::federation(settings.federation.is_enabled, &settings.federation.allow));
    checks
}

/// Tries every broker that is known by `peer add` or the settings, but the one that is asked about anyway.
async fn known_peers(context: &Context, asked: Option<&str>) -> Vec<Check> {
    let shared = &context.shared;
    let mut peers = match peers::list(&shared.broker).await {
        Ok(peers) => peers,
        Err(error) => return vec![Check::bad("peers", error.to_string(), "")],
    };
    for configured in &shared.broker.config.peers {
        if !peers.iter().any(|peer| peer.domain == configured.domain) {
            peers.push(configured.clone());
        }
    }
    let mut checks = Vec::new();
    for peer in peers.iter().filter(|peer| Some(peer.domain.as_str()) != asked) {
        checks.push(probe::federation(shared, &peer.domain).await);
    }
    checks
}

fn encryption(policy: E2eePolicy) -> Check {
    let name = "encryption";
    match policy {
        E2eePolicy::Required => Check::good(name, "only end-to-end encrypted messages pass"),
        E2eePolicy::Preferred => Check::warning(
            name,
            "messages that this broker can read pass too",
            "For encrypted ones only, set [e2ee] policy = \"required\".",
        ),
        _ => Check::warning(
            name,
            "nothing is inspected: messages that this broker can read pass",
            "For encrypted ones only, set [e2ee] policy = \"required\".",
        ),
    }
}

/// How much of what the whole broker may hold is held.
fn budget(what: &str, level: &broker::budget::Level) -> Check {
    const MIB: usize = 1024 * 1024;
    let (subject, unit, each) = match what {
        "bytes" => ("what waits in memory for others", " MiB", MIB),
        "dials" => ("connections that are being made", "", 1),
        _ => ("connections of others", "", 1),
    };
    let [held, capacity, peak] = [level.held, level.capacity, level.peak].map(|amount| amount / each);
    let said = format!(
        "{subject}: {held} of {capacity}{unit}, {peak}{unit} at most since the start; {} refused",
        level.refused
    );
    let name = format!("budget of {what}");
    if level.held > level.capacity / 10 * 8 {
        return Check::warning(
            &name,
            format!("{said}. Whoever takes the most is refused first"),
            "Wait, if it is an attack: others are served meanwhile. If not, this machine is too small for its people.",
        );
    }
    Check::good(&name, said)
}

fn registration(is_open: bool) -> Check {
    let name = "registration";
    if !is_open {
        return Check::good(name, "only people with an invitation get an account");
    }
    Check::warning(
        name,
        "anybody may make accounts, as many as they like, and each costs processor time",
        "Where strangers reach this broker, set [registration] open = false.",
    )
}

#[cfg(test)]
mod tests;
