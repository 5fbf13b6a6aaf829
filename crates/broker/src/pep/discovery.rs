//! Which nodes of an account somebody may know of (XEP-0060 §5, XEP-0163 §6).

use store::StoreError;
use xep::disco::{Identity, Info, Item, Items};
use xep::pubsub::{CLAIM, NS};
use xmpp::jid::{BareJid, Jid};

use super::node::{self, Node};
use super::reader::Asker;
use crate::Core;

/// What service discovery says of an account because of its personal service.
pub fn describe(info: &mut Info) {
    info.identities.push(Identity::new("pubsub", "pep", None));
    info.features.extend(CLAIM.features.iter().map(|f| (*f).to_owned()));
}

/// Lists the nodes that somebody may read; of others he does not learn that they exist.
///
/// # Errors
///
/// What the store says.
pub async fn items(core: &Core, account: &BareJid, from: &Jid) -> Result<Items, StoreError> {
    let asker = Asker::load(core, account, &from.bare()).await?;
    let (mut items, mut read) = (Vec::new(), Vec::new());
    for name in node::names(core, account).await? {
        let Some(node) = Node::load(core, account, &name).await? else { continue };
        if asker.check(&node).is_ok() {
            items.push(Item { jid: account.to_jid(), node: Some(name), name: node.config.title.clone() });
        }
        read.push(node);
    }
    node::charge(core, from, &read);
    items.sort_by(|a, b| a.node.cmp(&b.node));
    Ok(Items { node: None, items })
}

/// Describes one node, for who may read it (XEP-0060 §5.3).
///
/// # Errors
///
/// What the store says.
pub async fn node_info(core: &Core, account: &BareJid, from: &Jid, name: &str) -> Result<Option<Info>, StoreError> {
    let Some(node) = Node::load(core, account, name).await? else { return Ok(None) };
    if Asker::load(core, account, &from.bare()).await?.check(&node).is_err() {
        return Ok(None);
    }
    let identity = Identity::new("pubsub", "leaf", node.config.title.as_deref());
    Ok(Some(Info {
        node: Some(name.to_owned()),
        identities: vec![identity],
        features: vec![NS.to_owned()],
        forms: Vec::new(),
    }))
}
