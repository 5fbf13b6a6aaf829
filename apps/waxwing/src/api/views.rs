//! Contacts, messages and the state of things, as JSON shows them. Times are ISO 8601 in UTC.

use serde::{Deserialize, Serialize};

/// Somebody the user knows, or who wrote.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactView {
    /// The address.
    pub address: String,
    /// The name to show and to type.
    pub name: String,
    /// `request`, `accepted` or `blocked`.
    pub relation: String,
    /// `unverified`, `verified`, `changed` or `gone`.
    pub identity: String,
    /// Unread messages of theirs.
    pub unread_count: u64,
    /// Whether they asked to see when the user is online, and wait for an answer.
    #[serde(default)]
    pub asks_presence: bool,
    /// Whether the user lets them see it.
    #[serde(default)]
    pub sees_presence: bool,
    /// Whether they are told that their messages arrived; null while the user has not said, and then they are not.
    #[serde(default)]
    pub receipts: Option<bool>,
    /// New devices of theirs that wait for the user's decision.
    pub undecided_devices_count: usize,
    /// Whether one of the apps that take part knows only the older, weaker encryption.
    #[serde(default)]
    pub legacy: bool,
    /// Messages in their name that are held back: nobody has agreed to the app that wrote them.
    #[serde(default)]
    pub held_count: u64,
    /// What is odd about the address, each in a sentence.
    pub warnings: Vec<String>,
}

/// A message, as it is kept and shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageView {
    /// The address of the other person.
    pub contact: String,
    /// How the other person is called here.
    pub contact_name: String,
    /// Its place in the conversation.
    pub seq: u64,
    /// Its id.
    pub id: String,
    /// `in` or `out`.
    pub direction: String,
    /// When it was written, as its sender says.
    pub written_at: String,
    /// When it was saved here.
    pub saved_at: String,
    /// The words, when it is a message of words.
    pub text: Option<String>,
    /// The file, when it is one.
    pub file: Option<FileView>,
    /// `waiting`, `queued`, `sent`, `delivered`, `failed` or `received`.
    pub state: String,
    /// Why it waits or failed.
    #[serde(default)]
    pub reason: Option<super::Refusal>,
    /// Whether everybody's devices involved belonged to verified people.
    pub verified: bool,
    /// Whether it was written by an app that came later and that nobody has compared.
    #[serde(default)]
    pub new_app: bool,
    /// Whether it was encrypted in the older, weaker way for one app at least.
    #[serde(default)]
    pub legacy: bool,
    /// Whether it has been read here.
    pub read: bool,
    /// Whether it lies in the requests.
    pub request: bool,
}

/// Something that has not reached the own server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedView {
    /// To whom.
    pub contact: String,
    /// How they are called here.
    pub contact_name: String,
    /// Its id.
    pub message: String,
    /// The words, when it is a message of words.
    pub text: Option<String>,
    /// The file, when it is one. Without either it is the greeting to somebody who was added by a link.
    pub file: Option<FileView>,
    /// `waiting` or `queued`.
    pub state: String,
    /// Why it waits, when something went wrong.
    pub reason: Option<super::Refusal>,
    /// When it was written.
    pub written_at: String,
    /// When it was tried for the first time.
    pub tried_at: Option<String>,
    /// When it is tried next, while a waxwing runs.
    pub next_at: Option<String>,
    /// Until when it is tried.
    pub kept_until: Option<String>,
}

/// A file that is offered in a message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileView {
    /// A safe name; empty where only the progress is told.
    pub name: String,
    /// How long it is.
    pub size_bytes: Option<u64>,
    /// What it is.
    pub media_type: Option<String>,
    /// `offered`, `moving`, `complete` or `failed`.
    pub state: String,
    /// How much of it has moved.
    pub done_bytes: Option<u64>,
    /// Why it did not move, or is not here.
    #[serde(default)]
    pub reason: Option<super::Refusal>,
}

/// The number that two people compare.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberView {
    /// With whom.
    pub contact: ContactView,
    /// Sixty digits in groups of five.
    pub digits: String,
    /// A link for the other person, to compare by instead.
    pub own_link: String,
}

/// An app of somebody, or another one of the own account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// Its number, unique within the account.
    pub id: u32,
    /// Its fingerprint, as apps show it; none while it has shown no key.
    pub fingerprint: Option<String>,
    /// What it calls itself.
    pub label: Option<String>,
    /// When it was first heard of.
    pub first_seen_at: Option<String>,
    /// `undecided`, `believed`, `compared` or `refused`.
    pub state: String,
    /// Whether its server lists it.
    pub listed: bool,
    /// Whether the user was asked about it and wanted to decide later.
    pub put_off: bool,
}

/// Something that the user must know, until they have seen it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeView {
    /// Grows with each notice.
    pub id: u64,
    /// About whom.
    pub contact: Option<String>,
    /// A word for programs.
    pub notice: String,
    /// A sentence for people.
    pub text: String,
    /// How often it happened since it was last seen.
    pub count: u64,
    /// When for the first time since then.
    pub first_at: String,
    /// When last.
    pub last_at: String,
}

/// How things are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// The address of the account, when there is one.
    pub address: Option<String>,
    /// `none`, `offline`, `connecting`, `online` or `refused`.
    pub account: String,
    /// Messages that wait for the network, or for the other person's app.
    pub waiting_count: u64,
    /// Messages that the server has not confirmed yet.
    pub queued_count: u64,
    /// Unread messages of contacts.
    pub unread_count: u64,
    /// People whose requests wait for a decision.
    pub requests_count: u64,
    /// Contacts.
    pub contacts_count: u64,
    /// Whether the server keeps what shows that this profile was put back from a backup: `kept`, `refused`, `silent`, or
    /// `unknown` before it was asked.
    pub witness: String,
    /// By how many milliseconds the clock of this machine is ahead of what is believed (behind: negative); nothing while it
    /// is believed.
    pub clock_ahead_ms: Option<i64>,
}

macro_rules! redacted {
    ($($view:ident),*) => { $(
        impl std::fmt::Debug for $view {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($view), "(<redacted>)"))
            }
        }
    )* };
}

redacted!(DeviceView, ContactView, MessageView, QueuedView, FileView, NoticeView, NumberView, StatusView);
