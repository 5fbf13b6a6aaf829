//! The serving side of one HTTPS connection.

use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::connection::Connection;

/// How long a browser may take to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// Serves HTTP/1.1 on a secured connection until the peer closes it.
///
/// A router of `axum` becomes such a service with [`TowerToHyperService::new(router)`](super::TowerToHyperService).
/// How the connection ended does not matter to anybody, so nothing is returned.
pub async fn serve_http<S, B>(connection: Connection, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(connection), service);
    let _ = serving.await;
}
