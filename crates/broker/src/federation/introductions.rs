//! Introductions: brokers that people make known to theirs by the links of those whom they add (`xep::peer`).
//!
//! They count only for names that the key makes itself, never for a name that DNS or a certificate can prove, and never
//! against the operator's peers and rules. The first key of a name stays. Where such a broker listens is a stranger's
//! word, so it is dialled only at addresses that strangers may name, under the budgets of whoever sends there, and proves
//! its key before anything is said. `peer list` shows them, and `peer remove` forgets them.

use xep::peer::{Introduction, makes};
use xep::uri::Endpoint;
use xmpp::jid::Jid;
use xmpp::stanza::{self, Condition, StanzaError};

use crate::Core;
use crate::config::Peer;
use crate::invites;
use crate::iq::{IqKind, IqOutcome, IqRequest, IqTarget};

/// Brokers that one account may introduce.
const PER_ACCOUNT: usize = 20;

/// Places that are kept for one broker.
const PLACES: usize = xep::peer::PLACES_MAX;

/// Answers an introduction: of an account of ours, or of another broker that introduces itself.
pub(crate) async fn handle(core: &Core, request: &IqRequest<'_>) -> IqOutcome {
    if !request.is("introduction", xep::peer::NS) || request.target != IqTarget::Server {
        return IqOutcome::NotMine;
    }
    if request.kind != IqKind::Set {
        return Condition::BadRequest.into();
    }
    let introduction = match Introduction::parse(request.payload) {
        Ok(introduction) => introduction,
        Err(fault) => return IqOutcome::Error(fault.into()),
    };
    let outcome = if request.is_local {
        by_account(core, request.from, &introduction).await
    } else {
        by_broker(core, request.from, &introduction).await
    };
    match outcome {
        Ok(()) => IqOutcome::Result(None),
        Err(error) => IqOutcome::Error(error),
    }
}

/// Somebody here has added somebody there.
async fn by_account(core: &Core, from: &Jid, introduction: &Introduction) -> Result<(), StanzaError> {
    introduce(core, from.bare_str(), introduction).await?;
    if let Some(token) = &introduction.token {
        introduce_ourselves(core, &introduction.domain, token).await;
    }
    Ok(())
}

/// Another broker, whose key has proved its name, comes with an invitation of somebody here.
async fn by_broker(core: &Core, from: &Jid, introduction: &Introduction) -> Result<(), StanzaError> {
    if from.localpart().is_some() || from.domainpart() != introduction.domain {
        return Err(StanzaError::new(Condition::Forbidden));
    }
    let token = introduction.token.as_deref().unwrap_or_default();
    let invite = invites::lookup(core, token).await.map_err(|_| StanzaError::new(Condition::InternalServerError))?;
    let inviter = invite.and_then(|invite| invite.inviter).ok_or(Condition::ItemNotFound);
    introduce(core, &inviter.map_err(StanzaError::new)?, introduction).await
}

/// Remembers a broker on the word of an account, if the rules allow it.
async fn introduce(core: &Core, account: &str, introduction: &Introduction) -> Result<(), StanzaError> {
    let Introduction { domain, pin, at, .. } = introduction;
    let Some(permitted) = &core.config.by_link else {
        return Err(StanzaError::new(Condition::NotAllowed));
    };
    if !makes(pin, domain) || core.is_own_domain(domain) {
        return Err(StanzaError::new(Condition::NotAcceptable));
    }
    let _turn = core.federation.introducing.lock().await;
    let known = core.federation.peers.find(domain);
    let is_operators = known.as_ref().is_some_and(|peer| !peer.is_introduced());
    if known.as_ref().and_then(|peer| peer.pin).is_some_and(|known| known != *pin) {
        return Err(StanzaError::new(Condition::Conflict));
    }
    if is_operators {
        return Ok(()); // the operator knows better
    }
    if !permitted.verifies(domain) {
        return Err(StanzaError::new(Condition::Forbidden));
    }
    let mut peer = known.unwrap_or_else(|| Peer {
        pin: Some(*pin),
        introduced_by: Vec::new(),
        domain: domain.clone(),
        addresses: Vec::new(),
    });
    let before = peer.clone();
    if !peer.introduced_by.iter().any(|by| by == account) {
        if core.federation.peers.introduced_by(account) >= PER_ACCOUNT {
            return Err(StanzaError::new(Condition::ResourceConstraint));
        }
        peer.introduced_by.push(account.to_owned());
    }
    for place in at.iter().map(Endpoint::to_text) {
        if !peer.addresses.contains(&place) && peer.addresses.len() < PLACES {
            peer.addresses.push(place);
        }
    }
    if peer != before {
        core.add_peer(peer).await.map_err(|_| StanzaError::new(Condition::InternalServerError))?;
    }
    Ok(())
}

/// Tells the other broker who we are and where, with the invitation of somebody there.
async fn introduce_ourselves(core: &Core, domain: &str, token: &str) {
    let Some(pin) = core.config.invites.pin.filter(|pin| makes(pin, &core.config.domain)) else { return };
    let own = Introduction {
        domain: core.config.domain.clone(),
        pin,
        at: core.config.invites.at.iter().take(PLACES).cloned().collect(),
        token: Some(token.to_owned()),
    };
    let mut id = [0; 16];
    core.env.random.fill(&mut id);
    let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let iq = stanza::iq("set", &id, Some(domain), own.to_element()).with_attr("from", core.config.domain.as_str());
    crate::route::send(core, &iq).await;
}
