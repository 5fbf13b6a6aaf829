//! The personal service of every account: nodes that its owner publishes to and others may read (XEP-0163, XEP-0060).
//!
//! | module | owns |
//! |---|---|
//! | `node` | a node on disk: settings, who is listed |
//! | `items` | its items: their order, what they count for |
//! | `owner` | what the owner asks: publish, retract, make, configure, delete |
//! | `reader` | what others ask: read, subscribe; and who may |
//! | `notify` | who hears of what happened |
//! | `interest` | which resources want to hear of which nodes (XEP-0115, "+notify"), in memory only |
//! | [`discovery`] | which nodes somebody may know of |
//!
//! Rights are looked at when something is read or sent, never when somebody subscribed: who has lost the owner's presence
//! hears nothing more.

pub mod discovery;
pub(crate) mod interest;
pub(crate) mod items;
mod node;
mod notify;
mod owner;
mod reader;

#[cfg(test)]
mod tests;

use store::StoreError;
use xep::pubsub::request::Answer;
use xep::pubsub::{PubSubError, Request};
use xmpp::jid::{BareJid, Jid};
use xmpp::stanza::{Condition, StanzaError};
use xmpp::xml::Element;

pub(crate) use interest::{Interests, contact_changed, handle_answer, handle_presence};
pub(crate) use notify::groups_changed;

use crate::Core;
use crate::iq::{IqKind, IqOutcome, IqRequest, IqTarget};
use crate::tables::PEP_NODES;

/// Bounds of a personal service.
///
/// Source: security-design §6.
#[derive(Debug, Clone)]
pub struct PepLimits {
    /// Largest payload of an item.
    pub item_bytes: usize,
    /// Nodes of an account.
    pub nodes: usize,
    /// Items of a node.
    pub items: u32,
    /// Bytes of all items of an account.
    pub bytes: u64,
    /// Addresses that a node lists, of each kind.
    pub listed: usize,
}

impl Default for PepLimits {
    fn default() -> Self {
        Self { item_bytes: 192 * 1024, nodes: 200, items: 1000, bytes: 16 * 1024 * 1024, listed: 1000 }
    }
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PepError {
    /// By the rules of the service.
    Rule(PubSubError),
    /// By the disk.
    Store(StoreError),
}

impl From<PubSubError> for PepError {
    fn from(error: PubSubError) -> Self {
        Self::Rule(error)
    }
}

impl From<StoreError> for PepError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<&PepError> for StanzaError {
    fn from(error: &PepError) -> Self {
        match error {
            PepError::Rule(rule) => rule.into(),
            PepError::Store(_) => Self::new(Condition::InternalServerError),
        }
    }
}

/// What a request leads to: the child of the answer, if it has one.
type Outcome = Result<Option<Element>, PepError>;

/// Answers requests to the service of an account.
pub async fn handle(core: &Core, request: &IqRequest<'_>) -> IqOutcome {
    let IqTarget::Account(account) = &request.target else { return IqOutcome::NotMine };
    if !Request::is_one(request.payload) {
        return IqOutcome::NotMine;
    }
    match answer(core, account, request).await {
        Ok(child) => IqOutcome::Result(child),
        Err(error) => IqOutcome::Error((&error).into()),
    }
}

async fn answer(core: &Core, account: &BareJid, request: &IqRequest<'_>) -> Outcome {
    let asked = Request::parse(request.payload, request.kind == IqKind::Set)?;
    if !core.account_exists(account.as_str()).await? {
        return of_nobody(request.from, &asked);
    }
    if let Some(outcome) = reader::answer(core, account, request.from, &asked).await {
        return outcome;
    }
    if !request.is_own_account() {
        return Err(PubSubError::Forbidden.into());
    }
    owner::answer(core, account, asked).await
}

/// Answers as an account without nodes would, so that nobody learns which accounts exist.
fn of_nobody(from: &Jid, asked: &Request) -> Outcome {
    match asked {
        Request::Subscriptions { .. } => Ok(Some(Answer::Subscriptions(Vec::new()).to_element())),
        Request::Affiliations { .. } => Ok(Some(Answer::Affiliations(Vec::new()).to_element())),
        Request::Subscribe { jid, .. } | Request::Unsubscribe { jid, .. } if jid.bare_str() != from.bare_str() => {
            Err(PubSubError::InvalidJid.into())
        }
        Request::Items { .. } | Request::Subscribe { .. } | Request::Unsubscribe { .. } => {
            Err(PubSubError::NotFound.into())
        }
        _ => Err(PubSubError::Forbidden.into()),
    }
}

/// Removes all nodes of an account.
pub(crate) async fn remove_of(core: &Core, account: &BareJid) -> Result<(), StoreError> {
    let _turn = core.turns.take(PEP_NODES, account.as_str()).await; // others may be subscribing
    for name in node::names(core, account).await? {
        let Some(node) = node::Node::load(core, account, &name).await? else { continue };
        let mut transaction = core.store.transaction();
        match node.delete(core, &mut transaction, account).await {
            Ok(()) => {}
            Err(PepError::Store(error)) => return Err(error),
            Err(PepError::Rule(_)) => continue, // no rule is against less
        }
        transaction.commit().await?;
    }
    Ok(())
}
