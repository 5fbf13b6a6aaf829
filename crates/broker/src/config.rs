//! [`BrokerConfig`]: every setting of the broker, with the defaults of the security design.

use std::time::Duration;

use xmpp::stream::DomainCheck;
use xmpp::stream::c2s::Registration;
use xmpp::xml::{self, Element};

use crate::accounts::AccountSettings;
use crate::budget::BudgetSettings;
use crate::invites::InviteSettings;
use crate::pep::PepLimits;
use crate::rate::Rate;
use crate::upload::UploadSettings;

/// The settings of one broker, which serves one domain.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// The domain that accounts live under, in canonical form.
    pub domain: String,
    /// What is done with messages that are not end-to-end encrypted.
    pub policy: xep::policy::E2eePolicy,
    /// The iteration count of new SCRAM verifiers, and of the made-up ones for unknown names.
    pub scram_iterations: u32,
    /// The services on sub-domains that exist: their names in front of our domain, such as `upload`.
    pub services: Vec<String>,
    /// What somebody without an account is offered.
    pub registration: Registration,
    /// Who may have an account.
    pub accounts: AccountSettings,
    /// Invitations, and what links say of this broker.
    pub invites: InviteSettings,
    /// Files for people who are not there.
    pub upload: UploadSettings,
    /// Bounds of personal services.
    pub pep: PepLimits,
    /// Further stream features after the login, for example XEP-0115.
    pub stream_features: Vec<Element>,
    /// Bounds on everything that others can make us do or keep.
    pub limits: Limits,
    /// Servers that are reached without DNS and recognised by their key, set by `peer add`.
    pub peers: Vec<Peer>,
    /// Brokers that name themselves by their key may be introduced by people's links, if the operator's rules permit the
    /// domain; without it they may not.
    pub by_link: Option<DomainCheck>,
}

impl BrokerConfig {
    /// Makes the default settings of a domain.
    #[must_use]
    pub fn new(domain: impl Into<String>) -> Self {
        Self {
            domain: domain.into(),
            policy: xep::policy::E2eePolicy::default(),
            scram_iterations: 100_000,
            services: Vec::new(),
            registration: Registration { in_band: true, by_token: true },
            accounts: AccountSettings::default(),
            invites: InviteSettings::default(),
            upload: UploadSettings::default(),
            pep: PepLimits::default(),
            stream_features: Vec::new(),
            limits: Limits::default(),
            peers: Vec::new(),
            by_link: None,
        }
    }
}

/// A server known by configuration: where it listens and which key it shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its domain.
    pub domain: String,
    /// `host:port` for federation; DNS is asked when empty.
    pub addresses: Vec<String>,
    /// SHA-256 over its SubjectPublicKeyInfo; certificates are checked as usual when absent.
    pub pin: Option<[u8; 32]>,
    /// The accounts whose links have made it known; none where the operator has.
    pub introduced_by: Vec<String>,
}

impl Peer {
    /// Whether it is known by people's links, so that what is said of its place is a stranger's word.
    #[must_use]
    pub fn is_introduced(&self) -> bool {
        !self.introduced_by.is_empty()
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Peer(<redacted>)")
    }
}

/// Bounds on everything that others can make the broker do or keep.
///
/// Source: security-design §6.
#[derive(Debug, Clone)]
pub struct Limits {
    /// What all connections together may hold.
    pub whole: BudgetSettings,
    /// XML of a peer that has not proved who it is.
    pub pre_auth_xml: xml::Limits,
    /// XML of a client.
    pub client_xml: xml::Limits,
    /// XML of another server.
    pub server_xml: xml::Limits,
    /// Failed logins on one connection before it is closed.
    pub login_attempts: u8,
    /// How long a connection may take to sign in.
    pub pre_auth: Duration,
    /// Stanzas that the clients of one account may send together.
    pub client_stanzas: Rate,
    /// Bytes that the clients of one account may send together; before the login, one connection.
    pub client_bytes: Rate,
    /// Stanzas that one remote domain may send, over all its connections.
    pub server_stanzas: Rate,
    /// Divides the rates of a domain that was first heard of less than a day ago.
    pub new_domain_divisor: u32,
    /// Stanzas that wait for one session, unacknowledged ones included.
    pub session_queue_count: usize,
    /// Bytes that wait for one session, unacknowledged ones included.
    pub session_queue_bytes: usize,
    /// Sessions of one account.
    pub sessions_per_account: usize,
    /// Bytes of all contacts in one roster, and as many of requests that wait.
    pub roster_bytes: usize,
    /// Contacts in one roster.
    pub roster_items: usize,
    /// Bytes of offline messages of one account.
    pub offline_bytes: u64,
    /// One sender may fill so much of an offline queue: one over this.
    pub offline_sender_divisor: u32,
    /// All senders of another domain together may fill so much of an offline queue: one over this.
    pub offline_domain_divisor: u32,
    /// How long offline messages are kept.
    pub offline_age: Duration,
    /// Requests to subscribe, from people whom the account does not know, that are kept per account.
    pub pending_requests: usize,
    /// Such requests that an account gets in a minute; more are dropped.
    pub strangers_per_minute: u32,
    /// Bytes of one presence; a larger one is not passed on.
    pub presence_bytes: usize,
    /// Addresses that a session may send directed presence to.
    pub directed_presence: usize,
    /// How long a client may leave a request for acknowledgement unanswered before its connection counts as dead.
    pub ack_timeout: Duration,
    /// How long nothing may arrive from a client before it is asked whether it is there.
    pub client_idle: Duration,
    /// How long live messages may wait for their receiver's acknowledgement before they are written to disk, when the
    /// sender asks for his.
    pub settle_grace: Duration,
    /// How long live messages may wait for their receiver's acknowledgement where no disk can take them, before they go
    /// back to their sender.
    pub settle_max: Duration,
    /// How long a federation connection lives without traffic.
    pub server_idle: Duration,
    /// How long stanzas wait for a connection to another server.
    pub server_dial: Duration,
    /// Stanzas that wait for a connection to another server.
    pub server_queue_count: usize,
    /// Bytes that wait for a connection to another server.
    pub server_queue_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            whole: BudgetSettings::default(),
            pre_auth_xml: xml::Limits::PRE_AUTH,
            client_xml: xml::Limits::CLIENT,
            server_xml: xml::Limits::SERVER,
            login_attempts: 3,
            pre_auth: Duration::from_secs(30),
            client_stanzas: Rate { per_second: 30, burst: 300 },
            client_bytes: Rate { per_second: 256 * 1024, burst: 2 * 1024 * 1024 },
            server_stanzas: Rate { per_second: 100, burst: 1000 },
            new_domain_divisor: 10,
            session_queue_count: 500,
            session_queue_bytes: 4 * 1024 * 1024,
            sessions_per_account: 20,
            roster_bytes: 256 * 1024,
            roster_items: 2000,
            offline_bytes: 100 * 1024 * 1024,
            offline_sender_divisor: 8,
            offline_domain_divisor: 2,
            offline_age: Duration::from_secs(30 * 86_400),
            pending_requests: 100,
            strangers_per_minute: 5,
            presence_bytes: 8 * 1024,
            directed_presence: 1000,
            ack_timeout: Duration::from_secs(60),
            client_idle: Duration::from_secs(300),
            settle_grace: Duration::from_millis(50),
            settle_max: Duration::from_secs(20),
            server_idle: Duration::from_secs(600),
            server_dial: Duration::from_secs(60),
            server_queue_count: 1000,
            server_queue_bytes: 4 * 1024 * 1024,
        }
    }
}
