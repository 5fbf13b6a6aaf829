//! Everything that the broker remembers: one line per table, then what a row holds.
//!
//! Rows are sealed by the `store` crate: what is listed here is never in clear on a disk, nor are the names of tables
//! and owners. An owner is the bare address of an account unless the line says otherwise. Kept in memory only, and so
//! not here: addresses of connections, presence, who is online.

use prost::Message;
use store::Table;

/// Accounts. Point rows of the owner `accounts`, named by bare address: [`AccountRow`].
pub const ACCOUNTS: Table = Table::new("accounts");
/// Rosters. Point rows, named by the contact's bare address: [`RosterRow`].
pub const ROSTER: Table = Table::new("roster");
/// Messages for people who are away. Ordered rows under a key per day: [`OfflineRow`].
pub const OFFLINE: Table = Table::new("offline");
/// How full each offline queue is. Point rows, named `quota`: [`OfflineQuotaRow`].
pub const OFFLINE_QUOTA: Table = Table::new("offline-quota");
/// Servers known by configuration. Point rows of the owner `peers`, named by domain: [`PeerRow`].
pub const PEERS: Table = Table::new("peers");

/// The owner of the rows of [`ACCOUNTS`].
pub const ACCOUNTS_OWNER: &[u8] = b"accounts";
/// The owner of the rows of [`PEERS`].
pub const PEERS_OWNER: &[u8] = b"peers";

/// An account: how to check its password.
#[derive(Clone, PartialEq, Message)]
pub struct AccountRow {
    /// The bare address.
    #[prost(string, tag = "1")]
    pub jid: String,
    /// One verifier per hash.
    #[prost(message, repeated, tag = "2")]
    pub verifiers: Vec<VerifierRow>,
    /// Months since January 1970 in which the account was made; no finer on purpose.
    #[prost(uint32, tag = "3")]
    pub created_month: u32,
    /// Months since January 1970 in which the account was last used.
    #[prost(uint32, tag = "4")]
    pub used_month: u32,
    /// The account was closed: nobody signs in, and the name is never given out again.
    #[prost(bool, tag = "5")]
    pub closed: bool,
}

/// What checks a password, for one hash (RFC 5802 §3).
#[derive(Clone, PartialEq, Message)]
pub struct VerifierRow {
    /// The hash: 1 is SHA-1, 2 is SHA-256.
    #[prost(uint32, tag = "1")]
    pub hash: u32,
    /// How often the password was hashed.
    #[prost(uint32, tag = "2")]
    pub iterations: u32,
    /// The salt.
    #[prost(bytes = "vec", tag = "3")]
    pub salt: Vec<u8>,
    /// `H(ClientKey)`.
    #[prost(bytes = "vec", tag = "4")]
    pub stored_key: Vec<u8>,
    /// `HMAC(SaltedPassword, "Server Key")`.
    #[prost(bytes = "vec", tag = "5")]
    pub server_key: Vec<u8>,
}

/// A contact, as RFC 6121 §2.1.2 and Appendix A describe it.
#[derive(Clone, PartialEq, Message)]
pub struct RosterRow {
    /// The contact's bare address.
    #[prost(string, tag = "1")]
    pub jid: String,
    /// What the user calls the contact.
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    /// Groups.
    #[prost(string, repeated, tag = "3")]
    pub groups: Vec<String>,
    /// The user receives the contact's presence.
    #[prost(bool, tag = "4")]
    pub to: bool,
    /// The contact receives the user's presence.
    #[prost(bool, tag = "5")]
    pub from: bool,
    /// The user has asked for the contact's presence (`ask='subscribe'`).
    #[prost(bool, tag = "6")]
    pub pending_out: bool,
    /// The contact has asked for the user's presence: the request, as it is shown at the next sign-in.
    #[prost(bytes = "vec", optional, tag = "7")]
    pub pending_in: Option<Vec<u8>>,
    /// The user has allowed it in advance (RFC 6121 §3.4).
    #[prost(bool, tag = "8")]
    pub approved: bool,
    /// The user sees the row; a mere request from a stranger is not in the roster.
    #[prost(bool, tag = "9")]
    pub listed: bool,
}

/// A message for somebody who is away.
#[derive(Clone, PartialEq, Message)]
pub struct OfflineRow {
    /// The stanza for a client stream.
    #[prost(bytes = "vec", tag = "1")]
    pub stanza: Vec<u8>,
    /// When it came, in milliseconds since the Unix epoch.
    #[prost(int64, tag = "2")]
    pub at: i64,
}

/// How full an offline queue is.
#[derive(Clone, PartialEq, Message)]
pub struct OfflineQuotaRow {
    /// Bytes of the stanzas.
    #[prost(uint64, tag = "1")]
    pub bytes: u64,
}

/// A server known by configuration.
#[derive(Clone, PartialEq, Message)]
pub struct PeerRow {
    /// Its domain.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// `host:port` for federation.
    #[prost(string, repeated, tag = "2")]
    pub addresses: Vec<String>,
    /// SHA-256 over its SubjectPublicKeyInfo.
    #[prost(bytes = "vec", optional, tag = "3")]
    pub pin: Option<Vec<u8>>,
}
