//! What the owner of a personal service asks for.

use store::StoreError;
use xep::forms::Form;
use xep::pubsub::request::Answer;
use xep::pubsub::{Affiliation, Event, Item, NodeConfig, PubSubError, Request, SubscriptionState};
use xmpp::jid::{BareJid, Jid};

use super::items::Items;
use super::node::{self, Node};
use super::{Outcome, PepError, notify};
use crate::Core;
use crate::tables::{ItemRow, PEP_NODES};

/// Answers the owner. Changes are made one after the other, and told in the order in which they were made.
pub(super) async fn answer(core: &Core, account: &BareJid, asked: Request) -> Outcome {
    let _turn = core.turns.take(PEP_NODES, account.as_str()).await;
    loop {
        match attempt(core, account, &asked).await {
            Err(PepError::Store(StoreError::Conflict)) => {} // another process was faster
            outcome => return outcome,
        }
    }
}

async fn attempt(core: &Core, account: &BareJid, asked: &Request) -> Outcome {
    let answer = match asked {
        Request::Create { node, configure } => return create(core, account, node.as_deref(), configure.as_ref()).await,
        Request::Publish { node, item, options } => return publish(core, account, node, item, options.as_ref()).await,
        Request::Retract { node, ids, notify } => return retract(core, account, node, ids, *notify).await,
        Request::Configure { node, form } => return configure(core, account, node, form.as_ref()).await,
        Request::Delete { node } => return delete(core, account, node).await,
        Request::Purge { node } => return purge(core, account, node).await,
        Request::ModifySubscriptions { node, changes } => {
            return modify(core, account, node, |node| change_subscriptions(node, changes)).await;
        }
        Request::ModifyAffiliations { node, changes } => {
            return modify(core, account, node, |node| change_affiliations(core, node, changes)).await;
        }
        Request::DefaultConfig => Answer::DefaultConfig(Box::default()),
        Request::Configuration { node } => {
            Answer::Configuration { node: node.clone(), config: Box::new(load(core, account, node).await?.config) }
        }
        Request::NodeSubscriptions { node } => {
            let subscribers = load(core, account, node).await?.subscribers().collect();
            Answer::NodeSubscriptions { node: node.clone(), subscribers }
        }
        Request::NodeAffiliations { node } => {
            let affiliations = affiliations(&load(core, account, node).await?, account);
            Answer::NodeAffiliations { node: node.clone(), affiliations }
        }
        _ => return Err(PubSubError::BadRequest("an unknown request").into()),
    };
    Ok(Some(answer.to_element()))
}

async fn load(core: &Core, account: &BareJid, name: &str) -> Result<Node, PepError> {
    Node::load(core, account, name).await?.ok_or(PubSubError::NotFound.into())
}

/// Makes a node in memory, if there is room for another.
async fn fresh(core: &Core, account: &BareJid, name: &str, form: Option<&Form>) -> Result<Node, PepError> {
    let config = match form {
        Some(form) => NodeConfig::default().apply(form)?,
        None => NodeConfig::default(),
    };
    if node::names(core, account).await?.len() >= core.config.pep.nodes {
        return Err(PubSubError::TooManyNodes.into());
    }
    let node = Node::new(name, config);
    node.check_size()?;
    Ok(node)
}

async fn create(core: &Core, account: &BareJid, name: Option<&str>, form: Option<&Form>) -> Outcome {
    let chosen = name.map_or_else(|| core.env.random_id(), str::to_owned);
    if Node::load(core, account, &chosen).await?.is_some() {
        return Err(PubSubError::NodeExists.into());
    }
    let mut node = fresh(core, account, &chosen, form).await?;
    let mut transaction = core.store.transaction();
    node.save(&mut transaction, account);
    transaction.commit().await?;
    Ok(name.is_none().then(|| Answer::Created(chosen).to_element()))
}

/// Publishes an item, making the node first where there is none (XEP-0060 §7.1).
async fn publish(core: &Core, account: &BareJid, name: &str, item: &Item, options: Option<&Form>) -> Outcome {
    let payload = item.payload.as_ref().ok_or(PubSubError::PayloadRequired)?;
    let xml = payload.to_xml("");
    if xml.len() > core.config.pep.item_bytes {
        return Err(PubSubError::PayloadTooBig.into());
    }
    let mut node = match Node::load(core, account, name).await? {
        None => fresh(core, account, name, options).await?,
        Some(node) => {
            if let Some(options) = options {
                node.config.check_preconditions(options)?;
            }
            node
        }
    };
    let id = item.id.clone().unwrap_or_else(|| core.env.random_id());
    let row = ItemRow { id: id.clone(), payload: xml, at: core.env.now().as_millis(), seq: 0 };
    let mut transaction = core.store.transaction();
    if node.config.persist {
        let mut items = Items::load(core, account, name).await?;
        items.add(&mut transaction, row, node.kept(core)).await?;
        items.write(&mut transaction)?;
    }
    if node.is_new() {
        node.save(&mut transaction, account);
    } else {
        node.expect(&mut transaction, account);
    }
    transaction.commit().await?;
    let item = Item { id: Some(id.clone()), payload: Some(payload.clone()), publisher: None };
    let item = node.signed(account, item);
    notify::everybody(core, account, &node, Event::published(name, item)).await;
    Ok(Some(Answer::Published { node: name.to_owned(), id }.to_element()))
}

async fn retract(core: &Core, account: &BareJid, name: &str, ids: &[String], notify: Option<bool>) -> Outcome {
    let node = load(core, account, name).await?;
    let mut transaction = core.store.transaction();
    let mut items = Items::load(core, account, name).await?;
    let removed = items.remove(&mut transaction, ids).await?;
    if removed.is_empty() {
        return Err(PubSubError::NotFound.into());
    }
    items.write(&mut transaction)?;
    node.expect(&mut transaction, account);
    transaction.commit().await?;
    if notify.unwrap_or(node.config.notify_retract) {
        notify::everybody(core, account, &node, Event::retracted(name, removed)).await;
    }
    Ok(None)
}

async fn configure(core: &Core, account: &BareJid, name: &str, form: Option<&Form>) -> Outcome {
    let mut node = load(core, account, name).await?;
    let Some(form) = form else { return Ok(None) };
    let before = node.clone();
    node.config = node.config.apply(form)?;
    node.check_size()?;
    let mut transaction = core.store.transaction();
    let mut items = Items::load(core, account, name).await?;
    items.trim(&mut transaction, node.kept(core)).await?;
    items.write(&mut transaction)?;
    node.save(&mut transaction, account);
    transaction.commit().await?;
    if node.config.notify_config {
        let config = Some(Box::new(node.config.clone()));
        notify::everybody(core, account, &node, Event::Configured { node: name.to_owned(), config }).await;
    }
    // the change is on disk; what cannot be read now is not sent, and clients ask for what they need
    let _ = notify::newly_readable(core, account, &before, &node).await;
    Ok(None)
}

async fn delete(core: &Core, account: &BareJid, name: &str) -> Outcome {
    let node = load(core, account, name).await?;
    let mut transaction = core.store.transaction();
    node.delete(core, &mut transaction, account).await?;
    transaction.commit().await?;
    if node.config.notify_delete {
        notify::everybody(core, account, &node, Event::Deleted { node: name.to_owned() }).await;
    }
    Ok(None)
}

async fn purge(core: &Core, account: &BareJid, name: &str) -> Outcome {
    let node = load(core, account, name).await?;
    let mut transaction = core.store.transaction();
    let mut items = Items::load(core, account, name).await?;
    items.remove_all(&mut transaction).await?;
    items.write(&mut transaction)?;
    node.expect(&mut transaction, account);
    transaction.commit().await?;
    notify::everybody(core, account, &node, Event::Purged { node: name.to_owned() }).await;
    Ok(None)
}

/// Changes a node that exists. Nobody is told but those who may read it since now.
async fn modify(
    core: &Core,
    account: &BareJid,
    name: &str,
    change: impl Fn(&mut Node) -> Result<(), PubSubError>,
) -> Outcome {
    let mut node = load(core, account, name).await?;
    let before = node.clone();
    change(&mut node)?;
    node.check_size()?;
    let mut transaction = core.store.transaction();
    node.save(&mut transaction, account);
    transaction.commit().await?;
    let _ = notify::newly_readable(core, account, &before, &node).await;
    Ok(None)
}

/// Who is subscribed is removed by the owner and never added: nobody is sent what they did not ask for (XEP-0060 §8.8.2
/// leaves it to the service which changes it takes).
fn change_subscriptions(node: &mut Node, changes: &[(Jid, SubscriptionState)]) -> Result<(), PubSubError> {
    for (jid, state) in changes {
        let is_listed = node.row.subscribers.iter().any(|listed| listed == jid.as_str());
        match state {
            SubscriptionState::None => node.row.subscribers.retain(|listed| listed != jid.as_str()),
            SubscriptionState::Subscribed if is_listed => {}
            _ => return Err(PubSubError::NotAcceptable),
        }
    }
    Ok(())
}

fn change_affiliations(core: &Core, node: &mut Node, changes: &[(BareJid, Affiliation)]) -> Result<(), PubSubError> {
    for (jid, affiliation) in changes {
        node.row.members.retain(|listed| listed != jid.as_str());
        node.row.outcasts.retain(|listed| listed != jid.as_str());
        match affiliation {
            Affiliation::None => {}
            Affiliation::Member => node.row.members.push(jid.as_str().to_owned()),
            Affiliation::Outcast => node.row.outcasts.push(jid.as_str().to_owned()),
            // a personal service has one owner
            Affiliation::Owner => return Err(PubSubError::NotAcceptable),
        }
    }
    let most = node.row.members.len().max(node.row.outcasts.len());
    if most > core.config.pep.listed { Err(PubSubError::TooManySubscriptions) } else { Ok(()) }
}

fn affiliations(node: &Node, account: &BareJid) -> Vec<(BareJid, Affiliation)> {
    let listed = |list: &[String], affiliation| {
        list.iter().filter_map(move |jid| Some((BareJid::parse(jid).ok()?, affiliation))).collect::<Vec<_>>()
    };
    let mut all = vec![(account.clone(), Affiliation::Owner)];
    all.extend(listed(&node.row.members, Affiliation::Member));
    all.extend(listed(&node.row.outcasts, Affiliation::Outcast));
    all
}
