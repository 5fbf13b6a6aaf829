//! What the operator sees of invitations: the list, and taking one back.
//!
//! An invitation is named by the beginning of its token: enough to tell it from others, too little to use it.

use std::fmt;

use prost::Message as _;
use store::{StoreError, Transaction};
use xmpp::jid::BareJid;
use xmpp::time::Timestamp;

use super::{Invite, link, redeem};
use crate::Core;
use crate::tables::{INVITES, INVITES_OWNER, INVITES_USED, InviteRow, UsedInviteRow};

/// Letters of a token that name it: 30 of its 130 bits.
const ID_LEN: usize = 6;

/// An invitation in the list.
#[derive(Clone, PartialEq, Eq)]
pub struct Listed {
    /// The beginning of its token.
    pub id: String,
    /// The account that made it; the operator where there is none.
    pub inviter: Option<String>,
    /// The address that it keeps for who comes.
    pub address: Option<String>,
    /// The account that was made with it. Only the operator's are still listed then.
    pub used_by: Option<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listed(<redacted>)")
    }
}

/// Why an invitation was not taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevokeError {
    /// No open invitation begins so.
    Unknown,
    /// More than one begins so.
    Ambiguous,
    /// The disk does not obey.
    Store(StoreError),
}

impl From<StoreError> for RevokeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Lists the invitations that are open, and the operator's that were used, the ones that end first coming first.
///
/// # Errors
///
/// What the store says.
pub async fn list(core: &Core) -> Result<Vec<Listed>, StoreError> {
    let mut listed: Vec<Listed> = open(core).await?.into_iter().map(of_row).collect();
    for (_, value) in core.store.list(INVITES_USED, INVITES_OWNER).await? {
        let used = UsedInviteRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
        listed.push(Listed {
            id: used.id,
            inviter: None,
            address: None,
            used_by: Some(used.account),
            expires_at: Timestamp::from_millis(used.expires_at),
        });
    }
    listed.sort_by(|a, b| (a.expires_at, &a.id).cmp(&(b.expires_at, &b.id)));
    Ok(listed)
}

/// Takes back the open invitation whose token begins with `beginning`, and returns it. Whoever holds its link then has
/// an invitation that is over.
///
/// # Errors
///
/// [`RevokeError`].
pub async fn revoke(core: &Core, beginning: &str) -> Result<Listed, RevokeError> {
    let beginning = beginning.to_ascii_lowercase();
    if beginning.is_empty() {
        return Err(RevokeError::Unknown);
    }
    let mut matching = open(core).await?.into_iter().filter(|row| row.token.starts_with(&beginning));
    let row = matching.next().ok_or(RevokeError::Unknown)?;
    if matching.next().is_some() {
        return Err(RevokeError::Ambiguous);
    }
    let key = INVITES.row(INVITES_OWNER, row.token.as_bytes());
    let mut transaction = core.store.transaction();
    let value = core.store.get(&key).await?.ok_or(RevokeError::Unknown)?;
    transaction.expect(&key, Some(&value));
    redeem::delete(core, &mut transaction, &row).await?;
    transaction.delete(&key);
    match transaction.commit().await {
        Ok(()) => Ok(of_row(row)),
        Err(StoreError::Conflict) => Err(RevokeError::Unknown), // somebody has used it at this moment
        Err(error) => Err(error.into()),
    }
}

/// Finds an open invitation of the operator that keeps no name, the one that lasts longest.
///
/// # Errors
///
/// What the store says.
pub async fn open_of_operator(core: &Core) -> Result<Option<Invite>, StoreError> {
    let rows = open(core).await?.into_iter().filter(|row| row.inviter.is_none() && row.jid.is_none());
    Ok(rows.max_by_key(|row| row.expires_at).and_then(|row| show(core, &row)))
}

/// Puts an invitation into the forms in which it is handed on; nothing when its link would be too long.
pub fn show(core: &Core, row: &InviteRow) -> Option<Invite> {
    Some(Invite {
        token: row.token.clone(),
        uri: link::uri(core, row)?,
        landing_url: link::landing_url(core, &row.token),
        code_url: link::code_url(core, &row.token),
        expires_at: Timestamp::from_millis(row.expires_at),
    })
}

/// Remembers who came by an invitation of the operator, in the commit that makes the account. Those of accounts are
/// told to the account instead, and forgotten.
pub(super) fn note_use(transaction: &mut Transaction, account: &BareJid, invite: &InviteRow) {
    if invite.inviter.is_some() {
        return;
    }
    let used =
        UsedInviteRow { id: id(&invite.token), account: account.as_str().to_owned(), expires_at: invite.expires_at };
    transaction.put(&INVITES_USED.row(INVITES_OWNER, account.as_str().as_bytes()), used.encode_to_vec());
}

/// Forgets who came by invitations that are over by now.
pub(super) async fn forget_used(core: &Core, now_millis: i64) -> Result<(), StoreError> {
    let mut transaction = core.store.transaction();
    for (row, value) in core.store.list(INVITES_USED, INVITES_OWNER).await? {
        let used = UsedInviteRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
        if used.expires_at <= now_millis {
            transaction.delete_row(&row);
        }
    }
    transaction.commit().await
}

/// The invitations that are good now.
async fn open(core: &Core) -> Result<Vec<InviteRow>, StoreError> {
    let now = core.date().as_millis();
    let rows = core.store.list(INVITES, INVITES_OWNER).await?;
    let decode = |value: &[u8]| InviteRow::decode(value).map_err(|_| StoreError::Altered);
    let rows: Result<Vec<_>, _> = rows.iter().map(|(_, value)| decode(value.as_slice())).collect();
    Ok(rows?.into_iter().filter(|row| row.expires_at > now).collect())
}

fn of_row(row: InviteRow) -> Listed {
    Listed {
        id: id(&row.token),
        inviter: row.inviter,
        address: row.jid,
        used_by: None,
        expires_at: Timestamp::from_millis(row.expires_at),
    }
}

fn id(token: &str) -> String {
    token.chars().take(ID_LEN).collect()
}
