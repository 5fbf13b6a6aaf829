//! C04: killed at every point where something is written, an engine loses nothing, repeats nothing, and never uses a key
//! twice.

use std::collections::BTreeSet;
use std::pin::pin;
use std::task::{Context, Waker};

use crypto::omemo::Omemo2;
use store::backend::memory::Fault;
use store::block_on;
use xep::omemo::Encrypted;
use xmpp::jid::BareJid;

use crate::command::Command;
use crate::output::Output;
use crate::testing::World;

/// Every key element that was ever sent: the same ratchet key for two different messages would show as two stanzas with
/// different ids and equal key elements, or equal ids and different ones.
fn assert_no_key_is_used_twice(world: &World) {
    let mut seen = BTreeSet::new();
    let mut ids = std::collections::BTreeMap::new();
    for message in &world.server.messages {
        let id = message.attr("id").unwrap().to_owned();
        for element in message.children().filter(|child| child.name() == "encrypted") {
            let encrypted = Encrypted::parse(element).unwrap();
            let keys: Vec<_> = encrypted.keys.iter().map(|key| (key.device, key.bytes.clone())).collect();
            match ids.insert((message.attr("from").unwrap().to_owned(), id.clone()), keys.clone()) {
                // Sent again: it has to be the very same ciphertext.
                Some(before) => assert_eq!(before, keys),
                None => keys.into_iter().for_each(|key| assert!(seen.insert(key), "a key was used twice")),
            }
        }
    }
}

/// Both write while the victim's power fails after `after_commits` commits; then everything is switched on again.
fn run(victim_sends: bool, after_commits: u64, seed: u64) -> bool {
    let (mut world, alice, bob) = World::alice_and_bob(40);
    world.say(alice, "bob", "before");
    world.say(bob, "alice", "before");
    world.people[bob].backend.inject(Fault::PowerCut { after_commits, seed });
    let (from, to, to_name) = if victim_sends { (bob, alice, "alice") } else { (alice, bob, "bob") };
    let mut saved = Vec::new();
    for text in ["one", "two", "three"] {
        let said = world.command_only(from, Command::Say { who: to_name.into(), text: text.into() });
        match said {
            Ok(_) => {
                saved.push(text);
                world.settle();
            }
            Err(_) => world.kill(from),
        }
        if !world.is_running(from) {
            break;
        }
    }
    let struck = !world.people[bob].backend.is_powered();
    world.people[bob].backend.inject(Fault::None);
    world.restart(bob);
    world.say(bob, "alice", "after");
    world.say(alice, "bob", "after");
    let texts = world.received(to);
    // What was promised to be sent is there once; what the power cut swallowed before the promise may be there once.
    for text in ["one", "two", "three"] {
        let count = texts.iter().filter(|t| *t == text).count();
        assert!(count <= 1, "{text} is shown {count} times");
        assert!(count == 1 || !saved.contains(&text), "{text} is lost (cut after {after_commits} commits)");
    }
    assert_eq!(texts.last().map(String::as_str), Some("after"));
    assert_no_key_is_used_twice(&world);
    struck
}

#[test]
fn c04_killed_at_each_write_point_while_sending() {
    let mut after = 0;
    while run(true, after, 0) {
        run(true, after, 1);
        after += 1;
    }
    assert!(after > 5, "the fault struck too rarely to mean anything: {after}");
}

#[test]
fn c04_killed_at_each_write_point_while_receiving() {
    let mut after = 0;
    while run(false, after, 0) {
        run(false, after, 1);
        after += 1;
    }
    assert!(after > 2, "the fault struck too rarely to mean anything: {after}");
}

#[test]
fn c04_an_unacknowledged_message_is_sent_again_unchanged_and_shown_once() {
    let (mut world, alice, bob) = World::alice_and_bob(41);
    world.say(alice, "bob", "before");
    world.server.acknowledges = false;
    let id = world.say(bob, "alice", "once");
    assert_eq!(world.state(bob, "alice", &id), crate::event::MessageState::Queued);
    world.server.acknowledges = true;
    world.restart(bob);
    assert_eq!(world.state(bob, "alice", &id), crate::event::MessageState::AtBroker);
    let sent = world.server.messages.iter().filter(|m| m.attr("id") == Some(id.as_str())).count();
    assert_eq!(sent, 2);
    assert_eq!(world.received(alice), ["once"]);
    assert_no_key_is_used_twice(&world);
}

#[test]
fn c04_a_copied_store_becomes_a_new_device() {
    let (mut world, alice, bob) = World::alice_and_bob(42);
    world.say(alice, "bob", "before");
    let before = world.device_ids("bob@south.example");
    world.kill(bob);
    world.start(bob, crate::engine::Origin::Copied).unwrap();
    world.command(bob, Command::GoOnline).unwrap();
    let after = world.device_ids("bob@south.example");
    assert_eq!(after.len(), 1);
    assert_ne!(before, after);
    world.say(bob, "alice", "from the new device");
    assert_eq!(world.received(alice), ["from the new device"]);
    assert_eq!(world.received(bob), ["before"], "what was said is kept");
}

/// Whatever an engine says while or after a commit that has not ended: the server still has the message.
#[test]
fn c04_nothing_is_acknowledged_before_it_is_committed() {
    let (mut world, alice, bob) = World::alice_and_bob(46);
    world.say(alice, "bob", "before");
    world.command_only(alice, Command::Say { who: "bob".into(), text: "not yet saved".into() }).unwrap();
    while let Some(output) = world.engine(alice).poll_output() {
        if let Output::Bytes(bytes) = output {
            world.server.handle_bytes(alice, &bytes);
        }
    }
    let arriving = world.server.poll_output(bob).expect("the message, and the question for its acknowledgement");

    world.people[bob].stalled.set(true);
    let given_up = {
        let mut call = pin!(world.engine(bob).handle_bytes(&arriving));
        call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
    };
    assert!(given_up, "the commit is under way");
    world.people[bob].stalled.set(false);
    // Leaving politely tells the server what has been handled (XEP-0198 §4).
    world.command(bob, Command::GoOffline).unwrap();
    assert_eq!(world.received(bob), ["before"]);
    world.command(bob, Command::GoOnline).unwrap();
    assert_eq!(world.received(bob), ["before", "not yet saved"]);
}

#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    let (mut world, alice, bob) = World::alice_and_bob(43);
    world.say(alice, "bob", "before");
    world.people[bob].backend.inject(Fault::DiskFull);
    assert!(world.command_only(bob, Command::Say { who: "alice".into(), text: "no room".into() }).is_err());
    world.say(alice, "bob", "arrives later");
    world.people[bob].backend.inject(Fault::None);
    world.restart(bob);
    assert_eq!(world.received(bob), ["before", "arrives later"]);
}

#[test]
fn c04_a_store_put_back_from_a_backup_is_recognised_by_the_published_keys() {
    let (mut world, alice, bob) = World::alice_and_bob(44);
    let backup = world.backup(bob);
    world.say(alice, "bob", "before");
    world.advance(std::time::Duration::from_secs(8 * 24 * 60 * 60)); // prekeys are replaced and published
    let before = world.device_ids("bob@south.example");
    world.kill(bob);
    world.people[bob].backend = backup;
    world.start(bob, crate::engine::Origin::Same).unwrap();
    world.command(bob, Command::GoOnline).unwrap();
    assert_ne!(world.device_ids("bob@south.example"), before);
    world.say(bob, "alice", "from fresh keys");
    assert_eq!(world.received(alice), ["from fresh keys"]);
    assert_no_key_is_used_twice(&world);
}

#[test]
fn a_used_prekey_that_is_still_published_is_no_sign_of_a_backup() {
    let (mut world, _, bob) = World::alice_and_bob(45);
    let before = world.device_ids("bob@south.example");
    for name in ["carol", "dave", "erin", "frank"] {
        let stranger = world.join(name, "north.example");
        world.kill(bob);
        world.say(stranger, "bob@south.example", "takes a prekey");
        world.restart(bob);
    }
    assert_eq!(world.device_ids("bob@south.example"), before);
}

/// A session without a contact, as earlier versions left of strangers without words: nothing finds it when the keys are
/// renewed, so it has to show itself whose it was.
#[test]
fn c04_sessions_of_strangers_do_not_outlive_the_device_either() {
    let (mut world, alice, _) = World::alice_and_bob(47);
    let carol = world.join("carol", "south.example");
    let carols = world.device_ids("carol@south.example")[0];
    let (own, her) = (BareJid::parse("alice@north.example").unwrap(), BareJid::parse("carol@south.example").unwrap());
    world.say(carol, "alice@north.example", "hello");
    let ready = |world: &mut World| {
        let now = world.engine(alice).now_secs();
        block_on(world.engine(alice).sessions::<Omemo2>(&her, carols)).unwrap().is_ready(now)
    };
    assert!(ready(&mut world));
    let contact = crate::tables::CONTACT.row(&crate::tables::owner(&own, &[]), her.as_str().as_bytes());
    let mut tx = world.engine(alice).store.transaction();
    tx.delete(&contact);
    block_on(tx.commit()).unwrap();
    world.kill(alice);
    world.start(alice, crate::engine::Origin::Copied).unwrap();
    assert!(!ready(&mut world));
}

/// Ten minutes after the bundle without it is out; what strangers have used goes with the next bundle, or once an hour.
#[test]
fn a_used_prekey_is_erased_as_soon_as_nobody_can_be_on_their_way_with_it() {
    let minutes = |count: u64| std::time::Duration::from_secs(60 * count);
    let (mut world, alice, _) = World::alice_and_bob(48);
    let used = |world: &mut World| world.engine(alice).device.as_ref().unwrap().used_prekey_count();
    let offered = |world: &mut World| {
        let nodes = world.server.nodes("alice@north.example");
        let item = nodes["urn:xmpp:omemo:2:bundles"].last().unwrap().payload.clone().unwrap();
        xep::omemo::BundleElement::parse(&item).unwrap().1.prekeys.len()
    };
    assert_eq!((used(&mut world), offered(&mut world)), (1, 99), "bob's greeting, published at once");
    world.advance(minutes(9));
    assert_eq!(used(&mut world), 1);
    world.advance(minutes(2));
    assert_eq!(used(&mut world), 0);
    let carol = world.join("carol", "south.example");
    world.say(carol, "alice@north.example", "takes another");
    world.advance(minutes(40));
    assert_eq!((used(&mut world), offered(&mut world)), (1, 99), "a stranger does not make us publish");
    world.restart(alice);
    assert_eq!((used(&mut world), offered(&mut world)), (1, 99), "nor at the next start");
    world.advance(minutes(15));
    assert_eq!((used(&mut world), offered(&mut world)), (1, 98), "but once an hour");
    world.advance(minutes(11));
    assert_eq!(used(&mut world), 0);
}

/// An answer about bundles that are out of date says nothing about the prekeys that have been used since.
#[test]
fn a_prekey_is_withdrawn_only_by_a_bundle_without_it() {
    let (mut world, alice, _) = World::alice_and_bob(63);
    world.advance(std::time::Duration::from_secs(3600));
    let carol = world.join("carol", "south.example");
    world.say(carol, "alice@north.example", "takes one");
    world.server.failing.insert("alice@north.example".into(), xmpp::stanza::Condition::InternalServerError);
    world.advance(std::time::Duration::from_secs(2 * 3600));
    let device = world.engine(alice).device.as_ref().unwrap();
    assert_eq!((device.used_prekey_count(), device.is_publication_due(), device.next_erasure()), (1, true, None));
}

#[test]
fn a_catch_up_ends_with_its_answer_and_not_with_patience() {
    let (mut world, alice, _) = World::alice_and_bob(49);
    world.server.ignores_pings = true;
    world.restart(alice);
    let a_while = std::time::Duration::from_secs(60);
    world.advance(a_while);
    assert!(world.engine(alice).is_catching_up(), "what had waited may still come, and need keys");
    world.server.ignores_pings = false;
    world.advance(a_while);
    assert!(!world.engine(alice).is_catching_up());
}
