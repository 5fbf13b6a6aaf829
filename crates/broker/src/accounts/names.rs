//! Which names an account may have.

use std::collections::BTreeSet;

use store::{StoreError, Transaction};
use xmpp::jid::BareJid;

use super::AccountError;
use crate::Core;
use crate::tables::{self, ACCOUNTS, ACCOUNTS_OWNER, RESERVED_OWNER};

/// Longest localpart that we give out, in bytes; RFC 7622 allows 1023.
const MAX_LEN: usize = 64;

/// Localparts that look like the operator or a service (RFC 2142, and what people take for one).
pub const RESERVED: &[&str] = &[
    "abuse",
    "account",
    "admin",
    "administrator",
    "billing",
    "broker",
    "daemon",
    "help",
    "hostmaster",
    "info",
    "invite",
    "mailer-daemon",
    "moderator",
    "nobody",
    "noreply",
    "no-reply",
    "official",
    "operator",
    "postmaster",
    "registrar",
    "root",
    "security",
    "server",
    "service",
    "staff",
    "support",
    "sysadmin",
    "system",
    "upload",
    "waxwing",
    "webmaster",
    "www",
    "xmpp",
];

/// Turns what somebody typed into the address of an account: enforced as RFC 7622 §3.3 demands, then by our own rules.
///
/// Letters of several scripts in one name are refused, because such names are made to be mistaken for others (attack
/// X16); Latin with diacritics counts as Latin.
///
/// # Errors
///
/// [`AccountError::InvalidName`], or [`AccountError::NameTaken`] for a reserved one.
pub fn parse(core: &Core, typed: &str) -> Result<BareJid, AccountError> {
    let address = parse_any(core, typed)?;
    if is_reserved(core, &address) { Err(AccountError::NameTaken) } else { Ok(address) }
}

/// As [`parse`], and reserved names are names too: for the operator.
///
/// # Errors
///
/// [`AccountError::InvalidName`].
pub(crate) fn parse_any(core: &Core, typed: &str) -> Result<BareJid, AccountError> {
    let address =
        BareJid::from_parts(Some(typed.trim()), &core.config.domain).map_err(|_| AccountError::InvalidName)?;
    let name = address.localpart().unwrap_or_default();
    if name.len() > MAX_LEN || mixes_scripts(name) || !name.contains(char::is_alphanumeric) {
        return Err(AccountError::InvalidName);
    }
    Ok(address)
}

/// Tells whether a name looks like the operator's or a service's, however it is written.
pub(crate) fn is_reserved(core: &Core, address: &BareJid) -> bool {
    let name = address.localpart().unwrap_or_default();
    let bare = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    let is_kept = |kept: &str| kept == name || bare(kept) == bare(name);
    let more = core.config.accounts.reserved_names.iter().map(String::as_str);
    RESERVED.iter().copied().chain(more).any(is_kept)
}

/// Proposes up to `count` free names that begin like a taken one.
///
/// # Errors
///
/// What the store says.
pub async fn suggest(core: &Core, taken: &BareJid, count: usize) -> Result<Vec<String>, StoreError> {
    let base: String = taken.localpart().unwrap_or_default().chars().take(MAX_LEN / 4).collect();
    let mut found = BTreeSet::new();
    for _ in 0..count * 8 {
        if found.len() >= count {
            break;
        }
        let mut bytes = [0; 2];
        core.env.random.fill(&mut bytes);
        let number = 2 + u16::from_be_bytes(bytes) % 998;
        let Ok(address) = parse(core, &format!("{base}{number}")) else { continue };
        if is_free(core, &address, None).await? {
            found.extend(address.localpart().map(str::to_owned));
        }
    }
    Ok(found.into_iter().collect())
}

/// Tells whether a name is free for somebody who holds `token`: never used, and not kept by another invitation.
///
/// # Errors
///
/// What the store says.
pub async fn is_free(core: &Core, address: &BareJid, token: Option<&str>) -> Result<bool, StoreError> {
    if core.account(address.as_str()).await?.is_some() {
        return Ok(false);
    }
    let kept = crate::invites::reservation(core, address).await?;
    Ok(kept.is_none_or(|kept| Some(kept.token.as_str()) == token))
}

/// As [`is_free`], and makes the commit fail when the answer is another one by then: of two who are told at the same
/// moment that a name is free, one gets it.
///
/// # Errors
///
/// What the store says.
pub(crate) async fn expect_free(
    core: &Core,
    transaction: &mut Transaction,
    address: &BareJid,
    token: Option<&str>,
) -> Result<bool, StoreError> {
    let name = address.as_str().as_bytes();
    let kept_key = tables::RESERVED.row(RESERVED_OWNER, name);
    let kept = core.store.get(&kept_key).await?;
    transaction.expect(&ACCOUNTS.row(ACCOUNTS_OWNER, name), None);
    transaction.expect(&kept_key, kept.as_ref());
    // asked after the row was read: whatever is written from here on lets the commit fail
    is_free(core, address, token).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Other,
}

/// Tells whether a name has letters of Latin, Greek or Cyrillic next to letters of another script.
fn mixes_scripts(name: &str) -> bool {
    let script = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '\u{aa}' | '\u{ba}' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Script::Latin,
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => Script::Greek,
        '\u{400}'..='\u{52f}' | '\u{1c80}'..='\u{1c8f}' | '\u{2de0}'..='\u{2dff}' => Script::Cyrillic,
        _ => Script::Other,
    };
    let mut scripts = name.chars().filter(|c| c.is_alphabetic()).map(script);
    let Some(first) = scripts.next() else { return false };
    scripts.any(|s| s != first)
}
