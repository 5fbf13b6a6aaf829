//! What a server or a forged link can do to trust: nothing that the user is not told of.

use std::time::Duration;

use crypto::omemo::Omemo2;
use store::block_on;
use xep::omemo::{DeviceList, Encrypted, Version};
use xep::pubsub::{Event as PubSubEvent, Item};
use xep::uri::Link;
use xmpp::jid::BareJid;
use xmpp::stanza::Condition;
use xmpp::xml::Element;

use crate::command::{Command, Decision, Login, Password, Proof, Reply};
use crate::devices::new_device_row;
use crate::error::CommandError;
use crate::event::{Event, MessageState, Notice, PersonTrust};
use crate::tables::{DeviceTrustCode, PeerDeviceRow};
use crate::testing::World;

const ALICE: &str = "alice@north.example";
const BOB: &str = "bob@south.example";
/// After this, device lists are fetched again.
const A_DAY: Duration = Duration::from_secs(25 * 60 * 60);

/// Alice and bob have talked; eve has a device, which servers may show as one of bob's.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) alice: usize,
    pub(super) bob: usize,
    pub(super) bobs_device: u32,
    pub(super) ghost: u32,
    /// A link of eve's, with her keys.
    eves_link: Link,
}

impl Scene {
    pub(super) fn new(seed: u64) -> Self {
        let (mut world, alice, bob) = World::alice_and_bob(seed);
        let eve = world.join("eve", "south.example");
        let eves_link = Link::parse(&world.invite_of(eve)).unwrap();
        world.say(alice, "bob", "hi");
        world.say(bob, "alice", "hi");
        let (bobs_device, ghost) = (world.device_ids(BOB)[0], world.device_ids("eve@south.example")[0]);
        Self { world, alice, bob, bobs_device, ghost, eves_link }
    }

    /// Bob's server shows these devices as his.
    pub(super) fn list(&mut self, devices: &[u32]) {
        let eves = self.world.server.nodes("eve@south.example").clone();
        let nodes = self.world.server.nodes(BOB);
        for version in Version::STRONGEST_FIRST {
            let list = DeviceList::of_ids(devices.iter().copied()).to_element(version);
            nodes.insert(version.devices_node().to_owned(), vec![Item::new(Version::DEVICES_ITEM, list)]);
            let bundles = nodes.entry(version.bundle_node(self.ghost)).or_default();
            let item = version.bundle_item(self.ghost);
            bundles.retain(|bundle| bundle.id.as_deref() != Some(&item));
            bundles.extend(eves[&version.bundle_node(self.ghost)].iter().cloned());
        }
        self.world.advance(A_DAY);
    }

    /// Whether a message of alice's to bob has a key for the ghost.
    fn ghost_reads(&mut self) -> bool {
        let id = self.world.say(self.alice, "bob", "for bob only");
        assert_eq!(self.world.state(self.alice, "bob", &id), MessageState::AtBroker);
        let sent = self.world.server.messages.iter().find(|m| m.attr("id") == Some(id.as_str())).unwrap();
        let elements = sent.children().filter_map(|child| Encrypted::parse(child).ok());
        elements.flat_map(|element| element.keys).any(|key| key.device == self.ghost)
    }

    pub(super) fn verify_by_number(&mut self) {
        let Ok(Reply::Number(number)) = self.world.command(self.alice, Command::Number { who: "bob".into() }) else {
            panic!("no number")
        };
        let proof = Proof::Number(number.digits);
        self.world.command(self.alice, Command::Verify { who: "bob".into(), proof }).unwrap();
    }

    fn add(&mut self, link: &Link) {
        let link = link.to_text().unwrap();
        self.world.command(self.alice, Command::Add { link, name: None }).unwrap();
    }

    fn trust(&mut self) -> PersonTrust {
        self.world.contact(self.alice, BOB).unwrap().trust
    }

    fn link_of_bob(&mut self) -> Link {
        Link::parse(&self.world.invite_of(self.bob)).unwrap()
    }
}

#[test]
fn a_device_that_was_hidden_while_people_compared_is_not_written_to_afterwards() {
    let mut scene = Scene::new(100);
    let bobs = scene.bobs_device;
    scene.list(&[bobs, scene.ghost]);
    assert!(scene.ghost_reads(), "nobody has compared yet");
    scene.list(&[bobs]);
    assert!(!scene.ghost_reads());
    scene.verify_by_number();
    scene.list(&[bobs, scene.ghost]);
    assert!(!scene.ghost_reads());
    assert_eq!(scene.world.contact(scene.alice, BOB).unwrap().undecided_devices_count, 1);
}

#[test]
fn a_genuine_link_of_somebody_known_verifies_them() {
    let mut scene = Scene::new(101);
    let link = scene.link_of_bob();
    scene.add(&link);
    assert!(!scene.ghost_reads());
    assert_eq!(scene.trust(), PersonTrust::Verified);
}

#[test]
fn a_genuine_link_uncovers_a_device_that_a_server_added_before() {
    let mut scene = Scene::new(102);
    let bobs = scene.bobs_device;
    scene.list(&[bobs, scene.ghost]);
    assert!(scene.ghost_reads(), "nobody has compared yet");
    let link = scene.link_of_bob();
    scene.add(&link);
    assert!(!scene.ghost_reads());
    assert_eq!(scene.trust(), PersonTrust::Verified);
}

#[test]
fn a_forged_link_does_not_make_a_device_of_a_verified_person() {
    let mut scene = Scene::new(103);
    scene.verify_by_number();
    let mut forged = scene.link_of_bob();
    forged.keys = scene.eves_link.keys.clone();
    scene.add(&forged);
    assert_eq!(scene.trust(), PersonTrust::Verified);
    let bobs = scene.bobs_device;
    scene.list(&[bobs, scene.ghost]);
    assert!(!scene.ghost_reads());
    assert_eq!(scene.world.contact(scene.alice, BOB).unwrap().undecided_devices_count, 1);
}

#[test]
fn a_link_does_not_replace_a_known_pin() {
    let mut scene = Scene::new(104);
    let genuine = scene.link_of_bob();
    scene.add(&genuine);
    let (own, bob) = (BareJid::parse("alice@north.example").unwrap(), BareJid::parse(BOB).unwrap());
    let pin = |scene: &mut Scene| {
        let engine = scene.world.engine(scene.alice);
        block_on(engine.contact_row(&own, &bob)).unwrap().unwrap().server_pin
    };
    assert_eq!(pin(&mut scene), genuine.pin.map(|pin| pin.to_vec()));
    for pin_in_link in [Some([0x66; 32]), None] {
        let mut forged = genuine.clone();
        forged.pin = pin_in_link;
        scene.add(&forged);
        assert_eq!(pin(&mut scene), genuine.pin.map(|pin| pin.to_vec()));
    }
}

#[test]
fn a_device_list_that_the_own_server_holds_back_is_not_first_sight() {
    let mut world = World::new(105);
    let account = "alice@north.example";
    world.server.failing_nodes.push((Version::Legacy.devices_node().to_owned(), Condition::InternalServerError));
    let alice = world.join("alice", "north.example");
    world.advance(A_DAY);
    world.server.failing_nodes.clear();
    let list = DeviceList::of_ids([4711]).to_element(Version::Legacy);
    let node = Version::Legacy.devices_node().to_owned();
    world.server.nodes(account).insert(node, vec![Item::new(Version::DEVICES_ITEM, list)]);
    world.restart(alice);
    let own = BareJid::parse(account).unwrap();
    let row = block_on(world.engine(alice).device_row(&own, 4711)).unwrap().unwrap();
    assert_eq!(row.trust(), crate::tables::DeviceTrustCode::Undecided);
}

#[test]
fn lists_full_of_made_up_devices_do_not_fill_the_store() {
    let mut scene = Scene::new(106);
    for round in 1..=20 {
        let list = DeviceList::of_ids(round * 1000..round * 1000 + 60).to_element(Version::Omemo2);
        let item = Item::new(Version::DEVICES_ITEM, list);
        let event = PubSubEvent::Items {
            node: Version::Omemo2.devices_node().to_owned(),
            published: vec![item],
            retracted: Vec::new(),
        };
        let message = Element::new("message", xmpp::ns::CLIENT)
            .with_attr("from", BOB)
            .with_attr("to", "alice@north.example")
            .with_child(event.to_element());
        scene.world.server.inject(scene.alice, &message);
    }
    scene.world.settle();
    let bob = BareJid::parse(BOB).unwrap();
    let rows = block_on(scene.world.engine(scene.alice).device_rows(&bob)).unwrap();
    assert_eq!(rows.len(), 60 + 1, "those of the last list, and bob's own, whose key is known");
}

#[test]
fn an_invitation_from_the_server_speaks_for_nobody_else_and_against_no_key() {
    let mut scene = Scene::new(107);
    let key = "42".repeat(32);
    for address in ["eve@south.example", BOB] {
        let uri =
            format!("xmpp:{address}?roster;preauth=t;ibr=y;encryption=urn:xmpp:omemo:2;trust={key};distrust={key}");
        scene.world.server.invite_uri = Some(uri);
        let link = scene.link_of_bob();
        assert_eq!(link.address.as_str(), BOB);
        assert_eq!((link.keys.trust.len(), link.keys.distrust.len()), (1, 0));
        assert!(!link.keys.trust.contains(&[0x42; 32]));
        assert_eq!(link.preauth.is_some(), address == BOB);
    }
}

#[test]
fn a_link_proves_nothing_by_keys_that_it_does_not_name() {
    let mut scene = Scene::new(108);
    scene.verify_by_number();
    // The user takes something at face value, so that bob is not verified any more; his device still is.
    scene.world.command(scene.alice, Command::AcceptChange { who: "bob".into() }).unwrap();
    let mut forged = scene.link_of_bob();
    forged.keys = scene.eves_link.keys.clone();
    scene.add(&forged);
    scene.world.say(scene.alice, "bob", "does it fit?");
    assert_eq!(scene.trust(), PersonTrust::Changed);
}

#[test]
fn a_new_device_of_a_verified_person_is_compared_before_anything_is_encrypted_to_it() {
    let mut scene = Scene::new(109);
    let number = |scene: &mut Scene| match scene.world.command(scene.alice, Command::Number { who: "bob".into() }) {
        Ok(Reply::Number(number)) => number.digits,
        other => panic!("{other:?}"),
    };
    scene.verify_by_number();
    let before = number(&mut scene);
    let bobs = scene.bobs_device;
    scene.list(&[bobs, scene.ghost]);
    assert!(!scene.ghost_reads());
    assert_ne!(number(&mut scene), before, "the number covers the new device");
    let (bob, ghost) = (BareJid::parse(BOB).unwrap(), scene.ghost);
    let engine = scene.world.engine(scene.alice);
    assert_eq!(block_on(engine.device_row(&bob, ghost)).unwrap().unwrap().trust(), DeviceTrustCode::Undecided);
    let now = engine.now_secs();
    assert!(!block_on(engine.sessions::<Omemo2>(&bob, ghost)).unwrap().is_ready(now));
    scene.verify_by_number();
    assert!(scene.ghost_reads(), "it was compared, so it is bob's");
}

#[test]
fn a_device_that_comes_between_the_comparison_and_its_confirmation_is_not_verified() {
    let mut scene = Scene::new(113);
    let show = |scene: &mut Scene| scene.world.command(scene.alice, Command::Number { who: "bob".into() }).unwrap();
    let confirm = |scene: &mut Scene| {
        scene.world.command(scene.alice, Command::Verify { who: "bob".into(), proof: Proof::NumberShown })
    };
    assert!(matches!(confirm(&mut scene), Err(CommandError::NumberNotShown)), "nothing was shown");
    show(&mut scene);
    let bobs = scene.bobs_device;
    scene.list(&[bobs, scene.ghost]);
    assert!(scene.ghost_reads(), "nobody has compared yet");
    assert!(matches!(confirm(&mut scene), Err(CommandError::NumberChanged)));
    assert_eq!(scene.trust(), PersonTrust::Tofu);
    show(&mut scene);
    confirm(&mut scene).unwrap();
    assert_eq!(scene.trust(), PersonTrust::Verified);
}

#[test]
fn keys_that_are_only_shown_are_not_asked_for_without_bound() {
    let mut scene = Scene::new(110);
    scene.verify_by_number();
    let bob = BareJid::parse(BOB).unwrap();
    let engine = scene.world.engine(scene.alice);
    let own = BareJid::parse(ALICE).unwrap();
    let row = |id| PeerDeviceRow { listed_omemo2: true, ..new_device_row(&own, &bob, id, DeviceTrustCode::Undecided) };
    let rows: Vec<_> = (1000..1060).map(row).collect();
    engine.fetch_undecided_keys(&bob, &rows);
    engine.fetch_undecided_keys(&bob, &rows);
    let asked = |id: &u32| engine.fetches.bundle(&bob, *id, Version::Omemo2).is_some();
    assert_eq!((1000..1060).filter(asked).count(), 8);
}

#[test]
fn a_device_that_the_server_lists_beside_that_of_a_new_account_is_reported_and_not_believed() {
    let mut world = World::new(111);
    let eve = world.join("eve", "south.example");
    let ghost = world.device_ids("eve@south.example")[0];
    // One list fails at first, so that the other device can be put there before alice has seen it.
    let node = Version::Legacy.devices_node().to_owned();
    world.server.failing_nodes.push((node.clone(), Condition::InternalServerError));
    let alice = world.join("alice", "north.example");
    world.server.failing_nodes.clear();
    let bundles = world.server.nodes("eve@south.example").clone();
    let nodes = world.server.nodes(ALICE);
    let list = DeviceList::of_ids([ghost]).to_element(Version::Legacy);
    nodes.insert(node, vec![Item::new(Version::DEVICES_ITEM, list)]);
    let bundle_node = Version::Legacy.bundle_node(ghost);
    nodes.insert(bundle_node.clone(), bundles[&bundle_node].clone());
    world.restart(alice);
    assert!(world.people[alice].events.contains(&Event::Notice(Notice::NewOwnDevice)));
    let link = world.invite_of(eve);
    world.command(alice, Command::Add { link, name: None }).unwrap();
    world.say(alice, "eve", "not for a second device of mine");
    assert!(sent_to(&world, ghost).all(|jid| jid.as_str() != ALICE));
    world.people[alice].events.clear(); // after a restart, requests are counted anew
    let link = Link::parse(&world.invite_of(alice)).unwrap();
    assert_eq!(link.keys.trust.len(), 1, "only the key of this device");
}

#[test]
fn links_vouch_for_other_devices_of_an_account_only_when_the_user_has_agreed() {
    let (mut world, alice, _) = World::alice_and_bob(112);
    let new = Some(Password::new("a long password of alice"));
    world.command(alice, Command::ChangePassword { new }).unwrap();
    let link = world.invite_of(alice);
    world.command(alice, Command::GoOffline).unwrap();
    let carol = world.join("carol", "north.example");
    let link_of_carol = world.invite_of(carol);
    let laptop = world.person();
    let login = Login {
        address: ALICE.into(),
        password: Password::new("a long password of alice"),
        at: Vec::new(),
        pin: None,
        by_certificate: false,
        danger_no_binding: false,
    };
    world.command(laptop, Command::Login(login)).unwrap();
    world.command(laptop, Command::Add { link: link_of_carol, name: None }).unwrap();
    world.say(laptop, "carol", "read on my other device as well");
    let first = Link::parse(&link).unwrap().keys.trust[0];
    let keys = |world: &mut World| Link::parse(&world.invite_of(laptop)).unwrap().keys.trust;
    let vouched = keys(&mut world);
    assert!(vouched.len() == 1 && !vouched.contains(&first));
    assert!(matches!(
        world.command(laptop, Command::AcceptChange { who: ALICE.into() }),
        Err(CommandError::IsYourself)
    ));
    let device = world.device_ids(ALICE)[0];
    world.command(laptop, Command::Devices { who: None, to_show: true }).unwrap();
    let (fingerprint, decision) = (None, Decision::Agree);
    world.command(laptop, Command::DecideDevice { who: None, device, fingerprint, decision }).unwrap();
    let vouched = keys(&mut world);
    assert!(vouched.len() == 2 && vouched.contains(&first));
}

/// The addresses whose device `id` a message was encrypted to.
pub(super) fn sent_to(world: &World, id: u32) -> impl Iterator<Item = BareJid> {
    let elements = world.server.messages.iter().flat_map(|message| message.children());
    let keys = elements.filter_map(|child| Encrypted::parse(child).ok()).flat_map(|element| element.keys);
    keys.filter(move |key| key.device == id).filter_map(|key| key.jid)
}
