//! Messages and people as lines of text. What others wrote passes through [`plain`].

use super::Console;
use crate::api::{ContactView, DeviceView, FileView, MessageView, NoticeView, QueuedView};
use crate::terminal::{local, plain};
use crate::words::results;

/// By so many characters of its id a message is named.
const ID_CHARS: usize = 8;
/// So much of a message is shown to recognise it by.
const TEXT_CHARS: usize = 60;

/// A message: when, who, what. Words of several lines are indented, so that none can pass for another message.
pub(super) fn message(message: &MessageView) -> String {
    line(message, &results::you())
}

/// A message in a list of several conversations: also, to whom.
pub(super) fn message_with_contact(message: &MessageView) -> String {
    line(message, &results::you_to(&message.contact_name))
}

fn line(message: &MessageView, oneself: &str) -> String {
    // Brackets are for marks: a name that begins with one would look like a mark of ours.
    // Whoever is no contact has chosen their name themselves, and is shown by their whole address.
    let name = if message.request { &message.contact } else { &message.contact_name };
    let other = || plain::name(name).replace('[', "(");
    let who = if message.direction == "out" { oneself.to_owned() } else { other() };
    let what = match (&message.text, &message.file) {
        (Some(text), _) => plain::text(text).replace('\n', "\n    "),
        (None, Some(file)) => self::file(file),
        (None, None) => results::unknown_content(),
    };
    let why = message.reason.as_ref().map(|reason| format!(": {}", plain::name(&reason.text))).unwrap_or_default();
    let note = match message.state.as_str() {
        "waiting" | "queued" => results::will_be_sent(&why),
        "delivered" => results::has_arrived(),
        "failed" => results::was_not_sent(&why),
        _ => String::new(),
    };
    format!("{}  {}{who}: {what}{note}", local::minute(&message.written_at), mark(message))
}

/// What is known of who wrote, in front of the name.
fn mark(message: &MessageView) -> String {
    let who = match (message.verified, message.new_app) {
        (true, _) => results::mark_verified(),
        (false, true) => results::mark_new_app(),
        (false, false) => String::new(),
    };
    if message.legacy { who + &results::mark_legacy() } else { who }
}

/// Something that has not been sent: by what it is named, to whom, what, and why it waits.
pub(super) fn queued(queued: &QueuedView) -> Vec<String> {
    let id = plain::name(queued.message.get(..ID_CHARS).unwrap_or(&queued.message));
    let what = match (&queued.text, &queued.file) {
        (Some(text), _) => plain::name(&text.chars().take(TEXT_CHARS).collect::<String>()),
        (None, Some(file)) => self::file(file),
        (None, None) => results::queued_greeting(),
    };
    let mut why = match &queued.reason {
        Some(reason) => plain::name(&reason.text),
        None => results::queued_without_reason(),
    };
    if let (Some(next), Some(until)) = (&queued.next_at, &queued.kept_until) {
        why = format!("{why} {}", results::queued_times(local::minute(next), local::minute(until)));
    }
    let to = results::queued_to(&queued.contact_name);
    vec![format!("{id}  {}  {to}: {what}", local::minute(&queued.written_at)), format!("    {why}")]
}

fn file(file: &FileView) -> String {
    let size = file.size_bytes.map(|bytes| format!(", {}", plain::size(bytes))).unwrap_or_default();
    match (&file.reason, file.state.as_str()) {
        (Some(reason), "failed") => results::file_not_here(&file.name, size, &reason.text),
        _ => results::file_named(&file.name, size),
    }
}

/// An app: its number, what it calls itself, since when, what was decided; and its fingerprint.
pub(super) fn device(device: &DeviceView) -> Vec<String> {
    let mut facts = vec![device.id.to_string()];
    // Whoever put it there chose the name: it is quoted, so that it cannot pass for a sentence of ours.
    facts.extend(device.label.as_deref().map(results::device_label));
    facts.extend(device.first_seen_at.as_deref().map(|at| results::device_since(local::minute(at))));
    let state = match (device.state.as_str(), device.listed, &device.fingerprint) {
        ("compared", _, _) => results::device_compared(),
        ("believed", _, _) => results::device_reads(),
        ("refused", _, _) => results::device_is_refused(),
        (_, _, None) => results::device_has_no_key(),
        (_, true, _) => results::device_waits(),
        (_, false, _) => results::device_is_unlisted(),
    };
    facts.push(state);
    let fingerprint = device.fingerprint.as_deref().map(|digits| format!("    {}", plain::name(digits)));
    [Some(facts.join("  ")), fingerprint].into_iter().flatten().collect()
}

/// What the user must know: about whom, what, how often and since when.
pub(super) fn notice(notice: &NoticeView) -> String {
    let about = notice.contact.as_deref().map_or_else(results::your_account, plain::name);
    let times = match notice.count {
        0 | 1 => local::minute(&notice.last_at),
        count => results::times(count, local::minute(&notice.last_at)),
    };
    format!("! {about}: {} ({times})", plain::text(&notice.text))
}

/// Tells what is odd about somebody who becomes a contact.
pub(super) fn warn(console: &mut Console, contact: &ContactView) {
    for warning in &contact.warnings {
        console.note(&results::warning(&contact.address, warning));
    }
}

/// A person: name, address, what is special.
pub(super) fn contact(contact: &ContactView) -> String {
    let mut notes = Vec::new();
    match contact.identity.as_str() {
        "verified" => notes.push(results::contact_verified()),
        "changed" => notes.push(results::contact_changed()),
        "gone" => notes.push(results::contact_gone()),
        _ => {}
    }
    if contact.relation == "blocked" {
        notes.push(results::contact_is_blocked());
    }
    if contact.unread_count > 0 {
        notes.push(results::contact_unread(contact.unread_count));
    }
    if contact.undecided_devices_count > 0 {
        notes.push(results::contact_new_device());
    }
    if contact.legacy {
        notes.push(results::contact_legacy());
    }
    if contact.held_count > 0 {
        notes.push(results::contact_held(contact.held_count, &contact.address));
    }
    notes.extend(contact.warnings.iter().map(|warning| plain::name(warning)));
    let notes = if notes.is_empty() { String::new() } else { format!("  ({})", notes.join("; ")) };
    format!("{}  {}{notes}", plain::name(&contact.name), plain::name(&contact.address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Kind, Refusal};

    /// A line of that minute, where this test runs.
    fn at(rest: &str) -> String {
        format!("{}  {rest}", local::minute("2026-05-01T12:34:56.000Z"))
    }

    fn received(text: &str) -> MessageView {
        MessageView {
            contact: "bob@south.example".into(),
            contact_name: "bob".into(),
            seq: 1,
            id: "1".into(),
            direction: "in".into(),
            written_at: "2026-05-01T12:34:56.000Z".into(),
            saved_at: "2026-05-01T12:34:56.000Z".into(),
            text: Some(text.into()),
            file: None,
            state: "received".into(),
            reason: None,
            verified: false,
            new_app: false,
            legacy: false,
            read: false,
            request: false,
        }
    }

    #[test]
    fn a_message_is_one_line_or_indented() {
        assert_eq!(message(&received("hello")), at("bob: hello"));
        let forged = message(&received("a\n2026-05-01 12:35  alice: b\u{1b}[2J"));
        assert_eq!(forged, at("bob: a\n    2026-05-01 12:35  alice: b\u{241b}[2J"));
    }

    #[test]
    fn c21_the_mark_of_a_message_stands_in_front_of_the_name() {
        let verified = MessageView { verified: true, ..received("hello") };
        assert_eq!(message(&verified), at("[verified] bob: hello"));
        let new_app = MessageView { new_app: true, ..received("hello") };
        assert_eq!(message(&new_app), at("[new app] bob: hello"));
        let legacy = MessageView { legacy: true, ..verified.clone() };
        assert_eq!(message(&legacy), at("[verified] [older encryption] bob: hello"));
        let forged = MessageView { contact_name: "[verified]bob".into(), ..received("hello") };
        assert_eq!(message(&forged), at("(verified]bob: hello"));
        let own = MessageView { direction: "out".into(), state: "sent".into(), ..verified };
        assert_eq!(message_with_contact(&own), at("[verified] you to bob: hello"));
    }

    #[test]
    fn c25_whoever_is_no_contact_is_shown_by_their_address() {
        let request = MessageView { request: true, contact: "bob@north.example".into(), ..received("hello") };
        assert_eq!(message(&request), at("bob@north.example: hello"));
    }

    #[test]
    fn ones_own_messages_say_to_whom_and_how_far() {
        let own = MessageView { direction: "out".into(), state: "queued".into(), ..received("hello") };
        assert_eq!(message(&own), at("you: hello  (will be sent)"));
        assert_eq!(message_with_contact(&own), at("you to bob: hello  (will be sent)"));
        assert_eq!(message_with_contact(&received("hello")), message(&received("hello")));
    }

    #[test]
    fn what_was_not_sent_or_is_not_here_says_why() {
        let reason = Some(Refusal::new(Kind::Offline, "It is away."));
        let own = MessageView { direction: "out".into(), reason: reason.clone(), ..received("hello") };
        let waits = MessageView { state: "waiting".into(), ..own.clone() };
        assert_eq!(message(&waits), at("you: hello  (will be sent: It is away.)"));
        let failed = MessageView { state: "failed".into(), ..own };
        assert_eq!(message(&failed), at("you: hello  (not sent: It is away.)"));
        let file = FileView {
            name: "a.txt".into(),
            size_bytes: None,
            media_type: None,
            state: "failed".into(),
            done_bytes: None,
            reason,
        };
        let offered = MessageView { text: None, file: Some(file), ..received("") };
        assert_eq!(message(&offered), at("bob: [file a.txt. Not here: It is away.]"));
    }

    #[test]
    fn files_show_name_and_size() {
        let file = FileView {
            name: "pho\u{202e}to.jpg".into(),
            size_bytes: Some(1_234_567),
            media_type: None,
            state: "offered".into(),
            done_bytes: None,
            reason: None,
        };
        let offered = MessageView { text: None, file: Some(file), ..received("") };
        assert_eq!(message(&offered), at("bob: [file pho\u{fffd}to.jpg, 1.2 MB]"));
    }

    #[test]
    fn people_show_what_is_special() {
        let bob = ContactView {
            address: "bob@south.example".into(),
            name: "bob".into(),
            relation: "accepted".into(),
            identity: "verified".into(),
            unread_count: 2,
            asks_presence: false,
            sees_presence: false,
            receipts: None,
            undecided_devices_count: 0,
            legacy: false,
            held_count: 0,
            warnings: vec!["Odd.".into()],
        };
        assert_eq!(contact(&bob), "bob  bob@south.example  (verified; 2 unread; Odd.)");
    }
}
