//! Who hears of what happened at a node (XEP-0163 §4).

use std::collections::BTreeSet;
use std::sync::Arc;

use store::StoreError;
use xep::pubsub::{Event, SendLast};
use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::xml::{Element, Frame, SharedContent};

use super::node::{self, Node};
use super::reader::Asker;
use crate::route::{MessageType, Stanza};
use crate::tables::RosterRow;
use crate::{Core, roster, route};

/// Tells everybody who may hear of it and wants to: the owner's resources and those of contacts by their capabilities,
/// and whoever has subscribed.
///
/// The change is on disk by now. When the disk does not say who may hear of it, nobody does.
pub(super) async fn everybody(core: &Core, account: &BareJid, node: &Node, event: Event) {
    if !node.config.notify {
        return;
    }
    let event = if node.config.payloads { event } else { event.without_payloads() };
    let content = SharedContent::new("message", &[event.to_element()], ns::CLIENT);
    // however many get it, it lies in memory once, and is charged once to who published it
    let by = core.source(account.as_ref());
    let Ok(charge) = by.charge(content.len()) else { return };
    let content = content.keeping(charge);
    for to in receivers(core, account, node).await.unwrap_or_default() {
        let Ok(to) = Jid::parse(&to) else { continue };
        let frame = Frame::around(&envelope(core, account, &to), &content, ns::CLIENT);
        let stanza = Stanza { frame, from: account.to_jid(), to, by: Arc::clone(&by) };
        // boxed: a route that sends is inside a send that routes
        Box::pin(route::message(core, stanza, MessageType::Headline, None)).await;
    }
}

/// Lists who hears of a node: full addresses where capabilities speak, else what was subscribed.
async fn receivers(core: &Core, account: &BareJid, node: &Node) -> Result<BTreeSet<String>, StoreError> {
    let mut receivers = BTreeSet::new();
    let mut spoken_for = BTreeSet::new();
    let mut add = |bare: &str| {
        let interested = core.interests.interested(bare, node.name());
        if !interested.is_empty() {
            spoken_for.insert(bare.to_owned());
        }
        receivers.extend(interested);
    };
    add(account.as_str());
    for contact in roster::load_all(core, account.as_str()).await? {
        let Some(contact) = Asker::of(contact).filter(Asker::sees_presence) else { continue };
        if contact.check(node).is_ok() {
            add(contact.bare().as_str());
        }
    }
    for jid in node.subscribers() {
        let may_read = Asker::load(core, account, &jid.bare()).await?.check(node).is_ok();
        if may_read && !(jid.is_bare() && spoken_for.contains(jid.as_str())) {
            receivers.insert(jid.as_str().to_owned());
        }
    }
    Ok(receivers)
}

/// Sends the newest item of a node to one address, if there is one.
pub(super) async fn last_item(core: &Core, account: &BareJid, node: &Node, to: &Jid) -> Result<(), StoreError> {
    let Some((item, at)) = node.last(core, account).await? else { return Ok(()) };
    let event = Event::published(node.name(), item);
    let event = if node.config.payloads { event } else { event.without_payloads() };
    let delay =
        Element::new("delay", "urn:xmpp:delay").with_attr("from", account.as_str()).with_attr("stamp", at.to_xep0082());
    let message = envelope(core, account, to).with_child(event.to_element()).with_child(delay);
    let frame = Frame::from_element(&message, ns::CLIENT).without_structure();
    // charged to who gets it: it is sent because they came
    let stanza = Stanza { frame, from: account.to_jid(), to: to.clone(), by: core.source(to) };
    Box::pin(route::message(core, stanza, MessageType::Headline, None)).await;
    Ok(())
}

/// Sends a resource that has become available the newest item of each node that it wants and may read
/// (XEP-0163 §4.3.4).
pub(super) async fn last_items(core: &Core, account: &BareJid, to: &Jid, nodes: &[String]) -> Result<(), StoreError> {
    let asker = Asker::load(core, account, &to.bare()).await?;
    if !asker.sees_presence() {
        return Ok(());
    }
    for name in nodes {
        let Some(node) = Node::load(core, account, name).await? else { continue };
        let is_wanted = node.config.send_last == SendLast::OnSubAndPresence && node.config.notify;
        if is_wanted && asker.check(&node).is_ok() {
            last_item(core, account, &node, to).await?;
        }
    }
    Ok(())
}

/// The settings or lists of a node have changed: contacts who may read it since now and want to get its newest item, as
/// they would have when they came.
pub(super) async fn newly_readable(
    core: &Core,
    account: &BareJid,
    before: &Node,
    after: &Node,
) -> Result<(), StoreError> {
    if after.config.send_last != SendLast::OnSubAndPresence || !after.config.notify {
        return Ok(());
    }
    for contact in roster::load_all(core, account.as_str()).await? {
        let Some(contact) = Asker::of(contact).filter(Asker::sees_presence) else { continue };
        if contact.check(before).is_err() && contact.check(after).is_ok() {
            last_item_to_interested(core, account, after, contact.bare()).await?;
        }
    }
    Ok(())
}

/// A contact was put into other groups: nodes that are for a group may be for him since now.
pub(crate) async fn groups_changed(
    core: &Core,
    account: &BareJid,
    before: RosterRow,
    after: RosterRow,
) -> Result<(), StoreError> {
    let (Some(before), Some(after)) = (Asker::of(before), Asker::of(after)) else { return Ok(()) };
    if !after.sees_presence() {
        return Ok(());
    }
    for name in node::names(core, account).await? {
        let Some(node) = Node::load(core, account, &name).await? else { continue };
        let is_sent = node.config.send_last == SendLast::OnSubAndPresence && node.config.notify;
        if is_sent && before.check(&node).is_err() && after.check(&node).is_ok() {
            last_item_to_interested(core, account, &node, after.bare()).await?;
        }
    }
    Ok(())
}

async fn last_item_to_interested(
    core: &Core,
    account: &BareJid,
    node: &Node,
    contact: &BareJid,
) -> Result<(), StoreError> {
    for resource in core.interests.interested(contact.as_str(), node.name()) {
        if let Ok(resource) = Jid::parse(&resource) {
            last_item(core, account, node, &resource).await?;
        }
    }
    Ok(())
}

/// The message around an event, without it.
fn envelope(core: &Core, account: &BareJid, to: &Jid) -> Element {
    Element::new("message", ns::CLIENT)
        .with_attr("from", account.as_str())
        .with_attr("to", to.as_str())
        .with_attr("type", "headline")
        .with_attr("id", core.env.random_id())
}
