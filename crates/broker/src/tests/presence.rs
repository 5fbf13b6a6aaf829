//! Presence and subscriptions between whole sessions (RFC 6121 §3, §4).

use super::{kind_and_from, world};
use crate::testing::World;

fn presences(world: &mut World, client: usize) -> Vec<(String, String)> {
    let got = world.take(client);
    got.iter().filter(|s| s.name() == "presence").map(kind_and_from).collect()
}

fn pair(kind: &str, from: &str) -> (String, String) {
    (kind.to_owned(), from.to_owned())
}

/// RFC 6121 §3.1: the whole handshake, both ends on one server.
#[test]
fn a_subscription_is_asked_for_granted_and_ended() {
    let mut world = world(1);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    world.send(alice, "<presence type='subscribe' to='bob@north.example'/>");
    assert_eq!(presences(&mut world, bob), [pair("subscribe", "alice@north.example")], "from the bare address");
    assert!(presences(&mut world, alice).is_empty(), "nothing is seen before it is granted");
    world.send(bob, "<presence type='subscribed' to='alice@north.example'/>");
    let got = presences(&mut world, alice);
    assert_eq!(got, [pair("subscribed", "bob@north.example"), pair("", "bob@north.example/phone")]);
    // an update reaches the subscriber, and the sender itself (§4.4.2)
    world.send(bob, "<presence><show>away</show></presence>");
    assert_eq!(presences(&mut world, alice), [pair("", "bob@north.example/phone")]);
    assert_eq!(presences(&mut world, bob), [pair("", "bob@north.example/phone")]);
    // not the other way round
    world.send(alice, "<presence><show>away</show></presence>");
    assert!(presences(&mut world, bob).is_empty());
    // withdrawing shows the user as gone (§3.2)
    world.send(bob, "<presence type='unsubscribed' to='alice@north.example'/>");
    presences(&mut world, alice);
    world.send(bob, "<presence><show>dnd</show></presence>");
    assert!(presences(&mut world, alice).is_empty());
}

#[test]
fn a_request_waits_for_whoever_is_away_until_it_is_answered() {
    let mut world = world(2);
    let alice = world.online("alice@north.example", "desk");
    world.send(alice, "<presence type='subscribe' to='bob@north.example'/>");
    for resource in ["one", "two"] {
        let bob = world.connect("bob@north.example", resource);
        world.send(bob, "<presence/>");
        let got = presences(&mut world, bob);
        assert!(got.contains(&pair("subscribe", "alice@north.example")), "{resource}: {got:?}");
        world.cut(bob);
    }
    let bob = world.online("bob@north.example", "three");
    world.send(bob, "<presence type='unsubscribed' to='alice@north.example'/>");
    assert_eq!(presences(&mut world, alice), [pair("unsubscribed", "bob@north.example")]);
    world.cut(bob);
    let bob = world.connect("bob@north.example", "four");
    world.send(bob, "<presence/>");
    assert!(!presences(&mut world, bob).contains(&pair("subscribe", "alice@north.example")));
}

/// Makes alice and bob see each other.
fn befriend(world: &mut World) {
    let alice = world.online("alice@north.example", "setup");
    let bob = world.online("bob@north.example", "setup");
    world.send(alice, "<presence type='subscribe' to='bob@north.example'/>");
    world.send(bob, "<presence type='subscribed' to='alice@north.example'/>");
    world.send(bob, "<presence type='subscribe' to='alice@north.example'/>");
    world.send(alice, "<presence type='subscribed' to='bob@north.example'/>");
    world.cut(alice);
    world.cut(bob);
}

#[test]
fn friends_see_each_other_come_and_go() {
    let mut world = world(3);
    befriend(&mut world);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.connect("bob@north.example", "phone");
    world.send(bob, "<presence/>");
    assert!(presences(&mut world, bob).contains(&pair("", "alice@north.example/desk")), "probed at the start");
    assert_eq!(presences(&mut world, alice), [pair("", "bob@north.example/phone")]);
    world.cut(bob);
    assert_eq!(presences(&mut world, alice), [pair("unavailable", "bob@north.example/phone")], "said by the server");
    let bob = world.online("bob@north.example", "phone");
    world.take(alice);
    world.send(bob, "<presence type='unavailable'><status>bye</status></presence>");
    assert_eq!(presences(&mut world, alice), [pair("unavailable", "bob@north.example/phone")]);
    world.cut(bob);
    assert!(presences(&mut world, alice).is_empty(), "and not twice");
}

/// RFC 6121 §4.6.3: whoever saw directed presence learns that its sender left.
#[test]
fn directed_presence_is_taken_back_at_the_end() {
    let mut world = world(4);
    let alice = world.online("alice@north.example", "desk");
    let carol = world.online("carol@north.example", "x");
    world.send(alice, "<presence to='carol@north.example/x'/>");
    assert_eq!(presences(&mut world, carol), [pair("", "alice@north.example/desk")]);
    world.cut(alice);
    assert_eq!(presences(&mut world, carol), [pair("unavailable", "alice@north.example/desk")]);
    // also from somebody who never was available to all
    let alice = world.connect("alice@north.example", "desk");
    world.send(alice, "<presence to='carol@north.example/x'/>");
    world.take(carol);
    world.cut(alice);
    assert_eq!(presences(&mut world, carol), [pair("unavailable", "alice@north.example/desk")]);
}

#[test]
fn an_account_without_subscriptions_is_seen_by_itself_only() {
    let mut world = world(5);
    let carol = world.online("carol@north.example", "x");
    let desk = world.online("alice@north.example", "desk");
    let phone = world.connect("alice@north.example", "phone");
    world.send(phone, "<presence/>");
    assert!(presences(&mut world, carol).is_empty());
    assert_eq!(presences(&mut world, desk), [pair("", "alice@north.example/phone")]);
    assert!(presences(&mut world, phone).contains(&pair("", "alice@north.example/desk")));
}

/// RFC 6121 §2.5.2: removing a contact ends both directions.
#[test]
fn removing_a_contact_ends_both_subscriptions() {
    let mut world = world(6);
    befriend(&mut world);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    world.take(alice);
    let remove = "<iq type='set' id='s'><query xmlns='jabber:iq:roster'>\
        <item jid='bob@north.example' subscription='remove'/></query></iq>";
    world.send(alice, remove);
    let got = presences(&mut world, bob);
    let expected = [
        pair("unsubscribe", "alice@north.example"),
        pair("unsubscribed", "alice@north.example"),
        pair("unavailable", "alice@north.example/desk"),
    ];
    for presence in expected {
        assert!(got.contains(&presence), "{presence:?} in {got:?}");
    }
    world.take(alice);
    world.send(bob, "<presence><show>away</show></presence>");
    assert!(presences(&mut world, alice).is_empty());
}

/// RFC 6121 §3.4: what is allowed before it is asked for is granted at once.
#[test]
fn a_request_that_was_allowed_before_needs_no_answer() {
    let mut world = world(7);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    world.send(bob, "<presence type='subscribed' to='alice@north.example'/>");
    assert!(presences(&mut world, alice).is_empty(), "alice did not ask");
    world.send(alice, "<presence type='subscribe' to='bob@north.example'/>");
    let got = presences(&mut world, alice);
    assert_eq!(got, [pair("subscribed", "bob@north.example"), pair("", "bob@north.example/phone")]);
    assert!(presences(&mut world, bob).is_empty(), "bob is not asked again");
}

#[test]
fn strangers_ask_a_few_times_a_minute() {
    let mut world = World::with_config(9, &["north.example"], |c| c.limits.strangers_per_minute = 1);
    for name in ["alice", "bob", "carol", "dave"] {
        world.register(&format!("{name}@north.example"));
    }
    let bob = world.online("bob@north.example", "phone");
    let mut ask = |name: &str| {
        let client = world.online(&format!("{name}@north.example"), "x");
        world.send(client, "<presence type='subscribe' to='bob@north.example'/>");
        let asked = presences(&mut world, bob).len();
        world.advance(std::time::Duration::from_secs(65));
        world.take(bob);
        asked
    };
    assert_eq!([ask("alice"), ask("carol"), ask("dave")], [1, 1, 1]);
    let mut world = World::with_config(9, &["north.example"], |c| c.limits.strangers_per_minute = 1);
    for name in ["alice", "bob", "carol"] {
        world.register(&format!("{name}@north.example"));
    }
    let bob = world.online("bob@north.example", "phone");
    for (name, expected) in [("alice", 1), ("carol", 0)] {
        let client = world.online(&format!("{name}@north.example"), "x");
        world.send(client, "<presence type='subscribe' to='bob@north.example'/>");
        assert_eq!(presences(&mut world, bob).len(), expected, "{name}");
    }
}

#[test]
fn requests_of_strangers_have_an_end() {
    let mut world = World::with_config(8, &["north.example"], |c| c.limits.pending_requests = 1);
    for name in ["alice", "bob", "carol"] {
        world.register(&format!("{name}@north.example"));
    }
    for name in ["alice", "carol"] {
        let client = world.online(&format!("{name}@north.example"), "x");
        world.send(client, "<presence type='subscribe' to='bob@north.example'/>");
    }
    let bob = world.connect("bob@north.example", "phone");
    world.send(bob, "<presence/>");
    let requests = presences(&mut world, bob).into_iter().filter(|(kind, _)| kind == "subscribe").count();
    assert_eq!(requests, 1);
}
