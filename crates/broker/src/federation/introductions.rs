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

/// Whose word an introduction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// An account's, which may know no better than anybody.
    OfAccount,
    /// The broker's own, which has proved its key: it knows where it is.
    ItsOwn,
}

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
    introduce(core, from.bare_str(), introduction, Word::OfAccount).await?;
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
    introduce(core, &inviter.map_err(StanzaError::new)?, introduction, Word::ItsOwn).await
}

/// Remembers a broker in the name of an account, if the rules allow it.
async fn introduce(core: &Core, account: &str, introduction: &Introduction, word: Word) -> Result<(), StanzaError> {
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
    peer.addresses = places(word, at, &peer.addresses);
    if peer != before {
        core.add_peer(peer).await.map_err(|_| StanzaError::new(Condition::InternalServerError))?;
    }
    Ok(())
}

/// Where a broker is, by what is said now and was said before: its own word alone counts; on another's the newest places
/// are tried first, and the oldest are forgotten, so that one that has moved is found and nobody's word stands for ever.
fn places(word: Word, said: &[Endpoint], before: &[String]) -> Vec<String> {
    let before = if word == Word::ItsOwn && !said.is_empty() { &[] } else { before };
    let mut places: Vec<String> = Vec::new();
    for place in said.iter().map(Endpoint::to_text).chain(before.iter().cloned()) {
        if !places.contains(&place) && places.len() < PLACES {
            places.push(place);
        }
    }
    places
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

#[cfg(test)]
mod tests {
    use xep::peer::name_chars;
    use xmpp::stream::DomainCheck;

    use super::*;
    use crate::testing::{World, run};

    fn introduction(places: &[&str]) -> Introduction {
        Introduction {
            domain: format!("tower-{}.local", name_chars(&[7; 32])),
            pin: [7; 32],
            at: places.iter().map(|at| Endpoint::parse(at).expect("a place")).collect(),
            token: None,
        }
    }

    #[test]
    fn b13_nobodys_places_keep_a_broker_from_being_found() {
        let mut world = World::with_config(1, &["north.example"], |config| {
            config.by_link = Some(DomainCheck::new(|_| true));
        });
        let say = |world: &World, account: &str, word: Word, places: &[&str]| {
            let core = world.broker("north.example").core();
            run(introduce(core, account, &introduction(places), word)).expect("allowed");
            core.federation.peers.find(&introduction(&[]).domain).expect("known").addresses
        };
        let dead: Vec<String> = (1..=PLACES).map(|nth| format!("192.0.2.{nth}:5223")).collect();
        let dead: Vec<&str> = dead.iter().map(String::as_str).collect();
        assert_eq!(say(&world, "eve@north.example", Word::OfAccount, &dead), dead);
        let found = say(&world, "bob@north.example", Word::OfAccount, &["198.51.100.1:5223"]);
        assert_eq!(found.first().map(String::as_str), Some("198.51.100.1:5223"), "the newest first");
        assert_eq!(found.len(), PLACES);
        assert_eq!(found.last().map(String::as_str), dead.get(PLACES - 2).copied(), "the oldest falls out");
        let again = say(&world, "bob@north.example", Word::OfAccount, &[dead[2]]);
        assert_eq!((again.len(), &*again[0]), (PLACES, dead[2]), "one that is known moves");
        // it comes itself, with its key
        assert_eq!(say(&world, "bob@north.example", Word::ItsOwn, &["203.0.113.9:5223"]), ["203.0.113.9:5223"]);
        assert_eq!(say(&world, "bob@north.example", Word::ItsOwn, &[]), ["203.0.113.9:5223"], "it does not say");
        world.crash("north.example");
        let core = world.broker("north.example").core();
        assert_eq!(
            core.federation.peers.find(&introduction(&[]).domain).expect("kept").addresses,
            ["203.0.113.9:5223"]
        );
    }
}
