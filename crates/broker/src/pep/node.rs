//! A node on disk.

use prost::Message as _;
use store::{Key, StoreError, Transaction, Value};
use xep::forms::{Form, FormType};
use xep::pubsub::{Affiliation, Item, NodeConfig};
use xmpp::jid::{BareJid, Jid};
use xmpp::time::Timestamp;

use crate::Core;
use crate::tables::{ItemRow, NodeRow, PEP_ITEMS, PEP_NODES};

/// Longest settings that are read back.
const CONFIG_BYTES_MAX: usize = 64 * 1024;
/// Room for what stands around a payload.
const ITEM_SLACK_BYTES: usize = 64 * 1024;

/// A node as it was read, with what a change of it depends on.
#[derive(Clone)]
pub(super) struct Node {
    /// Its settings.
    pub(super) config: NodeConfig,
    /// Everything else.
    pub(super) row: NodeRow,
    as_read: Option<Value>,
}

impl Node {
    /// Makes a node that is not on disk yet.
    pub(super) fn new(name: &str, config: NodeConfig) -> Self {
        Self { config, row: NodeRow { node: name.to_owned(), ..NodeRow::default() }, as_read: None }
    }

    /// Reads a node.
    pub(super) async fn load(core: &Core, account: &BareJid, name: &str) -> Result<Option<Self>, StoreError> {
        let Some(value) = core.store.get(&key(account, name)).await? else { return Ok(None) };
        let row = NodeRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
        let config = parse_config(&row.config).ok_or(StoreError::Altered)?;
        Ok(Some(Self { config, row, as_read: Some(value) }))
    }

    /// Returns its name.
    pub(super) fn name(&self) -> &str {
        &self.row.node
    }

    /// Puts the node into a commit, which fails when somebody else has changed it since it was read.
    pub(super) fn save(&mut self, transaction: &mut Transaction, account: &BareJid) {
        self.row.config = self.config.to_form(FormType::Submit).to_element().to_xml("");
        let key = key(account, self.name());
        transaction.expect(&key, self.as_read.as_ref());
        transaction.put(&key, self.row.encode_to_vec());
    }

    /// Puts the end of the node into a commit.
    pub(super) fn delete(&self, transaction: &mut Transaction, account: &BareJid) {
        let key = key(account, self.name());
        transaction.expect(&key, self.as_read.as_ref());
        transaction.delete(&key);
        for id in &self.row.ids {
            transaction.delete(&item_key(account, self.name(), id));
        }
    }

    /// Adds an item as the newest, in place of an older one with its id, and drops what is too much.
    pub(super) fn add_item(&mut self, transaction: &mut Transaction, account: &BareJid, item: &ItemRow, limit: u32) {
        transaction.put(&item_key(account, self.name(), &item.id), item.encode_to_vec());
        self.row.ids.retain(|id| *id != item.id);
        self.row.ids.push(item.id.clone());
        self.trim(transaction, account, limit);
    }

    /// Drops the oldest items beyond what the settings allow.
    pub(super) fn trim(&mut self, transaction: &mut Transaction, account: &BareJid, limit: u32) {
        let kept = usize::try_from(self.config.max_items.count(limit)).unwrap_or(usize::MAX);
        let excess = self.row.ids.len().saturating_sub(kept);
        for id in self.row.ids.drain(..excess) {
            transaction.delete(&item_key(account, &self.row.node, &id));
        }
    }

    /// Removes items; returns the ids of those that were there.
    pub(super) fn remove_items(
        &mut self,
        transaction: &mut Transaction,
        account: &BareJid,
        ids: &[String],
    ) -> Vec<String> {
        let (removed, kept) = std::mem::take(&mut self.row.ids).into_iter().partition(|id| ids.contains(id));
        self.row.ids = kept;
        for id in &removed {
            transaction.delete(&item_key(account, self.name(), id));
        }
        removed
    }

    /// Tells how an address is listed.
    pub(super) fn affiliation(&self, who: &str) -> Affiliation {
        let listed = |list: &[String]| list.iter().any(|jid| jid == who);
        if listed(&self.row.outcasts) {
            Affiliation::Outcast
        } else if listed(&self.row.members) {
            Affiliation::Member
        } else {
            Affiliation::None
        }
    }

    /// Returns who asked for notifications.
    pub(super) fn subscribers(&self) -> impl Iterator<Item = Jid> {
        self.row.subscribers.iter().filter_map(|jid| Jid::parse(jid).ok())
    }

    /// Reads an item; `None` when it is not there (any more).
    pub(super) async fn item(
        &self,
        core: &Core,
        account: &BareJid,
        id: &str,
    ) -> Result<Option<(Item, Timestamp)>, StoreError> {
        if !self.row.ids.iter().any(|known| known == id) {
            return Ok(None);
        }
        let Some(value) = core.store.get(&item_key(account, self.name(), id)).await? else { return Ok(None) };
        let row = ItemRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
        let max = core.config.pep.item_bytes.saturating_add(ITEM_SLACK_BYTES);
        let payload = xep::document::parse(row.payload.as_bytes(), max).map_err(|_| StoreError::Altered)?;
        Ok(Some((Item { id: Some(row.id), payload: Some(payload) }, Timestamp::from_millis(row.at))))
    }

    /// Reads the newest item.
    pub(super) async fn last(&self, core: &Core, account: &BareJid) -> Result<Option<(Item, Timestamp)>, StoreError> {
        match self.row.ids.last() {
            Some(id) => self.item(core, account, id).await,
            None => Ok(None),
        }
    }
}

/// Lists the names of an account's nodes.
pub(super) async fn names(core: &Core, account: &BareJid) -> Result<Vec<String>, StoreError> {
    let rows = core.store.list(PEP_NODES, account.as_str().as_bytes()).await?;
    let name = |value: &Value| NodeRow::decode(value.as_slice()).map(|row| row.node).map_err(|_| StoreError::Altered);
    rows.iter().map(|(_, value)| name(value)).collect()
}

fn key(account: &BareJid, name: &str) -> Key {
    PEP_NODES.row(account.as_str().as_bytes(), name.as_bytes())
}

fn item_key(account: &BareJid, node: &str, id: &str) -> Key {
    // no address contains NUL, so no two pairs run together
    let owner = format!("{}\0{node}", account.as_str());
    PEP_ITEMS.row(owner.as_bytes(), id.as_bytes())
}

fn parse_config(xml: &str) -> Option<NodeConfig> {
    let element = xep::document::parse(xml.as_bytes(), CONFIG_BYTES_MAX).ok()?;
    NodeConfig::default().apply(&Form::parse(&element).ok()?).ok()
}
