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

/// Serves clients at a port until the broker stops.
pub(crate) fn serve_clients(shared: &Arc<Shared>, tasks: &Tasks, listener: Listener, start: Start) {
    serve(shared, tasks, listener, move |shared, arrived, token| async move {
        let Arrived { connection, admission, descriptor, .. } = arrived;
        let wake = WakeSignal::new();
        let stranger = Stranger::new(&shared, admission);
        let begun = timeout_at(stranger.deadline, Box::pin(begin(connection, &shared.client_tls, start)));
        let Ok(Some((connection, transport, upgrade))) = begun.await else { return };
        let session = shared.broker.accept_client(transport, wake.callback());
        let (stranger, descriptor) = (Some(stranger), Some(descriptor));
        drive(&shared, session, Peer { connection, wake, upgrade, stranger, descriptor }).await;
        drop(token);
    });
}

/// Serves other servers at a port until the broker stops.
pub(crate) fn serve_servers(shared: &Arc<Shared>, tasks: &Tasks, listener: Listener, start: Start) {
    serve(shared, tasks, listener, move |shared, arrived, token| async move {
        let Arrived { connection, admission, network, descriptor } = arrived;
        let wake = WakeSignal::new();
        let stranger = Stranger::new(&shared, admission);
        let begun = timeout_at(stranger.deadline, Box::pin(begin(connection, &shared.server_tls, start)));
        let Ok(Some((connection, transport, upgrade))) = begun.await else { return };
        let transport = match transport {
            Transport::Tls(facts) => Transport::Tls(shared.permitted(facts)),
            Transport::Plain => Transport::Plain,
        };
        let session = shared.broker.accept_server_from(transport, wake.callback(), network.as_deref());
        let (stranger, descriptor) = (Some(stranger), Some(descriptor));
        drive(&shared, session, Peer { connection, wake, upgrade, stranger, descriptor }).await;
        drop(token);
    });
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

/// Brings a new connection to where its stream begins.
async fn begin(
    connection: Connection,
    tls: &ServerTls,
    start: Start,
) -> Option<(Connection, Transport, Option<Box<Upgrade>>)> {
    match start {
        Start::Plain => Some((connection, Transport::Plain, Some(Box::new(Upgrade::Accept(tls.clone()))))),
        Start::DirectTls => {
            let (connection, facts) = connection.accept_tls(tls, 0).await.ok()?;
            Some((connection, Transport::Tls(facts), None))
        }
    }
}
