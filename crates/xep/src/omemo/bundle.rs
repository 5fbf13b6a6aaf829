//! The bundle: the public keys by which others start sessions with a device.

use xmpp::xml::Element;

use super::parse_key_id;
use super::version::Version;
use crate::Malformed;
use crate::encoding::{base64, parse_base64};

/// The most one-time prekeys read from a bundle; the rest is ignored. Clients offer about 100.
const PREKEYS_MAX: usize = 400;
/// Longest public key, in bytes: legacy keys carry a type byte.
const KEY_BYTES_MAX: usize = 33;
const SIGNATURE_BYTES: usize = 64;

/// A public prekey and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prekey {
    /// What a key exchange calls it by.
    pub id: u32,
    /// The public key: 32 bytes, in legacy 33.
    pub key: Vec<u8>,
}

/// A bundle as published, its signature not yet verified (`crypto::omemo::Bundle::parse` does).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleElement {
    /// The identity key: Ed25519, in legacy `0x05` and Curve25519.
    pub identity_key: Vec<u8>,
    /// The signed prekey.
    pub signed_prekey: Prekey,
    /// The signature over the signed prekey, 64 bytes.
    pub signature: Vec<u8>,
    /// The one-time prekeys, each id once.
    pub prekeys: Vec<Prekey>,
}

/// What a version calls the parts of a bundle.
struct Names {
    signed_prekey: &'static str,
    signed_prekey_id: &'static str,
    signature: &'static str,
    identity_key: &'static str,
    prekey: &'static str,
    prekey_id: &'static str,
}

const LEGACY: Names = Names {
    signed_prekey: "signedPreKeyPublic",
    signed_prekey_id: "signedPreKeyId",
    signature: "signedPreKeySignature",
    identity_key: "identityKey",
    prekey: "preKeyPublic",
    prekey_id: "preKeyId",
};

const OMEMO2: Names = Names {
    signed_prekey: "spk",
    signed_prekey_id: "id",
    signature: "spks",
    identity_key: "ik",
    prekey: "pk",
    prekey_id: "id",
};

const fn names(version: Version) -> &'static Names {
    match version {
        Version::Legacy => &LEGACY,
        Version::Omemo2 => &OMEMO2,
    }
}

impl BundleElement {
    /// Reads a `<bundle/>` of either version.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when a part is missing, there twice or not base64 of a plausible length. A single bad one-time
    /// prekey is left out; a bundle without any is not an error here, but starts no session.
    ///
    /// Source: XEP-0384 §5.3.2, 0.3.0 §4.3.
    pub fn parse(element: &Element) -> Result<(Version, Self), Malformed> {
        let version = Version::of_ns(element.ns()).ok_or(Malformed("not a bundle"))?;
        if element.name() != "bundle" {
            return Err(Malformed("not a bundle"));
        }
        let names = names(version);
        let signed = only_child(element, names.signed_prekey)?;
        let signed_prekey = Prekey {
            id: parse_key_id(signed.attr(names.signed_prekey_id))?,
            key: parse_base64(&signed.text(), KEY_BYTES_MAX)?,
        };
        let signature = parse_base64(&only_child(element, names.signature)?.text(), SIGNATURE_BYTES)?;
        let identity_key = parse_base64(&only_child(element, names.identity_key)?.text(), KEY_BYTES_MAX)?;
        let mut prekeys: Vec<Prekey> = Vec::new();
        for prekey in only_child(element, "prekeys")?.children().filter(|c| c.is(names.prekey, version.ns())) {
            if prekeys.len() == PREKEYS_MAX {
                break;
            }
            let Ok(id) = parse_key_id(prekey.attr(names.prekey_id)) else { continue };
            let Ok(key) = parse_base64(&prekey.text(), KEY_BYTES_MAX) else { continue };
            if !prekeys.iter().any(|p| p.id == id) {
                prekeys.push(Prekey { id, key });
            }
        }
        Ok((version, Self { identity_key, signed_prekey, signature, prekeys }))
    }

    /// Writes the bundle.
    #[must_use]
    pub fn to_element(&self, version: Version) -> Element {
        let (names, ns) = (names(version), version.ns());
        let prekeys = self.prekeys.iter().map(|prekey| {
            Element::new(names.prekey, ns)
                .with_attr(names.prekey_id, prekey.id.to_string())
                .with_text(base64(&prekey.key))
        });
        Element::new("bundle", ns)
            .with_child(
                Element::new(names.signed_prekey, ns)
                    .with_attr(names.signed_prekey_id, self.signed_prekey.id.to_string())
                    .with_text(base64(&self.signed_prekey.key)),
            )
            .with_child(Element::new(names.signature, ns).with_text(base64(&self.signature)))
            .with_child(Element::new(names.identity_key, ns).with_text(base64(&self.identity_key)))
            .with_child(Element::new("prekeys", ns).with_children(prekeys))
    }
}

/// Finds the one child of that name in the parent's namespace.
fn only_child<'a>(parent: &'a Element, name: &str) -> Result<&'a Element, Malformed> {
    let mut found = parent.children().filter(|c| c.is(name, parent.ns()));
    match (found.next(), found.next()) {
        (Some(child), None) => Ok(child),
        (None, _) => Err(Malformed("the bundle lacks a part")),
        (Some(_), Some(_)) => Err(Malformed("the bundle has a part twice")),
    }
}

#[cfg(feature = "client")]
impl From<BundleElement> for crypto::omemo::PublishedBundle {
    fn from(bundle: BundleElement) -> Self {
        let prekey = |p: Prekey| crypto::omemo::PublishedPrekey { id: p.id, key: p.key };
        Self {
            identity_key: bundle.identity_key,
            signed_prekey: prekey(bundle.signed_prekey),
            signature: bundle.signature,
            prekeys: bundle.prekeys.into_iter().map(prekey).collect(),
        }
    }
}

#[cfg(feature = "client")]
impl From<crypto::omemo::PublishedBundle> for BundleElement {
    fn from(bundle: crypto::omemo::PublishedBundle) -> Self {
        let prekey = |p: crypto::omemo::PublishedPrekey| Prekey { id: p.id, key: p.key };
        Self {
            identity_key: bundle.identity_key,
            signed_prekey: prekey(bundle.signed_prekey),
            signature: bundle.signature,
            prekeys: bundle.prekeys.into_iter().map(prekey).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> BundleElement {
        BundleElement {
            identity_key: vec![1; 32],
            signed_prekey: Prekey { id: 1, key: vec![2; 32] },
            signature: vec![3; 64],
            prekeys: (1..=100).map(|id| Prekey { id, key: vec![4; 32] }).collect(),
        }
    }

    #[test]
    fn both_versions_round_trip() {
        for version in Version::STRONGEST_FIRST {
            assert_eq!(BundleElement::parse(&bundle().to_element(version)), Ok((version, bundle())));
        }
    }

    #[test]
    fn line_breaks_in_keys_are_no_matter() {
        let mut element = bundle().to_element(Version::Legacy);
        for child in element.children_mut().filter(|c| c.name() == "identityKey") {
            *child = Element::new("identityKey", child.ns().to_owned()).with_text(format!("\n  {}\n", child.text()));
        }
        assert_eq!(BundleElement::parse(&element), Ok((Version::Legacy, bundle())));
    }

    #[test]
    fn a_missing_or_repeated_part_is_refused() {
        for version in Version::STRONGEST_FIRST {
            let whole = bundle().to_element(version);
            let parts: Vec<String> = whole.children().map(|c| c.name().to_owned()).collect();
            for part in parts {
                let mut without = whole.clone();
                without.retain_children(|c| c.name() != part);
                assert!(BundleElement::parse(&without).is_err(), "without {part}");
                let again = whole.children().find(|c| c.name() == part).cloned();
                assert!(BundleElement::parse(&whole.clone().with_children(again)).is_err(), "{part} twice");
            }
        }
    }

    #[test]
    fn bad_base64_and_long_keys_are_refused() {
        for (part, text) in [("ik", "****"), ("spks", "AAA"), ("spk", &"A".repeat(64))] {
            let mut element = bundle().to_element(Version::Omemo2);
            for child in element.children_mut().filter(|c| c.name() == part) {
                *child = Element::new(part.to_owned(), child.ns().to_owned()).with_attr("id", "1").with_text(text);
            }
            assert!(BundleElement::parse(&element).is_err(), "{part}");
        }
    }

    #[test]
    fn a_bad_one_time_prekey_is_left_out() {
        let mut element = bundle().to_element(Version::Omemo2);
        let ns = Version::Omemo2.ns();
        if let Some(prekeys) = element.child_mut("prekeys", ns) {
            prekeys.push(Element::new("pk", ns).with_attr("id", "x").with_text("AAAA"));
            prekeys.push(Element::new("pk", ns).with_attr("id", "1").with_text("AAAA"));
            prekeys.push(Element::new("pk", ns).with_attr("id", "500").with_text("?"));
        }
        assert_eq!(BundleElement::parse(&element), Ok((Version::Omemo2, bundle())));
    }
}
