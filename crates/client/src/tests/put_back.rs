//! A profile that was put back as a whole is noticed (C23), and nothing but proof makes a device give up its identity (C24).

use std::time::Duration;

use crypto::omemo::{Device, Omemo2};
use store::block_on;
use xep::omemo::BundleElement;
use xep::pubsub::Item;
use xmpp::stanza::Condition;
use xmpp::xml::Element;

use crate::Command;
use crate::command::{Reply, WitnessState};
use crate::engine::{Answer, Origin};
use crate::event::Notice;
use crate::testing::World;

const BOB: &str = "bob@south.example";
const BUNDLES: &str = "urn:xmpp:omemo:2:bundles";

fn witness_node(world: &mut World) -> String {
    xep::witness::node(world.device_ids(BOB)[0])
}

fn renewals(world: &mut World, person: usize) -> usize {
    world.notices(person).iter().filter(|kept| kept.notice == Notice::DeviceRenewed).count()
}

fn witness_state(world: &mut World, person: usize) -> WitnessState {
    match world.command_only(person, Command::Status) {
        Ok(Reply::Status(status)) => status.witness,
        other => panic!("a status, and not {other:?}"),
    }
}

/// Stops bob, lets `change` do something to what his server shows, and starts him again.
fn restart_after(world: &mut World, bob: usize, change: impl FnOnce(&mut World)) {
    world.kill(bob);
    change(world);
    world.start(bob, Origin::Same).unwrap();
    world.command(bob, Command::GoOnline).unwrap();
}

fn put_back(world: &mut World, bob: usize, backup: store::backend::memory::MemoryBackend) {
    world.kill(bob);
    world.people[bob].backend = backup;
    world.start(bob, Origin::Same).unwrap();
    world.command(bob, Command::GoOnline).unwrap();
}

#[test]
fn c23_a_profile_that_was_put_back_is_noticed_before_anything_is_sealed() {
    for starts in [1, 2, 6] {
        let (mut world, alice, bob) = World::alice_and_bob(110);
        world.say(alice, "bob", "before");
        world.say(bob, "alice", "before");
        let (backup, ids) = (world.backup(bob), world.device_ids(BOB));
        for number in 0..starts {
            world.restart(bob);
            world.say(bob, "alice", &format!("start {number}"));
        }
        assert_eq!(world.device_ids(BOB), ids, "ordinary starts prove nothing");
        put_back(&mut world, bob, backup);
        assert_ne!(world.device_ids(BOB), ids, "{starts} starts behind");
        assert_eq!(renewals(&mut world, bob), 1);
        world.say(bob, "alice", "from fresh keys");
        assert_eq!(world.received(alice).last().map(String::as_str), Some("from fresh keys"));
        world.say(alice, "bob", "so it is you");
        assert_eq!(world.received(bob).last().map(String::as_str), Some("so it is you"));
        assert!(world.notices(alice).iter().all(|kept| !matches!(kept.notice, Notice::Unreadable { .. })));
    }
}

/// Two copies of one state that have counted equally far differ by what they drew.
#[test]
fn c23_two_copies_that_count_alike_notice_each_other() {
    let (mut world, _, bob) = World::alice_and_bob(111);
    world.restart(bob);
    let (backup, ids) = (world.backup(bob), world.device_ids(BOB));
    world.restart(bob);
    let node = witness_node(&mut world);
    let kept = world.server.nodes(BOB)[&node].clone();
    // The copy is told nothing of the other, and counts as far as it.
    world.kill(bob);
    world.people[bob].backend = backup;
    world.server.nodes(BOB).remove(&node);
    world.start(bob, Origin::Same).unwrap();
    world.command(bob, Command::GoOnline).unwrap();
    assert_eq!(world.device_ids(BOB), ids);
    restart_after(&mut world, bob, |world| drop(world.server.nodes(BOB).insert(node, kept)));
    assert_ne!(world.device_ids(BOB), ids);
}

/// The server shows no witness: what was written is a row for its reader and repaired, and the reader's app gives back the
/// witness that proves it.
#[test]
fn c23_a_server_that_withholds_the_witness_is_made_up_for_by_peers() {
    // Taken when the witness of an earlier start was out already: the older ones that alice keeps prove nothing.
    for taken_after in [0, 3, 5] {
        a_withheld_witness(taken_after, 6);
    }
    // More starts than witnesses are kept.
    a_withheld_witness(17, 20);
}

fn a_withheld_witness(taken_after: usize, starts: usize) {
    let (mut world, alice, bob) = World::alice_and_bob(112);
    world.say(alice, "bob", "before");
    world.say(bob, "alice", "before");
    let (mut backup, ids) = (world.backup(bob), world.device_ids(BOB));
    for number in 0..starts {
        if number == taken_after {
            backup = world.backup(bob);
        }
        world.restart(bob);
        world.say(bob, "alice", &format!("start {number}"));
    }
    let node = witness_node(&mut world);
    world.server.failing_nodes.push((node, Condition::ItemNotFound));
    put_back(&mut world, bob, backup);
    assert_eq!(world.device_ids(BOB), ids, "nobody has told it");
    world.say(bob, "alice", "in a place that has passed");
    let rows = world.notices(alice);
    assert!(rows.iter().any(|kept| matches!(kept.notice, Notice::Unreadable { .. })), "not dropped in silence");
    world.say(bob, "alice", "readable after the repair");
    assert_eq!(world.received(alice).last().map(String::as_str), Some("readable after the repair"));
    assert_eq!(renewals(&mut world, bob), 0);
    world.say(alice, "bob", "with your witness");
    assert_eq!(world.received(bob).last().map(String::as_str), Some("with your witness"));
    assert_ne!(world.device_ids(BOB), ids, "a peer's copy proves it");
    assert_eq!(renewals(&mut world, bob), 1);
    world.say(bob, "alice", "from fresh keys");
    assert_eq!(world.received(alice).last().map(String::as_str), Some("from fresh keys"));
}

/// The first witness that somebody tells comes with their greeting, before they are a contact.
#[test]
fn c23_the_witness_in_a_greeting_is_kept_too() {
    let (mut world, alice, bob) = World::alice_and_bob(118);
    let bob_jid = xmpp::jid::BareJid::parse(BOB).unwrap();
    let ids = world.device_ids(BOB);
    let row = block_on(world.engine(alice).device_row(&bob_jid, ids[0])).unwrap().unwrap();
    assert!(!row.witness.is_empty(), "kept with the greeting");
    let told = row.witness.clone();
    world.restart(bob);
    world.say(bob, "alice", "another");
    let row = block_on(world.engine(alice).device_row(&bob_jid, ids[0])).unwrap().unwrap();
    assert_eq!(row.witnesses_due, [told], "the one before goes back");
}

/// A server that refuses, shows an old one or nonsense, or says nothing: a line in `status`, and sending goes on.
#[test]
fn c24_what_a_server_shows_of_the_witness_proves_nothing_unless_it_is_ahead() {
    let (mut world, alice, bob) = World::alice_and_bob(113);
    assert_eq!(witness_state(&mut world, bob), WitnessState::Kept);
    let ids = world.device_ids(BOB);
    let node = witness_node(&mut world);
    let old = world.server.nodes(BOB)[&node].clone();
    world.restart(bob);
    restart_after(&mut world, bob, |world| drop(world.server.nodes(BOB).insert(node.clone(), old)));
    restart_after(&mut world, bob, |world| drop(world.server.nodes(BOB).remove(&node)));
    for payload in [
        xep::witness::to_element(&[7; 64]),
        xep::witness::to_element(&[]),
        Element::new("witness", xep::witness::NS).with_text("?"),
        Element::new("witness", "urn:other"),
    ] {
        let item = Item::new(xep::witness::ITEM, payload);
        restart_after(&mut world, bob, |world| drop(world.server.nodes(BOB).insert(node.clone(), vec![item])));
    }
    let flipped = {
        let item = world.server.nodes(BOB)[&node][0].payload.clone().unwrap();
        let mut sealed = xep::witness::parse(&item).unwrap();
        sealed[30] ^= 1;
        Item::new(xep::witness::ITEM, xep::witness::to_element(&sealed))
    };
    restart_after(&mut world, bob, |world| drop(world.server.nodes(BOB).insert(node.clone(), vec![flipped])));
    assert_eq!(witness_state(&mut world, bob), WitnessState::Kept);
    world.server.knows_options = false;
    world.restart(bob);
    assert_eq!(witness_state(&mut world, bob), WitnessState::Refused);
    world.say(bob, "alice", "it goes on");
    assert_eq!(world.received(alice), ["it goes on"]);
    assert_eq!((world.device_ids(BOB), renewals(&mut world, bob)), (ids, 0));
}

#[test]
fn a_server_that_says_nothing_of_the_witness_delays_sending_by_ten_seconds() {
    let (mut world, alice, bob) = World::alice_and_bob(114);
    world.kill(bob);
    let node = witness_node(&mut world);
    world.server.mute_nodes.push(node);
    world.start(bob, Origin::Same).unwrap();
    world.command(bob, Command::GoOnline).unwrap();
    world.say(bob, "alice", "patience");
    assert!(world.received(alice).is_empty());
    world.advance(Duration::from_secs(9));
    assert!(world.received(alice).is_empty());
    world.advance(Duration::from_secs(12));
    assert_eq!(world.received(alice), ["patience"]);
    assert_eq!(witness_state(&mut world, bob), WitnessState::Silent);
}

/// A witness is published while the answer about an earlier one is out: that answer lets nothing be sealed.
#[test]
fn c23_an_answer_about_an_earlier_witness_does_not_count_for_the_newest() {
    let (mut world, alice, bob) = World::alice_and_bob(119);
    world.kill(bob);
    let node = witness_node(&mut world);
    world.server.mute_nodes.push(node);
    world.start(bob, Origin::Same).unwrap();
    world.command(bob, Command::GoOnline).unwrap();
    world.advance(Duration::from_secs(11)); // the question is given up; the first publication is under way
    world.say(bob, "alice", "not before it is kept");
    for (round, received) in [(0, 0), (2, 0), (1, 1)] {
        block_on(world.engine(bob).witness_published(round, &Answer::Result(None))).unwrap();
        world.engine(bob).flush();
        world.settle();
        assert_eq!(world.received(alice).len(), received, "{round}");
    }
}

/// Whatever is not signed by the own key, or was signed by it before, changes nothing; the server's copy is put right.
#[test]
fn c24_a_server_cannot_make_a_device_give_up_its_identity() {
    let (mut world, alice, bob) = World::alice_and_bob(115);
    let ids = world.device_ids(BOB);
    let first = world.server.nodes(BOB)[BUNDLES].clone();
    let with = |items: &[Item], change: &dyn Fn(&mut BundleElement)| {
        let (version, mut bundle) = BundleElement::parse(items[0].payload.as_ref().unwrap()).unwrap();
        change(&mut bundle);
        vec![Item::new(items[0].id.as_deref().unwrap(), bundle.to_element(version))]
    };
    world.advance(Duration::from_secs(8 * 24 * 60 * 60)); // another signed prekey
    let now = world.server.nodes(BOB)[BUNDLES].clone();
    assert_ne!(first, now);
    let forgeries = [
        with(&now, &|bundle| bundle.prekeys.iter_mut().for_each(|prekey| prekey.id += 100_000)),
        with(&now, &|bundle| bundle.prekeys.iter_mut().for_each(|prekey| prekey.key[5] ^= 1)),
        with(&now, &|bundle| bundle.signed_prekey.id += 1),
        with(&first, &|bundle| bundle.signed_prekey.id += 1000),
        with(&now, &|bundle| bundle.signature[9] ^= 1),
        with(&now, &|bundle| bundle.identity_key[3] ^= 1),
        first.clone(),
        Vec::new(),
    ];
    for forged in forgeries {
        restart_after(&mut world, bob, |world| drop(world.server.nodes(BOB).insert(BUNDLES.to_owned(), forged)));
        assert_eq!(world.device_ids(BOB), ids);
        let healed = world.server.nodes(BOB)[BUNDLES].clone();
        let parse = |items: &[Item]| BundleElement::parse(items[0].payload.as_ref().unwrap()).unwrap().1;
        assert_eq!(parse(&healed).signed_prekey, parse(&now).signed_prekey, "what is wrong there is put right");
    }
    restart_after(&mut world, bob, |world| world.server.nodes(BOB).retain(|node, _| !node.contains("devices")));
    assert_eq!((world.device_ids(BOB), renewals(&mut world, bob)), (ids, 0));
    world.say(bob, "alice", "still me");
    assert_eq!(world.received(alice), ["still me"]);
}

/// What the own key has signed, and this store has never made, is proof, even where no witness is kept.
#[test]
fn c23_a_signed_prekey_that_this_store_never_made_is_proof() {
    let (mut world, _, bob) = World::alice_and_bob(116);
    let ids = world.device_ids(BOB);
    let node = witness_node(&mut world);
    world.server.failing_nodes.push((node, Condition::ItemNotFound));
    let backup = world.backup(bob);
    world.advance(Duration::from_secs(8 * 24 * 60 * 60));
    put_back(&mut world, bob, backup);
    assert_ne!(world.device_ids(BOB), ids);
}

/// Before every 256th sending step the device has counted one further, and its server knows.
#[test]
fn c23_no_more_than_256_steps_go_by_without_a_witness() {
    let (mut world, alice, bob) = World::alice_and_bob(117);
    world.say(alice, "bob", "before");
    world.command(bob, Command::GoOffline).unwrap();
    for number in 0..300 {
        world.command_only(bob, Command::Say { who: "alice".into(), text: format!("{number}") }).unwrap();
    }
    let generation = |world: &mut World| block_on(world.engine(bob).store.generation()).unwrap();
    let before = generation(&mut world);
    let node = witness_node(&mut world);
    world.server.mute_nodes.push(node);
    world.command(bob, Command::GoOnline).unwrap();
    world.advance(Duration::from_secs(11));
    world.advance(Duration::from_secs(11));
    let sealed = world.received(alice).len();
    assert!((1..=256).contains(&sealed), "{sealed} were sealed while the server was silent");
    world.server.mute_nodes.clear();
    world.advance(Duration::from_secs(60));
    assert_eq!(world.received(alice).len(), 300);
    let counted = generation(&mut world) - before;
    assert!(counted >= 2, "{counted}");
    assert_eq!(renewals(&mut world, bob), 0);
    let device = world.engine(bob).device.as_ref().unwrap();
    assert!(!device.is_copied::<Omemo2>(&Device::bundle::<Omemo2>(device)));
}
