//! From the first row of an account to its last.

use prost::Message as _;
use store::{StoreError, Transaction};
use xmpp::jid::BareJid;
use zeroize::Zeroizing;

use super::{AccountError, names, password};
use crate::Core;
use crate::invites;
use crate::session::month_of;
use crate::tables::{
    ACCOUNTS, ACCOUNTS_OWNER, AccountRow, INVITE_QUOTA, INVITES_OWNER, INVITES_USED, InviteRow, OFFLINE, OFFLINE_QUOTA,
    ROSTER,
};

/// Makes an account. With a token, the invitation is used up in the same commit, so it makes one account only.
///
/// Returns the address. Whether somebody may register without a token is the caller's to decide.
///
/// # Errors
///
/// Why there is no account.
pub async fn create(
    core: &Core,
    typed_name: &str,
    password: &str,
    token: Option<&str>,
) -> Result<BareJid, AccountError> {
    create_at(core, names::parse(core, typed_name)?, password, token).await
}

/// Makes an account in the name of the operator, and returns its address and the password that the broker has made; it
/// is kept nowhere. Names that look official are given only where `is_official` says that this is meant.
///
/// # Errors
///
/// [`AccountError::NameReserved`], or why there is no account.
pub async fn create_by_operator(
    core: &Core,
    typed_name: &str,
    is_official: bool,
) -> Result<(BareJid, Zeroizing<String>), AccountError> {
    let address = names::parse_any(core, typed_name)?;
    if !is_official && names::is_reserved(core, &address) {
        return Err(AccountError::NameReserved);
    }
    let password = password::generate(&*core.env.random);
    Ok((create_at(core, address, &password, None).await?, password))
}

async fn create_at(
    core: &Core,
    address: BareJid,
    password: &str,
    token: Option<&str>,
) -> Result<BareJid, AccountError> {
    // looked at before the slow part, so that asking for names costs nothing but a look
    match token {
        Some(token) => invites::check_name(core, &address, token).await?,
        None if names::is_free(core, &address, None).await? => {}
        None => return Err(AccountError::NameTaken),
    }
    let verifiers = password::verifiers(core, &address, password).await?;
    loop {
        let key = ACCOUNTS.row(ACCOUNTS_OWNER, address.as_str().as_bytes());
        let mut transaction = core.store.transaction();
        if !names::expect_free(core, &mut transaction, &address, token).await? {
            return Err(AccountError::NameTaken);
        }
        let row = AccountRow {
            jid: address.as_str().to_owned(),
            verifiers: verifiers.clone(),
            created_month: month_of(core.env.now()),
            closed: false,
            leaving: false,
        };
        transaction.put(&key, row.encode_to_vec());
        let redeemed = match token {
            Some(token) => Some(invites::redeem_for(core, &mut transaction, &address, token).await?),
            None => None,
        };
        match transaction.commit().await {
            Ok(()) => {
                connect_inviter(core, &address, redeemed.as_ref()).await;
                if let Some(invite) = &redeemed {
                    invites::tell_inviter(core, &address, invite).await;
                }
                return Ok(address);
            }
            Err(StoreError::Conflict) => {} // the name or the invitation is gone, or nearly was: looked at once more
            Err(error) => return Err(error.into()),
        }
    }
}

/// Puts inviter and invited into each other's contact lists, where the invitation says so.
async fn connect_inviter(core: &Core, address: &BareJid, redeemed: Option<&InviteRow>) {
    let inviter = redeemed.filter(|invite| invite.subscribes).and_then(|invite| invite.inviter.as_deref());
    if let Some(inviter) = inviter.and_then(|jid| BareJid::parse(jid).ok()) {
        invites::connect(core, &inviter, address).await;
    }
}

/// Sets another password. Sessions that are open stay open.
///
/// # Errors
///
/// [`AccountError::NotFound`], [`AccountError::InvalidPassword`], [`AccountError::WeakPassword`] or
/// [`AccountError::Store`].
pub async fn change_password(core: &Core, account: &BareJid, password: &str) -> Result<(), AccountError> {
    let verifiers = password::verifiers(core, account, password).await?;
    change(core, account, |row| row.verifiers.clone_from(&verifiers)).await
}

/// Sets a password that the broker makes, ends all sessions, and returns it; it is kept nowhere.
///
/// # Errors
///
/// As [`change_password`].
pub async fn reset_password(core: &Core, account: &BareJid) -> Result<Zeroizing<String>, AccountError> {
    let password = password::generate(&*core.env.random);
    change_password(core, account, &password).await?;
    core.end_sessions(account.as_str());
    Ok(password)
}

async fn change(core: &Core, account: &BareJid, edit: impl Fn(&mut AccountRow)) -> Result<(), AccountError> {
    let key = ACCOUNTS.row(ACCOUNTS_OWNER, account.as_str().as_bytes());
    let _turn = core.turns.take(ACCOUNTS, account.as_str()).await;
    loop {
        let value = core.store.get(&key).await?.ok_or(AccountError::NotFound)?;
        let mut row = AccountRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
        if row.closed {
            return Err(AccountError::NotFound);
        }
        edit(&mut row);
        let mut transaction = core.store.transaction();
        transaction.expect(&key, Some(&value));
        transaction.put(&key, row.encode_to_vec());
        transaction.erase();
        match transaction.commit().await {
            Err(StoreError::Conflict) => {} // another process was faster
            done => return Ok(done?),
        }
    }
}

/// Closes an account: its sessions end, its contacts are told, and everything that was kept for it goes. What remains
/// is the name, marked as used.
///
/// # Errors
///
/// [`AccountError::NotFound`] or [`AccountError::Store`]; what is left then goes at the next try.
pub async fn delete(core: &Core, account: &BareJid) -> Result<(), AccountError> {
    // closed first: from here on nobody signs in and nothing new arrives
    let closed = change(core, account, |row| {
        row.verifiers.clear();
        (row.closed, row.leaving) = (true, true);
    });
    match closed.await {
        // begun before, and not ended: a crash, or a disk that did not obey
        Err(AccountError::NotFound) if core.account(account.as_str()).await?.is_some_and(|row| row.leaving) => {}
        other => other?,
    }
    core.end_sessions(account.as_str());
    // told before the contacts are forgotten, or who is interrupted in between could tell nobody any more
    for contact in crate::roster::load_all(core, account.as_str()).await? {
        if let Ok(jid) = BareJid::parse(&contact.jid) {
            Box::pin(crate::presence::part(core, account, &jid, contact.state())).await;
        }
    }
    remove_all(core, account).await
}

/// Finishes the closing of accounts that was interrupted. Returns how many there were; to be called now and then.
///
/// # Errors
///
/// As [`delete`].
pub async fn finish_deletions(core: &Core) -> Result<usize, AccountError> {
    let leaving: Vec<_> = core.accounts().await?.into_iter().filter(|row| row.leaving).collect();
    for row in &leaving {
        if let Ok(account) = BareJid::parse(&row.jid) {
            delete(core, &account).await?;
        }
    }
    Ok(leaving.len())
}

/// Removes the rows of an account, table by table.
async fn remove_all(core: &Core, account: &BareJid) -> Result<(), AccountError> {
    let owner = account.as_str().as_bytes();
    crate::upload::remove_of(core, account).await?;
    crate::pep::remove_of(core, account).await?;
    invites::remove_of(core, account).await?;
    let _turn = core.turns.take(OFFLINE, account.as_str()).await; // what is being written goes too
    let mut transaction = core.store.transaction();
    for table in [ROSTER, OFFLINE_QUOTA, INVITE_QUOTA] {
        for (row, _) in core.store.list(table, owner).await? {
            transaction.delete_row(&row);
        }
    }
    transaction.delete(&INVITES_USED.row(INVITES_OWNER, owner));
    delete_seq(core, &mut transaction, owner).await?;
    let key = ACCOUNTS.row(ACCOUNTS_OWNER, owner);
    if let Some(mut row) = core.account(account.as_str()).await? {
        row.leaving = false;
        transaction.put(&key, row.encode_to_vec());
    }
    transaction.erase();
    Ok(transaction.commit().await?)
}

async fn delete_seq(core: &Core, transaction: &mut Transaction, owner: &[u8]) -> Result<(), StoreError> {
    for (seq, _) in core.store.scan_seq(OFFLINE, owner, .., store::Direction::Forward, usize::MAX).await? {
        transaction.delete(&OFFLINE.seq(owner, seq));
    }
    Ok(())
}
