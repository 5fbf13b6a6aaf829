//! Publish-subscribe, and the personal service that every account is (XEP-0060, 0163, 0222, 0223).
//!
//! [`request`] are the questions with their answers, [`event`] the notifications, [`config`] what a node can be set to,
//! [`rules`] who may read and which changes are allowed: pure functions over plain values.
//!
//! Lacks: collections, publishers other than the owner, subscription options and approval of subscriptions.

pub mod config;
mod error;
pub mod event;
pub mod request;
pub mod rules;

#[cfg(test)]
mod tests;

use xmpp::jid::Jid;
use xmpp::xml::Element;

pub use config::{AccessModel, ItemReply, MaxItems, NodeConfig, SendLast};
pub use error::PubSubError;
pub use event::Event;
pub use request::Request;

use crate::{Claim, Malformed, Status};

/// Namespace of requests.
pub const NS: &str = "http://jabber.org/protocol/pubsub";
/// Namespace of requests by the owner of a node.
pub const NS_OWNER: &str = "http://jabber.org/protocol/pubsub#owner";
/// Namespace of notifications.
pub const NS_EVENT: &str = "http://jabber.org/protocol/pubsub#event";
/// Namespace of error conditions.
pub const NS_ERRORS: &str = "http://jabber.org/protocol/pubsub#errors";
/// `FORM_TYPE` of a node's settings.
pub const FORM_NODE_CONFIG: &str = "http://jabber.org/protocol/pubsub#node_config";
/// `FORM_TYPE` of the conditions of a publication (XEP-0060 §7.1.5).
pub const FORM_PUBLISH_OPTIONS: &str = "http://jabber.org/protocol/pubsub#publish-options";

/// What a personal service offers; see the module for what is missing of XEP-0060.
pub const CLAIM: Claim = Claim {
    xep: 60,
    version: "1.30.0",
    status: Status::Partial,
    features: &[
        NS,
        "http://jabber.org/protocol/pubsub#access-open",
        "http://jabber.org/protocol/pubsub#access-presence",
        "http://jabber.org/protocol/pubsub#access-roster",
        "http://jabber.org/protocol/pubsub#access-whitelist",
        "http://jabber.org/protocol/pubsub#auto-create",
        "http://jabber.org/protocol/pubsub#auto-subscribe",
        "http://jabber.org/protocol/pubsub#config-node",
        "http://jabber.org/protocol/pubsub#config-node-max",
        "http://jabber.org/protocol/pubsub#create-and-configure",
        "http://jabber.org/protocol/pubsub#create-nodes",
        "http://jabber.org/protocol/pubsub#delete-items",
        "http://jabber.org/protocol/pubsub#delete-nodes",
        "http://jabber.org/protocol/pubsub#filtered-notifications",
        "http://jabber.org/protocol/pubsub#item-ids",
        "http://jabber.org/protocol/pubsub#last-published",
        "http://jabber.org/protocol/pubsub#manage-subscriptions",
        "http://jabber.org/protocol/pubsub#modify-affiliations",
        "http://jabber.org/protocol/pubsub#multi-items",
        "http://jabber.org/protocol/pubsub#persistent-items",
        "http://jabber.org/protocol/pubsub#publish",
        "http://jabber.org/protocol/pubsub#publish-options",
        "http://jabber.org/protocol/pubsub#purge-nodes",
        "http://jabber.org/protocol/pubsub#retract-items",
        "http://jabber.org/protocol/pubsub#retrieve-affiliations",
        "http://jabber.org/protocol/pubsub#retrieve-default",
        "http://jabber.org/protocol/pubsub#retrieve-items",
        "http://jabber.org/protocol/pubsub#retrieve-subscriptions",
        "http://jabber.org/protocol/pubsub#subscribe",
    ],
};

/// The personal service of an account (XEP-0163): an identity of category `pubsub` and type `pep`.
pub const CLAIM_PEP: Claim = Claim { xep: 163, version: "1.2.2", status: Status::Complete, features: &[] };

/// Longest name of a node and longest id of an item, in bytes.
pub const MAX_NAME_LEN: usize = 1024;

/// Something published under a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Item {
    /// Name within the node; the service makes one where the publisher gives none.
    pub id: Option<String>,
    /// What is published; absent in requests that only name items.
    pub payload: Option<Element>,
    /// Who published it, where the service says so (`pubsub#itemreply`); never the publisher's own word.
    pub publisher: Option<Jid>,
}

impl Item {
    /// Makes an item.
    #[must_use]
    pub fn new(id: &str, payload: Element) -> Self {
        Self { id: Some(id.to_owned()), payload: Some(payload), publisher: None }
    }

    /// Reads an `<item/>` of any of our namespaces.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when there is more than one payload or the id is endless.
    pub fn parse(element: &Element) -> Result<Self, Malformed> {
        let mut children = element.children();
        let payload = children.next().cloned();
        if children.next().is_some() {
            return Err(Malformed("an item holds more than one payload"));
        }
        let publisher = element.attr("publisher").and_then(|publisher| Jid::parse(publisher).ok());
        Ok(Self { id: name_attr(element, "id")?, payload, publisher })
    }

    /// Writes an `<item/>` of the namespace given.
    #[must_use]
    pub fn to_element(&self, ns: &'static str) -> Element {
        Element::new("item", ns)
            .with_attr_opt("id", self.id.as_deref())
            .with_attr_opt("publisher", self.publisher.as_ref().map(Jid::as_str))
            .with_children(self.payload.clone())
    }
}

/// State of a subscription (XEP-0060 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubscriptionState {
    /// Gets no notifications.
    None,
    /// Waits for the owner.
    Pending,
    /// Gets notifications once configured.
    Unconfigured,
    /// Gets notifications.
    Subscribed,
}

impl SubscriptionState {
    const ALL: [Self; 4] = [Self::None, Self::Pending, Self::Unconfigured, Self::Subscribed];

    /// Returns the value of the `subscription` attribute.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pending => "pending",
            Self::Unconfigured => "unconfigured",
            Self::Subscribed => "subscribed",
        }
    }

    /// Reads the value of the `subscription` attribute.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// Relation of an address to a node (XEP-0060 §4.1), as far as a personal service has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Affiliation {
    /// May do everything: the account itself.
    Owner,
    /// May read a node with a white list.
    Member,
    /// None of the others.
    None,
    /// May do nothing.
    Outcast,
}

impl Affiliation {
    const ALL: [Self; 4] = [Self::Owner, Self::Member, Self::None, Self::Outcast];

    /// Returns the value of the `affiliation` attribute.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
            Self::None => "none",
            Self::Outcast => "outcast",
        }
    }

    /// Reads the value of the `affiliation` attribute.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str() == text)
    }
}

/// Reads an attribute that names a node or an item; an empty one counts as absent.
fn name_attr(element: &Element, name: &str) -> Result<Option<String>, Malformed> {
    match element.attr(name) {
        None | Some("") => Ok(None),
        Some(value) if value.len() <= MAX_NAME_LEN => Ok(Some(value.to_owned())),
        Some(_) => Err(Malformed("the name of a node or an item is too long")),
    }
}
