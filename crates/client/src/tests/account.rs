//! Joining, signing in, passwords, the end.

use std::time::Duration;

use store::backend::memory::Fault;

use crate::command::{Command, Login, Outcome, Password, Reply};
use crate::error::{CommandError, Failure};
use crate::event::{AccountState, Event};
use crate::testing::World;

fn ended(world: &World, person: usize, reply: Reply) -> Result<Outcome, Failure> {
    let Reply::Accepted(request) = reply else { panic!("{reply:?}") };
    world.outcome(person, request).expect("the command has ended")
}

#[test]
fn a_taken_name_is_said_and_another_can_be_chosen() {
    let mut world = World::new(30);
    world.join("alice", "north.example");
    let person = world.person();
    let link = format!("xmpp:north.example?register;preauth={}", world.server.token());
    let join = |name: Option<&str>| Command::Join { link: link.clone(), name: name.map(str::to_owned) };
    assert!(matches!(world.command(person, join(None)), Err(CommandError::NameNeeded)));
    assert!(matches!(world.command(person, join(Some("a b"))), Err(CommandError::BadName)));
    let reply = world.command(person, join(Some("alice"))).unwrap();
    assert_eq!(ended(&world, person, reply), Err(Failure::NameTaken));
    let reply = world.command(person, join(Some("alina"))).unwrap();
    assert!(matches!(ended(&world, person, reply), Ok(Outcome::Joined { .. })));
}

#[test]
fn a_used_up_invitation_is_said() {
    let mut world = World::new(31);
    let person = world.person();
    let link = "xmpp:north.example?register;preauth=made-up".to_owned();
    let reply = world.command(person, Command::Join { link, name: Some("alice".into()) }).unwrap();
    assert_eq!(ended(&world, person, reply), Err(Failure::InviteInvalid));
}

#[test]
fn an_invite_of_a_person_opens_an_account_and_greets_her() {
    let mut world = World::new(32);
    let alice = world.join("alice", "north.example");
    let link = world.invite_of(alice);
    let bob = world.person();
    let reply = world.command(bob, Command::Join { link, name: Some("bob".into()) }).unwrap();
    match ended(&world, bob, reply) {
        Ok(Outcome::Joined { address, invited_by }) => {
            assert_eq!(address.as_str(), "bob@north.example");
            assert_eq!(invited_by.unwrap().as_str(), "alice@north.example");
        }
        other => panic!("{other:?}"),
    }
    world.say(alice, "bob", "welcome");
    assert_eq!(world.received(bob), ["welcome"]);
}

#[test]
fn a_server_with_another_key_than_the_link_says_gets_nothing() {
    let mut world = World::new(33);
    let person = world.person();
    let pin = xep::encoding::base64url(&[8; 32]);
    let link = format!("xmpp:north.example?register;preauth={};wx-pin={pin}", world.server.token());
    let reply = world.command(person, Command::Join { link, name: Some("alice".into()) }).unwrap();
    assert_eq!(ended(&world, person, reply), Err(Failure::OtherServer));
    assert!(!world.server.has_account("alice@north.example"));
}

#[test]
fn a_wrong_password_is_said_and_the_right_one_works() {
    let mut world = World::new(34);
    world.server.register("alice@north.example", "right");
    let person = world.person();
    let login = |password: &str| {
        let password = Password::new(password);
        Command::Login(Login {
            address: "alice@north.example".into(),
            password,
            at: Vec::new(),
            pin: None,
            by_certificate: false,
            danger_no_binding: false,
        })
    };
    let reply = world.command(person, login("wrong")).unwrap();
    assert_eq!(ended(&world, person, reply), Err(Failure::WrongPassword));
    let reply = world.command(person, login("right")).unwrap();
    assert!(matches!(ended(&world, person, reply), Ok(Outcome::LoggedIn { .. })));
}

#[test]
fn a_changed_password_is_used_at_the_next_start() {
    let mut world = World::new(35);
    let alice = world.join("alice", "north.example");
    let reply = world.command(alice, Command::ChangePassword { new: None }).unwrap();
    assert_eq!(ended(&world, alice, reply), Ok(Outcome::PasswordChanged));
    world.restart(alice);
    assert_eq!(world.account_state(alice), AccountState::Online);
}

#[test]
fn a_password_that_xml_cannot_carry_is_refused_and_the_old_one_stays() {
    let mut world = World::new(441);
    let alice = world.join("alice", "north.example");
    for bad in ["bell\u{7} and whistle", "two\nlines of it", "not a character \u{ffff}"] {
        let change = Command::ChangePassword { new: Some(Password::new(bad)) };
        assert!(matches!(world.command(alice, change), Err(CommandError::BadPassword)));
    }
    world.restart(alice);
    assert_eq!(world.account_state(alice), AccountState::Online);
}

#[test]
fn a_deleted_account_leaves_nothing_here_or_there() {
    let (mut world, alice, bob) = World::alice_and_bob(36);
    world.say(bob, "alice", "soon gone");
    let owner = crate::tables::owner(&xmpp::jid::BareJid::parse("alice@north.example").unwrap(), &[]);
    let count =
        |world: &mut World, table| store::block_on(world.engine(alice).store.list(table, &owner)).unwrap().len();
    assert_eq!(count(&mut world, crate::tables::WITNESS), 1);
    let reply = world.command(alice, Command::DeleteAccount).unwrap();
    for table in crate::tables::OF_ACCOUNT {
        assert_eq!(count(&mut world, *table), 0, "{table:?}");
    }
    assert_eq!(ended(&world, alice, reply), Ok(Outcome::AccountDeleted));
    assert!(!world.server.has_account("alice@north.example"));
    assert_eq!(world.account_state(alice), AccountState::None);
    assert!(matches!(world.command(alice, Command::Contacts), Err(CommandError::NoAccount)));
}

#[test]
fn a_lost_connection_is_taken_up_again() {
    let (mut world, alice, bob) = World::alice_and_bob(37);
    world.cut(alice);
    assert_eq!(world.account_state(alice), AccountState::Connecting);
    world.say(bob, "alice", "while you were away");
    world.advance(Duration::from_secs(10));
    assert_eq!(world.account_state(alice), AccountState::Online);
    assert_eq!(world.received(alice), ["while you were away"]);
}

#[test]
fn a_disk_that_takes_nothing_does_not_make_the_client_sign_in_every_second() {
    let (mut world, alice, bob) = World::alice_and_bob(39);
    world.people[alice].survives = true;
    for fault in [Fault::ReadOnly, Fault::DiskFull] {
        let sign_ins = |world: &World| {
            let online = |event: &&Event| matches!(event, Event::Account(AccountState::Online));
            world.people[alice].events.iter().filter(online).count()
        };
        let before = sign_ins(&world);
        world.people[alice].backend.inject(fault);
        world.say(bob, "alice", "not yet");
        world.advance(Duration::from_secs(600));
        assert!((2..15).contains(&(sign_ins(&world) - before)), "{fault:?}: {}", sign_ins(&world) - before);
        world.people[alice].backend.inject(Fault::None);
        world.advance(Duration::from_secs(200));
        assert_eq!(world.account_state(alice), AccountState::Online);
        // It works again, so a lost connection is taken up again soon.
        world.cut(alice);
        world.advance(Duration::from_secs(2));
        assert_eq!(world.account_state(alice), AccountState::Online);
    }
    assert_eq!(world.received(alice), ["not yet", "not yet"]);
}

#[test]
fn presence_reaches_nobody_and_the_password_is_nowhere_in_clear() {
    let (world, alice, _) = World::alice_and_bob(38);
    for row in world.people[alice].backend.raw_rows() {
        let clear =
            |needle: &[u8]| row.key.windows(needle.len()).chain(row.value.windows(needle.len())).any(|w| w == needle);
        assert!(!clear(b"alice@") && !clear(b"north.example") && !clear(b"bob@"));
    }
    assert!(world.server.presences.iter().all(|presence| presence.attr("to").is_none()));
}
