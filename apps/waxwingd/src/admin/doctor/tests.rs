//! The words of every check in every state.

use net::dns::{DnsError, Srv, SrvAnswer};
use net::identity::{Identity, OwnCa, generate_key_pem};
use net::verify::Trust;
use store::StoreError;
use store::backend::BackendError;
use xep::uri::Endpoint;
use xmpp::time::Timestamp;

use super::super::protocol::{Check, State};
use super::*;
use crate::server::Found;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn line(check: &Check) -> String {
    let state = match check.state {
        State::Good => "good",
        State::Warning => "warning",
        State::Bad => "bad",
    };
    let todo = if check.todo.is_empty() { String::new() } else { format!("\n    -> {}", check.todo) };
    format!("{state}  {}: {}{todo}\n", check.name, check.why)
}

fn of_machine() -> Vec<Check> {
    const MIB: u64 = 1024 * 1024;
    vec![
        machine::clock(NOW, None),
        machine::clock(Timestamp::from_millis(0), None),
        machine::synchronised(true),
        machine::synchronised(false),
        machine::free_space(50_000 * MIB),
        machine::free_space(500 * MIB),
        machine::free_space(5 * MIB),
        machine::open_files(20, 65_536),
        machine::open_files(20, 256),
        machine::open_files(900, 1024),
        machine::swap_on(0),
        machine::swap_on(1),
        machine::run_by(false),
        machine::run_by(true),
    ]
}

fn of_disk() -> Vec<Check> {
    vec![
        disk::integrity_found(Ok(())),
        disk::integrity_found(Err(BackendError::Damaged)),
        disk::integrity_found(Err(BackendError::NoAccess)),
        disk::damaged_found(Ok(Vec::new())),
        disk::damaged_found(Ok(vec!["offline".into(), "roster".into(), "offline".into()])),
        disk::store_works(Ok(())),
        disk::store_works(Err(StoreError::Backend(BackendError::DiskFull))),
        disk::continuity(Found::AsLeft),
        disk::continuity(Found::RolledBack),
    ]
}

fn of_network() -> Vec<Check> {
    let srv = |port| Srv { priority: 0, weight: 5, port, host: "north.example".into() };
    let at = |text: &str| vec![Endpoint::parse(text).expect("an endpoint")];
    let records = |label, ports, answer| network::records("north.example", "apps", label, ports, &answer);
    let addresses = |answer| network::addresses("north.example", &answer);
    vec![
        addresses(Ok(vec![[203, 1, 114, 9].into()])),
        addresses(Ok(vec![[192, 168, 1, 5].into()])),
        addresses(Err(DnsError::NotFound)),
        addresses(Err(DnsError::Failed)),
        records("_xmpp-client", (5222, 5222), Ok(SrvAnswer::Hosts(vec![srv(5222)]))),
        records("_xmpp-client", (6222, 5222), Ok(SrvAnswer::Hosts(vec![srv(5222)]))),
        records("_xmpp-client", (5222, 5222), Ok(SrvAnswer::NotOffered)),
        records("_xmpp-client", (5222, 5222), Ok(SrvAnswer::NoRecords)),
        records("_xmpp-client", (6222, 5222), Ok(SrvAnswer::NoRecords)),
        records("_xmpps-client", (5223, 5223), Ok(SrvAnswer::NoRecords)),
        records("_xmpp-client", (5222, 5222), Err(DnsError::NotConfigured)),
        network::links(&[], true),
        network::links(&at("192.168.1.5:5223"), false),
        network::links(&at("north.example:5223"), false),
        network::federation(true, &[]),
        network::federation(true, &["south.example".to_owned()]),
        network::federation(false, &[]),
    ]
}

fn of_certificate() -> Vec<Check> {
    let ca = OwnCa::generate("north.example", NOW).expect("made");
    let key = generate_key_pem().expect("made");
    let identity = Identity::from_pem(&ca.issue("north.example", &key, NOW).expect("issued"), &key).expect("read");
    let own = Trust::only_pem(ca.certificate_pem()).expect("read");
    let public = Trust::public();
    let late = |days: i64| Timestamp::from_millis(NOW.as_millis() + days * 86_400_000);
    let authority = |domain, is_own, trust, now| certificate::authority(&identity, domain, is_own, trust, now);
    vec![
        certificate::names(&identity, "north.example", false),
        certificate::names(&identity, "south.example", false),
        authority("north.example", true, &public, NOW),
        authority("north.example", false, &own, NOW),
        authority("north.example", false, &public, NOW),
        authority("south.example", false, &own, NOW),
        authority("north.example", false, &own, late(1000)),
        authority("north.example", false, &own, late(-100)),
        certificate::expiry(&identity, true, NOW),
        certificate::expiry(&identity, false, late(390)),
        certificate::expiry(&identity, false, late(400)),
    ]
}

#[test]
fn words_of_doctor() {
    let mut checks = of_machine();
    checks.extend(of_disk());
    checks.extend(of_network());
    checks.extend(of_certificate());
    for policy in [E2eePolicy::Required, E2eePolicy::Preferred, E2eePolicy::Off] {
        checks.push(encryption(policy));
    }
    checks.extend([registration(false), registration(true)]);
    let budgets = broker::budget::Budgets::new(&broker::budget::BudgetSettings::default());
    let [(_, bytes), (_, dials), (_, descriptors)] = budgets.levels();
    let full = broker::budget::Level { held: bytes.capacity, peak: bytes.capacity, refused: 12, ..bytes };
    checks.extend([budget("bytes", &bytes), budget("bytes", &full)]);
    checks.extend([budget("dials", &dials), budget("descriptors", &descriptors)]);
    for check in &checks {
        assert_eq!(check.todo.is_empty(), check.state == State::Good, "what is wrong can be mended: {check:?}");
        assert!(check.why.split(' ').count() >= 4, "why it matters: {check:?}");
    }
    crate::words::assert_matches("doctor", &checks.iter().map(line).collect::<String>());
}
