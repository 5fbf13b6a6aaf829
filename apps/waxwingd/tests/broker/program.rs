//! The program itself: what it prints, what it keeps, and what it says when it cannot start.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::person::{Person, Way, message};
use crate::scratch::{Running, Scratch};

fn error_of(output: &Output) -> String {
    assert!(!output.status.success(), "it should have refused");
    String::from_utf8(output.stderr.clone()).expect("words")
}

#[test]
fn up_says_in_one_line_of_json_how_it_is_reached() {
    let scratch = Scratch::new();
    scratch.write_settings();
    let started = Instant::now();
    let broker = scratch.up(&["--domain", "north.example"]);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}"); // 1 s is the promise; this machine may be building
    let mut line = broker.line.clone();
    let link = broker.text("/invite/link").to_owned();
    let token = link.split("preauth=").nth(1).and_then(|rest| rest.split(';').next()).expect("a token");
    line = line.replace(token, "TOKEN").replace(&token.to_uppercase(), "TOKEN").replace(broker.text("/pin"), "PIN");
    line = line.replace(broker.text("/invite/expires_at"), "WHEN");
    for name in ["client_tls", "client", "server_tls", "server", "https"] {
        let port = broker.ready["ports"][name].as_u64().expect("a port");
        line = line.replace(&format!(":{port}"), &format!(":{}", name.to_uppercase()));
    }
    let expected = concat!(
        r#"{"version":1,"kind":"ready","ready":true,"domain":"north.example","pin":"PIN","#,
        r#""ports":{"client":CLIENT,"client_tls":CLIENT_TLS,"server":SERVER,"server_tls":SERVER_TLS,"https":HTTPS},"#,
        r#""rolled_back":false,"invite":{"link":"xmpp:north.example?register;preauth=TOKEN;wx-pin=PIN;wx-at=127.0.0.1:CLIENT_TLS","#,
        r#""page":"https://127.0.0.1:HTTPS/invite/TOKEN#wx-pin=PIN","code":"HTTPS://127.0.0.1:HTTPS/I/TOKEN","#,
        r#""expires_at":"WHEN"},"#,
        r#""peer_link":"xmpp:north.example?wx-peer;wx-pin=PIN;wx-at=127.0.0.1:SERVER_TLS"}"#,
        "\n"
    );
    assert_eq!(line, expected);
}

/// Starts the broker with its output in a file, and returns what it says once `until` is in it.
fn said(
    scratch: &Scratch,
    arguments: &[&str],
    until: &str,
    environment: impl Fn(&Path) -> Vec<(String, String)>,
) -> String {
    let path = scratch.path().join("said");
    let file = std::fs::File::create(&path).expect("made");
    let mut command = scratch.command(arguments);
    command.envs(environment(&path));
    let mut child = command.stdout(file).spawn().expect("starts");
    let mut said = String::new();
    let by = Instant::now() + Duration::from_secs(20);
    while !said.contains(until) && Instant::now() < by {
        std::thread::sleep(Duration::from_millis(20));
        said = std::fs::read_to_string(&path).expect("it is there");
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(said.contains(until), "{said}");
    said
}

#[test]
fn what_people_read_fits_on_a_screen_has_the_link_last_and_no_words_of_ours() {
    let scratch = Scratch::new();
    scratch.write_settings();
    let said = said(&scratch, &["up", "--invite"], "preauth=", |_| Vec::new());
    let last = said.lines().last().expect("lines");
    assert!(last.starts_with("xmpp:") && last.contains("wx-at="), "{said}");
    let rows: usize = said.lines().map(|line| line.chars().count().div_ceil(80).max(1)).sum();
    assert!(rows <= 20, "{rows}: {said}");
    for words in ["The first account fixes the name", "waxwing join 'LINK'", "doctor", "status"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let domain = said.split(' ').nth(2).expect("the name comes third");
    assert!(domain.ends_with(".local"), "{domain}");
    let words = said.to_lowercase();
    let mut words = words.split(|c: char| !c.is_alphanumeric());
    let ours = ["keys", "fingerprint", "omemo", "device", "devices", "trust", "trusted"];
    // the name of the file is a name, and ours
    let said_of_ours = words.find(|word| ours.contains(word) && !said.contains(&format!("data.{word}/")));
    assert_eq!(said_of_ours, None, "{said}");
}

#[tokio::test]
async fn only_a_first_start_makes_an_invitation_and_the_same_until_somebody_joins() {
    let scratch = Scratch::new();
    scratch.write_settings();
    let broker = scratch.up(&[]);
    let first = broker.text("/invite/code").to_owned();
    broker.terminate();
    let broker = scratch.up(&[]);
    let token = |url: &str| url.rsplit('/').next().map(str::to_owned);
    assert_eq!(token(broker.text("/invite/code")), token(&first), "the ports are others, the invitation is the same");
    drop(Person::register(&Way::of_link(broker.text("/invite/link")), "alice", "correct horse battery staple").await);
    broker.terminate();
    let broker = scratch.up(&[]);
    assert!(broker.ready["invite"].is_null(), "{}", broker.line);
    broker.terminate();
    let broker = scratch.up(&["--invite"]);
    assert_ne!(token(broker.text("/invite/code")), token(&first));
    broker.terminate();
}

#[test]
fn no_link_reaches_a_journal_or_a_file_that_nobody_asked_to_have_it_in() {
    use std::os::unix::fs::MetadataExt as _;
    let journal = |path: &Path| {
        let file = std::fs::metadata(path).expect("made");
        vec![("JOURNAL_STREAM".to_owned(), format!("{}:{}", file.dev(), file.ino()))]
    };
    for arguments in [&["up"][..], &["up", "--invite"], &["up", "--json"], &["up", "--json", "--invite"]] {
        let scratch = Scratch::new();
        scratch.write_settings();
        let until = if arguments.contains(&"--json") { "\"ready\":true" } else { "doctor" };
        let said = said(&scratch, arguments, until, journal);
        assert!(!said.contains("preauth=") && !said.to_lowercase().contains("/i"), "{said}");
        assert!(said.contains("invite"), "what to do instead: {said}");
    }
    let scratch = Scratch::new();
    scratch.write_settings();
    let into_a_file = said(&scratch, &["up"], "doctor", |_| Vec::new());
    assert!(!into_a_file.contains("preauth=") && into_a_file.contains("invite"), "{into_a_file}");
    // A shell of a desktop session inherits the variables, and is no journal.
    let inherited = |_: &Path| vec![("JOURNAL_STREAM".to_owned(), "8:1234".to_owned())];
    assert!(said(&scratch, &["up", "--invite"], "preauth=", inherited).contains("xmpp:"));
}

#[test]
fn a_service_manager_is_told_that_the_broker_is_ready() {
    let scratch = Scratch::new();
    scratch.write_settings();
    let path = scratch.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("made");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    let mut command = scratch.command(&["up", "--json"]);
    let broker = Running::start(command.env("NOTIFY_SOCKET", &path));
    let told = || {
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).expect("told in time");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    assert_eq!(told(), "READY=1");
    broker.terminate();
    assert_eq!(told(), "STOPPING=1");
}

#[tokio::test]
async fn accounts_and_pin_survive_a_restart_and_the_name_is_fixed() {
    let scratch = Scratch::new();
    scratch.write_settings();
    let broker = scratch.up(&[]);
    let (pin, domain) = (broker.text("/pin").to_owned(), broker.text("/domain").to_owned());
    broker.terminate();
    // Nobody has an account yet: the name may change.
    let broker = scratch.up(&["--domain", "north.example"]);
    assert_eq!(broker.text("/domain"), "north.example");
    assert_ne!(domain, "north.example");
    drop(Person::register(&Way::of_link(broker.text("/invite/link")), "alice", "correct horse battery staple").await);
    broker.terminate();
    let refused = error_of(&scratch.run(&["up", "--domain", "south.example"]));
    assert!(refused.contains("north.example") && refused.contains("--domain"), "{refused}");
    let broker = scratch.up(&["--invite"]);
    assert_eq!((broker.text("/domain"), broker.text("/pin")), ("north.example", pin.as_str()));
    let way = Way::of_link(broker.text("/invite/link"));
    assert!(Person::can_sign_in(&way, "alice", "correct horse battery staple").await);
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let scratch = Scratch::new();
    scratch.write_settings();
    let broker = scratch.up(&["--domain", "north.example"]);
    let mut alice =
        Person::register(&Way::of_link(broker.text("/invite/link")), "alice", "correct horse battery staple").await;
    let invite = scratch.run(&["invite", "--json"]);
    let invite: serde_json::Value = serde_json::from_slice(&invite.stdout).expect("JSON");
    let link = invite["invite"]["link"].as_str().expect("a link").to_owned();
    drop(Person::register(&Way::of_link(&link), "bob", "battery staple correct horse").await);
    for body in ["first", "second"] {
        alice.send_acknowledged(&message("bob@north.example", body)).await;
    }
    broker.kill();
    let broker = scratch.up(&["--invite"]);
    let mut bob =
        Person::sign_in(&Way::of_link(broker.text("/invite/link")), "bob", "battery staple correct horse").await;
    bob.be_available().await;
    bob.receive_body("first").await;
    bob.receive_body("second").await;
}

#[test]
fn a_second_broker_is_told_whose_the_data_and_the_ports_are() {
    let scratch = Scratch::new();
    scratch.write_settings();
    let broker = scratch.up(&[]);
    let same_data = error_of(&scratch.run(&["up"]));
    assert!(same_data.contains("another process is using the database"), "{same_data}");
    let port = broker.ready["ports"]["client"].as_u64().expect("a port").to_string();
    let other = Scratch::new();
    let taken = error_of(&other.run(&["up", "--listen", "127.0.0.1", "--port-base", &port]));
    assert!(taken.contains(&format!("port {port} is taken")) && taken.contains("--port-base"), "{taken}");
    let none = error_of(&other.run(&["up", "--port-base", "65535"]));
    assert!(none.contains("65531"), "{none}");
}

#[test]
fn a_key_that_others_can_read_or_that_is_gone_stops_the_start() {
    let scratch = Scratch::new();
    scratch.write_settings();
    scratch.up(&[]).terminate();
    let key = scratch.path().join("data.keys/wxkeys.cbor");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&key), mode(&scratch.data())), (0o600, 0o700));
    assert_eq!(mode(&scratch.data().join("broker.sqlite")), 0o600);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("ours");
    let exposed = error_of(&scratch.run(&["up"]));
    assert!(exposed.contains("other users") && exposed.contains("chmod 600"), "{exposed}");
    std::fs::remove_file(&key).expect("ours");
    let missing = error_of(&scratch.run(&["up"]));
    assert!(missing.contains("wxkeys.cbor") && missing.contains("Put the key file back"), "{missing}");
    assert!(!key.exists(), "a new key could not open the old data");
}

#[test]
fn an_older_copy_of_the_data_is_noticed() {
    let scratch = Scratch::new();
    scratch.write_settings();
    scratch.up(&[]).terminate();
    let (database, copy) = (scratch.data().join("broker.sqlite"), scratch.path().join("copy"));
    std::fs::copy(&database, &copy).expect("copied");
    for _ in 0..2 {
        scratch.up(&[]).terminate();
    }
    std::fs::copy(&copy, &database).expect("put back");
    let broker = scratch.up(&[]);
    assert_eq!(broker.ready["rolled_back"], true, "{}", broker.line);
    let doctor = scratch.run(&["doctor"]);
    let words = String::from_utf8(doctor.stdout).expect("text");
    assert!(words.contains("warning  history: the data is older"), "{words}");
    broker.terminate();
}

/// As a user who may not write there. Root may write everywhere, so root runs the program as somebody else.
#[test]
fn a_directory_that_cannot_be_written_to_is_refused_and_nothing_is_left() {
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65_534;
    let scratch = Scratch::new();
    let program = scratch.path().join("waxwingd");
    let original = env!("CARGO_BIN_EXE_waxwingd");
    std::fs::hard_link(original, &program)
        .or_else(|_| std::fs::copy(original, &program).map(|_| ()))
        .expect("the program can be put where everybody may run it");
    let locked = scratch.path().join("locked");
    std::fs::create_dir(&locked).expect("made");
    for (path, mode) in [(scratch.path(), 0o755), (&locked, 0o555)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
    }
    let mut command = Command::new(&program);
    command.arg("--data-dir").arg(locked.join("data")).args(["up", "--listen", "127.0.0.1"]);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let refused = error_of(&command.output().expect("the program starts"));
    assert!(refused.contains("locked/data") && refused.contains("writable for this user"), "{refused}");
    assert_eq!(std::fs::read_dir(&locked).expect("readable").count(), 0);
}

#[test]
fn a_broker_in_memory_leaves_nothing_behind() {
    let scratch = Scratch::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_waxwingd"));
    command.env("HOME", scratch.path()).env_remove("XDG_DATA_HOME").env_remove("XDG_CONFIG_HOME");
    let settings = Scratch::new();
    settings.write_settings();
    command.arg("--config").arg(settings.path().join("data.keys/waxwingd.toml"));
    let broker = Running::start(command.args(["up", "--memory", "--json"]));
    assert!(broker.text("/domain").ends_with(".local"));
    broker.terminate();
    assert_eq!(std::fs::read_dir(scratch.path()).expect("readable").count(), 0);
}
