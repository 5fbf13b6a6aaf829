//! The machines and what connects them.
//!
//! | | |
//! |---|---|
//! | [`site`], [`person`] | a machine with a broker, a machine with an engine, and their disks |
//! | [`link`] | a connection and its two pipes |
//! | `motion` | what happens next, and when |
//! | `trouble` | deaths, cuts, partitions |
//! | `talk` | what people do and see |

mod clock;
pub(crate) mod link;
mod motion;
mod person;
pub(crate) mod site;
mod talk;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use crypto::seal::KeyFile;
use store::backend::memory::MemoryBackend;
use xmpp::time::{Clock, Timestamp};

use crate::dice::Dice;
use crate::record::Record;
use clock::VirtualClock;
use link::{Kind, Link, LinkId};
use person::Person;
use site::Site;

pub(crate) const NORTH: usize = 0;
pub(crate) const SOUTH: usize = 1;

/// A machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    Person(usize),
    Site(usize),
}

/// Bytes on their way, as they are inside TLS.
#[derive(Clone)]
pub(crate) struct Crossing {
    pub(crate) at: Timestamp,
    pub(crate) kind: Kind,
    pub(crate) from: Party,
    pub(crate) to: Party,
    pub(crate) bytes: Bytes,
}

/// Somebody in the middle: says what arrives in place of what was sent.
pub(crate) type Tamper = Box<dyn FnMut(&Crossing) -> Bytes>;

/// How connections begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    /// As the dice say.
    Any,
    /// TLS from the first byte.
    Direct,
    /// In clear, and then STARTTLS.
    Upgraded,
}

/// A disk that another program wrote, and its key file.
pub(crate) struct Disk {
    pub(crate) rows: MemoryBackend,
    pub(crate) key_file: KeyFile,
}

/// Two brokers, people, a network.
pub(crate) struct World {
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) dice: Dice,
    pub(crate) sites: Vec<Site>,
    pub(crate) people: Vec<Person>,
    links: BTreeMap<LinkId, Link>,
    next_link: u64,
    pub(crate) record: Record,
    pub(crate) tamper: Option<Tamper>,
    /// How often something else arrived than was sent.
    pub(crate) tampered_count: u64,
    pub(crate) tls: Tls,
    /// Somebody terminates TLS between people and brokers, with a certificate that everybody believes.
    pub(crate) interceptor: bool,
    /// Pairs that cannot reach each other.
    parted: BTreeSet<(Party, Party)>,
    seed: u64,
}

impl World {
    /// Starts the brokers of `north.example` and `south.example`, which know each other by peer links.
    pub(crate) fn new(seed: u64) -> Self {
        let domains = ["north.example", "south.example"];
        let mut world = Self::empty(seed, VirtualClock::new());
        for (number, domain) in domains.iter().enumerate() {
            let others: Vec<&str> = domains.iter().copied().filter(|other| other != domain).collect();
            world.sites.push(Site::new(domain, &others, seed.wrapping_mul(1000).wrapping_add(number as u64)));
            world.start_site(number);
        }
        world
    }

    /// Starts one broker, on a disk that another program wrote, at a time of ours.
    pub(crate) fn on_disk(seed: u64, domain: &str, now: Timestamp, disk: Disk) -> Self {
        let mut world = Self::empty(seed, VirtualClock::at(now));
        world.sites.push(Site::with_disk(domain, &[], seed.wrapping_mul(1000), disk));
        world.start_site(0);
        world
    }

    fn empty(seed: u64, clock: VirtualClock) -> Self {
        Self {
            clock: Arc::new(clock),
            dice: Dice::new(seed),
            sites: Vec::new(),
            people: Vec::new(),
            links: BTreeMap::new(),
            next_link: 0,
            record: Record::default(),
            tamper: None,
            tampered_count: 0,
            tls: Tls::Any,
            interceptor: false,
            parted: BTreeSet::new(),
            seed,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn machine_clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as _
    }

    fn site_by_domain(&self, domain: &str) -> Option<usize> {
        self.sites.iter().position(|site| site.domain == domain)
    }

    /// Switches a broker on.
    pub(crate) fn start_site(&mut self, site: usize) {
        let clock = self.machine_clock();
        self.sites[site].start(clock);
    }

    /// Adds somebody with an empty machine, who has started the program.
    pub(crate) fn person(&mut self) -> usize {
        let number = self.people.len();
        let seed = self.seed.wrapping_mul(1000).wrapping_add(100 + number as u64);
        let mut person = Person::new(seed);
        person.start(self.machine_clock()).expect("an empty disk is no obstacle");
        self.people.push(person);
        number
    }

    /// Adds somebody whose disk another program wrote, and starts the program.
    pub(crate) fn person_on_disk(&mut self, disk: Disk) -> usize {
        let number = self.people.len();
        let seed = self.seed.wrapping_mul(1000).wrapping_add(100 + number as u64);
        self.people.push(Person::with_disk(seed, disk));
        self.start_person(number);
        number
    }

    fn is_parted(&self, a: Party, b: Party) -> bool {
        self.parted.contains(&(a.min(b), a.max(b)))
    }
}
