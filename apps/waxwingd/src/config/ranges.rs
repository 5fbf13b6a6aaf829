//! Which values of a setting can work. What cannot is refused at the start, all of it at once, with the setting's name
//! and what is allowed: a broker that starts and then serves nobody is harder to mend than one that says why.
//!
//! `docs/waxwingd.toml` says the same ranges, and a test compares.

use std::net::IpAddr;

use xmpp::jid::BareJid;

use super::File;
use crate::server::{canonical, host_of, parse_peer};

/// A setting that is a number.
pub(super) struct Range {
    /// Section and name, as in `limits.offline_days`.
    pub(super) name: &'static str,
    pub(super) least: u64,
    pub(super) most: u64,
    /// 0 stands for something else: no bound.
    pub(super) zero_is_none: bool,
}

const fn range(name: &'static str, least: u64, most: u64) -> Range {
    Range { name, least, most, zero_is_none: false }
}

const fn or_none(name: &'static str, least: u64, most: u64) -> Range {
    Range { name, least, most, zero_is_none: true }
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const DAY: u64 = 86_400;

/// Every setting that is a number.
pub(super) const RANGES: &[Range] = &[
    range("ports.client", 0, 65_535),
    range("ports.client_tls", 0, 65_535),
    range("ports.server", 0, 65_535),
    range("ports.server_tls", 0, 65_535),
    range("ports.https", 0, 65_535),
    // what a client accepts (security-design, attack row X11)
    range("login.scram_iterations", 4096, 1_000_000),
    range("registration.invite_days", 1, 365),
    range("registration.invites_per_day", 0, 10_000),
    or_none("onion.pre_auth", 1, 100_000),
    or_none("limits.pre_auth_per_network", 1, 100_000),
    range("limits.pre_auth_seconds", 5, 600),
    or_none("limits.client_stanzas_per_second", 1, 1_000_000),
    range("limits.client_stanzas_burst", 10, 1_000_000),
    // slower, and the largest stanza would take minutes
    or_none("limits.client_bytes_per_second", 4 * KIB, GIB),
    range("limits.client_bytes_burst", 16 * KIB, GIB),
    or_none("limits.server_stanzas_per_second", 1, 1_000_000),
    range("limits.server_stanzas_burst", 10, 1_000_000),
    range("limits.new_domain_divisor", 1, 1000),
    range("limits.session_queue_count", 10, 100_000),
    // the largest stanza of a client (256 KiB) must find room
    range("limits.session_queue_bytes", 512 * KIB, GIB),
    range("limits.sessions_per_account", 1, 10_000),
    range("limits.roster_items", 10, 100_000),
    range("limits.offline_bytes", MIB, 1024 * GIB),
    range("limits.offline_sender_divisor", 1, 1000),
    range("limits.offline_domain_divisor", 1, 1000),
    range("limits.offline_days", 1, 3650),
    range("limits.pending_requests", 1, 10_000),
    range("limits.directed_presence", 1, 100_000),
    range("limits.ack_timeout_seconds", 10, 3600),
    range("limits.client_idle_seconds", 30, DAY),
    range("limits.server_idle_seconds", 30, DAY),
    range("limits.server_dial_seconds", 5, 600),
    range("limits.server_queue_count", 10, 1_000_000),
    // the largest stanza of a server (512 KiB) must find room
    range("limits.server_queue_bytes", MIB, GIB),
    // four nodes of a few KiB are the least that encrypted messages need
    range("limits.pep_item_bytes", 16 * KIB, 240 * KIB),
    range("limits.pep_nodes", 10, 10_000),
    range("limits.pep_items", 1, 100_000),
    range("limits.upload_bytes", 64 * KIB, 100 * GIB),
    range("limits.upload_bytes_per_day", 64 * KIB, 1024 * GIB),
    range("limits.upload_days", 1, 3650),
];

impl Range {
    fn takes(&self, value: u64) -> bool {
        (self.least..=self.most).contains(&value) || (value == 0 && self.zero_is_none)
    }

    /// What is allowed, in words.
    pub(super) fn words(&self) -> String {
        let zero = if self.zero_is_none { ", or 0 for no bound" } else { "" };
        format!("{} to {}{zero}", self.least, self.most)
    }
}

/// Says what is wrong with the settings, a sentence each.
pub(super) fn problems(file: &File) -> Vec<String> {
    let mut problems: Vec<String> = numbers(file)
        .into_iter()
        .filter_map(|(name, value)| {
            let range = RANGES.iter().find(|range| range.name == name)?;
            let fits = u64::try_from(value).is_ok_and(|value| range.takes(value));
            (!fits).then(|| format!("{} is {value}, and must be {}", shown(&name), range.words()))
        })
        .collect();
    problems.extend(ports(file));
    problems.extend(names(file));
    let limits = numbers(file);
    let value = |name: &str| limits.iter().find(|(known, _)| known == name).map_or(0, |(_, value)| *value);
    if value("limits.upload_bytes") > value("limits.upload_bytes_per_day") {
        problems.push("[limits] upload_bytes is more than upload_bytes_per_day: no such file could be sent".to_owned());
    }
    problems
}

/// All settings that are numbers, by section and name.
pub(super) fn numbers(file: &File) -> Vec<(String, i64)> {
    let Ok(table) = toml::Table::try_from(file) else { return Vec::new() };
    let sections = table.iter().filter_map(|(section, value)| Some((section, value.as_table()?)));
    let number =
        |section: &str, name: &str, value: &toml::Value| Some((format!("{section}.{name}"), value.as_integer()?));
    sections
        .flat_map(|(section, table)| table.iter().filter_map(move |(name, value)| number(section, name, value)))
        .collect()
}

/// `limits.offline_days` as it stands in the file.
fn shown(name: &str) -> String {
    match name.split_once('.') {
        Some((section, name)) => format!("[{section}] {name}"),
        None => name.to_owned(),
    }
}

fn ports(file: &File) -> Vec<String> {
    let ports = numbers(file).into_iter().filter(|(name, port)| name.starts_with("ports.") && *port != 0);
    let ports: Vec<(String, i64)> = ports.collect();
    let mut problems = Vec::new();
    for (nth, (name, port)) in ports.iter().enumerate() {
        if let Some((other, _)) = ports.iter().take(nth).find(|(_, taken)| taken == port) {
            problems.push(format!("{} and {} are both {port}, and must differ", shown(other), shown(name)));
        }
    }
    problems
}

/// Names, addresses and links.
fn names(file: &File) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(domain) = file.domain.as_deref().filter(|domain| canonical(domain).is_none()) {
        problems.push(format!("domain is {domain:?}, and must be a name like example.org, not an address"));
    }
    for host in file.announce.iter().filter(|host| host_of(host).is_none()) {
        problems.push(format!("announce names {host:?}, which is neither a host nor an address"));
    }
    if file.listen.is_some_and(|address: IpAddr| address.is_multicast()) {
        problems.push("listen is an address of a group, and nobody can listen on it alone".to_owned());
    }
    let is_name = |name: &str| BareJid::from_parts(Some(name), "example.org").is_ok();
    for name in file.registration.reserved_names.iter().filter(|name| !is_name(name)) {
        problems.push(format!("[registration] reserved_names has {name:?}, which no account could be called anyway"));
    }
    for (list, domains) in [("allow", &file.federation.allow), ("deny", &file.federation.deny)] {
        for domain in domains.iter().filter(|domain| canonical(domain).as_deref() != Some(domain)) {
            let todo = match canonical(domain) {
                Some(canonical) => format!("write it as {canonical:?}"),
                None => "it is not a domain".to_owned(),
            };
            problems.push(format!("[federation] {list} has {domain:?}: {todo}"));
        }
    }
    for (nth, _) in file.federation.peers.iter().enumerate().filter(|(_, link)| parse_peer(link).is_none()) {
        let nth = nth.saturating_add(1);
        problems.push(format!(
            "[federation] peers: link {nth} is not a peer link; `waxwingd status` of the other broker shows it"
        ));
    }
    problems
}
