//! Random schedules: whatever the network does, every message that arrives is read exactly once.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// One thing that happens. Numbers pick among what is possible at that moment.
#[derive(Debug, Clone)]
enum Event {
    Send {
        by_alice: bool,
    },
    /// A message in flight arrives, in any order.
    Deliver(prop::sample::Index),
    /// One that has arrived arrives again.
    Repeat(prop::sample::Index),
    Lose(prop::sample::Index),
    /// A message with one bit altered arrives.
    Corrupt(prop::sample::Index, prop::sample::Index),
    /// A party goes back to what it has stored.
    Restart {
        alice: bool,
    },
    /// A party begins a new session though it has one.
    Renew {
        alice: bool,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => any::<bool>().prop_map(|by_alice| Event::Send { by_alice }),
        6 => any::<prop::sample::Index>().prop_map(Event::Deliver),
        1 => any::<prop::sample::Index>().prop_map(Event::Repeat),
        1 => any::<prop::sample::Index>().prop_map(Event::Lose),
        1 => (any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(m, b)| Event::Corrupt(m, b)),
        1 => any::<bool>().prop_map(|alice| Event::Restart { alice }),
    ]
}

/// A message on its way, or one that has arrived.
#[derive(Clone)]
struct Message {
    to_alice: bool,
    text: Vec<u8>,
    encrypted: Encrypted,
}

/// How many prekeys the bundles hold that somebody has fetched before anything else happened.
const OLD_PREKEYS: usize = 2;

struct World<P> {
    random: SeededRandom,
    alice: Party<P>,
    bob: Party<P>,
    in_flight: Vec<Message>,
    arrived: Vec<Message>,
    sent_count: u32,
    /// What was fetched of alice and of bob before anything else happened: whoever uses these picks the same prekeys again.
    old_bundles: [PublishedBundle; 2],
}

impl<P: Profile> World<P> {
    fn new(seed: u64) -> Self {
        let random = SeededRandom::new(seed);
        let (alice, bob) = (Party::new(&random), Party::new(&random));
        let old_bundles = [&alice, &bob].map(|party| {
            let mut bundle = party.device.bundle::<P>();
            bundle.prekeys.truncate(OLD_PREKEYS);
            bundle
        });
        Self { random, alice, bob, in_flight: Vec::new(), arrived: Vec::new(), sent_count: 0, old_bundles }
    }

    fn party(&mut self, alice: bool) -> &mut Party<P> {
        if alice { &mut self.alice } else { &mut self.bob }
    }

    fn start(&mut self, alice: bool) {
        let (party, peer) = if alice { (&mut self.alice, &self.bob) } else { (&mut self.bob, &self.alice) };
        party.start(peer, &self.random);
    }

    /// As [`World::start`], with a bundle that was fetched long ago.
    fn start_with_old_bundle(&mut self, alice: bool) {
        let bundle = Bundle::parse(&self.old_bundles[usize::from(alice)]).unwrap();
        let (party, random) = if alice { (&mut self.alice, &self.random) } else { (&mut self.bob, &self.random) };
        party.sessions.start(&party.device, &bundle, NOW, random).unwrap();
    }

    fn send(&mut self, by_alice: bool) {
        if !self.party(by_alice).sessions.is_ready(NOW) {
            self.start(by_alice);
        }
        let text = self.sent_count.to_le_bytes().to_vec();
        self.sent_count += 1;
        let encrypted = self.party(by_alice).send(&text);
        self.in_flight.push(Message { to_alice: !by_alice, text, encrypted });
    }

    fn deliver(&mut self, index: usize) {
        let message = self.in_flight.remove(index);
        let receiver = if message.to_alice { &mut self.alice } else { &mut self.bob };
        let opened = receiver.receive(&message.encrypted, &self.random).expect("what arrives first is read");
        assert_eq!(*opened.key_material, message.text);
        self.arrived.push(message);
    }

    fn refuse(&mut self, to_alice: bool, encrypted: &Encrypted) {
        let receiver = if to_alice { &mut self.alice } else { &mut self.bob };
        let before = receiver.snapshot();
        let refused = receiver.receive(encrypted, &self.random);
        assert_eq!(refused.unwrap_err(), DecryptError::Undecryptable);
        assert_eq!(receiver.snapshot(), before, "a failure changes nothing");
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Send { by_alice } => self.send(*by_alice),
            Event::Deliver(index) if !self.in_flight.is_empty() => self.deliver(index.index(self.in_flight.len())),
            Event::Lose(index) if !self.in_flight.is_empty() => {
                self.in_flight.remove(index.index(self.in_flight.len()));
            }
            Event::Repeat(index) if !self.arrived.is_empty() => {
                let message = self.arrived[index.index(self.arrived.len())].clone();
                self.refuse(message.to_alice, &message.encrypted);
            }
            Event::Corrupt(index, bit) if !self.in_flight.is_empty() => {
                let mut message = self.in_flight[index.index(self.in_flight.len())].clone();
                // The last byte is always authenticated: part of a MAC, or of a ciphertext under one.
                let last = message.encrypted.bytes.last_mut().unwrap();
                *last ^= 1 << bit.index(8);
                if !(P::ID == ProfileId::Legacy && message.encrypted.key_exchange) {
                    self.refuse(message.to_alice, &message.encrypted);
                }
            }
            Event::Restart { alice } => self.party(*alice).restart(),
            Event::Renew { alice } => self.start(*alice),
            Event::Deliver(_) | Event::Lose(_) | Event::Repeat(_) | Event::Corrupt(..) => {}
        }
        let limits = |party: &Party<P>| {
            party.sessions.current.iter().chain(&party.sessions.archived).all(|session| {
                session.ratchet.skipped.len() <= MAX_SKIPPED && session.ratchet.receiving.len() <= MAX_RECEIVING_CHAINS
            }) && party.sessions.archived.len() <= MAX_ARCHIVED
        };
        assert!(limits(&self.alice) && limits(&self.bob));
    }

    /// Everything in flight arrives, then each answers the other once.
    fn settle(&mut self) {
        while !self.in_flight.is_empty() {
            self.deliver(0);
        }
        for by_alice in [true, false, true] {
            self.send(by_alice);
            self.deliver(0);
        }
    }

    fn same_session(&self) -> bool {
        let current = |party: &Party<P>| party.sessions.current.as_ref().map(|session| session.exchange.ephemeral);
        current(&self.alice).is_some() && current(&self.alice) == current(&self.bob)
    }
}

fn exactly_once<P: Profile>(seed: u64, events: &[Event]) {
    let mut world = World::<P>::new(seed);
    events.iter().for_each(|event| world.happen(event));
    world.settle();
    for message in world.arrived.clone() {
        world.refuse(message.to_alice, &message.encrypted);
    }
    assert!(world.same_session());
}

/// How a party begins again.
#[derive(Debug, Clone, Copy)]
struct Renewal {
    alice: bool,
    /// With a bundle fetched before, so that it may well pick a prekey that has been used.
    old_bundle: bool,
}

/// Both begin before either has heard of the other, and they may begin again.
fn converge<P: Profile>(seed: u64, renewals: &[Renewal], order: &[prop::sample::Index]) {
    let mut world = World::<P>::new(seed);
    world.send(true);
    world.send(false);
    for renewal in renewals {
        match renewal.old_bundle {
            true => world.start_with_old_bundle(renewal.alice),
            false => world.happen(&Event::Renew { alice: renewal.alice }),
        }
        world.send(renewal.alice);
    }
    order.iter().for_each(|index| world.happen(&Event::Deliver(*index)));
    world.settle();
    assert!(world.same_session());
    let acknowledged = |party: &Party<P>| !party.sessions.is_unacknowledged();
    assert!(acknowledged(&world.alice) && acknowledged(&world.bob));
}

fn renewal() -> impl Strategy<Value = Renewal> {
    any::<(bool, bool)>().prop_map(|(alice, old_bundle)| Renewal { alice, old_bundle })
}

/// Begins again with the very prekey of the first time: one renewal in a hundred.
#[test]
fn who_begins_again_may_pick_the_same_prekey() {
    let renewals = [Renewal { alice: true, old_bundle: false }];
    converge::<Legacy>(4_535_840_245_465_017_054, &renewals, &[]);
    converge::<Omemo2>(4_535_840_245_465_017_054, &renewals, &[]);
}

/// A few by habit; as many as `PROPTEST_CASES` says, which is read by proptest itself, in the long run by hand.
fn cases() -> u32 {
    const UNLESS_SET: u32 = 256;
    match ProptestConfig::default().cases {
        UNLESS_SET => 40,
        asked => asked,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_schedule_reads_each_message_exactly_once(seed in any::<u64>(), events in vec(event(), 1..60)) {
        exactly_once::<Legacy>(seed, &events);
        exactly_once::<Omemo2>(seed, &events);
    }

    #[test]
    fn crossed_initiations_converge(
        seed in any::<u64>(),
        renewals in vec(renewal(), 0..4),
        order in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        converge::<Legacy>(seed, &renewals, &order);
        converge::<Omemo2>(seed, &renewals, &order);
    }

    #[test]
    fn noise_is_never_a_message(noise in vec(any::<u8>(), 0..300), key_exchange in any::<bool>()) {
        fn under<P: Profile>(noise: &[u8], key_exchange: bool) {
            let random = SeededRandom::new(1);
            let (_, mut bob) = acquainted::<P>(&random);
            let before = bob.snapshot();
            let refused = bob.receive(&Encrypted { bytes: noise.to_vec(), key_exchange }, &random);
            assert_eq!(refused.unwrap_err(), DecryptError::Undecryptable);
            assert_eq!(bob.snapshot(), before);
        }
        under::<Legacy>(&noise, key_exchange);
        under::<Omemo2>(&noise, key_exchange);
    }
}
