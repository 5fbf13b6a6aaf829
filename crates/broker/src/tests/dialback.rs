//! What unauthenticated dialback, and one account, can make the broker dial and hold (attack row B1 of the issue of budgets):
//! counts, never times.

use std::sync::Arc;
use std::time::Duration;

use super::condition;
use crate::federation::{DialFailure, DialRequest, ServerSession};
use crate::rate::Rate;
use crate::testing::{World, facts_of, run};
use crate::{Broker, Then};
use xmpp::stream::Transport;

const NORTH: &str = "north.example";
const OPEN: &str = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
    from='evil.example' to='north.example' version='1.0'>";

/// Much more than any test needs, so that the parts of it are what counts.
const DESCRIPTORS: usize = 65_536;

fn world(seed: u64) -> World {
    let world = World::with_config(seed, &[NORTH], |config| {
        config.limits.whole.descriptors = DESCRIPTORS;
        config.limits.session_queue_count = 10_000;
        config.limits.client_stanzas = Rate { per_second: 10_000, burst: 10_000 };
    });
    world.register("alice@north.example");
    world
}

/// A connection of a server without a certificate, from a network, with a stream open.
fn stranger(broker: &Broker, network: &str) -> ServerSession {
    let transport = Transport::Tls(facts_of(None));
    let mut session = broker.accept_server_from(transport, Arc::new(|| ()), Some(network));
    run(session.handle_bytes(OPEN.as_bytes()));
    session
}

fn claim(session: &mut ServerSession, domain: &str) {
    let claim = format!(
        "<db:result xmlns:db='jabber:server:dialback' from='{domain}' to='north.example'>{}</db:result>",
        "0".repeat(64)
    );
    run(session.handle_bytes(claim.as_bytes()));
}

fn heard(session: &mut ServerSession) -> String {
    String::from_utf8(session.take_output().bytes.unwrap_or_default().to_vec()).expect("text")
}

/// Begins all dials that may begin now.
fn begin(broker: &Broker) -> Vec<DialRequest> {
    std::iter::from_fn(|| broker.poll_dial()).collect()
}

#[test]
fn b01_the_claims_of_a_network_dial_no_more_than_its_part() {
    let mut world = world(1);
    let alice = world.online("alice@north.example", "desk");
    let broker = world.broker(NORTH).clone();
    let mut sessions = Vec::new();
    for nth in 0..24 {
        let mut session = stranger(&broker, "192.0.2");
        for domain in 0..64 {
            claim(&mut session, &format!("d{nth}-{domain}.example"));
        }
        sessions.push(session);
    }
    let begun = begin(&broker);
    let [(_, bytes), (_, dials), (_, descriptors)] = broker.budgets.levels();
    assert_eq!((begun.len(), dials.held), (8, 8), "one part in eight of 64 dials");
    assert_eq!(descriptors.held, 128, "what is under way and what waits for its turn");
    assert_eq!(bytes.held_by_clients, bytes.held, "nothing else is held for strangers");
    // each of the rest is told at once, and the connection lives
    let refused = |session: &mut ServerSession| {
        run(session.handle_wake());
        heard(session).matches("resource-constraint").count()
    };
    assert_eq!(sessions.iter_mut().map(refused).sum::<usize>(), 24 * 64 - 128);
    // another network and an account find room
    let mut other = stranger(&broker, "198.51.100");
    claim(&mut other, "honest.example");
    assert_eq!(begin(&broker).first().map(DialRequest::domain), Some("honest.example"));
    world.client(alice).send("<message to='bob@south.example' type='chat' id='m1'><body>hi</body></message>");
    world.client(alice).deliver();
    assert_eq!(begin(&broker).first().map(DialRequest::domain), Some("south.example"));
    // a turn that is over is somebody else's
    broker.dial_failed(&begun[0], DialFailure::Timeout);
    assert_eq!(begin(&broker).len(), 1);
    for session in sessions {
        run(session.closed());
    }
    run(other.closed());
}

#[test]
fn b01_questions_end_with_their_asker() {
    let world = world(2);
    let broker = world.broker(NORTH).clone();
    let mut session = stranger(&broker, "192.0.2");
    for domain in 0..10 {
        claim(&mut session, &format!("d{domain}.example"));
    }
    let begun = begin(&broker);
    assert_eq!((begun.len(), broker.waiting_dials()), (2, 8), "one connection dials two at once");
    assert!(begun.iter().all(|request| broker.is_wanted(request)));
    let woken = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for request in &begun {
        let woken = Arc::clone(&woken);
        let wake = move || _ = woken.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        broker.dialling(request, Arc::new(wake));
    }
    run(session.closed());
    assert_eq!(broker.waiting_dials(), 0);
    assert!(begun.iter().all(|request| !broker.is_wanted(request)));
    assert_eq!(woken.load(std::sync::atomic::Ordering::Relaxed), 2, "who dials is told");
    for request in &begun {
        assert!(broker.dialled(request, Transport::Tls(facts_of(None)), Arc::new(|| ())).is_none());
    }
    drop(begun);
    let [.., (_, dials), (_, descriptors)] = broker.budgets.levels();
    assert_eq!((dials.held, descriptors.held), (0, 0));
}

#[test]
fn b01_a_connection_that_only_asks_ends_with_the_asker() {
    let world = world(3);
    let broker = world.broker(NORTH).clone();
    for something_is_sent in [false, true] {
        let mut session = stranger(&broker, "192.0.2");
        claim(&mut session, "south.example");
        let request = begin(&broker).remove(0);
        let transport = Transport::Tls(facts_of(Some("south.example")));
        let mut asking = broker.dialled(&request, transport, Arc::new(|| ())).expect("somebody waits for the answer");
        drop(request);
        if something_is_sent {
            let presence = xmpp::xml::Element::new("presence", "jabber:client")
                .with_attr("from", "alice@north.example")
                .with_attr("to", "bob@south.example");
            run(crate::route::send(broker.core(), &presence));
        }
        run(asking.handle_wake());
        assert_ne!(asking.take_output().then, Then::Close);
        run(session.closed());
        run(asking.handle_wake());
        assert_eq!(asking.take_output().then == Then::Close, !something_is_sent);
        run(asking.closed());
        assert_eq!(broker.budgets.descriptors.level().held, 0);
    }
}

#[test]
fn b01_one_account_holds_no_more_than_its_part() {
    let mut world = world(4);
    let alice = world.online("alice@north.example", "desk");
    let broker = world.broker(NORTH).clone();
    for nth in 0..1500 {
        let question = format!("<iq type='get' id='q{nth}' to='d{nth}.example'><query xmlns='urn:example:q'/></iq>");
        world.client(alice).send(&question);
    }
    world.client(alice).deliver();
    let begun = begin(&broker);
    let [.., (_, dials), (_, descriptors)] = broker.budgets.levels();
    assert_eq!((begun.len(), dials.held_by_clients), (8, 8));
    assert_eq!(descriptors.held_by_clients, 128);
    world.settle();
    let told = world.take(alice);
    assert_eq!(told.iter().filter(|stanza| condition(stanza) == Some("resource-constraint")).count(), 1500 - 128);
    // what does not get its turn in time goes back, and may be tried again
    drop(begun);
    world.advance(Duration::from_secs(61));
    assert!(broker.poll_dial().is_none());
    world.settle();
    let told = world.take(alice);
    assert_eq!(told.iter().filter(|stanza| condition(stanza) == Some("remote-server-timeout")).count(), 120);
}

#[test]
fn b01_subdomains_of_one_domain_are_one_source() {
    let mut world = world(5);
    let broker = world.broker(NORTH).clone();
    let mut sessions = Vec::new();
    for nth in 0..10 {
        let mut session = stranger(&broker, &format!("192.0.{nth}"));
        for domain in 0..16 {
            claim(&mut session, &format!("d{nth}-{domain}.evil.example"));
        }
        sessions.push(session);
    }
    assert_eq!(broker.budgets.descriptors.level().held, 64, "ten networks, one registered domain");
    let mut other = stranger(&broker, "198.51.100");
    claim(&mut other, "honest.example");
    assert_eq!(broker.budgets.descriptors.level().held, 65);
    for session in sessions.into_iter().chain([other]) {
        run(session.closed());
    }
    world.settle();
}

/// Fixed deadlines: what arrives before a domain is proved prolongs nothing.
#[test]
fn b05_a_byte_now_and_then_does_not_keep_an_unproved_connection() {
    let mut world = world(6);
    let broker = world.broker(NORTH).clone();
    let mut session = stranger(&broker, "192.0.2");
    let end = session.next_timeout().expect("there is a deadline");
    for _ in 0..29 {
        world.advance(Duration::from_secs(1));
        run(session.handle_bytes(b" "));
        run(session.handle_timeout());
        assert_eq!(session.next_timeout(), Some(end));
    }
    assert_eq!(session.take_output().then, Then::Continue);
    world.advance(Duration::from_secs(1));
    run(session.handle_bytes(b" "));
    run(session.handle_timeout());
    let output = session.take_output();
    assert_eq!(output.then, Then::Close);
    assert!(String::from_utf8_lossy(&output.bytes.unwrap_or_default()).contains("connection-timeout"));
    run(session.closed());
}
