//! What verbs print: lines for people, JSON for programs.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::json;

use super::qr;
use crate::admin::protocol::{Check, Done, Failure, InviteLine, State, Status};

/// The last line of `up`.
pub(super) const STOP_HINT: &str = "Stop with Ctrl-C.\n";

/// Says why something was not done.
pub(super) fn failure(failure: &Failure) {
    eprintln!("waxwingd: {}", failure.what);
    if !failure.todo.is_empty() {
        eprintln!("{}", failure.todo);
    }
}

/// Prints what was done. A reader that has gone away is no failure.
pub(super) fn done(done: &Done, json: bool) {
    let text = if json { as_json(done) } else { as_text(done) };
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Prints checks; in JSON one object.
pub(super) fn checks(checks: &[Check], json: bool) {
    done(&Done::Checks(checks.to_vec()), json);
}

fn as_json(done: &Done) -> String {
    let mut value = serde_json::to_value(done).unwrap_or_default();
    match &mut value {
        // `{"status":{…}}` becomes `{"v":1,"status":{…}}`
        serde_json::Value::Object(fields) => {
            fields.insert("v".to_owned(), json!(1));
        }
        _ => value = json!({ "v": 1 }),
    }
    format!("{value}\n")
}

fn as_text(done: &Done) -> String {
    match done {
        Done::Invite(invite) => invite_text(invite),
        Done::Status(status) => status_text(status),
        Done::Peer { domain } => {
            format!("{domain} is known from now on. Its operator must add the peer link of this broker, too.\n")
        }
        Done::Peers(peers) if peers.is_empty() => "No other broker is remembered.\n".to_owned(),
        Done::Peers(peers) => {
            let lines = peers.iter().map(|peer| match peer.addresses.as_slice() {
                [] => format!("{}\n", peer.domain),
                addresses => format!("{}  at {}\n", peer.domain, addresses.join(", ")),
            });
            lines.collect()
        }
        Done::Accounts(accounts) if accounts.is_empty() => {
            "There is no account yet. Invite somebody: waxwingd invite\n".to_owned()
        }
        Done::Accounts(accounts) => {
            let lines = accounts
                .iter()
                .map(|account| format!("{}{}\n", account.address, if account.online { "  (connected)" } else { "" }));
            lines.collect()
        }
        Done::Password { address, password } => {
            format!("The new password of {address}, shown only this once:\n\n  {password}\n")
        }
        Done::Certificate { pem } => pem.clone(),
        Done::Checks(checks) => checks.iter().map(check_text).collect(),
        Done::Nothing => "Done.\n".to_owned(),
    }
}

fn invite_text(invite: &InviteLine) -> String {
    let mut text = format!("This link opens one account:\n\n  {}\n\n", invite.link);
    if io::stdout().is_terminal() {
        text.push_str(&qr::draw(&invite.link));
        text.push('\n');
    }
    if let Some(page) = &invite.page {
        text.push_str(&format!("The same as a page: {page}\n"));
    }
    text
}

fn status_text(status: &Status) -> String {
    let ports = status.ports;
    format!(
        "{} (version {})\n{} accounts, {} connected, {} other brokers remembered\n\
         ports {} and {} for apps, {} and {} for other brokers, {} for pages and files\npeer link: {}\n",
        status.domain,
        status.version,
        status.accounts,
        status.sessions,
        status.peers,
        ports.client,
        ports.client_tls,
        ports.server,
        ports.server_tls,
        ports.https,
        status.peer_link,
    )
}

fn check_text(check: &Check) -> String {
    let word = match check.state {
        State::Good => "good   ",
        State::Warning => "warning",
        State::Bad => "BAD    ",
    };
    let todo = if check.todo.is_empty() { String::new() } else { format!("\n         -> {}", check.todo) };
    format!("{word}  {}: {}{todo}\n", check.name, check.why)
}
