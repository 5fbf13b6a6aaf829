//! C21: a broker lets a device of its own speak in a contact's name.

use std::time::Duration;

use store::block_on;
use xep::omemo::{NS_OMEMO2, Version};
use xep::pubsub::{Event as PubSubEvent, Item};
use xmpp::jid::BareJid;
use xmpp::xml::Element;

use super::trust::sent_to;
use crate::command::{Command, Decision, InboxSide, Proof, Reply};
use crate::event::{Content, DeviceState, Message, MessageState, Notice, PersonTrust};
use crate::testing::{Ghost, World};

const ALICE: &str = "alice@north.example";
const BOB: &str = "bob@south.example";
/// After this a list is asked for again because of an unknown device.
const LATER: Duration = Duration::from_secs(11 * 60);

/// After this a list is too old to rely on.
const A_DAY: Duration = Duration::from_secs(25 * 60 * 60);

struct Scene {
    world: World,
    alice: usize,
    bob: usize,
    ghost: Ghost,
}

impl Scene {
    /// Alice and bob have talked.
    fn new(seed: u64) -> Self {
        let (mut world, alice, bob) = World::alice_and_bob(seed);
        world.say(alice, "bob", "hi");
        world.say(bob, "alice", "hi alice");
        world.advance(LATER);
        let ghost = Ghost::new(&world, seed);
        Self { world, alice, bob, ghost }
    }

    /// As [`Scene::new`], and alice has compared numbers with bob.
    fn verified(seed: u64) -> Self {
        let mut scene = Self::new(seed);
        scene.compare();
        scene
    }

    fn compare(&mut self) {
        let Ok(Reply::Number(number)) = self.world.command(self.alice, Command::Number { who: "bob".into() }) else {
            panic!("no number")
        };
        let proof = Proof::Number(number.digits);
        self.world.command(self.alice, Command::Verify { who: "bob".into(), proof }).unwrap();
    }

    fn ghost_says(&mut self, text: &str) {
        self.ghost.say(&mut self.world, self.alice, BOB, ALICE, text);
    }

    fn decide(&mut self, decision: Decision) {
        self.decide_about(self.ghost.id(), decision);
    }

    /// Looks at what there is, and decides.
    fn decide_about(&mut self, device: u32, decision: Decision) {
        let who = Some("bob".to_owned());
        self.world.command(self.alice, Command::Devices { who: who.clone(), to_show: true }).unwrap();
        let decide = Command::DecideDevice { who, device, fingerprint: None, decision };
        self.world.command(self.alice, decide).unwrap();
    }

    /// What alice reads as bob's, besides his greeting.
    fn shown(&mut self) -> Vec<Message> {
        let mut messages = self.world.inbox(self.alice, InboxSide::Contacts);
        messages.retain(|m| m.state == MessageState::Received && m.content != Content::Text("hi alice".into()));
        messages
    }

    fn texts(&mut self) -> Vec<String> {
        let text = |message: Message| match message.content {
            Content::Text(text) => text,
            Content::File(_) => panic!("a file"),
        };
        self.shown().into_iter().map(text).collect()
    }

    fn held_count(&mut self) -> u64 {
        self.world.contact(self.alice, BOB).unwrap().held_count
    }

    fn trust(&mut self) -> PersonTrust {
        self.world.contact(self.alice, BOB).unwrap().trust
    }

    /// A device with another key speaks under the number of one of bob's.
    fn says_under_number_of(&mut self, ghost: &mut Ghost, device: u32) {
        let mut message = ghost.message(&mut self.world, BOB, ALICE, Some("another key under bob's number"));
        let encrypted = message.child_mut("encrypted", NS_OMEMO2).unwrap();
        encrypted.child_mut("header", NS_OMEMO2).unwrap().set_attr("sid", device.to_string());
        self.world.server.inject(self.alice, &message);
        self.world.settle();
    }

    fn state_of(&mut self, id: u32) -> DeviceState {
        let devices = Command::Devices { who: Some("bob".into()), to_show: false };
        match self.world.command(self.alice, devices) {
            Ok(Reply::Devices(devices)) => devices.devices.iter().find(|device| device.id == id).unwrap().state,
            other => panic!("{other:?}"),
        }
    }

    /// Bob's server says by itself which devices he has.
    fn list_event(&mut self) {
        let node = Version::Omemo2.devices_node().to_owned();
        let published = self.world.server.nodes(BOB)[&node].clone();
        let event = PubSubEvent::Items { node, published, retracted: Vec::new() };
        let message = Element::new("message", xmpp::ns::CLIENT)
            .with_attr("from", BOB)
            .with_attr("to", ALICE)
            .with_child(event.to_element());
        self.world.server.inject(self.alice, &message);
        self.world.settle();
    }

    /// How often alice is told of each kind.
    fn told(&mut self, wanted: fn(&Notice) -> bool) -> Vec<u64> {
        self.world.notices(self.alice).iter().filter(|kept| wanted(&kept.notice)).map(|kept| kept.count).collect()
    }

    fn held_notices(&mut self) -> Vec<u64> {
        self.told(|notice| matches!(notice, Notice::WordsHeld { .. }))
    }

    fn new_app_notices(&mut self) -> Vec<u64> {
        self.told(|notice| matches!(notice, Notice::NewApp { .. }))
    }
}

#[test]
fn c21_words_of_a_device_that_no_list_names_are_held_and_told_in_one_row() {
    for verified in [true, false] {
        let mut scene = if verified { Scene::verified(600) } else { Scene::new(600) };
        let before = scene.trust();
        for text in ["send money", "to this account", "quickly"] {
            scene.ghost_says(text);
        }
        assert_eq!(scene.texts(), [""; 0], "nothing is shown as bob's");
        assert_eq!((scene.held_count(), scene.trust()), (3, before));
        assert_eq!(scene.held_notices(), [3], "one row, counted");
        let (alice, ghost) = (scene.alice, scene.ghost.id());
        scene.world.say(alice, "bob", "what was that?");
        assert!(sent_to(&scene.world, ghost).next().is_none(), "no words, and no receipt either");
        scene.world.say(scene.bob, "alice", "what was what?");
        assert_eq!(scene.texts(), ["what was what?"]);
        assert_eq!(scene.shown()[0].verified, verified);
    }
}

#[test]
fn c21_words_of_an_undecided_device_of_a_verified_person_are_held_though_their_server_lists_it() {
    let mut scene = Scene::verified(601);
    scene.ghost.appear_at(&mut scene.world, BOB);
    scene.ghost_says("listed, so it must be bob");
    scene.world.advance(LATER);
    scene.ghost_says("is it not?");
    assert_eq!(scene.texts(), [""; 0]);
    assert_eq!((scene.held_count(), scene.held_notices()), (2, vec![2]));
    assert_eq!(scene.world.contact(scene.alice, BOB).unwrap().undecided_devices_count, 1);
}

#[test]
fn c21_a_refused_device_says_nothing_under_no_number() {
    let mut scene = Scene::verified(602);
    scene.ghost_says("held");
    scene.decide(Decision::Refuse);
    assert_eq!((scene.held_count(), scene.held_notices()), (0, vec![]));
    scene.ghost_says("dropped");
    scene.ghost.device.renumber(&crypto::random::SeededRandom::new(1));
    scene.ghost.begin_again();
    scene.ghost_says("the same key under another number");
    assert_eq!((scene.texts(), scene.held_count()), (Vec::<String>::new(), 0));
    assert_eq!(scene.trust(), PersonTrust::Verified);
    scene.ghost.appear_at(&mut scene.world, BOB);
    scene.world.advance(LATER);
    scene.ghost_says("listed, too");
    assert_eq!((scene.texts(), scene.held_count()), (Vec::<String>::new(), 0));
}

#[test]
fn c21_a_listed_new_device_of_somebody_never_compared_is_shown_marked_and_told_once() {
    let mut scene = Scene::new(603);
    scene.ghost.appear_at(&mut scene.world, BOB);
    for text in ["from my new phone", "and again"] {
        scene.ghost_says(text);
    }
    assert_eq!(scene.texts(), ["from my new phone", "and again"]);
    assert!(scene.shown().iter().all(|message| message.new_app && !message.verified));
    assert_eq!((scene.new_app_notices(), scene.held_notices()), (vec![1], vec![]));
    scene.world.say(scene.bob, "alice", "from my old phone");
    assert!(!scene.shown().last().unwrap().new_app, "the mark is the device's");
    scene.compare();
    scene.ghost_says("compared");
    let last = scene.shown().pop().unwrap();
    assert!(last.verified && !last.new_app);
}

#[test]
fn c21_lists_and_bundle_are_asked_for_first_and_not_again_for_ten_minutes() {
    let mut scene = Scene::new(604);
    scene.world.server.asked.clear();
    let lists = |scene: &Scene| {
        let is_list = |(owner, node): &&(String, String)| owner == BOB && node == Version::Omemo2.devices_node();
        scene.world.server.asked.iter().filter(is_list).count()
    };
    for text in ["one", "two", "three"] {
        scene.ghost_says(text);
        scene.ghost.begin_again();
    }
    assert_eq!(lists(&scene), 1);
    scene.ghost.appear_at(&mut scene.world, BOB); // it is listed a moment later than it spoke
    scene.world.advance(LATER);
    assert_eq!(lists(&scene), 2, "what came too soon is looked up when the time has come");
    assert_eq!(scene.texts(), ["one", "two", "three"]);
    let bundle = (BOB.to_owned(), Version::Omemo2.bundle_node(scene.ghost.id()));
    assert!(scene.world.server.asked.contains(&bundle));
    assert_eq!(scene.held_notices(), [0; 0], "the notice is taken back");
}

#[test]
fn c21_agreeing_releases_the_words_of_that_device_marked_and_at_their_time() {
    let mut scene = Scene::verified(605);
    let before = scene.world.now();
    scene.ghost_says("from my laptop");
    let mut other = Ghost::new(&scene.world, 6050);
    other.say(&mut scene.world, scene.alice, BOB, ALICE, "not from my laptop");
    scene.world.advance(Duration::from_secs(3600));
    scene.decide(Decision::Agree);
    assert_eq!((scene.texts(), scene.held_count()), (vec!["from my laptop".to_owned()], 1));
    let message = scene.shown().remove(0);
    assert!(!message.verified && message.new_app && !message.read);
    assert!(message.written_at.since(before) < Duration::from_secs(60));
    assert_eq!(scene.trust(), PersonTrust::Tofu, "without comparison nobody is verified");
    assert_eq!(scene.held_notices(), [2], "the other's words wait on");
    scene.ghost.appear_at(&mut scene.world, BOB);
    scene.world.advance(Duration::from_secs(25 * 60 * 60));
    let (alice, ghost) = (scene.alice, scene.ghost.id());
    scene.world.say(alice, "bob", "to both");
    assert!(sent_to(&scene.world, ghost).next().is_some());
}

#[test]
fn c21_agreeing_to_one_device_of_a_verified_person_agrees_to_no_other_that_is_listed() {
    let mut scene = Scene::verified(612);
    let mut other = Ghost::new(&scene.world, 6120);
    scene.ghost.appear_at(&mut scene.world, BOB);
    other.appear_at(&mut scene.world, BOB);
    scene.ghost_says("from my laptop");
    other.say(&mut scene.world, scene.alice, BOB, ALICE, "not from my laptop");
    assert_eq!((scene.texts(), scene.held_count()), (Vec::<String>::new(), 2));
    scene.decide(Decision::Agree);
    let (alice, id) = (scene.alice, other.id());
    for _ in 0..2 {
        assert_eq!((scene.texts(), scene.held_count()), (vec!["from my laptop".to_owned()], 1));
        assert_eq!(scene.world.contact(alice, BOB).unwrap().undecided_devices_count, 1, "it is asked about still");
        scene.world.say(alice, "bob", "to both of yours");
        assert!(sent_to(&scene.world, id).next().is_none());
        scene.world.advance(A_DAY); // the list is fetched again, and names it again
    }
    scene.decide_about(id, Decision::Agree);
    assert_eq!((scene.texts().len(), scene.held_count()), (2, 0), "the user has the last word");
}

#[test]
fn c21_a_refused_device_stays_refused_when_a_change_is_accepted() {
    let mut scene = Scene::verified(615);
    let (alice, id) = (scene.alice, scene.ghost.id());
    scene.ghost.appear_at(&mut scene.world, BOB);
    scene.ghost_says("listed");
    let mut other = Ghost::new(&scene.world, 6150);
    scene.says_under_number_of(&mut other, id);
    scene.decide(Decision::Refuse);
    assert_eq!((scene.trust(), scene.state_of(id)), (PersonTrust::Changed, DeviceState::Refused));
    scene.world.command(alice, Command::AcceptChange { who: "bob".into() }).unwrap();
    assert_eq!((scene.trust(), scene.state_of(id)), (PersonTrust::Tofu, DeviceState::Refused));
    scene.ghost_says("am I back?");
    scene.ghost.device.renumber(&crypto::random::SeededRandom::new(1));
    scene.ghost.begin_again();
    scene.ghost_says("under another number, then?");
    assert_eq!((scene.texts(), scene.held_count()), (Vec::<String>::new(), 0));
    scene.world.say(alice, "bob", "not for what I have refused");
    assert!(sent_to(&scene.world, id).next().is_none());
}

#[test]
fn c21_a_refused_device_is_not_brought_back_by_a_link() {
    let mut scene = Scene::new(616);
    let bobs = scene.world.device_ids(BOB)[0];
    scene.decide_about(bobs, Decision::Refuse);
    let link = scene.world.invite_of(scene.bob);
    let verify = Command::Verify { who: "bob".into(), proof: Proof::Link(link) };
    let _ = scene.world.command(scene.alice, verify);
    assert_eq!(scene.state_of(bobs), DeviceState::Refused);
}

#[test]
fn c21_accepting_a_change_says_nothing_about_a_device_that_a_list_names_only_afterwards() {
    let mut scene = Scene::verified(613);
    scene.ghost_says("no list names me yet");
    scene.world.command(scene.alice, Command::AcceptChange { who: "bob".into() }).unwrap();
    scene.ghost.appear_at(&mut scene.world, BOB);
    scene.world.advance(A_DAY);
    scene.ghost_says("now one does");
    assert_eq!((scene.texts(), scene.held_count()), (Vec::<String>::new(), 2));
}

#[test]
fn c21_a_broker_that_makes_somebody_seem_changed_gets_no_device_of_its_own_believed_by_it() {
    let mut scene = Scene::verified(614);
    let (alice, bobs) = (scene.alice, scene.world.device_ids(BOB)[0]);
    let mut ghost = Ghost::new(&scene.world, 6141);
    scene.says_under_number_of(&mut ghost, bobs);
    assert_eq!(scene.trust(), PersonTrust::Changed);
    let mut listed = Ghost::new(&scene.world, 6140);
    listed.appear_at(&mut scene.world, BOB);
    scene.list_event();
    listed.say(&mut scene.world, alice, BOB, ALICE, "listed while nobody could be written to");
    scene.world.advance(LATER);
    listed.say(&mut scene.world, alice, BOB, ALICE, "is it not?");
    assert_eq!((scene.texts(), scene.held_count()), (Vec::<String>::new(), 2));
    assert_eq!(scene.world.contact(alice, BOB).unwrap().undecided_devices_count, 1, "the user is asked");
}

#[test]
fn c21_comparing_releases_what_the_number_covers_as_verified() {
    let mut scene = Scene::verified(606);
    scene.ghost.appear_at(&mut scene.world, BOB);
    scene.ghost_says("from my laptop");
    let mut unlisted = Ghost::new(&scene.world, 6060);
    unlisted.say(&mut scene.world, scene.alice, BOB, ALICE, "from nobody's");
    assert_eq!(scene.held_count(), 2);
    scene.compare();
    assert_eq!((scene.texts(), scene.held_count()), (vec!["from my laptop".to_owned()], 1));
    assert!(scene.shown()[0].verified);
    scene.world.command(scene.alice, Command::AcceptChange { who: "bob".into() }).unwrap();
    assert_eq!(scene.held_count(), 1, "what no list names is a decision of its own");
}

#[test]
fn c21_known_keys_speak_on_when_a_server_takes_them_off_the_list() {
    for verified in [true, false] {
        let mut scene = if verified { Scene::verified(607) } else { Scene::new(607) };
        for version in Version::STRONGEST_FIRST {
            let list = xep::omemo::DeviceList::of_ids([4711]).to_element(version);
            let item = vec![Item::new(Version::DEVICES_ITEM, list)];
            scene.world.server.nodes(BOB).insert(version.devices_node().to_owned(), item);
        }
        scene.world.advance(Duration::from_secs(25 * 60 * 60));
        scene.world.say(scene.alice, "bob", "the list is fetched");
        scene.world.say(scene.bob, "alice", "it is still me");
        assert_eq!(scene.texts(), ["it is still me"]);
        let message = scene.shown().remove(0);
        assert_eq!((message.verified, message.new_app), (verified, false));
    }
}

#[test]
fn c21_a_listed_number_with_another_key_than_spoke_changes_the_person() {
    let mut scene = Scene::new(608);
    let genuine = Ghost::new(&scene.world, 6080);
    scene.ghost.appear_with_bundle_of(&genuine.device, &mut scene.world, BOB);
    scene.ghost_says("listed, and yet not");
    assert_eq!((scene.texts(), scene.held_count()), (Vec::<String>::new(), 1));
    assert_eq!(scene.trust(), PersonTrust::Changed);
}

#[test]
fn c21_devices_without_end_fill_nothing_and_keep_no_honest_one_out() {
    let mut scene = Scene::new(609);
    let rows = |scene: &Scene| scene.world.people[scene.alice].backend.raw_rows().len();
    let mut most = 0;
    for seed in 0..80 {
        let mut ghost = Ghost::new(&scene.world, 60900 + seed);
        ghost.say(&mut scene.world, scene.alice, BOB, ALICE, "spam");
        if seed == 10 {
            most = rows(&scene);
        }
    }
    assert!(rows(&scene) <= most + 2, "{} rows, {most} after ten devices", rows(&scene));
    let bob = BareJid::parse(BOB).unwrap();
    let devices = block_on(scene.world.engine(scene.alice).device_rows(&bob)).unwrap();
    assert_eq!(devices.len(), 8 + 1);
    assert_eq!(scene.held_count(), 8);
    scene.ghost.appear_at(&mut scene.world, BOB);
    scene.ghost_says("from my new phone");
    scene.world.advance(LATER);
    assert_eq!(scene.texts(), ["from my new phone"]);
}

#[test]
fn c21_an_interrupted_look_up_is_made_up_for_after_the_next_start() {
    let mut scene = Scene::new(610);
    scene.ghost.appear_at(&mut scene.world, BOB);
    let message = scene.ghost.message(&mut scene.world, BOB, ALICE, Some("from my new phone"));
    scene.world.server.inject(scene.alice, &message);
    let bytes = scene.world.server.poll_output(scene.alice).unwrap();
    block_on(scene.world.engine(scene.alice).handle_bytes(&bytes)).unwrap();
    scene.world.kill(scene.alice); // the question has not left the machine
    scene.world.restart(scene.alice);
    assert_eq!(scene.texts(), ["from my new phone"]);
    assert_eq!(scene.held_notices(), [0; 0]);
}

#[test]
fn c21_marks_follow_the_key_on_ones_own_messages_too() {
    let mut scene = Scene::new(611);
    let verified = |scene: &mut Scene| scene.world.inbox(scene.alice, InboxSide::Contacts).pop().unwrap().verified;
    scene.world.say(scene.alice, "bob", "before");
    assert!(!verified(&mut scene));
    scene.compare();
    scene.world.say(scene.alice, "bob", "after");
    assert!(verified(&mut scene));
}
