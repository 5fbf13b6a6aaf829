//! What we read back from our own disk, which may be damaged or somebody else's: devices, sessions, key files.

use crypto::omemo::{Bundle, Device, Legacy, Omemo2, SessionSet};
use crypto::seal::{KeyFile, MasterKey, Slot};

use super::{NOW, random};

/// Reads a device or sessions. The first byte chooses; the rest are the bytes.
///
/// # Panics
///
/// When what was read is written as something that reads differently.
pub fn state(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    match choice % 3 {
        0 => {
            if let Ok(device) = Device::from_bytes(bytes) {
                let written = device.to_bytes();
                let again = Device::from_bytes(&written).expect("what we write, we read");
                assert!(*again.to_bytes() == *written);
            }
        }
        1 => sessions_round_trip::<Legacy>(bytes),
        _ => sessions_round_trip::<Omemo2>(bytes),
    }
}

fn sessions_round_trip<P: crypto::omemo::Profile>(bytes: &[u8]) {
    if let Ok(sessions) = SessionSet::<P>::from_bytes(bytes) {
        let written = sessions.to_bytes();
        let again = SessionSet::<P>::from_bytes(&written).expect("what we write, we read");
        assert!(*again.to_bytes() == *written);
    }
}

/// A device, and sessions of both versions.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let random = random();
    let (alice, bob) = (Device::generate(NOW, &random), Device::generate(NOW, &random));
    let (mut legacy, mut omemo2) = (SessionSet::<Legacy>::new(), SessionSet::<Omemo2>::new());
    let bundle = Bundle::parse(&bob.bundle::<Legacy>()).expect("our own bundle");
    legacy.start(&alice, &bundle, NOW, &random).expect("our own bundle");
    let bundle = Bundle::parse(&bob.bundle::<Omemo2>()).expect("our own bundle");
    omemo2.start(&alice, &bundle, NOW, &random).expect("our own bundle");
    [(0, alice.to_bytes()), (1, legacy.to_bytes()), (2, omemo2.to_bytes())]
        .map(|(choice, bytes)| [&[choice], bytes.as_slice()].concat())
        .to_vec()
}

/// Reads a key file.
///
/// # Panics
///
/// When what was read is written as other bytes: the form is the only one (deterministic CBOR).
pub fn keyfile(data: &[u8]) {
    if let Ok(file) = KeyFile::parse(data) {
        assert!(*file.encode() == *data, "two spellings of one key file");
        let _ = file.opens_unattended();
    }
}

/// A key file with an open slot.
#[must_use]
pub fn keyfile_seeds() -> Vec<Vec<u8>> {
    let random = random();
    let slot = Slot::plain(&MasterKey::generate(&random));
    vec![KeyFile::new(slot, &random).encode().to_vec()]
}
