use std::sync::Arc;

use crypto::Secret;
use crypto::random::SeededRandom;

use super::*;
use crate::backend::memory::Fault;
use crate::testing::{block_on, master, open, try_open};
use crate::{Day, Remedy};

const ROSTER: Table = Table::new("roster");
const OFFLINE: Table = Table::new("offline");

fn put(store: &Store, key: &Key, value: &[u8]) -> Result<(), StoreError> {
    let mut transaction = store.transaction();
    transaction.put(key, value);
    block_on(transaction.commit())
}

fn get(store: &Store, key: &Key) -> Option<Vec<u8>> {
    block_on(store.get(key)).unwrap().map(|value| value.to_vec())
}

fn numbers(store: &Store, owner: &[u8], range: impl RangeBounds<u64>, direction: Direction, limit: usize) -> Vec<u64> {
    let rows = block_on(store.scan_seq(OFFLINE, owner, range, direction, limit)).unwrap();
    rows.into_iter().map(|(seq, _)| seq).collect()
}

#[test]
fn rows_come_back_from_the_cache_and_from_the_backend() {
    let backend = MemoryBackend::new();
    let store = open(Arc::new(backend.clone()));
    let key = ROSTER.row(b"alice", b"bob");
    assert_eq!(get(&store, &key), None);
    put(&store, &key, b"friend").unwrap();
    assert_eq!(get(&store, &key).as_deref(), Some(&b"friend"[..]));
    // A row that is cached needs no backend.
    backend.cut_power();
    assert_eq!(get(&store, &key).as_deref(), Some(&b"friend"[..]));
    backend.restart();
    assert_eq!(get(&open(Arc::new(backend)), &key).as_deref(), Some(&b"friend"[..]));
}

#[test]
fn a_transaction_is_all_or_nothing() {
    let backend = MemoryBackend::new();
    let store = open(Arc::new(backend.clone()));
    let (a, b) = (ROSTER.row(b"alice", b"a"), ROSTER.row(b"alice", b"b"));
    put(&store, &a, b"old").unwrap();
    for fault in [Fault::DiskFull, Fault::ReadOnly] {
        backend.inject(fault);
        let mut transaction = store.transaction();
        transaction.put(&a, b"new");
        transaction.put(&b, b"new");
        let error = block_on(transaction.commit()).unwrap_err();
        assert_eq!(error.remedy(), Remedy::Later);
        assert_eq!((get(&store, &a), get(&store, &b)), (Some(b"old".to_vec()), None));
    }
    backend.inject(Fault::None);
    put(&store, &b, b"new").unwrap();
    assert_eq!(get(&store, &b), Some(b"new".to_vec()));
}

#[test]
fn a_decision_on_an_outdated_row_conflicts() {
    let store = open(Arc::new(MemoryBackend::new()));
    let key = ROSTER.row(b"alice", b"bob");
    let absent = block_on(store.get(&key)).unwrap();
    put(&store, &key, b"1").unwrap();
    let decide = |as_read: Option<&Value>| {
        let mut transaction = store.transaction();
        transaction.expect(&key, as_read);
        transaction.put(&key, b"decided");
        block_on(transaction.commit())
    };
    assert_eq!(decide(absent.as_ref()), Err(StoreError::Conflict));
    let first = block_on(store.get(&key)).unwrap();
    put(&store, &key, b"1").unwrap(); // the same value, and still another write
    assert_eq!(decide(first.as_ref()), Err(StoreError::Conflict));
    let second = block_on(store.get(&key)).unwrap();
    assert_eq!(decide(second.as_ref()), Ok(()));
    assert_eq!(get(&store, &key).as_deref(), Some(&b"decided"[..]));
}

#[test]
fn a_conflict_with_another_process_shows_the_new_row_at_the_next_read() {
    let backend = MemoryBackend::new();
    let (here, there) = (open(Arc::new(backend.clone())), open(Arc::new(backend)));
    let key = ROSTER.row(b"alice", b"bob");
    put(&here, &key, b"ours").unwrap();
    put(&there, &key, b"theirs").unwrap();
    let cached = block_on(here.get(&key)).unwrap();
    let mut transaction = here.transaction();
    transaction.expect(&key, cached.as_ref());
    transaction.put(&key, b"decided on ours");
    assert_eq!(block_on(transaction.commit()), Err(StoreError::Conflict));
    assert_eq!(get(&here, &key).as_deref(), Some(&b"theirs"[..]));
}

/// Through the cache, from many threads: no increment is decided upon an outdated row.
#[test]
fn concurrent_decisions_on_one_row_lose_nothing() {
    #[cfg(feature = "sqlite")]
    let directory = crate::testing::TempDirectory::new();
    let backends: Vec<Arc<dyn Backend>> = vec![
        Arc::new(MemoryBackend::new()),
        #[cfg(feature = "sqlite")]
        Arc::new(crate::backend::sqlite::SqliteBackend::open(&directory.join("store.db")).unwrap()),
    ];
    for backend in backends {
        let store = open(backend);
        let key = ROSTER.row(b"alice", b"n");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..25).for_each(|_| increment(&store, &key)));
            }
        });
        assert_eq!(get(&store, &key), Some(100u64.to_be_bytes().to_vec()));
    }
}

fn increment(store: &Store, key: &Key) {
    loop {
        let read = block_on(store.get(key)).unwrap();
        let number = read.as_deref().map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()));
        let mut transaction = store.transaction();
        transaction.expect(key, read.as_ref());
        transaction.put(key, (number + 1).to_be_bytes());
        match block_on(transaction.commit()) {
            Ok(()) => return,
            Err(error) => assert_eq!(error, StoreError::Conflict),
        }
    }
}

#[test]
fn lists_hold_the_rows_of_one_owner_and_can_be_deleted() {
    let store = open(Arc::new(MemoryBackend::new()));
    for number in 0..600u32 {
        put(&store, &ROSTER.row(b"alice", &number.to_be_bytes()), &number.to_be_bytes()).unwrap();
    }
    put(&store, &ROSTER.row(b"bob", b"x"), b"x").unwrap();
    put(&store, &ROSTER.seq(b"alice", 1), b"ordered").unwrap();
    let rows = block_on(store.list(ROSTER, b"alice")).unwrap();
    let mut values: Vec<_> = rows.iter().map(|(_, value)| value.to_vec()).collect();
    values.sort();
    assert_eq!(values, (0..600u32).map(|number| number.to_be_bytes().to_vec()).collect::<Vec<_>>());

    let mut transaction = store.transaction();
    rows.iter().for_each(|(row, value)| {
        transaction.expect_row(row, value);
        transaction.delete_row(row);
    });
    block_on(transaction.commit()).unwrap();
    assert!(block_on(store.list(ROSTER, b"alice")).unwrap().is_empty());
    assert_eq!(get(&store, &ROSTER.row(b"alice", &7u32.to_be_bytes())), None, "nor is it in the cache");
    assert_eq!(block_on(store.list(ROSTER, b"bob")).unwrap().len(), 1);
}

#[test]
fn ordered_rows_are_read_from_either_end() {
    let store = open(Arc::new(MemoryBackend::new()));
    let mut transaction = store.transaction();
    for seq in [5, 300, 1, 2, u64::MAX] {
        transaction.put(&OFFLINE.seq(b"alice", seq), b"v");
    }
    transaction.put(&OFFLINE.seq(b"bob", 3), b"v");
    block_on(transaction.commit()).unwrap();
    let read = |range: (Bound<u64>, Bound<u64>), direction, limit| numbers(&store, b"alice", range, direction, limit);
    let all = (Bound::Unbounded, Bound::Unbounded);
    assert_eq!(read(all, Direction::Forward, 10), [1, 2, 5, 300, u64::MAX]);
    assert_eq!(read(all, Direction::Backward, 2), [u64::MAX, 300]);
    assert_eq!(read(all, Direction::Forward, 0), []);
    assert_eq!(numbers(&store, b"alice", 2..300, Direction::Forward, 10), [2, 5]);
    assert_eq!(numbers(&store, b"alice", 2..=300, Direction::Backward, 10), [300, 5, 2]);
    assert_eq!(numbers(&store, b"alice", ..=u64::MAX, Direction::Backward, 1), [u64::MAX]);
    assert_eq!(read((Bound::Excluded(2), Bound::Unbounded), Direction::Forward, 1), [5]);
    assert_eq!(read((Bound::Excluded(u64::MAX), Bound::Unbounded), Direction::Forward, 1), []);
    assert_eq!(numbers(&store, b"carol", .., Direction::Forward, 10), []);
}

#[test]
fn counters_only_grow_across_crashes() {
    let backend = MemoryBackend::new();
    let mut last = 0;
    for _ in 0..3 {
        let store = open(Arc::new(backend.clone()));
        for _ in 0..100 {
            let next = block_on(store.next_seq(OFFLINE, b"alice")).unwrap();
            assert!(next > last, "{next} after {last}");
            last = next;
        }
        backend.cut_power();
        assert_eq!(
            (0..70).map(|_| block_on(store.next_seq(OFFLINE, b"alice"))).find_map(Result::err),
            Some(StoreError::Backend(BackendError::Closed)),
            "no number is given out that was not reserved"
        );
        backend.restart();
    }
    let store = open(Arc::new(backend));
    assert_eq!(block_on(store.next_seq(OFFLINE, b"bob")), Ok(1), "each owner has a counter");
    assert_eq!(block_on(store.next_seq(ROSTER, b"alice")), Ok(1), "in each table");
}

#[test]
fn two_processes_take_different_numbers() {
    let backend = MemoryBackend::new();
    let (here, there) = (open(Arc::new(backend.clone())), open(Arc::new(backend)));
    let mut taken: Vec<_> = (0..200)
        .map(|n| block_on(if n % 3 == 0 { &here } else { &there }.next_seq(OFFLINE, b"alice")).unwrap())
        .collect();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 200);
}

#[test]
fn the_wrong_key_is_said() {
    let backend = Arc::new(MemoryBackend::new());
    open(backend.clone());
    let other = MasterKey::new(Secret::new([8; 32]));
    assert_eq!(try_open(backend, other).err(), Some(StoreError::WrongKey));
}

/// Attack C04 as far as the store sees it: a store that was copied or put back is recognised by its key file.
#[test]
fn a_copied_or_restored_store_is_recognised() {
    let backend = MemoryBackend::new();
    let store = open(Arc::new(backend));
    let mut file = KeyFile::new(crypto::seal::Slot::plain(&master()), &SeededRandom::new(1));
    assert_eq!(block_on(store.continuity(&file)), Ok(Continuity::OtherInstance));
    file.instance = store.instance();
    assert_eq!(block_on(store.continuity(&file)), Ok(Continuity::Same));
    file.generation = 1; // the file is written first: a crash here is no rollback
    assert_eq!(block_on(store.continuity(&file)), Ok(Continuity::Same));
    block_on(store.set_generation(1)).unwrap();
    assert_eq!(block_on(store.next_generation(1)), Ok(2));
    for _ in 0..3 {
        assert_eq!(block_on(store.next_generation(2)), Ok(2), "a file that is ahead is not outrun");
    }
    file.generation = 3;
    assert_eq!(block_on(store.continuity(&file)), Ok(Continuity::RolledBack));
    block_on(store.set_generation(3)).unwrap();
    assert_eq!(block_on(store.continuity(&file)), Ok(Continuity::Same));
}

/// Attack B01: a row that is copied over another, in the files, does not open there; nor does an altered one.
#[test]
fn moved_and_altered_rows_do_not_open() {
    let backend = MemoryBackend::new();
    let key = |n: u8| ROSTER.row(b"alice", &[n]);
    let store = open(Arc::new(backend.clone()));
    put(&store, &key(1), b"one").unwrap();
    put(&store, &key(2), b"two").unwrap();
    let raw = |n: u8| block_on(backend.get(key(n).locate(store.index()).stored().as_slice())).unwrap().unwrap();
    let (one, two) = (raw(1), raw(2));
    let overwrite = |value: Vec<u8>| {
        let row = Row { key: key(2).locate(store.index()).stored().as_slice().to_vec(), value };
        block_on(backend.commit(Batch { changes: vec![Change::Put(row)], ..Batch::default() })).unwrap();
        block_on(open(Arc::new(backend.clone())).get(&key(2)))
    };
    assert_eq!(overwrite(one).unwrap_err(), StoreError::Altered);
    for at in 0..two.len() {
        let mut altered = two.clone();
        altered[at] ^= 0x10;
        assert_eq!(overwrite(altered).unwrap_err(), StoreError::Altered, "byte {at}");
    }
    assert_eq!(overwrite(Vec::new()).unwrap_err(), StoreError::Altered);
    assert_eq!(overwrite(two).unwrap().unwrap().as_slice(), b"two");
}

/// One damaged byte hides neither a queue nor a roster: its row is put aside and told, the others are read (B11).
#[test]
fn b11_a_damaged_row_costs_that_row_and_is_told() {
    const QUEUE: Table = Table::new("queue");
    let backend = MemoryBackend::new();
    let store = open(Arc::new(backend.clone()));
    for n in 0..5 {
        put(&store, &ROSTER.row(b"alice", &[n]), &[n]).unwrap();
        put(&store, &QUEUE.seq(b"alice", u64::from(n)), &[n]).unwrap();
    }
    let damage = |key: &Key| {
        let stored = key.locate(store.index()).stored().as_slice().to_vec();
        let mut value = block_on(backend.get(&stored)).unwrap().unwrap();
        *value.last_mut().unwrap() ^= 1;
        let changes = vec![Change::Put(Row { key: stored, value })];
        block_on(backend.commit(Batch { changes, ..Batch::default() })).unwrap();
    };
    damage(&ROSTER.row(b"alice", &[1]));
    damage(&QUEUE.seq(b"alice", 3));
    let store = open(Arc::new(backend.clone()));
    for _ in 0..2 {
        let mut roster: Vec<u8> =
            block_on(store.list(ROSTER, b"alice")).unwrap().iter().map(|(_, value)| value.as_slice()[0]).collect();
        roster.sort_unstable();
        assert_eq!(roster, [0, 2, 3, 4]);
        let queue = block_on(store.scan_seq(QUEUE, b"alice", .., Direction::Forward, 10)).unwrap();
        assert_eq!(queue.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [0, 1, 2, 4]);
        let mut aside = block_on(store.aside()).unwrap();
        aside.sort();
        assert_eq!(aside, ["queue", ROSTER.name]);
    }
    // What is written in its place is a row like any other.
    put(&store, &ROSTER.row(b"alice", &[1]), b"again").unwrap();
    assert_eq!(block_on(store.list(ROSTER, b"alice")).unwrap().len(), 5);
}

/// Whatever commit the power is cut in, by whatever seed: what was acknowledged is there, and nothing is there by half.
#[test]
fn a_power_cut_at_any_commit_loses_nothing_acknowledged() {
    for after_commits in 0..12 {
        for seed in 0..2 {
            let backend = MemoryBackend::new();
            let store = open(Arc::new(backend.clone()));
            backend.inject(Fault::PowerCut { after_commits, seed });
            let acknowledged = (0..20).take_while(|n| put_pair(&store, *n).is_ok()).count() as u64;
            assert!(!backend.is_powered());
            backend.restart();
            let store = open(Arc::new(backend));
            let left = numbers(&store, b"a", .., Direction::Forward, 100);
            assert_eq!(left, numbers(&store, b"b", .., Direction::Forward, 100));
            assert!(left.len() as u64 >= acknowledged, "{left:?} after {acknowledged} (seed {seed})");
            assert!(left.len() as u64 <= acknowledged + 1);
        }
    }
}

fn put_pair(store: &Store, day: u32) -> Result<(), StoreError> {
    let seq = block_on(store.next_seq(OFFLINE, b"a"))?;
    let mut transaction = store.transaction();
    transaction.put_expiring(OFFLINE, b"a", seq, Day(day / 4), b"value");
    transaction.put(&OFFLINE.seq(b"b", seq), b"value");
    block_on(transaction.commit())
}

/// Attack B01: after traffic and shutdown the raw files hold no name and no value, in no usual encoding.
#[cfg(feature = "sqlite")]
#[test]
fn a_seized_disk_shows_no_name_and_no_value() {
    use crate::backend::sqlite::SqliteBackend;
    let canaries: [&[u8]; 5] =
        [b"romeo@montague.example", b"juliet@capulet.example", b"roster-canary", b"wherefore art thou", &[7; 32]];
    let directory = crate::testing::TempDirectory::new();
    let store = open(Arc::new(SqliteBackend::open(&directory.join("store.db")).unwrap()));
    let table = Table::new("roster-canary");
    let mut transaction = store.transaction();
    transaction.put(&table.row(b"romeo@montague.example", b"juliet@capulet.example"), b"wherefore art thou".repeat(9));
    let seq = block_on(store.next_seq(table, b"romeo@montague.example")).unwrap();
    transaction.put_expiring(table, b"romeo@montague.example", seq, Day(20_000), b"wherefore art thou");
    block_on(transaction.commit()).unwrap();
    assert_eq!(find_canaries(directory.path(), &canaries), Vec::<String>::new(), "while it runs");
    drop(store);
    assert_eq!(find_canaries(directory.path(), &canaries), Vec::<String>::new(), "after shutdown");
    // The control: the search finds each canary in each encoding where it does lie.
    for canary in canaries {
        for form in encodings(canary) {
            std::fs::write(directory.join("control"), [b"some bytes before", &form[..]].concat()).unwrap();
            assert!(!find_canaries(directory.path(), &[canary]).is_empty());
        }
    }
}

/// A text raw, in hex, in base64 at its three phases (without the ends, which depend on what is around), in UTF-16.
#[cfg(feature = "sqlite")]
fn encodings(canary: &[u8]) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    let mut forms = vec![canary.to_vec(), hex::encode(canary).into_bytes(), hex::encode_upper(canary).into_bytes()];
    for phase in 0..3 {
        let shifted = [&[0; 3][..phase], canary].concat();
        let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(shifted);
        forms.push(text.as_bytes()[4..text.len() - 4].to_vec());
    }
    forms.push(canary.iter().flat_map(|byte| [*byte, 0]).collect());
    forms
}

#[cfg(feature = "sqlite")]
fn find_canaries(directory: &std::path::Path, canaries: &[&[u8]]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for canary in canaries {
            for form in encodings(canary) {
                if bytes.windows(form.len()).any(|window| window == form) {
                    found.push(format!("{} in {}", String::from_utf8_lossy(canary), path.display()));
                }
            }
        }
    }
    found
}

#[test]
fn values_have_a_limit_and_debug_shows_nothing() {
    let store = open(Arc::new(MemoryBackend::new()));
    let key = ROSTER.row(b"alice", b"bob");
    let too_long = vec![0; crypto::seal::MAX_VALUE_BYTES + 1];
    assert_eq!(put(&store, &key, &too_long), Err(StoreError::TooLong));
    put(&store, &key, b"canary").unwrap();
    let value = block_on(store.get(&key)).unwrap().unwrap();
    assert_eq!(format!("{value:?} {store:?}"), "Value(<redacted>) Store(<redacted>)");
}
