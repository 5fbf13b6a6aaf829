//! Connections that others open.

use std::sync::Arc;

use broker::budget::Charge;
use net::connection::Connection;
use net::listen::{Admission, Arrival, Listener};
use net::tls::ServerTls;
use net::wake::WakeSignal;
use tokio::time::timeout_at;
use xmpp::stream::Transport;

use super::drive::{Peer, Stranger, Upgrade, drive};
use super::{Shared, web};
use crate::server::shutdown::{Tasks, Token};

/// How the connections of a port begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// In clear, with STARTTLS before anything else.
    Plain,
    /// With TLS.
    DirectTls,
}

/// Serves clients at a port until the broker stops; and, where TLS comes first, other servers that say that they are ones.
pub(crate) fn serve_clients(shared: &Arc<Shared>, tasks: &Tasks, listener: Listener, start: Start) {
    serve(shared, tasks, listener, move |shared, arrived, token| async move {
        if let Some(begun) = begin(&shared, arrived, &shared.client_tls, start).await {
            if begun.connection.is_for_servers() && shared.federation.is_enabled {
                talk_with_server(&shared, begun).await;
            } else {
                let wake = WakeSignal::new();
                let session = shared.broker.accept_client_from(
                    begun.transport.clone(),
                    wake.callback(),
                    begun.network.as_deref(),
                );
                drive(&shared, session, begun.into_peer(wake)).await;
            }
        }
        drop(token);
    });
}

/// Serves other servers at a port until the broker stops.
pub(crate) fn serve_servers(shared: &Arc<Shared>, tasks: &Tasks, listener: Listener, start: Start) {
    serve(shared, tasks, listener, move |shared, arrived, token| async move {
        if let Some(begun) = begin(&shared, arrived, &shared.server_tls, start).await {
            talk_with_server(&shared, begun).await;
        }
        drop(token);
    });
}

async fn talk_with_server(shared: &Shared, begun: Begun) {
    let wake = WakeSignal::new();
    let transport = match begun.transport.clone() {
        Transport::Tls(facts) => Transport::Tls(shared.permitted(facts)),
        Transport::Plain => Transport::Plain,
    };
    let session = shared.broker.accept_server_from(transport, wake.callback(), begun.network.as_deref());
    drive(shared, session, begun.into_peer(wake)).await;
}

/// Serves web pages and files at a port until the broker stops.
pub(crate) fn serve_https(shared: &Arc<Shared>, tasks: &Tasks, listener: Listener) {
    serve(shared, tasks, listener, move |shared, arrived, token| async move {
        let Arrived { connection, admission, descriptor, .. } = arrived;
        let Ok((connection, _)) = Box::pin(connection.accept_tls(&shared.https_tls, 0)).await else { return };
        tokio::select! {
            () = shared.stopping.wait() => {}
            () = web::serve(&shared, connection) => {}
        }
        drop((admission, descriptor, token));
    });
}

fn serve<F>(
    shared: &Arc<Shared>,
    tasks: &Tasks,
    listener: Listener,
    handle: impl Fn(Arc<Shared>, Arrived, Token) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let (shared, token) = (Arc::clone(shared), tasks.token());
    tokio::spawn(async move {
        loop {
            let arrival = tokio::select! {
                () = shared.stopping.wait() => return,
                accepted = listener.accept() => accepted,
            };
            let (shared, handle, token) = (Arc::clone(&shared), handle.clone(), token.clone());
            tokio::spawn(async move {
                if let Some(arrived) = admit(&shared, arrival).await {
                    handle(shared, arrived, token).await;
                }
            });
        }
    });
}

/// A connection that was let in.
struct Arrived {
    connection: Connection,
    admission: Admission,
    network: Option<String>,
    descriptor: Charge,
}

/// Lets a connection in, if there is room for it.
async fn admit(shared: &Shared, arrival: Arrival) -> Option<Arrived> {
    let (connection, admission) = arrival.admit(shared.broker.config.limits.pre_auth).await?;
    let network = shared.network(&admission);
    let descriptor = shared.broker.arrival(network.as_deref())?;
    Some(Arrived { connection, admission, network, descriptor })
}

/// A connection whose stream begins.
struct Begun {
    connection: Connection,
    transport: Transport,
    upgrade: Option<Box<Upgrade>>,
    stranger: Stranger,
    descriptor: Charge,
    network: Option<String>,
}

impl Begun {
    fn into_peer(self, wake: WakeSignal) -> Peer {
        let Self { connection, upgrade, stranger, descriptor, .. } = self;
        Peer { connection, wake, upgrade, stranger: Some(stranger), descriptor: Some(descriptor) }
    }
}

/// Brings a new connection to where its stream begins.
async fn begin(shared: &Shared, arrived: Arrived, tls: &ServerTls, start: Start) -> Option<Begun> {
    let Arrived { connection, admission, network, descriptor } = arrived;
    let stranger = Stranger::new(shared, admission);
    let (connection, transport, upgrade) = match start {
        Start::Plain => (connection, Transport::Plain, Some(Box::new(Upgrade::Accept(tls.clone())))),
        Start::DirectTls => {
            let accepting = Box::pin(connection.accept_tls(tls, 0));
            let (connection, facts) = timeout_at(stranger.deadline, accepting).await.ok()?.ok()?;
            (connection, Transport::Tls(facts), None)
        }
    };
    Some(Begun { connection, transport, upgrade, stranger, descriptor, network })
}
