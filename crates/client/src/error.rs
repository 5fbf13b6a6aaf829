//! Why something did not happen: [`CommandError`] at once, [`Failure`] later, each in words for a user.

use std::fmt;

use store::StoreError;
use xmpp::jid::BareJid;
use xmpp::stanza::{Condition, StanzaError};

/// Why a command was refused at once: the caller's fault, or the machine's.
#[derive(Debug)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no account in this profile.
    NoAccount,
    /// There is an account in this profile already.
    AccountExists,
    /// The link cannot be used for this.
    BadLink(LinkProblem),
    /// The address is no address.
    BadAddress,
    /// The link leaves the choice of a user name open: give one.
    NameNeeded,
    /// The chosen user name has characters that no address may have.
    BadName,
    /// The password has characters that no password can have.
    BadPassword,
    /// No contact has that name.
    UnknownContact,
    /// Nobody with that address is known here.
    UnknownAddress,
    /// Several contacts have that name: use the address.
    AmbiguousName(Candidates),
    /// Only somebody who is no contact has that name: they are meant by their whole address alone.
    NameOfRequest,
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
    /// The user says that they have compared a number, and none was shown to them.
    NumberNotShown,
    /// The number is not the one any more that was shown to the user.
    NumberChanged,
    /// The person has no device whose keys could be compared.
    NothingToCompare,
    /// Another app of the own account waits for the user's answer: a number would not cover it.
    OwnDeviceWaits,
    /// There is no such device, or its key is not known.
    UnknownDevice,
    /// The user says that a device is its owner's, and its key was not shown to them.
    KeyNotShown,
    /// The key of the device is not the one that was shown to the user.
    KeyShownChanged,
    /// The address is the user's own.
    IsYourself,
    /// What was asked for does not apply to this message or person.
    NotApplicable,
    /// The store failed.
    Store(StoreError),
}

/// Those whom a name may mean. `Debug` shows none of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Candidates(pub(crate) Vec<BareJid>);

impl Candidates {
    /// Two of them, for the page of all words.
    fn examples() -> Self {
        Self(
            ["bob@north.example", "bob@south.example"].into_iter().filter_map(|one| BareJid::parse(one).ok()).collect(),
        )
    }

    /// Their addresses, for the user to choose from.
    pub fn addresses(&self) -> &[BareJid] {
        &self.0
    }
}

impl fmt::Debug for Candidates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Candidates({})", self.0.len())
    }
}

impl CommandError {
    /// One of each kind, for whoever keeps watch over what is said to people.
    #[must_use]
    pub fn every() -> Vec<Self> {
        store::every!(Self {
            NoAccount => [Self::NoAccount],
            AccountExists => [Self::AccountExists],
            BadLink => [Self::BadLink(LinkProblem::NoLink)], // the others: [`LinkProblem::every`]
            BadAddress => [Self::BadAddress],
            NameNeeded => [Self::NameNeeded],
            BadName => [Self::BadName],
            BadPassword => [Self::BadPassword],
            UnknownContact => [Self::UnknownContact],
            UnknownAddress => [Self::UnknownAddress],
            OwnDeviceWaits => [Self::OwnDeviceWaits],
            UnknownDevice => [Self::UnknownDevice],
            KeyNotShown => [Self::KeyNotShown],
            KeyShownChanged => [Self::KeyShownChanged],
            IsYourself => [Self::IsYourself],
            AmbiguousName => [Self::AmbiguousName(Candidates::examples())],
            NameOfRequest => [Self::NameOfRequest],
            UnknownMessage => [Self::UnknownMessage],
            Empty => [Self::Empty],
            TooLong => [Self::TooLong],
            Offline => [Self::Offline],
            DoesNotMatch => [Self::DoesNotMatch],
            NumberNotShown => [Self::NumberNotShown],
            NumberChanged => [Self::NumberChanged],
            NothingToCompare => [Self::NothingToCompare],
            NotApplicable => [Self::NotApplicable],
            Store => [Self::Store(StoreError::Altered)],
        })
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::NoAccount => "There is no account here yet.",
            Self::AccountExists => "There is an account here already, and a profile holds only one.",
            Self::BadLink(problem) => problem.words(),
            Self::BadAddress => "This is not an address. An address looks like bob@example.org.",
            Self::NameNeeded => "This link lets you choose a user name.",
            Self::BadPassword => {
                "A password cannot contain line ends or other control characters. Nothing was changed."
            }
            Self::BadName => "A user name cannot contain spaces, quotation marks or any of & / : < > @.",
            Self::UnknownContact => "None of your contacts has this name. Use an address (bob@example.org) or a link.",
            Self::UnknownAddress => "Nobody with this address is among your contacts. Check how it is written.",
            Self::IsYourself => "This is your own address. Your own apps are shown by: waxwing devices",
            Self::AmbiguousName(_) => "Several of your contacts have this name. Use the address of the one you mean.",
            Self::NameOfRequest => {
                "None of your contacts has this name, but somebody who wrote to you has. If you mean them, use their whole \
                 address: waxwing inbox --requests"
            }
            Self::UnknownMessage => "There is no such message here. It may have been deleted.",
            Self::Empty => "There is nothing to send: the message is empty.",
            Self::TooLong => "This is too long for one message. Send it as a file.",
            Self::Offline => "This needs a connection to your server, and there is none at the moment.",
            Self::DoesNotMatch => {
                "It does not match. Somebody may be in between: find out why before you write anything confidential."
            }
            Self::NumberNotShown => {
                "No number has been shown to you yet, so there is none that you could have compared."
            }
            Self::NumberChanged => {
                "The number has changed since you saw it, because one of you has a new app or a new key. Compare the new one."
            }
            Self::NothingToCompare => {
                "There is nothing to compare yet: no app of theirs has been found. Write to them first, or ask them to \
                 write to you."
            }
            Self::OwnDeviceWaits => {
                "Your account has another app that waits for your answer. Until you have said whether it is yours, there \
                 is no number to compare: the other side would see a different one. See it: waxwing devices"
            }
            Self::UnknownDevice => "There is no app of that number, or it has not shown its key yet.",
            Self::KeyNotShown => {
                "The key of that app has not been shown to you yet, so there is nothing that you could have compared. List the \
                 apps first and compare the digits."
            }
            Self::KeyShownChanged => {
                "Another key shows now for that app than the one that you saw. Nothing was changed. List the apps and compare \
                 the digits again."
            }
            Self::NotApplicable => "This is not possible here.",
            Self::Store(error) => {
                let mut what_happened = error.what_happened().chars();
                let first = what_happened.next().map(|c| c.to_ascii_uppercase()).unwrap_or_default();
                return write!(f, "{first}{}. {}", what_happened.as_str(), error.what_to_do());
            }
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

/// Why a link cannot be used. Each has a sentence of its own, because each needs something else of the person who pasted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkProblem {
    /// It is something else: an address, a word, a page.
    NoLink,
    /// It begins as a link and cannot be read: a piece is missing or has been changed.
    Damaged,
    /// It ends where a shell cuts off what is not in quotes.
    Ended,
    /// It belongs to a person, and opens no account.
    OpensNoAccount,
    /// It opens an account, and belongs to nobody who could be added.
    BelongsToNobody,
    /// It links two servers.
    ForServers,
    /// It is the user's own.
    Own,
    /// It is somebody else's than the one who is to be verified.
    SomebodyElse,
    /// It names no keys, so that it verifies nobody.
    ProvesNothing,
}

impl LinkProblem {
    /// One of each kind, for whoever keeps watch over what is said to people.
    #[must_use]
    pub fn every() -> Vec<Self> {
        store::every!(LinkProblem {
            NoLink,
            Damaged,
            Ended,
            OpensNoAccount,
            BelongsToNobody,
            ForServers,
            Own,
            SomebodyElse,
            ProvesNothing
        })
    }

    /// Sentences for the user.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NoLink => "This is not a link. A link begins with xmpp: or https: and comes from the other person.",
            Self::Damaged => {
                "This link is not whole: a piece of it is missing or was changed. Copy it again from beginning to end, \
                 and put it in quotes: 'xmpp:...'"
            }
            Self::Ended => {
                "This link was cut off: a terminal ends a command at the first ; in it. Put the link in quotes: \
                 'xmpp:...'"
            }
            Self::OpensNoAccount => {
                "This link belongs to a person and does not open an account. Ask them for an invite link; with an \
                 account of your own you can add them by this one."
            }
            Self::BelongsToNobody => {
                "This link opens an account; it does not belong to a person. Ask the person for a link of their own."
            }
            Self::ForServers => {
                "This link connects two servers. It is for the people who run them: waxwingd peer add 'xmpp:...'"
            }
            Self::Own => "This is your own link. Give it to somebody else, and take theirs.",
            Self::SomebodyElse => "This link belongs to somebody else than the person whom you want to verify.",
            Self::ProvesNothing => {
                "Nobody can be verified by this link, because it does not say which apps are theirs. Ask them for the \
                 one that `waxwing verify` shows."
            }
        }
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

impl EngineError {
    /// One of each kind, for whoever keeps watch over what is said to people.
    #[must_use]
    pub fn every() -> Vec<Self> {
        store::every!(Self { Store => [Self::Store(StoreError::Altered)], BadRow => [Self::BadRow] })
    }
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

impl From<LinkProblem> for CommandError {
    fn from(problem: LinkProblem) -> Self {
        Self::BadLink(problem)
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
    /// The server's key is not the one that the link names.
    OtherServer,
    /// The server let this account in before, and does not know it or its password any more.
    NoLongerAccepted,
    /// The server has no TLS that is good enough.
    NoSafeConnection,
    /// The server does not take a password that is easy to guess.
    WeakPassword,
}

impl Failure {
    /// What happened, why, and what to do.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotSecure => {
                "They have no app yet that can read encrypted messages, or it cannot be found at the moment. Nothing was \
                 sent."
            }
            Self::Changed => {
                "Something about this person has changed: they may have a new device, or somebody may be pretending to be them. Nothing was sent."
            }
            Self::Blocked => "You have blocked this person, so nothing was sent.",
            Self::PolicyViolation => {
                "A server on the way does not pass on messages of this kind. Ask the person who runs your server."
            }
            Self::NoSuchPerson => {
                "Their server says that it has no such account. Check the address; the account may have been deleted."
            }
            Self::NoSuchServer => {
                "There is no server of this name, or the one that answered could not prove that the name is its own. \
                 Check the address behind the @."
            }
            Self::ServerTimeout => "The other server does not answer at the moment. Try again later.",
            Self::NotWanted => {
                "They do not take messages from you. They may have to add you first: give them a link of yours."
            }
            Self::Full => "A server on the way has no room left, or took too much at once. Try again later.",
            Self::Unavailable => {
                "Their server did not take it: either it has no such account (any more), or they are offline and it \
                 keeps nothing for them. Check the address, or ask them."
            }
            Self::Refused => "A server on the way refused it and did not say why. Try again later.",
            Self::WrongPassword => {
                "The server does not accept this password for this name. Check both; capital letters matter."
            }
            Self::ServerNotProved => {
                "The server could not prove that it knows your account, so signing in was stopped. Somebody may be \
                 listening in between. Try another network; if it stays so, ask the person who runs the server."
            }
            Self::NotTrusted => {
                "The server's certificate is not trusted: it is made for another name, has run out, or nobody known \
                 vouches for it. Nothing was sent to it."
            }
            Self::NoSafeLogin => {
                "The server offers no way to sign in that keeps the password safe, so it was not sent. Ask the person \
                 who runs the server to switch on SCRAM."
            }
            Self::NameTaken => "This user name is taken already.",
            Self::NameRefused => "The server does not give out this user name.",
            Self::WeakPassword => {
                "The server does not take this password, because it is easy to guess. Choose twelve random characters \
                 or several words that do not belong together, or let Waxwing make one."
            }
            Self::InviteInvalid => {
                "This invite link has been used, has run out or was taken back, or a piece of it is missing. If it is \
                 whole, ask for a new one."
            }
            Self::RegistrationClosed => {
                "This server opens an account only for an invite link. Ask somebody who is there for one. If you have \
                 one, make sure that all of it is there, in quotes."
            }
            Self::NotSupported => "Your server does not offer this.",
            Self::Replaced => {
                "This profile is in use in another place: a copy of it signed in as the same device. Use only one of \
                 them, and sign in anew on the other."
            }
            Self::Disconnected => "The connection to your server broke. Try again.",
            Self::Protocol => "The server gave an answer that makes no sense. Tell the person who runs it.",
            Self::FileTooLarge => "The file is larger than the server takes, or than its sender said.",
            Self::FileGone => "The file is not on the server any more. Ask for it to be sent again.",
            Self::FileDamaged => {
                "What arrived is not the file that was sent: it was damaged or exchanged on its way, and was thrown \
                 away. Ask for it to be sent again."
            }
            Self::FileAddress => {
                "The file lies at an address that can be misused (not https, or inside a private network), so it was \
                 not fetched. Ask for it to be sent another way."
            }
            Self::BindingRefused => {
                "The server says that it can tie signing in to the encrypted connection (tls-exporter, \
                 tls-server-end-point), and then refuses. That is a mistake of the server, or somebody is in between. \
                 If you know that it is the server's mistake, sign in with --danger-no-binding."
            }
            Self::NoSafeConnection => {
                "The server offers no encryption that is good enough (TLS 1.2 or newer), so nothing was sent to it. Ask \
                 the person who runs it to update it."
            }
            Self::OtherServer => {
                "The server that answered is not the one that your link names. Either a letter of the link is wrong, or \
                 somebody is in between. Copy the link again; if it stays so, ask the person who gave it to you, and \
                 do not go on."
            }
            Self::NoLongerAccepted => {
                "The server let this account in before and does not any more. Either its password was changed somewhere else, or the account was deleted."
            }
            Self::Expired => "Their server did not take it for three days, so it is not tried any more.",
            Self::Cancelled => "You took it back. If it was on its way already, it may still arrive.",
            Self::EndsConnection => {
                "Your server ends the connection whenever this message is sent, so it is not tried any more."
            }
            Self::FileNotSaved => {
                "The file arrived and could not be saved on this machine. Check the disk; `waxwing inbox` tries again."
            }
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
        Self::every().into_iter().find(|failure| failure.code() == code)
    }

    /// Each of them, for whoever keeps watch over what is said to people. New ones are declared last, because their place
    /// is stored.
    #[must_use]
    pub fn every() -> Vec<Self> {
        store::every!(Failure {
            NotSecure,
            Changed,
            Blocked,
            PolicyViolation,
            NoSuchPerson,
            NoSuchServer,
            ServerTimeout,
            NotWanted,
            Full,
            Unavailable,
            Refused,
            WrongPassword,
            ServerNotProved,
            NotTrusted,
            NoSafeLogin,
            NameTaken,
            NameRefused,
            InviteInvalid,
            RegistrationClosed,
            NotSupported,
            Replaced,
            Disconnected,
            Protocol,
            FileTooLarge,
            FileGone,
            FileDamaged,
            FileAddress,
            BindingRefused,
            Expired,
            Cancelled,
            EndsConnection,
            FileNotSaved,
            OtherServer,
            NoLongerAccepted,
            NoSafeConnection,
            WeakPassword,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl std::error::Error for Failure {}

/// What a bounced stanza means to the user.
impl From<&StanzaError> for Failure {
    fn from(error: &StanzaError) -> Self {
        if xep::ibr::is_weak_password(error).is_some() {
            return Self::WeakPassword;
        }
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
        let every = Failure::every();
        for failure in every.iter().copied() {
            assert_eq!(Failure::from_code(failure.code()), Some(failure));
            assert!(failure.words().ends_with('.'));
        }
        assert_eq!(Failure::from_code(0), None);
        assert_eq!(Failure::from_code(every.len() as u32 + 1), None);
    }
}
