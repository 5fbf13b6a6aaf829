//! Dialogues: what people and a server say to each other, as text files that any XMPP server can be held against.
//!
//! A file of `tests/dialogues/` begins with a title (`# ...`) and two headers, then come the steps. A line that begins
//! with a blank continues the one before.
//!
//! ```text
//! # A message to a bare address reaches every available resource (RFC 6121 §8.5.2.1.1).
//! servers: waxwingd prosody ejabberd
//! people: alice bob
//!
//! alice/desk: online
//! bob/phone: online
//! alice/desk> <message to='{bob}' type='chat' id='1'><body>hello</body></message>
//! bob/phone< <message from='{alice/desk}' id='1'><body>hello</body></message>
//! alice/desk! <message type='error'/>
//! ```
//!
//! | step | meaning |
//! |---|---|
//! | `who/resource: login` | signs in |
//! | `who/resource: online` | signs in, sends presence, and waits until it comes back |
//! | `who/resource: login PASSWORD`, `: refused PASSWORD` | signs in with another password than the usual one; or cannot |
//! | `who/resource: logout`, `: vanish` | ends the stream in order; cuts the connection |
//! | `who/resource: closed` | the server has closed the stream |
//! | `wire/1: connect` | opens a bare TCP connection; nothing is sent |
//! | `who/resource> XML` | sends this, whatever it is |
//! | `who/resource< XML` | something like this arrives; what else arrived before stays for later steps |
//! | `who/resource! XML` | nothing like this has arrived once everything sent has been dealt with |
//!
//! In all of it `{alice}` is a bare address, `{alice/desk}` a full one, `{user alice}` the localpart, `{domain}` the server
//! and `{x*9}` a row of nine x. A second connection of the same resource is called `alice/desk@2`.
//! How a pattern matches is told in [`pattern`].

pub mod pattern;
mod person;
mod script;
mod stage;

use std::path::Path;

pub use script::Script;

use crate::raw::Server;

/// A server that dialogues are held with.
pub struct Subject {
    /// What the header `servers:` calls it.
    pub name: &'static str,
    /// How it is reached; anybody may register there.
    pub server: Server,
}

/// Plays every script that names the subject, and reports all failures together.
///
/// The variable `DIALOGUE` chooses the scripts whose name contains it.
///
/// # Panics
///
/// When a script fails, or none was played.
pub async fn play_all(subject: &Subject) {
    let only = std::env::var("DIALOGUE").unwrap_or_default();
    let scripts: Vec<Script> = read_all().into_iter().filter(|s| s.name.contains(&only)).collect();
    let mut failures = Vec::new();
    let mut played = 0;
    for script in scripts.iter().filter(|script| script.servers.iter().any(|s| s == subject.name)) {
        played += 1;
        if let Err(why) = stage::play(script, subject, played).await {
            failures.push(format!("{}.dialogue {why}", script.name));
        }
    }
    println!("{}: {played} dialogues, {} failed", subject.name, failures.len());
    assert!(played > 0, "no script is for {}", subject.name);
    assert!(failures.is_empty(), "dialogues with {}:\n\n{}", subject.name, failures.join("\n\n"));
}

/// Reads all scripts of the repository in the order of their names.
///
/// # Panics
///
/// When one cannot be read; the message says where.
#[must_use]
pub fn read_all() -> Vec<Script> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("dialogues");
    let entries = std::fs::read_dir(dir).expect("the directory of dialogues can be read");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("its entries too").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "dialogue"));
    paths.sort();
    paths.iter().map(|path| Script::read(path)).collect()
}
