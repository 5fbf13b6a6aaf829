//! What `up` and `invite` say to a person: on one screen of 80 columns and 20 lines, the link last.

use std::fmt::Write as _;

use super::layout::{COLUMNS, beside, rows_of, wrap};
use super::qr::{self, Code};
use crate::admin::protocol::InviteLine;

/// What fits on a terminal with some lines of what was there before.
const LINES: usize = 20;

/// What is known about a broker that has just started.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    /// The domain that it serves.
    pub(super) domain: String,
    /// How this program is called for this broker's data.
    pub(super) command: String,
    /// An invitation, where one is to be shown.
    pub(super) invite: Option<InviteLine>,
    /// Days until it ends.
    pub(super) invite_days: i64,
    /// Codes can be drawn, and somebody sits there.
    pub(super) is_terminal: bool,
    /// A service manager runs it.
    pub(super) is_service: bool,
    /// Accounts that are open.
    pub(super) accounts: usize,
    /// The name can still be changed.
    pub(super) is_name_open: bool,
    /// A public authority vouches for it.
    pub(super) has_public_certificate: bool,
    /// The data is older than when it last ran.
    pub(super) is_rolled_back: bool,
    /// What is wrong with the certificate that the settings name.
    pub(super) certificate_trouble: Option<String>,
    /// Where the key file is; nothing when all is in memory.
    pub(super) key_file: Option<String>,
}

/// What `up` prints.
pub(super) fn up(scene: &Scene) -> String {
    let Some(invite) = &scene.invite else {
        return lines(&beside(None, &without_invite(scene)));
    };
    let mut paragraphs = vec![running(scene)];
    paragraphs.extend(attention(scene));
    paragraphs.push(format!(
        "To invite the first person, send them the link below{}. It opens one account and is good for {}. They run \
         waxwing join 'LINK', with the quotes.",
        if scene.is_terminal { ", or let their phone scan this code" } else { "" },
        days(scene.invite_days)
    ));
    if scene.is_name_open {
        paragraphs.push(
            "The first account fixes the name of this broker. For another name, stop it and start it with --domain NAME."
                .to_owned(),
        );
    }
    if !scene.has_public_certificate {
        paragraphs.push("Apps other than Waxwing need a domain and a public certificate.".to_owned());
    }
    paragraphs.extend(more(scene));
    paragraphs.push(keys(scene));
    with_link(scene.is_terminal, paragraphs, invite)
}

/// What `invite` prints.
pub(super) fn invite(invite: &InviteLine, invite_days: i64, is_terminal: bool) -> String {
    let mut paragraphs = vec![
        format!("This invitation opens one account and is good for {}.", days(invite_days)),
        "Send the link below. With Waxwing it is used like this, with the quotes: waxwing join 'LINK'".to_owned(),
    ];
    if let Some(page) = invite.page.as_ref().filter(|_| !is_terminal) {
        paragraphs.push(format!("The same as a web page: {page}"));
    } else if invite.page.is_some() {
        paragraphs.push("The code leads to a web page that says the same.".to_owned());
    }
    paragraphs.push("Take it back with: waxwingd invite revoke".to_owned());
    with_link(is_terminal, paragraphs, invite)
}

/// Words, a code where there is room for one, and the link at the end. What does not fit on the screen is left out from
/// the end: the first paragraphs are those that matter.
fn with_link(is_terminal: bool, mut paragraphs: Vec<String>, invite: &InviteLine) -> String {
    let room = LINES.saturating_sub(rows_of(&invite.link));
    let text = invite.code.as_ref().unwrap_or(&invite.link);
    let code: Option<Code> = is_terminal.then(|| qr::draw(text, room)).flatten();
    let mut shown = beside(code.as_ref(), &paragraphs);
    let rows = |lines: &[String]| match code {
        Some(_) => lines.len(), // as wide as the terminal, and the sequences for colours take no room
        None => lines.iter().map(|line| rows_of(line)).sum(),
    };
    while rows(&shown) > room && paragraphs.len() > 1 {
        paragraphs.pop();
        shown = beside(code.as_ref(), &paragraphs);
    }
    if code.is_none() && rows(&shown) < room {
        shown.push(String::new());
    }
    shown.push(invite.link.clone());
    lines(&shown)
}

fn without_invite(scene: &Scene) -> Vec<String> {
    let mut paragraphs = vec![running(scene)];
    paragraphs.extend(attention(scene));
    if scene.accounts == 0 {
        let command = &scene.command;
        paragraphs.push(format!("Nobody has an account yet. Make an invitation with: {command} invite"));
    }
    paragraphs.extend(more(scene));
    paragraphs.push(keys(scene));
    paragraphs
}

fn running(scene: &Scene) -> String {
    let accounts = match scene.accounts {
        0 => String::new(),
        1 => " with 1 account".to_owned(),
        count => format!(" with {count} accounts"),
    };
    let stop = if scene.is_service { "" } else { " Stop it with Ctrl-C." };
    format!("Waxwing broker {} is running{accounts}.{stop}", scene.domain)
}

fn attention(scene: &Scene) -> Vec<String> {
    let mut attention = Vec::new();
    if scene.is_rolled_back {
        let older = "Attention: the data is older than when this broker last ran. Was a backup put back? What came \
                     after it is missing.";
        attention.push(older.to_owned());
    }
    if let Some(trouble) = &scene.certificate_trouble {
        attention.push(format!("Attention: {trouble}."));
    }
    attention
}

fn more(scene: &Scene) -> Option<String> {
    scene.key_file.as_ref()?; // a broker in memory has no socket for these commands
    let command = &scene.command;
    let mut text = String::new();
    if scene.invite.is_some() || scene.accounts > 0 {
        let _ = write!(text, "Invite more people: {command} invite. ");
    }
    let _ = write!(
        text,
        "Ports and the link for other brokers: {command} status. If something is wrong: {command} doctor."
    );
    Some(text)
}

fn keys(scene: &Scene) -> String {
    match &scene.key_file {
        None => "Everything is in memory, and ends with this program.".to_owned(),
        Some(path) => format!("Keep a copy of the key file elsewhere; without it a backup cannot be opened: {path}"),
    }
}

fn days(count: i64) -> String {
    if count == 1 { "1 day".to_owned() } else { format!("{count} days") }
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Puts words of `doctor` below each other.
pub(super) fn indented(text: &str, indent: usize) -> String {
    let lines = wrap(text, COLUMNS.saturating_sub(indent));
    let separator = format!("\n{}", " ".repeat(indent));
    lines.join(&separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite_line(host: &str, at: &str) -> InviteLine {
        let token = "abcdefghijkmnpqrstuvwxyz23";
        let pin = "A".repeat(43);
        InviteLine {
            link: format!("xmpp:{host}?register;preauth={token};wx-pin={pin};wx-at={at}"),
            page: Some(format!("https://192.168.100.100:5443/invite/{token}")),
            code: Some(format!("HTTPS://192.168.100.100:5443/I/{}", token.to_uppercase())),
            expires_at: "2027-01-15T08:00:00.000Z".into(),
        }
    }

    fn scene(host: &str, at: &str) -> Scene {
        Scene {
            domain: host.to_owned(),
            command: "waxwingd".into(),
            invite: Some(invite_line(host, at)),
            invite_days: 7,
            is_terminal: true,
            is_service: false,
            accounts: 0,
            is_name_open: true,
            has_public_certificate: false,
            is_rolled_back: false,
            certificate_trouble: None,
            key_file: Some("/home/operator/.config/waxwingd/wxkeys.cbor".into()),
        }
    }

    /// The text as a terminal of 80 columns shows it, without the sequences that colour it.
    fn shown(text: &str) -> Vec<String> {
        let plain = text.replace("\x1b[30;107m", "").replace("\x1b[0m", "");
        let rows = |line: &str| {
            let characters: Vec<char> = line.chars().collect();
            let rows: Vec<String> = characters.chunks(COLUMNS).map(|row| row.iter().collect()).collect();
            if rows.is_empty() { vec![String::new()] } else { rows }
        };
        plain.lines().flat_map(rows).collect()
    }

    #[test]
    fn one_screen_holds_what_matters_and_the_link_is_last() {
        let long_host = format!("{}-abcdefghijabcdefghij.local", "x".repeat(40));
        let both = "192.168.100.100:5223,[2001:db8:1111:2222:3333:4444:5555:6666]:5223";
        for (host, at) in [("tower-abc234.local", "192.168.1.5:5223"), ("tower-abc234.local", both), (&long_host, both)]
        {
            for (is_terminal, is_rolled_back) in [(true, false), (false, false), (true, true)] {
                let scene = Scene { is_terminal, is_rolled_back, ..scene(host, at) };
                let text = up(&scene);
                let rows = shown(&text);
                assert!(rows.len() <= LINES, "{} lines: {text}", rows.len());
                assert_eq!(text.lines().last(), Some(scene.invite.expect("set").link.as_str()));
                assert!(text.contains("waxwing join"), "{text}");
                assert_eq!(text.contains('█'), is_terminal, "{text}");
                assert_eq!(text.contains("Attention"), is_rolled_back, "{text}");
            }
        }
    }

    #[test]
    fn words_of_up() {
        let first = Scene { is_terminal: false, ..scene("north.example", "192.168.1.5:5223") };
        let later = Scene { invite: None, is_name_open: false, accounts: 3, ..first.clone() };
        let service = Scene { invite: None, is_service: true, ..first.clone() };
        let memory = Scene { key_file: None, invite: None, accounts: 1, ..first.clone() };
        let put_back = Scene { is_rolled_back: true, accounts: 1, invite: None, ..first.clone() };
        let trouble = "no public authority vouches for the certificate, and apps refuse it";
        let untrusted = Scene { certificate_trouble: Some(trouble.into()), ..later.clone() };
        let said = [
            ("first start", up(&first)),
            ("later start", up(&later)),
            ("service, first start", up(&service)),
            ("in memory", up(&memory)),
            ("backup put back", up(&put_back)),
            ("certificate of nobody", up(&untrusted)),
            ("invite", invite(&invite_line("north.example", "192.168.1.5:5223"), 1, false)),
        ];
        let text: String = said.iter().map(|(when, text)| format!("## {when}\n\n{text}\n")).collect();
        crate::words::assert_matches("up", &text);
    }
}
