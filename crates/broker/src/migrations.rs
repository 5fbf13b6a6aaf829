//! How stores of earlier versions become stores of this one: see [`store::Migration`].
//!
//! A new table, and a new field whose default is right for old rows, are no migration. Whatever else changes the shape or the
//! meaning of rows that are there gets the next number here, and what it did stays as it is. `tests/sim/first_light.rs` opens
//! a store of the first version.

use prost::Message as _;
use store::{BoxFuture, Migrating, Migration, Store, StoreError};

use crate::pep::items;
use crate::tables::{ACCOUNTS, ACCOUNTS_OWNER, AccountRow, NodeRow, PEP_NODES, PepUsageRow};

/// What has changed since first light, which is number 1.
const MIGRATIONS: &[Migration] = &[
    Migration { number: 2, name: "items of personal services have their order in rows", run: order_items },
    Migration { number: 3, name: "accounts keep no month of last use", run: forget_use },
];

/// Brings a store to the shape that this version knows. Call it before [`crate::Broker::new`], and before reading anything.
///
/// # Errors
///
/// As [`Store::migrate`]: above all [`StoreError::TooNew`], when a newer version has used the store.
pub async fn migrate(store: &Store) -> Result<(), StoreError> {
    store.migrate(MIGRATIONS).await
}

/// Nodes had the ids of their items in one list, which every publication wrote anew.
fn order_items<'a>(migrating: &'a mut Migrating<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
    Box::pin(async move {
        let store = migrating.store().clone();
        for (_, value) in store.list(ACCOUNTS, ACCOUNTS_OWNER).await? {
            let account = AccountRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?.jid;
            let mut whole = PepUsageRow::default();
            for (_, value) in store.list(PEP_NODES, account.as_bytes()).await? {
                let mut node = NodeRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
                let ids = std::mem::take(&mut node.ids);
                let usage = items::adopt(&store, migrating.transaction(), &account, &node.node, &ids).await?;
                whole.items += usage.items;
                whole.bytes += usage.bytes;
                if !ids.is_empty() {
                    let key = PEP_NODES.row(account.as_bytes(), node.node.as_bytes());
                    migrating.transaction().put(&key, node.encode_to_vec());
                }
            }
            items::adopt_whole(migrating.transaction(), &account, whole);
        }
        Ok(())
    })
}

/// Accounts had the month in which they were last used. A field that is not known any more goes when a row is written.
fn forget_use<'a>(migrating: &'a mut Migrating<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
    Box::pin(async move {
        let store = migrating.store().clone();
        for (_, value) in store.list(ACCOUNTS, ACCOUNTS_OWNER).await? {
            let account = AccountRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
            migrating.transaction().put(&ACCOUNTS.row(ACCOUNTS_OWNER, account.jid.as_bytes()), account.encode_to_vec());
        }
        Ok(())
    })
}
