use std::sync::Arc;

use super::*;
use crate::backend::memory::MemoryBackend;
use crate::backend::{Backend, Direction};
use crate::testing::{block_on, open};

const OFFLINE: Table = Table::new("offline");

fn put(store: &Store, seq: u64, day: u32) {
    let mut transaction = store.transaction();
    transaction.put_expiring(OFFLINE, b"alice", seq, Day(day), seq.to_be_bytes());
    block_on(transaction.commit()).unwrap();
}

fn numbers(store: &Store) -> Vec<u64> {
    let rows = block_on(store.scan_seq(OFFLINE, b"alice", .., Direction::Forward, 1000)).unwrap();
    assert!(rows.iter().all(|(seq, value)| **value == seq.to_be_bytes()));
    rows.into_iter().map(|(seq, _)| seq).collect()
}

fn sweep(store: &Store) -> usize {
    let (mut removed, mut position) = (0, None);
    loop {
        let swept = block_on(store.sweep_forgotten(position)).unwrap();
        removed += swept.removed_count;
        match swept.next {
            Some(next) => position = Some(next),
            None => return removed,
        }
    }
}

#[test]
fn days_are_counted_from_the_epoch() {
    assert_eq!(Day::of_millis(0), Day(0));
    assert_eq!(Day::of_millis(MILLIS_PER_DAY - 1), Day(0));
    assert_eq!(Day::of_millis(MILLIS_PER_DAY), Day(1));
    assert_eq!(Day::of_millis(1_735_689_600_000), Day(20_089)); // 2025-01-01T00:00:00Z
    assert_eq!(Day::of_millis(-1), Day(0));
    assert_eq!(Day(10).minus(30), Day(0));
}

#[test]
fn a_forgotten_day_is_unreadable_and_the_others_stay() {
    let backend = MemoryBackend::new();
    let store = open(Arc::new(backend.clone()));
    for (seq, day) in [(1, 100), (2, 100), (3, 101), (4, 102)] {
        put(&store, seq, day);
    }
    assert_eq!(block_on(store.forget_days_before(Day(102))), Ok(2));
    assert_eq!(block_on(store.forget_days_before(Day(102))), Ok(0));
    assert_eq!(numbers(&store), [4]);
    assert_eq!(block_on(store.get(&OFFLINE.seq(b"alice", 1))).unwrap().map(|value| value.to_vec()), None);
    assert_eq!(numbers(&open(Arc::new(backend))), [4], "after a restart too");
}

/// The point of day keys: a copy of the rows made before is of no use to someone who has the master key later.
#[test]
fn rows_put_back_after_their_day_was_forgotten_stay_unreadable() {
    let backend = MemoryBackend::new();
    let store = open(Arc::new(backend.clone()));
    let before: Vec<_> = backend.raw_rows().into_iter().map(|row| row.key).collect();
    put(&store, 1, 100);
    let stored = OFFLINE.seq(b"alice", 1).locate(store.index());
    let copies: Vec<_> = backend.raw_rows().into_iter().filter(|row| !before.contains(&row.key)).collect();
    assert_eq!(copies.len(), 2, "the wrapped key and the row");
    block_on(store.forget_days_before(Day(101))).unwrap();
    sweep(&store);
    let restore = copies.into_iter().filter(|row| row.key == stored.stored().as_slice());
    let changes = restore.map(crate::backend::Change::Put).collect();
    block_on(backend.commit(crate::backend::Batch { changes, ..Default::default() })).unwrap();
    assert_eq!(numbers(&open(Arc::new(backend))), [0u64; 0]);
}

#[test]
fn sweeping_removes_what_was_forgotten_and_nothing_else() {
    let backend = MemoryBackend::new();
    let store = open(Arc::new(backend.clone()));
    (0..700).for_each(|seq| put(&store, seq, 100 + u32::from(seq % 2 == 0)));
    let mut transaction = store.transaction();
    transaction.put(&OFFLINE.row(b"alice", b"kept"), b"value");
    block_on(transaction.commit()).unwrap();
    assert_eq!(sweep(&store), 0);
    block_on(store.forget_days_before(Day(101))).unwrap();
    let rows_before = backend.raw_rows().len();
    assert_eq!(sweep(&store), 350);
    assert_eq!(backend.raw_rows().len(), rows_before - 350);
    assert_eq!(numbers(&store).len(), 350);
    assert!(block_on(store.get(&OFFLINE.row(b"alice", b"kept"))).unwrap().is_some());
}

#[test]
fn two_processes_share_the_key_of_a_day() {
    let backend = MemoryBackend::new();
    let (here, there) = (open(Arc::new(backend.clone())), open(Arc::new(backend)));
    put(&here, 1, 100);
    put(&there, 2, 100); // its attempt to make the key conflicts, and it reads ours
    put(&there, 3, 101);
    assert_eq!(numbers(&here), [1, 2, 3]);
    assert_eq!(numbers(&there), [1, 2, 3]);
    assert_eq!(sweep(&here), 0);
}

#[cfg(feature = "sqlite")]
#[test]
fn the_wrapped_key_leaves_the_files_with_its_day() {
    use crate::backend::KeyRange;
    use crate::backend::sqlite::SqliteBackend;
    let directory = crate::testing::TempDirectory::new();
    let backend = Arc::new(SqliteBackend::open(&directory.join("store.db")).unwrap());
    let store = open(backend.clone());
    let before: Vec<_> = block_on(backend.scan(KeyRange::all(), 10)).unwrap();
    put(&store, 1, 100);
    let stored = OFFLINE.seq(b"alice", 1).locate(store.index());
    let after = block_on(backend.scan(KeyRange::all(), 10)).unwrap();
    let is_wrapped = |row: &&crate::backend::Row| !before.contains(row) && row.key != stored.stored().as_slice();
    let wrapped = after.iter().find(is_wrapped).unwrap().value[5..64].to_vec();
    let is_in_files = || {
        std::fs::read_dir(directory.path()).unwrap().any(|entry| {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(wrapped.len()).any(|window| window == wrapped)
        })
    };
    assert!(is_in_files(), "the control: it was there");
    block_on(store.forget_days_before(Day(101))).unwrap();
    assert!(!is_in_files());
}
