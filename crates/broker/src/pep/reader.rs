//! What anybody may ask of a personal service, as far as the settings of a node allow.

use store::StoreError;
use xep::pubsub::request::Answer;
use xep::pubsub::rules::{Reader, check_access};
use xep::pubsub::{Affiliation, Item, PubSubError, Request, SendLast, SubscriptionState};
use xmpp::jid::{BareJid, Jid};

use super::items;
use super::node::{self, Node};
use super::{Outcome, PepError, notify};
use crate::tables::{PEP_NODES, RosterRow};
use crate::{Core, roster};

/// Subscriptions that one account may have to one node: its address, and some of its resources.
const SUBSCRIPTIONS_OF_ONE: usize = 8;

/// How somebody stands to an account: what decides is read once and then asked for each node.
pub(super) struct Asker {
    is_owner: bool,
    bare: BareJid,
    contact: Option<RosterRow>,
}

impl Asker {
    /// Looks somebody up in the account's contact list.
    pub(super) async fn load(core: &Core, account: &BareJid, from: &BareJid) -> Result<Self, StoreError> {
        let is_owner = from == account;
        let contact = if is_owner { None } else { roster::load(core, account.as_str(), from.as_str()).await? };
        Ok(Self { is_owner, bare: from.clone(), contact })
    }

    /// Makes the asker of a row of the account's contact list.
    pub(super) fn of(contact: RosterRow) -> Option<Self> {
        Some(Self { is_owner: false, bare: BareJid::parse(&contact.jid).ok()?, contact: Some(contact) })
    }

    /// Returns the asker's address.
    pub(super) fn bare(&self) -> &BareJid {
        &self.bare
    }

    /// Tells whether the asker sees the account's presence; the owner does.
    pub(super) fn sees_presence(&self) -> bool {
        self.is_owner || self.contact.as_ref().is_some_and(|row| row.from)
    }

    /// Tells whether the account sees the asker's presence.
    pub(super) fn shows_presence(&self) -> bool {
        self.is_owner || self.contact.as_ref().is_some_and(|row| row.to)
    }

    /// Decides whether the asker may read a node.
    pub(super) fn check(&self, node: &Node) -> Result<(), PubSubError> {
        let reader = Reader {
            is_owner: self.is_owner,
            affiliation: node.affiliation(self.bare.as_str()),
            sees_presence: self.sees_presence(),
            groups: self.contact.as_ref().map(|row| row.groups.as_slice()).unwrap_or_default(),
        };
        check_access(&node.config, reader)
    }
}

/// Answers what is not the owner's alone; `None` for the rest.
pub(super) async fn answer(core: &Core, account: &BareJid, from: &Jid, asked: &Request) -> Option<Outcome> {
    Some(match asked {
        Request::Items { node, ids, max_items } => read_items(core, account, from, node, ids, *max_items).await,
        Request::Subscribe { node, jid } => subscribe(core, account, from, node, jid, true).await,
        Request::Unsubscribe { node, jid } => subscribe(core, account, from, node, jid, false).await,
        Request::Subscriptions { node } => subscriptions(core, account, from, node.as_deref()).await,
        Request::Affiliations { node } => affiliations(core, account, from, node.as_deref()).await,
        _ => return None,
    })
}

/// Loads a node that somebody may read.
async fn readable(core: &Core, account: &BareJid, from: &Jid, name: &str) -> Result<Node, PepError> {
    let node = Node::load(core, account, name).await?.ok_or(PubSubError::NotFound)?;
    Asker::load(core, account, &from.bare()).await?.check(&node)?;
    Ok(node)
}

async fn read_items(
    core: &Core,
    account: &BareJid,
    from: &Jid,
    name: &str,
    ids: &[String],
    max_items: Option<u32>,
) -> Outcome {
    let node = readable(core, account, from, name).await?;
    let newest = max_items.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let most = core.config.pep.items.try_into().unwrap_or(usize::MAX);
    let wanted: Vec<String> = if ids.is_empty() {
        items::newest(core, account, name, newest.min(most)).await?
    } else {
        ids.iter().take(most).cloned().collect()
    };
    let mut found: Vec<Item> = Vec::new();
    let mut bytes = 0_usize;
    for id in wanted.into_iter().rev() {
        let Some((item, _)) = node.item(core, account, &id).await? else { continue };
        // the newest ones that fit into a stanza; the rest can be asked for by id (XEP-0060 §6.5.4)
        bytes = bytes.saturating_add(item.payload.as_ref().map_or(0, |p| p.to_xml("").len()));
        if !found.is_empty() && bytes > core.config.pep.item_bytes {
            break;
        }
        found.push(item);
    }
    if found.is_empty() && !ids.is_empty() {
        return Err(PubSubError::NotFound.into());
    }
    core.charge_work(from, found.len(), bytes);
    found.reverse();
    Ok(Some(Answer::Items { node: name.to_owned(), items: found }.to_element()))
}

/// Adds or removes a subscription of the asker's own (XEP-0060 §6.1, §6.2).
async fn subscribe(core: &Core, account: &BareJid, from: &Jid, name: &str, jid: &Jid, wanted: bool) -> Outcome {
    if jid.bare_str() != from.bare_str() {
        return Err(PubSubError::InvalidJid.into());
    }
    let _turn = core.turns.take(PEP_NODES, account.as_str()).await;
    loop {
        // leaving is always allowed, whatever the settings have become
        let mut node = if wanted {
            readable(core, account, from, name).await?
        } else {
            Node::load(core, account, name).await?.ok_or(PubSubError::NotFound)?
        };
        let is_listed = node.row.subscribers.iter().any(|listed| listed == jid.as_str());
        if wanted && !is_listed {
            let own = node.subscribers().filter(|other| other.bare_str() == jid.bare_str()).count();
            if node.row.subscribers.len() >= core.config.pep.listed || own >= SUBSCRIPTIONS_OF_ONE {
                return Err(PubSubError::TooManySubscriptions.into());
            }
            node.row.subscribers.push(jid.as_str().to_owned());
            node.check_size()?;
        } else if !wanted {
            if !is_listed {
                return Err(PubSubError::NotSubscribed.into());
            }
            node.row.subscribers.retain(|listed| listed != jid.as_str());
        }
        let mut transaction = core.store.transaction();
        node.save(&mut transaction, account);
        match transaction.commit().await {
            Err(StoreError::Conflict) => continue, // another process was faster
            done => done?,
        }
        if !wanted {
            return Ok(None);
        }
        if node.config.send_last != SendLast::Never {
            notify::last_item(core, account, &node, jid).await?;
        }
        let state = SubscriptionState::Subscribed;
        return Ok(Some(Answer::Subscribed { node: name.to_owned(), jid: jid.clone(), state }.to_element()));
    }
}

/// Lists the asker's own subscriptions.
async fn subscriptions(core: &Core, account: &BareJid, from: &Jid, name: Option<&str>) -> Outcome {
    let mut found = Vec::new();
    for node in nodes(core, account, from, name).await? {
        let own = node.subscribers().filter(|jid| jid.bare_str() == from.bare_str());
        found.extend(own.map(|jid| (node.name().to_owned(), jid)));
    }
    Ok(Some(Answer::Subscriptions(found).to_element()))
}

/// Lists the asker's own affiliations.
async fn affiliations(core: &Core, account: &BareJid, from: &Jid, name: Option<&str>) -> Outcome {
    let is_owner = from.bare_str() == account.as_str();
    let mut found = Vec::new();
    for node in nodes(core, account, from, name).await? {
        let affiliation = if is_owner { Affiliation::Owner } else { node.affiliation(from.bare_str()) };
        if affiliation != Affiliation::None {
            found.push((node.name().to_owned(), affiliation));
        }
    }
    Ok(Some(Answer::Affiliations(found).to_element()))
}

/// Loads one node, or all of an account.
async fn nodes(core: &Core, account: &BareJid, from: &Jid, name: Option<&str>) -> Result<Vec<Node>, PepError> {
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => node::names(core, account).await?,
    };
    let mut nodes = Vec::new();
    for name in names {
        nodes.extend(Node::load(core, account, &name).await?);
    }
    node::charge(core, from, &nodes);
    Ok(nodes)
}
