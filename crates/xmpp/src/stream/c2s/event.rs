//! What the two ends of a client stream are told at their start, and what they report.

use std::fmt;

use crate::jid::Jid;
use crate::sasl::select::{Policy, SelectError};
use crate::sasl::{ClientKey, Credential, ExchangeError, Hash, Mechanism, PasswordForm, SaslCondition, ScramKeys};
use crate::stanza::StanzaError;
use crate::stream::Ending;
use crate::stream::header::prepared;
use crate::xml::{Element, Frame, Limits};

/// The settings of all client streams of a broker; shared, hence in an `Arc`.
#[derive(Debug, Clone)]
pub struct ResponderConfig {
    /// The domains that accounts live on, in prepared form (RFC 7622 §3.2); the first is named where a peer asked for
    /// none of them.
    pub domains: Vec<String>,
    /// Bounds until the client has logged in.
    pub pre_auth_limits: Limits,
    /// Bounds afterwards; advertised by XEP-0478.
    pub limits: Limits,
    /// Seconds of silence after which the broker checks or ends the stream; advertised by XEP-0478.
    pub idle_seconds: Option<u32>,
    /// The hashes for which SCRAM is offered.
    pub hashes: Vec<Hash>,
    /// The iteration count that unknown accounts pretend to have: that of the known ones.
    pub iterations: u32,
    /// Failed logins after which the stream is closed.
    pub login_attempts: u8,
    /// What is offered to somebody without an account.
    pub registration: Registration,
    /// Further stream features after the login, for example XEP-0115 or roster versioning.
    pub features: Vec<Element>,
    /// Unacknowledged stanzas after which an acknowledgement is requested (XEP-0198).
    pub ack_request_every: u32,
}

impl ResponderConfig {
    /// The defaults for some domains.
    #[must_use]
    pub fn new(domains: Vec<String>) -> ResponderConfig {
        ResponderConfig {
            domains: domains.iter().map(|domain| prepared(domain)).collect(),
            pre_auth_limits: Limits::PRE_AUTH,
            limits: Limits::CLIENT,
            idle_seconds: None,
            hashes: Hash::ALL.to_vec(),
            iterations: crate::sasl::DEFAULT_ITERATIONS,
            login_attempts: 3,
            registration: Registration::default(),
            features: Vec::new(),
            ack_request_every: 8,
        }
    }
}

/// Which stream features about registration are offered before the login.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Registration {
    /// XEP-0077 in-band registration.
    pub in_band: bool,
    /// XEP-0445: with an invite token.
    pub by_token: bool,
}

/// What the broker's end of a client stream reports.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ResponderEvent {
    /// Write what `poll_output` returns, start TLS on the connection, then call `handle_tls`.
    StartTls,
    /// **Question:** who is this? Answer with `provide_credentials`, at once or later.
    Authenticate {
        /// The localpart as the client wrote it, not yet prepared. The domain is `Responder::domain`.
        username: String,
        /// What it logs in with.
        mechanism: Mechanism,
    },
    /// The client has proved that it knows the password.
    Authenticated {
        /// The localpart as the client wrote it.
        username: String,
        /// The key that only this login reveals.
        client_key: ClientKey,
    },
    /// A login failed; the client was told. The stream goes on until `login_attempts` are used up.
    LoginFailed {
        /// The localpart, where the exchange got that far.
        username: Option<String>,
        /// What the client was told.
        condition: SaslCondition,
    },
    /// **Question:** an IQ about registration, before the login. Answer with `send_element`.
    PreAuthIq(Element),
    /// **Question:** which resource? Answer with `bound` or `bind_refused`.
    Bind {
        /// What the client asks for, not yet prepared.
        resource: Option<String>,
    },
    /// Acknowledgements are on (XEP-0198).
    AcksEnabled,
    /// A stanza from the client. Its `from` is absent or true. Say `handled` once responsibility for it is taken, also
    /// where that means to refuse or to drop it: the client's question about it is answered only then.
    Stanza(Frame),
    /// The stream is over. Write what `poll_output` returns and close the connection.
    Ended(Ending),
}

/// What a client stream is for.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// Log in with an account.
    Login {
        /// The localpart.
        username: String,
        /// The password, or keys kept from an earlier login.
        credential: Credential,
    },
    /// Wait after the features, so that the caller can register; then `login` on the same stream.
    Register,
}

/// The settings of one client stream at the client's end.
#[derive(Debug, Clone)]
pub struct InitiatorConfig {
    /// The server's domain, which is not the host that was dialled.
    pub domain: String,
    /// What the stream is for.
    pub purpose: Purpose,
    /// The resource to ask for; the server chooses where absent.
    pub resource: Option<String>,
    /// Whether acknowledgements (XEP-0198) are switched on where the server has them, as they should.
    pub use_acks: bool,
    /// What is known and allowed for the choice of a mechanism.
    pub policy: Policy,
    /// Bounds on what the server may send.
    pub limits: Limits,
}

impl InitiatorConfig {
    /// The defaults for a domain.
    #[must_use]
    pub fn new(domain: impl Into<String>, purpose: Purpose) -> InitiatorConfig {
        InitiatorConfig {
            domain: prepared(&domain.into()),
            purpose,
            resource: None,
            use_acks: true,
            policy: Policy::default(),
            limits: Limits::OWN_SERVER,
        }
    }
}

/// What the client's end of a client stream reports.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum InitiatorEvent {
    /// Write what `poll_output` returns, start TLS on the connection, then call `handle_tls`.
    StartTls,
    /// The server's features before the login are here (`Initiator::features`): register now, then call `login`. Only
    /// with [`Purpose::Register`].
    ReadyToRegister,
    /// The answer to an IQ that was sent before the login.
    PreAuthIq(Element),
    /// The login is done and the server has proved itself. The keys may be kept instead of the password.
    Authenticated {
        /// What the password gives with this server's salt.
        keys: ScramKeys,
        /// The form of the password that the server took: the one to try first from now on.
        form: PasswordForm,
    },
    /// The login failed. Where the server refused, `login` may be called again; else the stream is ending.
    LoginFailed(LoginError),
    /// The server did not give a resource. The stream is closing.
    BindFailed(Option<StanzaError>),
    /// Stanzas may be sent.
    Ready {
        /// The full address that was bound.
        jid: Jid,
        /// Whether the server acknowledges stanzas (XEP-0198); if not, the caller asks by XEP-0199.
        acks: bool,
    },
    /// The server has taken responsibility for these stanzas, oldest first: the ids given to `send`.
    Acknowledged(Vec<u64>),
    /// A stanza from the server. Say `handled` once it is safe, also where that means to drop it.
    Stanza(Frame),
    /// The stream is over. Write what `poll_output` returns and close the connection.
    Ended(Ending),
}

/// Why a client could not log in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginError {
    /// No safe mechanism.
    Select(SelectError),
    /// Something in the exchange was wrong at our end's judgement: the server is not trusted with a proof.
    Exchange(ExchangeError),
    /// The server refused.
    Refused {
        /// Its reason.
        condition: SaslCondition,
        /// Its words, where it gave some; untrusted.
        text: Option<String>,
    },
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoginError::Select(error) => error.fmt(f),
            LoginError::Exchange(error) => error.fmt(f),
            LoginError::Refused { condition, .. } => write!(f, "the server refused the login: {}", condition.name()),
        }
    }
}

impl std::error::Error for LoginError {}
