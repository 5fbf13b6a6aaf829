//! What is said on the administration socket: one JSON object per line, a request and then its answer.
//!
//! ```text
//! {"v":1,"do":"invite"}
//! {"v":1,"ok":{"invite":{"link":"xmpp:…","page":"https://…","expires_at":"2027-01-15T08:00:00.000Z"}}}
//! {"v":1,"do":"account_delete","name":"alice"}
//! {"v":1,"error":{"word":"failed","what":"there is no such account","todo":""}}
//! ```

use serde::{Deserialize, Serialize};

/// The version of this protocol.
pub const VERSION: u32 = 1;

/// Longest request.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// Longest answer.
pub const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// [`VERSION`].
    pub v: u32,
    /// What is to be done.
    #[serde(flatten)]
    pub command: Command,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// Make an invitation.
    Invite {
        /// How many days it is good; as long as usual without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        days: Option<u32>,
        /// A name that is kept for who comes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// List the invitations.
    InviteList,
    /// Take an invitation back.
    InviteRevoke {
        /// The beginning of its token, as the list shows it, or a link with it.
        id: String,
    },
    /// Say how the broker is.
    Status,
    /// Remember another broker.
    PeerAdd {
        /// Its peer link.
        link: String,
    },
    /// List the brokers that are remembered.
    PeerList,
    /// Forget another broker.
    PeerRemove {
        /// Its domain.
        domain: String,
    },
    /// List the accounts.
    AccountList,
    /// Make an account, with a password that the broker makes.
    AccountAdd {
        /// Its name.
        name: String,
        /// A name that looks official is meant.
        #[serde(default)]
        admin: bool,
    },
    /// Close an account, for ever.
    AccountDelete {
        /// Its name or address.
        name: String,
    },
    /// Set a new password, which the broker makes.
    AccountReset {
        /// Its name or address.
        name: String,
    },
    /// Return the certificate of the broker's own authority.
    CaExport,
    /// Believe the clock of this machine as it is.
    ClockAccept,
    /// Look for what is wrong.
    Doctor {
        /// A domain to reach, if one is to be tried.
        domain: Option<String>,
    },
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// [`VERSION`].
    pub v: u32,
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Ok(Done),
    /// It was not.
    Error(Failure),
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A word for programs.
    #[serde(default = "Failure::unnamed")]
    pub word: String,
    /// What happened.
    pub what: String,
    /// What to do about it; may be empty.
    pub todo: String,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// An invitation.
    Invite(InviteLine),
    /// The invitations that are open, and those of the operator that were used.
    Invites(Vec<ListedLine>),
    /// An invitation was taken back.
    Revoked(ListedLine),
    /// How the broker is.
    Status(Status),
    /// A peer was added.
    Peer {
        /// Its domain.
        domain: String,
    },
    /// The peers that are remembered.
    Peers(Vec<PeerLine>),
    /// The accounts.
    Accounts(Vec<AccountLine>),
    /// An account was made; its password is shown once and kept nowhere.
    Added {
        /// The address of the account.
        address: String,
        /// The password.
        password: String,
    },
    /// A new password; it is shown once and kept nowhere.
    Password {
        /// The address of the account.
        address: String,
        /// The password.
        password: String,
    },
    /// A certificate.
    Certificate {
        /// In PEM.
        pem: String,
    },
    /// What was looked at.
    Checks(Vec<Check>),
    /// Nothing more to say.
    Nothing,
}

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteLine {
    /// The `xmpp:` link.
    pub link: String,
    /// The page that shows the same.
    pub page: Option<String>,
    /// The address of the page in the characters that make a small code for a camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// When it ends (ISO 8601, UTC).
    pub expires_at: String,
}

/// An invitation in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedLine {
    /// The beginning of its token.
    pub id: String,
    /// The account that made it; the operator where there is none.
    pub inviter: Option<String>,
    /// The address that it keeps for who comes.
    pub address: Option<String>,
    /// The account that was made with it.
    pub used_by: Option<String>,
    /// When it ends (ISO 8601, UTC).
    pub expires_at: String,
}

/// How the broker is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its domain.
    pub domain: String,
    /// The pin of its key, in base64url.
    pub pin: String,
    /// Its ports.
    pub ports: PortsLine,
    /// Accounts that are not closed.
    pub accounts: usize,
    /// Connections that are signed in.
    pub sessions: usize,
    /// Other brokers that are remembered.
    pub peers: usize,
    /// The link that `peer add` on another broker takes.
    pub peer_link: String,
    /// The program's version.
    pub version: String,
}

/// The five ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortsLine {
    /// Clients, STARTTLS.
    pub client: u16,
    /// Clients, direct TLS.
    pub client_tls: u16,
    /// Servers, STARTTLS.
    pub server: u16,
    /// Servers, direct TLS.
    pub server_tls: u16,
    /// Web pages and files.
    pub https: u16,
}

impl From<crate::Addresses> for PortsLine {
    fn from(addresses: crate::Addresses) -> Self {
        Self {
            client: addresses.client.port(),
            client_tls: addresses.client_tls.port(),
            server: addresses.server.port(),
            server_tls: addresses.server_tls.port(),
            https: addresses.https.port(),
        }
    }
}

impl From<crate::Ports> for PortsLine {
    fn from(ports: crate::Ports) -> Self {
        let crate::Ports { client, client_tls, server, server_tls, https } = ports;
        Self { client, client_tls, server, server_tls, https }
    }
}

/// A broker that is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerLine {
    /// Its domain.
    pub domain: String,
    /// `host:port`; DNS is asked when there is none.
    pub addresses: Vec<String>,
    /// Whether it is recognised by its pin.
    pub pinned: bool,
    /// Whether people have made it known by links, and not the operator.
    #[serde(default)]
    pub by_link: bool,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLine {
    /// Its address.
    pub address: String,
    /// Whether it is connected now.
    pub online: bool,
}

/// Something that `doctor` has looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it is.
    pub state: State,
    /// What was found, and why it matters.
    pub why: String,
    /// What to do about it; empty when nothing is to be done.
    pub todo: String,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Good,
    /// It works, but not as well as it could, or not for long.
    Warning,
    /// It does not work.
    Bad,
}

impl Check {
    /// Everything is as it should be.
    pub fn good(name: &str, why: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state: State::Good, why: why.into(), todo: String::new() }
    }

    /// It works for now.
    pub fn warning(name: &str, why: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state: State::Warning, why: why.into(), todo: todo.into() }
    }

    /// It does not work.
    pub fn bad(name: &str, why: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state: State::Bad, why: why.into(), todo: todo.into() }
    }
}

impl Failure {
    /// Something happened, and nothing can be done about it but what the words say.
    pub fn new(what: impl Into<String>) -> Self {
        Self::with_todo(what, "")
    }

    /// Something happened, and this can be done about it.
    pub fn with_todo(what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { word: Self::unnamed(), what: what.into(), todo: todo.into() }
    }

    /// Names it for programs.
    #[must_use]
    pub fn named(mut self, word: &str) -> Self {
        word.clone_into(&mut self.word);
        self
    }

    fn unnamed() -> String {
        "failed".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_are_as_documented() {
        let request: Request = serde_json::from_str(r#"{"v":1,"do":"account_delete","name":"alice"}"#).expect("read");
        assert_eq!(request.command, Command::AccountDelete { name: "alice".into() });
        assert_eq!(
            serde_json::to_string(&Request { v: 1, command: Command::Invite { days: None, name: None } })
                .expect("written"),
            r#"{"v":1,"do":"invite"}"#
        );
        let answer = Answer { v: 1, outcome: Outcome::Error(Failure::new("no")) };
        let text = serde_json::to_string(&answer).expect("written");
        assert_eq!(text, r#"{"v":1,"error":{"word":"failed","what":"no","todo":""}}"#);
        for done in
            [Done::Nothing, Done::Peers(Vec::new()), Done::Password { address: "a".into(), password: "b".into() }]
        {
            let answer = Answer { v: 1, outcome: Outcome::Ok(done) };
            let text = serde_json::to_string(&answer).expect("written");
            assert_eq!(serde_json::from_str::<Answer>(&text).expect("read"), answer, "{text}");
        }
        assert!(serde_json::from_str::<Request>(r#"{"v":1,"do":"destroy"}"#).is_err());
    }
}
