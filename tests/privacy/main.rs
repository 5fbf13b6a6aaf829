//! Our programs as people run them, two brokers and two people, at the loudest log: neither logs nor anything on a disk
//! says who talked with whom, from where, or what.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use waxwing_tests::person::Person;
use waxwing_tests::process::Process;
use waxwing_tests::programs;
use waxwing_tests::scratch::Scratch;
use waxwing_tests::words::find;

/// Where the brokers listen. Nothing else on this machine uses these.
const ADDRESSES: [&str; 2] = ["127.83.41.2", "127.83.41.3"];
const BODIES: [&str; 3] = ["meet me at the lighthouse", "the lighthouse is closed", "then by the harbour wall"];
const FILE_NAME: &str = "holiday-snapshot.jpg";
const FILE_WORDS: &str = "pixels of a holiday snapshot";

/// A running broker; what it prints and logs lies in one file.
struct Broker {
    process: Process,
    data: PathBuf,
    ready: Value,
}

impl Broker {
    fn start(scratch: &Scratch, domain: &str, address: &str) -> Self {
        let data = scratch.path().join(domain);
        let mut command = waxwingd(&data);
        command.args([
            "--log",
            "trace",
            "up",
            "--domain",
            domain,
            "--listen",
            address,
            "--port-base",
            "15220",
            "--json",
        ]);
        let process = Process::start(&mut command, &scratch.path().join(format!("{domain}.log")));
        process.wait_for_text("\"ready\":true", Duration::from_secs(30));
        let printed = process.printed();
        let line = printed.lines().find(|line| line.starts_with('{')).expect("the line for programs");
        Self { ready: serde_json::from_str(line).expect("it is JSON"), process, data }
    }

    fn text(&self, pointer: &str) -> &str {
        self.ready.pointer(pointer).and_then(Value::as_str).expect("the line has that")
    }

    /// What it has printed without the line that is meant for its operator, which names its address and an invitation.
    fn log(&self) -> String {
        let printed = self.process.printed();
        let lines: Vec<&str> =
            printed.lines().filter(|line| !line.starts_with("{\"version\":1,\"kind\":\"ready\"")).collect();
        lines.join("\n")
    }

    fn admin(&self, line: &[&str]) -> String {
        let ran = waxwingd(&self.data).args(line).output().expect("waxwingd can be started");
        assert!(ran.status.success(), "waxwingd {line:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }
}

fn waxwingd(data: &Path) -> Command {
    let mut command = Command::new(programs::path("waxwingd"));
    command.arg("--data-dir").arg(data);
    command
}

/// Everything that a process holds in memory that it can write to; `None` where the system does not let it be read.
fn memory(process: u32) -> Option<Vec<u8>> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
    let mut memory = std::fs::File::open(format!("/proc/{process}/mem")).ok()?;
    let mut all = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (Some(range), Some(rights)) = (fields.next(), fields.next()) else { continue };
        let Some((from, to)) = range.split_once('-') else { continue };
        let (Ok(from), Ok(to)) = (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16)) else { continue };
        if !rights.starts_with("rw") || line.ends_with("[vvar]") {
            continue;
        }
        memory.seek(SeekFrom::Start(from)).ok()?;
        // A part that has gone meanwhile is no part of what is held.
        let _ = Read::by_ref(&mut memory).take(to - from).read_to_end(&mut all);
    }
    Some(all)
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("Uid:\t0\t"))
}

/// Whether a process leaves no core file.
fn leaves_no_core(process: u32) -> bool {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).expect("the limits can be read");
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).expect("there is that limit");
    line.split_whitespace().filter(|word| *word == "0").count() == 2
}

/// All files below a directory; a socket is none.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a scratch directory can be read");
    let paths = entries.map(|entry| entry.expect("its entries too").path());
    let listed = paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    listed.filter(|path| path.is_file()).collect()
}

/// Alice and Bob join at different brokers and converse, with a picture.
async fn converse(scratch: &Scratch, north: &Broker, south: &Broker) -> (Person, Person) {
    let (alice, bob) = (Person::new(scratch.path(), "alicequist"), Person::new(scratch.path(), "bobsworth"));
    alice.ok(&["join", north.text("/invite/link"), "--name", "alicequist"]).await;
    bob.ok(&["join", south.text("/invite/link"), "--name", "bobsworth"]).await;
    let link = alice.json(&["invite"]).await[0]["link"].as_str().expect("a link").to_owned();
    bob.ok(&["add", &link]).await;
    bob.say("alicequist", BODIES[0]).await;
    alice.wait_for_message(BODIES[0], false).await;
    alice.say("bobsworth", BODIES[1]).await;
    bob.wait_for_message(BODIES[1], false).await;
    let picture = scratch.write(FILE_NAME, &FILE_WORDS.repeat(3000));
    bob.ok(&["send", "alicequist", picture.to_str().expect("scratch paths are text")]).await;
    std::fs::remove_file(picture).expect("the original is ours");
    let objects = alice.json(&["inbox"]).await;
    let saved = objects.iter().find(|object| object["kind"] == "file_saved").expect("the picture arrived");
    let saved = Path::new(saved["path"].as_str().expect("a path"));
    let content = std::fs::read_to_string(saved).expect("the picture is there");
    assert!(content == FILE_WORDS.repeat(3000), "the picture is another one");
    // she asked for it, so it lies readable in her directory of files; nothing else may
    std::fs::remove_file(saved).expect("the picture can be removed");
    alice.say("bobsworth", BODIES[2]).await;
    bob.wait_for_message(BODIES[2], false).await;
    (alice, bob)
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_and_disks_say_nothing() {
    let scratch = Scratch::new("privacy");
    let north = Broker::start(&scratch, "north.example", ADDRESSES[0]);
    let south = Broker::start(&scratch, "south.example", ADDRESSES[1]);
    north.admin(&["peer", "add", south.text("/peer_link")]);
    south.admin(&["peer", "add", north.text("/peer_link")]);
    let (alice, bob) = converse(&scratch, &north, &south).await;

    let mut secrets = vec!["alicequist", "bobsworth", "alicequist@north.example", FILE_NAME, FILE_WORDS];
    secrets.extend(BODIES);
    secrets.extend(ADDRESSES);
    let password = "correct horse battery staple";
    let password_file = scratch.write("password", password);
    alice.ok(&["account", "password", "--password-file", password_file.to_str().expect("text")]).await;
    std::fs::remove_file(password_file).expect("it is ours");
    secrets.push(password);
    let mut searched = 0;
    let mut search = |place: &str, content: &[u8]| {
        searched += content.len();
        for secret in &secrets {
            assert_eq!(find(content, secret), None, "{secret:?} in {place}");
        }
    };
    for broker in [&north, &south] {
        let log = broker.log();
        assert!(log.contains("DEBUG"), "the log is loud: {log}");
        search("the log", log.as_bytes());
        for file in files(&broker.data) {
            search(&file.display().to_string(), &std::fs::read(&file).expect("it can be read"));
        }
    }
    for person in [&alice, &bob] {
        for file in files(person.home()) {
            search(&file.display().to_string(), &std::fs::read(&file).expect("it can be read"));
        }
    }
    // What the brokers hold in memory after all that: no words and no files. Who may not look (the programs forbid it to
    // others than root) has looked at the rest.
    for broker in [&north, &south] {
        assert!(leaves_no_core(broker.process.id()), "a broker may leave a core file");
        let Some(held) = memory(broker.process.id()) else {
            assert!(!is_root(), "root can read the memory of a process");
            continue;
        };
        assert!(find(&held, "north.example").is_some() || find(&held, "south.example").is_some(), "the control");
        for secret in BODIES.into_iter().chain([FILE_NAME, FILE_WORDS]) {
            assert_eq!(find(&held, secret), None, "{secret:?} in the memory of a broker");
        }
    }
    let following = alice.follow();
    following.wait_for_text("\n", Duration::from_secs(30));
    assert!(leaves_no_core(following.id()), "the client may leave a core file");

    assert!(searched > 100_000, "so little was searched that something is missing: {searched} bytes");

    // The control: what is written on purpose is found in the same places.
    let marker = scratch.write("north.example/marker", "to alicequist: meet me at the lighthouse");
    let found = files(&north.data)
        .into_iter()
        .filter(|file| find(&std::fs::read(file).expect("it can be read"), BODIES[0]).is_some());
    assert_eq!(found.collect::<Vec<_>>(), [marker]);
}
