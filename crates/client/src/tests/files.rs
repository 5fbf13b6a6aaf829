//! Files whose states are true: what could not be fetched or saved says why, and is tried again where that can help.

use std::time::Duration;

use bytes::Bytes;

use crate::command::{Command, Outcome, Reply};
use crate::error::Failure;
use crate::event::{Content, Event, FileState, MessageId};
use crate::testing::World;

const MINUTES: Duration = Duration::from_secs(5 * 60);

/// Bob sends alice a file, which she has not fetched.
fn offered(seed: u64, before: impl FnOnce(&mut World)) -> (World, usize, usize, MessageId) {
    let (mut world, alice, bob) = World::alice_and_bob(seed);
    world.say(bob, "alice", "hi");
    before(&mut world);
    let bytes = Bytes::from_static(b"a picture");
    let send = Command::SendFile { who: "alice".into(), name: "photo.jpg".into(), media_type: None, bytes };
    let Reply::Saved { message, .. } = world.command(bob, send).unwrap() else { panic!() };
    assert_eq!(world.received(alice).last().map(String::as_str), Some("file photo.jpg"));
    (world, alice, bob, message)
}

fn fetch(world: &mut World, person: usize, message: &MessageId) -> Option<Result<Outcome, Failure>> {
    let fetch = Command::Fetch { who: "bob".into(), message: message.clone() };
    let Reply::Accepted(request) = world.command(person, fetch).unwrap() else { panic!() };
    world.outcome(person, request)
}

fn state(world: &mut World, person: usize, message: &MessageId) -> FileState {
    let history = Command::History { who: "bob".into(), before: None, limit: 100 };
    let Reply::Messages(messages) = world.command(person, history).unwrap() else { panic!() };
    match messages.into_iter().find(|m| m.id == *message).unwrap().content {
        Content::File(file) => file.state,
        Content::Text(_) => panic!("no file"),
    }
}

fn wanted(world: &mut World, person: usize) -> usize {
    let Reply::Messages(messages) = world.command(person, Command::WantedFiles).unwrap() else { panic!() };
    messages.len()
}

#[test]
fn a_file_that_could_not_be_saved_is_failed_and_comes_when_there_is_room() {
    let (mut world, alice, _, message) = offered(420, |_| ());
    world.people[alice].files_full = true;
    assert_eq!(fetch(&mut world, alice, &message), Some(Err(Failure::FileNotSaved)));
    let failed = FileState::Failed(Failure::FileNotSaved);
    assert_eq!(state(&mut world, alice, &message), failed);
    assert!(
        !world.people[alice]
            .events
            .iter()
            .any(|event| matches!(event, Event::FileProgress { state: FileState::Complete, .. }))
    );
    world.advance(MINUTES);
    assert_eq!((state(&mut world, alice, &message), wanted(&mut world, alice)), (failed, 1));
    world.people[alice].files_full = false;
    world.advance(MINUTES);
    assert_eq!(world.people[alice].saved.len(), 1, "tried again by itself");
    assert_eq!((state(&mut world, alice, &message), wanted(&mut world, alice)), (FileState::Complete, 0));
    world.advance(20 * MINUTES);
    assert_eq!(world.people[alice].saved.len(), 1, "once");
}

#[test]
fn a_server_that_is_down_is_said_and_asked_again_after_a_restart() {
    let (mut world, alice, _, message) = offered(421, |_| ());
    world.server.uploads_down = true;
    assert_eq!(fetch(&mut world, alice, &message), Some(Err(Failure::ServerTimeout)));
    assert_eq!(state(&mut world, alice, &message), FileState::Failed(Failure::ServerTimeout));
    world.kill(alice);
    world.server.uploads_down = false;
    world.advance(MINUTES);
    world.restart(alice);
    assert_eq!((state(&mut world, alice, &message), world.people[alice].saved.len()), (FileState::Complete, 1));
}

#[test]
fn what_stays_away_is_not_asked_for_without_end() {
    let (mut world, alice, _, message) = offered(422, |_| ());
    world.server.uploads_down = true;
    let before = world.people[alice].requests.len();
    fetch(&mut world, alice, &message);
    world.advance(Duration::from_secs(10 * 24 * 60 * 60));
    let tries = world.people[alice].requests.len() - before;
    assert!((60..90).contains(&tries), "with pauses up to an hour, for three days: {tries}");
    assert_eq!(state(&mut world, alice, &message), FileState::Failed(Failure::ServerTimeout));
    assert_eq!(wanted(&mut world, alice), 0);
    // By hand it can still be had.
    world.server.uploads_down = false;
    assert!(matches!(fetch(&mut world, alice, &message), Some(Ok(_))));
}

#[test]
fn what_cannot_get_better_is_said_and_not_tried_again() {
    let (mut world, alice, _, message) = offered(423, |_| ());
    world.server.uploads.clear();
    let before = world.people[alice].requests.len();
    assert_eq!(fetch(&mut world, alice, &message), Some(Err(Failure::FileGone)));
    world.advance(20 * MINUTES);
    assert_eq!(world.people[alice].requests.len() - before, 1);
    assert_eq!(
        (state(&mut world, alice, &message), wanted(&mut world, alice)),
        (FileState::Failed(Failure::FileGone), 0)
    );
    let (mut world, alice, _, message) = offered(424, |_| ());
    world.server.uploads.values_mut().for_each(|file| file[0] ^= 1);
    assert_eq!(fetch(&mut world, alice, &message), Some(Err(Failure::FileDamaged)));
    assert_eq!(state(&mut world, alice, &message), FileState::Failed(Failure::FileDamaged));
}

#[test]
fn an_address_that_must_not_be_used_is_said_and_used_once_the_contacts_server_is_known() {
    // Bob's server is on a private address; alice does not know its key, because bob greeted her before it had one.
    let (mut world, alice, bob, message) = {
        let mut world = World::new(425);
        let alice = world.join("alice", "north.example");
        let bob = world.join("bob", "south.example");
        world.command(alice, Command::Add { link: "xmpp:bob@south.example?roster".into(), name: None }).unwrap();
        world.command(bob, Command::Add { link: "xmpp:alice@north.example?roster".into(), name: None }).unwrap();
        world.server.uploads_private = true;
        let bytes = Bytes::from_static(b"a picture");
        let send = Command::SendFile { who: "alice".into(), name: "photo.jpg".into(), media_type: None, bytes };
        let Reply::Saved { message, .. } = world.command(bob, send).unwrap() else { panic!() };
        (world, alice, bob, message)
    };
    assert_eq!(fetch(&mut world, alice, &message), Some(Err(Failure::FileAddress)));
    assert_eq!(state(&mut world, alice, &message), FileState::Failed(Failure::FileAddress));
    // A link of bob's says whose machine that is.
    let link = world.invite_of(bob);
    world.command(alice, Command::Add { link, name: None }).unwrap();
    assert_eq!(state(&mut world, alice, &message), FileState::Complete);
    assert_eq!(world.people[alice].saved.len(), 1);
}

#[test]
fn a_file_that_is_wanted_twice_comes_once() {
    let (mut world, alice, _, message) = offered(426, |_| ());
    let command = || Command::Fetch { who: "bob".into(), message: message.clone() };
    let requests: Vec<_> = [command(), command()]
        .map(|command| match world.command_only(alice, command).unwrap() {
            Reply::Accepted(request) => request,
            other => panic!("{other:?}"),
        })
        .into();
    world.settle();
    assert_eq!(world.people[alice].saved.len(), 1);
    for request in requests {
        assert!(matches!(world.outcome(alice, request), Some(Ok(Outcome::Fetched { .. }))));
    }
}

#[test]
fn nothing_is_fetched_from_somebody_who_is_no_contact_any_more() {
    let (mut world, alice, _, message) = offered(427, |_| ());
    world.server.uploads_down = true;
    fetch(&mut world, alice, &message);
    world.command(alice, Command::Block { who: "bob".into() }).unwrap();
    let before = world.people[alice].requests.len();
    world.advance(20 * MINUTES);
    world.restart(alice);
    assert_eq!(world.people[alice].requests.len(), before);
    let rows = world.people[alice].backend.raw_rows().len();
    world.command(alice, Command::Remove { who: "bob@south.example".into() }).unwrap();
    assert!(world.people[alice].backend.raw_rows().len() < rows);
    assert_eq!(wanted(&mut world, alice), 0);
}

/// What bob's upload service saw last: the name, and the length.
fn last_upload(world: &World) -> (String, usize) {
    let last = world.server.uploads.iter().max_by_key(|(_, body)| body.len()).unwrap();
    (last.0.clone(), last.1.len())
}

#[test]
fn a_file_to_an_app_that_is_not_known_as_waxwings_goes_as_a_link_as_well() {
    for known in [true, false] {
        let (mut world, alice, _, message) = offered(428, |world| {
            if known {
                return;
            }
            // Bob has not heard that alice's app is one of ours, and no link says so.
            let who = xmpp::jid::BareJid::parse("alice@north.example").unwrap();
            let engine = world.engine(1);
            store::block_on(async {
                let own = engine.own_or_bad().unwrap();
                let mut tx = engine.store.transaction();
                for mut row in engine.device_rows(&who).await.unwrap() {
                    row.waxwing = false;
                    engine.put_device_row(&mut tx, &row).unwrap();
                }
                let mut contact = engine.contact_row(&own, &who).await.unwrap().unwrap();
                contact.promised_keys.clear();
                engine.put_contact(&mut tx, &contact);
                tx.commit().await.unwrap();
            });
        });
        let (name, len) = last_upload(&world);
        let is_link = (name.ends_with(".jpg"), len == b"a picture".len() + 16);
        let hidden = (name.ends_with(".bin"), len == 4096 + 16);
        assert_eq!(if known { hidden } else { is_link }, (true, true), "{name}: {len}");
        // Either way it arrives as one file, and no link is shown.
        assert_eq!(world.received(alice), ["hi", "file photo.jpg"]);
        assert!(matches!(fetch(&mut world, alice, &message), Some(Ok(_))));
        assert_eq!(&world.people[alice].saved[0].bytes[..], b"a picture");
    }
}

#[test]
fn the_envelope_of_such_a_file_has_offer_link_and_mark() {
    let link = format!("aesgcm://files.example.org/x/photo.jpg#{}", "ab".repeat(44));
    let file = crate::tables::FileRow {
        offer: "<file-sharing xmlns='urn:xmpp:sfs:0'><file xmlns='urn:xmpp:file:metadata:0'/></file-sharing>".into(),
        link: link.clone(),
        with_link: true,
        ..Default::default()
    };
    let offer = crate::transfers::offer_of(&file).unwrap();
    let names: Vec<&str> = offer.content.iter().map(xmpp::xml::Element::name).collect();
    assert_eq!(names, ["file-sharing", "fallback", "body"]);
    assert!(xep::fallback::is_whole_body(&offer.content, xep::sfs::NS));
    assert_eq!(offer.content[2].text(), link);
    let plain = crate::tables::FileRow { with_link: false, ..file };
    assert_eq!(crate::transfers::offer_of(&plain).unwrap().content.len(), 1);
}
