//! Messages for people who are away, and what an acknowledgement is worth (XEP-0160, XEP-0198).

use std::time::Duration;

use super::{condition, ids, world};
use crate::offline::{self, Kept};
use crate::tables::{OFFLINE, OFFLINE_QUOTA, OfflineRow};
use crate::testing::{World, run};

fn message(to: &str, id: &str) -> String {
    format!("<message to='{to}' type='chat' id='{id}'><body>secret words {id}</body></message>")
}

fn messages(world: &mut World, client: usize) -> Vec<String> {
    let got = world.take(client);
    ids(&got.into_iter().filter(|s| s.name() == "message").collect::<Vec<_>>()).into_iter().map(str::to_owned).collect()
}

/// Signs bob in and returns the ids of the messages that waited for him.
fn bob_reads(world: &mut World, resource: &str) -> Vec<String> {
    let bob = world.connect("bob@north.example", resource);
    world.send(bob, "<presence/>");
    messages(world, bob)
}

#[test]
fn messages_wait_in_order_and_say_when_they_came() {
    let mut world = world(1);
    let alice = world.online("alice@north.example", "desk");
    for id in ["1", "2", "3"] {
        world.send(alice, &message("bob@north.example", id));
        world.advance(Duration::from_secs(1));
    }
    let bob = world.connect("bob@north.example", "phone");
    assert!(world.take(bob).is_empty(), "not before initial presence");
    world.send(bob, "<presence><priority>-1</priority></presence>");
    assert!(messages(&mut world, bob).is_empty(), "not with a negative priority");
    world.send(bob, "<presence/>");
    let got = world.take(bob);
    let got: Vec<_> = got.into_iter().filter(|s| s.name() == "message").collect();
    assert_eq!(ids(&got), ["1", "2", "3"]);
    let delay = got[0].child("delay", "urn:xmpp:delay").expect("a delay stamp");
    assert_eq!(delay.attr("from"), Some("north.example"));
    assert_eq!(delay.attr("stamp").map(str::len), Some("2026-05-28T20:26:40.000Z".len()));
    // they are gone now
    world.cut(bob);
    assert!(bob_reads(&mut world, "other").is_empty());
}

#[test]
fn a_client_without_acknowledgements_gets_them_once() {
    let mut world = world(2);
    let alice = world.online("alice@north.example", "desk");
    world.send(alice, &message("bob@north.example", "1"));
    let bob = world.connect_with("bob@north.example", "old", false);
    world.send(bob, "<presence/>");
    assert_eq!(messages(&mut world, bob), ["1"]);
    world.cut(bob);
    assert!(bob_reads(&mut world, "new").is_empty());
}

/// A killed client must not lose offline messages while its old session lingers.
#[test]
fn what_a_dead_client_never_acknowledged_is_still_there() {
    let mut world = world(3);
    let alice = world.online("alice@north.example", "desk");
    world.send(alice, &message("bob@north.example", "1"));
    let dead = world.connect("bob@north.example", "phone");
    world.client(dead).handles = false;
    world.send(dead, "<presence/>");
    assert_eq!(messages(&mut world, dead), ["1"]);
    world.freeze(dead);
    // the new session comes while the old one still looks alive, under the same name and under another one
    let again = world.connect("bob@north.example", "laptop");
    world.send(again, "<presence/>");
    world.take(again);
    world.advance(Duration::from_secs(400));
    assert_eq!(messages(&mut world, again), ["1"], "handed on when the old session was found dead");
}

#[test]
fn a_replaced_session_hands_on_what_it_did_not_acknowledge() {
    let mut world = world(4);
    let alice = world.online("alice@north.example", "desk");
    let dead = world.online("bob@north.example", "phone");
    world.freeze(dead);
    world.send(alice, &message("bob@north.example", "1"));
    world.send(alice, &message("bob@north.example/phone", "2"));
    assert_eq!(bob_reads(&mut world, "phone"), ["1", "2"]);
}

#[test]
fn a_live_message_that_was_never_acknowledged_goes_to_who_came_later() {
    let mut world = world(5);
    let alice = world.online("alice@north.example", "desk");
    let desk = world.online("bob@north.example", "desk");
    let dead = world.online("bob@north.example", "phone");
    world.take(desk);
    world.advance(Duration::from_secs(1));
    world.freeze(dead);
    world.send(alice, &message("bob@north.example", "both"));
    world.send(alice, &message("bob@north.example/phone", "phone"));
    assert_eq!(messages(&mut world, desk), ["both"]);
    world.cut(dead);
    assert_eq!(messages(&mut world, desk), ["phone"], "what desk has is not repeated to it");
    let after = bob_reads(&mut world, "phone");
    assert_eq!(after, ["both"], "the device that missed it finds it at its next sign-in");
}

/// The message was written to disk for the sender's sake, after the other device had looked for what waited.
#[test]
fn a_stored_copy_of_a_live_message_reaches_who_came_later_when_its_receiver_dies() {
    let mut world = world(10);
    let alice = world.online("alice@north.example", "desk");
    let dead = world.online("bob@north.example", "phone");
    world.freeze(dead);
    world.send(alice, &message("bob@north.example", "1"));
    world.advance(Duration::from_millis(10));
    let desk = world.online("bob@north.example", "desk");
    world.advance(Duration::from_millis(100));
    assert!(messages(&mut world, desk).is_empty());
    world.cut(dead);
    assert_eq!(messages(&mut world, desk), ["1"]);
}

#[test]
fn what_means_nothing_later_is_dropped_and_a_full_queue_says_so() {
    let mut world = World::with_config(6, &["north.example"], |c| {
        (c.limits.offline_bytes, c.limits.offline_sender_divisor) = (300, 1);
    });
    world.register("alice@north.example");
    world.register("bob@north.example");
    let alice = world.online("alice@north.example", "desk");
    let typing = "<message to='bob@north.example' type='chat' id='t'>\
        <composing xmlns='http://jabber.org/protocol/chatstates'/></message>";
    world.send(alice, typing);
    world.send(alice, &message("bob@north.example", "1"));
    assert!(world.take(alice).is_empty());
    world.send(alice, &message("bob@north.example", "2"));
    world.send(alice, &message("bob@north.example", "3"));
    let got = world.take(alice);
    assert_eq!(got.last().and_then(condition), Some("service-unavailable"));
    let kept = bob_reads(&mut world, "phone");
    assert_eq!(kept.first().map(String::as_str), Some("1"));
    // reading makes room again
    world.send(alice, "<message to='bob@north.example/phone' type='error' id='e'/>");
    let bob = 1;
    world.cut(bob);
    world.send(alice, &message("bob@north.example", "4"));
    assert_eq!(bob_reads(&mut world, "phone"), ["4"]);
}

/// Keeps a message of 200 bytes for bob and says what became of it.
fn keep(world: &World, from: &str) -> Kept {
    let mut text = format!("<message from='{from}'><body></body></message>");
    text = text.replace("<body>", &format!("<body>{}", "x".repeat(200 - text.len())));
    let frame = offline::parse_stanza(text.as_bytes()).expect("a message");
    run(offline::keep(world.broker("north.example"), "bob@north.example", &frame)).expect("the store works")
}

#[test]
fn neither_a_stranger_nor_a_domain_fills_the_queue_alone() {
    let mut world = World::with_config(11, &["north.example"], |c| c.limits.offline_bytes = 1600);
    world.register("bob@north.example");
    assert!(matches!(keep(&world, "a@south.example/1"), Kept::Row(_)), "200 bytes are an eighth");
    assert_eq!(keep(&world, "a@south.example/2"), Kept::Full, "whatever resource he uses");
    for other in ["b@south.example", "c@south.example", "d@south.example", "alice@north.example"] {
        assert!(matches!(keep(&world, other), Kept::Row(_)), "{other}");
    }
    assert_eq!(keep(&world, "e@south.example"), Kept::Full, "800 bytes are half");
    assert_eq!(keep(&world, "alice@north.example"), Kept::Full);
    for friend in ["x@west.example", "y@west.example", "carol@north.example"] {
        assert!(matches!(keep(&world, friend), Kept::Row(_)), "{friend}");
    }
    assert_eq!(keep(&world, "z@west.example"), Kept::Full, "all of it");
    assert_eq!(bob_reads(&mut world, "phone").len(), 8);
    assert!(matches!(keep(&world, "a@south.example"), Kept::Row(_)), "reading makes room in every share");
}

/// A key makes such a name, and whoever likes makes keys.
#[test]
fn b13_names_made_of_keys_fill_no_queue_together() {
    let mut world = World::with_config(13, &["north.example"], |c| c.limits.offline_bytes = 1600);
    world.register("bob@north.example");
    let friend = crate::Peer {
        domain: "tower-abcdef.local".into(),
        addresses: Vec::new(),
        pin: Some([7; 32]),
        introduced_by: vec!["bob@north.example".into()],
    };
    let known = |world: &World| run(world.broker("north.example").add_peer(friend.clone())).expect("remembered");
    assert!(matches!(keep(&world, "a@tower-abcdef.local"), Kept::Row(_)));
    for nth in 0..3 {
        assert!(matches!(keep(&world, &format!("a@n{nth}-abcdef.local")), Kept::Row(_)), "{nth}");
    }
    assert_eq!(keep(&world, "a@n3-abcdef.local"), Kept::Full, "800 bytes are half, for all of them");
    known(&world);
    assert!(matches!(keep(&world, "b@tower-abcdef.local"), Kept::Row(_)), "who has been introduced has a share");
    assert!(matches!(keep(&world, "alice@north.example"), Kept::Row(_)));
    // whoever was a stranger and is none any more leaves nothing counted
    assert_eq!(bob_reads(&mut world, "phone").len(), 6);
    let broker = world.broker("north.example").clone();
    assert_eq!(run(broker.store.list(OFFLINE_QUOTA, b"bob@north.example")).expect("read").len(), 0);
}

#[test]
fn shares_are_counted_again_when_messages_have_become_unreadable() {
    let mut world = World::with_config(12, &["north.example"], |c| c.limits.offline_bytes = 3200);
    world.register("bob@north.example");
    let broker = world.broker("north.example").clone();
    let rows = || run(broker.store.list(OFFLINE_QUOTA, b"bob@north.example")).expect("read").len();
    for from in ["a@south.example", "a@south.example", "b@south.example"] {
        assert!(matches!(keep(&world, from), Kept::Row(_)));
    }
    assert_eq!((keep(&world, "a@south.example"), rows()), (Kept::Full, 4), "all, two senders, a domain");
    world.advance(Duration::from_secs(20 * 86_400));
    assert!(matches!(keep(&world, "b@south.example"), Kept::Row(_)));
    world.advance(Duration::from_secs(12 * 86_400));
    assert_eq!(run(offline::expire(&broker)), Ok(1));
    assert_eq!(rows(), 3, "nothing is left of who has nothing here");
    assert!(matches!(keep(&world, "b@south.example"), Kept::Row(_)));
    assert_eq!(keep(&world, "b@south.example"), Kept::Full);
    assert_eq!(bob_reads(&mut world, "phone").len(), 2);
    assert_eq!(rows(), 0);
}

#[test]
fn a_slow_reader_overflows_into_the_store_and_catches_up_in_order() {
    let mut world = World::with_config(7, &["north.example"], |c| c.limits.session_queue_count = 5);
    world.register("alice@north.example");
    world.register("bob@north.example");
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    world.freeze(bob);
    let sent: Vec<String> = (0..12).map(|n| n.to_string()).collect();
    for id in &sent {
        world.send(alice, &message("bob@north.example", id));
    }
    world.thaw(bob);
    assert_eq!(messages(&mut world, bob), sent);
}

#[test]
fn many_messages_are_read_in_batches() {
    let mut world = world(8);
    let alice = world.online("alice@north.example", "desk");
    let sent: Vec<String> = (0..250).map(|n| n.to_string()).collect();
    for id in &sent {
        world.send(alice, &message("bob@north.example", id));
    }
    assert_eq!(bob_reads(&mut world, "phone"), sent);
    assert!(bob_reads(&mut world, "again").is_empty());
}

#[test]
fn old_messages_become_unreadable() {
    let mut world = world(9);
    let alice = world.online("alice@north.example", "desk");
    world.send(alice, &message("bob@north.example", "old"));
    world.advance(Duration::from_secs(20 * 86_400));
    let alice = world.online("alice@north.example", "desk");
    world.send(alice, &message("bob@north.example", "new"));
    assert_eq!(run(offline::expire(world.broker("north.example"))), Ok(0));
    world.advance(Duration::from_secs(12 * 86_400));
    assert_eq!(run(offline::expire(world.broker("north.example"))), Ok(1));
    assert_eq!(bob_reads(&mut world, "phone"), ["new"]);
}

/// Damages all rows that a step has made: those that are found by a name (their keys have 32 bytes), or the numbered ones.
fn damage_made(world: &mut World, is_numbered: bool, step: impl FnOnce(&mut World)) -> usize {
    let before = world.stored_keys("north.example");
    step(world);
    let key_bytes = if is_numbered { 24 } else { 32 };
    let mut made = world.stored_keys("north.example");
    made.retain(|key| !before.contains(key) && key.len() == key_bytes);
    made.iter().for_each(|key| world.damage("north.example", key));
    made.len()
}

/// A queue whose counters are damaged takes, counts and lets go as before.
#[test]
fn b11_a_damaged_counter_closes_no_queue() {
    for reads_first in [false, true] {
        let mut world = World::with_config(13, &["north.example"], |c| c.limits.offline_bytes = 1600);
        world.register("bob@north.example");
        keep(&world, "z@west.example"); // the day and the numbering have their rows
        assert_eq!(bob_reads(&mut world, "phone").len(), 1);
        world.crash("north.example");
        let step = |world: &mut World| assert!(matches!(keep(world, "a@south.example"), Kept::Row(_)));
        assert_eq!(damage_made(&mut world, false, step), 3, "the whole, a sender, a domain");
        world.crash("north.example");
        if reads_first {
            assert_eq!(bob_reads(&mut world, "phone").len(), 1);
            world.crash("north.example");
            assert!(bob_reads(&mut world, "phone").is_empty(), "it was let go");
        } else {
            assert!(matches!(keep(&world, "b@south.example"), Kept::Row(_)));
            for full in ["a@south.example", "b@south.example"] {
                assert_eq!(keep(&world, full), Kept::Full, "what lies there counts again");
            }
            assert_eq!(bob_reads(&mut world, "phone").len(), 2);
        }
        let store = &world.broker("north.example").store;
        assert_eq!(run(store.aside()).expect("read"), [OFFLINE_QUOTA.name; 3]);
        assert!(run(store.list(OFFLINE_QUOTA, b"bob@north.example")).expect("read").is_empty());
    }
}

/// A message that is damaged between being read and being let go holds up neither the others nor their room.
#[test]
fn b11_a_damaged_message_is_let_go() {
    let mut world = World::with_config(14, &["north.example"], |c| c.limits.offline_bytes = 1600);
    world.register("bob@north.example");
    let mut rows = Vec::new();
    let mut step = |world: &mut World| match keep(world, "a@south.example") {
        Kept::Row(row) => rows.push(row),
        other => panic!("{other:?}"),
    };
    assert_eq!(damage_made(&mut world, true, &mut step), 1);
    let broker = world.broker("north.example").clone();
    assert_eq!(run(offline::delete(&broker, "bob@north.example", &rows)), Ok(()));
    assert!(run(broker.store.list(OFFLINE_QUOTA, b"bob@north.example")).expect("read").is_empty());
    assert!(matches!(keep(&world, "a@south.example"), Kept::Row(_)), "its room is given back");
}

/// What one account's queue has wrong leaves nobody else's uncounted.
#[test]
fn b11_a_queue_that_cannot_be_counted_holds_up_no_other() {
    let mut world = World::with_config(15, &["north.example"], |c| c.limits.offline_bytes = 1600);
    let broken = ["alice@north.example", "carol@north.example", "dave@north.example", "erin@north.example"];
    broken.iter().chain(["bob@north.example"].iter()).for_each(|name| world.register(name));
    assert!(matches!(keep(&world, "a@south.example"), Kept::Row(_)));
    world.advance(Duration::from_secs(40 * 86_400));
    let broker = world.broker("north.example").clone();
    let mut transaction = broker.store.transaction();
    for name in broken {
        let row = OfflineRow { stanza: b"not a stanza".to_vec(), at: 0 };
        transaction.put(&OFFLINE.seq(name.as_bytes(), 1), prost::Message::encode_to_vec(&row));
    }
    run(transaction.commit()).expect("written");
    assert_eq!(run(offline::expire(&broker)), Err(store::StoreError::Altered));
    assert!(run(broker.store.list(OFFLINE_QUOTA, b"bob@north.example")).expect("read").is_empty());
}
