//! Everything that an engine remembers, one line per table. Every row names its account.
//!
//! An owner of rows is a list of names, joined by a byte that no address contains ([`owner`]). The store hides tables,
//! owners and names, and seals every value. Rows hold keys, passwords and words, so none of them can be printed.

use prost::Message;
use store::{Direction, Key, Store, StoreError, Table, Transaction};
use xmpp::jid::BareJid;

use crate::error::EngineError;

/// The account of this profile: one row.
pub(crate) const ACCOUNT: Table = Table::new("client.account");
/// The private keys of this device, by account.
pub(crate) const DEVICE: Table = Table::new("client.device");
/// Contacts, those who asked to be, and blocked ones, by account; named by address.
pub(crate) const CONTACT: Table = Table::new("client.contact");
/// When device lists were last seen, by account; named by address (the own one included).
pub(crate) const DEVICE_LIST: Table = Table::new("client.device_list");
/// The devices of a person, by account and person; named by device id.
pub(crate) const PEER_DEVICE: Table = Table::new("client.peer_device");
/// What the newest witness of this device says (security-design §3.5), by account.
pub(crate) const WITNESS: Table = Table::new("client.witness");
/// Sessions with the devices of a person, by account and person; named by version and device id.
pub(crate) const SESSION: Table = Table::new("client.session");
/// Messages in order, by account and contact.
pub(crate) const MESSAGE: Table = Table::new("client.message");
/// The place of each message by its id, by account and contact; also what tells a repeated message.
pub(crate) const MESSAGE_ID: Table = Table::new("client.message_id");
/// Messages that are not encrypted yet, in order, by account.
pub(crate) const WAITING: Table = Table::new("client.waiting");
/// Encrypted messages that the broker has not acknowledged, in order, by account.
pub(crate) const OUTBOX: Table = Table::new("client.outbox");
/// Invitations that this account made, by account; named by token.
pub(crate) const INVITE: Table = Table::new("client.invite");
/// Files that wait to be sent, in pieces, by account, contact and message.
pub(crate) const FILE_PIECE: Table = Table::new("client.file_piece");

/// What the user must know and has not seen yet, by account; named by kind and person.
pub(crate) const NOTICE: Table = Table::new("client.notice");

/// Words in somebody's name from a device that the user has not agreed to, in order, by account and person.
pub(crate) const HELD: Table = Table::new("client.held");
/// Files that the user wants and that are not here yet, by account; named by contact and message.
pub(crate) const FETCH: Table = Table::new("client.fetch");

/// People who may not see any more when the user is online, and whom the server has not told yet, by account; named by
/// address.
pub(crate) const WITHDRAWAL: Table = Table::new("client.withdrawal");

/// The tables of an account whose rows are named, and those whose rows are in order: what goes with the account. Beside them
/// are [`ACCOUNT`], and [`FILE_PIECE`], whose rows go with their messages.
pub(crate) const OF_ACCOUNT: &[Table] = &[DEVICE, CONTACT, DEVICE_LIST, WITNESS, INVITE, NOTICE, FETCH, WITHDRAWAL];
pub(crate) const OF_ACCOUNT_IN_ORDER: &[Table] = &[WAITING, OUTBOX];
/// The same of a person.
pub(crate) const OF_PERSON: &[Table] = &[PEER_DEVICE, SESSION, MESSAGE_ID];
pub(crate) const OF_PERSON_IN_ORDER: &[Table] = &[MESSAGE, HELD];

/// Joins the names of an owner of rows.
pub(crate) fn owner(account: &BareJid, parts: &[&str]) -> Vec<u8> {
    let mut joined = account.as_str().as_bytes().to_vec();
    for part in parts {
        joined.push(0); // no address and no id contains it
        joined.extend_from_slice(part.as_bytes());
    }
    joined
}

/// Reads a row.
pub(crate) async fn load<R: Message + Default>(store: &Store, key: &Key) -> Result<Option<R>, EngineError> {
    match store.get(key).await? {
        Some(value) => decode(&value).map(Some),
        None => Ok(None),
    }
}

/// Reads all rows of an owner.
pub(crate) async fn list<R: Message + Default>(
    store: &Store,
    table: Table,
    owner: &[u8],
) -> Result<Vec<R>, EngineError> {
    store.list(table, owner).await?.iter().map(|(_, value)| decode(value)).collect()
}

/// Reads what a value holds.
pub(crate) fn decode<R: Message + Default>(bytes: &[u8]) -> Result<R, EngineError> {
    R::decode(bytes).map_err(|_| EngineError::BadRow)
}

/// Writes a row in a transaction.
pub(crate) fn save<R: Message>(tx: &mut Transaction, key: &Key, row: &R) {
    tx.put(key, row.encode_to_vec());
}

/// Deletes all named rows of an owner in a transaction.
pub(crate) async fn delete_all(
    store: &Store,
    tx: &mut Transaction,
    table: Table,
    owner: &[u8],
) -> Result<(), StoreError> {
    for (row, _) in store.list(table, owner).await? {
        tx.delete_row(&row);
    }
    Ok(())
}

/// Deletes all ordered rows of an owner in a transaction.
pub(crate) async fn delete_seq(
    store: &Store,
    tx: &mut Transaction,
    table: Table,
    owner: &[u8],
) -> Result<(), StoreError> {
    for (seq, _) in store.scan_seq(table, owner, .., Direction::Forward, usize::MAX).await? {
        tx.delete(&table.seq(owner, seq));
    }
    Ok(())
}

/// Reads all ordered rows of an owner, first to last.
pub(crate) async fn list_seq<R: Message + Default>(
    store: &Store,
    table: Table,
    owner: &[u8],
) -> Result<Vec<(u64, R)>, EngineError> {
    let rows = store.scan_seq(table, owner, .., Direction::Forward, usize::MAX).await?;
    rows.iter().map(|(seq, value)| Ok((*seq, decode(value)?))).collect()
}

/// The account: where it is and how to sign in.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct AccountRow {
    /// The address; before registration has succeeded, the wished one.
    #[prost(string, tag = "1")]
    pub(crate) address: String,
    #[prost(string, tag = "2")]
    pub(crate) password: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) endpoints: Vec<EndpointRow>,
    /// SHA-256 of the server's public key, when a link named it.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(crate) pin: Option<Vec<u8>>,
    /// The token to register with; gone once the account exists.
    #[prost(string, optional, tag = "5")]
    pub(crate) register_token: Option<String>,
    /// Whether the server has the account, as far as is known.
    #[prost(bool, tag = "6")]
    pub(crate) registered: bool,
    /// Whoever invited, to be greeted after registration.
    #[prost(string, optional, tag = "7")]
    pub(crate) invited_by: Option<String>,
    /// The password that a change under way will set; either may be the valid one after a crash.
    #[prost(string, optional, tag = "8")]
    pub(crate) next_password: Option<String>,
    /// The resourcepart of this device: constant, so that a dead session of ours is replaced rather than doubled.
    #[prost(string, tag = "9")]
    pub(crate) resource: String,
    /// Whether a registration was sent whose answer is not known.
    #[prost(bool, tag = "10")]
    pub(crate) registration_sent: bool,
    /// Whether SCRAM has worked: from then on nothing else is believed.
    #[prost(bool, tag = "11")]
    pub(crate) scram_seen: bool,
    /// Whether the user has accepted to sign in without channel binding.
    #[prost(bool, tag = "12")]
    pub(crate) danger_no_binding: bool,
    /// Whether this program has made the account: then no other device was there before it.
    #[prost(bool, tag = "13")]
    pub(crate) made_here: bool,
    /// The server took the password in its OpaqueString form, so that one is tried first.
    #[prost(bool, tag = "14")]
    pub(crate) opaque_password: bool,
    /// Whether people may see that their messages arrived; absent until the user has said so or not.
    #[prost(bool, optional, tag = "15")]
    pub(crate) receipts: Option<bool>,
}

/// Where a server is.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct EndpointRow {
    #[prost(string, tag = "1")]
    pub(crate) host: String,
    #[prost(uint32, tag = "2")]
    pub(crate) port: u32,
}

/// The private keys of this device.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct DeviceRow {
    #[prost(string, tag = "1")]
    pub(crate) account: String,
    /// `crypto::omemo::Device` as bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) device: Vec<u8>,
    /// Whether the bundles at the server are older than this row.
    #[prost(bool, tag = "3")]
    pub(crate) publish_due: bool,
    /// Ids that this device had before, to be taken off the lists.
    #[prost(uint32, repeated, tag = "4")]
    pub(crate) retired_ids: Vec<u32>,
    /// When the server last confirmed the bundles.
    #[prost(int64, tag = "5")]
    pub(crate) published_ms: i64,
}

/// The newest witness of this device.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct WitnessRow {
    #[prost(string, tag = "1")]
    pub(crate) account: String,
    /// The generation that it tells, and what was drawn for it.
    #[prost(uint64, tag = "2")]
    pub(crate) generation: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) mark: Vec<u8>,
    /// As it is given to others.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) sealed: Vec<u8>,
    /// What the own server did with it: [`crate::command::WitnessState::code`].
    #[prost(uint32, tag = "5")]
    pub(crate) state: u32,
}

/// Somebody.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct ContactRow {
    #[prost(string, tag = "1")]
    pub(crate) account: String,
    #[prost(string, tag = "2")]
    pub(crate) address: String,
    #[prost(string, tag = "3")]
    pub(crate) name: String,
    #[prost(enumeration = "RelationCode", tag = "4")]
    pub(crate) relation: i32,
    #[prost(enumeration = "TrustCode", tag = "5")]
    pub(crate) trust: i32,
    /// The place up to which everything has been read.
    #[prost(uint64, tag = "6")]
    pub(crate) read_up_to: u64,
    #[prost(uint64, tag = "7")]
    pub(crate) unread_count: u64,
    /// Keys that a link promised, in Montgomery form; what is found must be among them.
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub(crate) promised_keys: Vec<Vec<u8>>,
    /// The token of their invitation, to travel inside the first encrypted message.
    #[prost(string, optional, tag = "9")]
    pub(crate) greet_token: Option<String>,
    #[prost(bool, tag = "10")]
    pub(crate) asks_presence: bool,
    /// Whether we asked to see their presence, because their nodes demand it (once only).
    #[prost(bool, tag = "11")]
    pub(crate) presence_asked: bool,
    /// Where their server is and how to know it, for files that lie there.
    #[prost(bytes = "vec", optional, tag = "12")]
    pub(crate) server_pin: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "13")]
    pub(crate) server_endpoints: Vec<EndpointRow>,
    /// Whether our own server has been told of theirs.
    #[prost(bool, tag = "28")]
    pub(crate) server_introduced: bool,
    /// The digits that the user was shown last, to be compared.
    #[prost(string, tag = "14")]
    pub(crate) number_shown: String,
    /// The stanza that carried `greet_token` away, and the token: if it comes back, the token goes with the next one.
    #[prost(string, tag = "15")]
    pub(crate) greeted_by: String,
    #[prost(string, optional, tag = "16")]
    pub(crate) greeted_token: Option<String>,
    /// What has been tried to deliver a greeting without words.
    #[prost(message, optional, tag = "17")]
    pub(crate) greeting_tries: Option<TriesRow>,
    /// Whether the user lets them see when they are online.
    #[prost(bool, tag = "23")]
    pub(crate) sees_presence: bool,
    /// Messages in their name that are held back, and how many were lost because there were too many.
    #[prost(uint64, tag = "18")]
    pub(crate) held_count: u64,
    #[prost(uint64, tag = "19")]
    pub(crate) held_lost_count: u64,
    /// Those of which the user has not been told yet, because their device is being looked up.
    #[prost(uint64, tag = "20")]
    pub(crate) held_untold_count: u64,
    /// When somebody who is no contact wrote first.
    #[prost(int64, tag = "21")]
    pub(crate) asked_ms: i64,
    /// Somebody who is no contact has written more than is kept of them.
    #[prost(bool, tag = "22")]
    pub(crate) more_not_kept: bool,
    /// The mark of the witness of ours that they were told last.
    #[prost(bytes = "vec", tag = "31")]
    pub(crate) witness_told: Vec<u8>,
    /// Whether they may see that their messages arrived; absent: as the account says.
    #[prost(bool, optional, tag = "32")]
    pub(crate) receipts: Option<bool>,
}

/// Somebody from whom the sight of the user's presence is taken back.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct WithdrawalRow {
    #[prost(string, tag = "1")]
    pub(crate) account: String,
    #[prost(string, tag = "2")]
    pub(crate) address: String,
}

/// When device lists were seen.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct DeviceListRow {
    #[prost(string, tag = "1")]
    pub(crate) account: String,
    #[prost(string, tag = "2")]
    pub(crate) address: String,
    #[prost(int64, tag = "3")]
    pub(crate) omemo2_seen_ms: i64,
    #[prost(int64, tag = "4")]
    pub(crate) legacy_seen_ms: i64,
    /// When the first of them was seen.
    #[prost(int64, tag = "5")]
    pub(crate) first_seen_ms: i64,
}

/// A device of somebody, or another one of the own account.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct PeerDeviceRow {
    #[prost(string, tag = "1")]
    pub(crate) account: String,
    #[prost(string, tag = "2")]
    pub(crate) address: String,
    #[prost(uint32, tag = "3")]
    pub(crate) id: u32,
    /// The pinned identity key in Montgomery form; empty while unknown.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) identity: Vec<u8>,
    #[prost(enumeration = "DeviceTrustCode", tag = "5")]
    pub(crate) trust: i32,
    #[prost(bool, tag = "6")]
    pub(crate) listed_omemo2: bool,
    #[prost(bool, tag = "7")]
    pub(crate) listed_legacy: bool,
    /// Whether OMEMO 2 was ever used with it: then nothing less is.
    #[prost(bool, tag = "8")]
    pub(crate) used_omemo2: bool,
    /// The day of the last self-made repair of the session.
    #[prost(int64, tag = "9")]
    pub(crate) repaired_day: i64,
    /// The Ed25519 form of the identity key, when it is known; links carry this form.
    #[prost(bytes = "vec", tag = "10")]
    pub(crate) identity_ed25519: Vec<u8>,
    /// Whether another key than the pinned one has shown up.
    #[prost(bool, tag = "11")]
    pub(crate) conflict: bool,
    /// Whether the user has agreed to this device of the own account: only then do our links vouch for it.
    #[prost(bool, tag = "12")]
    pub(crate) accepted: bool,
    /// When it was first heard of; 0 in rows that are older than this field.
    #[prost(int64, tag = "13")]
    pub(crate) first_seen_ms: i64,
    /// What a list calls it, and the signature over that, which is checked before it is shown.
    #[prost(string, tag = "14")]
    pub(crate) label: String,
    #[prost(bytes = "vec", tag = "15")]
    pub(crate) label_signature: Vec<u8>,
    /// Whether the user was asked about it and decides later.
    #[prost(bool, tag = "16")]
    pub(crate) put_off: bool,
    /// From which own lists it was taken after it was refused; once from each.
    #[prost(uint32, tag = "17")]
    pub(crate) unlisted: u32,
    /// Whether it came after the first sight of a person who was never compared, and nobody has confirmed it.
    #[prost(bool, tag = "18")]
    pub(crate) unconfirmed: bool,
    /// Whether it has shown itself as Waxwing's, by what only Waxwing puts into envelopes.
    #[prost(bool, tag = "19")]
    pub(crate) waxwing: bool,
    /// Whether it was left undecided when the user agreed to something else about the person: about it the user decides by
    /// itself, whatever the person becomes and whatever lists say.
    #[prost(bool, tag = "20")]
    pub(crate) by_itself: bool,
    /// The key that the user was shown last under this number; empty while none was.
    #[prost(bytes = "vec", tag = "21")]
    pub(crate) identity_shown: Vec<u8>,
    /// Whether a list has ever named it: only such ones of the own account are asked about, and others do not push them out.
    #[prost(bool, tag = "22")]
    pub(crate) was_listed: bool,
    /// The newest witness that it gave us to keep, and those before, oldest first, as long as they are to go back.
    #[prost(bytes = "vec", tag = "31")]
    pub(crate) witness: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "32")]
    pub(crate) witnesses_due: Vec<Vec<u8>>,
    /// Whether its session under OMEMO 2, and under the older encryption, is to be replaced: until the message that tells it
    /// so is in the outbox.
    #[prost(bool, tag = "33")]
    pub(crate) repair_omemo2_due: bool,
    #[prost(bool, tag = "34")]
    pub(crate) repair_legacy_due: bool,
}

/// The sessions with a device under one version.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct SessionRow {
    #[prost(string, tag = "1")]
    pub(crate) account: String,
    #[prost(string, tag = "2")]
    pub(crate) address: String,
    #[prost(uint32, tag = "3")]
    pub(crate) device: u32,
    /// `crypto::omemo::SessionSet` as bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) sessions: Vec<u8>,
}

/// A message.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct MessageRow {
    #[prost(string, tag = "1")]
    pub(crate) account: String,
    #[prost(string, tag = "2")]
    pub(crate) contact: String,
    #[prost(uint64, tag = "3")]
    pub(crate) seq: u64,
    #[prost(string, tag = "4")]
    pub(crate) id: String,
    #[prost(bool, tag = "5")]
    pub(crate) outgoing: bool,
    #[prost(int64, tag = "6")]
    pub(crate) written_ms: i64,
    #[prost(int64, tag = "7")]
    pub(crate) saved_ms: i64,
    #[prost(enumeration = "StateCode", tag = "8")]
    pub(crate) state: i32,
    /// [`crate::error::Failure::code`] when undeliverable, else 0.
    #[prost(uint32, tag = "9")]
    pub(crate) failure: u32,
    #[prost(bool, tag = "10")]
    pub(crate) verified: bool,
    #[prost(string, tag = "11")]
    pub(crate) text: String,
    #[prost(message, optional, tag = "12")]
    pub(crate) file: Option<FileRow>,
    /// Of one that we send.
    #[prost(message, optional, tag = "13")]
    pub(crate) tries: Option<TriesRow>,
    /// Written by an app that came later and that nobody has compared.
    #[prost(bool, tag = "14")]
    pub(crate) unconfirmed: bool,
    /// Encrypted in the older way for one device at least.
    #[prost(bool, tag = "20")]
    pub(crate) legacy: bool,
}

/// What has been tried to deliver something.
#[derive(Clone, Copy, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct TriesRow {
    /// When the first try was; 0 before it.
    #[prost(int64, tag = "1")]
    pub(crate) first_ms: i64,
    /// How many have failed.
    #[prost(uint32, tag = "2")]
    pub(crate) count: u32,
    /// [`crate::error::Failure::code`] of the last one, else 0.
    #[prost(uint32, tag = "3")]
    pub(crate) failure: u32,
    /// When the next one is due while the program runs.
    #[prost(int64, tag = "4")]
    pub(crate) next_ms: i64,
}

/// Words that are held back.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct HeldRow {
    #[prost(string, tag = "1")]
    pub(crate) account: String,
    #[prost(string, tag = "2")]
    pub(crate) address: String,
    /// The device that said them.
    #[prost(uint32, tag = "3")]
    pub(crate) device: u32,
    /// As it will be shown; it gets its place in the conversation then.
    #[prost(message, optional, tag = "4")]
    pub(crate) message: Option<MessageRow>,
}

/// The file of a message.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct FileRow {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) size_bytes: Option<u64>,
    #[prost(string, optional, tag = "3")]
    pub(crate) media_type: Option<String>,
    #[prost(enumeration = "FileCode", tag = "4")]
    pub(crate) state: i32,
    /// [`crate::error::Failure::code`] when failed, else 0.
    #[prost(uint32, tag = "5")]
    pub(crate) failure: u32,
    /// The offer: the element that describes and locates the file (XEP-0447), or an `aesgcm:` link. Empty before upload.
    #[prost(string, tag = "6")]
    pub(crate) offer: String,
    /// Of a file that we send: the `aesgcm:` link for legacy devices.
    #[prost(string, tag = "7")]
    pub(crate) link: String,
    /// Of a file that we fetch.
    #[prost(message, optional, tag = "8")]
    pub(crate) tries: Option<TriesRow>,
    /// Of a file that we send: the link goes into the envelope too, for apps that know no offers.
    #[prost(bool, tag = "9")]
    pub(crate) with_link: bool,
}

/// A file that the user wants and that is not here yet.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct FetchRow {
    #[prost(string, tag = "1")]
    pub(crate) account: String,
    #[prost(string, tag = "2")]
    pub(crate) contact: String,
    #[prost(string, tag = "3")]
    pub(crate) message: String,
}

/// Where a message is: found by its id.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct MessageIdRow {
    #[prost(string, tag = "1")]
    pub(crate) account: String,
    #[prost(uint64, tag = "2")]
    pub(crate) seq: u64,
}

/// Something to encrypt and send.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct WaitingRow {
    #[prost(string, tag = "1")]
    pub(crate) account: String,
    #[prost(string, tag = "2")]
    pub(crate) contact: String,
    /// Its place in the conversation; 0 for a greeting, which is not shown.
    #[prost(uint64, tag = "3")]
    pub(crate) message_seq: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) seq: u64,
    /// The id of the stanza.
    #[prost(string, tag = "5")]
    pub(crate) id: String,
}

/// A stanza that is out, or ready to go.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct OutboxRow {
    #[prost(string, tag = "1")]
    pub(crate) account: String,
    #[prost(uint64, tag = "2")]
    pub(crate) seq: u64,
    /// The contact; empty for what is in no conversation.
    #[prost(string, tag = "3")]
    pub(crate) contact: String,
    /// The stanza's id, which is also its origin-id.
    #[prost(string, tag = "4")]
    pub(crate) id: String,
    /// The stanza as XML: always the same bytes, however often it is sent.
    #[prost(string, tag = "5")]
    pub(crate) stanza: String,
    /// How many connections the server has ended over this one, or over one that was sent with it.
    #[prost(uint32, tag = "6")]
    pub(crate) refused_count: u32,
}

/// An invitation of ours.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct InviteRow {
    #[prost(string, tag = "1")]
    pub(crate) account: String,
    #[prost(string, tag = "2")]
    pub(crate) token: String,
    #[prost(int64, tag = "3")]
    pub(crate) made_ms: i64,
    /// Who came by it.
    #[prost(string, optional, tag = "4")]
    pub(crate) used_by: Option<String>,
    /// The account that the server says was made with it.
    #[prost(string, optional, tag = "5")]
    pub(crate) joined_by: Option<String>,
}

/// Something that the user must know.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct NoticeRow {
    #[prost(string, tag = "1")]
    pub(crate) account: String,
    /// The number of its kind, see `notices`.
    #[prost(uint32, tag = "2")]
    pub(crate) kind: u32,
    /// Whom it is about; empty for the own account.
    #[prost(string, tag = "3")]
    pub(crate) contact: String,
    /// How often it has happened since it was last seen.
    #[prost(uint64, tag = "4")]
    pub(crate) count: u64,
    #[prost(int64, tag = "5")]
    pub(crate) first_ms: i64,
    #[prost(int64, tag = "6")]
    pub(crate) last_ms: i64,
    /// Another one each time it happens, growing: what has been seen is told apart from what has come since.
    #[prost(uint64, tag = "7")]
    pub(crate) id: u64,
}

/// Stored form of [`crate::event::Relation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum RelationCode {
    Request = 0,
    Accepted = 1,
    Blocked = 2,
}

/// Stored form of [`crate::event::PersonTrust`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum TrustCode {
    Tofu = 0,
    Verified = 1,
    Changed = 2,
    Tombstoned = 3,
}

/// Whether a device is encrypted to (security-design §2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum DeviceTrustCode {
    /// New device of a verified person: not encrypted to before the user agrees.
    Undecided = 0,
    /// Taken at face value.
    Tofu = 1,
    /// Its key was compared.
    Verified = 2,
    /// Refused by the user.
    Distrusted = 3,
}

/// Stored form of [`crate::event::MessageState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum StateCode {
    Waiting = 0,
    Queued = 1,
    AtBroker = 2,
    Undeliverable = 3,
    Received = 4,
    Delivered = 5,
}

/// Stored form of [`crate::event::FileState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum FileCode {
    Offered = 0,
    Moving = 1,
    Complete = 2,
    Failed = 3,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_table_is_forgotten_when_rows_are_deleted_by_account_or_person() {
        let lists = [OF_ACCOUNT, OF_ACCOUNT_IN_ORDER, OF_PERSON, OF_PERSON_IN_ORDER, &[ACCOUNT, FILE_PIECE]];
        let mut listed: Vec<String> = lists.concat().iter().map(|table| format!("{table:?}")).collect();
        listed.sort();
        listed.dedup();
        let source = include_str!("tables.rs");
        let made = source.lines().filter(|line| line.starts_with("pub(crate) const ") && line.contains(": Table ="));
        assert_eq!(listed.len(), made.count(), "{listed:?}");
    }
}
