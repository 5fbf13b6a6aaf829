//! Questions to a service, and its answers (XEP-0060 §5 to §8).

use xmpp::jid::{BareJid, Jid};
use xmpp::xml::Element;

use super::config::NodeConfig;
use super::name_attr;
use super::{Affiliation, FORM_NODE_CONFIG, FORM_PUBLISH_OPTIONS, Item, NS, NS_OWNER, PubSubError, SubscriptionState};
use crate::Malformed;
use crate::forms::{Form, FormType};

/// What somebody asks of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Make a node.
    Create {
        /// Its name; the service makes one where there is none.
        node: Option<String>,
        /// Its settings where they differ from the defaults.
        configure: Option<Form>,
    },
    /// Publish an item.
    Publish {
        /// Where.
        node: String,
        /// What.
        item: Item,
        /// What the node must be like (XEP-0060 §7.1.5).
        options: Option<Form>,
    },
    /// Take items back.
    Retract {
        /// Where.
        node: String,
        /// Which.
        ids: Vec<String>,
        /// Whether subscribers are to hear of it, where the publisher says so.
        notify: Option<bool>,
    },
    /// Read items.
    Items {
        /// Where.
        node: String,
        /// Which; all of them where there is none.
        ids: Vec<String>,
        /// How many, newest first.
        max_items: Option<u32>,
    },
    /// Get notifications.
    Subscribe {
        /// Of which node.
        node: String,
        /// To which address.
        jid: Jid,
    },
    /// Get none any more.
    Unsubscribe {
        /// Of which node.
        node: String,
        /// To which address.
        jid: Jid,
    },
    /// List the asker's own subscriptions.
    Subscriptions {
        /// At one node only.
        node: Option<String>,
    },
    /// List the asker's own affiliations.
    Affiliations {
        /// At one node only.
        node: Option<String>,
    },
    /// Tell the settings of a new node.
    DefaultConfig,
    /// Tell the settings of a node.
    Configuration {
        /// Which.
        node: String,
    },
    /// Change the settings of a node; `None` leaves them as they are.
    Configure {
        /// Which.
        node: String,
        /// The new settings.
        form: Option<Form>,
    },
    /// Remove a node.
    Delete {
        /// Which.
        node: String,
    },
    /// Remove all items of a node.
    Purge {
        /// Which.
        node: String,
    },
    /// List all subscriptions of a node.
    NodeSubscriptions {
        /// Which.
        node: String,
    },
    /// Change subscriptions of a node.
    ModifySubscriptions {
        /// Which.
        node: String,
        /// Addresses and what becomes of them.
        changes: Vec<(Jid, SubscriptionState)>,
    },
    /// List all affiliations of a node.
    NodeAffiliations {
        /// Which.
        node: String,
    },
    /// Change affiliations of a node.
    ModifyAffiliations {
        /// Which.
        node: String,
        /// Addresses and what becomes of them.
        changes: Vec<(BareJid, Affiliation)>,
    },
}

impl Request {
    /// Recognises the payload of a request.
    #[must_use]
    pub fn is_one(payload: &Element) -> bool {
        payload.is("pubsub", NS) || payload.is("pubsub", NS_OWNER)
    }

    /// Reads the `<pubsub/>` of an IQ of type `set`, or of type `get`.
    ///
    /// # Errors
    ///
    /// The error that the service answers with.
    pub fn parse(pubsub: &Element, is_set: bool) -> Result<Self, PubSubError> {
        let first = pubsub.children().next().ok_or(PubSubError::BadRequest("an empty request"))?;
        if first.ns() != pubsub.ns() {
            return Err(PubSubError::BadRequest("the request is of another namespace"));
        }
        match (pubsub.ns(), is_set) {
            (NS, true) => Self::parse_set(first, pubsub),
            (NS, false) => Self::parse_get(first),
            (_, true) => Self::parse_owner_set(first),
            (_, false) => Self::parse_owner_get(first),
        }
    }

    fn parse_set(what: &Element, pubsub: &Element) -> Result<Self, PubSubError> {
        let beside = |name, meaning| match pubsub.child(name, NS) {
            None => Ok(None),
            Some(parent) => submitted(parent, meaning),
        };
        match what.name() {
            "create" => {
                let configure = beside("configure", FORM_NODE_CONFIG)?;
                Ok(Self::Create { node: name_attr(what, "node")?, configure })
            }
            "publish" => {
                let mut items = what.children().filter(|c| c.is("item", NS));
                let item = Item::parse(items.next().ok_or(PubSubError::ItemRequired)?)
                    .map_err(|_| PubSubError::InvalidPayload)?;
                if items.next().is_some() {
                    return Err(PubSubError::BadRequest("one item at a time"));
                }
                let options = beside("publish-options", FORM_PUBLISH_OPTIONS)?;
                Ok(Self::Publish { node: node(what)?, item, options })
            }
            "retract" => {
                let ids = ids(what)?;
                if ids.is_empty() {
                    return Err(PubSubError::ItemRequired);
                }
                let notify = what.attr("notify").map(|n| matches!(n, "1" | "true"));
                Ok(Self::Retract { node: node(what)?, ids, notify })
            }
            "subscribe" => Ok(Self::Subscribe { node: node(what)?, jid: jid(what)? }),
            "unsubscribe" => Ok(Self::Unsubscribe { node: node(what)?, jid: jid(what)? }),
            "options" => Err(PubSubError::Unsupported("subscription-options")),
            _ => Err(PubSubError::BadRequest("an unknown request")),
        }
    }

    fn parse_get(what: &Element) -> Result<Self, PubSubError> {
        match what.name() {
            "items" => {
                let max_items = match what.attr("max_items") {
                    None => None,
                    Some(n) => Some(n.parse().map_err(|_| PubSubError::BadRequest("max_items is not a number"))?),
                };
                Ok(Self::Items { node: node(what)?, ids: ids(what)?, max_items })
            }
            "subscriptions" => Ok(Self::Subscriptions { node: name_attr(what, "node")? }),
            "affiliations" => Ok(Self::Affiliations { node: name_attr(what, "node")? }),
            "default" => Ok(Self::DefaultConfig),
            "options" => Err(PubSubError::Unsupported("subscription-options")),
            _ => Err(PubSubError::BadRequest("an unknown request")),
        }
    }

    fn parse_owner_get(what: &Element) -> Result<Self, PubSubError> {
        match what.name() {
            "configure" => Ok(Self::Configuration { node: node(what)? }),
            "default" => Ok(Self::DefaultConfig),
            "subscriptions" => Ok(Self::NodeSubscriptions { node: node(what)? }),
            "affiliations" => Ok(Self::NodeAffiliations { node: node(what)? }),
            _ => Err(PubSubError::BadRequest("an unknown request")),
        }
    }

    fn parse_owner_set(what: &Element) -> Result<Self, PubSubError> {
        let node = node(what)?;
        match what.name() {
            "configure" => Ok(Self::Configure { node, form: submitted(what, FORM_NODE_CONFIG)? }),
            "delete" => Ok(Self::Delete { node }),
            "purge" => Ok(Self::Purge { node }),
            "subscriptions" => {
                let changes = what.children().filter(|c| c.is("subscription", NS_OWNER)).map(parse_subscription_change);
                Ok(Self::ModifySubscriptions { node, changes: changes.collect::<Result<_, _>>()? })
            }
            "affiliations" => {
                let changes = what.children().filter(|c| c.is("affiliation", NS_OWNER)).map(parse_affiliation_change);
                Ok(Self::ModifyAffiliations { node, changes: changes.collect::<Result<_, _>>()? })
            }
            _ => Err(PubSubError::BadRequest("an unknown request")),
        }
    }

    /// Writes the `<pubsub/>`, and tells whether it goes into an IQ of type `set`.
    #[must_use]
    pub fn to_element(&self) -> (Element, bool) {
        let named = |name: &'static str, ns: &'static str, node: Option<&String>| {
            Element::new(name, ns).with_attr_opt("node", node.map(String::as_str))
        };
        let plain = |name, node| named(name, NS, node);
        let owner = |name, node: &String| named(name, NS_OWNER, Some(node));
        let by_id = |id: &String| Element::new("item", NS).with_attr("id", id.as_str());
        let (is_set, what) = match self {
            Self::Create { node, .. } => (true, plain("create", node.as_ref())),
            Self::Publish { node, item, .. } => (true, plain("publish", Some(node)).with_child(item.to_element(NS))),
            Self::Retract { node, ids, notify } => {
                let notify = notify.map(|n| if n { "true" } else { "false" });
                let retract = plain("retract", Some(node)).with_attr_opt("notify", notify);
                (true, retract.with_children(ids.iter().map(by_id)))
            }
            Self::Items { node, ids, max_items } => {
                let items = plain("items", Some(node)).with_attr_opt("max_items", max_items.map(|n| n.to_string()));
                (false, items.with_children(ids.iter().map(by_id)))
            }
            Self::Subscribe { node, jid } => (true, plain("subscribe", Some(node)).with_attr("jid", jid.as_str())),
            Self::Unsubscribe { node, jid } => (true, plain("unsubscribe", Some(node)).with_attr("jid", jid.as_str())),
            Self::Subscriptions { node } => (false, plain("subscriptions", node.as_ref())),
            Self::Affiliations { node } => (false, plain("affiliations", node.as_ref())),
            Self::DefaultConfig => (false, named("default", NS_OWNER, None)),
            Self::Configuration { node } => (false, owner("configure", node)),
            Self::Configure { node, form } => {
                let form = form.clone().unwrap_or(Form::new(FormType::Cancel));
                (true, owner("configure", node).with_child(form.to_element()))
            }
            Self::Delete { node } => (true, owner("delete", node)),
            Self::Purge { node } => (true, owner("purge", node)),
            Self::NodeSubscriptions { node } => (false, owner("subscriptions", node)),
            Self::ModifySubscriptions { node, changes } => {
                (true, owner("subscriptions", node).with_children(changes.iter().map(subscription_change)))
            }
            Self::NodeAffiliations { node } => (false, owner("affiliations", node)),
            Self::ModifyAffiliations { node, changes } => {
                (true, owner("affiliations", node).with_children(changes.iter().map(affiliation_change)))
            }
        };
        let pubsub = Element::new("pubsub", what.ns().to_owned()).with_child(what);
        (pubsub.with_children(self.beside()), is_set)
    }

    /// Returns what stands beside the request itself.
    fn beside(&self) -> Option<Element> {
        let wrap = |name: &'static str, form: &Form| Element::new(name, NS).with_child(form.to_element());
        match self {
            Self::Create { configure: Some(form), .. } => Some(wrap("configure", form)),
            Self::Publish { options: Some(form), .. } => Some(wrap("publish-options", form)),
            _ => None,
        }
    }
}

fn subscription_change((jid, state): &(Jid, SubscriptionState)) -> Element {
    Element::new("subscription", NS_OWNER).with_attr("jid", jid.as_str()).with_attr("subscription", state.as_str())
}

fn affiliation_change((jid, affiliation): &(BareJid, Affiliation)) -> Element {
    Element::new("affiliation", NS_OWNER).with_attr("jid", jid.as_str()).with_attr("affiliation", affiliation.as_str())
}

fn parse_subscription_change(element: &Element) -> Result<(Jid, SubscriptionState), PubSubError> {
    let state = element.attr("subscription").and_then(SubscriptionState::parse);
    Ok((jid(element)?, state.ok_or(PubSubError::BadRequest("an unknown state of a subscription"))?))
}

fn parse_affiliation_change(element: &Element) -> Result<(BareJid, Affiliation), PubSubError> {
    let affiliation = element.attr("affiliation").and_then(Affiliation::parse);
    Ok((jid(element)?.bare(), affiliation.ok_or(PubSubError::BadRequest("an affiliation that is not offered"))?))
}

fn node(element: &Element) -> Result<String, PubSubError> {
    name_attr(element, "node")?.ok_or(PubSubError::NodeIdRequired)
}

fn jid(element: &Element) -> Result<Jid, PubSubError> {
    element.attr("jid").and_then(|j| Jid::parse(j).ok()).ok_or(PubSubError::InvalidJid)
}

fn ids(element: &Element) -> Result<Vec<String>, PubSubError> {
    let items = element.children().filter(|c| c.is("item", element.ns()));
    let id = |i: &Element| -> Result<String, PubSubError> {
        name_attr(i, "id")?.ok_or(PubSubError::BadRequest("an item without id"))
    };
    items.map(id).collect()
}

/// Reads the form that an element holds: `None` where there is no form, or one that withdraws.
fn submitted(parent: &Element, meaning: &str) -> Result<Option<Form>, PubSubError> {
    match Form::inside(parent)? {
        None => Ok(None),
        Some(form) if form.form_type == FormType::Cancel => Ok(None),
        Some(form) if form.form_type != FormType::Submit => {
            Err(PubSubError::BadRequest("a form that is not filled in"))
        }
        Some(form) if form.meaning().is_some_and(|m| m != meaning) => {
            Err(PubSubError::BadRequest("a form of another meaning"))
        }
        Some(form) => Ok(Some(form)),
    }
}

/// What a service answers, where it is more than "done".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The node that was made, where the service chose its name.
    Created(String),
    /// The id under which something was published.
    Published {
        /// Where.
        node: String,
        /// Its id.
        id: String,
    },
    /// Items of a node, newest last.
    Items {
        /// Where.
        node: String,
        /// What is there.
        items: Vec<Item>,
    },
    /// What became of a subscription.
    Subscribed {
        /// To which node.
        node: String,
        /// Who.
        jid: Jid,
        /// What became of it.
        state: SubscriptionState,
    },
    /// The asker's subscriptions, by node.
    Subscriptions(Vec<(String, Jid)>),
    /// The asker's affiliations, by node.
    Affiliations(Vec<(String, Affiliation)>),
    /// The settings of a new node.
    DefaultConfig(Box<NodeConfig>),
    /// The settings of a node.
    Configuration {
        /// Which.
        node: String,
        /// The settings.
        config: Box<NodeConfig>,
    },
    /// The subscriptions of a node.
    NodeSubscriptions {
        /// Which.
        node: String,
        /// Who gets notifications.
        subscribers: Vec<Jid>,
    },
    /// The affiliations of a node.
    NodeAffiliations {
        /// Which.
        node: String,
        /// Who stands how to it.
        affiliations: Vec<(BareJid, Affiliation)>,
    },
}

impl Answer {
    /// Writes the `<pubsub/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let named = |name: &'static str, ns: &'static str, node: &str| Element::new(name, ns).with_attr("node", node);
        let subscription = |node: &str, jid: &Jid, state: SubscriptionState| {
            named("subscription", NS, node).with_attr("jid", jid.as_str()).with_attr("subscription", state.as_str())
        };
        let what = match self {
            Self::Created(node) => named("create", NS, node),
            Self::Published { node, id } => {
                named("publish", NS, node).with_child(Element::new("item", NS).with_attr("id", id.as_str()))
            }
            Self::Items { node, items } => {
                named("items", NS, node).with_children(items.iter().map(|i| i.to_element(NS)))
            }
            Self::Subscribed { node, jid, state } => subscription(node, jid, *state),
            Self::Subscriptions(list) => Element::new("subscriptions", NS)
                .with_children(list.iter().map(|(node, jid)| subscription(node, jid, SubscriptionState::Subscribed))),
            Self::Affiliations(list) => Element::new("affiliations", NS).with_children(
                list.iter().map(|(node, a)| named("affiliation", NS, node).with_attr("affiliation", a.as_str())),
            ),
            Self::DefaultConfig(config) => {
                Element::new("default", NS_OWNER).with_child(config.to_form(FormType::Form).to_element())
            }
            Self::Configuration { node, config } => {
                named("configure", NS_OWNER, node).with_child(config.to_form(FormType::Form).to_element())
            }
            Self::NodeSubscriptions { node, subscribers } => named("subscriptions", NS_OWNER, node).with_children(
                subscribers.iter().map(|j| subscription_change(&(j.clone(), SubscriptionState::Subscribed))),
            ),
            Self::NodeAffiliations { node, affiliations } => {
                named("affiliations", NS_OWNER, node).with_children(affiliations.iter().map(affiliation_change))
            }
        };
        Element::new("pubsub", what.ns().to_owned()).with_child(what)
    }
}

/// Reads the items in the answer to [`Request::Items`].
///
/// # Errors
///
/// [`Malformed`] when it is no such answer.
pub fn parse_items(pubsub: &Element) -> Result<(String, Vec<Item>), Malformed> {
    let items = pubsub.child("items", NS).ok_or(Malformed("an answer without items"))?;
    let node = name_attr(items, "node")?.ok_or(Malformed("items without node"))?;
    let items = items.children().filter(|c| c.is("item", NS)).map(Item::parse);
    Ok((node, items.collect::<Result<_, _>>()?))
}

/// Reads the form with the settings in the answer to [`Request::Configuration`].
///
/// # Errors
///
/// [`Malformed`] when it is no such answer.
pub fn parse_configuration(pubsub: &Element) -> Result<Form, Malformed> {
    let configure = pubsub.child("configure", NS_OWNER).ok_or(Malformed("an answer without settings"))?;
    Form::inside(configure)?.ok_or(Malformed("an answer without settings"))
}
