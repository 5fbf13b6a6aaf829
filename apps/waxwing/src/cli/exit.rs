//! How a command ended, as scripts see it. The same table stands in `docs/using-waxwing.md`.

use crate::api::Kind;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// As it should.
    Ok = 0,
    /// It did not work out.
    Failed = 1,
    /// The command line, a link, an address or a name cannot be used; nothing was done.
    Usage = 2,
    /// The message is saved and will be sent; the server has not confirmed it in time.
    NotYetSent = 3,
    /// The person cannot be reached securely, so nothing was sent.
    NotSecure = 4,
    /// There is no account here, or it cannot sign in.
    NoAccount = 5,
    /// There is no connection to the server.
    Offline = 6,
    /// Something about the person has changed, or does not match; nothing was sent.
    Changed = 7,
    /// Another app of the own account waits for an answer.
    OwnDeviceWaits = 8,
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Usage | Kind::BadInput | Kind::BadName | Kind::UnknownContact | Kind::NotInvited => Self::Usage,
            Kind::NotSecure => Self::NotSecure,
            Kind::NoAccount | Kind::SignInFailed => Self::NoAccount,
            Kind::Offline => Self::Offline,
            Kind::Changed | Kind::DoesNotMatch => Self::Changed,
            Kind::OwnDeviceWaits => Self::OwnDeviceWaits,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
