//! C22: what the own server lists beside this device may have been planted there. It is nobody's before the user says so.

use std::time::Duration;

use store::block_on;
use xep::omemo::{DeviceList, Version};
use xep::pubsub::Item;
use xmpp::jid::BareJid;

use super::trust::sent_to;
use crate::command::{Command, Decision, Devices, Login, Password, Proof, Reply};
use crate::error::CommandError;
use crate::event::{DeviceState, Event, Notice};
use crate::testing::{Ghost, World};

const ALICE: &str = "alice@north.example";
const A_DAY: Duration = Duration::from_secs(25 * 60 * 60);

/// Alice's account has a device before she signs in for the first time; bob is somebody she will talk to.
struct Scene {
    world: World,
    alice: usize,
    bob: usize,
    /// The other device on alice's account.
    other: u32,
}

/// Shows the device of eve's as one of the account's, beside those that are there.
fn plant(world: &mut World, account: &str) -> u32 {
    let eve = "eve@south.example";
    let ghost = world.device_ids(eve)[0];
    let eves = world.server.nodes(eve).clone();
    let nodes = world.server.nodes(account);
    for version in Version::STRONGEST_FIRST {
        let list = nodes.get(version.devices_node()).and_then(|items| items.last()?.payload.as_ref());
        let mut list = list.map(|list| DeviceList::parse(list).unwrap().1).unwrap_or_default();
        list.devices.extend(DeviceList::of_ids([ghost]).devices);
        let list = list.to_element(version);
        nodes.insert(version.devices_node().to_owned(), vec![Item::new(Version::DEVICES_ITEM, list)]);
        let bundle = eves[&version.bundle_node(ghost)].iter();
        let item = version.bundle_item(ghost);
        let bundle = bundle.filter(|bundle| version == Version::Legacy || bundle.id.as_deref() == Some(&item));
        nodes.entry(version.bundle_node(ghost)).or_default().extend(bundle.cloned());
    }
    ghost
}

impl Scene {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        world.join("eve", "south.example");
        world.server.register(ALICE, "a long password of alice");
        let other = plant(&mut world, ALICE);
        let bob = world.join("bob", "south.example");
        let alice = world.person();
        let password = Password::new("a long password of alice");
        let login = Login {
            address: ALICE.into(),
            password,
            at: Vec::new(),
            pin: None,
            by_certificate: false,
            danger_no_binding: false,
        };
        world.command(alice, Command::Login(login)).unwrap();
        let link = world.invite_of(bob);
        world.command(alice, Command::Add { link, name: None }).unwrap();
        world.say(alice, "bob", "hello bob");
        world.say(bob, "alice", "hello alice");
        Self { world, alice, bob, other }
    }

    fn devices(&mut self) -> Devices {
        match self.world.command_only(self.alice, Command::Devices { who: None, to_show: true }) {
            Ok(Reply::Devices(devices)) => devices,
            other => panic!("{other:?}"),
        }
    }

    fn decide(&mut self, decision: Decision) {
        self.devices();
        self.answer(None, decision).unwrap();
    }

    /// Answers a question that has shown this fingerprint.
    fn answer(&mut self, fingerprint: Option<String>, decision: Decision) -> Result<Reply, CommandError> {
        let device = self.other;
        self.world.command(self.alice, Command::DecideDevice { who: None, device, fingerprint, decision })
    }

    /// The server gives the other device's number to somebody with another key, as if it had never been anybody else's.
    fn replace_key(&mut self) {
        let own = BareJid::parse(ALICE).unwrap();
        let engine = self.world.engine(self.alice);
        let mut row = block_on(engine.device_row(&own, self.other)).unwrap().unwrap();
        row.identity = vec![7; 32];
        let mut tx = engine.store.transaction();
        engine.put_device_row(&mut tx, &row).unwrap();
        block_on(tx.commit()).unwrap();
    }

    fn number(&mut self, person: usize, who: &str) -> Result<String, CommandError> {
        match self.world.command(person, Command::Number { who: who.into() }) {
            Ok(Reply::Number(number)) => Ok(number.digits),
            Err(error) => Err(error),
            Ok(other) => panic!("{other:?}"),
        }
    }

    /// Whether what alice writes to bob from now on has a key for the other device under alice's name.
    fn other_reads(&mut self) -> bool {
        self.world.server.messages.clear();
        self.world.say(self.alice, "bob", "for two people only");
        sent_to(&self.world, self.other).any(|jid| jid.as_str() == ALICE)
    }
}

#[test]
fn c22_a_device_planted_before_the_first_login_reads_nothing_and_no_number_is_shown_before_an_answer() {
    let mut scene = Scene::new(500);
    assert!(!scene.other_reads());
    let devices = scene.devices();
    assert!(devices.is_complete);
    assert_eq!((devices.devices.len(), devices.devices[0].state), (1, DeviceState::Undecided));
    assert_eq!(devices.devices[0].fingerprint.as_ref().map(String::len), Some(71), "its owner can compare it");
    assert!(scene.world.notices(scene.alice).iter().any(|kept| kept.notice == Notice::NewOwnDevice));
    let alice = scene.alice;
    assert!(matches!(scene.number(alice, "bob"), Err(CommandError::OwnDeviceWaits)));
    for proof in [Proof::NumberShown, Proof::Number("1".repeat(60))] {
        let verify = Command::Verify { who: "bob".into(), proof };
        assert!(matches!(scene.world.command(alice, verify), Err(CommandError::OwnDeviceWaits)));
    }
}

#[test]
fn c22_the_numbers_of_a_planted_device_differ_or_it_is_in_neither() {
    for server_is_honest_now in [true, false] {
        let mut scene = Scene::new(501);
        let (alice, bob) = (scene.alice, scene.bob);
        scene.decide(Decision::Refuse);
        let listed = scene.world.device_ids(ALICE).contains(&scene.other);
        assert!(!listed, "the list is edited");
        if !server_is_honest_now {
            plant(&mut scene.world, ALICE);
        }
        scene.world.advance(A_DAY);
        scene.world.say(bob, "alice", "the lists are fetched anew");
        let (ours, theirs) = (scene.number(alice, "bob").unwrap(), scene.number(bob, "alice").unwrap());
        assert_eq!(ours == theirs, server_is_honest_now);
        assert!(!scene.other_reads());
    }
}

#[test]
fn c22_an_answer_is_about_the_key_that_was_shown_and_no_other() {
    let mut scene = Scene::new(508);
    assert!(matches!(scene.answer(None, Decision::Agree), Err(CommandError::KeyNotShown)));
    let shown = scene.devices().devices.remove(0).fingerprint;
    scene.replace_key();
    for decision in [Decision::Agree, Decision::Refuse] {
        for shown in [shown.clone(), None] {
            assert!(matches!(scene.answer(shown, decision), Err(CommandError::KeyShownChanged)), "{decision:?}");
        }
    }
    let looked_at_by_programs = Command::Devices { who: None, to_show: false };
    scene.world.command(scene.alice, looked_at_by_programs).unwrap();
    assert!(matches!(scene.answer(None, Decision::Agree), Err(CommandError::KeyShownChanged)));
    assert!(!scene.other_reads());
    let shown = scene.devices().devices.remove(0);
    assert_eq!(shown.state, DeviceState::Undecided);
    scene.answer(shown.fingerprint, Decision::Agree).unwrap();
    assert_eq!(scene.devices().devices[0].state, DeviceState::Believed);
}

#[test]
fn c22_an_app_that_was_listed_is_not_pushed_out_to_come_back_with_another_key() {
    let mut scene = Scene::new(509);
    let shown = scene.devices().devices.remove(0).fingerprint;
    let mut ids = scene.world.device_ids(ALICE);
    ids.retain(|id| *id != scene.other);
    for version in Version::STRONGEST_FIRST {
        let list = DeviceList::of_ids(ids.iter().copied()).to_element(version);
        let item = vec![Item::new(Version::DEVICES_ITEM, list)];
        scene.world.server.nodes(ALICE).insert(version.devices_node().to_owned(), item);
    }
    scene.world.restart(scene.alice);
    for seed in 0..12 {
        let mut ghost = Ghost::new(&scene.world, 5090 + seed);
        ghost.say(&mut scene.world, scene.alice, ALICE, ALICE, "make room");
    }
    let devices = scene.devices().devices;
    assert_eq!(devices.len(), 8 + 1, "those that no list names have a bound");
    let other = devices.iter().find(|device| device.id == scene.other).unwrap();
    assert_eq!(other.fingerprint, shown);
}

#[test]
fn c22_an_honest_phone_reads_and_counts_once_its_owner_has_agreed() {
    let mut scene = Scene::new(502);
    let (alice, bob) = (scene.alice, scene.bob);
    scene.decide(Decision::Agree);
    assert_eq!(scene.devices().devices[0].state, DeviceState::Believed);
    assert_eq!(scene.world.notices(alice), [], "it waits no longer");
    scene.world.advance(A_DAY);
    scene.world.say(bob, "alice", "the lists are fetched anew");
    assert_eq!(scene.number(alice, "bob").unwrap(), scene.number(bob, "alice").unwrap());
    assert!(scene.other_reads());
}

#[test]
fn c22_later_is_a_row_that_lasts_until_there_is_an_answer() {
    let mut scene = Scene::new(503);
    let alice = scene.alice;
    scene.decide(Decision::Later);
    let device = scene.devices().devices.remove(0);
    assert!(device.is_put_off && device.state == DeviceState::Undecided);
    assert!(matches!(scene.number(alice, "bob"), Err(CommandError::OwnDeviceWaits)));
    let waits = |scene: &mut Scene| scene.world.notices(alice).iter().any(|k| k.notice == Notice::NewOwnDevice);
    scene.world.command(alice, Command::NoticesSeen { up_to: u64::MAX }).unwrap();
    assert!(waits(&mut scene), "seeing it is no answer");
    scene.decide(Decision::Agree);
    assert!(!waits(&mut scene));
}

#[test]
fn c22_a_refused_app_is_taken_off_the_list_once_and_stays_refused() {
    let mut scene = Scene::new(504);
    scene.decide(Decision::Refuse);
    assert!(!scene.world.device_ids(ALICE).contains(&scene.other));
    plant(&mut scene.world, ALICE); // the app puts itself back
    scene.world.restart(scene.alice);
    assert!(scene.world.device_ids(ALICE).contains(&scene.other), "two programs do not fight over a list");
    assert_eq!(scene.devices().devices[0].state, DeviceState::Refused);
    assert!(!scene.other_reads());
}

#[test]
fn c22_a_refused_key_is_refused_under_another_number_too() {
    let mut scene = Scene::new(505);
    scene.decide(Decision::Refuse);
    let (other, renumbered) = (scene.other, 4711);
    let nodes = scene.world.server.nodes(ALICE);
    for version in Version::STRONGEST_FIRST {
        let list = DeviceList::of_ids([renumbered]).to_element(version);
        nodes.insert(version.devices_node().to_owned(), vec![Item::new(Version::DEVICES_ITEM, list)]);
        let item = version.bundle_item(other);
        let bundles = nodes[&version.bundle_node(other)].clone();
        let bundle = bundles.iter().find(|b| version == Version::Legacy || b.id.as_deref() == Some(&item)).unwrap();
        let renamed = Item::new(&version.bundle_item(renumbered), bundle.payload.clone().unwrap());
        nodes.entry(version.bundle_node(renumbered)).or_default().push(renamed);
    }
    scene.world.restart(scene.alice);
    let states: Vec<_> = scene.devices().devices.iter().map(|device| device.state).collect();
    assert_eq!(states, [DeviceState::Refused; 2]);
}

#[test]
fn c22_a_device_without_a_key_can_not_be_agreed_to_and_holds_nothing_up() {
    let mut scene = Scene::new(506);
    scene.decide(Decision::Refuse);
    let nodes = scene.world.server.nodes(ALICE);
    let version = Version::Omemo2;
    let list = DeviceList::of_ids([4711]).to_element(version);
    nodes.insert(version.devices_node().to_owned(), vec![Item::new(Version::DEVICES_ITEM, list)]);
    scene.world.restart(scene.alice);
    let (alice, decision) = (scene.alice, Decision::Agree);
    let agree = Command::DecideDevice { who: None, device: 4711, fingerprint: None, decision };
    assert!(matches!(scene.world.command(alice, agree), Err(CommandError::UnknownDevice)));
    scene.number(alice, "bob").unwrap();
}

#[test]
fn c22_what_a_first_store_took_at_face_value_waits_for_an_answer() {
    let mut scene = Scene::new(507);
    scene.decide(Decision::Agree);
    let (own, alice) = (xmpp::jid::BareJid::parse(ALICE).unwrap(), scene.alice);
    let engine = scene.world.engine(alice);
    let mut row = store::block_on(engine.device_row(&own, scene.other)).unwrap().unwrap();
    row.accepted = false; // as the first version left it
    let mut tx = engine.store.transaction();
    engine.put_device_row(&mut tx, &row).unwrap();
    store::block_on(tx.commit()).unwrap();
    scene.world.people[alice].events.clear();
    scene.world.restart(alice);
    assert_eq!(scene.devices().devices[0].state, DeviceState::Undecided);
    assert!(scene.world.people[alice].events.contains(&Event::Notice(Notice::NewOwnDevice)));
    assert!(!scene.other_reads());
}
