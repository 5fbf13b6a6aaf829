//! What happens, told to whoever shows it: plain values that a program can write as JSON or draw on a screen.

use std::fmt;

use xmpp::jid::BareJid;
use xmpp::time::Timestamp;

use crate::command::{Outcome, RequestId};
use crate::error::Failure;

/// The version of the shape of [`Event`] and of what it holds, for programs that write it down.
pub const EVENT_VERSION: u32 = 1;

/// Something that happened. `Debug` hides whose and what.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The account went on or off line, or cannot sign in.
    Account(AccountState),
    /// Everything that had waited at the server has come; what comes from now on is new.
    CaughtUp,
    /// A message arrived, or was written on another device of this account.
    Message(Message),
    /// What is known about a message changed.
    MessageState {
        /// With whom.
        contact: BareJid,
        /// Which message.
        id: MessageId,
        /// What is known now.
        state: MessageState,
    },
    /// A contact is new, or something about it changed.
    Contact(Contact),
    /// A contact was removed.
    ContactRemoved {
        /// Who it was.
        contact: BareJid,
    },
    /// Somebody unknown wrote for the first time; what was written lies in the requests.
    Request(Contact),
    /// A file goes up or comes down.
    FileProgress {
        /// With whom.
        contact: BareJid,
        /// The message that carries it.
        message: MessageId,
        /// How far it is.
        state: FileState,
    },
    /// Something became known about the other devices of the own account, see [`Command::Devices`](crate::Command).
    OwnDevices,
    /// An earlier command has ended.
    Done {
        /// Which one.
        request: RequestId,
        /// How.
        outcome: Result<Outcome, Failure>,
    },
    /// Something that the user should know.
    Notice(Notice),
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(state) => write!(f, "Account({state:?})"),
            Self::CaughtUp => f.write_str("CaughtUp"),
            Self::Message(message) => message.fmt(f),
            Self::MessageState { state, .. } => write!(f, "MessageState({state:?})"),
            Self::Contact(contact) => contact.fmt(f),
            Self::ContactRemoved { .. } => f.write_str("ContactRemoved"),
            Self::Request(contact) => write!(f, "Request({contact:?})"),
            Self::FileProgress { state, .. } => write!(f, "FileProgress({state:?})"),
            Self::OwnDevices => f.write_str("OwnDevices"),
            Self::Done { request, outcome } => write!(f, "Done({request:?}, {outcome:?})"),
            Self::Notice(notice) => write!(f, "Notice({notice:?})"),
        }
    }
}

/// The id of a message, made by its sender (XEP-0359 `origin-id`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub(crate) String);

impl MessageId {
    /// Takes an id from a program's own records.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Returns the text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// Whether the account is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountState {
    /// There is no account in this profile yet.
    None,
    /// Not connected, and not trying.
    Offline,
    /// Connecting, or waiting to try again.
    Connecting,
    /// Signed in.
    Online,
    /// Signing in failed in a way that trying again does not help.
    Refused(Failure),
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The contact.
    Incoming,
    /// The user of this engine, here or on another device.
    Outgoing,
}

/// A message, as it is kept and shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// With whom the conversation is.
    pub contact: BareJid,
    /// How the contact is called here.
    pub contact_name: String,
    /// Its place in the conversation: grows with each message.
    pub seq: u64,
    /// Its id.
    pub id: MessageId,
    /// Who wrote it.
    pub direction: Direction,
    /// When it was written, as its sender says.
    pub written_at: Timestamp,
    /// When it was saved here.
    pub saved_at: Timestamp,
    /// What it says.
    pub content: Content,
    /// What is known about it.
    pub state: MessageState,
    /// Whether every device involved belonged to a verified person when it was encrypted or decrypted.
    pub verified: bool,
    /// Whether it was written by an app that came later and that nobody has compared.
    pub new_app: bool,
    /// Whether it was encrypted in the older way (Legacy) for one device at least: then whoever reads it as well could,
    /// together with a server, have changed its words (security-design §2.6).
    pub legacy: bool,
    /// Whether it has been read here; what one wrote oneself is.
    pub read: bool,
    /// Whether it lies in the requests: written by somebody who is no contact.
    pub request: bool,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({:?}, {:?}, {:?})", self.seq, self.direction, self.state)
    }
}

/// What a message says.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Words.
    Text(String),
    /// A file.
    File(FileOffer),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(<redacted>)",
            Self::File(_) => "File(<redacted>)",
        })
    }
}

/// A file that is offered in a message.
#[derive(Clone, PartialEq, Eq)]
pub struct FileOffer {
    /// A safe name: no path, no control characters.
    pub name: String,
    /// How long it is, as far as the sender says.
    pub size_bytes: Option<u64>,
    /// What it is, as far as the sender says.
    pub media_type: Option<String>,
    /// How far it is.
    pub state: FileState,
}

impl fmt::Debug for FileOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileOffer({:?})", self.state)
    }
}

/// How far a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileState {
    /// Offered by the contact and not fetched.
    Offered,
    /// Under way, in either direction.
    Moving {
        /// How much of it has moved.
        done_bytes: u64,
        /// Of how much.
        total_bytes: u64,
    },
    /// It arrived: saved here, or uploaded for the contact.
    Complete,
    /// It did not move.
    Failed(Failure),
}

/// What is known about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageState {
    /// Saved; not encrypted yet, because the network or the contact's keys are missing.
    Waiting,
    /// Saved; could not be delivered for now, and is tried again.
    Delayed(Failure),
    /// Encrypted and saved; not yet acknowledged by the own broker.
    Queued,
    /// The own broker has it.
    AtBroker,
    /// The contact's app says that it has it. Where the contact uses an app that knows only the older encryption, it says so
    /// in clear, and both brokers can say it in its place.
    Delivered,
    /// It will not arrive.
    Undeliverable(Failure),
    /// It arrived here.
    Received,
}

/// Somebody the user knows, or who wrote.
#[derive(Clone, PartialEq, Eq)]
pub struct Contact {
    /// The address.
    pub address: BareJid,
    /// The name to show and to type.
    pub name: String,
    /// Whether the user wants to hear from them.
    pub relation: Relation,
    /// Whether it is certain who they are.
    pub trust: PersonTrust,
    /// How many messages of theirs are unread.
    pub unread_count: u64,
    /// Whether they asked to see when the user is online, and wait for an answer.
    pub asks_presence: bool,
    /// Whether the user lets them see it.
    pub sees_presence: bool,
    /// Whether they are told that their messages arrived; nothing while the user was never asked, and then they are not.
    pub receipts: Option<bool>,
    /// New devices of a verified person that wait for the user's decision.
    pub undecided_devices_count: usize,
    /// Somebody who is no contact, or was none until now: the contact whose name theirs looks like.
    pub resembles: Option<Resembled>,
    /// Whether one of the devices that take part, theirs or the user's, knows only the older encryption: the conversation is
    /// as weak as its weakest device.
    pub legacy: bool,
    /// Somebody who is no contact has written more than is kept of them.
    pub more_not_kept: bool,
    /// Messages in their name that are held back: their device was never agreed to.
    pub held_count: u64,
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contact({:?}, {:?})", self.relation, self.trust)
    }
}

/// The contact whom somebody else's name looks like.
#[derive(Clone, PartialEq, Eq)]
pub struct Resembled {
    /// How the contact is called.
    pub name: String,
    /// Their address.
    pub address: BareJid,
}

impl fmt::Debug for Resembled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resembled(<redacted>)")
    }
}

/// Whether the user wants to hear from somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Unknown, wrote first: waits for a decision.
    Request,
    /// In the contact list.
    Accepted,
    /// Not to be heard of again.
    Blocked,
}

/// Whether it is certain who somebody is. Kept per person, not per device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonTrust {
    /// Taken at face value at first contact.
    Tofu,
    /// Compared by number or link.
    Verified,
    /// Something does not fit what was known: nothing is sent until the user decides.
    Changed,
    /// The account was given up by its owner.
    Tombstoned,
}

/// A device of a person, or another one of the own account.
#[derive(Clone, PartialEq, Eq)]
pub struct Device {
    /// Its number, unique within the account.
    pub id: u32,
    /// Its identity key, as other apps show it: 64 hexadecimal digits in groups of eight. `None` while it has shown none.
    pub fingerprint: Option<String>,
    /// What it calls itself, signed by its own key.
    pub label: Option<String>,
    /// When it was first heard of, as far as that was noted.
    pub first_seen_at: Option<Timestamp>,
    /// What has been decided about it.
    pub state: DeviceState,
    /// Whether the account's server lists it now.
    pub is_listed: bool,
    /// Whether the user was asked about it and wanted to decide later.
    pub is_put_off: bool,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({:?})", self.state)
    }
}

/// What has been decided about a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// Nothing yet: it gets no words, and none of its words are shown.
    Undecided,
    /// Taken at face value, or agreed to without comparing.
    Believed,
    /// Its key was compared.
    Compared,
    /// Refused.
    Refused,
}

/// A notice that is kept until the user has seen it, see [`Command::Notices`](crate::Command::Notices).
#[derive(Clone, PartialEq, Eq)]
pub struct KeptNotice {
    /// Grows with each notice. [`Command::NoticesSeen`](crate::Command::NoticesSeen) takes it.
    pub id: u64,
    /// What happened.
    pub notice: Notice,
    /// How often, since it was last seen.
    pub count: u64,
    /// When for the first time since it was last seen.
    pub first_at: Timestamp,
    /// When last.
    pub last_at: Timestamp,
}

impl fmt::Debug for KeptNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeptNotice({:?}, {} times)", self.notice, self.count)
    }
}

/// Something that the user should know. It is kept until they have seen it; the event only tells that it is new.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A message could not be read; a new session is being started by itself.
    Unreadable {
        /// From whom.
        contact: BareJid,
    },
    /// A message could not be read, and no new session is being started: that was tried today already, or the user has not
    /// agreed to the device.
    StillUnreadable {
        /// From whom.
        contact: BareJid,
    },
    /// A verified person has a new device; nothing is sent to it until the user agrees.
    NewDevice {
        /// Whose.
        contact: BareJid,
    },
    /// The own account has a device that the user has not agreed to.
    NewOwnDevice,
    /// A person who was never compared has a new device; it is taken at face value, and what it says is marked.
    NewApp {
        /// Whose.
        contact: BareJid,
    },
    /// Something was written in a person's name by a device that the user has not agreed to; it is held back.
    WordsHeld {
        /// In whose name.
        contact: BareJid,
    },
    /// Keys do not fit what was known about the person; sending has stopped.
    Changed {
        /// Whose.
        contact: BareJid,
    },
    /// An encrypted message was dropped because it was not addressed or signed as its envelope says.
    Misaddressed {
        /// From whom it came.
        contact: BareJid,
    },
    /// The store is a copy or was put back: this device made itself new keys.
    DeviceRenewed,
    /// A message was not encrypted for all the devices that its sender meant: somebody on the way left some out.
    NotAllAddressed {
        /// From whom.
        contact: BareJid,
    },
    /// The claimed time of a message and its time of arrival differ widely.
    OddTime {
        /// From whom.
        contact: BareJid,
    },
    /// Somebody has opened an account with an invitation of the user.
    Joined {
        /// Who.
        contact: BareJid,
    },
}
