//! One OMEMO device that is driven by lines of JSON, for tests against other implementations (`tests/vectors/live.py`).
//!
//! Each line of the standard input is a command, each line of the standard output its result. Bytes are hex. The device is
//! stored and loaded again around every command. Usage: `omemo_peer legacy|omemo2 <seed>`.

use std::io::{BufRead, Write};

use serde_json::{Value, json};
use waxwing_crypto::omemo::{
    Bundle, Delivery, Device, Incoming, Legacy, Omemo2, Profile, PublishedBundle, PublishedPrekey, SessionSet,
};
use waxwing_crypto::random::SeededRandom;

type Failure = Box<dyn std::error::Error>;

const NOW: u64 = 1_800_000_000;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let profile = arguments.next().ok_or("which profile?")?;
    let random = SeededRandom::new(arguments.next().ok_or("which seed?")?.parse()?);
    if profile == "legacy" { run::<Legacy>(&random) } else { run::<Omemo2>(&random) }
}

fn run<P: Profile>(random: &SeededRandom) -> Result<(), Failure> {
    let mut device = Device::generate(NOW, random).to_bytes();
    let mut sessions = SessionSet::<P>::new().to_bytes();
    for line in std::io::stdin().lock().lines() {
        let command: Value = serde_json::from_str(&line?)?;
        let mut loaded = (Device::from_bytes(&device)?, SessionSet::<P>::from_bytes(&sessions)?);
        let result = obey(&command, &mut loaded.0, &mut loaded.1, random)?;
        (device, sessions) = (loaded.0.to_bytes(), loaded.1.to_bytes());
        writeln!(std::io::stdout(), "{result}")?;
    }
    Ok(())
}

fn obey<P: Profile>(
    command: &Value,
    device: &mut Device,
    sessions: &mut SessionSet<P>,
    random: &SeededRandom,
) -> Result<Value, Failure> {
    match command["do"].as_str() {
        Some("bundle") => {
            let bundle = device.bundle::<P>();
            let prekeys = bundle.prekeys.iter().map(|prekey| json!([prekey.id, hex::encode(&prekey.key)]));
            Ok(json!({
                "device_id": device.id(),
                "identity_key": hex::encode(&bundle.identity_key),
                "signed_prekey": [bundle.signed_prekey.id, hex::encode(&bundle.signed_prekey.key)],
                "signature": hex::encode(&bundle.signature),
                "prekeys": prekeys.collect::<Vec<_>>(),
            }))
        }
        Some("start") => {
            let bundle = &command["bundle"];
            let prekeys = bundle["prekeys"].as_array().ok_or("prekeys")?.iter().map(prekey);
            let published = PublishedBundle {
                identity_key: bytes(&bundle["identity_key"])?,
                signed_prekey: prekey(&bundle["signed_prekey"])?,
                signature: bytes(&bundle["signature"])?,
                prekeys: prekeys.collect::<Result<_, _>>()?,
            };
            sessions.start(device, &Bundle::parse(&published)?, NOW, random)?;
            Ok(json!({}))
        }
        Some("encrypt") => {
            let encrypted = sessions.encrypt(device, &bytes(&command["key_material"])?, NOW)?;
            Ok(json!({ "wire": hex::encode(encrypted.bytes), "key_exchange": encrypted.key_exchange }))
        }
        Some("decrypt") => {
            let incoming = Incoming {
                bytes: &bytes(&command["wire"])?,
                key_exchange: command["key_exchange"] == true,
                delivery: Delivery::Live,
                now: NOW,
            };
            Ok(match sessions.decrypt(device, &incoming, None, random) {
                Ok(opened) => json!({ "key_material": hex::encode(&*opened.key_material) }),
                Err(error) => json!({ "error": error.to_string() }),
            })
        }
        _ => Err("unknown command".into()),
    }
}

fn bytes(value: &Value) -> Result<Vec<u8>, Failure> {
    Ok(hex::decode(value.as_str().ok_or("hex expected")?)?)
}

fn prekey(value: &Value) -> Result<PublishedPrekey, Failure> {
    let id = value[0].as_u64().ok_or("id expected")?.try_into()?;
    Ok(PublishedPrekey { id, key: bytes(&value[1])? })
}
