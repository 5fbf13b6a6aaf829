//! What verbs print: lines for people, JSON for programs.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::json;

use super::announce;
use crate::admin::protocol::{Check, Done, Failure, InviteLine, ListedLine, PeerLine, State, Status};
use xmpp::time::{Clock as _, Timestamp};

/// The version of what programs read; the same as of the client.
pub(super) const JSON_VERSION: u32 = 1;

/// Says why something was not done: to people on standard error, to programs as an object on standard output.
pub(super) fn failure(failure: &Failure, json: bool) {
    if json {
        let object = json!({
            "version": JSON_VERSION,
            "kind": "error",
            "error": failure.word,
            "text": failure.what,
            "todo": failure.todo,
        });
        let _ = writeln!(io::stdout(), "{object}");
        return;
    }
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
    // `{"status":{…}}` becomes `{"version":1,"kind":"status","status":{…}}`
    let mut fields = match serde_json::to_value(done) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let kind = fields.keys().next().cloned().unwrap_or_else(|| "done".to_owned());
    fields.insert("version".to_owned(), json!(JSON_VERSION));
    fields.insert("kind".to_owned(), json!(kind));
    format!("{}\n", serde_json::Value::Object(fields))
}

fn as_text(done: &Done) -> String {
    match done {
        Done::Invite(invite) => invite_text(invite),
        Done::Invites(listed) if listed.is_empty() => {
            "There is no open invitation. Make one with: waxwingd invite\n".to_owned()
        }
        Done::Invites(listed) => listed.iter().map(listed_text).collect(),
        Done::Revoked(listed) => format!("The invitation {} opens no account any more.\n", listed.id),
        Done::Status(status) => status_text(status),
        Done::Peer { domain } => {
            format!(
                "{domain} is known from now on. Its operator must add this broker too: `waxwingd status` shows the link.\n"
            )
        }
        Done::Peers(peers) if peers.is_empty() => "No other broker is remembered.\n".to_owned(),
        Done::Peers(peers) => {
            let by_link =
                |peer: &PeerLine| if peer.by_link { "  (by a link that somebody here has added)" } else { "" };
            let lines = peers.iter().map(|peer| match peer.addresses.as_slice() {
                [] => format!("{}{}\n", peer.domain, by_link(peer)),
                addresses => format!("{}  at {}{}\n", peer.domain, addresses.join(", "), by_link(peer)),
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
        Done::Added { address, password } => {
            format!("{address} is open. Its password, shown only this once:\n\n  {password}\n")
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
    announce::invite(invite, days_until(&invite.expires_at), io::stdout().is_terminal())
}

/// Whole days until a moment, at least none; what has begun counts.
pub(super) fn days_until(moment: &str) -> i64 {
    let Ok(moment) = Timestamp::parse_xep0082(moment) else { return 0 };
    let left = moment.as_millis().saturating_sub(net::clock::SystemClock.now().as_millis());
    left.max(0).saturating_add(DAY_MILLIS - 1) / DAY_MILLIS
}

const DAY_MILLIS: i64 = 86_400_000;

fn listed_text(listed: &ListedLine) -> String {
    let whose = match (&listed.used_by, &listed.inviter, &listed.address) {
        (Some(account), ..) => format!("used by {account}"),
        (None, Some(inviter), _) => format!("made by {inviter}"),
        (None, None, Some(address)) => format!("keeps {address}"),
        (None, None, None) => "open".to_owned(),
    };
    let until = listed.expires_at.get(..10).unwrap_or(&listed.expires_at);
    format!("{}  until {until}  {whose}\n", listed.id)
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
    // what goes into a file or a search is one line
    let indented = |text: &str, indent: usize| match io::stdout().is_terminal() {
        true => announce::indented(text, indent),
        false => text.to_owned(),
    };
    let said = indented(&format!("{}: {}", check.name, check.why), 9);
    let todo = match check.todo.as_str() {
        "" => String::new(),
        todo => format!("\n         -> {}", indented(todo, 12)),
    };
    format!("{word}  {said}{todo}\n")
}
