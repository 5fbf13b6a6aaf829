//! What the user must know, in words.

use client::event::{KeptNotice, Notice};

use super::{Event, NoticeView};

/// A notice that has just come.
pub(super) fn event(notice: &Notice) -> Event {
    let (word, text) = words(notice);
    Event::Notice { contact: contact(notice), notice: word.to_owned(), text }
}

/// A notice that waits to be seen.
pub(super) fn view(kept: &KeptNotice) -> NoticeView {
    let (word, text) = words(&kept.notice);
    NoticeView {
        id: kept.id,
        contact: contact(&kept.notice),
        notice: word.to_owned(),
        text,
        count: kept.count,
        first_at: kept.first_at.to_xep0082(),
        last_at: kept.last_at.to_xep0082(),
    }
}

fn contact(notice: &Notice) -> Option<String> {
    notice.contact().map(|contact| contact.as_str().to_owned())
}

/// A word for programs, and sentences for people. They are read hours later, so they say what to do now.
pub(crate) fn words(notice: &Notice) -> (&'static str, String) {
    let (word, text) = match notice {
        Notice::Unreadable { .. } => (
            "unreadable",
            "A message from them could not be read. Waxwing is setting up the encryption with them anew; ask them to send \
             the message again.",
        ),
        Notice::StillUnreadable { .. } => (
            "still_unreadable",
            "A message from them could not be read, and the encryption with them is not being set up anew for it: that happens \
             once a day at most, and only with apps that you have agreed to. Ask them to send it again tomorrow, or in \
             another way.",
        ),
        Notice::NewDevice { contact } => return ("new_device", new_device(contact.as_str())),
        Notice::NewOwnDevice => (
            "new_own_device",
            "Your account has another app. It can read nothing of what you write, until you have said that it is yours: \
             waxwing devices",
        ),
        Notice::NewApp { contact } => return ("new_app", new_app(contact.as_str())),
        Notice::WordsHeld { contact } => return ("words_held", words_held(contact.as_str())),
        Notice::Changed { contact } => return ("changed", changed(contact.as_str())),
        Notice::Misaddressed { .. } => (
            "misaddressed",
            "A message in their name was thrown away, because it was written for another conversation or by somebody else. \
             If it happens again, ask them whether they wrote to you.",
        ),
        Notice::DeviceRenewed => (
            "device_renewed",
            "What lies on this disk is a copy, or was put back from a backup. To be safe, this device has made itself \
             new keys: others see it as a new app of yours, and those who had verified you have to compare again.",
        ),
        Notice::NotAllAddressed { .. } => (
            "not_all_addressed",
            "A message reached you that was not encrypted for all the apps its sender meant. Somebody on the way may \
             have left some out. Ask them whether their other apps, and yours, got it.",
        ),
        Notice::OddTime { .. } => (
            "odd_time",
            "A message from them claims to have been written at a time that cannot be right. Somebody may have held it back: \
             ask them when they wrote it.",
        ),
        Notice::Joined { contact } => return ("joined", joined(contact.as_str())),
        _ => ("other", "Something happened that this version cannot explain."),
    };
    (word, text.to_owned())
}

fn new_device(who: &str) -> String {
    format!(
        "You have verified this person, and now they use a new app. It gets nothing until you have compared numbers again: \
         waxwing verify {who}"
    )
}

fn new_app(who: &str) -> String {
    format!(
        "This person uses a new app. Ask them whether it is theirs: until you have compared, what it writes is marked \
         [new app]. waxwing verify {who}"
    )
}

fn words_held(who: &str) -> String {
    format!(
        "Something was written in this person's name from an app you have not confirmed. It is held back. Ask them \
         whether it is theirs, then decide: waxwing devices --of {who}"
    )
}

fn joined(who: &str) -> String {
    format!("{who} has opened an account with your invitation. Write to them: waxwing say {who} \"Hello\"")
}

fn changed(who: &str) -> String {
    format!(
        "Something about them has changed: they may have a new device, or somebody may be pretending to be them. Nothing is \
         sent to them until you have compared numbers: waxwing verify {who}"
    )
}
