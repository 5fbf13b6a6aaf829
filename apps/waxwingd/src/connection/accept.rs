//! Connections that others open.

use std::sync::Arc;

use net::connection::Connection;
use net::listen::{Admission, Listener};
use net::tls::ServerTls;
use net::wake::WakeSignal;
use xmpp::stream::Transport;

use super::drive::{Peer, Upgrade, drive};
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
    serve(shared, tasks, listener, move |shared, connection, admission, token| async move {
        let wake = WakeSignal::new();
        let begun = Box::pin(begin(connection, &shared.client_tls, start));
        let Some((connection, transport, upgrade)) = begun.await else { return };
        let session = shared.broker.accept_client(transport, wake.callback());
        drive(&shared, session, Peer { connection, wake, upgrade, admission: Some(admission) }).await;
        drop(token);
    });
}

/// Serves other servers at a port until the broker stops.
pub(crate) fn serve_servers(shared: &Arc<Shared>, tasks: &Tasks, listener: Listener, start: Start) {
    serve(shared, tasks, listener, move |shared, connection, admission, token| async move {
        let wake = WakeSignal::new();
        let begun = Box::pin(begin(connection, &shared.server_tls, start));
        let Some((connection, transport, upgrade)) = begun.await else { return };
        let transport = match transport {
            Transport::Tls(facts) => Transport::Tls(shared.permitted(facts)),
            Transport::Plain => Transport::Plain,
        };
        let session = shared.broker.accept_server(transport, wake.callback());
        drive(&shared, session, Peer { connection, wake, upgrade, admission: Some(admission) }).await;
        drop(token);
    });
}

/// Serves web pages and files at a port until the broker stops.
pub(crate) fn serve_https(shared: &Arc<Shared>, tasks: &Tasks, listener: Listener) {
    serve(shared, tasks, listener, move |shared, connection, admission, token| async move {
        let Ok((connection, _)) = Box::pin(connection.accept_tls(&shared.https_tls, 0)).await else { return };
        tokio::select! {
            () = shared.stopping.wait() => {}
            () = web::serve(&shared, connection) => {}
        }
        drop((admission, token));
    });
}

fn serve<F>(
    shared: &Arc<Shared>,
    tasks: &Tasks,
    listener: Listener,
    handle: impl Fn(Arc<Shared>, Connection, Admission, Token) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let (shared, token) = (Arc::clone(shared), tasks.token());
    tokio::spawn(async move {
        loop {
            let (connection, admission) = tokio::select! {
                () = shared.stopping.wait() => return,
                accepted = listener.accept() => accepted,
            };
            tokio::spawn(handle(Arc::clone(&shared), connection, admission, token.clone()));
        }
    });
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
