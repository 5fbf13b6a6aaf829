use std::sync::Arc;

use super::*;
use crate::Direction;
use crate::backend::memory::{Fault, MemoryBackend};
use crate::testing::{block_on, open};

const ROSTER: Table = Table::new("roster");
const OFFLINE: Table = Table::new("offline");
const OTHER: Table = Table::new("other");

/// Puts an x behind every value of the two tables.
const MARK: Migration = Migration {
    number: 2,
    name: "mark",
    run: |under_way| {
        Box::pin(async move {
            for table in [ROSTER, OFFLINE] {
                under_way.rewrite(table, |value| Ok(Rewrite::Put([value, b"x"].concat()))).await?;
            }
            Ok(())
        })
    },
};

/// Drops what is bob's, and writes a row of its own.
const DROP: Migration = Migration {
    number: 3,
    name: "drop",
    run: |under_way| {
        Box::pin(async move {
            let is_bobs = |value: &[u8]| value.starts_with(b"bob");
            under_way.rewrite(ROSTER, |value| Ok(if is_bobs(value) { Rewrite::Delete } else { Rewrite::Keep })).await?;
            under_way.transaction().put(&OTHER.row(b"", b"made"), b"by a migration");
            Ok(())
        })
    },
};

fn filled(backend: &MemoryBackend) -> Store {
    let store = open(Arc::new(backend.clone()));
    let mut transaction = store.transaction();
    for number in 0..300u32 {
        transaction.put(&ROSTER.row(&number.to_be_bytes(), b"alice"), b"alice");
    }
    transaction.put(&ROSTER.row(b"carol", b"bob"), b"bob");
    transaction.put(&OTHER.row(b"carol", b"bob"), b"other");
    transaction.put(&OFFLINE.seq(b"carol", 1), b"one");
    transaction.put_expiring(OFFLINE, b"carol", 2, Day(20_000), b"two");
    block_on(transaction.commit()).unwrap();
    store
}

fn all(store: &Store) -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = Vec::new();
    for owner in (0..300u32).map(|number| number.to_be_bytes().to_vec()).chain([b"carol".to_vec(), Vec::new()]) {
        for table in [ROSTER, OTHER] {
            values.extend(block_on(store.list(table, &owner)).unwrap().iter().map(|(_, value)| value.to_vec()));
        }
        let ordered = block_on(store.scan_seq(OFFLINE, &owner, .., Direction::Forward, 9)).unwrap();
        values.extend(ordered.iter().map(|(_, value)| value.to_vec()));
    }
    values
}

fn expected(schema: u32) -> Vec<Vec<u8>> {
    let mark = |value: &[u8]| if schema > 1 { [value, b"x"].concat() } else { value.to_vec() };
    let mut values = vec![mark(b"alice"); 300];
    if schema < 3 {
        values.push(mark(b"bob"));
    }
    values.extend([b"other".to_vec(), mark(b"one"), mark(b"two")]);
    if schema > 2 {
        values.push(b"by a migration".to_vec());
    }
    values
}

#[test]
fn every_row_of_a_table_is_rewritten_whoever_owns_it_and_only_those() {
    let backend = MemoryBackend::new();
    let store = filled(&backend);
    assert_eq!(block_on(store.schema()), Ok(FIRST_SCHEMA));
    block_on(store.migrate(&[MARK])).unwrap();
    assert_eq!(all(&store), expected(2), "from the cache");
    let again = open(Arc::new(backend));
    block_on(again.migrate(&[MARK])).unwrap();
    assert_eq!(all(&again), expected(2), "a migration runs once");
    block_on(again.migrate(&[MARK, DROP])).unwrap();
    assert_eq!((all(&again), block_on(again.schema())), (expected(3), Ok(3)));
}

#[test]
fn what_lay_under_the_key_of_a_day_still_expires_with_it() {
    let store = filled(&MemoryBackend::new());
    block_on(store.migrate(&[MARK])).unwrap();
    block_on(store.forget_days_before(Day(20_001))).unwrap();
    let left = block_on(store.scan_seq(OFFLINE, b"carol", .., Direction::Forward, 9)).unwrap();
    assert_eq!(left.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1]);
}

/// Wherever the power fails: a migration is there with its number or not at all, and the next start goes on.
#[test]
fn a_machine_that_dies_in_between_goes_on() {
    for after_commits in 0..3 {
        for seed in 0..2 {
            let backend = MemoryBackend::new();
            let store = filled(&backend);
            backend.inject(Fault::PowerCut { after_commits, seed });
            let cut = block_on(store.migrate(&[MARK, DROP]));
            backend.restart();
            let store = open(Arc::new(backend));
            let schema = block_on(store.schema()).unwrap();
            assert_eq!(all(&store), expected(schema), "after {after_commits}, {seed}");
            assert!(cut.is_err() || schema == 3);
            block_on(store.migrate(&[MARK, DROP])).unwrap();
            assert_eq!(all(&store), expected(3));
        }
    }
}

#[test]
fn a_store_of_a_newer_program_is_refused_and_unchanged() {
    let backend = MemoryBackend::new();
    let store = filled(&backend);
    block_on(store.migrate(&[MARK, DROP])).unwrap();
    let before = backend.raw_rows();
    let older = open(Arc::new(backend.clone()));
    let refused = block_on(older.migrate(&[MARK])).unwrap_err();
    assert_eq!(refused, StoreError::TooNew);
    assert_eq!(refused.what_happened(), "the database was written by a newer version of this program");
    assert_eq!(backend.raw_rows(), before);
}

#[test]
fn the_generation_and_the_schema_leave_each_other_alone() {
    let store = filled(&MemoryBackend::new());
    block_on(store.set_generation(7)).unwrap();
    block_on(store.migrate(&[MARK])).unwrap();
    assert_eq!(block_on(store.generation()), Ok(7));
    block_on(store.set_generation(8)).unwrap();
    assert_eq!((block_on(store.generation()), block_on(store.schema())), (Ok(8), Ok(2)));
}

#[test]
fn a_damaged_row_stops_no_migration() {
    let backend = MemoryBackend::new();
    drop(filled(&backend));
    let key = ROSTER.row(b"carol", b"bob");
    let store = open(Arc::new(backend.clone()));
    let stored = key.locate(store.index()).stored().as_slice().to_vec();
    let mut value = block_on(store.backend().get(&stored)).unwrap().unwrap();
    *value.last_mut().unwrap() ^= 1;
    let change = crate::backend::Change::Put(Row { key: stored, value });
    let batch = crate::backend::Batch { changes: vec![change], ..Default::default() };
    block_on(store.backend().commit(batch)).unwrap();
    block_on(store.migrate(&[MARK])).unwrap();
    assert_eq!(block_on(store.get(&key)).unwrap_err(), StoreError::Altered, "damage stays visible as damage");
    let other = block_on(store.get(&ROSTER.row(&7u32.to_be_bytes(), b"alice"))).unwrap();
    assert_eq!(other.as_deref(), Some(&b"alicex"[..]));
}
