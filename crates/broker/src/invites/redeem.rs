//! What a token is worth, and how it is used up.

use prost::Message as _;
use store::{StoreError, Transaction};
use xmpp::jid::BareJid;

use super::operator;
use crate::Core;
use crate::accounts::{AccountError, names};
use crate::roster::{self, Change};
use crate::tables::{INVITES, INVITES_OWNER, InviteRow, RESERVED, RESERVED_OWNER, ReservedRow, RosterRow};

/// How often an invitation is told that a name is taken.
const QUESTIONS_MAX: u32 = 20;

/// Longest token that is looked up, in bytes.
const TOKEN_MAX: usize = 64;

/// Finds an invitation that is good now.
///
/// # Errors
///
/// What the store says.
pub async fn lookup(core: &Core, token: &str) -> Result<Option<InviteRow>, StoreError> {
    let now = core.date().as_millis();
    Ok(read(core, token).await?.map(|(_, invite)| invite).filter(|invite| invite.expires_at > now))
}

async fn read(core: &Core, token: &str) -> Result<Option<(store::Value, InviteRow)>, StoreError> {
    if token.is_empty() || token.len() > TOKEN_MAX {
        return Ok(None);
    }
    let Some(value) = core.store.get(&INVITES.row(INVITES_OWNER, token.as_bytes())).await? else { return Ok(None) };
    let invite = InviteRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
    Ok(Some((value, invite)))
}

/// Uses an invitation up for a new account, as part of the commit that makes it. Its end was looked at when the token
/// was shown, and not again (XEP-0445 §4).
///
/// # Errors
///
/// [`AccountError::InvalidToken`] or [`AccountError::OtherName`].
pub(crate) async fn redeem_for(
    core: &Core,
    transaction: &mut Transaction,
    address: &BareJid,
    token: &str,
) -> Result<InviteRow, AccountError> {
    let (value, invite) = read(core, token).await?.ok_or(AccountError::InvalidToken)?;
    if !invite.may_register {
        return Err(AccountError::InvalidToken);
    }
    if invite.jid.as_deref().is_some_and(|kept| kept != address.as_str()) {
        return Err(AccountError::OtherName);
    }
    let key = INVITES.row(INVITES_OWNER, token.as_bytes());
    transaction.expect(&key, Some(&value));
    delete(core, transaction, &invite).await?;
    transaction.delete(&key);
    operator::note_use(transaction, address, &invite);
    Ok(invite)
}

/// Asks with an invitation whether a name is free for a new account; the answer no is counted. An invitation that is for
/// one person does not find out who has an account: it answers a few times, and is worth nothing then.
///
/// # Errors
///
/// [`AccountError::InvalidToken`], [`AccountError::OtherName`], [`AccountError::NameTaken`] or
/// [`AccountError::TooManyNames`].
pub(crate) async fn check_name(core: &Core, address: &BareJid, token: &str) -> Result<(), AccountError> {
    // one after the other, or several at once would be told for one question
    let _turn = core.turns.take(INVITES, token.get(..TOKEN_MAX).unwrap_or(token)).await;
    loop {
        // not committed: it only says whether the token fits
        let invite = redeem_for(core, &mut core.store.transaction(), address, token).await?;
        if invite.questions >= QUESTIONS_MAX {
            return Err(AccountError::TooManyNames);
        }
        if names::is_free(core, address, Some(token)).await? {
            return Ok(());
        }
        let Some((value, mut invite)) = read(core, token).await? else { return Err(AccountError::InvalidToken) };
        invite.questions += 1;
        let key = INVITES.row(INVITES_OWNER, token.as_bytes());
        let mut transaction = core.store.transaction();
        transaction.expect(&key, Some(&value));
        transaction.put(&key, invite.encode_to_vec());
        match transaction.commit().await {
            Ok(()) => return Err(AccountError::NameTaken),
            Err(StoreError::Conflict) => {} // another process was faster
            Err(error) => return Err(error.into()),
        }
    }
}

/// Uses an invitation up for somebody who asks to see the inviter's presence. Says whether it was good: the contact is
/// then allowed, and asked in turn by whoever handles the request.
///
/// Source: XEP-0379 §3.5.
///
/// # Errors
///
/// What the store says.
pub async fn redeem_subscription(
    core: &Core,
    account: &BareJid,
    contact: &BareJid,
    token: &str,
) -> Result<bool, StoreError> {
    let now = core.date().as_millis();
    let Some((value, invite)) = read(core, token).await? else { return Ok(false) };
    let is_theirs = invite.inviter.as_deref() == Some(account.as_str());
    if !is_theirs || !invite.is_contact || !invite.subscribes || invite.expires_at <= now || contact == account {
        return Ok(false);
    }
    let key = INVITES.row(INVITES_OWNER, token.as_bytes());
    let mut transaction = core.store.transaction();
    transaction.expect(&key, Some(&value));
    delete(core, &mut transaction, &invite).await?;
    transaction.delete(&key);
    match transaction.commit().await {
        Ok(()) => {}
        Err(StoreError::Conflict) => return Ok(false), // somebody else was faster
        Err(error) => return Err(error),
    }
    let allow = |row: Option<RosterRow>| {
        let mut row = row.unwrap_or_else(|| RosterRow { jid: contact.as_str().to_owned(), ..RosterRow::default() });
        row.approved |= !row.from;
        row.listed = true;
        (Change::Put(row), ())
    };
    Ok(roster::update(core, account.as_str(), contact.as_str(), allow).await.is_ok())
}

/// Puts two accounts of ours into each other's contact lists, with presence (XEP-0401 §5.5).
pub(crate) async fn connect(core: &Core, inviter: &BareJid, invited: &BareJid) {
    if !matches!(core.account_exists(inviter.as_str()).await, Ok(true)) {
        return; // gone since
    }
    for (account, contact) in [(inviter, invited), (invited, inviter)] {
        let both = |row: Option<RosterRow>| {
            let mut row = row.unwrap_or_else(|| RosterRow { jid: contact.as_str().to_owned(), ..RosterRow::default() });
            let saw = row.from;
            (row.to, row.from, row.listed) = (true, true, true);
            (row.pending_out, row.pending_in) = (false, None);
            (Change::Put(row), saw)
        };
        // a full list is no reason to refuse the account that has just been made
        if let Ok(saw) = roster::update(core, account.as_str(), contact.as_str(), both).await {
            crate::presence::tell(core, account, contact, saw, true).await;
        }
    }
}

/// Returns the invitation that keeps a name, while it is good.
pub(crate) async fn reservation(core: &Core, address: &BareJid) -> Result<Option<ReservedRow>, StoreError> {
    let key = RESERVED.row(RESERVED_OWNER, address.as_str().as_bytes());
    let Some(value) = core.store.get(&key).await? else { return Ok(None) };
    let kept = ReservedRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
    let is_over = kept.expires_at <= core.date().as_millis();
    Ok((!is_over).then_some(kept))
}

/// Removes what an invitation keeps besides its own row: the name, unless another invitation keeps it by now.
pub(super) async fn delete(core: &Core, transaction: &mut Transaction, invite: &InviteRow) -> Result<(), StoreError> {
    let Some(jid) = &invite.jid else { return Ok(()) };
    let key = RESERVED.row(RESERVED_OWNER, jid.as_bytes());
    let Some(value) = core.store.get(&key).await? else { return Ok(()) };
    let kept = ReservedRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
    if kept.token == invite.token {
        transaction.expect(&key, Some(&value));
        transaction.delete(&key);
    }
    Ok(())
}

/// Removes the invitations that an account has made.
pub(crate) async fn remove_of(core: &Core, account: &BareJid) -> Result<(), StoreError> {
    remove_where(core, |invite| invite.inviter.as_deref() == Some(account.as_str())).await?;
    Ok(())
}

/// Removes invitations, and returns how many there were.
pub(super) async fn remove_where(core: &Core, is_over: impl Fn(&InviteRow) -> bool) -> Result<usize, StoreError> {
    loop {
        let mut transaction = core.store.transaction();
        let mut removed = 0;
        for (row, value) in core.store.list(INVITES, INVITES_OWNER).await? {
            let invite = InviteRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
            if is_over(&invite) {
                delete(core, &mut transaction, &invite).await?;
                transaction.delete_row(&row);
                removed += 1;
            }
        }
        match transaction.commit().await {
            Err(StoreError::Conflict) => {} // a name that one of them kept was given out just now
            done => return done.map(|()| removed),
        }
    }
}
