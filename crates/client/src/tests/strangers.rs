//! C26: strangers without end cost bounded state.

use std::time::Duration;

use store::block_on;

use crate::command::{Command, InboxSide};
use crate::event::{Event, Relation};
use crate::testing::{Ghost, World};

const ALICE: &str = "alice@north.example";
/// So many here; by hand it has been ten thousand.
const MANY: u32 = 800;
/// After this, what strangers have used up is published anew.
const AN_HOUR: Duration = Duration::from_secs(61 * 60);

struct Scene {
    world: World,
    alice: usize,
    ghost: Ghost,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let alice = world.join("alice", "north.example");
        let ghost = Ghost::new(&world, seed);
        Self { world, alice, ghost }
    }

    /// A key exchange of a stranger, with words or without, handed to alice's engine.
    fn stranger(&mut self, from: &str, text: Option<&str>) {
        self.ghost.begin_again();
        self.goes_on(from, text);
    }

    /// A further message on the session that the stranger has.
    fn goes_on(&mut self, from: &str, text: Option<&str>) {
        let message = self.ghost.message(&mut self.world, from, ALICE, text);
        block_on(self.world.engine(self.alice).handle_message(message)).unwrap();
    }

    fn an_hour_passes(&mut self) {
        self.world.advance(AN_HOUR);
        self.ghost.fetch_again();
    }

    /// How many rows alice's disk holds, and how many bytes.
    fn disk(&self) -> (usize, usize) {
        let rows = self.world.people[self.alice].backend.raw_rows();
        (rows.len(), rows.iter().map(|row| row.key.len() + row.value.len()).sum())
    }

    fn requests(&mut self) -> usize {
        match self.world.command_only(self.alice, Command::Requests) {
            Ok(crate::Reply::Contacts(requests)) => requests.len(),
            other => panic!("{other:?}"),
        }
    }

    fn prekeys_left(&mut self) -> usize {
        self.world.engine(self.alice).device.as_ref().unwrap().prekey_count()
    }
}

#[test]
fn c26_strangers_without_words_leave_nothing_and_spend_no_prekey() {
    let mut scene = Scene::new(800);
    let (disk, prekeys, commits) =
        (scene.disk(), scene.prekeys_left(), scene.world.people[scene.alice].backend.commit_count());
    for n in 0..MANY {
        scene.stranger(&format!("nobody{n}@d{}.example", n % 300), None);
    }
    assert_eq!((scene.disk(), scene.prekeys_left(), scene.requests()), (disk, prekeys, 0));
    assert_eq!(scene.world.people[scene.alice].backend.commit_count(), commits);
    scene.stranger("somebody@d1.example", Some("and here are words"));
    assert_eq!(scene.world.texts(scene.alice, InboxSide::Requests), ["and here are words"]);
}

#[test]
fn c26_requests_without_end_are_a_hundred() {
    let mut scene = Scene::new(801);
    let words = "buy this ".repeat(20);
    let mut full = (0, 0);
    for n in 0..MANY {
        if n % 200 == 199 {
            scene.an_hour_passes();
        }
        scene.stranger(&format!("s{n}@d{}.example", n % 40), Some(&words));
        if n == 400 {
            assert_eq!(scene.requests(), 100);
            full = scene.disk();
        }
    }
    assert_eq!(scene.requests(), 100);
    let (rows, bytes) = scene.disk();
    assert!(rows <= full.0 + 20, "{rows} rows, {} when it was full", full.0);
    assert!(bytes <= full.1 + full.1 / 4, "{bytes} bytes, {} when it was full", full.1);
    for n in 0..30 {
        scene.stranger(&format!("t{n}@one.example"), Some(&words));
    }
    let Ok(crate::Reply::Contacts(requests)) = scene.world.command_only(scene.alice, Command::Requests) else {
        panic!()
    };
    let of_one = requests.iter().filter(|contact| contact.address.domainpart() == "one.example").count();
    assert!(of_one <= 4, "the others have two or three each, and none is pushed out by one domain: {of_one}");
    assert!(requests.iter().any(|contact| contact.address.as_str() == "t29@one.example"), "the newest is there");
}

#[test]
fn c26_each_leaves_twenty_messages_and_64_kib() {
    for (text, kept) in [("short".to_owned(), 20), ("x".repeat(20_000), 3)] {
        let mut scene = Scene::new(802);
        scene.stranger("talker@d.example", Some(&text));
        for _ in 0..40 {
            scene.goes_on("talker@d.example", Some(&text));
        }
        assert_eq!(scene.world.texts(scene.alice, InboxSide::Requests).len(), kept);
        assert!(scene.world.contact(scene.alice, "talker@d.example").unwrap().more_not_kept);
        let before = scene.disk();
        for _ in 0..10 {
            scene.stranger("talker@d.example", Some(&text));
        }
        assert_eq!(scene.disk(), before);
    }
}

#[test]
fn c26_a_stranger_cannot_make_a_session_keep_more_than_a_hundred_skipped_keys() {
    let mut scene = Scene::new(803);
    scene.stranger("jumper@d.example", Some("first"));
    for _ in 0..99 {
        scene.ghost.message(&mut scene.world, "jumper@d.example", ALICE, Some("never sent"));
    }
    scene.goes_on("jumper@d.example", Some("after a small jump"));
    for _ in 0..50 {
        scene.ghost.message(&mut scene.world, "jumper@d.example", ALICE, Some("never sent"));
    }
    scene.goes_on("jumper@d.example", Some("after too many"));
    assert_eq!(scene.world.texts(scene.alice, InboxSide::Requests), ["first", "after a small jump"]);
}

#[test]
fn c26_who_shows_a_valid_invitation_passes() {
    let mut scene = Scene::new(804);
    for n in 0..100 {
        scene.stranger(&format!("s{n}@d{}.example", n % 10), Some("hello"));
    }
    let bob = scene.world.join("bob", "d1.example");
    scene.world.settle();
    let link = scene.world.invite_of(scene.alice);
    scene.world.command(bob, Command::Add { link, name: None }).unwrap();
    assert_eq!(scene.world.contact(scene.alice, "bob@d1.example").unwrap().relation, Relation::Accepted);
    assert_eq!(scene.requests(), 100, "and pushes nobody out");
    scene.world.say(bob, "alice", "thank you");
    assert_eq!(scene.world.received(scene.alice), ["thank you"]);
}

#[test]
fn c26_requests_to_see_presence_count_as_well() {
    let mut scene = Scene::new(805);
    for n in 0..300 {
        let presence = xmpp::xml::Element::new("presence", xmpp::ns::CLIENT)
            .with_attr("from", format!("s{n}@d{}.example", n % 3))
            .with_attr("type", "subscribe");
        scene.world.server.inject(scene.alice, &presence);
        scene.world.settle();
    }
    assert_eq!(scene.requests(), 30);
}

#[test]
fn c26_what_a_stranger_wrote_keeps_its_place_when_they_are_accepted() {
    let mut scene = Scene::new(806);
    let carol = scene.world.join("carol", "south.example");
    for text in ["one", "two", "three"] {
        scene.world.say(carol, ALICE, text);
    }
    scene.world.command(scene.alice, Command::Accept { who: "carol@south.example".into() }).unwrap();
    scene.world.say(scene.alice, "carol", "hello");
    scene.world.say(carol, "alice", "four");
    assert_eq!(scene.world.received(scene.alice), ["one", "two", "three", "four"]);
    let told = |event: &Event| matches!(event, Event::Request(_));
    assert_eq!(scene.world.people[scene.alice].events.iter().filter(|event| told(event)).count(), 1);
}
