//! The device list: which devices of an account want to be encrypted to.

use xmpp::xml::Element;

use super::version::Version;
use super::{DEVICES_MAX, parse_id};
use crate::Malformed;
use crate::encoding::{base64, parse_base64};

/// Longest label kept, in characters: the specification's recommendation (XEP-0384 §5.3.1).
const LABEL_CHARS_MAX: usize = 53;

/// One device of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceEntry {
    /// The device id.
    pub id: u32,
    /// Its name and the signature over the name by its identity key, which the reader must verify before showing it.
    pub label: Option<(String, Vec<u8>)>,
}

/// A device list of either version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceList {
    /// The devices, each id once, in the order of the list.
    pub devices: Vec<DeviceEntry>,
}

impl DeviceList {
    /// Makes a list of ids without labels.
    #[must_use]
    pub fn of_ids(ids: impl IntoIterator<Item = u32>) -> Self {
        Self { devices: ids.into_iter().map(|id| DeviceEntry { id, label: None }).collect() }
    }

    /// Reads `<devices/>` or the legacy `<list/>`.
    ///
    /// A device that is malformed or named again is left out rather than making the account unreachable, and so are
    /// those past [`DEVICES_MAX`]. Labels are dropped when they lack a signature or are too long.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the element is no device list.
    ///
    /// Source: XEP-0384 §5.3.1.
    pub fn parse(element: &Element) -> Result<(Version, Self), Malformed> {
        let version = Version::of_ns(element.ns()).ok_or(Malformed("not a device list"))?;
        if element.name() != list_name(version) {
            return Err(Malformed("not a device list"));
        }
        let mut devices: Vec<DeviceEntry> = Vec::new();
        for device in element.children().filter(|c| c.is("device", version.ns())) {
            let Ok(id) = parse_id(device.attr("id")) else { continue };
            if devices.iter().any(|d| d.id == id) {
                continue;
            }
            if devices.len() == DEVICES_MAX {
                break;
            }
            devices.push(DeviceEntry { id, label: parse_label(device) });
        }
        Ok((version, Self { devices }))
    }

    /// Writes the list.
    #[must_use]
    pub fn to_element(&self, version: Version) -> Element {
        let devices = self.devices.iter().map(|device| {
            let mut element = Element::new("device", version.ns()).with_attr("id", device.id.to_string());
            if let Some((label, signature)) = device.label.as_ref().filter(|_| version.is_omemo2()) {
                element.set_attr("label", label.as_str());
                element.set_attr("labelsig", base64(signature));
            }
            element
        });
        Element::new(list_name(version), version.ns()).with_children(devices)
    }

    /// Tells whether a device is on the list.
    #[must_use]
    pub fn contains(&self, id: u32) -> bool {
        self.devices.iter().any(|d| d.id == id)
    }

    /// Returns the ids in order.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        self.devices.iter().map(|d| d.id)
    }
}

const fn list_name(version: Version) -> &'static str {
    match version {
        Version::Legacy => "list",
        Version::Omemo2 => "devices",
    }
}

fn parse_label(device: &Element) -> Option<(String, Vec<u8>)> {
    let label = device.attr("label").filter(|l| l.chars().count() <= LABEL_CHARS_MAX)?;
    let signature = parse_base64(device.attr("labelsig")?, 64).ok()?;
    Some((label.to_owned(), signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::omemo::{NS_LEGACY, NS_OMEMO2};

    #[test]
    fn both_versions_round_trip() {
        let mut list = DeviceList::of_ids([12345, 4223]);
        for version in Version::STRONGEST_FIRST {
            assert_eq!(DeviceList::parse(&list.to_element(version)), Ok((version, list.clone())));
        }
        list.devices[0].label = Some(("Gajim on Ubuntu".into(), vec![7; 64]));
        assert_eq!(DeviceList::parse(&list.to_element(Version::Omemo2)), Ok((Version::Omemo2, list)));
    }

    #[test]
    fn an_empty_list_is_a_list() {
        assert_eq!(DeviceList::parse(&Element::new("list", NS_LEGACY)), Ok((Version::Legacy, DeviceList::default())));
        assert!(DeviceList::parse(&Element::new("list", NS_OMEMO2)).is_err());
        assert!(DeviceList::parse(&Element::new("devices", "urn:xmpp:omemo:1")).is_err());
    }

    #[test]
    fn what_is_no_device_is_left_out() {
        let device = |id: &str| Element::new("device", NS_OMEMO2).with_attr("id", id);
        let list = Element::new("devices", NS_OMEMO2)
            .with_children(["1", "1", "0", "-1", "2147483648", "٣", " 5", "2147483647", "99999999999"].map(device))
            .with_child(Element::new("device", "urn:other").with_attr("id", "77"))
            .with_child(device("3").with_attr("label", "no signature"));
        let (_, list) = DeviceList::parse(&list).unwrap();
        assert_eq!(list, DeviceList::of_ids([1, 2_147_483_647, 3]));
    }

    #[test]
    fn no_more_devices_than_the_bound() {
        let many = DeviceList::of_ids(1..=1000).to_element(Version::Legacy);
        assert_eq!(DeviceList::parse(&many).unwrap().1.devices.len(), DEVICES_MAX);
    }
}
