//! Help, next steps, words: what people see without a server.

use clap::CommandFactory as _;

use super::{Arguments, Exit, next_step};
use crate::api::{Kind, StatusView};

/// Words of the craft that no ordinary output needs.
const FORBIDDEN: [&str; 5] = ["key", "fingerprint", "omemo", "device id", "trust"];

fn help() -> String {
    let mut all = Vec::new();
    let mut command = Arguments::command().term_width(100).color(clap::ColorChoice::Never);
    command.build();
    let mut waiting = vec![command];
    while let Some(mut command) = waiting.pop() {
        all.push(command.render_long_help().to_string());
        waiting.extend(command.get_subcommands().cloned());
    }
    all.join("\n----\n")
}

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn help_and_steps_use_plain_words() {
    let help = help().to_lowercase();
    for word in FORBIDDEN {
        assert!(!help.contains(word), "{word}");
    }
}

#[test]
fn the_next_step_is_the_one_that_matters_most() {
    let none = StatusView {
        address: None,
        account: "none".into(),
        waiting_count: 0,
        queued_count: 0,
        unread_count: 0,
        requests_count: 0,
        contacts_count: 0,
        witness: "unknown".to_owned(),
        clock_ahead_ms: None,
    };
    let alone = StatusView { address: Some("alice@north.example".into()), account: "offline".into(), ..none.clone() };
    let known = StatusView { contacts_count: 1, ..alone.clone() };
    let sending = StatusView { queued_count: 1, ..known.clone() };
    let asked = StatusView { requests_count: 1, ..sending.clone() };
    let unread = StatusView { unread_count: 1, ..asked.clone() };
    let refused = StatusView { account: "refused".into(), ..unread.clone() };
    let steps = [none, alone, known, sending, asked, unread, refused].map(|status| {
        let (text, command) = next_step::step(&status);
        format!("{text}\n    {command}\n")
    });
    assert_eq!(steps.concat(), include_str!("snapshots/next_steps.txt"));
}

#[test]
fn exit_codes_are_those_of_the_documentation() {
    let documented = include_str!("../../../../docs/using-waxwing.md");
    for (exit, code) in [
        (Exit::Ok, 0),
        (Exit::Failed, 1),
        (Exit::Usage, 2),
        (Exit::NotYetSent, 3),
        (Exit::NotSecure, 4),
        (Exit::NoAccount, 5),
        (Exit::Offline, 6),
        (Exit::Changed, 7),
        (Exit::OwnDeviceWaits, 8),
    ] {
        assert_eq!(exit as u8, code);
        assert!(documented.contains(&format!("\n| {code} |")), "{code}");
    }
    assert_eq!(Exit::from(Kind::NotSecure), Exit::NotSecure);
    assert_eq!(Exit::from(Kind::Disk), Exit::Failed);
}
