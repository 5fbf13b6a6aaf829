//! The rows of the attack checklist that concern bytes, and the session state machine under pressure.

use super::super::profile::{Exchange, Header};
use super::super::session::Session;
use super::super::{kdf, keys::DhPair, ratchet};
use sha2::Digest as _;

use super::*;
use crate::Secret;

/// Points of small order on the Montgomery curve: 0, 1, p − 1 and the two of order eight (RFC 7748 §6.1).
const SMALL_ORDER: [&str; 5] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
];

fn point(text: &str) -> [u8; 32] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// A bundle key as the profile writes it.
fn written<P: Profile>(key: &[u8; 32]) -> Vec<u8> {
    match P::ID {
        ProfileId::Legacy => [&[5], &key[..]].concat(),
        ProfileId::Omemo2 => key.to_vec(),
    }
}

both_profiles! {
    /// A server that shows our own bundle as somebody else's could throw our words back at us in that name.
    fn our_own_identity_is_nobody_elses<P: Profile>() {
        let random = SeededRandom::new(40);
        let mut alice = Party::<P>::new(&random);
        let own = alice.bundle();
        let refused = alice.sessions.start(&alice.device, &own, NOW, &random);
        assert_eq!(refused, Err(BundleError::OwnIdentity));
        let exchange = Exchange {
            identity: *alice.device.identity(),
            ephemeral: DhPair::generate(&random).public(),
            prekey_id: 1,
            signed_prekey_id: 1,
        };
        let (signed, prekey, _) = alice.device.prekeys_for(1, 1).unwrap();
        assert!(Session::<P>::respond(&alice.device, &exchange, signed, prekey, NOW).is_err());
        let other = Exchange { identity: *Party::<P>::new(&random).device.identity(), ..exchange };
        assert!(Session::<P>::respond(&alice.device, &other, signed, prekey, NOW).is_ok());
    }

    fn c02_a_repeated_message_is_refused_and_changes_nothing<P: Profile>() {
        let random = SeededRandom::new(1);
        let (mut alice, mut bob) = acquainted::<P>(&random);
        let message = alice.send(b"once");
        bob.receive(&message, &random).unwrap();
        for delivery in [Delivery::Live, Delivery::CatchUp] {
            let before = bob.snapshot();
            assert!(bob.sessions.looks_repeated(&message.bytes, false));
            assert_eq!(bob.receive_by(&message, delivery, &random).unwrap_err(), DecryptError::Undecryptable);
            assert_eq!(bob.snapshot(), before);
        }
        assert!(!bob.sessions.looks_repeated(&alice.send(b"new").bytes, false));
    }

    fn c02_a_repeated_key_exchange_begins_nothing_even_when_its_session_is_forgotten<P: Profile>() {
        let random = SeededRandom::new(2);
        let (mut alice, mut bob) = (Party::<P>::new(&random), Party::<P>::new(&random));
        alice.start(&bob, &random);
        let first = alice.send(b"first");
        bob.receive(&first, &random).unwrap();
        for forget in [false, true] {
            if forget {
                bob.sessions = SessionSet::new();
            }
            for delivery in [Delivery::Live, Delivery::CatchUp] {
                let before = bob.snapshot();
                assert_eq!(bob.receive_by(&first, delivery, &random).unwrap_err(), DecryptError::Undecryptable);
                assert_eq!(bob.snapshot(), before);
            }
        }
        bob.device.catch_up_completed(NOW);
        assert_eq!(bob.receive_by(&first, Delivery::CatchUp, &random).unwrap_err(), DecryptError::Undecryptable);
    }

    fn c03_a_jump_of_a_thousand_is_the_limit<P: Profile>() {
        let random = SeededRandom::new(3);
        let (mut alice, mut bob) = acquainted::<P>(&random);
        let mut messages: Vec<_> = (0..1003).map(|_| alice.send(b"text")).collect();
        let (before, steps) = (bob.snapshot(), kdf::STEP_COUNT.get());
        let too_far = bob.receive(&messages[1001], &random);
        assert_eq!(too_far.unwrap_err(), DecryptError::Undecryptable);
        assert_eq!(bob.snapshot(), before, "nothing was kept");
        assert_eq!(kdf::STEP_COUNT.get(), steps, "nothing was derived");

        bob.receive(&messages[1000], &random).unwrap();
        assert_eq!(kdf::STEP_COUNT.get(), steps + 1001);
        assert_eq!(bob.sessions.current.as_ref().unwrap().ratchet.skipped.len(), MAX_SKIPPED);
        // Another skipped key pushes out the oldest one.
        bob.receive(&messages[1002], &random).unwrap();
        assert_eq!(bob.sessions.current.as_ref().unwrap().ratchet.skipped.len(), MAX_SKIPPED);
        assert_eq!(bob.receive(&messages[0], &random).unwrap_err(), DecryptError::Undecryptable);
        bob.restart();
        bob.receive(&messages[1], &random).unwrap();
        bob.receive(&messages.remove(1001), &random).unwrap();
        assert_eq!(bob.sessions.current.as_ref().unwrap().ratchet.skipped.len(), MAX_SKIPPED - 2);
    }

    fn c03_a_counter_of_four_billion_costs_nothing<P: Profile>() {
        let random = SeededRandom::new(4);
        let (alice, mut bob) = acquainted::<P>(&random);
        let known = alice.sessions.current.as_ref().unwrap().ratchet.own.public();
        let fresh = DhPair::generate(&random).public();
        let far = [(known, u32::MAX, 0), (known, u32::MAX - 1, 0), (fresh, u32::MAX, 0), (fresh, 0, u32::MAX), (fresh, 999, 3)];
        for (ratchet, counter, previous) in far {
            let bytes = ratchet::seal::<P>(&[1; 32], &Header { ratchet, counter, previous }, b"text", b"");
            let (before, steps) = (bob.snapshot(), kdf::STEP_COUNT.get());
            let refused = bob.receive(&Encrypted { bytes, key_exchange: false }, &random);
            assert_eq!(refused.unwrap_err(), DecryptError::Undecryptable);
            assert_eq!(bob.snapshot(), before);
            assert!(kdf::STEP_COUNT.get() - steps <= 1001, "a thousand for others and one of its own");
        }
    }

    fn c03_what_both_chains_skip_counts_together<P: Profile>() {
        let random = SeededRandom::new(5);
        let (mut alice, mut bob) = acquainted::<P>(&random);
        bob.receive(&alice.send(b"begin the chain"), &random).unwrap();
        let lost: Vec<_> = (0..600).map(|_| alice.send(b"late")).collect();
        alice.receive(&bob.send(b"turn"), &random).unwrap();
        let after: Vec<_> = (0..402).map(|_| alice.send(b"text")).collect();
        assert_eq!(bob.receive(&after[401], &random).unwrap_err(), DecryptError::Undecryptable);
        bob.receive(&after[400], &random).unwrap();
        assert_eq!(bob.sessions.current.as_ref().unwrap().ratchet.skipped.len(), MAX_SKIPPED);
        bob.receive(&lost[0], &random).unwrap();
        bob.receive(&lost[599], &random).unwrap();
    }

    fn c06_a_bundle_with_a_bad_signature_or_without_prekeys_is_refused<P: Profile>() {
        let random = SeededRandom::new(6);
        let device = Device::generate(NOW, &random);
        let good = device.bundle::<P>();
        let parse = |published: &PublishedBundle| Bundle::<P>::parse(published).err();
        assert_eq!(parse(&good), None);

        for at in 0..64 {
            let mut bad = good.clone();
            bad.signature[at] ^= 0x10;
            assert_eq!(parse(&bad), Some(BundleError::BadSignature));
        }
        let bad = PublishedBundle { signature: good.signature[..63].to_vec(), ..good.clone() };
        assert_eq!(parse(&bad), Some(BundleError::BadSignature));
        let other = Device::generate(NOW, &random).bundle::<P>();
        let bad = PublishedBundle { signed_prekey: other.signed_prekey.clone(), ..good.clone() };
        assert_eq!(parse(&bad), Some(BundleError::BadSignature), "another's signed prekey");
        let bad = PublishedBundle { identity_key: other.identity_key, ..good.clone() };
        assert_eq!(parse(&bad), Some(BundleError::BadSignature), "another's identity");
        let bad = PublishedBundle { prekeys: Vec::new(), ..good };
        assert_eq!(parse(&bad), Some(BundleError::NoPrekey));
    }

    fn c06_keys_of_small_order_are_refused_everywhere<P: Profile>() {
        let random = SeededRandom::new(7);
        let (mut alice, bob) = (Party::<P>::new(&random), Party::<P>::new(&random));
        for text in SMALL_ORDER {
            let bad_key = point(text);
            assert!(IdentityKey::from_montgomery(&bad_key).is_err(), "{text}");

            // One-time prekeys are not signed, so a server can put them there.
            let mut published = bob.device.bundle::<P>();
            published.prekeys.iter_mut().for_each(|prekey| prekey.key = written::<P>(&bad_key));
            let bundle = Bundle::<P>::parse(&published).unwrap();
            let before = alice.snapshot();
            let refused = alice.sessions.start(&alice.device, &bundle, NOW, &random);
            assert_eq!(refused, Err(BundleError::Key(KeyError::SmallOrder)), "{text}");
            assert_eq!(alice.snapshot(), before);

            // A signed prekey of small order, honestly signed.
            let mut bundle = bob.bundle();
            bundle.signed_prekey.1 = RatchetKey::from_bytes(&bad_key).unwrap();
            assert!(alice.sessions.start(&alice.device, &bundle, NOW, &random).is_err(), "{text}");
        }
    }

    fn c06_key_exchanges_with_bad_keys_or_without_prekey_are_refused<P: Profile>() {
        let random = SeededRandom::new(8);
        let (mut alice, mut bob) = (Party::<P>::new(&random), Party::<P>::new(&random));
        alice.start(&bob, &random);
        let good = alice.send(b"text");
        let (exchange, message) = P::parse_exchange(&good.bytes).unwrap();
        let mut refuse = |bytes: Vec<u8>, why: &str| {
            let before = bob.snapshot();
            let refused = bob.receive(&Encrypted { bytes, key_exchange: true }, &random);
            assert_eq!(refused.unwrap_err(), DecryptError::Undecryptable, "{why}");
            assert_eq!(bob.snapshot(), before, "{why}");
        };
        for text in SMALL_ORDER {
            let mut bad = exchange;
            bad.ephemeral = RatchetKey::from_bytes(&point(text)).unwrap();
            refuse(P::frame_exchange(&bad, 1, message.to_vec()).unwrap(), text);
        }
        for prekey_id in [0, 101, u32::MAX] {
            let bad = super::super::profile::Exchange { prekey_id, ..exchange };
            refuse(P::frame_exchange(&bad, 1, message.to_vec()).unwrap(), "an unknown prekey");
        }
        let bad = super::super::profile::Exchange { signed_prekey_id: 9, ..exchange };
        refuse(P::frame_exchange(&bad, 1, message.to_vec()).unwrap(), "an unknown signed prekey");

        // Field 1 comes first and is the prekey's id: two bytes, after the version byte of legacy.
        let at = if P::ID == ProfileId::Legacy { 1 } else { 0 };
        let mut without = good.bytes.clone();
        assert_eq!(without[at], 0x08);
        without.drain(at..at + 2);
        refuse(without, "no prekey");
        let mut twice = good.bytes.clone();
        twice.extend([0x08, good.bytes[at + 1]]);
        refuse(twice, "the prekey's id twice");

        let mut unknown_field = good.bytes.clone();
        unknown_field.extend([0x78, 1]);
        bob.receive(&Encrypted { bytes: unknown_field, key_exchange: true }, &random).unwrap();
    }

    fn c11_a_message_does_not_open_for_its_sender_nor_in_the_other_direction<P: Profile>() {
        let random = SeededRandom::new(9);
        let (mut alice, mut bob) = acquainted::<P>(&random);
        let from_alice = alice.send(b"text");
        assert_eq!(alice.receive(&from_alice, &random).unwrap_err(), DecryptError::Undecryptable);
        let from_bob = bob.send(b"text");
        assert_eq!(bob.receive(&from_bob, &random).unwrap_err(), DecryptError::Undecryptable);
        // The first and the second of each, as initiator and as responder.
        for _ in 0..2 {
            let (from_alice, from_bob) = (alice.send(b"a"), bob.send(b"b"));
            assert_eq!(*bob.receive(&from_alice, &random).unwrap().key_material, *b"a");
            assert_eq!(*alice.receive(&from_bob, &random).unwrap().key_material, *b"b");
        }
    }

    /// libsignal says one message less than its last chain had, so the last one may be unaccounted for.
    fn c11_the_last_message_of_a_chain_may_be_late_though_the_next_chain_does_not_know_of_it<P: Profile>() {
        let random = SeededRandom::new(21);
        let (mut alice, mut bob) = acquainted::<P>(&random);
        bob.receive(&alice.send(b"first of the chain"), &random).unwrap();
        let late = alice.send(b"last of the chain");
        alice.receive(&bob.send(b"turn"), &random).unwrap();
        alice.sessions.current.as_mut().unwrap().ratchet.previous -= 1;
        bob.receive(&alice.send(b"next chain"), &random).unwrap();
        bob.restart();
        assert_eq!(*bob.receive(&late, &random).unwrap().key_material, *b"last of the chain");
    }

    fn c12_every_altered_byte_and_every_cut_fails_alike<P: Profile>() {
        let random = SeededRandom::new(10);
        let (mut alice, mut bob) = acquainted::<P>(&random);
        let message = alice.send(&[7; 48]);
        let before = bob.snapshot();
        let mut altered: Vec<Vec<u8>> = (0..message.bytes.len()).map(|at| message.bytes[..at].to_vec()).collect();
        for at in 0..message.bytes.len() {
            for bit in [0x01, 0x80] {
                let mut bytes = message.bytes.clone();
                bytes[at] ^= bit;
                altered.push(bytes);
            }
        }
        altered.push([&message.bytes[..], &[0]].concat());
        altered.push(message.bytes.repeat(2));
        altered.push(vec![0; MAX_WIRE_BYTES + 1]);
        for bytes in altered {
            let refused = bob.receive(&Encrypted { bytes, key_exchange: false }, &random);
            assert_eq!(refused.unwrap_err(), DecryptError::Undecryptable);
        }
        assert_eq!(bob.snapshot(), before);
        bob.receive(&message, &random).unwrap();
    }

    /// Bytes that nobody has authenticated reach no cipher: what its padding says could be heard otherwise.
    fn c12_nothing_is_decrypted_before_its_mac_has_been_checked<P: Profile>() {
        let random = SeededRandom::new(10);
        let (mut alice, mut bob) = acquainted::<P>(&random);
        let mut message = alice.send(&[7; 48]);
        *message.bytes.last_mut().unwrap() ^= 1; // always authenticated: part of a MAC, or of a ciphertext under one
        let before = kdf::DECRYPT_COUNT.get();
        assert_eq!(bob.receive(&message, &random).unwrap_err(), DecryptError::Undecryptable);
        assert_eq!(kdf::DECRYPT_COUNT.get(), before);
        *message.bytes.last_mut().unwrap() ^= 1;
        bob.receive(&message, &random).unwrap();
        assert_eq!(kdf::DECRYPT_COUNT.get(), before + 1);
    }

    /// Receiving chains are few, however often the peer changes its ratchet key: the oldest goes.
    fn c03_old_receiving_chains_are_forgotten<P: Profile>() {
        let random = SeededRandom::new(14);
        let (mut alice, mut bob) = acquainted::<P>(&random);
        for _ in 0..2 * MAX_RECEIVING_CHAINS {
            let there = alice.send(b"there");
            bob.receive(&there, &random).unwrap();
            let back = bob.send(b"and back");
            alice.receive(&back, &random).unwrap();
        }
        for party in [&alice, &bob] {
            assert_eq!(party.sessions.current.as_ref().unwrap().ratchet.receiving.len(), MAX_RECEIVING_CHAINS);
        }
    }

    /// A valid MAC over a wrong padding: only the peer itself could make it, and it fails like everything else.
    fn c12_bad_padding_fails_like_a_bad_mac<P: Profile>() {
        let keys = kdf::MessageKeys::derive(&[1; 32], P::MESSAGE_INFO);
        for ciphertext in [&[0u8; 48][..], &[0; 47], &[]] {
            assert!(keys.decrypt(ciphertext).is_err());
        }
    }

    fn a_message_for_an_archived_session_makes_it_current_again<P: Profile>() {
        let random = SeededRandom::new(11);
        let (mut alice, mut bob) = acquainted::<P>(&random);
        let old = alice.sessions.current.as_ref().unwrap().exchange.ephemeral;
        let on_old = alice.send(b"on the old session");
        alice.start(&bob, &random);
        bob.receive(&alice.send(b"on the new"), &random).unwrap();
        assert_ne!(bob.sessions.current.as_ref().unwrap().exchange.ephemeral, old);
        bob.receive(&on_old, &random).unwrap();
        assert_eq!(bob.sessions.current.as_ref().unwrap().exchange.ephemeral, old);
        assert_eq!(bob.sessions.archived.len(), 1);
    }

    fn archived_sessions_are_few_and_forgotten_after_thirty_days<P: Profile>() {
        let random = SeededRandom::new(12);
        let (mut alice, bob) = (Party::<P>::new(&random), Party::<P>::new(&random));
        for _ in 0..MAX_ARCHIVED + 3 {
            alice.start(&bob, &random);
        }
        assert_eq!(alice.sessions.archived.len(), MAX_ARCHIVED);
        alice.sessions.expire(NOW + 30 * DAY);
        assert_eq!(alice.sessions.archived.len(), MAX_ARCHIVED);
        alice.sessions.expire(NOW + 30 * DAY + 1);
        assert_eq!(alice.sessions.archived.len(), 0);
    }

    fn an_unanswered_session_serves_thirty_days<P: Profile>() {
        let random = SeededRandom::new(13);
        let (mut alice, mut bob) = (Party::<P>::new(&random), Party::<P>::new(&random));
        assert!(!alice.sessions.is_ready(NOW));
        assert_eq!(alice.sessions.encrypt(&alice.device, b"text", NOW), Err(EncryptError::NoSession));
        alice.start(&bob, &random);
        assert!(alice.sessions.is_ready(NOW + 30 * DAY));
        assert!(!alice.sessions.is_ready(NOW + 30 * DAY + 1));
        bob.receive(&alice.send(b"text"), &random).unwrap();
        alice.receive(&bob.send(b"text"), &random).unwrap();
        assert!(alice.sessions.is_ready(NOW + 300 * DAY));
        let long = vec![0; MAX_KEY_MATERIAL_BYTES + 1];
        assert_eq!(alice.sessions.encrypt(&alice.device, &long, NOW), Err(EncryptError::TooLong));
    }

    fn another_identity_than_the_pinned_one_is_reported_and_changes_nothing<P: Profile>() {
        let random = SeededRandom::new(14);
        let (mut alice, mut bob) = (Party::<P>::new(&random), Party::<P>::new(&random));
        let pinned = *Device::generate(NOW, &random).identity();
        alice.start(&bob, &random);
        let message = alice.send(b"text");
        let before = bob.snapshot();
        let incoming = Incoming { bytes: &message.bytes, key_exchange: true, delivery: Delivery::Live, now: NOW };
        let refused = bob.sessions.decrypt(&mut bob.device, &incoming, Some(&pinned), &random);
        assert_eq!(refused.unwrap_err(), DecryptError::IdentityChanged { claimed: *alice.device.identity() });
        assert_eq!(bob.snapshot(), before);
        let opened = bob.sessions.decrypt(&mut bob.device, &incoming, Some(alice.device.identity()), &random).unwrap();
        assert_eq!(opened.identity, *alice.device.identity());
    }

    fn a_new_session_is_answered_once_and_then_carries_no_key_exchange<P: Profile>() {
        let random = SeededRandom::new(15);
        let (mut alice, mut bob) = (Party::<P>::new(&random), Party::<P>::new(&random));
        alice.start(&bob, &random);
        let (first, second) = (alice.send(b"1"), alice.send(b"2"));
        assert!(first.key_exchange && second.key_exchange && alice.sessions.is_unacknowledged());
        let opened = bob.receive(&second, &random).unwrap();
        assert!(opened.new_session && opened.used_prekey.is_some());
        let reply = opened.reply_due.unwrap();
        assert_eq!(reply.reason, ReplyReason::NewSession);
        let opened = bob.receive(&first, &random).unwrap();
        assert!(!opened.new_session && opened.used_prekey.is_none() && opened.reply_due.is_none());
        let answer = bob.sessions.encrypt_reply(&bob.device, &reply, &[0; 32]).unwrap();
        assert!(!answer.key_exchange);
        alice.receive(&answer, &random).unwrap();
        assert!(!alice.sessions.is_unacknowledged());
        assert!(!alice.send(b"3").key_exchange);
    }

    fn a_repeated_key_exchange_must_name_the_same_identity<P: Profile>() {
        let random = SeededRandom::new(22);
        let (mut alice, mut bob) = (Party::<P>::new(&random), Party::<P>::new(&random));
        alice.start(&bob, &random);
        bob.receive(&alice.send(b"1"), &random).unwrap();
        let second = alice.send(b"2");
        let (exchange, message) = P::parse_exchange(&second.bytes).unwrap();
        let identity = *Device::generate(NOW, &random).identity();
        let other = super::super::profile::Exchange { identity, ..exchange };
        let bytes = P::frame_exchange(&other, 1, message.to_vec()).unwrap();
        let before = bob.snapshot();
        let refused = bob.receive(&Encrypted { bytes, key_exchange: true }, &random);
        assert_eq!(refused.unwrap_err(), DecryptError::Undecryptable);
        assert_eq!(bob.snapshot(), before);
        bob.receive(&second, &random).unwrap();
    }

    fn a_heartbeat_is_due_once_per_chain_from_fifty_three_on<P: Profile>() {
        let random = SeededRandom::new(16);
        let (mut alice, mut bob) = acquainted::<P>(&random);
        for round in 0..2 {
            let due: Vec<_> = (0..60)
                .map(|_| alice.send(b"text"))
                .filter_map(|message| bob.receive(&message, &random).unwrap().reply_due)
                .collect();
            assert_eq!(due.len(), 1, "round {round}");
            assert_eq!(due[0].reason, ReplyReason::Heartbeat);
            bob.restart();
            assert!(bob.receive(&alice.send(b"text"), &random).unwrap().reply_due.is_none());
            let heartbeat = bob.sessions.encrypt_reply(&bob.device, &due[0], &[0; 32]).unwrap();
            alice.receive(&heartbeat, &random).unwrap();
        }
    }

    /// Two senders picked the same prekey while we were away; the second one's session may only receive at first.
    fn a_prekey_used_twice_serves_both_and_the_second_must_be_answered<P: Profile>() {
        let random = SeededRandom::new(17);
        let mut bob = Party::<P>::new(&random);
        let (mut alice, mut carol) = (Party::<P>::new(&random), Party::<P>::new(&random));
        let mut bundle = bob.bundle();
        bundle.prekeys.truncate(1);
        alice.sessions.start(&alice.device, &bundle, NOW, &random).unwrap();
        carol.sessions.start(&carol.device, &bundle, NOW, &random).unwrap();
        bob.receive(&alice.send(b"from alice"), &random).unwrap();
        bob.sessions = SessionSet::new();

        let message = carol.send(b"from carol");
        let opened = bob.receive(&message, &random).unwrap();
        let reply = opened.reply_due.unwrap();
        assert_eq!(reply.reason, ReplyReason::ReusedPrekey);
        assert!(!bob.sessions.is_ready(NOW), "receive-only");
        bob.receive(&carol.send(b"still the same chain"), &random).unwrap();
        bob.restart();
        bob.receive(&carol.send(b"and after a restart"), &random).unwrap();
        assert!(!bob.sessions.is_ready(NOW), "still receive-only");

        let answer = bob.sessions.encrypt_reply(&bob.device, &reply, &[0; 32]).unwrap();
        carol.receive(&answer, &random).unwrap();
        bob.receive(&carol.send(b"moved on"), &random).unwrap();
        assert!(bob.sessions.is_ready(NOW));
        carol.receive(&bob.send(b"both ways"), &random).unwrap();
    }

    /// Ten minutes after a bundle without it is out, nobody can be on their way with it any more, but for what had waited.
    fn a_used_prekey_serves_until_ten_minutes_after_a_bundle_without_it<P: Profile>() {
        let random = SeededRandom::new(30);
        let mut bob = Party::<P>::new(&random);
        let mut bundle = bob.bundle();
        bundle.prekeys.truncate(1);
        let writes = || {
            let mut party = Party::<P>::new(&random);
            party.sessions.start(&party.device, &bundle, NOW, &random).unwrap();
            party.send(b"hello")
        };
        let received = |bob: &mut Party<P>, message: &Encrypted, delivery, now| {
            bob.restart();
            let incoming = Incoming { bytes: &message.bytes, key_exchange: true, delivery, now };
            SessionSet::<P>::new().decrypt(&mut bob.device, &incoming, None, &random).map(|_| ())
        };
        let first = writes();
        received(&mut bob, &first, Delivery::Live, NOW).unwrap();
        assert!(bob.device.is_publication_due());
        let publication = bob.device.publication();
        // However long no bundle without it is out, and whatever is completed meanwhile.
        bob.device.catch_up_completed(NOW + 9 * DAY);
        received(&mut bob, &writes(), Delivery::Live, NOW + 9 * DAY).unwrap();
        bob.device.published(&publication, NOW);
        assert!(!bob.device.is_publication_due());
        assert_eq!(bob.device.next_erasure(), Some(NOW + PREKEY_GRACE_SECONDS));
        bob.device.catch_up_completed(NOW + 599);
        received(&mut bob, &writes(), Delivery::Live, NOW + 599).unwrap();
        let refused = received(&mut bob, &writes(), Delivery::Live, NOW + 600);
        assert_eq!(refused.unwrap_err(), DecryptError::Undecryptable);
        let late = writes();
        received(&mut bob, &late, Delivery::CatchUp, NOW + 600).unwrap();
        for repeated in [&first, &late] {
            let refused = received(&mut bob, repeated, Delivery::CatchUp, NOW + 600);
            assert_eq!(refused.unwrap_err(), DecryptError::Undecryptable, "the same key exchange, never twice");
        }
        bob.device.catch_up_completed(NOW + 600);
        assert_eq!((bob.device.used_prekey_count(), bob.device.next_erasure()), (0, None));
        let refused = received(&mut bob, &writes(), Delivery::CatchUp, NOW + 600);
        assert_eq!(refused.unwrap_err(), DecryptError::Undecryptable, "the private part is erased");
    }

    fn one_prekey_serves_no_more_than_sixteen_senders<P: Profile>() {
        let random = SeededRandom::new(31);
        let mut bob = Party::<P>::new(&random);
        let mut bundle = bob.bundle();
        bundle.prekeys.truncate(1);
        for number in 0..17 {
            let mut party = Party::<P>::new(&random);
            party.sessions.start(&party.device, &bundle, NOW, &random).unwrap();
            bob.sessions = SessionSet::new();
            assert_eq!(bob.receive(&party.send(b"hello"), &random).is_ok(), number < 16, "{number}");
        }
    }

    /// A peer whose state was put back writes other words in places that have passed: not a repetition.
    fn c23_other_words_in_a_place_that_has_passed_are_no_repetition<P: Profile>() {
        let random = SeededRandom::new(32);
        let (mut alice, mut bob) = acquainted::<P>(&random);
        let before = alice.snapshot();
        let lost: Vec<_> = (0..3u8).map(|n| alice.send(&[n])).collect();
        lost.iter().for_each(|message| drop(bob.receive(message, &random).unwrap()));
        bob.restart();
        let mut restored = Party::<P> {
            device: Device::from_bytes(&before.0).unwrap(),
            sessions: SessionSet::from_bytes(&before.1).unwrap(),
        };
        for (number, old) in lost.iter().enumerate() {
            let new = restored.send(format!("other words {number}").as_bytes());
            assert_eq!(bob.receive(&new, &random).unwrap_err(), DecryptError::Undecryptable);
            assert!(!bob.sessions.looks_repeated(&new.bytes, new.key_exchange));
            assert!(bob.sessions.looks_repeated(&old.bytes, old.key_exchange));
        }
    }

    fn a_chain_remembers_the_last_thousand_messages_and_no_more<P: Profile>() {
        let random = SeededRandom::new(33);
        let (mut alice, mut bob) = acquainted::<P>(&random);
        let sent: Vec<_> = (0..=MAX_OPENED_HASHES).map(|n| alice.send(&n.to_le_bytes())).collect();
        sent.iter().for_each(|message| drop(bob.receive(message, &random).unwrap()));
        let kept = |bob: &Party<P>| bob.sessions.current.as_ref().unwrap().ratchet.receiving.last().unwrap().opened.hashes.len();
        assert_eq!(kept(&bob), MAX_OPENED_HASHES);
        bob.restart();
        assert_eq!(kept(&bob), MAX_OPENED_HASHES);
        assert!(bob.sessions.looks_repeated(&sent[MAX_OPENED_HASHES].bytes, false));
    }

    /// Only what our own key signed, and this state has never made, proves that a copy is in use (C24).
    fn c24_nothing_but_a_signed_prekey_that_was_never_made_is_proof<P: Profile>() {
        let random = SeededRandom::new(34);
        let mut device = Device::generate(NOW, &random);
        let mut copy = Device::from_bytes(&device.to_bytes()).unwrap();
        let first = device.bundle::<P>();
        assert!(!device.is_copied::<P>(&first));
        device.maintain(NOW + 7 * DAY, &random);
        assert!(!device.is_copied::<P>(&first), "an old one of our own");
        let mut renamed = first.clone();
        renamed.signed_prekey.id = 9999;
        assert!(!device.is_copied::<P>(&renamed), "an old one under a new id: ids are not signed");
        let mut forged = device.bundle::<P>();
        forged.prekeys.iter_mut().for_each(|prekey| prekey.id += 100_000);
        assert!(!device.is_copied::<P>(&forged), "one-time prekeys are not signed");
        forged.prekeys.clear();
        assert!(!device.is_copied::<P>(&forged));
        let stranger = Device::generate(NOW, &random).bundle::<P>();
        assert!(!device.is_copied::<P>(&stranger), "of another identity");
        let mut claimed = stranger.clone();
        claimed.identity_key = first.identity_key.clone();
        assert!(!device.is_copied::<P>(&claimed), "not signed by us");
        copy.maintain(NOW + 8 * DAY, &random);
        let made_elsewhere = copy.bundle::<P>();
        for byte in 0..made_elsewhere.signature.len() {
            let mut flipped = made_elsewhere.clone();
            flipped.signature[byte] ^= 1;
            assert!(!device.is_copied::<P>(&flipped), "byte {byte}");
        }
        assert!(device.is_copied::<P>(&made_elsewhere));
        let again = Device::from_bytes(&device.to_bytes()).unwrap();
        assert!(again.is_copied::<P>(&made_elsewhere) && !again.is_copied::<P>(&first), "remembered for good");
        device.made.complete = false;
        assert!(!device.is_copied::<P>(&made_elsewhere), "an older store has no full list, and takes no such proof");
    }
}

/// Ed25519 as RFC 8032 leaves it open.
fn lax(identity: &IdentityKey, signature: &[u8; 64]) -> bool {
    let key = identity.ed25519().and_then(|bytes| ed25519_dalek::VerifyingKey::from_bytes(bytes).ok()).unwrap();
    ed25519_dalek::Verifier::verify(&key, b"text", &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
}

#[test]
fn c10_ed25519_keys_and_signatures_are_strict() {
    let device = Device::generate(NOW, &SeededRandom::new(18));
    let identity = device.identity();
    let signature = device.sign(b"text");
    assert!(identity.verify(b"text", &signature));
    assert!(!identity.verify(b"other", &signature));

    // S + L passes a lax verifier.
    let order = point("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut malleated = signature;
    let mut carry = 0u16;
    for (at, add) in order.iter().enumerate() {
        let sum = u16::from(malleated[32 + at]) + u16::from(*add) + carry;
        malleated[32 + at] = sum as u8;
        carry = sum >> 8;
    }
    assert_ne!(malleated, signature);
    assert!(!identity.verify(b"text", &malleated));
    assert!(!xeddsa::verify(identity, b"text", &malleated));

    // R and S of zero: verifies anything under a key of small order, were one accepted.
    let mut neutral = [0; 64];
    neutral[0] = 1;
    assert!(!identity.verify(b"text", &neutral));
    assert!(!xeddsa::verify(identity, b"text", &neutral));

    // R of small order: whoever has the secret key can make such a signature, which a lax verifier accepts, and so one
    // signature could be told from another by who looks at it.
    let mut challenge = sha2::Sha512::new();
    challenge.update(&neutral[..32]);
    challenge.update(identity.ed25519().expect("an own key has both forms"));
    challenge.update(b"text");
    let secret = ed25519_dalek::SigningKey::from_bytes(device.identity.seed().expose()).to_scalar();
    let challenge = curve25519_dalek::Scalar::from_bytes_mod_order_wide(&challenge.finalize().into());
    let mut small = neutral;
    small[32..].copy_from_slice((challenge * secret).as_bytes());
    assert!(lax(identity, &small), "the forgery is one that counts");
    assert!(!identity.verify(b"text", &small));

    for (text, error) in [
        ("0100000000000000000000000000000000000000000000000000000000000000", KeyError::SmallOrder),
        ("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", KeyError::SmallOrder),
        ("0000000000000000000000000000000000000000000000000000000000000000", KeyError::SmallOrder),
        ("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", KeyError::SmallOrder),
        // The neutral element with a sign, and y = p + 1.
        ("0100000000000000000000000000000000000000000000000000000000000080", KeyError::NotCanonical),
        ("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", KeyError::NotCanonical),
        ("0200000000000000000000000000000000000000000000000000000000000000", KeyError::NotOnCurve),
    ] {
        assert_eq!(IdentityKey::from_ed25519(&point(text)), Err(error), "{text}");
    }
}

#[test]
fn c10_the_sign_of_a_legacy_signature_counts() {
    let random = SeededRandom::new(19);
    let mut signs = [false; 2];
    for _ in 0..16 {
        let private = Secret::<32>::generate(&random);
        let public = DhPair::from_secret(private.duplicate()).public();
        let identity = IdentityKey::from_montgomery(public.as_bytes()).unwrap();
        let mut signature = xeddsa::sign(&private, b"text", &Secret::generate(&random));
        assert!(xeddsa::verify(&identity, b"text", &signature));
        signs[usize::from(xeddsa::sign_bit(&signature))] = true;
        signature[63] ^= 0x80;
        assert!(!xeddsa::verify(&identity, b"text", &signature));
    }
    assert_eq!(signs, [true; 2], "both were met");
}

#[test]
fn c10_montgomery_keys_are_canonical_and_legacy_keys_typed() {
    for text in [
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0900000000000000000000000000000000000000000000000000000000000080",
    ] {
        assert_eq!(RatchetKey::from_bytes(&point(text)), Err(KeyError::NotCanonical), "{text}");
        assert_eq!(IdentityKey::from_montgomery(&point(text)), Err(KeyError::NotCanonical), "{text}");
    }
    let base = point("0900000000000000000000000000000000000000000000000000000000000000");
    assert!(RatchetKey::from_legacy(&[&[5], &base[..]].concat()).is_ok());
    assert_eq!(RatchetKey::from_legacy(&[&[4], &base[..]].concat()), Err(KeyError::Malformed));
    assert_eq!(RatchetKey::from_legacy(&base), Err(KeyError::Malformed));
    assert_eq!(RatchetKey::from_legacy(&[]), Err(KeyError::Malformed));
    assert_eq!(RatchetKey::from_slice(&base[..31]), Err(KeyError::Malformed));
    // Two is the u of a point of the twist: no signature could ever be checked with it.
    let twist = point("0200000000000000000000000000000000000000000000000000000000000000");
    assert_eq!(IdentityKey::from_montgomery(&twist), Err(KeyError::NotOnCurve));
}

#[test]
fn nothing_secret_or_identifying_is_printed() {
    let random = SeededRandom::new(20);
    let (alice, _) = acquainted::<Omemo2>(&random);
    let printed = format!("{:?} {:?} {:?}", alice.device, alice.device.identity(), alice.sessions);
    assert_eq!(printed, "Device(<redacted>) IdentityKey(<redacted>) SessionSet { current: true, archived: 0 }");
}
