//! Who gets a message, and what does not reach anybody (RFC 6121 §8, RFC 6120 §8.1, §10).

use super::{condition, ids, world};
use crate::testing::World;

#[test]
fn two_clients_exchange_a_message() {
    let mut world = world(1);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    world.send(alice, "<message to='bob@north.example' type='chat' id='m1'><body>hi</body></message>");
    let got = world.take(bob);
    assert_eq!(ids(&got), ["m1"]);
    assert_eq!(got[0].attr("from"), Some("alice@north.example/desk"));
    assert_eq!(got[0].attr("to"), Some("bob@north.example"));
    world.send(bob, "<message to='alice@north.example/desk' type='chat' id='m2'><body>ho</body></message>");
    assert_eq!(ids(&world.take(alice)), ["m2"]);
}

/// A program runs each session in a task of its own, on any thread.
#[test]
fn sessions_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let world = world(0);
    let wake: crate::Wake = std::sync::Arc::new(|| ());
    let transport = || xmpp::stream::Transport::Plain;
    let mut client = world.broker("north.example").accept_client(transport(), std::sync::Arc::clone(&wake));
    is_send(&client.handle_bytes(b""));
    is_send(&client.handle_wake());
    is_send(&client.handle_timeout());
    is_send(&client.closed());
    let mut server = world.broker("north.example").accept_server(transport(), wake);
    is_send(&server.handle_bytes(b""));
    is_send(&server.closed());
}

/// RFC 6121 §8.5.2.1.1: all resources of non-negative priority, and only those.
#[test]
fn the_bare_address_reaches_all_devices_that_take_messages() {
    let mut world = world(2);
    let alice = world.online("alice@north.example", "desk");
    let phone = world.online("bob@north.example", "phone");
    let desk = world.online("bob@north.example", "desk");
    let silent = world.connect("bob@north.example", "silent");
    let negative = world.connect("bob@north.example", "negative");
    world.send(negative, "<presence><priority>-1</priority></presence>");
    for client in [phone, desk, negative, silent] {
        world.take(client);
    }
    world.send(alice, "<message to='bob@north.example' type='chat' id='m1'><body>hi</body></message>");
    assert_eq!(ids(&world.take(phone)), ["m1"]);
    assert_eq!(ids(&world.take(desk)), ["m1"]);
    assert!(world.take(silent).is_empty());
    assert!(world.take(negative).is_empty());
    // a full address reaches a resource that is merely connected, or of negative priority (§8.5.3.1)
    for (resource, client) in [("silent", silent), ("negative", negative)] {
        let message = format!("<message to='bob@north.example/{resource}' type='chat' id='f'><body>x</body></message>");
        world.send(alice, &message);
        assert_eq!(ids(&world.take(client)), ["f"]);
    }
}

#[test]
fn what_nobody_takes_goes_back_or_nowhere() {
    let mut world = world(3);
    let alice = world.online("alice@north.example", "desk");
    let mut fate = |message: &str| {
        world.send(alice, message);
        world.take(alice).first().and_then(condition)
    };
    let unavailable = Some("service-unavailable");
    assert_eq!(fate("<message to='nobody@north.example' type='chat' id='1'><body>x</body></message>"), unavailable);
    assert_eq!(fate("<message to='bob@north.example' type='groupchat' id='2'><body>x</body></message>"), unavailable);
    assert_eq!(fate("<message to='bob@north.example/x' type='normal' id='3'><body>x</body></message>"), unavailable);
    assert_eq!(fate("<message to='bob@north.example' type='headline' id='4'><body>x</body></message>"), None);
    assert_eq!(fate("<message to='nobody@north.example' type='error' id='5'><body>x</body></message>"), None);
    assert_eq!(fate("<message to='north.example' id='6'><body>x</body></message>"), unavailable);
    assert_eq!(fate("<message to='@@' id='7'><body>x</body></message>"), Some("jid-malformed"));
}

/// RFC 6121 §8.5.1 and §8.5.2.1.3: an unknown account answers like one that does not know the question.
#[test]
fn questions_to_accounts_do_not_tell_which_exist() {
    let mut world = world(4);
    let alice = world.online("alice@north.example", "desk");
    for account in ["bob", "nobody"] {
        for resource in ["", "/x"] {
            let to = format!("{account}@north.example{resource}");
            world.send(alice, &format!("<iq type='get' id='q' to='{to}'><what xmlns='urn:example:what'/></iq>"));
            let answer = world.take(alice);
            assert_eq!(condition(&answer[0]), Some("service-unavailable"), "{to}");
            assert_eq!(answer[0].attr("from"), Some(to.as_str()));
        }
    }
}

#[test]
fn questions_and_answers_pass_between_resources() {
    let mut world = world(5);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    world.send(alice, "<iq type='get' id='q1' to='bob@north.example/phone'><what xmlns='urn:example:what'/></iq>");
    assert_eq!(world.take(bob)[0].attr("from"), Some("alice@north.example/desk"));
    world.send(bob, "<iq type='result' id='q1' to='alice@north.example/desk'/>");
    assert_eq!(ids(&world.take(alice)), ["q1"]);
    // malformed questions come back (RFC 6120 §8.2.3)
    world.send(alice, "<iq type='get' id='q2' to='bob@north.example/phone'/>");
    assert_eq!(condition(&world.take(alice)[0]), Some("bad-request"));
    world.send(alice, "<iq type='ask' id='q3' to='bob@north.example/phone'><a xmlns='urn:x'/></iq>");
    assert_eq!(condition(&world.take(alice)[0]), Some("bad-request"));
    assert!(world.take(bob).is_empty());
}

/// Attack row X06: the broker does not match answers to questions, but an answer always carries who gave it.
#[test]
fn x06_an_answer_says_who_gave_it() {
    let mut world = world(6);
    let alice = world.online("alice@north.example", "desk");
    let mallory = world.online("carol@north.example", "x");
    world.send(mallory, "<iq type='result' id='q1' to='alice@north.example/desk'/>");
    assert_eq!(world.take(alice)[0].attr("from"), Some("carol@north.example/x"));
}

/// RFC 6120 §8.1.2.1: a client that claims another address loses its stream.
#[test]
fn a_spoofed_from_ends_the_stream() {
    let mut world = world(7);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    let spoofed = "<message from='carol@north.example' to='bob@north.example' type='chat'><body>x</body></message>";
    world.send(alice, spoofed);
    assert!(world.client(alice).ended.is_some());
    let got = world.take(bob);
    assert!(got.iter().all(|s| s.name() != "message"));
}

/// Attack row X03: what looks like a roster push arrives with the address of its real sender, which a client rejects.
#[test]
fn x03_a_forged_roster_push_carries_its_sender() {
    let mut world = world(8);
    let alice = world.online("alice@north.example", "desk");
    let mallory = world.online("carol@north.example", "x");
    let push = "<iq type='set' id='p' to='alice@north.example/desk'><query xmlns='jabber:iq:roster'>\
        <item jid='evil@north.example' subscription='both'/></query></iq>";
    world.send(mallory, push);
    assert_eq!(world.take(alice)[0].attr("from"), Some("carol@north.example/x"));
    // and nobody changes a roster but its owner
    let set = "<iq type='set' id='s' to='alice@north.example'><query xmlns='jabber:iq:roster'>\
        <item jid='evil@north.example'/></query></iq>";
    world.send(mallory, set);
    assert_eq!(condition(world.take(mallory).last().unwrap()), Some("forbidden"));
}

#[test]
fn the_same_resource_replaces_the_old_session() {
    let mut world = world(9);
    let old = world.online("alice@north.example", "desk");
    let new = world.online("alice@north.example", "desk");
    use xmpp::stream::{Ending, StreamCondition};
    assert_eq!(world.client(old).ended, Some(Ending::PeerError(StreamCondition::Conflict)));
    assert!(world.client(new).ended.is_none());
    let bob = world.online("bob@north.example", "phone");
    world.send(bob, "<message to='alice@north.example/desk' type='chat' id='m'><body>x</body></message>");
    assert_eq!(ids(&world.take(new)), ["m"]);
}

/// The policy of security-design §4 holds for what clients send.
#[test]
fn a_readable_message_goes_back() {
    let mut world = World::with_config(10, &["north.example"], |c| c.policy = xep::policy::E2eePolicy::Required);
    world.register("alice@north.example");
    world.register("bob@north.example");
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    world.send(alice, "<message to='bob@north.example' type='chat' id='m1'><body>hi</body></message>");
    assert!(world.take(bob).is_empty());
    let got = world.take(alice);
    assert_eq!(condition(&got[0]), Some("policy-violation"));
    // Many apps show of an error only that delivery failed, so the server says it in words: once, and in its own name.
    assert_eq!(got[1].attr("from"), Some("north.example"));
    assert_eq!(got[1].child("body", xmpp::ns::CLIENT).map(|body| body.text()).as_deref(), Some(xep::policy::ADVICE));
    world.send(alice, "<message to='bob@north.example' type='chat' id='m2'><body>hi</body></message>");
    assert_eq!(world.take(alice).len(), 1);
}
