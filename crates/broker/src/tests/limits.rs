//! Every bound on what a client can do (security-design §6); each test sets its own.

use std::time::Duration;

use super::world;
use crate::rate::Rate;
use crate::testing::World;

fn limited(configure: impl Fn(&mut crate::Limits)) -> World {
    let world = World::with_config(1, &["north.example"], |config| configure(&mut config.limits));
    world.register("alice@north.example");
    world.register("bob@north.example");
    world
}

#[test]
fn a_client_over_its_rate_is_not_read_and_loses_nothing() {
    let mut world = limited(|l| l.client_stanzas = Rate { per_second: 10, burst: 20 });
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    world.take(bob);
    for _ in 0..30 {
        world.client(alice).send("<message to='bob@north.example' type='chat'><body>x</body></message>");
    }
    world.settle();
    let now = world.moment();
    let pause = world.client(alice).session().and_then(crate::ClientSession::read_pause);
    assert!(pause.is_some_and(|until| until > now), "31 stanzas, 20 allowed at once");
    assert_eq!(world.take(bob).len(), 30);
    world.advance(Duration::from_secs(2));
    let pause = world.client(alice).session().and_then(crate::ClientSession::read_pause);
    assert_eq!(pause, None);
    let pause = world.client(bob).session().and_then(crate::ClientSession::read_pause);
    assert_eq!(pause, None, "nobody else waits");
}

/// A wall clock that is set back made debts of an hour out of debts of a second; one that is set forward ended every
/// connection at once.
#[test]
fn b10_a_wall_clock_that_jumps_freezes_nobody_and_ends_nothing() {
    for by in [-3600_i64, 3600, -86_400 * 365 * 50] {
        let mut world = limited(|l| l.client_stanzas = Rate { per_second: 10, burst: 20 });
        let broker = world.broker("north.example").clone();
        let pause = |world: &mut World, who| world.client(who).session().and_then(crate::ClientSession::read_pause);
        let alice = world.online("alice@north.example", "desk");
        let bob = world.online("bob@north.example", "phone");
        world.take(bob);
        for _ in 0..30 {
            world.client(alice).send("<message to='bob@north.example' type='chat'><body>x</body></message>");
        }
        world.settle();
        for _ in 0..6 {
            let _ = broker.failed_logins.admit("alice@north.example", None, world.moment());
        }
        let (paused, timeout) = (pause(&mut world, alice), world.client(bob).session().and_then(|s| s.next_timeout()));
        assert!(paused.is_some());
        let set = world.now().as_millis().saturating_add(by * 1000);
        world.set_wall_clock(xmpp::time::Timestamp::from_millis(set));
        assert_eq!(pause(&mut world, alice), paused, "neither longer nor shorter");
        assert_eq!(world.client(bob).session().and_then(|s| s.next_timeout()), timeout);
        let again = world.connect("alice@north.example", "again");
        assert!(!world.client(again).ready, "held back");
        world.advance(Duration::from_secs(11));
        assert!(world.client(again).ready, "and comes through after as long as ever");
        assert_eq!(pause(&mut world, alice), None);
        assert_eq!(world.take(bob).len(), 30);
        assert_eq!(broker.session_count(), 3, "and nobody was taken for dead");
        // what came while the clock was wrong is in order all the same
        world.freeze(bob);
        world.send(alice, "<message to='bob@north.example' type='chat'><body>1</body></message>");
        world.set_wall_clock(xmpp::time::Timestamp::from_millis(set - by * 1000));
        world.send(alice, "<message to='bob@north.example' type='chat'><body>2</body></message>");
        world.cut(bob);
        let bob = world.online_unread("bob@north.example", "phone");
        assert_eq!(broker.session_count(), 3);
        let late = world.take(bob);
        let body = |s: &xmpp::xml::Element| s.child("body", xmpp::ns::CLIENT).map(xmpp::xml::Element::text);
        assert_eq!(late.iter().filter_map(body).collect::<Vec<_>>(), ["1", "2"]);
    }
}

#[test]
fn neither_another_session_nor_a_new_connection_goes_round_the_rate() {
    let mut world = limited(|l| l.client_stanzas = Rate { per_second: 10, burst: 20 });
    let pause = |world: &mut World, client| world.client(client).session().and_then(crate::ClientSession::read_pause);
    let desk = world.online("alice@north.example", "desk");
    let phone = world.online("alice@north.example", "phone");
    for _ in 0..30 {
        world.client(desk).send("<message to='bob@north.example' type='chat'><body>x</body></message>");
    }
    world.settle();
    assert!(pause(&mut world, desk).is_some());
    assert_eq!(pause(&mut world, phone), pause(&mut world, desk), "they share what the account may send");
    world.cut(desk);
    world.cut(phone);
    let again = world.connect("alice@north.example", "again");
    assert!(pause(&mut world, again).is_some(), "who comes again has no new burst");
    world.advance(Duration::from_secs(2));
    assert_eq!(pause(&mut world, again), None);
}

#[test]
fn bytes_are_limited_like_stanzas() {
    let mut world = limited(|l| l.client_bytes = Rate { per_second: 1000, burst: 5000 });
    let alice = world.online("alice@north.example", "desk");
    let body = "x".repeat(10_000);
    world.send(alice, &format!("<message to='bob@north.example' type='chat'><body>{body}</body></message>"));
    let pause = world.client(alice).session().and_then(crate::ClientSession::read_pause);
    assert!(pause.is_some());
}

#[test]
fn a_stanza_has_a_largest_size() {
    use xmpp::stream::{Ending, StreamCondition};
    let mut world = limited(|l| l.client_xml = xmpp::xml::Limits::with_stanza_bytes(20_000));
    let bob = world.online("bob@north.example", "phone");
    for (length, ended) in [(15_000, None), (25_000, Some(Ending::PeerError(StreamCondition::PolicyViolation)))] {
        let alice = world.online("alice@north.example", "desk");
        let body = "x".repeat(length);
        world.send(alice, &format!("<message to='bob@north.example' type='chat'><body>{body}</body></message>"));
        assert_eq!(world.client(alice).ended, ended, "{length}");
        let got = world.take(bob).iter().filter(|s| s.name() == "message").count();
        assert_eq!(got, usize::from(world.client(alice).ended.is_none()), "{length}");
    }
}

#[test]
fn sessions_per_account_are_limited() {
    let mut world = limited(|l| l.sessions_per_account = 2);
    for resource in ["a", "b"] {
        let client = world.connect("alice@north.example", resource);
        assert!(world.client(client).ready);
    }
    let third = world.connect("alice@north.example", "c");
    assert!(!world.client(third).ready);
    let again = world.connect("alice@north.example", "a");
    assert!(world.client(again).ready, "replacing one's own session is always possible");
}

#[test]
fn a_connection_that_does_not_sign_in_is_closed() {
    let world = world(2);
    let broker = world.broker("north.example");
    let wake: crate::Wake = std::sync::Arc::new(|| ());
    let session = broker.accept_client(xmpp::stream::Transport::Plain, wake);
    assert_eq!(session.next_timeout(), Some(world.moment() + Duration::from_secs(30)));
}

#[test]
fn a_silent_client_is_asked_and_then_counts_as_gone() {
    let mut world = world(3);
    let alice = world.online("alice@north.example", "desk");
    world.advance(Duration::from_secs(290));
    assert!(world.take(alice).is_empty());
    world.advance(Duration::from_secs(20));
    assert!(world.take(alice).iter().any(|s| s.child("ping", "urn:xmpp:ping").is_some()), "asked (XEP-0199)");
    assert!(world.client(alice).session().is_some(), "its acknowledgement is a sign of life");
    world.freeze(alice);
    world.advance(Duration::from_secs(400));
    assert!(world.client(alice).session().is_none());
    assert_eq!(world.broker("north.example").session_count(), 0);
}

#[test]
fn directed_presence_is_limited() {
    let mut world = limited(|l| l.directed_presence = 2);
    let alice = world.online("alice@north.example", "desk");
    for n in 0..3 {
        world.send(alice, &format!("<presence to='x{n}@north.example/r'/>"));
    }
    let got = world.take(alice);
    assert_eq!(got.last().and_then(super::condition), Some("resource-constraint"));
}

/// Guessing is slowed down and nobody is locked out.
#[test]
fn a_login_after_many_failures_waits() {
    let mut world = world(4);
    let broker = world.broker("north.example").clone();
    for _ in 0..6 {
        let _ = broker.failed_logins.admit("alice@north.example", None, world.moment());
    }
    let alice = world.connect("alice@north.example", "desk");
    assert!(!world.client(alice).ready, "held back");
    world.advance(Duration::from_secs(11));
    assert!(world.client(alice).ready, "and let in with the right password");
    let bob = world.connect("bob@north.example", "phone");
    assert!(world.client(bob).ready, "others do not wait");
}

/// What a connection that waits costs in this crate: the session, and the future of the turn that its task holds.
#[test]
fn an_idle_session_is_small() {
    let world = world(5);
    let wake: crate::Wake = std::sync::Arc::new(|| ());
    let mut session = world.broker("north.example").accept_client(xmpp::stream::Transport::Plain, wake);
    let session_bytes = std::mem::size_of_val(&session);
    let turn_bytes = std::mem::size_of_val(&session.handle_bytes(b""));
    let wake_bytes = std::mem::size_of_val(&session.handle_wake());
    let timeout_bytes = std::mem::size_of_val(&session.handle_timeout());
    println!("session {session_bytes}, turn {turn_bytes}, wake {wake_bytes}, timeout {timeout_bytes}");
    assert!(session_bytes <= 1024, "{session_bytes}");
    assert!(turn_bytes.max(wake_bytes).max(timeout_bytes) <= 1024, "{turn_bytes} {wake_bytes} {timeout_bytes}");
}

/// A connection of somebody from a network, up to where the exchange begins.
fn begun(world: &World, name: &str, network: &str) -> crate::ClientSession {
    let wake: crate::Wake = std::sync::Arc::new(|| ());
    let transport = xmpp::stream::Transport::Tls(crate::testing::facts_of(None));
    let mut session = world.broker("north.example").accept_client_from(transport, wake, Some(network));
    let first = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("n,,n={name},r=abcdefgh"));
    let said = format!(
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='north.example' \
         version='1.0'><auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>{first}</auth>"
    );
    crate::testing::run(session.handle_bytes(said.as_bytes()));
    session
}

/// Whether the broker answers now, so that a password can be tried.
fn is_answered(session: &mut crate::ClientSession) -> bool {
    let heard = session.take_output().bytes.unwrap_or_default();
    String::from_utf8_lossy(&heard).contains("<challenge")
}

fn is_answered_at_once(world: &World, name: &str, network: &str) -> bool {
    let mut session = begun(world, name, network);
    let answered = is_answered(&mut session);
    crate::testing::run(session.closed());
    answered
}

#[test]
fn b13_of_many_logins_that_begin_together_few_go_on_and_then_one_by_one() {
    let mut world = world(8);
    let mut sessions: Vec<_> = (0..20).map(|nth| begun(&world, "alice", &format!("192.0.{nth}"))).collect();
    let mut answered = |now: xmpp::time::Moment| {
        let due = |session: &mut crate::ClientSession| {
            if session.next_timeout().is_some_and(|at| at <= now) {
                crate::testing::run(session.handle_timeout());
            }
            is_answered(session)
        };
        sessions.iter_mut().map(due).filter(|answered| *answered).count()
    };
    assert_eq!(answered(world.moment()), 6, "though no password was wrong yet");
    for _ in 0..2 {
        world.advance(Duration::from_secs(9));
        assert_eq!(answered(world.moment()), 0);
        world.advance(Duration::from_secs(2));
        assert_eq!(answered(world.moment()), 1, "those that waited do not pass together");
    }
}

#[test]
fn b13_guesses_from_many_networks_are_paced_and_the_owners_network_goes_first() {
    let world = world(6);
    let broker = world.broker("north.example").clone();
    let now = world.moment();
    broker.failed_logins.succeeded("alice@north.example", Some("203.0.113"), None);
    for nth in 0..1000 {
        let _ = broker.failed_logins.admit("alice@north.example", Some(&format!("198.51.{nth}")), now);
    }
    let answered = (0..100).filter(|nth| is_answered_at_once(&world, "alice", &format!("192.0.{nth}"))).count();
    assert_eq!(answered, 0, "a hundred networks are no more than one");
    assert!(is_answered_at_once(&world, "alice", "203.0.113"), "the owner does not wait");
    assert!(is_answered_at_once(&world, "bob", "192.0.1"), "nor do others");
}

#[test]
fn b13_a_password_change_ends_the_other_sessions() {
    let mut world = world(7);
    let (desk, phone) = (world.online("alice@north.example", "desk"), world.online("alice@north.example", "phone"));
    let bob = world.online("bob@north.example", "phone");
    let change = |password: &str| {
        format!(
            "<iq type='set' id='p' to='north.example'><query xmlns='jabber:iq:register'><username>alice</username>\
             <password>{password}</password></query></iq>"
        )
    };
    world.take(desk);
    world.send(desk, &change("123"));
    assert_eq!(world.broker("north.example").session_count(), 3, "a change that is refused ends nothing");
    world.take(desk);
    world.send(desk, &change("seven-unlikely-Herons-9421"));
    let answer = world.take(desk);
    assert!(answer.iter().any(|stanza| stanza.attr("type") == Some("result")), "{answer:?}");
    assert!(world.client(desk).session().is_some(), "who changed it stays");
    assert!(world.client(phone).session().is_none(), "whoever has the old one is out");
    assert!(world.client(bob).session().is_some());
}
