//! Invitations: tokens that make one account, or let one person into a contact list (XEP-0401, XEP-0445, XEP-0379).
//!
//! A token is 130 random bits in letters and digits, good once and for some days. Whoever holds it may choose a free
//! name, unless the invitation keeps one. What the token does to contact lists is decided when it is made: invitations
//! of Waxwing clients touch none (security-design §2.8), those that other clients make do what XEP-0401 says.

mod commands;
mod link;
mod operator;
mod redeem;
mod told;

#[cfg(test)]
mod tests;

use std::time::Duration;

use prost::Message as _;
use store::StoreError;
use xep::uri::Endpoint;
use xmpp::jid::BareJid;
use xmpp::time::Timestamp;

pub use commands::{command_items, handle};
pub(crate) use link::{account_uri, uri};
pub use operator::{Listed, RevokeError, list, open_of_operator, revoke, show};
pub(crate) use redeem::{check_name, connect, redeem_for, remove_of, reservation};
pub use redeem::{lookup, redeem_subscription};
pub(crate) use told::tell_inviter;

use crate::Core;
use crate::accounts::names;
use crate::accounts::password::{STRONG_LEN, random_letters};
use crate::tables::{
    DayQuotaRow, INVITE_QUOTA, INVITES, INVITES_OWNER, InviteRow, RESERVED, RESERVED_OWNER, ReservedRow,
};

/// What an operator can choose about invitations, and what links need to say.
#[derive(Clone)]
pub struct InviteSettings {
    /// How long an invitation is good.
    pub lifetime: Duration,
    /// How many an account may make on one day.
    pub per_day: u64,
    /// The key of this broker, where clients cannot know it from a certificate authority.
    pub pin: Option<[u8; 32]>,
    /// Where this broker listens, where clients cannot know it from DNS.
    pub at: Vec<Endpoint>,
    /// The port at those places for apps that begin in clear, to be shown to people who type it in.
    pub starttls_port: Option<u16>,
    /// Address of the web page without a slash at its end, like `https://example.org:5443`; none where there is no page.
    pub web_base: Option<String>,
}

impl Default for InviteSettings {
    fn default() -> Self {
        let lifetime = Duration::from_secs(7 * 86_400);
        Self { lifetime, per_day: 20, pin: None, at: Vec::new(), starttls_port: None, web_base: None }
    }
}

impl std::fmt::Debug for InviteSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InviteSettings").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// What an invitation is to do.
#[derive(Debug, Clone, Default)]
pub struct Spec {
    /// The account that invites; the operator where there is none.
    pub inviter: Option<BareJid>,
    /// The invitation is to the inviter's contact list, and only besides to an account.
    pub is_contact: bool,
    /// The address that is kept for who comes.
    pub address: Option<BareJid>,
    /// Inviter and invited get into each other's contact lists, with presence.
    pub subscribes: bool,
    /// How long it is good, where not as long as usual.
    pub lifetime: Option<Duration>,
}

/// An invitation to hand on.
#[derive(Clone, PartialEq, Eq)]
pub struct Invite {
    /// The token.
    pub token: String,
    /// The `xmpp:` link.
    pub uri: String,
    /// The page that shows the same.
    pub landing_url: Option<String>,
    /// The address of that page in the characters that make a small code for a camera.
    pub code_url: Option<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Invite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Invite(<redacted>)")
    }
}

/// Why there is no invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InviteError {
    /// The account has made as many as it may today.
    TooMany,
    /// The name that the invitation should keep is taken.
    NameTaken,
    /// The link would be too long.
    TooLong,
    /// The disk does not obey.
    Store(StoreError),
}

impl From<StoreError> for InviteError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl std::fmt::Display for InviteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooMany => "Enough invitations for today.",
            Self::NameTaken => "This name is taken.",
            Self::TooLong => "The link would be too long.",
            Self::Store(_) => "The server cannot save this now.",
        })
    }
}

impl std::error::Error for InviteError {}

/// Makes an invitation.
///
/// # Errors
///
/// Why there is none.
pub async fn create(core: &Core, spec: &Spec) -> Result<Invite, InviteError> {
    // one after the other, because each counts
    let _turn = match &spec.inviter {
        Some(inviter) => Some(core.turns.take(INVITE_QUOTA, inviter.as_str()).await),
        None => None,
    };
    loop {
        match try_create(core, spec).await {
            // somebody else was faster, which happens once for each name: is it still free?
            Err(InviteError::Store(StoreError::Conflict)) => {}
            done => return done,
        }
    }
}

async fn try_create(core: &Core, spec: &Spec) -> Result<Invite, InviteError> {
    let now = core.date();
    let expires_at = now + spec.lifetime.unwrap_or(core.config.invites.lifetime);
    let token = random_letters(&*core.env.random, STRONG_LEN);
    let mut transaction = core.store.transaction();
    if let Some(inviter) = &spec.inviter {
        count(core, &mut transaction, inviter, now).await?;
    }
    if let Some(address) = &spec.address {
        let kept = ReservedRow { token: token.clone(), expires_at: expires_at.as_millis() };
        reserve(core, &mut transaction, address, &kept).await?;
    }
    let row = InviteRow {
        token: token.clone(),
        inviter: spec.inviter.as_ref().map(|j| j.as_str().to_owned()),
        may_register: true,
        jid: spec.address.as_ref().map(|j| j.as_str().to_owned()),
        subscribes: spec.subscribes,
        expires_at: expires_at.as_millis(),
        is_contact: spec.is_contact,
        questions: 0,
    };
    let invite = operator::show(core, &row).ok_or(InviteError::TooLong)?;
    transaction.put(&INVITES.row(INVITES_OWNER, token.as_bytes()), row.encode_to_vec());
    transaction.commit().await?;
    Ok(invite)
}

/// Keeps a name for who comes by an invitation. The commit fails when somebody else got it meanwhile.
async fn reserve(
    core: &Core,
    transaction: &mut store::Transaction,
    address: &BareJid,
    kept: &ReservedRow,
) -> Result<(), InviteError> {
    if !names::expect_free(core, transaction, address, None).await? {
        return Err(InviteError::NameTaken);
    }
    transaction.put(&RESERVED.row(RESERVED_OWNER, address.as_str().as_bytes()), kept.encode_to_vec());
    Ok(())
}

/// Counts one more invitation of today.
async fn count(
    core: &Core,
    transaction: &mut store::Transaction,
    inviter: &BareJid,
    now: Timestamp,
) -> Result<(), InviteError> {
    let key = INVITE_QUOTA.row(inviter.as_str().as_bytes(), b"quota");
    let value = core.store.get(&key).await?;
    let mut quota = match &value {
        Some(value) => DayQuotaRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?,
        None => DayQuotaRow::default(),
    };
    if quota.day != now.day() {
        quota = DayQuotaRow { day: now.day(), used: 0 };
    }
    if quota.used >= core.config.invites.per_day {
        return Err(InviteError::TooMany);
    }
    quota.used += 1;
    transaction.expect(&key, value.as_ref());
    transaction.put(&key, quota.encode_to_vec());
    Ok(())
}

/// Forgets invitations that are over. Returns how many; to be called now and then.
///
/// # Errors
///
/// What the store says.
pub async fn forget_expired(core: &Core) -> Result<usize, StoreError> {
    if !core.may_expire().await? {
        return Ok(0);
    }
    let now = core.date().as_millis();
    operator::forget_used(core, now).await?;
    redeem::remove_where(core, |invite| invite.expires_at <= now).await
}
