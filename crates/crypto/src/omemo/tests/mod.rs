//! Tests of the whole: against vectors of independent implementations, against attacks, and over random schedules.

mod attacks;
mod devices;
mod properties;
mod vectors;
mod wycheproof;

use super::*;
use crate::random::SeededRandom;

/// Some time in 2027, in Unix seconds.
pub(super) const NOW: u64 = 1_800_000_000;
pub(super) const DAY: u64 = DAY_SECONDS;

/// A device and its sessions with the other party.
pub(super) struct Party<P> {
    pub(super) device: Device,
    pub(super) sessions: SessionSet<P>,
}

impl<P: Profile> Party<P> {
    pub(super) fn new(random: &SeededRandom) -> Self {
        Self { device: Device::generate(NOW, random), sessions: SessionSet::new() }
    }

    pub(super) fn bundle(&self) -> Bundle<P> {
        Bundle::parse(&self.device.bundle::<P>()).unwrap()
    }

    pub(super) fn start(&mut self, peer: &Self, random: &SeededRandom) {
        self.sessions.start(&self.device, &peer.bundle(), NOW, random).unwrap();
    }

    pub(super) fn send(&mut self, text: &[u8]) -> Encrypted {
        self.sessions.encrypt(&self.device, text, NOW).unwrap()
    }

    pub(super) fn receive(&mut self, message: &Encrypted, random: &SeededRandom) -> Result<Opened, DecryptError> {
        self.receive_by(message, Delivery::Live, random)
    }

    pub(super) fn receive_by(
        &mut self,
        message: &Encrypted,
        delivery: Delivery,
        random: &SeededRandom,
    ) -> Result<Opened, DecryptError> {
        let incoming = Incoming { bytes: &message.bytes, key_exchange: message.key_exchange, delivery, now: NOW };
        self.sessions.decrypt(&mut self.device, &incoming, None, random)
    }

    /// Everything the party would store.
    pub(super) fn snapshot(&self) -> (Vec<u8>, Vec<u8>) {
        (self.device.to_bytes().to_vec(), self.sessions.to_bytes().to_vec())
    }

    /// What is left after a restart.
    pub(super) fn restart(&mut self) {
        let (device, sessions) = self.snapshot();
        self.device = Device::from_bytes(&device).unwrap();
        self.sessions = SessionSet::from_bytes(&sessions).unwrap();
        assert_eq!(self.snapshot(), (device, sessions));
    }
}

/// Two devices that have exchanged a message each.
pub(super) fn acquainted<P: Profile>(random: &SeededRandom) -> (Party<P>, Party<P>) {
    let (mut alice, mut bob) = (Party::new(random), Party::new(random));
    alice.start(&bob, random);
    let first = alice.send(b"first");
    bob.receive(&first, random).unwrap();
    let answer = bob.send(b"answer");
    alice.receive(&answer, random).unwrap();
    (alice, bob)
}

/// Runs a generic test under both profiles.
macro_rules! both_profiles {
    ($($(#[$attribute:meta])* fn $name:ident<P: Profile>() $body:block)*) => { $(
        #[test]
        $(#[$attribute])*
        fn $name() {
            fn under<P: Profile>() $body
            under::<Legacy>();
            under::<Omemo2>();
        }
    )* };
}
pub(super) use both_profiles;
