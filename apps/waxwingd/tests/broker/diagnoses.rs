//! What the program says when it does not start, or starts with something wrong: the truth, and what to do.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

use net::clock::SystemClock;
use net::identity::{OwnCa, generate_key_pem};
use net::testing::{DnsResponder, Record};
use xmpp::time::Clock as _;

use crate::scratch::Scratch;

/// A user who owns nothing.
const NOBODY: u32 = 65_534;

fn error_of(output: &Output) -> String {
    assert!(!output.status.success(), "it should have refused");
    String::from_utf8(output.stderr.clone()).expect("words")
}

fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("ours");
}

#[test]
fn b12_an_empty_data_directory_beside_a_used_key_file_starts_no_new_broker() {
    let scratch = Scratch::new();
    scratch.write_settings();
    let broker = scratch.up(&["--domain", "north.example"]);
    let pin = broker.text("/pin").to_owned();
    broker.terminate();
    let (data, away) = (scratch.data(), scratch.path().join("away"));
    let key = scratch.path().join("data.keys/wxkeys.cbor");
    let key_before = std::fs::read(&key).expect("there");
    std::fs::rename(&data, &away).expect("moved");

    let gone = error_of(&scratch.run(&["up"]));
    assert!(gone.contains("holds no data") && gone.contains("not mounted") && gone.contains("mv "), "{gone}");
    assert!(!data.exists(), "nothing is made where a volume belongs");
    // What is mounted over usually exists, and is empty but for what file systems put there.
    std::fs::create_dir_all(data.join("lost+found")).expect("made");
    assert_eq!(error_of(&scratch.run(&["up"])), gone);
    assert_eq!(std::fs::read_dir(&data).expect("readable").count(), 1);
    // A database without a row is no data either.
    std::fs::write(data.join("broker.sqlite"), b"").expect("written");
    assert_eq!(error_of(&scratch.run(&["up"])), gone);

    let json = scratch.run(&["up", "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!((&told["kind"], &told["error"]), (&"error".into(), &"data_missing".into()));
    let doctor = String::from_utf8(scratch.run(&["doctor"]).stdout).expect("text");
    assert!(doctor.contains("BAD      data and key: ") && doctor.contains("holds no data"), "{doctor}");
    assert_eq!(std::fs::read(&key).expect("there"), key_before, "the key file is as it was");

    std::fs::remove_dir_all(&data).expect("removed");
    std::fs::rename(&away, &data).expect("mounted");
    let broker = scratch.up(&[]);
    assert_eq!((broker.text("/pin"), &broker.ready["rolled_back"]), (pin.as_str(), &false.into()));
    broker.terminate();
    // What the words say for a new broker works.
    std::fs::rename(&data, &away).expect("moved");
    std::fs::rename(&key, key.with_extension("old")).expect("moved");
    let broker = scratch.up(&[]);
    assert_ne!(broker.text("/pin"), pin);
}

#[test]
fn a_key_file_of_another_user_is_called_unreadable_and_not_unwritable() {
    if !rustix::process::geteuid().is_root() {
        return; // only root can give a file to somebody else
    }
    let scratch = Scratch::new();
    let keys = scratch.path().join("data.keys");
    std::fs::create_dir(&keys).expect("made");
    std::fs::write(keys.join("wxkeys.cbor"), b"somebody else's").expect("written");
    std::fs::set_permissions(keys.join("wxkeys.cbor"), std::fs::Permissions::from_mode(0o600)).expect("ours");
    for path in [scratch.path(), &keys] {
        open_to_all(path);
    }
    let program = scratch.path().join("waxwingd");
    let original = env!("CARGO_BIN_EXE_waxwingd");
    std::fs::hard_link(original, &program)
        .or_else(|_| std::fs::copy(original, &program).map(|_| ()))
        .expect("the program can be put where everybody may run it");
    let mut command = Command::new(&program);
    command.arg("--data-dir").arg(scratch.data()).args(["up", "--listen", "127.0.0.1"]).uid(NOBODY).gid(NOBODY);
    let refused = error_of(&command.output().expect("the program starts"));
    assert!(refused.contains("may not be read by this user") && refused.contains("chown"), "{refused}");
}

#[test]
fn settings_that_cannot_work_are_refused_all_at_once() {
    let scratch = Scratch::new();
    let file = scratch.path().join("settings.toml");
    std::fs::write(&file, "[login]\nscram_iterations = 1\n[registration]\ninvite_days = 0\n").expect("written");
    for verb in [&["up"][..], &["doctor"]] {
        let mut command = scratch.command(&["--config"]);
        let output = command.arg(&file).args(verb).output().expect("the program starts");
        assert!(!output.status.success());
        let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("words");
        for words in ["[login] scram_iterations is 1, and must be 4096 to 1000000", "[registration] invite_days is 0"] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
    assert!(!scratch.data().exists(), "refused before anything is made");
}

#[test]
fn files_that_settings_name_are_missing_unreadable_or_wrong_and_each_is_said() {
    let scratch = Scratch::new();
    scratch.write_settings();
    scratch.add_settings("[certificate]\nchain = \"chain.pem\"\nkey = \"key.pem\"\n");
    let keys = scratch.path().join("data.keys");
    let refusal = || error_of(&scratch.run(&["up"]));
    assert!(refusal().contains("chain.pem does not exist"), "{}", refusal());
    std::fs::create_dir(keys.join("chain.pem")).expect("made");
    assert!(refusal().contains("chain.pem is a directory"), "{}", refusal());
    std::fs::remove_dir(keys.join("chain.pem")).expect("removed");
    let ca = OwnCa::generate("north.example", SystemClock.now()).expect("made");
    let key = generate_key_pem().expect("made");
    std::fs::write(keys.join("chain.pem"), ca.issue("north.example", &key, SystemClock.now()).expect("issued"))
        .expect("written");
    std::fs::write(keys.join("key.pem"), generate_key_pem().expect("made")).expect("written");
    assert!(refusal().contains("key.pem: the private key belongs to another certificate"), "{}", refusal());
}

#[test]
fn a_certificate_that_nobody_believes_is_told_and_links_carry_its_pin() {
    let dns = DnsResponder::start(([127, 0, 0, 1], 0).into()).expect("a free port");
    let scratch = Scratch::new();
    scratch.write_settings();
    scratch.add_settings(&format!("[federation]\ndns = \"{}\"\n", dns.address()));
    scratch.add_settings("[certificate]\nchain = \"chain.pem\"\nkey = \"key.pem\"\n");
    let keys = scratch.path().join("data.keys");
    let ca = OwnCa::generate("north.example", SystemClock.now()).expect("made");
    let key = generate_key_pem().expect("made");
    let chain = ca.issue("north.example", &key, SystemClock.now()).expect("issued");
    std::fs::write(keys.join("chain.pem"), chain).expect("written");
    std::fs::write(keys.join("key.pem"), key).expect("written");
    let broker = scratch.up(&["--domain", "north.example"]);
    assert!(broker.text("/invite/link").contains(&format!("wx-pin={}", broker.text("/pin"))));
    let doctor = String::from_utf8(scratch.run(&["doctor"]).stdout).expect("text");
    assert!(doctor.contains("no public authority vouches for the certificate"), "{doctor}");
    assert!(doctor.contains("fullchain.pem"), "{doctor}");
}

#[test]
fn doctor_asks_dns_about_the_domain_and_tries_every_peer() {
    let dns = DnsResponder::start(([127, 0, 0, 1], 0).into()).expect("a free port");
    let (scratch, other) = (Scratch::new(), Scratch::new());
    for scratch in [&scratch, &other] {
        scratch.write_settings();
        scratch.add_settings(&format!("[federation]\ndns = \"{}\"\n", dns.address()));
    }
    let broker = scratch.up(&["--domain", "north.example"]);
    let peer = other.up(&["--domain", "south.example"]);
    let doctor = || String::from_utf8(scratch.run(&["doctor"]).stdout).expect("text");

    let nothing = doctor();
    assert!(nothing.contains("DNS addresses: DNS knows no address of north.example"), "{nothing}");
    let port = |name: &str| u16::try_from(broker.ready["ports"][name].as_u64().expect("a port")).expect("a port");
    let record = format!("-> Add it: _xmpp-client._tcp.north.example. SRV 0 5 {} north.example.", port("client"));
    assert!(nothing.contains(&record), "{nothing}");

    dns.add("north.example", Record::Address([127, 0, 0, 1].into()));
    dns.add("_xmpp-client._tcp.north.example", Record::srv("north.example", port("client")));
    dns.add("_xmpps-client._tcp.north.example", Record::srv("north.example", 1));
    dns.add("_xmpp-server._tcp.north.example", Record::srv("nowhere.example", port("server")));
    // what was asked before is remembered for a while: another start asks anew
    broker.terminate();
    let broker = scratch.up(&[]);
    let some = doctor();
    assert!(some.contains("only addresses of a private network"), "{some}");
    assert!(some.contains("DNS _xmpps-client: apps are sent to port 1, and this broker listens on"), "{some}");
    assert!(some.contains("the record leads to nowhere.example, which has no address"), "{some}");

    let added = scratch.run(&["peer", "add", peer.text("/peer_link")]);
    assert!(added.status.success());
    let one_sided = doctor();
    assert!(one_sided.contains("server south.example: south.example"), "{one_sided}");
    assert!(other.run(&["peer", "add", broker.text("/peer_link")]).status.success());
    assert!(
        doctor().contains("good     server south.example: south.example answers, and each side accepts"),
        "{}",
        doctor()
    );
    peer.terminate();
    let stopped = doctor();
    assert!(
        stopped.contains("BAD      server south.example: the machine of south.example answers, and no server"),
        "{stopped}"
    );
    let json: serde_json::Value = serde_json::from_slice(&scratch.run(&["doctor", "--json"]).stdout).expect("JSON");
    let checks = json["checks"].as_array().expect("a list");
    assert!(checks.len() >= 20, "{}", checks.len());
    for check in checks {
        for field in ["name", "state", "why", "todo"] {
            assert!(check[field].is_string(), "{check}");
        }
    }
}
