//! What happens, as it is told to whoever listens.

use serde::{Deserialize, Serialize};

use super::{ContactView, FileView, MessageView, Refusal};

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The account went on or off line, or cannot sign in.
    Account {
        /// `none`, `offline`, `connecting`, `online` or `refused`.
        state: String,
        /// Why it was refused.
        reason: Option<Refusal>,
    },
    /// Everything that had waited at the server has come.
    CaughtUp,
    /// A message arrived, or was written on another device.
    Message {
        /// The message.
        message: MessageView,
    },
    /// What is known about a message changed.
    MessageState {
        /// With whom.
        contact: String,
        /// Its id.
        message: String,
        /// `waiting`, `queued`, `sent`, `failed` or `received`.
        state: String,
        /// Why it waits or failed.
        reason: Option<Refusal>,
    },
    /// A contact is new or changed.
    Contact {
        /// The contact.
        contact: ContactView,
    },
    /// A contact was removed.
    ContactRemoved {
        /// Who it was.
        contact: String,
    },
    /// Somebody unknown wrote for the first time.
    Request {
        /// Who.
        contact: ContactView,
    },
    /// A file goes up or comes down.
    File {
        /// With whom.
        contact: String,
        /// The message that carries it.
        message: String,
        /// How far it is.
        file: FileView,
    },
    /// A file was saved on this machine.
    FileSaved {
        /// The message that offered it.
        message: String,
        /// Where it is.
        path: String,
    },
    /// Something became known about the other apps of the own account.
    OwnDevices,
    /// Something that the user should know. It stays among the notices until it has been seen.
    Notice {
        /// About whom.
        contact: Option<String>,
        /// A word for programs.
        notice: String,
        /// A sentence for people.
        text: String,
    },
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Event(<redacted>)")
    }
}
