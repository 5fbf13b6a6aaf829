//! Devices: keys, bundles, rotation, refill, storage.

use super::super::keys::IdentityKeyPair;
use super::*;

#[test]
fn a_generated_identity_has_sign_zero() {
    let random = SeededRandom::new(1);
    for _ in 0..20 {
        let identity = IdentityKeyPair::generate(&random);
        assert_eq!(identity.public().ed25519().unwrap()[31] & 0x80, 0);
    }
}

both_profiles! {
    fn a_new_device_publishes_a_bundle_that_others_accept<P: Profile>() {
        let random = SeededRandom::new(2);
        let device = Device::generate(NOW, &random);
        assert!((1..=0x7fff_ffff).contains(&device.id()));
        let published = device.bundle::<P>();
        assert_eq!(published.prekeys.len(), PREKEY_COUNT);
        let ids: std::collections::BTreeSet<_> = published.prekeys.iter().map(|prekey| prekey.id).collect();
        assert_eq!(ids.len(), PREKEY_COUNT);
        assert!(!ids.contains(&0));
        let bundle = Bundle::<P>::parse(&published).unwrap();
        assert_eq!(bundle.identity(), device.identity());
    }

    fn used_prekeys_leave_the_bundle_and_are_refilled_below_fifty<P: Profile>() {
        let random = SeededRandom::new(3);
        let mut bob = Party::<P>::new(&random);
        let mut used = Vec::new();
        for left in (PREKEY_REFILL_BELOW..PREKEY_COUNT).rev() {
            let mut alice = Party::<P>::new(&random);
            alice.start(&bob, &random);
            let opened = bob.receive(&alice.send(b"hello"), &random).unwrap();
            used.extend(opened.used_prekey);
            assert_eq!(bob.device.prekey_count(), left);
            assert_eq!(bob.device.maintain(NOW, &random), Maintenance { bundle_changed: false });
            bob.sessions = SessionSet::new();
        }
        assert_eq!(used.len(), PREKEY_COUNT - PREKEY_REFILL_BELOW);
        assert!(bob.device.bundle::<P>().prekeys.iter().all(|prekey| !used.contains(&prekey.id)));
        let mut alice = Party::<P>::new(&random);
        alice.start(&bob, &random);
        bob.receive(&alice.send(b"hello"), &random).unwrap();
        assert_eq!(bob.device.maintain(NOW, &random), Maintenance { bundle_changed: true });
        assert_eq!(bob.device.prekey_count(), PREKEY_COUNT);
        bob.restart();
        let publication = bob.device.publication();
        bob.device.published(&publication, NOW);
        bob.device.catch_up_completed(NOW + PREKEY_GRACE_SECONDS);
        assert_eq!(bob.device.bundle::<P>().prekeys.len(), PREKEY_COUNT);
        assert!(bob.device.prekeys.iter().all(|prekey| prekey.used_by.is_empty()), "used ones are erased");
    }

    fn signed_prekeys_rotate_weekly_and_serve_thirty_days_more<P: Profile>() {
        let random = SeededRandom::new(4);
        let mut bob = Party::<P>::new(&random);
        let mut early = Party::<P>::new(&random);
        early.start(&bob, &random);
        let mut late = Party::<P>::new(&random);
        late.start(&bob, &random);
        let first = bob.device.bundle::<P>().signed_prekey;

        assert!(!bob.device.maintain(NOW + 7 * DAY - 1, &random).bundle_changed);
        assert!(bob.device.maintain(NOW + 7 * DAY, &random).bundle_changed);
        assert_ne!(bob.device.bundle::<P>().signed_prekey, first);
        Bundle::<P>::parse(&bob.device.bundle::<P>()).unwrap();
        bob.restart();

        bob.device.catch_up_completed(NOW + 37 * DAY);
        bob.receive(&early.send(b"within thirty days"), &random).unwrap();
        bob.device.catch_up_completed(NOW + 37 * DAY + 1);
        let too_late = bob.receive(&late.send(b"after"), &random);
        assert_eq!(too_late.unwrap_err(), DecryptError::Undecryptable);
    }

    fn stored_state_of_another_kind_is_refused<P: Profile>() {
        let random = SeededRandom::new(5);
        let (alice, _) = acquainted::<P>(&random);
        let (device, sessions) = alice.snapshot();
        assert_eq!(Device::from_bytes(&sessions).unwrap_err(), StateError::Corrupt);
        assert_eq!(Device::from_bytes(&[]).unwrap_err(), StateError::UnknownVersion { found: 0 });
        assert_eq!(Device::from_bytes(&device[..device.len() - 1]).unwrap_err(), StateError::Corrupt);
        let other = match P::ID {
            ProfileId::Legacy => SessionSet::<Omemo2>::from_bytes(&sessions).map(|_| ()),
            ProfileId::Omemo2 => SessionSet::<Legacy>::from_bytes(&sessions).map(|_| ()),
        };
        assert_eq!(other.unwrap_err(), StateError::WrongProfile);
        // The version is the first field of both.
        assert_eq!(&sessions[..2], &[0x08, 2]);
        let newer = [&[0x08, 3], &sessions[2..]].concat();
        assert_eq!(SessionSet::<P>::from_bytes(&newer).unwrap_err(), StateError::UnknownVersion { found: 3 });
    }
}

#[test]
fn one_identity_serves_both_profiles() {
    let device = Device::generate(NOW, &SeededRandom::new(6));
    let legacy = Bundle::<Legacy>::parse(&device.bundle::<Legacy>()).unwrap();
    let omemo2 = Bundle::<Omemo2>::parse(&device.bundle::<Omemo2>()).unwrap();
    assert_eq!(legacy.identity(), omemo2.identity());
    assert_eq!(legacy.identity().with_sign(false).ed25519(), omemo2.identity().ed25519());
}

#[test]
fn c20_strangers_cannot_use_up_the_prekeys_nor_make_the_state_grow() {
    let random = SeededRandom::new(8);
    let mut device = Device::generate(NOW, &random);
    let ephemeral = *device.signed_prekeys[0].pair.public().as_bytes();
    for _ in 0..1500 {
        let id = device.bundle::<Omemo2>().prekeys[0].id;
        device.use_prekey(id, RatchetKey::from_bytes(&ephemeral).unwrap());
        device.maintain(NOW, &random);
        assert!(device.prekey_count() >= PREKEY_REFILL_BELOW);
        assert!(device.prekeys.len() <= PREKEY_COUNT + 1000);
    }
}

#[test]
fn renumbering_draws_another_id_and_keeps_the_keys() {
    let random = SeededRandom::new(7);
    let mut device = Device::generate(NOW, &random);
    let (id, bundle) = (device.id(), device.bundle::<Omemo2>());
    device.renumber(&random);
    assert_ne!(device.id(), id);
    assert_eq!(device.bundle::<Omemo2>(), bundle);
}
