//! What every [`Backend`] must do, as one suite (feature `conformance`, for tests).
//!
//! A backend runs it in a line: `conformance::run(|| Arc::new(MemoryBackend::new()))`. Each case gets a fresh, empty
//! backend. The suite panics at the first deviation, as tests do.

use std::sync::Arc;
use std::thread;

use crate::backend::{Backend, BackendError, Batch, Change, Direction, Expectation, KeyRange, Row};
use crate::block_on;

/// Runs the whole suite, each case on a new empty backend.
///
/// # Panics
///
/// At the first deviation.
pub fn run(fresh: impl Fn() -> Arc<dyn Backend>) {
    let cases: [fn(&Arc<dyn Backend>); 9] = [
        absent_rows_are_absent,
        rows_come_back_and_are_replaced_and_removed,
        the_last_change_of_a_row_wins,
        scans_are_ordered_bytewise_and_bounded,
        scans_respect_both_borders_in_both_directions,
        keys_and_values_are_opaque,
        expectations_hold_or_nothing_is_written,
        erasing_batches_are_batches,
        concurrent_increments_are_all_counted,
    ];
    for case in cases {
        case(&fresh());
    }
}

fn put(key: &[u8], value: &[u8]) -> Change {
    Change::Put(Row { key: key.to_vec(), value: value.to_vec() })
}

fn delete(key: &[u8]) -> Change {
    Change::Delete { key: key.to_vec() }
}

fn commit(backend: &Arc<dyn Backend>, changes: Vec<Change>) {
    block_on(backend.commit(Batch { changes, ..Batch::default() })).expect("the commit succeeds");
}

/// A key, and how its value began.
type AsRead<'a> = (&'a [u8], Option<&'a [u8]>);

fn commit_expecting(
    backend: &Arc<dyn Backend>,
    expectations: &[AsRead],
    changes: Vec<Change>,
) -> Result<(), BackendError> {
    let expectations = expectations
        .iter()
        .map(|(key, found)| Expectation { key: key.to_vec(), found: found.map(<[u8]>::to_vec) })
        .collect();
    block_on(backend.commit(Batch { changes, expectations, erase: false }))
}

fn get(backend: &Arc<dyn Backend>, key: &[u8]) -> Option<Vec<u8>> {
    block_on(backend.get(key)).expect("reading succeeds")
}

fn keys(backend: &Arc<dyn Backend>, range: KeyRange, limit: u32) -> Vec<Vec<u8>> {
    let rows = block_on(backend.scan(range, limit)).expect("reading succeeds");
    rows.into_iter().map(|row| row.key).collect()
}

fn absent_rows_are_absent(backend: &Arc<dyn Backend>) {
    assert_eq!(get(backend, b"nothing"), None);
    assert_eq!(keys(backend, KeyRange::all(), 10), Vec::<Vec<u8>>::new());
    commit(backend, vec![delete(b"nothing")]); // not an error
    commit(backend, vec![]); // neither
}

fn rows_come_back_and_are_replaced_and_removed(backend: &Arc<dyn Backend>) {
    commit(backend, vec![put(b"a", b"1"), put(b"b", b"2")]);
    assert_eq!(get(backend, b"a").as_deref(), Some(&b"1"[..]));
    commit(backend, vec![put(b"a", b"longer than before"), delete(b"b")]);
    assert_eq!(get(backend, b"a").as_deref(), Some(&b"longer than before"[..]));
    assert_eq!(get(backend, b"b"), None);
    assert_eq!(keys(backend, KeyRange::all(), 10), [b"a"]);
}

fn the_last_change_of_a_row_wins(backend: &Arc<dyn Backend>) {
    commit(
        backend,
        vec![put(b"a", b"1"), delete(b"a"), put(b"b", b"1"), put(b"b", b"2"), delete(b"c"), put(b"c", b"3")],
    );
    assert_eq!(get(backend, b"a"), None);
    assert_eq!(get(backend, b"b").as_deref(), Some(&b"2"[..]));
    assert_eq!(get(backend, b"c").as_deref(), Some(&b"3"[..]));
}

fn scans_are_ordered_bytewise_and_bounded(backend: &Arc<dyn Backend>) {
    let ordered: [&[u8]; 6] = [b"\x00", b"A", b"a", b"a\x00", b"b", b"\xff\xff"];
    for key in ordered.iter().rev() {
        commit(backend, vec![put(key, b"v")]);
    }
    assert_eq!(keys(backend, KeyRange::all(), 100), ordered);
    assert_eq!(keys(backend, KeyRange::all(), 2), ordered[..2]);
    assert_eq!(keys(backend, KeyRange::all(), 0), Vec::<Vec<u8>>::new());
    let last: Vec<&[u8]> = ordered.iter().rev().take(2).copied().collect();
    assert_eq!(keys(backend, KeyRange::all().backward(), 2), last);
    assert_eq!(keys(backend, KeyRange::prefix(b"a"), 100), [&b"a"[..], b"a\x00"]);
    assert_eq!(keys(backend, KeyRange::prefix(b"\xff"), 100), [b"\xff\xff"]);
}

fn scans_respect_both_borders_in_both_directions(backend: &Arc<dyn Backend>) {
    commit(backend, [b"a", b"b", b"c", b"d"].map(|key| put(key, b"v")).to_vec());
    let range =
        |start: &[u8], end: &[u8], direction| KeyRange { start: start.to_vec(), end: Some(end.to_vec()), direction };
    assert_eq!(keys(backend, range(b"b", b"d", Direction::Forward), 10), [b"b", b"c"]);
    assert_eq!(keys(backend, range(b"b", b"d", Direction::Backward), 10), [b"c", b"b"]);
    assert_eq!(keys(backend, range(b"b", b"b", Direction::Forward), 10), Vec::<Vec<u8>>::new());
    assert_eq!(keys(backend, range(b"c", b"b", Direction::Backward), 10), Vec::<Vec<u8>>::new());
}

fn keys_and_values_are_opaque(backend: &Arc<dyn Backend>) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let large = vec![0xA5; 300_000];
    commit(backend, vec![put(&every_byte, &large), put(b"empty", b""), put(b"\x00", &every_byte)]);
    assert_eq!(get(backend, &every_byte), Some(large));
    assert_eq!(get(backend, b"empty"), Some(Vec::new()));
    assert_eq!(get(backend, b"\x00"), Some(every_byte));
}

fn expectations_hold_or_nothing_is_written(backend: &Arc<dyn Backend>) {
    commit(backend, vec![put(b"a", b"abc")]);
    let change = || vec![put(b"x", b"new"), delete(b"a")];
    let conflicts: [&[AsRead]; 5] = [
        &[(b"a", None)],
        &[(b"a", Some(b"abd"))],
        &[(b"a", Some(b"abcd"))],
        &[(b"absent", Some(b""))],
        &[(b"a", Some(b"abc")), (b"absent", Some(b"z"))],
    ];
    for expectations in conflicts {
        assert_eq!(commit_expecting(backend, expectations, change()), Err(BackendError::Conflict));
        assert_eq!(get(backend, b"x"), None, "a conflicting batch writes nothing");
        assert!(get(backend, b"a").is_some(), "a conflicting batch deletes nothing");
    }
    // How the value began is enough; and a batch may check without changing.
    assert_eq!(commit_expecting(backend, &[(b"a", Some(b"ab")), (b"absent", None)], vec![]), Ok(()));
    assert_eq!(commit_expecting(backend, &[(b"a", Some(b"abc")), (b"x", None)], change()), Ok(()));
    assert_eq!(get(backend, b"x").as_deref(), Some(&b"new"[..]));
    assert_eq!(get(backend, b"a"), None);
}

fn erasing_batches_are_batches(backend: &Arc<dyn Backend>) {
    commit(backend, vec![put(b"a", b"1"), put(b"b", b"2")]);
    block_on(backend.commit(Batch { changes: vec![delete(b"a")], erase: true, ..Batch::default() }))
        .expect("the commit succeeds");
    assert_eq!(keys(backend, KeyRange::all(), 10), [b"b"]);
}

/// Callers that read, decide and commit at once, and try again after a conflict, lose no increment.
fn concurrent_increments_are_all_counted(backend: &Arc<dyn Backend>) {
    const CALLERS: u32 = 4;
    const INCREMENTS: u32 = 10;
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| (0..INCREMENTS).for_each(|_| increment(backend)));
        }
    });
    assert_eq!(get(backend, b"n"), Some((CALLERS * INCREMENTS).to_be_bytes().to_vec()));
}

fn increment(backend: &Arc<dyn Backend>) {
    loop {
        let read = get(backend, b"n");
        let number = read.as_deref().map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().expect("four bytes")));
        let change = put(b"n", &(number + 1).to_be_bytes());
        match commit_expecting(backend, &[(b"n", read.as_deref())], vec![change]) {
            Ok(()) => return,
            Err(error) => assert_eq!(error, BackendError::Conflict),
        }
    }
}
