//! Why something did not happen: [`CommandError`] at once, [`Failure`] later, each in words for a user.

use std::fmt;

use store::StoreError;
use xmpp::stanza::{Condition, StanzaError};

/// Why a command was refused at once: the caller's fault, or the machine's.
#[derive(Debug)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no account in this profile.
    NoAccount,
    /// There is an account in this profile already.
    AccountExists,
    /// The link cannot be read, or is of another kind.
    BadLink,
    /// The address is no address.
    BadAddress,
    /// The link leaves the choice of a user name open: give one.
    NameNeeded,
    /// The chosen user name has characters that no address may have.
    BadName,
    /// Nobody of that name is known.
    UnknownContact,
    /// Several contacts have that name: use the address.
    AmbiguousName,
    /// No such message.
    UnknownMessage,
    /// There is nothing to send.
    Empty,
    /// Longer than one message may be.
    TooLong,
    /// The account is not online, and this needs it.
    Offline,
    /// The number or link is not that of the person.
    DoesNotMatch,
    /// The person has no device whose keys could be compared.
    NothingToCompare,
    /// Another app of the own account waits for the user's answer: a number would not cover it.
    OwnDeviceWaits,
    /// There is no such device, or its key is not known.
    UnknownDevice,
    /// The address is the user's own.
    IsYourself,
    /// What was asked for does not apply to this message or person.
    NotApplicable,
    /// The store failed.
    Store(StoreError),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::NoAccount => "There is no account here yet. Join with an invite link, or log in.",
            Self::AccountExists => "There is an account here already.",
            Self::BadLink => "This is no link that can be used here.",
            Self::BadAddress => "This is no address. An address looks like bob@example.org.",
            Self::NameNeeded => "Choose a user name.",
            Self::BadName => "This user name has characters that a user name cannot have.",
            Self::UnknownContact => "Nobody of that name is known. Use the address, or add a link.",
            Self::AmbiguousName => "Several people have that name. Use the address.",
            Self::UnknownMessage => "There is no such message.",
            Self::Empty => "There is nothing to send.",
            Self::TooLong => "This is too long for one message. Send it as a file.",
            Self::Offline => "This needs a connection to your server, and there is none.",
            Self::DoesNotMatch => "It does not match. Do not trust this conversation before you know why.",
            Self::NothingToCompare => "This person has not been reached yet, so there is nothing to compare.",
            Self::OwnDeviceWaits => {
                "Your account has another app that waits for your answer. Until you have said whether it is yours, there \
                 is no number to compare: the other side would see a different one. See it: waxwing devices"
            }
            Self::UnknownDevice => "There is no app of that number, or it has not shown its key yet.",
            Self::IsYourself => "This is your own address. Your own apps are shown by: waxwing devices",
            Self::NotApplicable => "This cannot be done here.",
            Self::Store(error) => return write!(f, "What is on this machine's disk cannot be used: {error}"),
        };
        f.write_str(words)
    }
}

impl std::error::Error for CommandError {}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Why the engine itself cannot go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum EngineError {
    /// The store failed; nothing was acknowledged that is not in it.
    Store(StoreError),
    /// What the store holds was not written by this program, or by a newer one.
    BadRow,
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::BadRow => f.write_str("a stored row cannot be read; it may come from a newer version"),
        }
    }
}

impl std::error::Error for EngineError {}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<EngineError> for CommandError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Store(error) => Self::Store(error),
            EngineError::BadRow => Self::NotApplicable,
        }
    }
}

/// Why something did not work out later: the network's, a server's or a person's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The person has no app that could read a secure message, or none that can be found. Nothing was sent.
    NotSecure,
    /// What is known about the person changed; sending is stopped until the user decides. Nothing was sent.
    Changed,
    /// The contact is blocked here. Nothing was sent.
    Blocked,
    /// A server refuses messages like this one.
    PolicyViolation,
    /// There is no such person at that server.
    NoSuchPerson,
    /// The other server does not exist or cannot be trusted.
    NoSuchServer,
    /// The other server does not answer at the moment.
    ServerTimeout,
    /// The person does not want to hear from strangers, or from this account.
    NotWanted,
    /// A server is out of space, or too much was sent at once.
    Full,
    /// The person's server cannot keep it, and the person is away.
    Unavailable,
    /// A server refused for another reason.
    Refused,
    /// User name and password do not fit.
    WrongPassword,
    /// The server did not prove that it knows the password, or somebody is listening in.
    ServerNotProved,
    /// The server's certificate or key is not the expected one.
    NotTrusted,
    /// The server offers no sign-in that is safe.
    NoSafeLogin,
    /// The user name is taken.
    NameTaken,
    /// The server does not take this user name.
    NameRefused,
    /// The invitation has been used, has expired, or was never made.
    InviteInvalid,
    /// The server lets nobody register this way.
    RegistrationClosed,
    /// The server does not offer this.
    NotSupported,
    /// Another program signed in as this very device.
    Replaced,
    /// The connection broke, or there was none.
    Disconnected,
    /// The server speaks in a way that makes no sense.
    Protocol,
    /// A file is larger than the server takes, or than was said.
    FileTooLarge,
    /// A file could not be fetched.
    FileGone,
    /// A file is not what was offered: damaged or exchanged on its way.
    FileDamaged,
    /// A file lies at an address that must not be used.
    FileAddress,
    /// The server offers channel binding and refuses every type.
    BindingRefused,
    /// It was tried for three days, and the other server did not take it.
    Expired,
    /// The user took it back.
    Cancelled,
    /// The own server ends the connection whenever this message is sent.
    EndsConnection,
    /// A file arrived and could not be saved on this machine.
    FileNotSaved,
}

impl Failure {
    /// One or two sentences for the user.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotSecure => "This person cannot be reached securely yet. Nothing was sent.",
            Self::Changed => {
                "What is known about this person has changed. Nothing is sent until you have looked at it."
            }
            Self::Blocked => "You have blocked this person. Nothing was sent.",
            Self::PolicyViolation => "A server on the way does not carry messages like this.",
            Self::NoSuchPerson => "There is nobody of that name at that server.",
            Self::NoSuchServer => "The other server does not exist or cannot be trusted.",
            Self::ServerTimeout => "The other server does not answer at the moment.",
            Self::NotWanted => "This person does not take messages from you.",
            Self::Full => "A server on the way has no more room.",
            Self::Unavailable => "This person is away, and their server does not keep messages.",
            Self::Refused => "A server on the way refused.",
            Self::WrongPassword => "User name and password do not fit.",
            Self::ServerNotProved => "The server did not prove that it is yours. Somebody may be in between.",
            Self::NotTrusted => "The server is not the one that the link or its name promises.",
            Self::NoSafeLogin => "The server offers no safe way to sign in.",
            Self::NameTaken => "That user name is taken. Choose another.",
            Self::NameRefused => "The server does not take that user name. Choose another.",
            Self::InviteInvalid => "The invitation has been used or has expired. Ask for a new one.",
            Self::RegistrationClosed => "The server needs an invitation.",
            Self::NotSupported => "The server does not offer this.",
            Self::Replaced => "The account was opened by another program as this very device.",
            Self::Disconnected => "There is no connection to your server.",
            Self::Protocol => "The server does not speak as agreed.",
            Self::FileTooLarge => "The file is too large.",
            Self::FileGone => "The file is no longer there.",
            Self::FileDamaged => "The file was damaged on its way, or is not the one that was offered.",
            Self::FileAddress => "The file lies at a place that must not be used.",
            Self::BindingRefused => {
                "The server offers to tie the sign-in to the encrypted connection (tls-exporter, tls-server-end-point), \
                 and then refuses: a fault of the server, or somebody in between. If you know it is the server's fault, \
                 sign in with --danger-no-binding."
            }
            Self::Expired => "Their server did not take it for three days, so it is not tried any more.",
            Self::Cancelled => "You took it back. If it was on its way already, it may still arrive.",
            Self::EndsConnection => {
                "Your server ends the connection whenever this message is sent, so it is not tried any more."
            }
            Self::FileNotSaved => "The file arrived, but this machine could not save it.",
        }
    }

    /// Whether waiting may help, so that a message stays queued.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::ServerTimeout | Self::Disconnected)
    }

    /// A small number that stays the same in every version, for the store and for programs.
    pub(crate) fn code(self) -> u32 {
        self as u32 + 1
    }

    pub(crate) fn from_code(code: u32) -> Option<Self> {
        ALL.iter().copied().find(|failure| failure.code() == code)
    }
}

/// In the order of declaration; new ones go last in both, because their place is stored.
const ALL: [Failure; 32] = [
    Failure::NotSecure,
    Failure::Changed,
    Failure::Blocked,
    Failure::PolicyViolation,
    Failure::NoSuchPerson,
    Failure::NoSuchServer,
    Failure::ServerTimeout,
    Failure::NotWanted,
    Failure::Full,
    Failure::Unavailable,
    Failure::Refused,
    Failure::WrongPassword,
    Failure::ServerNotProved,
    Failure::NotTrusted,
    Failure::NoSafeLogin,
    Failure::NameTaken,
    Failure::NameRefused,
    Failure::InviteInvalid,
    Failure::RegistrationClosed,
    Failure::NotSupported,
    Failure::Replaced,
    Failure::Disconnected,
    Failure::Protocol,
    Failure::FileTooLarge,
    Failure::FileGone,
    Failure::FileDamaged,
    Failure::FileAddress,
    Failure::BindingRefused,
    Failure::Expired,
    Failure::Cancelled,
    Failure::EndsConnection,
    Failure::FileNotSaved,
];

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl std::error::Error for Failure {}

/// What a bounced stanza means to the user.
impl From<&StanzaError> for Failure {
    fn from(error: &StanzaError) -> Self {
        match error.condition {
            Condition::PolicyViolation | Condition::NotAcceptable => Self::PolicyViolation,
            Condition::ItemNotFound | Condition::Gone | Condition::JidMalformed => Self::NoSuchPerson,
            Condition::RemoteServerNotFound => Self::NoSuchServer,
            Condition::RemoteServerTimeout => Self::ServerTimeout,
            Condition::Forbidden
            | Condition::NotAuthorized
            | Condition::SubscriptionRequired
            | Condition::RegistrationRequired
            | Condition::NotAllowed => Self::NotWanted,
            Condition::ResourceConstraint => Self::Full,
            Condition::ServiceUnavailable | Condition::RecipientUnavailable => Self::Unavailable,
            _ => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_code_that_reads_back_and_words() {
        for failure in ALL {
            assert_eq!(Failure::from_code(failure.code()), Some(failure));
            assert!(failure.words().ends_with('.'));
        }
        assert_eq!(Failure::from_code(0), None);
        assert_eq!(Failure::from_code(ALL.len() as u32 + 1), None);
    }
}
