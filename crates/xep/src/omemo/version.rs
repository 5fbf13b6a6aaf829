//! The two vocabularies: what each version calls its elements, its nodes and their options.

/// Namespace of legacy OMEMO (XEP-0384 0.3.0).
pub const NS_LEGACY: &str = "eu.siacs.conversations.axolotl";
/// Namespace of OMEMO 2 (XEP-0384 0.8 and later).
pub const NS_OMEMO2: &str = "urn:xmpp:omemo:2";

/// A version of OMEMO on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// `eu.siacs.conversations.axolotl`; it encrypts the body only.
    Legacy,
    /// `urn:xmpp:omemo:2`; it encrypts whole envelopes ([`crate::sce`]).
    Omemo2,
}

impl Version {
    /// Both, the stronger one first: the order in which a message carries them (security-design §2.6).
    pub const STRONGEST_FIRST: [Self; 2] = [Self::Omemo2, Self::Legacy];

    /// The namespace of the elements, which also names the version to [`crate::eme`].
    #[must_use]
    pub const fn ns(self) -> &'static str {
        match self {
            Self::Legacy => NS_LEGACY,
            Self::Omemo2 => NS_OMEMO2,
        }
    }

    /// Finds the version that a namespace belongs to.
    #[must_use]
    pub fn of_ns(ns: &str) -> Option<Self> {
        [Self::Legacy, Self::Omemo2].into_iter().find(|v| v.ns() == ns)
    }

    /// The PEP node of the device list; its only item is [`Self::DEVICES_ITEM`].
    #[must_use]
    pub const fn devices_node(self) -> &'static str {
        match self {
            Self::Legacy => "eu.siacs.conversations.axolotl.devicelist",
            Self::Omemo2 => "urn:xmpp:omemo:2:devices",
        }
    }

    /// The item that holds the device list.
    pub const DEVICES_ITEM: &'static str = "current";

    /// The PEP node of a device's bundle.
    #[must_use]
    pub fn bundle_node(self, device: u32) -> String {
        match self {
            Self::Legacy => format!("eu.siacs.conversations.axolotl.bundles:{device}"),
            Self::Omemo2 => "urn:xmpp:omemo:2:bundles".to_owned(),
        }
    }

    /// The item of [`Self::bundle_node`] that holds the bundle.
    #[must_use]
    pub fn bundle_item(self, device: u32) -> String {
        match self {
            Self::Legacy => Self::DEVICES_ITEM.to_owned(),
            Self::Omemo2 => device.to_string(),
        }
    }

    /// The publish-options (XEP-0060 §7.1.5) for the device list, as pairs of field and value: strangers read it.
    #[must_use]
    pub const fn devices_options(self) -> &'static [(&'static str, &'static str)] {
        &[("pubsub#persist_items", "true"), ("pubsub#access_model", "open")]
    }

    /// The publish-options for the bundle. OMEMO 2 keeps all bundles in one node, which must not drop any.
    #[must_use]
    pub const fn bundle_options(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Legacy => &[("pubsub#persist_items", "true"), ("pubsub#access_model", "open")],
            Self::Omemo2 => {
                &[("pubsub#persist_items", "true"), ("pubsub#access_model", "open"), ("pubsub#max_items", "max")]
            }
        }
    }

    /// Whether the version's elements are called as OMEMO 2 calls them.
    pub(super) const fn is_omemo2(self) -> bool {
        matches!(self, Self::Omemo2)
    }
}

#[cfg(feature = "client")]
impl From<crypto::omemo::ProfileId> for Version {
    fn from(id: crypto::omemo::ProfileId) -> Self {
        match id {
            crypto::omemo::ProfileId::Legacy => Self::Legacy,
            crypto::omemo::ProfileId::Omemo2 => Self::Omemo2,
        }
    }
}

#[cfg(feature = "client")]
impl From<Version> for crypto::omemo::ProfileId {
    fn from(version: Version) -> Self {
        match version {
            Version::Legacy => Self::Legacy,
            Version::Omemo2 => Self::Omemo2,
        }
    }
}
