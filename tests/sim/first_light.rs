//! Stores that the first version wrote, opened by this one: `tests/fixtures/first-light/README.md` says what is in them.
//!
//! A change of rows that forgets old stores fails here. The fixtures are never made anew: nobody has that version any more
//! but those who have such stores.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use broker::tables;
use client::command::InboxSide;
use client::event::{Content, Direction, FileState, MessageState, PersonTrust, Relation};
use client::{Command, Reply};
use crypto::random::SeededRandom;
use prost::Message as _;
use store::backend::memory::MemoryBackend;
use store::backend::sqlite::SqliteBackend;
use store::backend::{Backend as _, Batch, Change, KeyRange};
use store::{FIRST_SCHEMA, Store, Table, block_on};
use xmpp::time::Timestamp;

use crate::world::{Disk, World};

/// The domain of the broker.
pub(crate) const DOMAIN: &str = "old.example";
/// Where it was.
pub(crate) const HOST: &str = "127.0.0.1";
/// The hash of its key, as it stands in links.
pub(crate) const PIN: [u8; 32] = [
    56, 83, 1, 88, 60, 173, 154, 38, 67, 161, 42, 218, 7, 228, 179, 71, 168, 17, 57, 149, 180, 63, 3, 226, 15, 255, 0,
    156, 106, 101, 189, 137,
];
/// An hour after the stores were written.
const AFTERWARDS: Timestamp = Timestamp::from_millis(1_795_936_000_000);

/// A copy of a fixture, as the program that opens it has it.
struct Copy(PathBuf);

impl Copy {
    fn of(name: &str) -> Self {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/first-light").join(name);
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let to = std::env::temp_dir().join(format!("waxwing-first-light-{}-{number}", std::process::id()));
        for part in ["data", "keys"] {
            fs::create_dir_all(to.join(part)).expect("a temporary directory");
        }
        for entry in fs::read_dir(from).expect("the fixtures are there") {
            let path = entry.expect("readable").path();
            let is_key = path.extension().is_some_and(|ending| ending == "cbor");
            let copy = to.join(if is_key { "keys/wxkeys.cbor" } else { "data/store.sqlite" });
            fs::copy(&path, &copy).expect("copied");
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).expect("ours");
        }
        Self(to)
    }

    /// Reads key file and database as the programs do; the rows go to a disk of the made-up world.
    fn open(&self) -> Disk {
        let data = self.0.join("data");
        let key_file = store::keys::read(&self.0.join("keys/wxkeys.cbor"), &data).expect("the key file is understood");
        let database = SqliteBackend::open(&data.join("store.sqlite")).expect("the database is understood");
        let found = block_on(database.scan(KeyRange::all(), u32::MAX)).expect("read");
        let rows = MemoryBackend::new();
        let changes = found.into_iter().map(Change::Put).collect();
        block_on(rows.commit(Batch { changes, ..Batch::default() })).expect("an empty disk takes rows");
        Disk { rows, key_file }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn broker_store(disk: &Disk) -> Store {
    let master = disk.key_file.open_unattended().expect("the key is not wrapped");
    let random = Arc::new(SeededRandom::new(7));
    let opening = Store::open(Arc::new(disk.rows.clone()), master, disk.key_file.instance, random);
    block_on(opening).expect("the store opens")
}

fn rows<R: prost::Message + Default>(store: &Store, table: Table, owner: &str) -> Vec<R> {
    let rows = block_on(store.list(table, owner.as_bytes())).expect("every row opens");
    rows.iter().map(|(_, value)| R::decode(&**value).expect("every row is understood")).collect()
}

#[test]
fn every_row_of_a_first_light_broker_is_read() {
    let copy = Copy::of("broker");
    let store = broker_store(&copy.open());
    assert_eq!(block_on(store.schema()), Ok(FIRST_SCHEMA));
    block_on(broker::migrate(&store)).expect("migrated");

    let mut accounts: Vec<tables::AccountRow> = rows(&store, tables::ACCOUNTS, "accounts");
    accounts.sort_by(|a, b| a.jid.cmp(&b.jid));
    let known: Vec<_> = accounts.iter().map(|row| (row.jid.as_str(), row.closed)).collect();
    assert_eq!(known, [("alice@old.example", false), ("bob@old.example", false), ("dora@old.example", true)]);
    let alice = &accounts[0];
    assert!(alice.verifiers.len() == 2 && alice.verifiers.iter().all(|verifier| verifier.iterations == 4096));

    let mut roster: Vec<tables::RosterRow> = rows(&store, tables::ROSTER, "alice@old.example");
    roster.sort_by(|a, b| a.jid.cmp(&b.jid));
    let contacts: Vec<_> = roster.iter().map(|row| (row.jid.as_str(), row.to, row.from, row.groups.len())).collect();
    assert_eq!(contacts, [("bob@old.example", true, true, 0), ("carol@far.example", false, false, 1)]);
    assert_eq!(rows::<tables::PeerRow>(&store, tables::PEERS, "peers")[0].domain, "far.example");
    let invites = rows::<tables::InviteRow>(&store, tables::INVITES, "invites");
    assert!(invites.iter().any(|row| row.inviter.as_deref() == Some("bob@old.example")));
    assert!(invites.iter().any(|row| row.inviter.as_deref() == Some("alice@old.example")));
    let uploads = rows::<tables::UploadRow>(&store, tables::UPLOADS, "uploads");
    assert_eq!(uploads.len(), 2);
    for upload in &uploads {
        assert!(upload.complete);
        let owner = upload.name.as_bytes();
        let chunks = block_on(store.scan_seq(tables::UPLOAD_CHUNKS, owner, .., store::Direction::Forward, 9));
        let bytes: usize = chunks.expect("opens").iter().map(|(_, value)| value.len()).sum();
        assert_eq!(bytes as u64, upload.size_bytes);
    }
    for account in ["alice@old.example", "bob@old.example"] {
        let nodes = rows::<tables::NodeRow>(&store, tables::PEP_NODES, account);
        assert!(nodes.len() >= 4, "bundles and lists of two versions: {}", nodes.len());
        for node in nodes {
            let items = rows::<tables::ItemRow>(&store, tables::PEP_ITEMS, &format!("{account}\0{}", node.node));
            let owner = format!("{account}\0{}", node.node);
            let order = store.scan_seq(tables::PEP_ORDER, owner.as_bytes(), .., store::Direction::Forward, 999);
            let order = block_on(order).expect("opens");
            assert!(node.ids.is_empty() && !items.is_empty(), "their order is in rows of its own");
            assert_eq!(items.len(), order.len());
        }
        assert_eq!(rows::<tables::UploadOfRow>(&store, tables::UPLOADS_OF, account).len(), 1);
        assert!(rows::<tables::DayQuotaRow>(&store, tables::INVITE_QUOTA, account)[0].used >= 1);
    }
    let waiting =
        block_on(store.scan_seq(tables::OFFLINE, b"bob@old.example", .., store::Direction::Forward, 99)).expect("read");
    let waiting: Vec<_> =
        waiting.iter().map(|(_, value)| tables::OfflineRow::decode(&**value).expect("read")).collect();
    assert_eq!(waiting.iter().filter(|row| String::from_utf8_lossy(&row.stanza).contains("<message")).count(), 4);
}

/// Bob's client and his broker, both from first light: he signs in with the password that he had, reads what had waited
/// for him on the sessions that he had, and what he had written goes out.
#[test]
fn a_first_light_client_goes_on_where_it_was() {
    let (broker, client) = (Copy::of("broker"), Copy::of("client"));
    let mut world = World::on_disk(9, DOMAIN, AFTERWARDS, broker.open());
    let bob = world.person_on_disk(client.open());

    let carol = world.contact(bob, "carol@far.example").expect("a contact of another broker");
    assert_eq!((carol.relation, carol.name.as_str()), (Relation::Accepted, "carol"));
    let alice = world.contact(bob, "alice@old.example").expect("a contact");
    assert_eq!((alice.relation, alice.name.as_str()), (Relation::Accepted, "Alice A."));
    assert_eq!(alice.trust, PersonTrust::Verified);
    let eve = world.contact(bob, "eve@far.example").expect("a request");
    assert_eq!(eve.relation, Relation::Request);
    assert_eq!(world.contact(bob, "frank@far.example").expect("somebody blocked").relation, Relation::Blocked);
    assert_eq!(world.texts(bob, InboxSide::Requests), ["You do not know me"]);

    world.settle();
    let had = ["Hello Bob", "file pic.bin", "Hello from afar", "answer 0", "answer 1", "answer 2"];
    let waited = ["while you were away 1", "while you were away 2", "while you were away 3"];
    let texts = world.received(bob);
    for text in had.iter().chain(&waited).chain(&["from afar, while you were away"]) {
        assert_eq!(texts.iter().filter(|shown| *shown == text).count(), 1, "{text}: {texts:?}");
    }
    world.advance(Duration::from_secs(300));
    let Ok(Reply::Messages(history)) =
        world.command_only(bob, Command::History { who: "alice@old.example".to_owned(), before: None, limit: 99 })
    else {
        panic!("messages")
    };
    let state = |wanted: &str| {
        let found = history.iter().find(|message| matches!(&message.content, Content::Text(text) if text == wanted));
        found.map(|message| message.state.clone())
    };
    for text in ["Hello Alice", "turn 2", "sealed and on its way", "waits to be sealed"] {
        assert_eq!(state(text), Some(MessageState::AtBroker), "{text}");
    }
    let files: Vec<_> = history
        .iter()
        .filter_map(|message| match &message.content {
            Content::File(file) => Some((message.direction, file.state.clone(), message.state.clone())),
            _ => None,
        })
        .collect();
    let sent = (Direction::Outgoing, FileState::Complete, MessageState::AtBroker);
    assert_eq!(files, [(Direction::Incoming, FileState::Complete, MessageState::Received), sent.clone(), sent]);
}

/// A program that is older than the store says so, and touches nothing.
#[test]
fn a_store_of_a_newer_version_is_refused_in_words() {
    let copy = Copy::of("client");
    let disk = copy.open();
    let store = broker_store(&disk);
    let later = store::Migration { number: 1000, name: "of another century", run: |_| Box::pin(async { Ok(()) }) };
    block_on(store.migrate(&[later])).expect("migrated");
    let before = disk.rows.raw_rows();
    let refused = block_on(broker::migrate(&store)).expect_err("it is newer");
    assert_eq!(refused.what_to_do(), "Update this program, or use another data directory.");
    assert_eq!(disk.rows.raw_rows(), before);
}

/// First light kept the month in which an account was last used. It goes with the first start, not with the next write.
#[test]
fn accounts_lose_the_month_of_their_last_use() {
    #[derive(Clone, PartialEq, prost::Message)]
    struct OldAccount {
        #[prost(string, tag = "1")]
        jid: String,
        #[prost(uint32, tag = "3")]
        created_month: u32,
        #[prost(uint32, tag = "4")]
        used_month: u32,
    }
    let copy = Copy::of("broker");
    let store = broker_store(&copy.open());
    let accounts = || {
        let mut accounts: Vec<OldAccount> = rows(&store, tables::ACCOUNTS, "accounts");
        accounts.sort_by(|a, b| a.jid.cmp(&b.jid));
        accounts
    };
    let before = accounts();
    assert!(!before.is_empty() && before.iter().all(|account| account.used_month > 0));
    block_on(broker::migrate(&store)).expect("it is migrated");
    let after = accounts();
    let without = before.into_iter().map(|account| OldAccount { used_month: 0, ..account });
    assert_eq!(after, without.collect::<Vec<_>>(), "everything else stays");
}
