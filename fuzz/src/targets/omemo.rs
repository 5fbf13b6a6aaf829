//! Elements of OMEMO in both versions (attack row C13), and the other elements that arrive inside envelopes.

use crypto::omemo::{Bundle, Device, Legacy, Omemo2, PublishedBundle};
use xep::omemo::{BundleElement, DEVICES_MAX, DeviceList, Encrypted, KeyElement, Version};
use xep::policy::{self, E2eePolicy, Verdict};
use xep::{document, esfs, sfs, trust};
use xmpp::jid::BareJid;
use xmpp::xml::{Element, Frame};

use super::{NOW, random};

/// Parses an element as everything that it may be; what is accepted is written and read again the same.
///
/// # Panics
///
/// When it is not, or a bound is exceeded.
pub fn omemo(data: &[u8]) {
    let Ok(element) = document::parse(data, 256 * 1024) else { return };
    if let Ok((version, list)) = DeviceList::parse(&element) {
        assert!(list.devices.len() <= DEVICES_MAX);
        let (again, reread) = DeviceList::parse(&list.to_element(version)).expect("what we write, we read");
        assert_eq!((again, reread.ids().collect::<Vec<_>>()), (version, list.ids().collect()));
    }
    if let Ok((version, bundle)) = BundleElement::parse(&element) {
        assert_eq!(BundleElement::parse(&bundle.to_element(version)), Ok((version, bundle.clone())));
        let published = PublishedBundle::from(bundle);
        match version {
            Version::Legacy => drop(Bundle::<Legacy>::parse(&published)),
            Version::Omemo2 => drop(Bundle::<Omemo2>::parse(&published)),
        }
    }
    if let Ok(encrypted) = Encrypted::parse(&element) {
        assert!(!encrypted.keys.is_empty());
        passes_as_encrypted(&element);
        assert_eq!(Encrypted::parse(&encrypted.to_element()), Ok(sorted(encrypted)));
    }
    if let Ok(offer) = sfs::FileSharing::parse(&element) {
        assert_eq!(sfs::FileSharing::parse(&offer.to_element()), Ok(offer));
    }
    if let Ok(source) = esfs::EncryptedSource::parse(&element) {
        assert_eq!(esfs::EncryptedSource::parse(&source.to_element()), Ok(source));
    }
    if let Ok(message) = trust::TrustMessage::parse(&element) {
        assert_eq!(trust::TrustMessage::parse(&message.to_element()), Ok(message));
    }
}

/// What a client takes for encrypted, a broker must let through; the two check with different code.
fn passes_as_encrypted(element: &Element) {
    let readable = Element::new("body", xmpp::ns::CLIENT).with_text("to be removed");
    let message = Element::new("message", xmpp::ns::CLIENT).with_child(element.clone()).with_child(readable);
    let verdict = policy::inspect(&Frame::from_element(&message, xmpp::ns::CLIENT), E2eePolicy::Required);
    assert!(matches!(verdict, Verdict::Strip(_)), "a broker refuses what a client reads: {verdict:?}");
}

/// Nothing keeps a reader from mixing accounts; writing groups them, in the order of their first appearance.
fn sorted(mut encrypted: Encrypted) -> Encrypted {
    let mut owners: Vec<Option<BareJid>> = Vec::new();
    for key in &encrypted.keys {
        if !owners.contains(&key.jid) {
            owners.push(key.jid.clone());
        }
    }
    encrypted.keys.sort_by_key(|key| owners.iter().position(|owner| *owner == key.jid));
    encrypted
}

/// One element of each kind and version.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let device = Device::generate(NOW, &random());
    let mut legacy = BundleElement::from(device.bundle::<Legacy>());
    let mut omemo2 = BundleElement::from(device.bundle::<Omemo2>());
    legacy.prekeys.truncate(3);
    omemo2.prekeys.truncate(3);
    let bob = BareJid::parse("bob@example.net").expect("an address");
    let key = |jid| KeyElement { jid, device: 5, key_exchange: true, bytes: vec![1; 60] };
    let message =
        |version, jid, iv, payload| Encrypted { version, sender_device: 9, keys: vec![key(jid)], iv, payload };
    let elements: [Element; 6] = [
        DeviceList::of_ids([1, 2]).to_element(Version::Legacy),
        DeviceList::of_ids([1, 2]).to_element(Version::Omemo2),
        legacy.to_element(Version::Legacy),
        omemo2.to_element(Version::Omemo2),
        message(Version::Legacy, None, Some(vec![2; 12]), Some(vec![3; 5])).to_element(),
        message(Version::Omemo2, Some(bob), None, Some(vec![3; 32])).to_element(),
    ];
    elements.iter().map(|element| element.to_xml("").into_bytes()).collect()
}
