use super::*;
use crate::table::Table;
use crypto::Secret;
use crypto::seal::{MasterKey, ROW_TAG_BYTES};
use zeroize::Zeroizing;

fn key(name: &str) -> StoredKey {
    let index = MasterKey::new(Secret::new([1; 32])).blind_index();
    *Table::new("t").row(b"owner", name.as_bytes()).locate(&index).stored()
}

fn value(bytes: &[u8]) -> Value {
    Value::new(Zeroizing::new(bytes.to_vec()), [0; ROW_TAG_BYTES])
}

fn cached(cache: &Cache, key: &StoredKey) -> Option<Option<Vec<u8>>> {
    match cache.lookup(key) {
        Lookup::Hit(value) => Some(value.map(|value| value.to_vec())),
        Lookup::Miss(_) => None,
    }
}

fn ticket(cache: &Cache, key: &StoredKey) -> Ticket {
    match cache.lookup(key) {
        Lookup::Miss(ticket) => ticket,
        Lookup::Hit(_) => panic!("the row is cached"),
    }
}

#[test]
fn it_knows_values_and_absences() {
    let cache = Cache::new(10_000);
    let (a, b) = (key("a"), key("b"));
    cache.fill(&ticket(&cache, &a), a, Some(value(b"1")));
    cache.fill(&ticket(&cache, &b), b, None);
    assert_eq!(cached(&cache, &a), Some(Some(b"1".to_vec())));
    assert_eq!(cached(&cache, &b), Some(None));
}

#[test]
fn a_read_that_a_commit_overtook_is_not_kept() {
    let cache = Cache::new(10_000);
    let a = key("a");
    let before = ticket(&cache, &a);
    cache.begin(&[a]);
    let during = ticket(&cache, &a);
    cache.fill(&before, a, Some(value(b"old")));
    cache.fill(&during, a, Some(value(b"old or new")));
    assert_eq!(cached(&cache, &a), None);
    cache.finish(&[a], None);
    cache.fill(&before, a, Some(value(b"old")));
    cache.fill(&during, a, Some(value(b"old or new")));
    assert_eq!(cached(&cache, &a), None);
}

#[test]
fn a_commit_alone_leaves_what_it_wrote_and_a_failed_one_leaves_nothing() {
    let cache = Cache::new(10_000);
    let a = key("a");
    cache.begin(&[a]);
    cache.finish(&[a], Some(vec![Some(value(b"new"))]));
    assert_eq!(cached(&cache, &a), Some(Some(b"new".to_vec())));
    cache.begin(&[a]);
    assert_eq!(cached(&cache, &a), None);
    cache.finish(&[a], None);
    assert_eq!(cached(&cache, &a), None);
}

#[test]
fn of_two_commits_at_once_nobody_guesses_the_later() {
    let cache = Cache::new(10_000);
    let a = key("a");
    cache.begin(&[a]);
    cache.begin(&[a]);
    cache.finish(&[a], Some(vec![Some(value(b"1"))]));
    assert_eq!(cached(&cache, &a), None);
    cache.finish(&[a], Some(vec![Some(value(b"2"))]));
    assert_eq!(cached(&cache, &a), None);
    cache.fill(&ticket(&cache, &a), a, Some(value(b"from the backend")));
    assert_eq!(cached(&cache, &a), Some(Some(b"from the backend".to_vec())));
}

#[test]
fn a_commit_that_was_dropped_is_never_answered_from_here() {
    let cache = Cache::new(10_000);
    let a = key("a");
    cache.begin(&[a]); // and no finish
    cache.fill(&ticket(&cache, &a), a, Some(value(b"old")));
    assert_eq!(cached(&cache, &a), None);
    cache.begin(&[a]);
    cache.finish(&[a], Some(vec![Some(value(b"new"))]));
    assert_eq!(cached(&cache, &a), None);
}

#[test]
fn it_stays_within_its_bound_and_keeps_what_is_used() {
    let cache = Cache::new(20 * (ENTRY_OVERHEAD_BYTES + 100));
    let hot = key("hot");
    cache.fill(&ticket(&cache, &hot), hot, Some(value(&[1; 100])));
    for number in 0..500 {
        let cold = key(&format!("cold {number}"));
        cache.fill(&ticket(&cache, &cold), cold, Some(value(&[0; 100])));
        assert!(cached(&cache, &hot).is_some(), "used since the last round");
        assert!(cache.used_bytes() <= 20 * (ENTRY_OVERHEAD_BYTES + 100));
    }
    assert_eq!(cached(&cache, &key("cold 0")), None);
    assert!(cached(&cache, &key("cold 499")).is_some());
}

#[test]
fn writing_one_row_for_ever_does_not_grow_it() {
    let cache = Cache::new(100_000);
    let a = key("a");
    for _ in 0..1000 {
        cache.begin(&[a]);
        cache.finish(&[a], Some(vec![Some(value(b"v"))]));
    }
    assert_eq!(cache.used_bytes(), ENTRY_OVERHEAD_BYTES + 1);
    assert!(cache.lock().queue.len() < 100);
}
