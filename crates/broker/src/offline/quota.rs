//! [`Room`]: how full an offline queue is, and whose messages fill it.
//!
//! One row counts the whole queue. Beside it, one row counts what a sender has in it and one what a remote domain has, so
//! that a stranger who fills his share leaves room for everybody else. Every change writes the row of the whole queue, so
//! a commit that expects that row as it was read needs no other expectation.

use std::collections::BTreeMap;

use prost::Message;
use store::{Direction, Key, StoreError, Transaction, Value};
use xmpp::jid::Jid;
use xmpp::xml::Frame;

use super::parse_stanza;
use crate::Core;
use crate::core::Place;
use crate::federation::{STRANGERS, is_self_made, registered_domain};
use crate::tables::{OFFLINE, OFFLINE_QUOTA, OfflineQuotaRow, OfflineRow};

/// The name of the row that counts the whole queue. The names of the others have a space in them.
const WHOLE: &str = "quota";

/// What the queue of one account holds, as read and as a commit will leave it.
pub(super) struct Room<'a> {
    core: &'a Core,
    account: &'a str,
    whole_as_read: Option<Value>,
    /// Bytes by the name of the row.
    counters: BTreeMap<String, u64>,
}

impl<'a> Room<'a> {
    /// Reads how full the queue is. Before anything else that the commit rests on.
    pub(super) async fn read(core: &'a Core, account: &'a str) -> Result<Self, StoreError> {
        let whole_as_read = core.store.get(&key(account, WHOLE)).await?;
        let whole = bytes_of(whole_as_read.as_ref())?;
        Ok(Self { core, account, whole_as_read, counters: BTreeMap::from([(WHOLE.to_owned(), whole)]) })
    }

    /// Takes room for a message, and says whether there was any.
    pub(super) async fn take(&mut self, message: &Frame) -> Result<bool, StoreError> {
        let size = message.len() as u64;
        let counters = counters_of(self.core, message);
        for (name, bytes_max) in &counters {
            if self.count(name).await?.saturating_add(size) > *bytes_max {
                return Ok(false);
            }
        }
        for (name, _) in counters {
            *self.counters.entry(name).or_default() += size;
        }
        Ok(true)
    }

    /// Gives back the room of a message, as it was kept.
    pub(super) async fn give_back(&mut self, stanza: &[u8]) -> Result<(), StoreError> {
        let size = stanza.len() as u64;
        let message = parse_stanza(stanza).ok_or(StoreError::Altered)?;
        for (name, _) in counters_of(self.core, &message) {
            let left = self.count(&name).await?.saturating_sub(size);
            self.counters.insert(name, left);
        }
        Ok(())
    }

    async fn count(&mut self, name: &str) -> Result<u64, StoreError> {
        if let Some(bytes) = self.counters.get(name) {
            return Ok(*bytes);
        }
        let value = self.core.store.get(&key(self.account, name)).await?;
        let bytes = bytes_of(value.as_ref())?;
        self.counters.insert(name.to_owned(), bytes);
        Ok(bytes)
    }

    /// Makes the counters part of a commit, which fails when somebody else has changed them.
    pub(super) fn write(&self, transaction: &mut Transaction) {
        transaction.expect(&key(self.account, WHOLE), self.whole_as_read.as_ref());
        for (name, bytes) in &self.counters {
            match *bytes {
                0 => transaction.delete(&key(self.account, name)),
                bytes => transaction.put(&key(self.account, name), OfflineQuotaRow { bytes }.encode_to_vec()),
            }
        }
    }

    /// Counts the whole queue anew, as part of a commit, which [`Room::write`] completes; `None` when there is nothing to
    /// commit. Rows that are damaged are put aside, counters among them.
    pub(super) async fn recount(
        core: &'a Core,
        account: &'a str,
        transaction: &mut Transaction,
    ) -> Result<Option<Self>, StoreError> {
        let owner = account.as_bytes();
        // first, because a damaged row that is read by its name stays where it is
        let known = core.store.list(OFFLINE_QUOTA, owner).await?;
        let mut room = Self::read(core, account).await?;
        let rows = core.store.scan_seq(OFFLINE, owner, .., Direction::Forward, usize::MAX).await?;
        if known.is_empty() && rows.is_empty() {
            return Ok(None);
        }
        room.counters = BTreeMap::from([(WHOLE.to_owned(), 0)]);
        for (_, value) in rows {
            let row = OfflineRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
            let message = parse_stanza(&row.stanza).ok_or(StoreError::Altered)?;
            for (name, _) in counters_of(core, &message) {
                *room.counters.entry(name).or_default() += row.stanza.len() as u64;
            }
        }
        for (row, _) in known {
            transaction.delete_row(&row);
        }
        Ok(Some(room))
    }
}

fn key(account: &str, name: &str) -> Key {
    OFFLINE_QUOTA.row(account.as_bytes(), name.as_bytes())
}

fn bytes_of(value: Option<&Value>) -> Result<u64, StoreError> {
    let row = value.map(|value| OfflineQuotaRow::decode(value.as_slice()).map_err(|_| StoreError::Altered));
    Ok(row.transpose()?.unwrap_or_default().bytes)
}

/// Lists the counters that a message is part of, each with its bound: the queue's, its sender's, his domain's where that
/// is another server, and that of all brokers together that name themselves, which bounds those whom nobody here knows.
fn counters_of(core: &Core, message: &Frame) -> Vec<(String, u64)> {
    let limits = &core.config.limits;
    let share = |divisor: u32| limits.offline_bytes / u64::from(divisor.max(1));
    let mut counters = vec![(WHOLE.to_owned(), limits.offline_bytes)];
    let Some(from) = message.attr("from").and_then(|from| Jid::parse(&from).ok()) else { return counters };
    counters.push((format!("sender {}", from.bare_str()), share(limits.offline_sender_divisor)));
    if let Place::Remote(domain) = core.place(&from) {
        let bytes_max = share(limits.offline_domain_divisor);
        counters.push((format!("domain {}", registered_domain(domain)), bytes_max));
        if is_self_made(domain) {
            // counted whether they are known or not, because that may change before it is given back
            let is_stranger = core.federation.source_of(domain) == STRANGERS;
            counters.push(("all strangers".to_owned(), if is_stranger { bytes_max } else { limits.offline_bytes }));
        }
    }
    counters
}
