//! Against the vectors of `tests/vectors` (see `generate.py` there) and those of the design.
//!
//! The conversations are replayed as each of the two parties, with that party's private keys: what the oracle's other party
//! sent must decrypt, and what we send must be the oracle's bytes.

use std::collections::VecDeque;
use std::sync::Mutex;

use serde_json::Value;

use super::super::device::{MadePrekeys, OneTimePrekey, SignedPrekey};
use super::super::keys::{DhPair, IdentityKeyPair};
use super::super::payload::Content;
use super::super::profile::{Header, Rules};
use super::super::{kdf, ratchet, x3dh};
use super::*;
use crate::{Random, Secret};

const XEDDSA: &str = include_str!("../../../../../tests/vectors/xeddsa.json");
const LEGACY: &str = include_str!("../../../../../tests/vectors/legacy.json");
const OMEMO2: &str = include_str!("../../../../../tests/vectors/omemo2.json");

fn list(json: &str) -> Vec<Value> {
    serde_json::from_str(json).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn number(value: &Value) -> u32 {
    value.as_u64().unwrap().try_into().unwrap()
}

fn pair(value: &Value) -> DhPair {
    DhPair::from_secret(Secret::new(array(value)))
}

/// Hands out recorded private keys, in order. Eight bytes are asked for to choose among prekeys, of which there is one.
struct Recorded(Mutex<VecDeque<Vec<u8>>>);

impl Random for Recorded {
    fn fill(&self, buf: &mut [u8]) {
        if buf.len() == 8 {
            return buf.fill(0);
        }
        let next = self.0.lock().unwrap().pop_front().expect("no more randomness was used than recorded");
        buf.copy_from_slice(&next);
    }
}

#[test]
fn c10_xeddsa_of_both_signs_and_plain_ed25519() {
    let vectors = list(XEDDSA);
    let signs: Vec<_> = vectors.iter().map(|vector| number(&vector["sign"])).collect();
    assert!(signs.contains(&0) && signs.contains(&1));
    for vector in &vectors {
        let identity = IdentityKeyPair::from_seed(Secret::new(array(&vector["seed"])));
        let message = bytes(&vector["message"]);
        let signature: [u8; 64] = array(&vector["signature"]);
        let public = IdentityKey::from_montgomery(&array(&vector["montgomery"])).unwrap();
        assert_eq!(identity.public().montgomery(), public.montgomery());
        assert_eq!(identity.public().ed25519(), Some(&array(&vector["ed25519"])));
        assert_eq!(public.with_sign(vector["sign"] == 1).ed25519(), Some(&array(&vector["ed25519"])));

        // Signing is randomised and the nonce's derivation is the signer's own affair; verification is what must agree.
        assert!(xeddsa::verify(&public, &message, &signature));
        assert_eq!(u32::from(xeddsa::sign_bit(&signature)), number(&vector["sign"]));
        let private = Secret::new(array(&vector["private"]));
        let ours = xeddsa::sign(&private, &message, &Secret::new(array(&vector["nonce"])));
        assert!(xeddsa::verify(&public, &message, &ours));
        assert_eq!(xeddsa::sign_bit(&ours), xeddsa::sign_bit(&signature));

        assert_eq!(identity.sign(&message), array(&vector["ed25519_signature"]));
        assert!(identity.public().verify(&message, &array(&vector["ed25519_signature"])));
    }
}

#[test]
fn x3dh_legacy() {
    x3dh_of::<Legacy>(LEGACY);
}

#[test]
fn x3dh_omemo2() {
    x3dh_of::<Omemo2>(OMEMO2);
}

fn x3dh_of<P: Profile>(json: &str) {
    for vector in list(json) {
        let (alice, bob) = (&vector["alice"], &vector["bob"]);
        let identity = |party: &Value| IdentityKeyPair::from_seed(Secret::new(array(&party["seed"])));
        let (ephemeral, signed) = (pair(&alice["ephemeral"]), pair(&bob["signed_prekey"]["secret"]));
        let prekey = pair(&bob["prekey"]["secret"]);
        let (a, b) = (identity(alice), identity(bob));
        let sent = x3dh::initiate::<P>(&a, &ephemeral, b.public(), &signed.public(), &prekey.public()).unwrap();
        let received = x3dh::respond::<P>(&b, &signed, &prekey, a.public(), &ephemeral.public()).unwrap();
        assert_eq!(sent.expose(), &array(&vector["x3dh_secret"]));
        assert!(sent == received);
    }
}

#[test]
fn c11_legacy_conversations_as_either_party() {
    conversations::<Legacy>(LEGACY);
}

#[test]
fn c11_omemo2_conversations_as_either_party() {
    conversations::<Omemo2>(OMEMO2);
}

fn conversations<P: Profile>(json: &str) {
    let vectors = list(json);
    assert_eq!(vectors.len(), 6);
    for vector in &vectors {
        play::<P>(vector, "a");
        play::<P>(vector, "b");
    }
}

/// The oracle's device, with the private keys it used.
fn device(party: &Value) -> Device {
    let signed = &party["signed_prekey"];
    Device {
        id: number(&party["device_id"]),
        identity: IdentityKeyPair::from_seed(Secret::new(array(&party["seed"]))),
        signed_prekeys: vec![SignedPrekey {
            id: number(&signed["id"]),
            pair: pair(&signed["secret"]),
            legacy_signature: array(&party["bundle"]["signature"]),
            omemo2_signature: array(&party["bundle"]["signature"]),
            created_at: NOW,
            retired_at: None,
        }],
        prekeys: vec![OneTimePrekey {
            id: number(&party["prekey"]["id"]),
            pair: pair(&party["prekey"]["secret"]),
            used_by: Vec::new(),
            withdrawn_at: None,
        }],
        next_prekey_id: 2,
        made: MadePrekeys { complete: false, hashes: Vec::new() },
    }
}

fn published(party: &Value) -> PublishedBundle {
    let bundle = &party["bundle"];
    PublishedBundle {
        identity_key: bytes(&bundle["identity_key"]),
        signed_prekey: PublishedPrekey {
            id: number(&party["signed_prekey"]["id"]),
            key: bytes(&bundle["signed_prekey"]),
        },
        signature: bytes(&bundle["signature"]),
        prekeys: vec![PublishedPrekey { id: number(&party["prekey"]["id"]), key: bytes(&bundle["prekey"]) }],
    }
}

fn play<P: Profile>(vector: &Value, us: &str) {
    let title = format!("{}, as {us}", vector["title"]);
    let (own, peer) = match us {
        "a" => (&vector["alice"], &vector["bob"]),
        _ => (&vector["bob"], &vector["alice"]),
    };
    let keys = own.get("ephemeral").into_iter().chain(own["ratchets"].as_array().unwrap());
    let random = Recorded(Mutex::new(keys.map(bytes).collect()));
    let mut device = device(own);
    assert_eq!(device.bundle::<P>(), published(own), "{title}: our bundle");
    let bundle = Bundle::<P>::parse(&published(peer)).unwrap();
    let mut sessions = SessionSet::<P>::new();
    if us == "a" {
        sessions.start(&device, &bundle, NOW, &random).unwrap();
    }

    let steps = vector["steps"].as_array().unwrap();
    let sends: Vec<_> = steps.iter().filter(|step| step.get("send").is_some()).collect();
    for step in steps {
        if step.get("send").is_some_and(|who| who == us) {
            let encrypted = sessions.encrypt(&device, &bytes(&step["key_material"]), NOW).unwrap();
            assert_eq!(encrypted.key_exchange, step["key_exchange"] == true, "{title}");
            assert_same_wire::<P>(&encrypted, &bytes(&step["wire"]), &title);
        } else if let Some(index) = step.get("deliver").and_then(Value::as_u64) {
            let send = sends[index as usize];
            if send["send"] != us {
                let wire = bytes(&send["wire"]);
                let incoming = Incoming {
                    bytes: &wire,
                    key_exchange: send["key_exchange"] == true,
                    delivery: Delivery::Live,
                    now: NOW,
                };
                let opened = sessions.decrypt(&mut device, &incoming, Some(bundle.identity()), &random).unwrap();
                assert_eq!(*opened.key_material, bytes(&send["key_material"]), "{title}");
                assert_content::<P>(send, &opened.key_material);
                // C02: once is enough.
                let before = sessions.to_bytes();
                let again = sessions.decrypt(&mut device, &incoming, Some(bundle.identity()), &random);
                assert_eq!(again.unwrap_err(), DecryptError::Undecryptable, "{title}");
                assert_eq!(sessions.to_bytes(), before, "{title}");
                assert!(sessions.looks_repeated(&wire, incoming.key_exchange), "{title}");
            }
        }
        sessions = SessionSet::from_bytes(&sessions.to_bytes()).unwrap();
    }
    assert!(random.0.lock().unwrap().is_empty(), "{title}: all recorded keys were used");
}

/// Our bytes are the oracle's. A legacy key exchange of ours also names the device (libsignal's registration id), which the
/// oracle leaves out, so there the parts are compared.
fn assert_same_wire<P: Profile>(ours: &Encrypted, oracle: &[u8], title: &str) {
    if P::ID == ProfileId::Legacy && ours.key_exchange {
        let (our_exchange, our_message) = P::parse_exchange(&ours.bytes).unwrap();
        let (exchange, message) = P::parse_exchange(oracle).unwrap();
        assert_eq!(our_message, message, "{title}");
        assert_eq!(our_exchange.identity, exchange.identity, "{title}");
        assert_eq!(our_exchange.ephemeral, exchange.ephemeral, "{title}");
        assert_eq!(our_exchange.prekey_id, exchange.prekey_id, "{title}");
        assert_eq!(our_exchange.signed_prekey_id, exchange.signed_prekey_id, "{title}");
    } else {
        assert_eq!(hex::encode(&ours.bytes), hex::encode(oracle), "{title}");
    }
}

fn assert_content<P: Profile>(send: &Value, key_material: &[u8]) {
    let ciphertext = bytes(&send["ciphertext"]);
    let opened = match P::ID {
        ProfileId::Legacy => payload::legacy::open(key_material, &bytes(&send["iv"]), Some(&ciphertext)),
        ProfileId::Omemo2 => payload::omemo2::open(key_material, Some(&ciphertext)),
    };
    match opened {
        Ok(Content::Plaintext(text)) => assert_eq!(Some(text.as_slice()), send["text"].as_str().map(str::as_bytes)),
        other => panic!("{other:?}"),
    }
}

/// Omemo2 `ENCRYPT` of security-design §7: fixed bytes by hand.
#[test]
fn omemo2_encrypt_vector() {
    let counting: [u8; 32] = std::array::from_fn(|i| i as u8);
    let associated_data: Vec<u8> = (0..64).collect();
    let header = Header { ratchet: RatchetKey::from_bytes(&counting).unwrap(), counter: 7, previous: 3 };
    let sealed = ratchet::seal::<Omemo2>(&counting, &header, &[0; 48], &associated_data);
    assert_eq!(
        hex::encode(sealed),
        "0a101d58b91ecf1a35a8e7bd8a83609e08681268080710031a20000102030405060708090a0b0c0d0e0f10111213141516171819\
         1a1b1c1d1e1f22409417946eb1608c6db1e048714304f3efd4d97d202746e49bba1ea64b658dda8937c6419f47591e392cd395b8\
         8b5f4e838979b697f3c6cceb5202390dd9c7952c"
    );
    assert_eq!(Omemo2::ROOT_INFO, b"OMEMO Root Chain");
    assert_eq!(kdf::hmac(&[0; 32], &[b"a", b"b"]).expose(), kdf::hmac(&[0; 32], &[b"ab"]).expose());
}
