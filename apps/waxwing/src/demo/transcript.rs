//! What the reader sees. Every figure is of this run.

use std::time::Instant;

use serde_json::json;

use super::proof::{Place, Proof};
use crate::cli::Console;

/// The transcript of one run.
pub(super) struct Transcript<'c> {
    console: &'c mut Console,
    started: Instant,
}

impl<'c> Transcript<'c> {
    pub(super) fn new(console: &'c mut Console) -> Self {
        Self { console, started: Instant::now() }
    }

    fn seconds(&self) -> f64 {
        (self.started.elapsed().as_secs_f64() * 100.0).round() / 100.0
    }

    /// Something has happened.
    pub(super) fn step(&mut self, text: &str) {
        let seconds = self.seconds();
        self.console.line(&format!("{seconds:6.2} s  {text}"));
        self.console.object(&json!({"kind": "step", "seconds": seconds, "text": text}));
    }

    /// The end, as it should be or not.
    pub(super) fn verdict(&mut self, proof: &Proof) {
        let seconds = self.seconds();
        self.console.line("");
        self.console.line(
            "Then everything was searched for the words, the picture and its name, the addresses and the passwords:",
        );
        for place in &proof.places {
            let line = describe(place);
            self.console.line(&line);
        }
        let (things, forms) = (proof.things, proof.forms);
        self.console
            .line(&format!("Searched for {things} pieces in {forms} forms: as they are, hexadecimal, base64, UTF-16."));
        if proof.places.iter().all(|place| place.control_found) {
            self.console.line(
                "Control: a sentence left readable on purpose in each of the three places was found in all forms.",
            );
        } else {
            self.console.line(
                "Control: FAILED. A sentence left readable on purpose was not found, so the search proves nothing.",
            );
        }
        self.console.line("");
        let verdict = if proof.holds {
            "0 readable bytes: nobody in between could read along."
        } else {
            "NOT PROVED: see above."
        };
        self.console.line(&format!("{verdict} ({seconds:.2} s, nothing is left behind)"));
        self.console.object(&json!({"kind": "verdict", "seconds": seconds, "proof": proof}));
    }

    /// It did not come to its end.
    pub(super) fn trouble(&mut self, text: &str) {
        if !self.console.is_json() {
            self.console.note(&format!("The demonstration failed: {text}. Nothing is left behind."));
        }
        self.console.object(&json!({"kind": "error", "error": "demo", "text": text}));
    }
}

fn describe(place: &Place) -> String {
    let Place { parts, bytes, readable_bytes, addresses_seen, .. } = place;
    let (name, part) = match place.place {
        "wires" => ("on the wires", "directions of TCP connections"),
        "brokers" => ("inside the brokers", "directions, decrypted from TLS"),
        _ => ("on the disks", "files of brokers and people, during and after"),
    };
    let line = format!("  {name:18}  {readable_bytes} readable bytes in {bytes} bytes ({parts} {part})");
    if place.place == "brokers" {
        let note = "brokers see who writes to whom, as they must carry it there: addresses stood there";
        return format!("{line}\n  {:18}  {note} {addresses_seen} times", "");
    }
    line
}
