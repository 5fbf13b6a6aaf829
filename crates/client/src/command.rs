//! What an engine can be told to do, and what it answers.
//!
//! A command answers at once with a [`Reply`]. What needs the network answers [`Reply::Accepted`], and
//! [`Event::Done`](crate::event::Event::Done) follows with the same [`RequestId`]; a message that is to be sent answers
//! [`Reply::Saved`], and [`Event::MessageState`](crate::event::Event::MessageState) follows.

use std::fmt;

use bytes::Bytes;
use xmpp::jid::BareJid;
use xmpp::time::Timestamp;
use zeroize::Zeroizing;

use crate::event::{AccountState, Contact, Content, Device, KeptNotice, Message, MessageId, MessageState};
use crate::output::Endpoint;

/// Whom a command is about: a short name (`bob`), an address, or a link.
pub type Who = String;

/// One thing to do. `Debug` says which, never about whom or what.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Registers an account by an invite link, signs in, and adds the person who invited. A link of the server of the account
    /// that is here already, with the same pin, tells where that server is now. Answers `Accepted`.
    Join {
        /// The invite link (`xmpp:…?register;preauth=…` or `xmpp:…?roster;preauth=…;ibr=y`).
        link: String,
        /// The wished user name, where the link leaves it open.
        name: Option<String>,
    },
    /// Signs in to an existing account. To the one that is here already: tries what is given now, and keeps it in place of
    /// what was known only if it works. Answers `Accepted`.
    Login(Login),
    /// Connects, and stays connected until told otherwise. Answers `Nothing`.
    GoOnline,
    /// Disconnects, and stays so. Answers `Nothing`.
    GoOffline,
    /// Changes the password; without one, a strong one is made up and kept. Answers `Accepted`.
    ChangePassword {
        /// The new password.
        new: Option<Password>,
    },
    /// Deletes the account at its server, and everything about it here. Answers `Accepted`.
    DeleteAccount,
    /// Tells how things are. Answers `Status`.
    Status,
    /// The wall clock is right, although it is far from where it was. Answers `Nothing`.
    AcceptClock,

    /// Makes an invite link to give to somebody. Answers `Accepted`, then `Outcome::Invited`.
    Invite,
    /// Adds the person whom a link belongs to, and greets them so that they see it. Answers `Contact`.
    Add {
        /// A contact or invite link.
        link: String,
        /// What to call them.
        name: Option<String>,
    },
    /// Lists the contacts, by name. Answers `Contacts`.
    Contacts,
    /// Lists those who wrote and are no contacts. Answers `Contacts`.
    Requests,
    /// Makes somebody a contact. Answers `Contact`.
    Accept {
        /// Who.
        who: Who,
    },
    /// Hears nothing more of somebody. Answers `Contact`.
    Block {
        /// Who.
        who: Who,
    },
    /// Forgets somebody, with the conversation. Answers `Nothing`.
    Remove {
        /// Who.
        who: Who,
    },
    /// Calls a contact something else. Answers `Contact`.
    Rename {
        /// Who.
        who: Who,
        /// The new name.
        name: String,
    },
    /// Lets a contact see when the user is online; asked for only by other apps. Answers `Contact`.
    GrantPresence {
        /// Who.
        who: Who,
    },
    /// Lets somebody see no more when the user is online, and answers no to whoever asks. Answers `Contact`, or `Nothing` for
    /// an address of which nothing is known here.
    RevokePresence {
        /// Who.
        who: Who,
    },
    /// Says whether people may see that their messages arrived (XEP-0184). Answers `Contact` for one person, else `Nothing`.
    Receipts {
        /// Who; `None`: every contact of whom nothing else was said.
        who: Option<Who>,
        /// They may.
        on: bool,
    },
    /// Shows the number to compare with a contact. Answers `Number`.
    Number {
        /// Who.
        who: Who,
    },
    /// Notes that a contact is who they say. Answers `Contact`.
    Verify {
        /// Who.
        who: Who,
        /// How the user knows.
        proof: Proof,
    },
    /// Takes a changed contact, or new devices of a verified one, at face value again. Answers `Contact`.
    AcceptChange {
        /// Who.
        who: Who,
    },

    /// Lists the devices of a contact, or the other ones of the own account. Answers `Devices`.
    Devices {
        /// Whose; `None` for the own account.
        who: Option<Who>,
        /// Whether the user sees the answer, keys and all: an agreement stands for the keys that were shown last.
        to_show: bool,
    },
    /// Says whether a device is its owner's. Answers `Nothing`.
    DecideDevice {
        /// Whose; `None` for the own account.
        who: Option<Who>,
        /// The number of the device.
        device: u32,
        /// The fingerprint that the question showed; `None` for what `Devices` has shown last. Numbers are the server's to
        /// give away: what the user has answered about is a key.
        fingerprint: Option<String>,
        /// What the user says.
        decision: Decision,
    },

    /// Sends words. Answers `Saved`.
    Say {
        /// To whom.
        who: Who,
        /// The words.
        text: String,
    },
    /// Sends a file. Answers `Saved`.
    SendFile {
        /// To whom.
        who: Who,
        /// Its name, without a path.
        name: String,
        /// What it is, if known.
        media_type: Option<String>,
        /// Its content.
        bytes: Bytes,
    },
    /// Fetches an offered file. Answers `Accepted`, then `Outcome::Fetched`; `Output::SaveFile` carries it.
    Fetch {
        /// Who offered it.
        who: Who,
        /// The message that carries the offer.
        message: MessageId,
    },
    /// Lists the messages whose files the user wanted and has not got. Answers `Messages`.
    WantedFiles,
    /// Reads a conversation, newest last. Answers `Messages`.
    History {
        /// With whom.
        who: Who,
        /// Only messages before this place; `None`: up to the newest.
        before: Option<u64>,
        /// How many at most.
        limit: u32,
    },
    /// Lists messages of all conversations, oldest first. Answers `Messages`.
    Inbox(InboxFilter),
    /// Notes that a conversation has been read. Answers `Nothing`.
    MarkRead {
        /// With whom.
        who: Who,
    },
    /// Lists what the user must know and has not seen yet, oldest first. Answers `Notices`.
    Notices,
    /// The user has seen the notices up to this id: shown to a person, or taken care of by a program. Answers `Nothing`.
    NoticesSeen {
        /// The highest id that was shown.
        up_to: u64,
    },
    /// Lists what has not reached the own server, and why. Answers `Outbox`.
    Outbox,
    /// Gives a message that waits or could not be delivered another try. Answers `Saved`.
    RetryMessage {
        /// Its id; the beginning is enough for one that [`Command::Outbox`] lists.
        id: String,
    },
    /// Gives everything that waits another try. Answers `Outbox`.
    RetryAll,
    /// Takes back what has not reached the own server. Answers `Nothing`.
    CancelMessage {
        /// Its id, or the beginning of it.
        id: String,
    },
    /// Gives a message that waits or could not be delivered another try. Answers `Saved`.
    Retry {
        /// To whom.
        who: Who,
        /// Which message.
        message: MessageId,
    },
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Join { .. } => "Join",
            Self::Login(_) => "Login",
            Self::GoOnline => "GoOnline",
            Self::GoOffline => "GoOffline",
            Self::ChangePassword { .. } => "ChangePassword",
            Self::DeleteAccount => "DeleteAccount",
            Self::AcceptClock => "AcceptClock",
            Self::Status => "Status",
            Self::Invite => "Invite",
            Self::Add { .. } => "Add",
            Self::Contacts => "Contacts",
            Self::Requests => "Requests",
            Self::Accept { .. } => "Accept",
            Self::Block { .. } => "Block",
            Self::Remove { .. } => "Remove",
            Self::Rename { .. } => "Rename",
            Self::GrantPresence { .. } => "GrantPresence",
            Self::RevokePresence { .. } => "RevokePresence",
            Self::Receipts { .. } => "Receipts",
            Self::Number { .. } => "Number",
            Self::Verify { .. } => "Verify",
            Self::AcceptChange { .. } => "AcceptChange",
            Self::Devices { .. } => "Devices",
            Self::DecideDevice { .. } => "DecideDevice",
            Self::Say { .. } => "Say",
            Self::SendFile { .. } => "SendFile",
            Self::Fetch { .. } => "Fetch",
            Self::WantedFiles => "WantedFiles",
            Self::History { .. } => "History",
            Self::Inbox(_) => "Inbox",
            Self::MarkRead { .. } => "MarkRead",
            Self::Notices => "Notices",
            Self::NoticesSeen { .. } => "NoticesSeen",
            Self::Outbox => "Outbox",
            Self::RetryMessage { .. } => "RetryMessage",
            Self::RetryAll => "RetryAll",
            Self::CancelMessage { .. } => "CancelMessage",
            Self::Retry { .. } => "Retry",
        })
    }
}

/// What is needed to sign in.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The address, `user@server`.
    pub address: String,
    /// The password.
    pub password: Password,
    /// Where the server is, when DNS does not know it.
    pub at: Vec<Endpoint>,
    /// The SHA-256 of the server's public key, when it has no public certificate.
    pub pin: Option<[u8; 32]>,
    /// The server is to be known by its certificate from now on, although a link has named its key.
    pub by_certificate: bool,
    /// The user accepts that the password proof is not tied to the encrypted connection, for a server that offers to
    /// tie it and then refuses. The packaged ejabberd 23.01 does.
    pub danger_no_binding: bool,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(<redacted>)")
    }
}

/// A password: wiped from memory when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes a password.
    pub fn new(password: impl Into<String>) -> Self {
        Self(Zeroizing::new(password.into()))
    }

    /// Returns the text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// How the user knows who somebody is.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    /// The digits that the other side reads out or shows; spaces do not matter.
    Number(String),
    /// The number that [`Command::Number`] has shown last is the same on the other side. It counts only while it is still
    /// the number: a key that has come since was not compared.
    NumberShown,
    /// A link that the other side gave directly; it names their keys.
    Link(String),
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number(_) => "Number(<redacted>)",
            Self::NumberShown => "NumberShown",
            Self::Link(_) => "Link(<redacted>)",
        })
    }
}

/// What the user says of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is its owner's: it is written to, counts in numbers, and its words are shown.
    Agree,
    /// It is not: it gets nothing, and nothing of it is shown. From the own list it is taken, once.
    Refuse,
    /// Not now.
    Later,
}

/// The devices of a person, or the other ones of the own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Devices {
    /// The devices, by number.
    pub devices: Vec<Device>,
    /// Of the own account: the number of this device.
    pub own_id: Option<u32>,
    /// Of the own account: the fingerprint of this device.
    pub own_fingerprint: Option<String>,
    /// Whether the server has said, since the connection began, which devices there are.
    pub is_complete: bool,
}

/// Which messages to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxFilter {
    /// Messages of contacts, or those that wait in the requests.
    pub from: InboxSide,
    /// Only what has not been read.
    pub unread_only: bool,
    /// How many at most, per conversation.
    pub limit: u32,
}

/// Messages of contacts, or of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboxSide {
    /// Of contacts.
    Contacts,
    /// Of those who are no contacts.
    Requests,
}

/// What a command answers at once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// It is done.
    Nothing,
    /// It is under way; `Event::Done` follows.
    Accepted(RequestId),
    /// The message is saved and will be sent; `Event::MessageState` follows.
    Saved {
        /// To whom.
        contact: BareJid,
        /// Its id.
        message: MessageId,
        /// Whether it had characters that cannot be sent, which U+FFFD now stands for.
        replaced: bool,
    },
    /// What has not reached the own server, oldest first.
    Outbox(Vec<Queued>),
    /// One contact.
    Contact(Contact),
    /// Several contacts.
    Contacts(Vec<Contact>),
    /// Messages, oldest first.
    Messages(Vec<Message>),
    /// What the user has not seen yet.
    Notices(Vec<KeptNotice>),
    /// The devices of somebody.
    Devices(Devices),
    /// The number to compare.
    Number(Number),
    /// How things are.
    Status(Status),
}

/// Something that has not reached the own server.
#[derive(Clone, PartialEq, Eq)]
pub struct Queued {
    /// To whom.
    pub contact: BareJid,
    /// How they are called here.
    pub contact_name: String,
    /// Its id.
    pub message: MessageId,
    /// What it says; nothing for the greeting that goes to somebody who was added by a link.
    pub content: Option<Content>,
    /// How far it is, and why no further.
    pub state: MessageState,
    /// When it was written.
    pub written_at: Timestamp,
    /// When it was tried for the first time.
    pub tried_at: Option<Timestamp>,
    /// When it will be tried next while the program runs.
    pub next_at: Option<Timestamp>,
    /// Until when it is tried.
    pub kept_until: Option<Timestamp>,
}

impl fmt::Debug for Queued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queued({:?})", self.state)
    }
}

/// Matches an [`Event::Done`](crate::event::Event::Done) to its command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// How a command ended well.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The account exists and is signed in.
    Joined {
        /// Its address.
        address: BareJid,
        /// Who invited, and is a contact now.
        invited_by: Option<BareJid>,
    },
    /// The account is signed in.
    LoggedIn {
        /// Its address.
        address: BareJid,
    },
    /// The password is the new one.
    PasswordChanged,
    /// The account is gone.
    AccountDeleted,
    /// An invite link.
    Invited {
        /// For an app: `xmpp:…`.
        link: String,
        /// For a browser, where the server has such a page.
        page: Option<String>,
    },
    /// The file is here: [`Output::SaveFile`](crate::output::Output::SaveFile) has been carried out.
    Fetched {
        /// The message that offered it.
        message: MessageId,
    },
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Joined { .. } => "Joined",
            Self::LoggedIn { .. } => "LoggedIn",
            Self::PasswordChanged => "PasswordChanged",
            Self::AccountDeleted => "AccountDeleted",
            Self::Invited { .. } => "Invited(<redacted>)",
            Self::Fetched { .. } => "Fetched",
        })
    }
}

/// The number that two people compare by voice or side by side: the same on both screens.
#[derive(Clone, PartialEq, Eq)]
pub struct Number {
    /// With whom.
    pub contact: Contact,
    /// Sixty digits in groups of five.
    pub digits: String,
    /// A link that shows this account's own keys, for the contact to verify by instead.
    pub own_link: String,
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Number(<redacted>)")
    }
}

/// How things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The address, when there is an account.
    pub address: Option<BareJid>,
    /// Whether it is signed in.
    pub account: AccountState,
    /// Messages that wait for the network or for keys.
    pub waiting_count: u64,
    /// Messages that the broker has not acknowledged yet.
    pub queued_count: u64,
    /// Unread messages of contacts.
    pub unread_count: u64,
    /// People whose requests wait for a decision.
    pub requests_count: u64,
    /// Contacts.
    pub contacts_count: u64,
    /// Whether the own server keeps what shows that this profile was put back to an older state.
    pub witness: WitnessState,
    /// By how many milliseconds the wall clock is ahead of what is believed (behind: negative); nothing while it is believed.
    pub clock_ahead_ms: Option<i64>,
}

/// What the own server does with the witness of this device (security-design §3.5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WitnessState {
    /// It was not asked yet.
    #[default]
    Unknown,
    /// It keeps it.
    Kept,
    /// It refuses to keep it for us alone.
    Refused,
    /// It did not answer in time.
    Silent,
}

impl WitnessState {
    /// The state as it is stored.
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::Unknown => 0,
            Self::Kept => 1,
            Self::Refused => 2,
            Self::Silent => 3,
        }
    }

    pub(crate) fn from_code(code: u32) -> Self {
        match code {
            1 => Self::Kept,
            2 => Self::Refused,
            3 => Self::Silent,
            _ => Self::Unknown,
        }
    }
}
