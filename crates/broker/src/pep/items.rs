//! The items of a node: their order, and what they count for.
//!
//! Each item has a row of its own in the order, so that a publication writes a few small rows, however many items there
//! are; the node itself is not written.

use prost::Message as _;
use store::{Direction, Key, StoreError, Transaction, Value};
use xep::pubsub::PubSubError;
use xmpp::jid::BareJid;

use super::PepError;
use crate::Core;
use crate::tables::{ItemOrderRow, ItemRow, PEP_ITEMS, PEP_ORDER, PEP_USAGE, PepUsageRow};

/// What an item counts for beside its payload and its id: its rows.
const ITEM_BYTES: u64 = 512;

/// The name of the row that counts the whole account.
const WHOLE: &[u8] = b"whole";

/// What an item counts for.
pub(crate) fn weight(id: &str, payload: &str) -> u64 {
    ITEM_BYTES.saturating_add(id.len() as u64).saturating_add(payload.len() as u64)
}

/// The owner of the rows of a node's items. No address contains NUL, so no two pairs run together.
fn owner_of(account: &str, node: &str) -> Vec<u8> {
    format!("{account}\0{node}").into_bytes()
}

/// The row that counts a node.
fn usage_key(account: &str, node: &str) -> Key {
    PEP_USAGE.row(account.as_bytes(), format!("node\0{node}").as_bytes())
}

fn decode_usage(value: Option<&Value>) -> Result<PepUsageRow, StoreError> {
    let row = value.map(|value| PepUsageRow::decode(value.as_slice()).map_err(|_| StoreError::Altered));
    Ok(row.transpose()?.unwrap_or_default())
}

async fn read_usage(core: &Core, keys: &[Key; 2]) -> Result<[Option<Value>; 2], StoreError> {
    Ok([core.store.get(&keys[0]).await?, core.store.get(&keys[1]).await?])
}

/// Counts all nodes of an account anew, and puts aside the counts that are damaged: one of them would otherwise keep the
/// account from publishing, and from taking back, for good. For whoever has the turn of its nodes.
async fn recount(core: &Core, account: &BareJid) -> Result<(), StoreError> {
    let owner = account.as_str();
    let mut transaction = core.store.transaction();
    for (row, value) in core.store.list(PEP_USAGE, owner.as_bytes()).await? {
        transaction.expect_row(&row, &value);
        transaction.delete_row(&row);
    }
    let mut whole = PepUsageRow::default();
    for node in super::node::names(core, account).await? {
        let mut usage = PepUsageRow::default();
        let places = owner_of(owner, &node);
        for (_, value) in core.store.scan_seq(PEP_ORDER, &places, .., Direction::Forward, usize::MAX).await? {
            let place = ItemOrderRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
            usage.items = usage.items.saturating_add(1);
            usage.bytes = usage.bytes.saturating_add(place.bytes);
        }
        whole.items = whole.items.saturating_add(usage.items);
        whole.bytes = whole.bytes.saturating_add(usage.bytes);
        if usage.items > 0 {
            transaction.put(&usage_key(owner, &node), usage.encode_to_vec());
        }
    }
    adopt_whole(&mut transaction, owner, whole);
    transaction.commit().await
}

/// One place in the order.
struct Place {
    seq: u64,
    row: ItemOrderRow,
}

/// The items of one node, as they were read and as a commit will leave them.
pub(super) struct Items<'a> {
    core: &'a Core,
    owner: Vec<u8>,
    keys: [Key; 2],
    as_read: [Option<Value>; 2],
    /// The node, then the whole account.
    usage: [PepUsageRow; 2],
    bytes_before: u64,
    /// Places that are gone after the commit, though a scan still finds them.
    gone: Vec<u64>,
}

impl<'a> Items<'a> {
    /// Reads what a change depends on.
    pub(super) async fn load(core: &'a Core, account: &BareJid, node: &str) -> Result<Self, StoreError> {
        let whole = PEP_USAGE.row(account.as_str().as_bytes(), WHOLE);
        let keys = [usage_key(account.as_str(), node), whole];
        let as_read = match read_usage(core, &keys).await {
            Err(StoreError::Altered) => {
                recount(core, account).await?;
                read_usage(core, &keys).await?
            }
            read => read?,
        };
        let usage = [decode_usage(as_read[0].as_ref())?, decode_usage(as_read[1].as_ref())?];
        let (owner, bytes_before) = (owner_of(account.as_str(), node), usage[1].bytes);
        Ok(Self { core, owner, keys, as_read, usage, bytes_before, gone: Vec::new() })
    }

    /// Adds an item as the newest, in place of an older one with its id, and drops what is more than `kept`.
    pub(super) async fn add(
        &mut self,
        transaction: &mut Transaction,
        item: ItemRow,
        kept: u64,
    ) -> Result<(), StoreError> {
        let before = self.find(&item.id).await?;
        let bytes = weight(&item.id, &item.payload);
        let newest = self.scan(Direction::Backward, 1).await?;
        let is_newest = |place: &Place| newest.first().is_some_and(|newest| newest.seq == place.seq);
        let seq = match before {
            // nearly always: a node with one item
            Some(place) if is_newest(&place) => {
                self.count(false, place.row.bytes);
                place.seq
            }
            before => {
                if let Some(place) = before {
                    self.forget(transaction, &place);
                }
                self.core.store.next_seq(PEP_ORDER, &self.owner).await?
            }
        };
        let order = ItemOrderRow { id: item.id.clone(), bytes };
        transaction.put(&PEP_ORDER.seq(&self.owner, seq), order.encode_to_vec());
        transaction.put(&self.item_key(&item.id), ItemRow { seq, ..item }.encode_to_vec());
        self.count(true, bytes);
        self.trim(transaction, kept).await
    }

    /// Drops the oldest items beyond so many.
    pub(super) async fn trim(&mut self, transaction: &mut Transaction, kept: u64) -> Result<(), StoreError> {
        let excess = usize::try_from(self.usage[0].items.saturating_sub(kept)).unwrap_or(usize::MAX);
        if excess == 0 {
            return Ok(());
        }
        // an item that was just added is not found by the scan, so the newest can be one of the excess only with `kept` 0
        for place in self.scan(Direction::Forward, excess).await? {
            self.remove_place(transaction, &place);
        }
        Ok(())
    }

    /// Removes items; returns the ids of those that were there.
    pub(super) async fn remove(
        &mut self,
        transaction: &mut Transaction,
        ids: &[String],
    ) -> Result<Vec<String>, StoreError> {
        let mut removed = Vec::new();
        for id in ids {
            if removed.contains(id) {
                continue;
            }
            if let Some(place) = self.find(id).await? {
                self.remove_place(transaction, &place);
                removed.push(id.clone());
            }
        }
        Ok(removed)
    }

    /// Removes all items.
    pub(super) async fn remove_all(&mut self, transaction: &mut Transaction) -> Result<(), StoreError> {
        for place in self.scan(Direction::Forward, usize::MAX).await? {
            self.remove_place(transaction, &place);
        }
        Ok(())
    }

    /// Makes the counters part of the commit, which fails when somebody else has changed them.
    ///
    /// # Errors
    ///
    /// [`PubSubError::QuotaExceeded`] when the account would have more than it may, and more than before.
    pub(super) fn write(&self, transaction: &mut Transaction) -> Result<(), PepError> {
        let bytes = self.usage[1].bytes;
        if bytes > self.core.config.pep.bytes && bytes > self.bytes_before {
            return Err(PubSubError::QuotaExceeded.into());
        }
        for ((key, as_read), usage) in self.keys.iter().zip(&self.as_read).zip(&self.usage) {
            transaction.expect(key, as_read.as_ref());
            if usage.items == 0 {
                transaction.delete(key);
            } else {
                transaction.put(key, usage.encode_to_vec());
            }
        }
        Ok(())
    }

    fn item_key(&self, id: &str) -> Key {
        PEP_ITEMS.row(&self.owner, id.as_bytes())
    }

    fn remove_place(&mut self, transaction: &mut Transaction, place: &Place) {
        transaction.delete(&self.item_key(&place.row.id));
        self.forget(transaction, place);
    }

    fn forget(&mut self, transaction: &mut Transaction, place: &Place) {
        transaction.delete(&PEP_ORDER.seq(&self.owner, place.seq));
        self.gone.push(place.seq);
        self.count(false, place.row.bytes);
    }

    fn count(&mut self, is_more: bool, bytes: u64) {
        for usage in &mut self.usage {
            if is_more {
                usage.items = usage.items.saturating_add(1);
                usage.bytes = usage.bytes.saturating_add(bytes);
            } else {
                usage.items = usage.items.saturating_sub(1);
                usage.bytes = usage.bytes.saturating_sub(bytes);
            }
        }
    }

    /// Finds the place of an item by its id.
    async fn find(&self, id: &str) -> Result<Option<Place>, StoreError> {
        let Some(value) = self.core.store.get(&self.item_key(id)).await? else { return Ok(None) };
        let item = ItemRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
        if item.seq != 0 {
            let row = ItemOrderRow { bytes: weight(&item.id, &item.payload), id: item.id };
            return Ok(Some(Place { seq: item.seq, row }));
        }
        let all = self.scan(Direction::Forward, usize::MAX).await?;
        Ok(all.into_iter().find(|place| place.row.id == id))
    }

    /// Reads places that stay, from one end.
    async fn scan(&self, direction: Direction, limit: usize) -> Result<Vec<Place>, StoreError> {
        let wanted = limit.saturating_add(self.gone.len());
        let rows = self.core.store.scan_seq(PEP_ORDER, &self.owner, .., direction, wanted).await?;
        let mut places = Vec::new();
        for (seq, value) in rows.into_iter().filter(|(seq, _)| !self.gone.contains(seq)).take(limit) {
            let row = ItemOrderRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
            places.push(Place { seq, row });
        }
        Ok(places)
    }
}

/// Lists the ids of the newest items of a node, oldest first.
pub(super) async fn newest(
    core: &Core,
    account: &BareJid,
    node: &str,
    count: usize,
) -> Result<Vec<String>, StoreError> {
    let owner = owner_of(account.as_str(), node);
    let rows = core.store.scan_seq(PEP_ORDER, &owner, .., Direction::Backward, count).await?;
    let id = |value: &Value| ItemOrderRow::decode(value.as_slice()).map(|row| row.id).map_err(|_| StoreError::Altered);
    rows.iter().rev().map(|(_, value)| id(value)).collect()
}

/// Reads the row of an item.
pub(super) async fn row(core: &Core, account: &BareJid, node: &str, id: &str) -> Result<Option<ItemRow>, StoreError> {
    let key = PEP_ITEMS.row(&owner_of(account.as_str(), node), id.as_bytes());
    let value = core.store.get(&key).await?;
    value.map(|value| ItemRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)).transpose()
}

/// Puts the items of a node of first light into the order, and counts them. Returns what they count for.
pub(crate) async fn adopt(
    store: &store::Store,
    transaction: &mut Transaction,
    account: &str,
    node: &str,
    ids: &[String],
) -> Result<PepUsageRow, StoreError> {
    let owner = owner_of(account, node);
    let mut usage = PepUsageRow::default();
    for id in ids {
        let Some(value) = store.get(&PEP_ITEMS.row(&owner, id.as_bytes())).await? else { continue };
        let item = ItemRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
        let bytes = weight(id, &item.payload);
        let seq = store.next_seq(PEP_ORDER, &owner).await?;
        transaction.put(&PEP_ORDER.seq(&owner, seq), ItemOrderRow { id: id.clone(), bytes }.encode_to_vec());
        usage.items += 1;
        usage.bytes += bytes;
    }
    if usage.items > 0 {
        transaction.put(&usage_key(account, node), usage.encode_to_vec());
    }
    Ok(usage)
}

/// Writes the count of what a whole account has published.
pub(crate) fn adopt_whole(transaction: &mut Transaction, account: &str, usage: PepUsageRow) {
    if usage.items > 0 {
        transaction.put(&PEP_USAGE.row(account.as_bytes(), WHOLE), usage.encode_to_vec());
    }
}
