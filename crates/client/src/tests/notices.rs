//! What the user must know waits for them, whether or not anybody listened when it happened.

use xep::omemo::{DeviceList, Version};
use xep::pubsub::Item;

use super::attacks::{address_others, carol_speaks_as, write_now_and_send_later};
use super::repair::spoil;
use super::trust::Scene;
use crate::Command;
use crate::engine::Origin;
use crate::event::{Event, Notice};
use crate::testing::World;
use store::backend::memory::Fault;

const ALICE: &str = "alice@north.example";

/// A way to cause a notice, at the person of that number.
type Cause = fn() -> (World, usize);
type Is = fn(&Notice) -> bool;

fn unreadable() -> (World, usize) {
    let (mut world, alice, bob) = World::alice_and_bob(400);
    world.say(bob, "alice", "fine");
    world.say(alice, "bob", "fine");
    spoil(&mut world);
    world.say(bob, "alice", "lost");
    world.server.tamper = None;
    (world, alice)
}

fn still_unreadable() -> (World, usize) {
    let (mut world, alice) = unreadable();
    let bob = 1;
    world.say(bob, "alice", "readable again");
    spoil(&mut world);
    world.say(bob, "alice", "lost too");
    world.server.tamper = None;
    (world, alice)
}

fn new_device() -> (World, usize) {
    let mut scene = Scene::new(401);
    scene.verify_by_number();
    let (bobs, ghost) = (scene.bobs_device, scene.ghost);
    scene.list(&[bobs, ghost]);
    scene.world.say(scene.alice, "bob", "the list is fetched");
    (scene.world, scene.alice)
}

fn new_own_device() -> (World, usize) {
    let (mut world, alice, _) = World::alice_and_bob(402);
    let mut ids = world.device_ids(ALICE);
    ids.push(4711);
    let list = DeviceList::of_ids(ids).to_element(Version::Omemo2);
    let node = Version::Omemo2.devices_node().to_owned();
    world.server.nodes(ALICE).insert(node, vec![Item::new(Version::DEVICES_ITEM, list)]);
    world.restart(alice);
    (world, alice)
}

fn changed() -> (World, usize) {
    let mut world = World::new(403);
    let bob = world.join("bob", "south.example");
    let dave = world.join("dave", "north.example");
    let link = world.invite_of(bob);
    world.join("eve", "south.example");
    let forged = world.server.nodes("eve@south.example").clone();
    world.kill(bob);
    *world.server.nodes("bob@south.example") = forged;
    world.command(dave, Command::Add { link, name: None }).unwrap();
    (world, dave)
}

fn misaddressed() -> (World, usize) {
    carol_speaks_as(404, "bob@south.example/x", Fault::None)
}

fn device_renewed() -> (World, usize) {
    let (mut world, alice, _) = World::alice_and_bob(405);
    world.kill(alice);
    world.start(alice, Origin::Copied).unwrap();
    (world, alice)
}

fn not_all_addressed() -> (World, usize) {
    let (mut world, alice, bob) = World::alice_and_bob(406);
    address_others(&mut world);
    world.say(bob, "alice", "shown, but");
    (world, alice)
}

fn odd_time() -> (World, usize) {
    let (mut world, alice, bob) = World::alice_and_bob(407);
    world.say(bob, "alice", "session");
    write_now_and_send_later(&mut world, bob);
    (world, alice)
}

/// The user has seen everything that waits.
fn see_all(world: &mut World, person: usize) {
    let up_to = world.notices(person).iter().map(|kept| kept.id).max().unwrap();
    world.command_only(person, Command::NoticesSeen { up_to }).unwrap();
}

#[test]
fn whoever_did_not_listen_is_told_after_the_next_start_until_they_have_seen_it() {
    let table: [(Cause, Is); 9] = [
        (unreadable, |notice| matches!(notice, Notice::Unreadable { .. })),
        (still_unreadable, |notice| matches!(notice, Notice::StillUnreadable { .. })),
        (new_device, |notice| matches!(notice, Notice::NewDevice { .. })),
        (new_own_device, |notice| matches!(notice, Notice::NewOwnDevice)),
        (changed, |notice| matches!(notice, Notice::Changed { .. })),
        (misaddressed, |notice| matches!(notice, Notice::Misaddressed { .. })),
        (device_renewed, |notice| matches!(notice, Notice::DeviceRenewed)),
        (not_all_addressed, |notice| matches!(notice, Notice::NotAllAddressed { .. })),
        (odd_time, |notice| matches!(notice, Notice::OddTime { .. })),
    ];
    for (nth, (cause, is_it)) in table.into_iter().enumerate() {
        let (mut world, person) = cause();
        world.people[person].events.clear(); // nobody listened
        for _ in 0..2 {
            world.kill(person);
            world.start(person, Origin::Same).unwrap();
            let kept = world.notices(person);
            assert_eq!(kept.iter().filter(|kept| is_it(&kept.notice)).count(), 1, "cause {nth}: {kept:?}");
        }
        see_all(&mut world, person);
        world.kill(person);
        world.start(person, Origin::Same).unwrap();
        assert_eq!(world.notices(person), [], "cause {nth}");
    }
}

#[test]
fn the_same_again_is_counted_and_what_came_after_the_look_is_not_seen() {
    let (mut world, alice) = not_all_addressed();
    let bob = 1;
    let seen = world.notices(alice);
    world.say(bob, "alice", "shown, but again");
    let kept = world.notices(alice);
    assert_eq!((kept.len(), kept[0].count), (1, 2));
    assert!(kept[0].id > seen[0].id);
    world.command_only(alice, Command::NoticesSeen { up_to: seen[0].id }).unwrap();
    assert_eq!(world.notices(alice).len(), 1, "the second time was not seen");
    see_all(&mut world, alice);
    assert_eq!(world.notices(alice), []);
    world.say(bob, "alice", "shown, but for the third time");
    assert_eq!(world.notices(alice)[0].count, 1);
}

#[test]
fn a_notice_is_committed_with_what_caused_it_or_not_at_all() {
    let (mut world, alice) = carol_speaks_as(408, "bob@south.example/x", Fault::ReadOnly);
    assert!(!world.people[alice].events.iter().any(|event| matches!(event, Event::Notice(_))));
    world.people[alice].backend.inject(Fault::None);
    assert_eq!(world.notices(alice), []);
    world.advance(std::time::Duration::from_secs(600));
    assert_eq!(world.notices(alice).len(), 1);
}

#[test]
fn nothing_is_told_of_people_who_were_forgotten() {
    let (mut world, alice) = not_all_addressed();
    world.command(alice, Command::Remove { who: "bob".into() }).unwrap();
    assert_eq!(world.notices(alice), []);
}
