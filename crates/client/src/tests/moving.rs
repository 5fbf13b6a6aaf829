//! A new way to sign in is proved first; a broker that moves takes its people along, and nobody else can move them.

use std::time::Duration;

use xep::address::Address;
use xep::uri::Endpoint as Place;

use crate::command::{Command, Login, Outcome, Password, Reply};
use crate::error::{CommandError, Failure};
use crate::event::{AccountState, Event};
use crate::output::{Endpoint, ServerIdentity};
use crate::testing::{PIN, World};

const OLD: &str = "127.0.0.1";
const NEW: &str = "192.0.2.7";

fn ended(world: &World, person: usize, reply: Reply) -> Result<Outcome, Failure> {
    let Reply::Accepted(wanted) = reply else { panic!("{reply:?}") };
    // The last one: numbers begin anew with each start.
    let found = world.people[person].events.iter().rev().find_map(|event| match event {
        Event::Done { request, outcome } if *request == wanted => Some(outcome.clone()),
        _ => None,
    });
    found.expect("the command has ended")
}

fn login(password: &str, host: Option<&str>, pin: Option<[u8; 32]>) -> Command {
    Command::Login(Login {
        address: "alice@north.example".into(),
        password: Password::new(password),
        at: host.map(|host| Endpoint { host: host.into(), port: 5222 }).into_iter().collect(),
        pin,
        by_certificate: false,
        danger_no_binding: false,
    })
}

/// Alice, whose password is known, at a server that answers at [`OLD`].
fn alice(seed: u64) -> (World, usize) {
    let mut world = World::new(seed);
    let alice = world.join("alice", "north.example");
    world.command(alice, Command::ChangePassword { new: Some(Password::new("right")) }).unwrap();
    (world, alice)
}

fn hosts(world: &World, person: usize) -> Vec<String> {
    world.people[person].plans.last().unwrap().addresses.iter().map(|at| at.host.clone()).collect()
}

#[test]
fn a_mistyped_password_does_not_replace_the_one_that_works() {
    let (mut world, alice) = alice(430);
    let reply = world.command(alice, login("wrong", None, None)).unwrap();
    assert_eq!(ended(&world, alice, reply), Err(Failure::WrongPassword));
    assert_eq!(world.account_state(alice), AccountState::Online, "taken up again by the known one");
    world.restart(alice);
    assert_eq!(world.account_state(alice), AccountState::Online);
    // Also when the program dies in the middle of it.
    world.command_only(alice, login("wrong", None, None)).unwrap();
    world.restart(alice);
    assert_eq!(world.account_state(alice), AccountState::Online);
    // A right one that is new here replaces it.
    world.server.register("alice@north.example", "changed elsewhere");
    let reply = world.command(alice, login("changed elsewhere", None, None)).unwrap();
    assert!(matches!(ended(&world, alice, reply), Ok(Outcome::LoggedIn { .. })));
    world.restart(alice);
    assert_eq!(world.account_state(alice), AccountState::Online);
}

#[test]
fn the_host_and_pin_that_are_given_are_used_and_kept_only_if_they_work() {
    let (mut world, alice) = alice(431);
    world.server.dead_hosts = vec![NEW.into()];
    let reply = world.command(alice, login("right", Some(NEW), None)).unwrap();
    assert_eq!(ended(&world, alice, reply), Err(Failure::Disconnected));
    assert_eq!((world.account_state(alice), hosts(&world, alice)), (AccountState::Online, vec![OLD.to_owned()]));
    let reply = world.command(alice, login("right", None, Some([8; 32]))).unwrap();
    assert_eq!(ended(&world, alice, reply), Err(Failure::OtherServer), "another key than the one that was given");
    world.restart(alice);
    assert_eq!(world.people[alice].plans.last().unwrap().identity, ServerIdentity::Pin(PIN));
    // The server has moved.
    world.server.dead_hosts = vec![OLD.into()];
    world.kill(alice);
    world.start(alice, crate::engine::Origin::Same).unwrap();
    let reply = world.command(alice, login("right", Some(NEW), None)).unwrap();
    assert!(matches!(ended(&world, alice, reply), Ok(Outcome::LoggedIn { .. })));
    world.restart(alice);
    assert_eq!((world.account_state(alice), hosts(&world, alice)), (AccountState::Online, vec![NEW.to_owned()]));
}

#[test]
fn a_login_to_a_server_that_does_not_answer_leaves_nothing_behind() {
    let mut world = World::new(432);
    world.server.register("alice@north.example", "right");
    world.server.dead_hosts = vec![NEW.into()];
    let person = world.person();
    world.command(person, login("right", Some(NEW), None)).unwrap();
    world.kill(person);
    world.start(person, crate::engine::Origin::Same).unwrap();
    assert_eq!(world.account_state(person), AccountState::None);
    // Another address is free to be tried.
    world.server.register("alina@north.example", "right");
    let other = Command::Login(Login {
        address: "alina@north.example".into(),
        password: Password::new("right"),
        at: Vec::new(),
        pin: None,
        by_certificate: false,
        danger_no_binding: false,
    });
    let reply = world.command(person, other).unwrap();
    assert!(matches!(ended(&world, person, reply), Ok(Outcome::LoggedIn { .. })));
    world.restart(person);
    assert_eq!(world.account_state(person), AccountState::Online);
}

fn link(domain: &str, pin: [u8; 32], host: &str) -> String {
    let pin = xep::encoding::base64url(&pin);
    format!("xmpp:{domain}?register;preauth=fresh;wx-pin={pin};wx-at={host}:5222")
}

#[test]
fn a_fresh_link_of_the_same_server_moves_the_account_there() {
    let (mut world, alice) = alice(433);
    world.server.dead_hosts = vec![OLD.into()];
    world.kill(alice);
    world.start(alice, crate::engine::Origin::Same).unwrap();
    let join = |link: String| Command::Join { link, name: None };
    for other in [link("north.example", [8; 32], NEW), link("south.example", PIN, NEW)] {
        assert!(matches!(
            world.command(alice, join(other)),
            Err(CommandError::AccountExists | CommandError::NameNeeded)
        ));
    }
    let reply = world.command(alice, join(link("north.example", PIN, NEW))).unwrap();
    assert!(matches!(ended(&world, alice, reply), Ok(Outcome::LoggedIn { .. })));
    world.restart(alice);
    assert_eq!((world.account_state(alice), hosts(&world, alice)), (AccountState::Online, vec![NEW.to_owned()]));
}

#[test]
fn an_invite_of_somebody_on_the_same_server_moves_the_account_too() {
    let (mut world, alice) = alice(434);
    world.server.dead_hosts = vec![OLD.into()];
    world.cut(alice);
    assert_eq!(world.account_state(alice), AccountState::Connecting);
    let pin = xep::encoding::base64url(&PIN);
    let link = format!("xmpp:bob@north.example?roster;preauth=x;wx-pin={pin};wx-at={NEW}:5222");
    world.command(alice, Command::Add { link, name: None }).unwrap();
    assert_eq!((world.account_state(alice), hosts(&world, alice)), (AccountState::Online, vec![NEW.to_owned()]));
}

#[test]
fn a_server_that_will_move_says_so_to_those_who_are_connected() {
    let (mut world, alice) = alice(435);
    let place = |host: &str| Place::parse(&format!("{host}:5222")).unwrap();
    world.server.address = Some(Address { pin: PIN, at: vec![place(NEW), place(OLD)] });
    world.restart(alice);
    world.server.dead_hosts = vec![OLD.into()];
    world.restart(alice);
    assert_eq!(world.account_state(alice), AccountState::Online);
    assert_eq!(hosts(&world, alice), [OLD, NEW], "the place that worked is tried first");
    world.restart(alice);
    assert_eq!(hosts(&world, alice), [NEW, OLD], "and then the one that has worked since");
}

#[test]
fn a_server_moves_nobody_to_another_key_and_locks_nobody_out() {
    let (mut world, alice) = alice(436);
    let place = |host: &str| Place::parse(&format!("{host}:5222")).unwrap();
    for (pin, at) in [([8; 32], vec![place("198.51.100.1")]), (PIN, Vec::new())] {
        world.server.address = Some(Address { pin, at });
        world.restart(alice);
        world.restart(alice);
        assert_eq!(hosts(&world, alice), [OLD]);
    }
    // Wrong about itself: the place that works is still tried.
    world.server.address = Some(Address { pin: PIN, at: vec![place("198.51.100.1")] });
    world.restart(alice);
    world.restart(alice);
    assert_eq!(hosts(&world, alice), [OLD, "198.51.100.1"]);
    // Nobody else can say it: not unasked, and not in the server's place.
    world.server.address = None;
    for from in ["eve@north.example/x", "south.example", "north.example"] {
        let forged = Address { pin: PIN, at: vec![place("203.0.113.9")] };
        for kind in ["result", "set"] {
            let iq = xmpp::stanza::iq(kind, "guess", None, forged.to_element()).with_attr("from", from);
            world.server.inject(alice, &iq);
        }
    }
    world.settle();
    world.restart(alice);
    assert!(!hosts(&world, alice).contains(&"203.0.113.9".to_owned()));
}

#[test]
fn going_offline_ends_a_trial() {
    let (mut world, alice) = alice(437);
    world.command(alice, Command::GoOffline).unwrap();
    let Reply::Accepted(request) = world.command_only(alice, login("wrong", None, None)).unwrap() else { panic!() };
    world.command(alice, Command::GoOffline).unwrap();
    assert_eq!(world.outcome(alice, request), Some(Err(Failure::Disconnected)));
    world.advance(Duration::from_secs(300));
    assert_eq!(world.account_state(alice), AccountState::Offline);
}
