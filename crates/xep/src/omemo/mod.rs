//! OMEMO on the wire: device lists, bundles and encrypted elements of both versions (XEP-0384).
//!
//! Knows the two vocabularies, `eu.siacs.conversations.axolotl` (0.3.0, what most deployed clients speak) and
//! `urn:xmpp:omemo:2`, and maps them to one set of types. Prefixes do not matter to a reader (names are compared by
//! namespace); everything else does: base64 is bounded and checked, ids are in range, nothing is there twice.
//!
//! Lacks: keys and ratchets (crate `crypto`), trust, and the transport of the nodes (`pubsub`).
//!
//! | file | owns |
//! |---|---|
//! | `version.rs` | names of elements and nodes, publish-options |
//! | `devices.rs` | the device list |
//! | `bundle.rs` | the bundle |
//! | `encrypted.rs` | the encrypted element, attack row C13 |
//! | `client.rs` | [`client::seal`] and [`client::open`] (feature `client`) |

mod bundle;
#[cfg(feature = "client")]
pub mod client;
mod devices;
mod encrypted;
mod version;

pub use bundle::{BundleElement, Prekey};
pub use devices::{DeviceEntry, DeviceList};
pub use encrypted::{Encrypted, KeyElement};
pub use version::{NS_LEGACY, NS_OMEMO2, Version};

use crate::{Claim, Malformed, Status};

/// OMEMO 2: what this module claims. A device announces itself by its node, not by disco; the feature asks contacts'
/// servers for news of their lists.
pub const CLAIM: Claim =
    Claim { xep: 384, version: "0.9.1", status: Status::Complete, features: &["urn:xmpp:omemo:2:devices+notify"] };

/// Legacy OMEMO, which deployed clients call OMEMO.
pub const CLAIM_LEGACY: Claim = Claim {
    xep: 384,
    version: "0.3.0",
    status: Status::Complete,
    features: &["eu.siacs.conversations.axolotl.devicelist+notify"],
};

/// The most devices of one account that are used; more are ignored (security-design §6).
pub const DEVICES_MAX: usize = 64;

/// The most devices that one encrypted element may address, over all accounts (security-design §6).
pub const KEYS_MAX: usize = 512;

/// The largest payload accepted, in bytes after base64: an SCE plaintext of 128 KiB and its padding.
pub const PAYLOAD_BYTES_MAX: usize = 128 * 1024 + 16;

/// Reads a device or key id: 1 to 2³¹−1 (XEP-0384 §5.1).
fn parse_id(text: Option<&str>) -> Result<u32, Malformed> {
    let id = parse_u32(text)?;
    if (1..=0x7fff_ffff).contains(&id) { Ok(id) } else { Err(Malformed("id out of range")) }
}

/// Reads a prekey id: deployed clients also use 0.
fn parse_key_id(text: Option<&str>) -> Result<u32, Malformed> {
    let id = parse_u32(text)?;
    if id <= 0x7fff_ffff { Ok(id) } else { Err(Malformed("key id out of range")) }
}

fn parse_u32(text: Option<&str>) -> Result<u32, Malformed> {
    let text = text.ok_or(Malformed("id missing"))?;
    if text.is_empty() || text.len() > 10 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Malformed("id is no number"));
    }
    text.parse().map_err(|_| Malformed("id out of range"))
}
