//! `doctor`: what is looked at, why it matters, and what to do.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use net::listen::{BindError, Gate, Listener};
use store::{StoreError, Table};
use xmpp::time::Timestamp;

use super::commands::Context;
use super::protocol::Check;
use crate::connection::probe;
use crate::paths::Places;
use crate::server::{Found, disk};
use crate::settings::{Ports, Settings, Storage};

/// A row that is written and read to see whether the store works. One point row of the owner `doctor`: one byte.
const PROBE: Table = Table::new("waxwingd-doctor");

const DAY_MILLIS: i64 = 86_400_000;

/// Nobody's clock was right before this was written.
const CLOCK_FLOOR: Timestamp = Timestamp::from_millis(1_735_689_600_000);

/// Looks at a running broker, and at the way to another domain if one is named.
pub(super) async fn examine(context: &Context, domain: Option<&str>) -> Vec<Check> {
    let now = context.shared.broker.env.now();
    let mut checks = vec![ports(context).await, certificate(context, now), clock(context, now), store(context).await];
    if let Storage::Directories { data, keys } = &context.storage {
        checks.push(key_file(data, keys));
    }
    checks.push(core_dumps());
    if let Some(domain) = domain {
        checks.push(probe::federation(&context.shared, domain).await);
    }
    checks
}

/// Looks at a broker that does not run: would it start?
pub(crate) async fn examine_stopped(places: &Places, settings: &Settings) -> Vec<Check> {
    let mut checks = vec![Check::warning(
        "broker",
        format!("no broker runs with the data in {}", places.data.display()),
        "Start it with `waxwingd up`; some checks need it.",
    )];
    checks.push(data_directory(&places.data));
    if disk::key_file(&places.config).exists() || places.data.join(disk::DATABASE).exists() {
        checks.push(key_file(&places.data, &places.config));
    } else {
        checks.push(Check::good("key file", "there is none yet; the first start makes it"));
    }
    checks.push(free_ports(settings.listen, settings.ports).await);
    checks
}

async fn ports(context: &Context) -> Check {
    let addresses = context.facts.addresses;
    let all = [addresses.client, addresses.client_tls, addresses.server, addresses.server_tls, addresses.https];
    let is_federating = context.shared.federation.is_enabled;
    let mut silent = Vec::new();
    for address in all {
        let is_server = address == addresses.server || address == addresses.server_tls;
        if is_server && !is_federating {
            continue;
        }
        let at = if address.ip().is_unspecified() {
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
        } else {
            address
        };
        let connecting = tokio::time::timeout(Duration::from_secs(3), tokio::net::TcpStream::connect(at)).await;
        if !matches!(connecting, Ok(Ok(_))) {
            silent.push(address.port().to_string());
        }
    }
    let list = all.map(|address| address.port().to_string()).join(", ");
    if silent.is_empty() {
        return Check::good("ports", format!("{list} answer on this machine; a router in front must forward them"));
    }
    Check::bad(
        "ports",
        format!("nothing answers on {}: clients and servers cannot connect", silent.join(", ")),
        "Check the firewall of this machine, then restart the broker.",
    )
}

fn certificate(context: &Context, now: Timestamp) -> Check {
    let name = "certificate";
    let identity = context.identity.choose(None);
    let days = identity.expires().as_millis().saturating_sub(now.as_millis()) / DAY_MILLIS;
    let domain = context.facts.domain.as_str();
    if !identity.facts().names_host(domain) {
        return Check::bad(
            name,
            format!("the certificate does not name {domain}, so nobody accepts it"),
            "Get a certificate for this domain, or remove the files from the settings.",
        );
    }
    if days < 0 {
        return Check::bad(name, "the certificate has expired, so nobody accepts it", renewal(context));
    }
    if days < 14 {
        return Check::warning(name, format!("the certificate ends in {days} days"), renewal(context));
    }
    if context.facts.has_public_certificate {
        return Check::good(name, format!("given by files, good for {days} days"));
    }
    Check::good(
        name,
        format!("the broker's own, good for {days} days and renewed by itself; other apps need `waxwingd ca export`"),
    )
}

fn renewal(context: &Context) -> &'static str {
    if context.facts.has_public_certificate {
        "Renew the files that the settings name; they are read again every six hours and at the start."
    } else {
        "Restart the broker: it makes a new one."
    }
}

fn clock(context: &Context, now: Timestamp) -> Check {
    let name = "clock";
    let begins = context.identity.choose(None).facts().not_before;
    if now < CLOCK_FLOOR || now < begins {
        return Check::bad(
            name,
            "the clock of this machine is behind, so certificates seem to be of the future",
            "Set the clock, or switch on time synchronisation (timedatectl set-ntp true).",
        );
    }
    Check::good(name, format!("it is {} (UTC); if that is wrong, certificates are refused", now.to_xep0082()))
}

async fn store(context: &Context) -> Check {
    let name = "store";
    if context.facts.found == Found::RolledBack {
        return Check::warning(
            name,
            "the data is older than when the broker last ran: a backup was put back, and what came after is missing",
            "Nothing, if you did that; else somebody else did.",
        );
    }
    let store = &context.shared.broker.store;
    let key = PROBE.row(b"doctor", b"probe");
    let written = async {
        let mut transaction = store.transaction();
        transaction.put(&key, vec![1]);
        transaction.commit().await?;
        let read = store.get(&key).await?;
        if read.is_some() { Ok(()) } else { Err(StoreError::Altered) }
    };
    match written.await {
        Ok(()) => Check::good(name, "what is written can be read again"),
        Err(error) => Check::bad(name, error.what_happened(), error.what_to_do()),
    }
}

fn key_file(data: &Path, keys: &Path) -> Check {
    let name = "key file";
    let path = disk::key_file(keys);
    match store::keys::read(&path, data) {
        Ok(_) => Check::good(
            name,
            format!("{} is readable by its owner only; without a copy of it a backup cannot be opened", path.display()),
        ),
        Err(error) => Check::bad(name, format!("{}: {}", path.display(), error.what_happened()), error.what_to_do()),
    }
}

fn core_dumps() -> Check {
    let name = "core dumps";
    match rustix::process::dumpable_behavior() {
        Ok(rustix::process::DumpableBehavior::NotDumpable) => {
            Check::good(name, "the memory is never written to a file")
        }
        _ => Check::warning(
            name,
            "after a crash the system may write the memory, with everything in it, to a file",
            "Run the broker as a user of its own and switch core dumps off (ulimit -c 0).",
        ),
    }
}

fn data_directory(data: &Path) -> Check {
    let name = "data directory";
    let mut existing = data;
    while !existing.exists() {
        match existing.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => existing = parent,
            _ => break,
        }
    }
    match rustix::fs::access(existing, rustix::fs::Access::WRITE_OK) {
        Ok(()) if existing == data => Check::good(name, format!("{} can be written to", data.display())),
        Ok(()) => Check::good(name, format!("{} does not exist yet and can be made", data.display())),
        Err(_) => Check::bad(
            name,
            format!("{} cannot be written to, so nothing can be kept", existing.display()),
            "Make it writable for this user, or choose another with --data-dir.",
        ),
    }
}

async fn free_ports(listen: Option<IpAddr>, ports: Ports) -> Check {
    let name = "ports";
    let address = listen.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let mut held = Vec::new();
    for port in [ports.client, ports.client_tls, ports.server, ports.server_tls, ports.https] {
        match Listener::bind((address, port).into(), Gate::new(None)).await {
            Ok(listener) => held.push(listener),
            Err(error @ BindError::PortTaken { .. }) => {
                return Check::bad(name, error.to_string(), "See who has it with `ss -ltnp`.");
            }
            Err(error) => return Check::bad(name, error.to_string(), ""),
        }
    }
    Check::good(name, "all five are free")
}
