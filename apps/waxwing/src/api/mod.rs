//! The words that a command, a screen or a script speaks with the engine: plain values that are JSON on the socket and in
//! `--json` output, and Rust values inside one process. Nothing here does anything.
//!
//! The shapes carry the number [`VERSION`]. A field may be added without a new number; one that changes its meaning or
//! goes away needs a new one.

mod event;
mod notices;
mod refusal;
mod translate;
mod views;

use serde::{Deserialize, Serialize};

pub use event::Event;
#[cfg(test)]
pub(crate) use notices::words as notice_words;
pub use refusal::{Kind, Refusal};
pub(crate) use translate::{answer, event, outcome};
pub use views::{ContactView, DeviceView, FileView, MessageView, NoticeView, NumberView, QueuedView, StatusView};

/// The version of every JSON shape that this program reads and writes.
pub const VERSION: u32 = 1;

/// Something to do.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// Opens an account by an invite link. Answered when it is signed in.
    Join {
        /// The link.
        link: String,
        /// The wished user name, where the link leaves it open.
        name: Option<String>,
    },
    /// Signs in to an existing account. Answered when it is signed in.
    Login {
        /// `user@server`.
        address: String,
        /// The password.
        password: String,
        /// `host:port`, where DNS does not know the server.
        at: Vec<String>,
        /// The server's pin, as its links carry it (`wx-pin`).
        #[serde(default)]
        pin: Option<String>,
        /// An authority in PEM (an absolute path) that vouches for the server besides the public ones.
        #[serde(default)]
        ca_file: Option<String>,
        /// Go on although the server refuses to tie the sign-in to the encrypted connection.
        #[serde(default)]
        danger_no_binding: bool,
    },
    /// Connects and stays connected.
    GoOnline,
    /// Changes the password; without one, a strong one is made up.
    ChangePassword {
        /// The new password.
        new: Option<String>,
    },
    /// Deletes the account at its server and here.
    DeleteAccount,
    /// Asks how things are.
    Status,
    /// Says that the clock of this machine is right, although it is far from where it was.
    AcceptClock,
    /// Makes an invite link.
    Invite,
    /// Adds the person of a link.
    Add {
        /// The link.
        link: String,
        /// What to call them.
        name: Option<String>,
    },
    /// Lists contacts.
    Contacts,
    /// Lists people who wrote and are no contacts.
    Requests,
    /// Makes somebody a contact.
    Accept {
        /// Who.
        who: String,
    },
    /// Hears nothing more of somebody.
    Block {
        /// Who.
        who: String,
    },
    /// Forgets somebody, with the conversation.
    Remove {
        /// Who.
        who: String,
    },
    /// Calls a contact something else.
    Rename {
        /// Who.
        who: String,
        /// The new name.
        name: String,
    },
    /// Lets somebody see when the user is online.
    Grant {
        /// Who.
        who: String,
    },
    /// Lets somebody see it no more, or answers no to whoever asks.
    Revoke {
        /// Who.
        who: String,
    },
    /// Says whether people may see that their messages arrived.
    Receipts {
        /// Who; none for every contact of whom nothing else was said.
        #[serde(default)]
        who: Option<String>,
        /// They may.
        on: bool,
    },
    /// Asks for the number to compare.
    Number {
        /// With whom.
        who: String,
    },
    /// Notes that a contact is who they say.
    Verify {
        /// Who.
        who: String,
        /// The number that they read out, the link that they gave, or [`Request::NUMBER_SHOWN`].
        proof: String,
    },
    /// Takes what changed about a contact at face value.
    AcceptChange {
        /// Who.
        who: String,
    },
    /// Lists the apps (devices) of a contact, or the other ones of the own account.
    Devices {
        /// Whose; none for the own account.
        #[serde(default)]
        who: Option<String>,
        /// Whether a person sees the answer: an agreement stands for the keys that were shown last.
        #[serde(default)]
        to_show: bool,
    },
    /// Says whether an app is its owner's.
    DecideDevice {
        /// Whose; none for the own account.
        #[serde(default)]
        who: Option<String>,
        /// Its number.
        device: u32,
        /// The fingerprint that the question showed; none for what `devices` has shown last.
        #[serde(default)]
        fingerprint: Option<String>,
        /// `agree`, `refuse` or `later`.
        decision: Decision,
    },
    /// Sends words. Answered when they are saved.
    Say {
        /// To whom.
        who: String,
        /// The words.
        text: String,
    },
    /// Sends a file. Answered when it is saved.
    Send {
        /// To whom.
        who: String,
        /// Where it is: an absolute path.
        path: String,
        /// The bytes of the path in hexadecimal digits, where they are no text; `path` does not count then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path_hex: Option<String>,
    },
    /// Lists what has not reached the own server.
    Outbox,
    /// Gives a message that waits or could not be delivered another try. Answered when it is saved.
    Retry {
        /// Its id; the beginning is enough for one in the outbox.
        id: String,
    },
    /// Gives everything that waits another try.
    RetryAll,
    /// Takes back what has not reached the own server.
    Cancel {
        /// Its id, or the beginning of it.
        id: String,
    },
    /// Fetches an offered file. Answered when it is saved.
    Fetch {
        /// Who offered it.
        who: String,
        /// The message that offers it.
        message: String,
    },
    /// Lists the messages whose files were wanted and are not here.
    WantedFiles,
    /// Reads a conversation.
    History {
        /// With whom.
        who: String,
        /// Only messages before this place.
        before: Option<u64>,
        /// How many at most.
        limit: u32,
    },
    /// Lists messages of all conversations.
    Inbox {
        /// Of those who are no contacts, instead of contacts.
        requests: bool,
        /// Only what has not been read.
        unread_only: bool,
        /// How many at most of each conversation.
        limit: u32,
    },
    /// Notes that a conversation has been read.
    MarkRead {
        /// With whom.
        who: String,
    },
    /// Lists what the user must know and has not seen yet.
    Notices,
    /// The user has seen the notices up to this one.
    NoticesSeen {
        /// The highest `id` that was shown.
        up_to: u64,
    },
}

/// What the user says of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It is its owner's.
    Agree,
    /// It is not.
    Refuse,
    /// Not now.
    Later,
}

impl Request {
    /// Proof that the number which was shown last is the same on the other side.
    pub const NUMBER_SHOWN: &str = "shown";
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Request(<redacted>)")
    }
}

/// What a [`Request`] is answered with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Answer {
    /// It is done.
    Done,
    /// The account exists and is signed in.
    Joined {
        /// Its address.
        address: String,
        /// Who invited, and is a contact now.
        invited_by: Option<String>,
    },
    /// The account is signed in.
    LoggedIn {
        /// Its address.
        address: String,
    },
    /// An invite link.
    Invited {
        /// For an app.
        link: String,
        /// For a browser.
        page: Option<String>,
    },
    /// A message is saved and will be sent.
    Saved {
        /// To whom.
        contact: String,
        /// Its id.
        message: String,
        /// Whether it had characters that cannot be sent, which U+FFFD now stands for.
        #[serde(default)]
        replaced: bool,
    },
    /// What has not reached the own server.
    Outbox {
        /// The messages, oldest first.
        queued: Vec<QueuedView>,
    },
    /// An offered file lies on this machine.
    Fetched {
        /// Where; none when it was saved by an earlier request.
        path: Option<String>,
    },
    /// One contact.
    Contact {
        /// The contact.
        contact: ContactView,
    },
    /// Several contacts.
    Contacts {
        /// The contacts, by name.
        contacts: Vec<ContactView>,
    },
    /// Messages, oldest first.
    Messages {
        /// The messages.
        messages: Vec<MessageView>,
    },
    /// What the user must know and has not seen yet.
    Notices {
        /// The notices, oldest first.
        notices: Vec<NoticeView>,
    },
    /// Apps of somebody, or the other ones of the own account.
    Devices {
        /// The apps.
        devices: Vec<DeviceView>,
        /// Of the own account: the number of this app.
        own_id: Option<u32>,
        /// Of the own account: the fingerprint of this app.
        own_fingerprint: Option<String>,
        /// Whether the server has said, since the connection began, which there are.
        is_complete: bool,
    },
    /// The number to compare.
    Number {
        /// The number.
        number: NumberView,
    },
    /// How things are.
    Status {
        /// How things are.
        status: StatusView,
    },
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answer(<redacted>)")
    }
}
