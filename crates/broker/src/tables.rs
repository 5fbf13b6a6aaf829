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
/// Messages for people who are away. Ordered rows under a key per day, numbered far apart so that one that was lost on
/// its way can be put between: [`OfflineRow`].
pub const OFFLINE: Table = Table::new("offline");
/// How full each offline queue is. Point rows, named `quota` for all of it, `sender ADDRESS` and `domain NAME` for what
/// one sender or another server has in it: [`OfflineQuotaRow`].
pub const OFFLINE_QUOTA: Table = Table::new("offline-quota");
/// Servers known by configuration, and brokers that people have introduced by links. Point rows of the owner `peers`, named by domain: [`PeerRow`].
pub const PEERS: Table = Table::new("peers");

/// Invitations. Point rows of the owner `invites`, named by token: [`InviteRow`].
pub const INVITES: Table = Table::new("invites");
/// Who has come by an invitation of the operator, as long as it would have been good. Point rows of the owner `invites`,
/// named by the bare address of the new account: [`UsedInviteRow`].
pub const INVITES_USED: Table = Table::new("invites-used");
/// How many invitations an account has made today. Point rows, named `quota`: [`DayQuotaRow`].
pub const INVITE_QUOTA: Table = Table::new("invite-quota");
/// Names that an invitation keeps for somebody. Point rows of the owner `names`, named by bare address: [`ReservedRow`].
pub const RESERVED: Table = Table::new("reserved");
/// Nodes of personal services. Point rows, named by node: [`NodeRow`].
pub const PEP_NODES: Table = Table::new("pep-nodes");
/// Items of a node. Point rows of the owner "account NUL node", named by the id of the item: [`ItemRow`].
pub const PEP_ITEMS: Table = Table::new("pep-items");
/// The order of a node's items. Ordered rows of the owner "account NUL node": [`ItemOrderRow`].
pub const PEP_ORDER: Table = Table::new("pep-order");
/// How much an account has published. Point rows, named `whole`, and "node NUL name" for each node: [`PepUsageRow`].
pub const PEP_USAGE: Table = Table::new("pep-usage");
/// Uploaded files. Point rows of the owner `uploads`, named by the random name of the file: [`UploadRow`].
pub const UPLOADS: Table = Table::new("uploads");
/// Which files an account has uploaded. Point rows, named by the random name of the file: [`UploadOfRow`].
pub const UPLOADS_OF: Table = Table::new("uploads-of");
/// Content of uploaded files. Ordered rows of the owner "random name of the file", under a key per day: bytes.
pub const UPLOAD_CHUNKS: Table = Table::new("upload-chunks");
/// How much an account has uploaded today. Point rows, named `quota`: [`DayQuotaRow`].
pub const UPLOAD_QUOTA: Table = Table::new("upload-quota");

/// The owner of the rows of [`INVITES`] and [`INVITES_USED`].
pub const INVITES_OWNER: &[u8] = b"invites";
/// The owner of the rows of [`RESERVED`].
pub const RESERVED_OWNER: &[u8] = b"names";
/// The owner of the rows of [`UPLOADS`].
pub const UPLOADS_OWNER: &[u8] = b"uploads";
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
    // 4 was the month of the last use, which is nobody's business
    /// The account was closed: nobody signs in, and the name is never given out again.
    #[prost(bool, tag = "5")]
    pub closed: bool,
    /// It was closed, and not everything that it leaves behind is gone yet.
    #[prost(bool, tag = "6")]
    pub leaving: bool,
}

/// What checks a password, for one hash (RFC 5802 §3), in each form that it has: rows of before there were two have
/// OpaqueString's alone.
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
    /// As `stored_key`, for OpaqueString where that differs from SASLprep.
    #[prost(bytes = "vec", optional, tag = "6")]
    pub other_stored_key: Option<Vec<u8>>,
    /// As `server_key`, for OpaqueString where that differs from SASLprep.
    #[prost(bytes = "vec", optional, tag = "7")]
    pub other_server_key: Option<Vec<u8>>,
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

/// How full an offline queue is, or by whom.
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
    /// The accounts whose links have made it known; none where the operator has.
    #[prost(string, repeated, tag = "4")]
    pub introduced_by: Vec<String>,
}

/// An invitation.
#[derive(Clone, PartialEq, Message)]
pub struct InviteRow {
    /// The token that stands in the link.
    #[prost(string, tag = "1")]
    pub token: String,
    /// The account that invites; the operator where there is none.
    #[prost(string, optional, tag = "2")]
    pub inviter: Option<String>,
    /// Whether the token makes an account.
    #[prost(bool, tag = "3")]
    pub may_register: bool,
    /// The bare address that is kept for who comes.
    #[prost(string, optional, tag = "4")]
    pub jid: Option<String>,
    /// Whether inviter and invited get into each other's contact lists, with presence.
    #[prost(bool, tag = "5")]
    pub subscribes: bool,
    /// When it ends, in milliseconds since the Unix epoch.
    #[prost(int64, tag = "6")]
    pub expires_at: i64,
    /// The invitation is to the inviter's contact list, and only besides to an account.
    #[prost(bool, tag = "7")]
    pub is_contact: bool,
    /// How often it was told that a name is taken.
    #[prost(uint32, tag = "8")]
    pub questions: u32,
}

/// An invitation of the operator that somebody has used.
#[derive(Clone, PartialEq, Message)]
pub struct UsedInviteRow {
    /// The beginning of its token, by which the operator knows it; the rest is gone.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The bare address of the account that was made with it.
    #[prost(string, tag = "2")]
    pub account: String,
    /// When the invitation would have ended, in milliseconds since the Unix epoch; the row ends with it.
    #[prost(int64, tag = "3")]
    pub expires_at: i64,
}

/// What was used up on one day.
#[derive(Clone, PartialEq, Message)]
pub struct DayQuotaRow {
    /// The UTC day since the Unix epoch.
    #[prost(int64, tag = "1")]
    pub day: i64,
    /// How much.
    #[prost(uint64, tag = "2")]
    pub used: u64,
}

/// A name that an invitation keeps.
#[derive(Clone, PartialEq, Message)]
pub struct ReservedRow {
    /// The token of the invitation.
    #[prost(string, tag = "1")]
    pub token: String,
    /// When it ends, in milliseconds since the Unix epoch.
    #[prost(int64, tag = "2")]
    pub expires_at: i64,
}

/// A node of a personal service.
#[derive(Clone, PartialEq, Message)]
pub struct NodeRow {
    /// Its name.
    #[prost(string, tag = "1")]
    pub node: String,
    /// Its settings, as the form in which they travel (XEP-0060 §8.2).
    #[prost(string, tag = "2")]
    pub config: String,
    /// Ids of its items, oldest first. Of first light: since the second schema they are in [`PEP_ORDER`].
    #[prost(string, repeated, tag = "3")]
    pub ids: Vec<String>,
    /// Addresses that get notifications because they asked.
    #[prost(string, repeated, tag = "4")]
    pub subscribers: Vec<String>,
    /// Bare addresses that may read a node with a white list.
    #[prost(string, repeated, tag = "5")]
    pub members: Vec<String>,
    /// Bare addresses that may not read at all.
    #[prost(string, repeated, tag = "6")]
    pub outcasts: Vec<String>,
}

/// An item of a node.
#[derive(Clone, PartialEq, Message)]
pub struct ItemRow {
    /// Its id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// What was published, as XML.
    #[prost(string, tag = "2")]
    pub payload: String,
    /// When it was published, in milliseconds since the Unix epoch.
    #[prost(int64, tag = "3")]
    pub at: i64,
    /// The number of its row in [`PEP_ORDER`]; 0 where only that row knows.
    #[prost(uint64, tag = "4")]
    pub seq: u64,
}

/// The place of an item among those of its node.
#[derive(Clone, PartialEq, Message)]
pub struct ItemOrderRow {
    /// Its id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// What it counts for, in bytes.
    #[prost(uint64, tag = "2")]
    pub bytes: u64,
}

/// How much was published.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct PepUsageRow {
    /// Items.
    #[prost(uint64, tag = "1")]
    pub items: u64,
    /// What they count for, in bytes.
    #[prost(uint64, tag = "2")]
    pub bytes: u64,
}

/// An uploaded file, or the place for one.
#[derive(Clone, PartialEq, Message)]
pub struct UploadRow {
    /// Its random name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Who asked for the place.
    #[prost(string, tag = "2")]
    pub account: String,
    /// Its exact size.
    #[prost(uint64, tag = "3")]
    pub size_bytes: u64,
    /// It is there; before that, there is only a place for it.
    #[prost(bool, tag = "4")]
    pub complete: bool,
    /// When it ends, in milliseconds since the Unix epoch.
    #[prost(int64, tag = "5")]
    pub expires_at: i64,
    /// The media type that was asked for, while the file is not there.
    #[prost(string, optional, tag = "6")]
    pub content_type: Option<String>,
}

/// Which file an account has uploaded.
#[derive(Clone, PartialEq, Message)]
pub struct UploadOfRow {
    /// Its random name.
    #[prost(string, tag = "1")]
    pub name: String,
}
