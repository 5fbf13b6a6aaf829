//! Connections to other servers, opened when the broker asks for one.

use std::sync::Arc;
use std::time::Duration;

use broker::Peer as KnownPeer;
use broker::federation::{DialFailure, DialRequest};
use net::Service;
use net::certificate::Pin;
use net::dial::{DialError, Endpoint, HostPort, Link, Mode, Target};
use net::verify::Trust;
use net::wake::WakeSignal;
use xmpp::stream::Transport;

use super::Shared;
use super::drive::{Peer, Upgrade, drive};
use crate::server::shutdown::{Tasks, Token};

/// How often those are looked at that wait for their turn: the time of some may be over.
const TURN: Duration = Duration::from_secs(1);

/// Answers requests for connections until the broker stops.
pub(crate) fn start_dialling(shared: &Arc<Shared>, tasks: &Tasks) {
    let (shared, token) = (Arc::clone(shared), tasks.token());
    let wanted = WakeSignal::new();
    shared.broker.set_dial_wake(wanted.callback());
    tokio::spawn(async move {
        loop {
            while let Some(request) = shared.broker.poll_dial() {
                tokio::spawn(dial(Arc::clone(&shared), request, token.clone()));
            }
            let has_waiting = shared.broker.waiting_dials() > 0;
            tokio::select! {
                () = shared.stopping.wait() => return,
                () = wanted.woken() => {}
                () = tokio::time::sleep(TURN), if has_waiting => {}
            }
        }
    });
}

async fn dial(shared: Arc<Shared>, request: DialRequest, token: Token) {
    let linked = tokio::select! {
        linked = Box::pin(reach(&shared, request.domain(), request.peer.as_ref())) => linked,
        () = unwanted(&shared, &request) => Err(DialFailure::Timeout),
    };
    match linked {
        Ok(link) => {
            let wake = WakeSignal::new();
            let Link { connection, facts, tls, .. } = link;
            let transport = facts.map_or(Transport::Plain, |facts| Transport::Tls(shared.permitted(facts)));
            let upgrade = Upgrade::Initiate {
                tls,
                domain: request.domain().to_owned(),
                local_domain: shared.broker.config.domain.clone(),
            };
            let Some(session) = shared.broker.dialled(&request, transport, wake.callback()) else { return };
            let upgrade = Some(Box::new(upgrade));
            drive(&shared, session, Peer { connection, wake, upgrade, stranger: None, descriptor: None }).await;
        }
        Err(failure) => shared.broker.dial_failed(&request, failure),
    }
    drop(token);
}

/// Waits until nobody needs the connection any more: whoever asked for it is gone.
async fn unwanted(shared: &Shared, request: &DialRequest) {
    let changed = WakeSignal::new();
    shared.broker.dialling(request, changed.callback());
    while shared.broker.is_wanted(request) {
        changed.woken().await;
    }
}

/// Connects to a domain: at the addresses of a known peer and to its key only, otherwise where DNS says.
async fn reach(shared: &Shared, domain: &str, known: Option<&KnownPeer>) -> Result<Link, DialFailure> {
    try_reach(shared, domain, known).await.map_err(|error| match &error {
        NotReached::NotPermitted => DialFailure::NotFound,
        NotReached::TimedOut => DialFailure::Timeout,
        NotReached::Failed(error) => failure(error),
    })
}

/// Why a domain was not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotReached {
    /// The settings forbid it.
    NotPermitted,
    /// It took too long.
    TimedOut,
    /// Everything was tried.
    Failed(DialError),
}

/// As [`reach`], and says precisely why not.
pub(crate) async fn try_reach(shared: &Shared, domain: &str, known: Option<&KnownPeer>) -> Result<Link, NotReached> {
    let operators = known.filter(|peer| !peer.is_introduced());
    let introduced = known.filter(|peer| peer.is_introduced() && shared.broker.config.by_link.is_some());
    let is_permitted = shared.federation.is_enabled && (operators.is_some() || shared.federation.permits(domain));
    if !is_permitted {
        return Err(NotReached::NotPermitted);
    }
    // such names are in no DNS (RFC 6762 §3), unless the operator has one for them
    if operators.or(introduced).is_none() && domain.ends_with(".local") && shared.federation.dns.is_none() {
        return Err(NotReached::Failed(DialError::NotOffered));
    }
    let mut target = Target::new(domain, Service::Server);
    let mut tls = shared.dial_tls.clone();
    if operators.is_none() {
        target = target.within(shared.addresses.clone());
    }
    if let Some(peer) = operators.or(introduced) {
        let places = peer.addresses.iter().filter_map(|at| HostPort::parse(at));
        // links name places for direct TLS; an operator may have meant either
        let direct = |host| Endpoint { host, mode: Mode::DirectTls };
        target = match operators {
            Some(_) => target.at(places.flat_map(Endpoint::either)),
            None => target.at(places.map(direct)),
        };
        if let Some(pin) = peer.pin {
            tls = tls.with_trust(Trust::pins([Pin::from_bytes(pin)]));
        }
    }
    let connecting = shared.dialler.connect_link(&target, &tls, Some(&shared.broker.config.domain));
    let linked = tokio::time::timeout(shared.broker.config.limits.server_dial, connecting).await;
    linked.map_err(|_| NotReached::TimedOut)?.map_err(NotReached::Failed)
}

/// Says to the senders whether waiting could help.
fn failure(error: &DialError) -> DialFailure {
    if error.is_denial() { DialFailure::NotFound } else { DialFailure::Timeout }
}
