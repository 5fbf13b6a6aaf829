//! One stream, one order (RFC 6120 §10.1): whatever becomes of messages on their way, their receiver gets them as they
//! were sent.

use std::time::Duration;

use super::{ids, world};
use crate::offline::{self, Kept, ToKeep, parse_stanza};
use crate::tables::{OFFLINE, OfflineRow};
use crate::testing::{World, run};

fn message(id: usize) -> String {
    format!("<message to='bob@north.example' type='chat' id='{id}'><body>words</body></message>")
}

fn send(world: &mut World, client: usize, numbers: std::ops::Range<usize>) {
    for id in numbers {
        world.client(client).send(&message(id));
    }
    world.settle();
}

fn numbers(world: &mut World, client: usize) -> Vec<usize> {
    let got = world.take(client);
    let got: Vec<_> = got.into_iter().filter(|s| s.name() == "message").collect();
    ids(&got).iter().filter_map(|id| id.parse().ok()).collect()
}

fn all(range: std::ops::Range<usize>) -> Vec<usize> {
    range.collect()
}

#[test]
fn live_messages_never_overtake_a_backlog_of_several_batches() {
    for acks in [true, false] {
        let mut world = world(1);
        let alice = world.online("alice@north.example", "desk");
        send(&mut world, alice, 0..350);
        let bob = world.connect_with("bob@north.example", "phone", acks);
        world.client(bob).handles = false;
        world.client(bob).send("<presence/>");
        world.client(bob).deliver(); // the backlog begins, and alice goes on at once
        send(&mut world, alice, 350..360);
        world.client(bob).handle_all();
        world.settle();
        assert_eq!(numbers(&mut world, bob), all(0..360), "acks: {acks}");
        send(&mut world, alice, 360..362);
        world.client(bob).handle_all();
        world.settle();
        assert_eq!(numbers(&mut world, bob), all(360..362));
        let left = run(offline::newest(world.broker("north.example"), "bob@north.example"));
        assert_eq!(left, Ok(0), "nothing is left");
    }
}

/// Questions are answered while the backlog is on its way: who needs an answer to read it does not wait for its end.
#[test]
fn questions_pass_the_backlog() {
    let mut world = world(2);
    let alice = world.online("alice@north.example", "desk");
    send(&mut world, alice, 0..250);
    let bob = world.connect("bob@north.example", "phone");
    world.client(bob).handles = false;
    world.send(bob, "<presence/>");
    send(&mut world, alice, 250..251);
    assert_eq!(numbers(&mut world, bob), all(0..100), "the first batch, and nothing behind it");
    world.send(bob, "<iq type='get' id='q' to='north.example'><ping xmlns='urn:xmpp:ping'/></iq>");
    assert!(world.take(bob).iter().any(|s| s.attr("id") == Some("q")));
}

/// The receiver is lost while it reads: what it was sent, what waited behind it, and what lies in the store go on in one
/// order, to another device that is there and to one that comes later.
#[test]
fn what_a_lost_session_leaves_behind_keeps_its_order() {
    for other_is_there in [true, false] {
        let mut world = world(3);
        let alice = world.online("alice@north.example", "desk");
        send(&mut world, alice, 0..250);
        let dead = world.connect("bob@north.example", "phone");
        world.client(dead).handles = false;
        world.send(dead, "<presence/>");
        world.freeze(dead);
        world.advance(Duration::from_millis(10));
        let other = other_is_there.then(|| {
            let other = world.connect("bob@north.example", "tablet");
            world.client(other).handles = true;
            other
        });
        send(&mut world, alice, 250..260);
        if let Some(other) = other {
            world.send(other, "<presence/>"); // after those were sent: it lacks all of them
            assert_eq!(numbers(&mut world, other), [0; 0], "one device reads");
        }
        world.cut(dead);
        let other = other.unwrap_or_else(|| world.online_unread("bob@north.example", "tablet"));
        send(&mut world, alice, 260..262);
        assert_eq!(numbers(&mut world, other), all(0..262), "there: {other_is_there}");
    }
}

/// A phone that was cut off comes back under its old name: what its old session never had for good comes before what
/// is sent now, although the old session ends only after the new one is there.
#[test]
fn what_the_session_before_left_behind_comes_first() {
    let mut world = world(4);
    let alice = world.online("alice@north.example", "desk");
    let old = world.online("bob@north.example", "phone");
    world.client(old).handles = false;
    send(&mut world, alice, 0..5);
    world.take(old);
    let lingering = world.client(old).leave_unread();
    let new = world.connect("bob@north.example", "phone");
    send(&mut world, alice, 5..6); // into the store
    world.send(new, "<presence/>");
    send(&mut world, alice, 6..7); // live
    assert_eq!(numbers(&mut world, new), [0; 0], "not yet: the old session has not ended");
    run(lingering.closed());
    world.settle();
    assert_eq!(numbers(&mut world, new), all(0..7));
}

/// A session that is stuck in the middle of a write does not keep its successor waiting for long.
#[test]
fn a_session_that_does_not_end_holds_nobody_up_for_long() {
    let mut world = world(5);
    let alice = world.online("alice@north.example", "desk");
    let old = world.online("bob@north.example", "phone");
    let _lingering = world.client(old).leave_unread();
    let new = world.connect("bob@north.example", "phone");
    world.send(new, "<presence/>");
    send(&mut world, alice, 0..2);
    assert_eq!(numbers(&mut world, new), [0; 0]);
    world.advance(Duration::from_secs(3));
    assert_eq!(numbers(&mut world, new), all(0..2));
}

/// A slow reader overflows into the store and is lost: what it had been sent comes before what lies in the store.
#[test]
fn what_was_sent_before_an_overflow_comes_before_what_was_kept() {
    let mut world = World::with_config(6, &["north.example"], |c| c.limits.session_queue_count = 5);
    world.register("alice@north.example");
    world.register("bob@north.example");
    let alice = world.online("alice@north.example", "desk");
    let dead = world.online("bob@north.example", "phone");
    world.freeze(dead);
    send(&mut world, alice, 0..12);
    world.advance(Duration::from_millis(100)); // what is not acknowledged is written for alice's sake
    send(&mut world, alice, 12..14);
    world.cut(dead);
    let bob = world.online_unread("bob@north.example", "tablet");
    assert_eq!(numbers(&mut world, bob), all(0..14));
}

#[test]
fn rows_are_put_between_others_and_no_number_is_given_twice() {
    let world = world(7);
    let broker = world.broker("north.example");
    let bob = "bob@north.example";
    let frame = |id: &str| {
        let xml = format!("<message from='a@south.example' id='{id}'><body>x</body></message>");
        parse_stanza(xml.as_bytes()).expect("a message")
    };
    let keep = |id: &str, after: Option<u64>| {
        let kept = run(offline::keep_all(broker, bob, vec![ToKeep { frame: frame(id), after }])).expect("it is kept");
        let [Kept::Row(seq)] = kept[..] else { panic!("it is a row: {kept:?}") };
        seq
    };
    // a row of an earlier version: numbers were not far apart
    let mut transaction = broker.store.transaction();
    let old = OfflineRow { stanza: frame("old").bytes().to_vec(), at: broker.env.now().as_millis() };
    let day = store::Day::of_millis(old.at);
    transaction.put_expiring(OFFLINE, bob.as_bytes(), 57, day, prost::Message::encode_to_vec(&old));
    run(transaction.commit()).expect("it is written");
    let first = keep("1", None);
    let second = keep("4", None);
    let between = keep("2", Some(first));
    assert!(first < between && between < second);
    assert!(between < keep("3", Some(first)));
    keep("behind old", Some(57));
    let read = || run(offline::read(broker, bob, 0, 100, usize::MAX)).expect("it is readable");
    let ids: Vec<_> = read().iter().filter_map(|w| w.frame.attr("id").map(|id| id.into_owned())).collect();
    assert_eq!(ids, ["old", "behind old", "1", "2", "3", "4"]);
    let mut given: Vec<u64> = read().iter().map(|w| w.seq).collect();
    run(offline::delete(broker, bob, &given.clone())).expect("they are deleted");
    let again = keep("5", Some(first));
    assert!(!given.contains(&again), "a session may still name the row that had this number");
    given.push(again);
    assert!(!given.contains(&keep("6", Some(first))));
}

/// What waits in the mailbox comes before what overflowed into the store, and is not sent a second time out of a row that
/// was written for its sender's sake; and a slow link is sent no more at once than elsewhere.
#[test]
fn a_mailbox_of_many_windows_keeps_its_order_after_an_overflow() {
    let text = "x".repeat(1000);
    let text = |id| format!("<message to='bob@north.example' type='chat' id='{id}'><body>{text}</body></message>");
    for (sender_acks, acks) in [(false, true), (true, true), (false, false), (true, false)] {
        let mut world = world(8);
        let alice = world.connect_with("alice@north.example", "desk", sender_acks);
        let bob = world.connect_with("bob@north.example", "phone", acks);
        world.send(bob, "<presence/>");
        world.take(bob);
        world.freeze(bob);
        for id in 0..600 {
            world.client(alice).send(&text(id));
            world.settle();
        }
        world.advance(Duration::from_millis(100)); // each is a row, if its sender asks
        world.client(bob).handles = false;
        world.thaw(bob);
        let (mut got, mut most) = (Vec::new(), 0);
        for id in 600..700 {
            let some = numbers(&mut world, bob);
            most = most.max(some.len());
            got.extend(some);
            world.client(bob).handle_but(if id % 2 == 0 { 20 } else { 0 });
            if id % 10 == 0 {
                world.client(alice).send(&text(id));
            }
            world.settle();
        }
        got.extend(numbers(&mut world, bob));
        let expected: Vec<_> = (0..600).chain((600..700).step_by(10)).collect();
        let differs = got.iter().zip(&expected).find(|(got, expected)| got != expected);
        assert_eq!(differs, None, "the sender asks: {sender_acks}, the receiver answers: {acks}");
        assert_eq!(got.len(), expected.len());
        assert!(!acks || most < 70, "{most} at once");
        let left = run(offline::newest(world.broker("north.example"), "bob@north.example"));
        assert_eq!(left, Ok(0), "nothing is left");
    }
}

/// What the session before left behind may be more than is taken out of a mailbox at once.
#[test]
fn a_long_bequest_comes_before_what_was_sent_since() {
    let mut world = world(9);
    let text = "x".repeat(1000);
    let text =
        |id| format!("<message to='bob@north.example/phone' type='chat' id='{id}'><body>{text}</body></message>");
    let alice = world.online("alice@north.example", "desk");
    let old = world.online("bob@north.example", "phone");
    world.client(old).handles = false;
    for id in 0..200 {
        world.send(alice, &text(id));
    }
    let lingering = world.client(old).leave_unread();
    let new = world.connect("bob@north.example", "phone");
    world.send(new, "<presence/>");
    for id in 200..205 {
        world.send(alice, &text(id));
    }
    world.take(new);
    run(lingering.closed());
    world.settle();
    let got = numbers(&mut world, new);
    assert_eq!(got, all(0..205), "without waiting for a clock");
}

/// The acknowledgement that opens the mailbox again is for messages that were rows too, which are not deleted yet.
#[test]
fn what_was_just_acknowledged_is_not_read_once_more() {
    let mut world = World::with_config(10, &["north.example"], |c| c.limits.session_queue_count = 5);
    world.register("alice@north.example");
    world.register("bob@north.example");
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    world.client(bob).handles = false;
    send(&mut world, alice, 0..12);
    world.advance(Duration::from_millis(100)); // what is not acknowledged is written for alice's sake
    world.client(bob).handle_all();
    world.settle();
    assert_eq!(numbers(&mut world, bob), all(0..12));
}
