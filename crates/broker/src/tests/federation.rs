//! Two brokers and their users (RFC 6120 §10.4, attack rows X08 and X14).

use std::sync::Arc;
use std::time::Duration;

use super::{condition, ids, kind_and_from};
use crate::Then;
use crate::config::Peer;
use crate::federation::DialFailure;
use crate::testing::{Certificates, World, run, spki_of};
use xmpp::stream::{DomainCheck, PeerCertificate, TlsFacts, TlsVersion, Transport};

const NORTH: &str = "north.example";
const SOUTH: &str = "south.example";

fn two(seed: u64) -> World {
    let world = World::new(seed, &[NORTH, SOUTH]);
    world.register("alice@north.example");
    world.register("bob@south.example");
    world
}

#[test]
fn a_message_crosses_and_is_answered() {
    let mut world = two(1);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@south.example", "phone");
    world.send(alice, "<message to='bob@south.example' type='chat' id='m1'><body>hi</body></message>");
    let got = world.take(bob);
    assert_eq!(ids(&got), ["m1"]);
    assert_eq!((got[0].ns(), got[0].attr("from")), ("jabber:client", Some("alice@north.example/desk")));
    assert!(got[0].child("body", "jabber:client").is_some(), "the body moved to the client namespace");
    world.send(bob, "<message to='alice@north.example/desk' type='chat' id='m2'><body>ho</body></message>");
    assert_eq!(ids(&world.take(alice)), ["m2"]);
}

#[test]
fn a_message_for_somebody_who_is_away_waits_on_the_other_side() {
    let mut world = two(2);
    let alice = world.online("alice@north.example", "desk");
    world
        .client(alice)
        .send_numbered("<message to='bob@south.example' type='chat' id='m1'><body>hi</body></message>", Some(1));
    world.settle();
    assert_eq!(world.client(alice).acknowledged, [1], "it is with the other server");
    let bob = world.connect("bob@south.example", "phone");
    world.send(bob, "<presence/>");
    assert!(ids(&world.take(bob)).contains(&"m1"));
}

#[test]
fn a_server_that_cannot_be_reached_sends_everything_back() {
    let mut world = two(3);
    world.set_reachable(SOUTH, false);
    let alice = world.online("alice@north.example", "desk");
    world
        .client(alice)
        .send_numbered("<message to='bob@south.example' type='chat' id='m1'><body>hi</body></message>", Some(1));
    world.settle();
    let got = world.take(alice);
    assert_eq!(condition(&got[0]), Some("remote-server-not-found"));
    assert_eq!(world.client(alice).acknowledged, [1], "a bounce settles it too");
    world.set_reachable(SOUTH, true);
    world.send(alice, "<iq type='get' id='q' to='south.example'><what xmlns='urn:example:what'/></iq>");
    assert_eq!(condition(&world.take(alice)[0]), Some("service-unavailable"), "the next try dials again");
}

#[test]
fn presence_crosses_servers() {
    let mut world = two(4);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@south.example", "phone");
    world.send(alice, "<presence type='subscribe' to='bob@south.example'/>");
    world.send(bob, "<presence type='subscribed' to='alice@north.example'/>");
    let seen: Vec<_> = world.take(alice).iter().map(kind_and_from).collect();
    assert!(seen.contains(&(String::new(), "bob@south.example/phone".into())), "{seen:?}");
    world.cut(alice);
    // a probe at the next sign-in (RFC 6121 §4.3)
    let alice = world.connect("alice@north.example", "desk");
    world.send(alice, "<presence/>");
    let seen: Vec<_> = world.take(alice).iter().map(kind_and_from).collect();
    assert!(seen.contains(&(String::new(), "bob@south.example/phone".into())), "{seen:?}");
    world.cut(bob);
    let seen: Vec<_> = world.take(alice).iter().map(kind_and_from).collect();
    assert_eq!(seen, [("unavailable".into(), "bob@south.example/phone".into())]);
}

#[test]
fn an_idle_connection_closes_and_the_next_message_opens_another() {
    let mut world = two(5);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@south.example", "phone");
    for id in ["m1", "m2"] {
        let message = format!("<message to='bob@south.example' type='chat' id='{id}'><body>hi</body></message>");
        world.send(alice, &message);
        let got = world.take(bob);
        let got: Vec<_> = got.into_iter().filter(|s| s.name() == "message").collect();
        assert_eq!(ids(&got), [id]);
        world.advance(Duration::from_secs(700));
        world.take(bob);
    }
}

/// XEP-0220: without certificates of clients, each side asks the other's authoritative server.
#[test]
fn dialback_proves_a_server_that_shows_no_certificate() {
    let mut world = two(11);
    world.certificates = Certificates::Hidden;
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@south.example", "phone");
    world.send(alice, "<message to='bob@south.example' type='chat' id='m1'><body>hi</body></message>");
    assert_eq!(ids(&world.take(bob)), ["m1"]);
    world.send(bob, "<message to='alice@north.example/desk' type='chat' id='m2'><body>ho</body></message>");
    assert_eq!(ids(&world.take(alice)), ["m2"]);
}

/// A key that the authoritative server did not make proves nothing; nor does one for a server that cannot be asked.
#[test]
fn x08_a_forged_dialback_key_proves_nothing() {
    for reachable in [true, false] {
        let mut world = two(12);
        world.certificates = Certificates::Hidden;
        world.set_reachable(SOUTH, reachable);
        let alice = world.online("alice@north.example", "desk");
        let open = OPEN.replace("evil.example", SOUTH);
        let key =
            "<db:result xmlns:db='jabber:server:dialback' from='south.example' to='north.example'>0123</db:result>";
        let message = "<message from='bob@south.example' to='alice@north.example' type='chat'><body>x</body></message>";
        let mut session = world.broker(NORTH).accept_server(Transport::Tls(facts(None)), Arc::new(|| ()));
        run(session.handle_bytes(open.as_bytes()));
        run(session.handle_bytes(key.as_bytes()));
        world.settle();
        run(session.handle_wake());
        run(session.handle_bytes(message.as_bytes()));
        let heard = String::from_utf8(session.take_output().bytes.unwrap_or_default().to_vec()).unwrap();
        assert!(!heard.contains("type='valid'"), "{heard}");
        world.settle();
        assert!(world.take(alice).is_empty());
        run(session.closed());
    }
}

#[test]
fn a_server_that_does_not_answer_in_time_is_a_timeout() {
    let mut world = World::new(13, &[NORTH]);
    world.register("alice@north.example");
    let alice = world.online("alice@north.example", "desk");
    let message = "<message to='bob@south.example' type='chat' id='m1'><body>hi</body></message>";
    world.client(alice).send(message);
    let broker = world.broker(NORTH).clone();
    world.client(alice).deliver();
    let request = broker.poll_dial().expect("a connection is asked for");
    assert_eq!(request.domain(), SOUTH);
    assert!(broker.poll_dial().is_none(), "once");
    broker.dial_failed(&request, DialFailure::Timeout);
    world.settle();
    assert_eq!(condition(&world.take(alice)[0]), Some("remote-server-timeout"));
}

#[test]
fn a_server_over_its_rate_is_not_read() {
    let rate = crate::rate::Rate { per_second: 10, burst: 20 };
    let mut world = World::with_config(14, &[NORTH], |config| config.limits.server_stanzas = rate);
    world.register("alice@north.example");
    let alice = world.online("alice@north.example", "desk");
    let mut session = world.broker(NORTH).accept_server(Transport::Tls(facts(Some("evil.example"))), Arc::new(|| ()));
    for line in [OPEN, EXTERNAL, OPEN] {
        run(session.handle_bytes(line.as_bytes()));
    }
    let message = "<message from='m@evil.example' to='alice@north.example' type='chat'><body>x</body></message>";
    for _ in 0..2 {
        assert_eq!(session.read_pause(), None);
        run(session.handle_bytes(message.as_bytes()));
    }
    run(session.handle_bytes(message.as_bytes()));
    assert!(session.read_pause().is_some(), "a new domain gets a tenth: two at once");
    world.settle();
    assert_eq!(world.take(alice).len(), 3, "and nothing is lost");
}

/// A stanza that never ends is held by whoever sends it, as those of clients are.
#[test]
fn b13_what_another_server_never_ends_is_charged_and_not_read_for_ever() {
    let world = World::with_config(15, &[NORTH], |config| {
        config.limits.whole.bytes = 400_000;
    });
    world.register("alice@north.example");
    let broker = world.broker(NORTH).clone();
    let held = || broker.core().budgets.bytes.level().held;
    let mut session = broker.accept_server(Transport::Tls(facts(Some("evil.example"))), Arc::new(|| ()));
    for line in [OPEN, EXTERNAL, OPEN] {
        run(session.handle_bytes(line.as_bytes()));
    }
    let whole = "<message from='m@evil.example' to='alice@north.example' type='chat'><body>x</body></message>";
    run(session.handle_bytes(whole.as_bytes()));
    let before = held();
    let begun = format!("<message from='m@evil.example' to='alice@north.example'><body>{}", "x".repeat(20_000));
    run(session.handle_bytes(begun.as_bytes()));
    assert!(held() >= before + 20_000, "{}", held());
    assert_eq!(session.read_pause(), None, "a quarter is for each domain");
    run(session.handle_bytes("x".repeat(100_000).as_bytes()));
    assert!(session.read_pause().is_some(), "{}", held());
    run(session.handle_bytes(b"</body></message>"));
    assert_eq!(session.read_pause(), None);
    run(session.closed());
}

/// What a foreign server says on a raw connection, and what the broker answers.
fn raw(world: &World, shown: &str, said: &[&str]) -> (String, Then) {
    let mut session = world.broker(NORTH).accept_server(Transport::Tls(facts(Some(shown))), Arc::new(|| ()));
    let mut heard = String::new();
    let mut then = Then::Continue;
    for line in said {
        run(session.handle_bytes(line.as_bytes()));
        let output = session.take_output();
        heard.push_str(&String::from_utf8_lossy(&output.bytes.unwrap_or_default()));
        then = output.then;
        if then == Then::Close {
            break;
        }
    }
    run(session.closed());
    (heard, then)
}

/// The facts of a connection whose other end shows a certificate for a domain.
fn facts(shown: Option<&str>) -> TlsFacts {
    let peer_certificate = shown.map(|shown| {
        let domain = shown.to_owned();
        PeerCertificate {
            verified_domain_check: DomainCheck::new(move |asked| asked == domain),
            chain: Vec::new(),
            spki_sha256: spki_of(shown),
        }
    });
    TlsFacts { version: TlsVersion::Tls13, exporter: None, server_end_point: None, peer_certificate }
}

const OPEN: &str = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
    from='evil.example' to='north.example' version='1.0'>";
const EXTERNAL: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";

fn says(world: &mut World, stanza: &str) -> (String, Then, usize) {
    let alice = world.online("alice@north.example", "desk");
    let (heard, then) = raw(world, "evil.example", &[OPEN, EXTERNAL, OPEN, stanza]);
    world.settle();
    let got = world.take(alice).iter().filter(|s| s.name() == "message").count();
    world.cut(alice);
    (heard, then, got)
}

/// A server speaks for itself only; in the name of another, of ours, or of nobody, it loses its stream.
#[test]
fn x08_a_server_that_speaks_for_another_loses_its_stream() {
    let mut world = two(6);
    let message =
        |from: &str| format!("<message from='{from}' to='alice@north.example' type='chat'><body>x</body></message>");
    let (heard, then, got) = says(&mut world, &message("mallory@evil.example/x"));
    assert_eq!((then, got), (Then::Continue, 1), "{heard}");
    for from in ["bob@south.example", "alice@north.example", "north.example", "x@sub.evil.example", "evil.example.org"]
    {
        let (heard, then, got) = says(&mut world, &message(from));
        assert_eq!((then, got), (Then::Close, 0), "{from}: {heard}");
        assert!(heard.contains("invalid-from"), "{from}: {heard}");
    }
    for to in ["", "to='bob@south.example'", "to='@'"] {
        let stanza = format!("<message from='m@evil.example' {to} type='chat'><body>x</body></message>");
        let (heard, then, got) = says(&mut world, &stanza);
        assert_eq!((then, got), (Then::Close, 0), "{to}: {heard}");
    }
}

/// A certificate for another domain proves nothing, and nobody proves to be us.
#[test]
fn x08_a_server_proves_the_domain_it_claims() {
    let world = two(7);
    let message = "<message from='mallory@evil.example' to='alice@north.example' type='chat'><body>x</body></message>";
    let (heard, then) = raw(&world, "other.example", &[OPEN, EXTERNAL, message]);
    assert_eq!(then, Then::Close, "{heard}");
    assert!(!heard.contains("<success"), "{heard}");
    let as_us = OPEN.replace("evil.example", "north.example");
    let (heard, _) = raw(&world, "north.example", &[&as_us, EXTERNAL]);
    assert!(!heard.contains("<success"), "{heard}");
}

#[test]
fn a_pin_is_all_that_counts_where_one_is_configured() {
    let pin = |domain: &'static str, key: &'static str| {
        move |config: &mut crate::BrokerConfig| {
            if config.domain == NORTH {
                let pin = Some(spki_of(key));
                let introduced_by = Vec::new();
                config.peers.push(Peer { domain: domain.into(), addresses: Vec::new(), pin, introduced_by });
            }
        }
    };
    for (key, expected) in [(SOUTH, None), ("other.example", Some("remote-server-not-found"))] {
        let mut world = World::with_config(8, &[NORTH, SOUTH], pin(SOUTH, key));
        world.register("alice@north.example");
        world.register("bob@south.example");
        let alice = world.online("alice@north.example", "desk");
        world.send(alice, "<message to='bob@south.example' type='chat' id='m1'><body>hi</body></message>");
        assert_eq!(world.take(alice).first().and_then(condition), expected, "{key}");
    }
}

#[test]
fn a_peer_is_remembered_across_a_restart() {
    let mut world = two(9);
    let peer = Peer {
        domain: SOUTH.into(),
        addresses: vec!["127.0.0.1:5269".into()],
        pin: Some([1; 32]),
        introduced_by: Vec::new(),
    };
    run(world.broker(NORTH).add_peer(peer.clone())).unwrap();
    world.crash(NORTH);
    let alice = world.online("alice@north.example", "desk");
    world.client(alice).send("<message to='bob@south.example' type='chat' id='m1'><body>hi</body></message>");
    world.settle();
    assert_eq!(condition(&world.take(alice)[0]), Some("remote-server-not-found"), "the pin is another one");
}

/// The policy of security-design §4 holds for what other servers send (attack row B02).
#[test]
fn b02_a_readable_message_from_another_server_goes_back() {
    let mut world = World::with_config(10, &[NORTH, SOUTH], |config| {
        if config.domain == NORTH {
            config.policy = xep::policy::E2eePolicy::Required;
        }
    });
    world.register("alice@north.example");
    world.register("bob@south.example");
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@south.example", "phone");
    world.send(bob, "<message to='alice@north.example' type='chat' id='m1'><body>hi</body></message>");
    assert!(world.take(alice).is_empty());
    assert_eq!(condition(&world.take(bob)[0]), Some("policy-violation"));
}
