//! Connections to other servers, opened when the broker asks for one.

use std::sync::Arc;

use broker::Peer as KnownPeer;
use broker::federation::{DialFailure, DialRequest};
use net::Service;
use net::certificate::Pin;
use net::dial::{DialError, Endpoint, HostPort, Link, Target};
use net::verify::Trust;
use net::wake::WakeSignal;
use xmpp::stream::Transport;

use super::Shared;
use super::drive::{Peer, Upgrade, drive};
use crate::server::shutdown::{Tasks, Token};

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
            tokio::select! {
                () = shared.stopping.wait() => return,
                () = wanted.woken() => {}
            }
        }
    });
}

async fn dial(shared: Arc<Shared>, request: DialRequest, token: Token) {
    match Box::pin(reach(&shared, request.domain(), request.peer.as_ref())).await {
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
            drive(&shared, session, Peer { connection, wake, upgrade, admission: None }).await;
        }
        Err(failure) => shared.broker.dial_failed(&request, failure),
    }
    drop(token);
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
    let is_permitted = shared.federation.is_enabled && (known.is_some() || shared.federation.permits(domain));
    if !is_permitted {
        return Err(NotReached::NotPermitted);
    }
    let mut target = Target::new(domain, Service::Server);
    let mut tls = shared.dial_tls.clone();
    if let Some(peer) = known {
        target = target.at(peer.addresses.iter().filter_map(|at| HostPort::parse(at)).flat_map(Endpoint::either));
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
