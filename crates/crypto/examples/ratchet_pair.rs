//! Two devices exchange messages: `cargo run -p waxwing-crypto --features e2e --example ratchet_pair`.

use waxwing_crypto::omemo::payload::{Content, omemo2};
use waxwing_crypto::omemo::{Bundle, Delivery, Device, Incoming, Omemo2, SessionSet};
use waxwing_crypto::random::SeededRandom;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let (random, now) = (SeededRandom::new(1), 1_800_000_000); // a program passes the system's
    let mut alice = (Device::generate(now, &random), SessionSet::<Omemo2>::new());
    let mut bob = (Device::generate(now, &random), SessionSet::<Omemo2>::new());

    // Alice has fetched Bob's bundle, and begins.
    let bundle = Bundle::parse(&bob.0.bundle::<Omemo2>())?;
    alice.1.start(&alice.0, &bundle, now, &random)?;

    for (text, from_alice) in [("Hello Bob", true), ("Hello Alice", false), ("How are you?", true)] {
        let (sender, receiver) = if from_alice { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };

        let sealed = omemo2::seal(text.as_bytes(), &random)?;
        let key = sender.1.encrypt(&sender.0, sealed.key_material.expose(), now)?;
        // Here the sender commits `sender.1.to_bytes()`, then sends `key` and `sealed.ciphertext`.

        let (bytes, key_exchange, delivery) = (&key.bytes[..], key.key_exchange, Delivery::Live);
        let incoming = Incoming { bytes, key_exchange, delivery, now };
        let opened = receiver.1.decrypt(&mut receiver.0, &incoming, None, &random)?;
        if let Content::Plaintext(said) = omemo2::open(&opened.key_material, Some(&sealed.ciphertext))? {
            println!("{} (new session: {})", String::from_utf8_lossy(&said), opened.new_session);
        }
    }
    Ok(())
}

#[test]
fn it_runs() -> Result<(), Failure> {
    main()
}
