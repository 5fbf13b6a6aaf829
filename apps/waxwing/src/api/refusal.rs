//! Why something did not happen, in a word for programs and a sentence for people.

use std::fmt;

use client::{CommandError, Failure};
use serde::{Deserialize, Serialize};

use crate::words::refusals;

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// A word for programs.
    pub kind: Kind,
    /// A sentence for people.
    pub text: String,
}

/// The kinds of refusals that programs may want to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// There is no account here, or it cannot sign in.
    NoAccount,
    /// There is an account here already.
    AccountExists,
    /// The command line cannot be read.
    Usage,
    /// A link, an address or a name cannot be used.
    BadInput,
    /// Nobody, or more than one person, is meant.
    UnknownContact,
    /// The person cannot be reached securely.
    NotSecure,
    /// Something about the person changed; the user must decide.
    Changed,
    /// The number or link is not that of the person.
    DoesNotMatch,
    /// Another app of the own account waits for the user's answer.
    OwnDeviceWaits,
    /// There is no connection.
    Offline,
    /// The password is wrong, or the server is not the right one.
    SignInFailed,
    /// The invitation is not accepted.
    NotInvited,
    /// The user name cannot be had: choose another.
    BadName,
    /// Somebody else's server, or the person, refused.
    Refused,
    /// A file could not be read, written, sent or fetched.
    File,
    /// This machine's disk.
    Disk,
    /// The program that holds the profile is about to end: ask again.
    Closing,
    /// The program that holds the profile ended without an answer.
    Ended,
    /// Two versions of the program meet.
    Version,
    /// What was asked for cannot be done here.
    NotApplicable,
}

impl Refusal {
    /// Makes a refusal.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

impl From<&CommandError> for Refusal {
    fn from(error: &CommandError) -> Self {
        use CommandError as E;
        let kind = match error {
            E::NoAccount => Kind::NoAccount,
            E::AccountExists => Kind::AccountExists,
            E::BadLink(_)
            | E::BadAddress
            | E::IsYourself
            | E::NumberNotShown
            | E::KeyNotShown
            | E::Empty
            | E::TooLong => Kind::BadInput,
            E::UnknownContact
            | E::UnknownAddress
            | E::AmbiguousName(_)
            | E::NameOfRequest
            | E::UnknownMessage
            | E::UnknownDevice => Kind::UnknownContact,
            E::NameNeeded | E::BadName => Kind::BadName,
            E::BadPassword => Kind::BadInput,
            E::OwnDeviceWaits => Kind::OwnDeviceWaits,
            E::Offline => Kind::Offline,
            E::DoesNotMatch | E::NumberChanged | E::KeyShownChanged | E::NothingToCompare => Kind::DoesNotMatch,
            E::Store(_) => Kind::Disk,
            _ => Kind::NotApplicable,
        };
        let hint = match error {
            E::NoAccount => refusals::join_or_login(),
            E::AccountExists => refusals::name_the_profile(),
            E::NameNeeded => refusals::choose_a_name(),
            E::BadName => refusals::choose_another_name(),
            E::UnknownContact => refusals::list_contacts(),
            E::AmbiguousName(candidates) => {
                let addresses: Vec<&str> = candidates.addresses().iter().map(|address| address.as_str()).collect();
                refusals::candidates(addresses.join(", "))
            }
            E::NumberNotShown | E::NumberChanged => refusals::number_helps(),
            _ => String::new(),
        };
        Self::new(kind, with_hint(&error.to_string(), &hint))
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        use Failure as F;
        let kind = match failure {
            F::NotSecure => Kind::NotSecure,
            F::Changed => Kind::Changed,
            F::WrongPassword
            | F::NoLongerAccepted
            | F::ServerNotProved
            | F::NotTrusted
            | F::OtherServer
            | F::NoSafeLogin
            | F::NoSafeConnection
            | F::BindingRefused
            | F::Replaced => Kind::SignInFailed,
            F::NameTaken | F::NameRefused => Kind::BadName,
            F::InviteInvalid | F::RegistrationClosed => Kind::NotInvited,
            F::Disconnected | F::ServerTimeout => Kind::Offline,
            F::FileNotSaved => Kind::Disk,
            F::FileTooLarge | F::FileGone | F::FileDamaged | F::FileAddress => Kind::File,
            F::NotSupported => Kind::NotApplicable,
            _ => Kind::Refused,
        };
        let hint = match failure {
            F::NotSecure => refusals::invite_helps(),
            F::Changed => refusals::comparing_helps(),
            F::Blocked => refusals::accepting_helps(),
            F::NameTaken | F::NameRefused => refusals::choose_another_name(),
            F::NotTrusted => refusals::ca_file_helps(),
            F::NoLongerAccepted => refusals::signing_in_helps(),
            _ => String::new(),
        };
        Self::new(kind, with_hint(failure.words(), &hint))
    }
}

/// What happened, in the words of the engine, and the command that helps.
fn with_hint(words: &str, hint: &str) -> String {
    if hint.is_empty() { words.to_owned() } else { format!("{words}\n{hint}") }
}
