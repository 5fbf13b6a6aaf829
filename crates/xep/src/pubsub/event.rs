//! Notifications (XEP-0060 §7.1.2, §7.2.2, §8).

use xmpp::jid::BareJid;
use xmpp::xml::Element;

use super::config::NodeConfig;
use super::{Item, NS_EVENT, name_attr};
use crate::Malformed;
use crate::forms::FormType;

/// What happened at a node.
///
/// Who receives one trusts it only as far as the `from` of the message owns the node: for a personal service that is
/// the bare address of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Items were published, or retracted.
    Items {
        /// Where.
        node: String,
        /// What was published.
        published: Vec<Item>,
        /// Ids of what was retracted.
        retracted: Vec<String>,
    },
    /// All items are gone.
    Purged {
        /// Where.
        node: String,
    },
    /// The node is gone.
    Deleted {
        /// Which.
        node: String,
    },
    /// The settings changed.
    Configured {
        /// Which node.
        node: String,
        /// The new settings, where the node tells them.
        config: Option<Box<NodeConfig>>,
    },
}

impl Event {
    /// Makes the notification of one published item.
    #[must_use]
    pub fn published(node: &str, item: Item) -> Self {
        Self::Items { node: node.to_owned(), published: vec![item], retracted: Vec::new() }
    }

    /// Makes the notification of retracted items.
    #[must_use]
    pub fn retracted(node: &str, ids: Vec<String>) -> Self {
        Self::Items { node: node.to_owned(), published: Vec::new(), retracted: ids }
    }

    /// Returns the name of the node.
    #[must_use]
    pub fn node(&self) -> &str {
        match self {
            Self::Items { node, .. } | Self::Purged { node } | Self::Deleted { node } => node,
            Self::Configured { node, .. } => node,
        }
    }

    /// Reads the `<event/>` of a message, where there is one that we know.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the node has no name or an item is none.
    pub fn inside(message: &Element) -> Result<Option<Self>, Malformed> {
        let Some(what) = message.child("event", NS_EVENT).and_then(|e| e.children().next()) else { return Ok(None) };
        if what.ns() != NS_EVENT {
            return Ok(None);
        }
        let node = || name_attr(what, "node")?.ok_or(Malformed("a notification without node"));
        Ok(Some(match what.name() {
            "items" => {
                let items = what.children().filter(|c| c.is("item", NS_EVENT)).map(Item::parse);
                let retracted = what.children().filter(|c| c.is("retract", NS_EVENT));
                Self::Items {
                    node: node()?,
                    published: items.collect::<Result<_, _>>()?,
                    retracted: retracted.filter_map(|r| r.attr("id").map(str::to_owned)).collect(),
                }
            }
            "purge" => Self::Purged { node: node()? },
            "delete" => Self::Deleted { node: node()? },
            "configuration" => Self::Configured { node: node()?, config: None },
            _ => return Ok(None),
        }))
    }

    /// Reads the notification in a message, with the account whose node it is about.
    ///
    /// An account speaks for its own nodes only, and only its server can send from the bare address: what comes from a
    /// full address is somebody's own words and counts as none. A message without `from` comes from `own`, the
    /// receiver's own account (RFC 6120 §8.1.2.1).
    ///
    /// # Errors
    ///
    /// As [`Event::inside`].
    pub fn of_account(message: &Element, own: &BareJid) -> Result<Option<(BareJid, Self)>, Malformed> {
        let owner = match message.attr("from") {
            None => own.clone(),
            Some(from) => match BareJid::parse(from) {
                Ok(from) => from,
                Err(_) => return Ok(None),
            },
        };
        if message.attr("type") == Some("error") {
            return Ok(None);
        }
        Ok(Self::inside(message)?.map(|event| (owner, event)))
    }

    /// Writes the `<event/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let what = |name: &'static str| Element::new(name, NS_EVENT).with_attr("node", self.node());
        let what = match self {
            Self::Items { published, retracted, .. } => {
                what("items").with_children(published.iter().map(|i| i.to_element(NS_EVENT))).with_children(
                    retracted.iter().map(|id| Element::new("retract", NS_EVENT).with_attr("id", id.as_str())),
                )
            }
            Self::Purged { .. } => what("purge"),
            Self::Deleted { .. } => what("delete"),
            Self::Configured { config, .. } => {
                what("configuration").with_children(config.as_ref().map(|c| c.to_form(FormType::Result).to_element()))
            }
        };
        Element::new("event", NS_EVENT).with_child(what)
    }

    /// Returns the same notification without payloads, for nodes that only say that something happened.
    #[must_use]
    pub fn without_payloads(mut self) -> Self {
        if let Self::Items { published, .. } = &mut self {
            for item in published {
                item.payload = None;
            }
        }
        self
    }
}
