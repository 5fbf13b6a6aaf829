//! A node on disk.

use prost::Message as _;
use store::{Key, StoreError, Transaction, Value};
use xep::forms::{Form, FormType};
use xep::pubsub::{Affiliation, Item, ItemReply, NodeConfig, PubSubError};
use xmpp::jid::{BareJid, Jid};
use xmpp::time::Timestamp;

use super::PepError;
use super::items::{self, Items};
use crate::Core;
use crate::tables::{NodeRow, PEP_NODES};

/// Longest name.
const NAME_BYTES_MAX: usize = 1024;
/// Longest list of one kind.
const LIST_BYTES_MAX: usize = 64 * 1024;
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

    /// Refuses a node whose row would be too large. What is written must also be read again.
    pub(super) fn check_size(&self) -> Result<(), PubSubError> {
        let bytes = |list: &[String]| list.iter().map(String::len).sum::<usize>();
        let longest = [&self.row.subscribers, &self.row.members, &self.row.outcasts].map(|list| bytes(list));
        if longest.into_iter().any(|bytes| bytes > LIST_BYTES_MAX) {
            return Err(PubSubError::TooManySubscriptions);
        }
        let config = self.config.to_form(FormType::Submit).to_element().to_xml("");
        if self.name().len() > NAME_BYTES_MAX || config.len() > CONFIG_BYTES_MAX {
            return Err(PubSubError::NotAcceptable);
        }
        Ok(())
    }

    /// Lets a commit fail when somebody else has changed the node since it was read, without writing it.
    pub(super) fn expect(&self, transaction: &mut Transaction, account: &BareJid) {
        transaction.expect(&key(account, self.name()), self.as_read.as_ref());
    }

    /// Tells whether it is on disk.
    pub(super) fn is_new(&self) -> bool {
        self.as_read.is_none()
    }

    /// Puts the end of the node and of its items into a commit.
    pub(super) async fn delete(
        &self,
        core: &Core,
        transaction: &mut Transaction,
        account: &BareJid,
    ) -> Result<(), PepError> {
        let key = key(account, self.name());
        transaction.expect(&key, self.as_read.as_ref());
        transaction.delete(&key);
        let mut items = Items::load(core, account, self.name()).await?;
        items.remove_all(transaction).await?;
        items.write(transaction)
    }

    /// How many items its settings keep.
    pub(super) fn kept(&self, core: &Core) -> u64 {
        if self.config.persist { u64::from(self.config.max_items.count(core.config.pep.items)) } else { 0 }
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
        let Some(row) = items::row(core, account, self.name(), id).await? else { return Ok(None) };
        let max = core.config.pep.item_bytes.saturating_add(ITEM_SLACK_BYTES);
        let payload = xep::document::parse(row.payload.as_bytes(), max).map_err(|_| StoreError::Altered)?;
        let item = self.signed(account, Item { id: Some(row.id), payload: Some(payload), publisher: None });
        Ok(Some((item, Timestamp::from_millis(row.at))))
    }

    /// Names the publisher of an item where the settings say so: the owner, because nobody else publishes here
    /// (XEP-0060 §7.1.2.3).
    pub(super) fn signed(&self, account: &BareJid, item: Item) -> Item {
        let publisher = (self.config.item_reply == ItemReply::Publisher).then(|| account.to_jid());
        Item { publisher, ..item }
    }

    /// Reads the newest item.
    pub(super) async fn last(&self, core: &Core, account: &BareJid) -> Result<Option<(Item, Timestamp)>, StoreError> {
        match items::newest(core, account, self.name(), 1).await?.first() {
            Some(id) => self.item(core, account, id).await,
            None => Ok(None),
        }
    }
}

/// Charges whoever asked for nodes: each was read twice, for its name and for itself.
pub(super) fn charge(core: &Core, asker: &Jid, nodes: &[Node]) {
    let bytes: usize = nodes.iter().map(|node| node.row.encoded_len()).sum();
    core.charge_work(asker, 2 * nodes.len(), 2 * bytes);
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

fn parse_config(xml: &str) -> Option<NodeConfig> {
    let element = xep::document::parse(xml.as_bytes(), CONFIG_BYTES_MAX).ok()?;
    NodeConfig::default().apply(&Form::parse(&element).ok()?).ok()
}
