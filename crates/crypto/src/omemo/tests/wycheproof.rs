//! Against Project Wycheproof: edge cases that implementations have got wrong before.

use serde_json::Value;

use super::super::keys::DhPair;
use super::*;
use crate::Secret;

const WYCHEPROOF: &str = include_str!("../../../../../tests/vectors/wycheproof.json");

fn list(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(WYCHEPROOF).unwrap();
    all[name].as_array().unwrap().clone()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn array(value: &Value) -> [u8; 32] {
    bytes(value).try_into().unwrap()
}

#[test]
fn c10_ed25519_signatures_verify_as_wycheproof_says() {
    let tests = list("ed25519");
    assert_eq!(tests.len(), 151);
    for test in tests {
        let identity = IdentityKey::from_ed25519(&array(&test[1])).unwrap();
        let (message, signature, valid) = (bytes(&test[2]), bytes(&test[3]), test[4] == true);
        let Ok(mut signature) = <[u8; 64]>::try_from(signature) else {
            assert!(!valid, "{}", test[0]);
            continue;
        };
        assert_eq!(identity.verify(&message, &signature), valid, "{}", test[0]);

        // As libsignal would write it. Where S itself uses the sign's bit there is no such signature.
        if signature[63] & 0x80 == 0 {
            signature[63] |= identity.ed25519().unwrap()[31] & 0x80;
            assert_eq!(xeddsa::verify(&identity, &message, &signature), valid, "{}", test[0]);
        }
    }
}

#[test]
fn c06_x25519_agrees_with_wycheproof_or_refuses() {
    let tests = list("x25519");
    assert_eq!(tests.len(), 518);
    let mut refused_count = 0;
    for test in tests {
        let flags = test[4].as_array().unwrap();
        let refused = ["ZeroSharedSecret", "NonCanonicalPublic"].iter().any(|flag| flags.iter().any(|f| f == flag));
        let public = RatchetKey::from_bytes(&array(&test[1])).ok();
        let private = DhPair::from_secret(Secret::new(array(&test[2])));
        let shared = public.and_then(|public| private.agree(public.as_bytes()));
        let expected = (!refused).then(|| array(&test[3]));
        assert_eq!(shared.map(|shared| *shared.expose()), expected, "{}", test[0]);
        refused_count += u32::from(refused);
    }
    assert_eq!(refused_count, 44);
}
