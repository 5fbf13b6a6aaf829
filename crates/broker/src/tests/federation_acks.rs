//! XEP-0198 between brokers: what was acknowledged to a client survives the death of either broker.

use std::time::Duration;

use super::{condition, ids};
use crate::federation::{DialFailure, DialRequest, ServerSession};
use crate::testing::{World, facts_of, run};
use crate::{Broker, Then};
use xmpp::stream::Transport;

const NORTH: &str = "north.example";
const SOUTH: &str = "south.example";

fn two(seed: u64) -> World {
    let world = World::new(seed, &[NORTH, SOUTH]);
    world.register("alice@north.example");
    world.register("bob@south.example");
    world
}

fn send(world: &mut World, client: usize, id: u64) {
    let message = format!("<message to='bob@south.example' type='chat' id='{id}'><body>x</body></message>");
    world.client(client).send_numbered(&message, Some(id));
    world.settle();
}

fn messages(world: &mut World, client: usize) -> Vec<String> {
    let got: Vec<_> = world.take(client).into_iter().filter(|stanza| stanza.name() == "message").collect();
    ids(&got).into_iter().map(str::to_owned).collect()
}

/// Bob signs in after whatever happened.
fn found_by_bob(world: &mut World) -> Vec<String> {
    let bob = world.connect("bob@south.example", "after");
    world.send(bob, "<presence/>");
    messages(world, bob)
}

/// Bob's broker has the message in memory only, when it is killed.
#[test]
fn a_message_outlives_the_broker_that_had_received_it() {
    let mut world = two(1);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@south.example", "phone");
    world.freeze(bob);
    send(&mut world, alice, 1);
    assert!(world.client(alice).acknowledged.is_empty(), "bob's broker is not answerable for it yet");
    world.crash(SOUTH);
    world.settle();
    assert_eq!(world.client(alice).acknowledged, [1], "it was sent again and lies in the offline queue");
    assert_eq!(found_by_bob(&mut world), ["1"]);
}

/// Bob's client is silent: his broker commits after the grace, and so Alice does not wait long.
#[test]
fn the_grace_of_the_receiving_broker_is_what_a_sender_waits_for() {
    let mut world = two(2);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@south.example", "phone");
    world.freeze(bob);
    send(&mut world, alice, 1);
    world.advance(Duration::from_millis(60));
    assert_eq!(world.client(alice).acknowledged, [1]);
    world.crash(SOUTH);
    world.settle();
    assert_eq!(found_by_bob(&mut world), ["1"], "once");
}

/// Bob has it, and his broker is killed before it could say so: the repeat has the same id.
#[test]
fn what_arrived_without_an_acknowledgement_comes_again_under_its_id() {
    let mut world = two(3);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@south.example", "phone");
    send(&mut world, alice, 1);
    world.servers_are_mute = true;
    send(&mut world, alice, 2);
    assert_eq!(messages(&mut world, bob), ["1", "2"]);
    assert_eq!(world.client(alice).acknowledged, [1]);
    world.crash(SOUTH);
    world.servers_are_mute = false;
    world.settle();
    assert_eq!(world.client(alice).acknowledged, [1, 2]);
    assert_eq!(found_by_bob(&mut world), ["2"]);
}

/// Nobody's `h` waits for a receiver of another domain's headlines, which are never kept.
#[test]
fn what_no_store_takes_does_not_hold_up_a_server() {
    let mut world = two(4);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@south.example", "phone");
    world.freeze(bob);
    let headline = "<message to='bob@south.example' type='headline' id='h'><body>x</body></message>";
    world.client(alice).send_numbered(headline, Some(1));
    world.settle();
    assert!(world.client(alice).acknowledged.is_empty());
    world.advance(Duration::from_millis(60));
    assert_eq!(world.client(alice).acknowledged, [1]);
}

/// Kills of the receiving broker at every point of a conversation, Bob listening or not.
#[test]
fn whatever_was_acknowledged_was_received_or_is_kept() {
    for kill_at in 0..8u64 {
        for deaf_at in 0..=kill_at {
            let mut world = two(100 + kill_at * 10 + deaf_at);
            let alice = world.online("alice@north.example", "desk");
            let bob = world.online("bob@south.example", "phone");
            for id in 0..8 {
                if id == deaf_at {
                    world.freeze(bob);
                }
                if id == kill_at {
                    world.crash(SOUTH);
                }
                send(&mut world, alice, id);
                if id % 3 == 2 {
                    world.advance(Duration::from_millis(30));
                }
            }
            let told = world.client(alice).acknowledged.clone();
            assert_eq!(told, (0..8).collect::<Vec<_>>(), "nothing is left open");
            let mut had = messages(&mut world, bob);
            had.extend(found_by_bob(&mut world));
            had.sort();
            had.dedup(); // as a receiver does, by the id
            let all: Vec<String> = (0..8).map(|id: u64| id.to_string()).collect();
            assert_eq!(had, all, "killed at {kill_at}, deaf at {deaf_at}");
        }
    }
}

/// South, written by hand.
struct Peer {
    session: ServerSession,
    heard: String,
}

impl Peer {
    fn accept(broker: &Broker, request: &DialRequest, features: &str) -> Peer {
        let transport = Transport::Tls(facts_of(Some(SOUTH)));
        let session = broker.dialled(request, transport, std::sync::Arc::new(|| ())).expect("something waits");
        let mut peer = Peer { session, heard: String::new() };
        let header = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
            from='south.example' id='x' version='1.0'>";
        let external =
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>";
        peer.say(&format!("{header}<stream:features>{external}</stream:features>"));
        peer.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        peer.say(&format!("{header}<stream:features>{features}</stream:features>"));
        peer
    }

    fn say(&mut self, text: &str) -> Then {
        run(self.session.handle_bytes(text.as_bytes()));
        self.listen()
    }

    fn listen(&mut self) -> Then {
        let output = self.session.take_output();
        if let Some(bytes) = output.bytes {
            self.heard.push_str(std::str::from_utf8(&bytes).unwrap());
            run(self.session.handle_written());
        }
        output.then
    }

    fn heard(&mut self) -> String {
        std::mem::take(&mut self.heard)
    }
}

const SM: &str = "<sm xmlns='urn:xmpp:sm:3'/>";
const ENABLED: &str = "<enabled xmlns='urn:xmpp:sm:3'/>";

/// Alice, who has sent messages 1 and 2, and her broker's wish for a connection.
fn alice_has_sent(seed: u64) -> (World, usize, Broker, DialRequest) {
    let mut world = World::new(seed, &[NORTH]);
    world.register("alice@north.example");
    let alice = world.online("alice@north.example", "desk");
    for id in [1, 2] {
        let message = format!("<message to='bob@south.example' type='chat' id='{id}'><body>x</body></message>");
        world.client(alice).send_numbered(&message, Some(id));
    }
    world.client(alice).deliver();
    let broker = world.broker(NORTH).clone();
    let request = broker.poll_dial().expect("a connection is asked for");
    (world, alice, broker, request)
}

#[test]
fn a_peer_without_acknowledgements_has_what_is_written() {
    let (mut world, alice, broker, request) = alice_has_sent(11);
    let mut south = Peer::accept(&broker, &request, "");
    let heard = south.heard();
    assert!(heard.contains("id='1'") && heard.contains("id='2'") && !heard.contains("urn:xmpp:sm:3"), "{heard}");
    world.settle();
    assert_eq!(world.client(alice).acknowledged, [1, 2]);
    run(south.session.closed());
    assert!(broker.poll_dial().is_none(), "nothing is sent again");
}

#[test]
fn what_a_peer_acknowledges_is_settled_and_no_more() {
    let (mut world, alice, broker, request) = alice_has_sent(12);
    let mut south = Peer::accept(&broker, &request, SM);
    assert!(!south.heard().contains("<message"), "its answer comes first");
    south.say(ENABLED);
    let heard = south.heard();
    assert!(heard.contains("id='2'") && heard.ends_with("<r xmlns='urn:xmpp:sm:3'/>"), "{heard}");
    south.say("<a xmlns='urn:xmpp:sm:3' h='1'/>");
    world.settle();
    run(south.session.closed());
    let request = broker.poll_dial().expect("the second one is tried again");
    let mut south = Peer::accept(&broker, &request, SM);
    south.say(ENABLED);
    let heard = south.heard();
    assert!(!heard.contains("id='1'") && heard.contains("id='2'"), "{heard}");
    south.say("<a xmlns='urn:xmpp:sm:3' h='1'/>");
    world.settle();
    assert_eq!(world.client(alice).acknowledged, [1, 2]);
    assert!(world.take(alice).is_empty(), "nothing came back");
}

#[test]
fn a_peer_that_acknowledges_too_much_loses_its_connection() {
    let (_world, _alice, broker, request) = alice_has_sent(13);
    let mut south = Peer::accept(&broker, &request, SM);
    south.say(ENABLED);
    south.heard();
    assert_eq!(south.say("<a xmlns='urn:xmpp:sm:3' h='3'/>"), Then::Close);
    assert!(south.heard().contains("handled-count-too-high"));
}

/// One silent domain held up the `h` of whoever wrote to it, for minutes, for everybody they wrote to.
#[test]
fn b07_a_domain_that_never_acknowledges_holds_up_nobody_for_long() {
    let (mut world, alice, broker, request) = alice_has_sent(14);
    let mut south = Peer::accept(&broker, &request, SM);
    south.say(ENABLED);
    assert!(south.heard().contains("id='2'"));
    let local = "<message to='alice@north.example' type='headline' id='3'><body>x</body></message>";
    world.client(alice).send_numbered(local, Some(3));
    world.advance(Duration::from_secs(19));
    assert!(world.client(alice).acknowledged.is_empty());
    world.take(alice);
    world.advance(Duration::from_secs(1));
    let got = world.take(alice);
    assert_eq!(ids(&got), ["1", "2"]);
    assert_eq!(got.iter().filter_map(condition).collect::<Vec<_>>(), ["remote-server-timeout"; 2]);
    assert!(got.iter().all(|s| s.child("error", xmpp::ns::CLIENT).and_then(|e| e.attr("type")) == Some("wait")));
    assert_eq!(world.client(alice).acknowledged, [1, 2, 3], "a bounce settles them");
    // answers that acknowledge nothing keep no connection alive
    for _ in 0..9 {
        world.advance(Duration::from_secs(11));
        south.say("<a xmlns='urn:xmpp:sm:3' h='0'/>");
        run(south.session.handle_timeout());
        assert_eq!(south.listen(), Then::Continue);
    }
    world.advance(Duration::from_secs(1));
    run(south.session.handle_timeout());
    assert_eq!(south.listen(), Then::Close);
    run(south.session.closed());
    assert!(broker.poll_dial().is_none(), "what went back is not sent again");
    world.settle();
    assert!(world.take(alice).is_empty(), "nor does it go back twice");
}

/// What went back while it waited for a connection is not sent on it.
#[test]
fn b07_what_went_back_before_it_was_sent_is_not_sent_later() {
    let (mut world, alice, broker, request) = alice_has_sent(16);
    world.advance(Duration::from_secs(20));
    assert_eq!(world.client(alice).acknowledged, [1, 2]);
    let mut south = Peer::accept(&broker, &request, SM);
    south.say(ENABLED);
    assert!(!south.heard().contains("<message"));
    assert_eq!(broker.budgets.bytes.level().held, 0);
}

#[test]
fn what_was_sent_to_a_server_that_is_gone_goes_back() {
    let (mut world, alice, broker, request) = alice_has_sent(15);
    let mut south = Peer::accept(&broker, &request, SM);
    south.say(ENABLED);
    run(south.session.closed());
    let request = broker.poll_dial().expect("it is tried again");
    broker.dial_failed(&request, DialFailure::Timeout);
    world.settle();
    assert_eq!(ids(&world.take(alice)), ["1", "2"]);
    assert_eq!(world.client(alice).acknowledged, [1, 2]);
}
