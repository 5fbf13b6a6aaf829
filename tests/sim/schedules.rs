//! Random schedules: people talk while programs die, connections break, power fails in the middle of commits and disks
//! fill up. Then everything works again for a while, and it is counted what arrived.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::event::{Direction, MessageId, MessageState, Notice};
use client::{Command, Event};
use store::backend::memory::Fault;

use crate::dice::for_seeds;
use crate::record::ratchets::Ratchets;
use crate::world::link::Kind;
use crate::world::{NORTH, SOUTH, World};
use waxwing_tests::words::find;

const NAMES: [&str; 3] = ["alice", "carol", "bob"];

/// A schedule under way.
struct Schedule {
    world: World,
    said: BTreeMap<MessageId, Said>,
    count: u64,
    /// Whether disks may fail to take more, too.
    full_disks: bool,
}

struct Said {
    from: usize,
    to: usize,
    text: String,
}

impl Schedule {
    /// Alice and Carol on one broker, Bob on the other; all know each other.
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let alice = world.join("alice", NORTH);
        let carol = world.join("carol", NORTH);
        let bob = world.join("bob", SOUTH);
        world.befriend(carol, alice);
        world.befriend(bob, alice);
        world.befriend(bob, carol);
        for (from, to) in [(alice, "carol"), (alice, "bob"), (carol, "bob")] {
            world.say(from, to, "first word");
        }
        Self { world, said: BTreeMap::new(), count: 0, full_disks: false }
    }

    fn say(&mut self) {
        let from = self.world.dice.index(3);
        let to = (from + 1 + self.world.dice.index(2)) % 3;
        if self.world.people[from].engine.is_none() {
            return;
        }
        let text = format!("message number {:04}", self.count);
        self.count += 1;
        if let Some(id) = self.world.say_only(from, NAMES[to], &text) {
            self.said.insert(id, Said { from, to, text });
        }
    }

    fn trouble(&mut self) {
        let person = self.world.dice.index(3);
        let site = self.world.dice.index(2);
        match self.world.dice.below(if self.full_disks { 12 } else { 10 }) {
            0 => self.world.kill_person(person),
            1 => self.world.kill_site(site),
            2 => {
                let fault = self.power_cut();
                self.world.people[person].disk.inject(fault);
            }
            3 => {
                let fault = self.power_cut();
                self.world.sites[site].disk.inject(fault);
            }
            4 | 5 => self.on_link(person, World::cut),
            6 => self.on_link(person, World::fall_silent),
            7 => {
                let links = self.world.links_of(Kind::Server);
                if !links.is_empty() {
                    let link = links[self.world.dice.index(links.len())];
                    self.world.cut(link);
                }
            }
            8 | 9 => self.switch_on(),
            10 => self.world.people[person].disk.inject(Fault::DiskFull),
            _ => self.world.sites[site].disk.inject(Fault::ReadOnly),
        }
    }

    fn power_cut(&mut self) -> Fault {
        Fault::PowerCut { after_commits: self.world.dice.below(8), seed: self.world.dice.below(2) }
    }

    fn on_link(&mut self, person: usize, job: impl FnOnce(&mut World, crate::world::link::LinkId)) {
        if let Some(link) = self.world.link_of(person) {
            job(&mut self.world, link);
        }
    }

    /// Starts again whatever is off.
    fn switch_on(&mut self) {
        for site in [NORTH, SOUTH] {
            if self.world.sites[site].broker.is_none() {
                self.world.start_site(site);
            }
        }
        for person in 0..3 {
            if self.world.people[person].engine.is_none() {
                self.world.start_person(person);
            }
        }
    }

    fn run(&mut self, steps: u64) {
        for _ in 0..steps {
            match self.world.dice.below(10) {
                0..6 => self.say(),
                6 => self.trouble(),
                _ => {}
            }
            let pause = Duration::from_millis(self.world.dice.below(700));
            self.world.advance(pause);
        }
    }

    /// Everything works again, for long enough that every timer has rung.
    fn calm_down(&mut self) {
        for site in [NORTH, SOUTH] {
            self.world.sites[site].disk.inject(Fault::None);
        }
        for person in 0..3 {
            self.world.people[person].disk.inject(Fault::None);
        }
        self.switch_on();
        self.world.advance(Duration::from_secs(1800));
    }

    /// Whoever was told that a message did not go through tries again.
    fn retry(&mut self) {
        let mut retried = 0;
        for (id, said) in &self.said {
            if let MessageState::Undeliverable(_) = self.world.state(said.from, NAMES[said.to], id) {
                let command = Command::Retry { who: NAMES[said.to].to_owned(), message: id.clone() };
                self.world.command(said.from, command);
                retried += 1;
            }
        }
        if retried > 0 {
            self.world.advance(Duration::from_secs(300));
        }
    }

    /// Returns how many messages are lost, all of them excused.
    fn check(&mut self) -> usize {
        let mut lost = 0;
        let got: Vec<Vec<String>> = (0..3).map(|person| self.world.received(person)).collect();
        for texts in &got {
            let own = texts.iter().filter(|text| text.starts_with("message number"));
            let different: BTreeSet<_> = own.clone().collect();
            assert_eq!(own.count(), different.len(), "a message is shown twice: {texts:?}");
        }
        for (id, said) in &self.said {
            let arrived = got[said.to].contains(&said.text);
            let excused = self.full_disks && self.world.record.returned.contains(id.as_str());
            let state = self.world.state(said.from, NAMES[said.to], id);
            let who = (NAMES[said.from], NAMES[said.to]);
            let story = || self.world.record.story(id.as_str());
            assert!(arrived || excused, "lost: {} from {who:?}, {state:?}\n{}", said.text, story());
            lost += usize::from(!arrived);
            assert_eq!(state, MessageState::AtBroker, "stuck: {} from {who:?}\n{}", said.text, story());
        }
        self.check_events();
        let mut ratchets = Ratchets::default();
        ratchets.watch(self.world.record.said_by_people());
        assert!(ratchets.count() >= self.said.len(), "the ratchets were watched: {}", ratchets.count());
        for bytes in self.world.record.everything() {
            assert_eq!(find(&bytes, "message number"), None);
        }
        lost
    }

    /// Nobody in these schedules is malicious, so nothing may look as if.
    fn check_events(&self) {
        for person in &self.world.people {
            for event in &person.events {
                match event {
                    Event::Notice(Notice::OddTime { .. }) => {}
                    Event::Notice(notice) => panic!("an unexpected notice: {notice:?}"),
                    _ => {}
                }
            }
            let mut told = BTreeSet::new();
            for event in &person.events {
                if let Event::Message(message) = event
                    && message.direction == Direction::Incoming
                {
                    assert!(told.insert((message.contact.clone(), message.seq)), "a message is told twice");
                }
            }
        }
    }
}

/// C04, and the promise of acknowledgements: what the sender was told is at his broker arrives, once.
#[test]
fn c04_random_deaths_lose_nothing_that_was_acknowledged_and_show_nothing_twice() {
    for_seeds(8, |seed| {
        let mut schedule = Schedule::new(seed);
        schedule.run(120);
        schedule.calm_down();
        assert_eq!(schedule.check(), 0, "no message is excused here");
    });
}

/// A broker whose disk does not take a message says so, and it can be sent again.
#[test]
fn full_and_read_only_disks_lose_nothing_that_was_acknowledged() {
    for_seeds(4, |seed| {
        let mut schedule = Schedule::new(seed + 1000);
        schedule.full_disks = true;
        schedule.run(100);
        schedule.calm_down();
        schedule.retry();
        schedule.check();
    });
}

#[test]
fn a_seed_repeats_its_run() {
    let run = |seed| {
        let mut schedule = Schedule::new(seed);
        schedule.run(60);
        let record = &schedule.world.record;
        let bytes: Vec<_> = record.crossings.iter().map(|c| (c.from, c.to, c.bytes.clone())).collect();
        (schedule.world.now(), bytes)
    };
    let (first, again, other) = (run(5), run(5), run(6));
    assert!(first == again, "two runs of one seed differ");
    assert!(first != other);
}
