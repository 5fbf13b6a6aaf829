//! Ratchet messages and key exchanges of both versions, as protobuf and inside (attack rows C02, C03, C06, C12).

use std::sync::OnceLock;

use crypto::omemo::{Bundle, Delivery, Device, Incoming, Legacy, Omemo2, Profile, SessionSet};

use super::{NOW, random};

const MATERIAL: [u8; 48] = [0x5a; 48];

/// A device, its sessions with a peer that has written once, and what the peer writes next.
struct Scene {
    device: Vec<u8>,
    sessions: Vec<u8>,
    /// The first message, a key exchange, for sessions that are still empty.
    exchange: Vec<u8>,
    /// The second message, without a key exchange.
    message: Vec<u8>,
}

fn scene<P: Profile>() -> Scene {
    let random = random();
    let (alice, mut bob) = (Device::generate(NOW, &random), Device::generate(NOW, &random));
    let (mut to_bob, mut to_alice) = (SessionSet::<P>::new(), SessionSet::<P>::new());
    let bundle = Bundle::parse(&bob.bundle::<P>()).expect("our own bundle");
    to_bob.start(&alice, &bundle, NOW, &random).expect("our own bundle");
    let untouched = bob.to_bytes().to_vec();
    let exchange = to_bob.encrypt(&alice, &MATERIAL, NOW).expect("a session").bytes;
    let incoming = Incoming { bytes: &exchange, key_exchange: true, delivery: Delivery::Live, now: NOW };
    to_alice.decrypt(&mut bob, &incoming, None, &random).expect("a genuine exchange");
    let answer = to_alice.encrypt(&bob, &MATERIAL, NOW).expect("a session");
    let mut alice = alice;
    let incoming = Incoming { bytes: &answer.bytes, key_exchange: false, delivery: Delivery::Live, now: NOW };
    to_bob.decrypt(&mut alice, &incoming, None, &random).expect("a genuine answer");
    let message = to_bob.encrypt(&alice, &MATERIAL, NOW).expect("a session");
    assert!(!message.key_exchange);
    Scene { device: untouched, sessions: to_alice.to_bytes().to_vec(), exchange, message: message.bytes }
}

fn scenes() -> &'static [Scene; 2] {
    static SCENES: OnceLock<[Scene; 2]> = OnceLock::new();
    SCENES.get_or_init(|| [scene::<Legacy>(), scene::<Omemo2>()])
}

/// Decrypts the bytes. The lowest bit of the first byte chooses the version, the next says whether the rest is a key
/// exchange.
///
/// # Panics
///
/// When a refused message has changed device or sessions, or an accepted one says what nobody wrote.
pub fn ratchet(data: &[u8]) {
    let Some((choice, message)) = data.split_first() else { return };
    let key_exchange = choice & 2 != 0;
    match choice & 1 {
        0 => decrypt::<Legacy>(&scenes()[0], message, key_exchange),
        _ => decrypt::<Omemo2>(&scenes()[1], message, key_exchange),
    }
}

fn decrypt<P: Profile>(scene: &Scene, message: &[u8], key_exchange: bool) {
    let mut device = Device::from_bytes(&scene.device).expect("our own bytes");
    let mut sessions = match key_exchange {
        true => SessionSet::<P>::new(),
        false => SessionSet::<P>::from_bytes(&scene.sessions).expect("our own bytes"),
    };
    let before = (device.to_bytes(), sessions.to_bytes());
    let incoming = Incoming { bytes: message, key_exchange, delivery: Delivery::Live, now: NOW };
    match sessions.decrypt(&mut device, &incoming, None, &random()) {
        // the framing around a MAC is not all covered by it, so other bytes may carry the same message; but only that
        Ok(opened) => assert_eq!(opened.key_material.as_slice(), MATERIAL, "a forged message"),
        Err(_) => {
            assert!(*device.to_bytes() == *before.0, "a refused message changed the device");
            assert!(*sessions.to_bytes() == *before.1, "a refused message changed the sessions");
        }
    }
    let _ = sessions.looks_repeated(message, key_exchange);
}

/// Genuine messages of both versions and kinds.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let [legacy, omemo2] = scenes();
    [(0, &legacy.message), (1, &omemo2.message), (2, &legacy.exchange), (3, &omemo2.exchange)]
        .map(|(choice, message)| [&[choice], message.as_slice()].concat())
        .to_vec()
}
