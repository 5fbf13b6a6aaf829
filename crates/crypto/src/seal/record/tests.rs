use sha2::{Digest, Sha256};

use super::*;
use crate::random::SeededRandom;
use crate::seal::MasterKey;

fn sealer() -> Sealer {
    MasterKey::new(Secret::new([5; 32])).sealer()
}

#[test]
fn what_was_sealed_opens() {
    let random = SeededRandom::new(1);
    for length in [0, 1, 251, 252, 253, 4092, 4093, 20_000] {
        let value = vec![0xC5; length];
        let sealed = sealer().seal(&random, "roster", b"key", &value).unwrap();
        assert_eq!(*sealer().open("roster", b"key", &sealed).unwrap(), value, "{length} bytes");
    }
}

/// The layout is what is on people's disks: these bytes were computed by a program of its own, in another language, from the
/// description at the top of the module.
#[test]
fn records_have_the_described_layout() {
    let digest = |sealed: &[u8]| hex::encode(Sha256::digest(sealed));
    let sealed = sealer().seal(&SeededRandom::new(1), "roster", b"alice", b"hello").unwrap();
    let (head, tag) = (&sealed[..ROW_TAG_BYTES], &sealed[sealed.len() - AEAD_TAG_BYTES..]);
    assert_eq!(hex::encode(head), "01000000004cbbd8ca5215b8d161aec181a74b694f4e24b001d5b081dc");
    assert_eq!(hex::encode(tag), "ecde33093cc1f3647062bb46e0a5e83a");
    assert_eq!(digest(&sealed), "6959302cb72be6341e177e37d7652af6c8a22217810fcbed870c6abd8890f303");

    let day = DayKey::from_slice(&[6; 32]).unwrap().sealer();
    assert_eq!(day.epoch(), 4_167_670_669);
    let sealed = day.seal(&SeededRandom::new(1), "offline", b"k", b"hello").unwrap();
    assert_eq!(digest(&sealed), "52d2664edfd31594d1a632df179797c654228aa1307bb0902012f884b02fe698");
}

#[test]
fn a_record_tells_no_more_than_its_size_class() {
    let random = SeededRandom::new(1);
    let sealed_len = |length: usize| {
        let sealed = sealer().seal(&random, "t", b"k", &vec![1; length]).unwrap();
        sealed.len() - ROW_TAG_BYTES - AEAD_TAG_BYTES
    };
    // four bytes of each class hold the length
    for (length, class) in [
        (0, 256),
        (252, 256),
        (253, 512),
        (508, 512),
        (509, 1024),
        (1020, 1024),
        (1021, 2048),
        (2045, 4096),
        (4092, 4096),
        (4093, 8192),
        (8189, 12288),
    ] {
        assert_eq!(sealed_len(length), class, "{length} bytes");
    }
}

/// Attack B01: a record copied to another row, table or key does not open there.
#[test]
fn a_record_opens_in_its_own_place_only() {
    let random = SeededRandom::new(1);
    let sealed = sealer().seal(&random, "roster", b"alice", b"value").unwrap();
    let refused = Some(SealError::NotOpened);
    assert_eq!(sealer().open("roster", b"bob", &sealed).err(), refused);
    assert_eq!(sealer().open("accounts", b"alice", &sealed).err(), refused);
    assert_eq!(sealer().open("rostera", b"lice", &sealed).err(), refused);
    let other = MasterKey::new(Secret::new([6; 32])).sealer();
    assert_eq!(other.open("roster", b"alice", &sealed).err(), refused);
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let sealed = sealer().seal(&SeededRandom::new(1), "t", b"k", b"value").unwrap();
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1 << (at % 8);
        assert_eq!(sealer().open("t", b"k", &altered).err(), Some(SealError::NotOpened), "byte {at}");
        assert_eq!(sealer().open("t", b"k", &sealed[..at]).err(), Some(SealError::NotOpened), "cut to {at}");
    }
}

#[test]
fn the_same_value_never_looks_the_same() {
    let random = SeededRandom::new(1);
    let first = sealer().seal(&random, "t", b"k", b"value").unwrap();
    let second = sealer().seal(&random, "t", b"k", b"value").unwrap();
    assert_ne!(first[..ROW_TAG_BYTES], second[..ROW_TAG_BYTES]);
    assert_ne!(first[ROW_TAG_BYTES..], second[ROW_TAG_BYTES..]);
}

#[test]
fn a_day_key_opens_its_own_day_only_and_says_so_in_the_record() {
    let random = SeededRandom::new(1);
    let (monday, tuesday) = (DayKey::generate(&random), DayKey::generate(&random));
    let sealed = monday.sealer().seal(&random, "offline", b"k", b"value").unwrap();
    assert_eq!(record_epoch(&sealed), Some(monday.sealer().epoch()));
    assert_eq!(tuesday.sealer().open("offline", b"k", &sealed).err(), Some(SealError::NotOpened));
    assert_eq!(sealer().open("offline", b"k", &sealed).err(), Some(SealError::NotOpened));
    let kept = DayKey::from_slice(monday.expose()).unwrap();
    assert_eq!(kept.sealer().open("offline", b"k", &sealed).unwrap().as_slice(), b"value");
}

#[test]
fn values_have_a_limit() {
    let random = SeededRandom::new(1);
    let too_long = vec![0; MAX_VALUE_BYTES + 1];
    assert_eq!(sealer().seal(&random, "t", b"k", &too_long).err(), Some(SealError::TooLong));
}
