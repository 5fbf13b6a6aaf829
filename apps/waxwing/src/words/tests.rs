//! All words in one file; no words elsewhere.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use client::display::AddressWarning;
use client::event::Notice;
use client::{CommandError, EngineError, Failure, LinkProblem};
use store::StoreError;
use store::backend::BackendError;
use store::keys::KeysError;
use xmpp::jid::BareJid;

use crate::api::{self, Kind, Refusal};
use crate::cli::Arguments;

/// Set to write the file anew.
const BLESS: &str = "BLESS";

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

struct Page(String);

impl Page {
    fn section(&mut self, title: &str) {
        let _ = write!(self.0, "\n\n== {title} ==\n\n");
    }

    /// A name, what programs are told, and the words below.
    fn entry(&mut self, name: &str, kind: Option<Kind>, words: &str) {
        let kind =
            kind.map(|kind| format!("  ({})", serde_json::to_value(kind).expect("a word").as_str().expect("a word")));
        let _ = writeln!(self.0, "{name}{}", kind.unwrap_or_default());
        for line in words.lines() {
            let _ = writeln!(self.0, "    {line}");
        }
    }

    fn refusal(&mut self, name: &str, refusal: &Refusal) {
        self.entry(name, Some(refusal.kind), &refusal.text);
    }
}

/// The name of a value without what it holds.
fn name(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

fn everything() -> String {
    let mut page = Page(
        "Every sentence that the client shows people. Written by a test, for reading as a whole: BLESS=1 cargo test -p \
         waxwing words"
            .to_owned(),
    );
    page.section("What could not be done, told at once (client::CommandError)");
    for error in CommandError::every() {
        page.refusal(&name(&error), &Refusal::from(&error));
    }
    for problem in LinkProblem::every() {
        page.refusal(&name(&problem), &Refusal::from(&CommandError::BadLink(problem)));
    }
    page.section("What did not work out later (client::Failure)");
    for failure in Failure::every() {
        page.refusal(&name(&failure), &Refusal::from(failure));
    }
    page.section("What the user must know (client::Notice)");
    for notice in Notice::every(&BareJid::parse("bob@south.example").expect("an address")) {
        let (word, text) = api::notice_words(&notice);
        page.entry(word, None, &text);
    }
    page.section("What is odd about an address (client::AddressWarning)");
    for warning in AddressWarning::every() {
        page.entry(&name(&warning), None, warning.words());
    }
    page.section("What this machine refuses (store, and what the engine makes of it)");
    let advice = |happened: &str, what_to_do: &str| format!("{happened}. {what_to_do}");
    for error in KeysError::every() {
        page.entry(&name(&error), None, &advice(error.what_happened(), error.what_to_do()));
    }
    for error in StoreError::every() {
        page.entry(&name(&error), None, &advice(error.what_happened(), error.what_to_do()));
    }
    for error in BackendError::every() {
        page.entry(&name(&error), None, &advice(error.what_happened(), error.what_to_do()));
    }
    for error in EngineError::every() {
        page.entry(&name(&error), None, &error.to_string());
    }
    page.section("What the program refuses, and hints (words::refusals)");
    for (name, text) in super::refusals::ALL {
        page.entry(name, None, text);
    }
    page.section("What the program prints and asks (words::results)");
    for (name, text) in super::results::ALL {
        page.entry(name, None, text);
    }
    page.section("Settings (waxwing config)");
    for (name, meaning) in crate::runtime::settings::NAMES {
        page.entry(name, None, meaning);
    }
    page.section("Mistakes in the command line");
    for line in [
        &["say"][..],
        &["say", "bob"],
        &["sya", "bob", "hello"],
        &["inbox", "--folow"],
        &["history", "bob", "--limit", "many"],
        &["contacts", "accept"],
        &["account"],
        &["join"],
    ] {
        let line = ["waxwing"].iter().chain(line).copied();
        let error = crate::cli::parse(line.clone().map(Into::into)).expect_err("a mistake");
        page.entry(&line.collect::<Vec<_>>().join(" "), None, &error.render().to_string());
    }
    page.section("Help");
    page.0.push_str(&help());
    page.0
}

/// The help of the program and of each of its commands, as on a terminal of 80 columns.
fn help() -> String {
    let mut all = String::new();
    let mut command = Arguments::command().term_width(80).color(clap::ColorChoice::Never);
    command.build();
    let mut waiting = vec![command];
    while let Some(mut command) = waiting.pop() {
        let name = command.get_bin_name().unwrap_or("waxwing").to_owned();
        let _ = writeln!(all, "---- {name} ----\n{}", command.render_long_help());
        let below: Vec<_> = command.get_subcommands().cloned().collect();
        waiting.extend(below.into_iter().rev());
    }
    all
}

#[test]
fn the_words_are_these() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("words/all.txt");
    // Lines of help are padded; a file that people edit is not.
    let now: String = everything().lines().map(|line| format!("{}\n", line.trim_end())).collect();
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, now).expect("written");
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (kept, now)) in kept.lines().zip(now.lines()).enumerate() {
        assert_eq!(now, kept, "line {} of words/all.txt; {BLESS}=1 writes it anew, then read what changed", number + 1);
    }
    assert_eq!(now.lines().count(), kept.lines().count(), "words/all.txt has another length; {BLESS}=1 writes it anew");
}

/// Words of several people stand in one place, so that they can be read as a whole.
#[test]
fn no_sentence_stands_elsewhere() {
    let mut found = Vec::new();
    for directory in ["api", "cli", "runtime", "socket", "terminal"] {
        search(&source().join(directory), &mut found);
    }
    assert!(found.is_empty(), "these belong into words/, or into the error of the engine:\n{}", found.join("\n"));
}

fn search(directory: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).expect("there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            search(&path, found);
            continue;
        }
        // Help and settings have sections of their own; notices stand with their words for programs.
        let elsewhere = ["arguments.rs", "settings.rs", "notices.rs", "tests.rs"];
        if path.extension().is_none_or(|e| e != "rs") || elsewhere.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("readable");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let is_code =
                !line.trim_start().starts_with("//") && !line.contains("tracing::") && !line.contains("expect(");
            if is_code && line.split('"').skip(1).step_by(2).any(is_sentence) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
}

/// Three words and more, which are neither a command to type nor the template of a bar.
fn is_sentence(text: &str) -> bool {
    let is_word = |word: &&str| !word.contains('{') && word.chars().filter(|c| c.is_alphabetic()).count() > 1;
    text.split_whitespace().filter(is_word).count() >= 3 && !text.trim_start().starts_with("waxwing ")
}
