//! Neither the log at its loudest nor the data directory says who talked, from where, or what.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::person::{Person, Way, message};
use crate::scratch::{Running, Scratch};

/// A text in the forms in which it could lie somewhere: raw, hexadecimal, UTF-16, base64 at each of its three phases.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let base64 = |phase: usize| {
        let padded = [&vec![0; phase][..], text.as_bytes()].concat();
        let encoded = STANDARD_NO_PAD.encode(padded);
        // the first and the last group also hold bits of the neighbours
        let inner = encoded.get(if phase == 0 { 0 } else { 4 }..encoded.len() - encoded.len() % 4);
        inner.unwrap_or_default().as_bytes().to_vec()
    };
    let utf16 = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![text.as_bytes().to_vec(), hex::encode(text).into_bytes(), utf16, base64(0), base64(1), base64(2)]
}

fn contains(content: &[u8], needle: &[u8]) -> bool {
    content.windows(needle.len()).any(|window| window == needle)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("readable");
    entries.map(|entry| entry.expect("readable").path()).filter(|path| path.is_file()).collect()
}

#[tokio::test]
async fn log_and_disk_name_nobody() {
    let scratch = Scratch::new();
    scratch.write_settings();
    let log = scratch.path().join("log");
    let mut command = scratch.command(&["--log", "trace", "up", "--json", "--domain", "north.example"]);
    command.stderr(Stdio::from(std::fs::File::create(&log).expect("made")));
    let broker = Running::start(&mut command);
    let way = Way::of_link(broker.text("/invite/link"));
    let mut alice = Person::register(&way, "alicequist", "correct horse battery").await;
    alice.be_available().await;
    alice.send_acknowledged(&message("alicequist@north.example/elsewhere", "a body nobody reads")).await;
    alice.send(&message("stranger@nowhere.invalid", "a body for abroad")).await;
    alice.receive("an error", |stanza| stanza.attr("type") == Some("error")).await;
    let secrets = [
        "alicequist",
        "correct horse battery",
        "a body nobody reads",
        "a body for abroad",
        "stranger",
        "nowhere.invalid",
        "127.0.0.1",
        way.token.as_deref().expect("a token"),
    ];
    let mut places = files(&scratch.data());
    places.push(log);
    assert!(places.len() >= 3, "{places:?}");
    for place in &places {
        let content = std::fs::read(place).expect("readable");
        for secret in secrets {
            for (nth, form) in forms(secret).iter().enumerate() {
                assert!(!contains(&content, form), "{secret} in form {nth} in {}", place.display());
            }
        }
    }
    broker.terminate();
}

#[test]
fn the_search_finds_what_is_there() {
    let secret = "a body nobody reads";
    for phase in 0..3 {
        let around = format!("{}{secret}{}", "x".repeat(phase), "y".repeat(9));
        let encoded = STANDARD_NO_PAD.encode(around);
        assert!(forms(secret).iter().any(|form| contains(encoded.as_bytes(), form)), "phase {phase}");
    }
    assert!(contains(hex::encode(secret).as_bytes(), &forms(secret)[1]));
}
