//! Requests of browsers and of clients with files, from hyper to the functions of the broker and back.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use broker::http::{Request, Response};
use broker::{Broker, upload, web};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use net::connection::Connection;
use tokio::sync::{Notify, mpsc};

use super::Shared;
use crate::settings::Direction;

/// How long the next piece of a file may take to arrive, or to be taken.
const SILENCE: Duration = Duration::from_secs(60);

/// Pieces of a file that wait for a slow reader.
const PIECES: usize = 2;

/// Serves one connection until its peer closes it, or takes nothing any more: who only holds a place keeps others out.
pub(super) async fn serve(shared: &Arc<Shared>, connection: Connection) {
    let stalled = Arc::new(Notify::new());
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (shared, stalled) = (Arc::clone(shared), Arc::clone(&stalled));
        async move { Ok::<_, Infallible>(Box::pin(answer(shared, request, stalled)).await) }
    });
    tokio::select! {
        () = Box::pin(net::http::serve_http(connection, service)) => {}
        () = stalled.notified() => {}
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: hyper::Request<Incoming>,
    stalled: Arc<Notify>,
) -> hyper::Response<Outgoing> {
    let (head, body) = request.into_parts();
    let headers: Vec<(&str, &str)> =
        head.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    let request = Request { method: head.method.as_str(), path: head.uri.path(), headers: &headers };
    shared.tap(Direction::Received, request.path.as_bytes());
    if request.path.starts_with(upload::PATH) {
        match request.method {
            "GET" | "HEAD" => download(&shared, &request, stalled).await,
            "PUT" => {
                let taken = take(&shared, &request, body).await.unwrap_or_else(|refused| refused);
                whole(&shared, upload::for_browsers(taken))
            }
            "OPTIONS" => whole(&shared, upload::for_browsers(upload::options())),
            _ => {
                let refused = Response::text(405, "This cannot be done here.").with("allow", "GET, HEAD, PUT, OPTIONS");
                whole(&shared, upload::for_browsers(refused))
            }
        }
    } else {
        whole(&shared, page(&shared, &request, body).await)
    }
}

async fn page(shared: &Shared, request: &Request<'_>, body: Incoming) -> Response {
    let collecting = Limited::new(body, web::FORM_BYTES_MAX).collect();
    let Ok(Ok(body)) = tokio::time::timeout(SILENCE, collecting).await else {
        return Response::text(413, "This is more than a form.");
    };
    let body = body.to_bytes();
    shared.tap(Direction::Received, &body);
    web::serve(shared.broker.core(), request, &body).await
}

/// Takes a file in.
async fn take(shared: &Shared, request: &Request<'_>, mut body: Incoming) -> Result<Response, Response> {
    let mut put = upload::put(shared.broker.core(), request).await?;
    loop {
        let next = tokio::time::timeout(SILENCE, body.frame()).await;
        let broken = || Response::text(408, "The file did not arrive.");
        match next.map_err(|_| broken())? {
            None => return put.finish().await,
            Some(frame) => {
                let frame = frame.map_err(|_| broken())?;
                let Some(bytes) = frame.data_ref() else { continue };
                shared.tap(Direction::Received, bytes);
                put.handle_bytes(bytes).await?;
            }
        }
    }
}

/// Gives a file out.
async fn download(shared: &Arc<Shared>, request: &Request<'_>, stalled: Arc<Notify>) -> hyper::Response<Outgoing> {
    let (head, content) = upload::get(shared.broker.core(), request).await;
    let head = upload::for_browsers(head);
    if content.is_none() {
        return whole(shared, head);
    }
    // The content borrows the broker, and the answer outlives this function: a task of its own carries it over.
    let (sender, pieces) = mpsc::channel(PIECES);
    let path = request.path.to_owned();
    let headers: Vec<(String, String)> =
        request.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    tokio::spawn(send_pieces(shared.broker.clone(), path, headers, sender, stalled));
    respond(head, Outgoing::Pieces { pieces, tap: Arc::clone(shared) })
}

async fn send_pieces(
    broker: Broker,
    path: String,
    headers: Vec<(String, String)>,
    sender: mpsc::Sender<io::Result<Bytes>>,
    stalled: Arc<Notify>,
) {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let request = Request { method: "GET", path: &path, headers: &headers };
    let (_, Some(mut content)) = upload::get(broker.core(), &request).await else { return };
    loop {
        let piece = match content.next().await {
            Ok(Some(piece)) => Ok(Bytes::from(piece)),
            Ok(None) => return,
            Err(_) => Err(io::ErrorKind::UnexpectedEof.into()), // cut off, so that half a file is not taken for one
        };
        let is_last = piece.is_err();
        match tokio::time::timeout(SILENCE, sender.send(piece)).await {
            Ok(Ok(())) if !is_last => {}
            Ok(_) => return,
            Err(_) => return stalled.notify_one(),
        }
    }
}

fn whole(shared: &Shared, mut response: Response) -> hyper::Response<Outgoing> {
    let body = Bytes::from(std::mem::take(&mut response.body));
    shared.tap(Direction::Sent, &body);
    respond(response, Outgoing::Whole(Some(body)))
}

fn respond(head: Response, body: Outgoing) -> hyper::Response<Outgoing> {
    let mut response = hyper::Response::builder().status(head.status);
    for (name, value) in &head.headers {
        response = response.header(*name, value.as_str());
    }
    response.body(body).unwrap_or_else(|_| {
        let mut failed = hyper::Response::new(Outgoing::Whole(None));
        *failed.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
        failed
    })
}

/// The body of an answer.
enum Outgoing {
    /// All there is.
    Whole(Option<Bytes>),
    /// What a task sends, as fast as the reader takes it.
    Pieces { pieces: mpsc::Receiver<io::Result<Bytes>>, tap: Arc<Shared> },
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(bytes) => {
                Poll::Ready(bytes.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Pieces { pieces, tap } => pieces.poll_recv(cx).map(|piece| {
                if let Some(Ok(bytes)) = &piece {
                    tap.tap(Direction::Sent, bytes);
                }
                piece.map(|piece| piece.map(Frame::data))
            }),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Pieces { .. } => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use broker::tables::{UPLOAD_CHUNKS, UPLOADS, UPLOADS_OWNER, UploadRow};
    use broker::{BrokerConfig, Environment};
    use net::clock::SystemClock;
    use net::random::SystemRandom;
    use prost::Message as _;
    use store::Store;

    use super::*;

    const CHUNK: usize = 256 * 1024;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_loses_its_place() {
        let env = Environment::new(Arc::new(SystemClock), Arc::new(SystemRandom));
        let store = Store::in_memory(Arc::clone(&env.random));
        let row = UploadRow {
            name: "aaaa".into(),
            size_bytes: 4 * CHUNK as u64,
            complete: true,
            expires_at: i64::MAX,
            ..UploadRow::default()
        };
        let mut transaction = store.transaction();
        transaction.put(&UPLOADS.row(UPLOADS_OWNER, b"aaaa"), row.encode_to_vec());
        for chunk in 0..4 {
            transaction.put(&UPLOAD_CHUNKS.seq(b"aaaa", chunk), vec![7; CHUNK]);
        }
        transaction.commit().await.expect("written");
        let broker = Broker::new(BrokerConfig::new("north.example"), store, env);
        for (takes, is_stalled) in [(4, false), (1, true)] {
            let (sender, mut pieces) = mpsc::channel(1);
            let stalled = Arc::new(Notify::new());
            let path = format!("{}aaaa", upload::PATH);
            let sending = tokio::spawn(send_pieces(broker.clone(), path, Vec::new(), sender, Arc::clone(&stalled)));
            for _ in 0..takes {
                assert!(matches!(pieces.recv().await, Some(Ok(piece)) if piece.len() == CHUNK));
            }
            sending.await.expect("it ends");
            let told = tokio::time::timeout(Duration::from_secs(1), stalled.notified()).await.is_ok();
            assert_eq!(told, is_stalled, "after {takes} pieces");
        }
    }
}
