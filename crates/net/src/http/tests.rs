//! Downloads and uploads against servers that do every trick of attack row F04.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use tokio::net::TcpListener;
use xmpp::time::Clock as _;

use super::*;
use crate::certificate::Pin;
use crate::clock::SystemClock;
use crate::connection::Connection;
use crate::dial::{Dialler, HostPort, OpenError};
use crate::dns::Names;
use crate::identity::{Identity, OwnCa, ReloadableIdentity, generate_key_pem};
use crate::testing::{DnsResponder, Record};
use crate::tls::{Purpose, ServerTls, TlsError};
use crate::verify::{Trust, VerifyError};

const FILE: &[u8] = b"0123456789abcdefghij";

/// A broker with an upload service on loopback.
struct Server {
    port: u16,
    pin: Pin,
    received: Arc<Mutex<Vec<u8>>>,
}

async fn listen_tls() -> (TcpListener, ServerTls, u16, Pin) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let ca = OwnCa::generate("north.example", SystemClock.now()).expect("made");
    let key = generate_key_pem().expect("made");
    let chain = ca.issue("north.example", &key, SystemClock.now()).expect("issued");
    let identity = Identity::from_pem(&chain, &key).expect("read");
    let pin = identity.pin();
    (listener, ServerTls::new(Purpose::Https, ReloadableIdentity::new(identity)), port, pin)
}

/// Serves by HTTP what `answer` says.
async fn serve() -> Server {
    let (listener, tls, port, pin) = listen_tls().await;
    let received = Arc::new(Mutex::new(Vec::new()));
    let store = Arc::clone(&received);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, store) = (tls.clone(), Arc::clone(&store));
            tokio::spawn(async move {
                if let Ok((connection, _)) = Connection::from(stream).accept_tls(&tls, 0).await {
                    serve_http(connection, service_fn(move |request| answer(request, Arc::clone(&store), port))).await;
                }
            });
        }
    });
    Server { port, pin, received }
}

async fn answer(
    request: Request<Incoming>,
    store: Arc<Mutex<Vec<u8>>>,
    port: u16,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let redirect = |to: String| Response::builder().status(302).header("location", to);
    let mut body = Bytes::from_static(FILE);
    let builder = match (request.method(), request.uri().path()) {
        (&Method::GET, "/file") => Response::builder(),
        (&Method::GET, "/part") if request.headers().get("range").is_some_and(|range| range == "bytes=10-") => {
            body = body.slice(10..);
            Response::builder().status(206).header("content-range", "bytes 10-19/20")
        }
        (&Method::GET, "/moved") => redirect("/file".to_owned()),
        (&Method::GET, "/loop") => redirect("/loop".to_owned()),
        (&Method::GET, "/elsewhere") => redirect("https://evil.example/file".to_owned()),
        (&Method::GET, "/other-port") => redirect(format!("https://north.example:{}/file", port ^ 1)),
        (&Method::GET, "/downgrade") => redirect(format!("http://north.example:{port}/file")),
        (&Method::PUT, "/slot") => {
            let token = request.headers().get("authorization").is_some_and(|token| token == "Basic eA==");
            let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            store.lock().expect("not poisoned").extend_from_slice(&body);
            Response::builder().status(if token { 201 } else { 403 })
        }
        _ => Response::builder().status(404),
    };
    Ok(builder.body(Full::new(body)).expect("a response"))
}

/// Serves raw bytes after the head of a request, whatever it asked for.
async fn serve_raw(head: &'static str, body: &'static [u8], times: usize, then_silent: bool) -> (u16, Pin) {
    let (listener, tls, port, pin) = listen_tls().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok((mut connection, _)) = Connection::from(stream).accept_tls(&tls, 0).await else { continue };
            let _ = connection.read_chunk().await;
            let mut alive = connection.send(head.as_bytes()).await.is_ok();
            for _ in 0..times {
                alive = alive && connection.send(body).await.is_ok();
            }
            if then_silent {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            connection.close().await;
        }
    });
    (port, pin)
}

fn client() -> HttpClient {
    HttpClient::new(Dialler::direct(Names::system())).with_timeouts(Duration::from_secs(5), Duration::from_secs(20))
}

fn place(port: u16, path: &str, access: Access) -> Place {
    let url = HttpsUrl::parse(&format!("https://north.example:{port}{path}")).expect("a URL");
    Place::new(url, access).at([HostPort::new("127.0.0.1", port)])
}

async fn get(client: &HttpClient, place: Place, offset: u64, max_bytes: u64) -> Result<(Received, Vec<u8>), HttpError> {
    let mut file = Vec::new();
    let fetch = Fetch { place, offset, max_bytes };
    let mut write = |piece: &[u8]| {
        file.extend_from_slice(piece);
        Ok(())
    };
    let received = client.get(&fetch, &mut |_| Ok(()), &mut write).await?;
    Ok((received, file))
}

#[tokio::test]
async fn a_file_of_a_pinned_broker_arrives() {
    let server = serve().await;
    for path in ["/file", "/moved"] {
        let place = place(server.port, path, Access::Pinned(server.pin));
        let (received, file) = get(&client(), place, 0, 20).await.expect("arrives");
        assert_eq!((received, file.as_slice()), (Received { bytes: 20, offset: 0 }, FILE));
    }
}

#[tokio::test]
async fn a_download_goes_on_where_it_stopped_or_starts_again() {
    let server = serve().await;
    let part = place(server.port, "/part", Access::Pinned(server.pin));
    let (received, file) = get(&client(), part, 10, 10).await.expect("arrives");
    assert_eq!((received, file.as_slice()), (Received { bytes: 10, offset: 10 }, &FILE[10..]));
    let whole = place(server.port, "/file", Access::Pinned(server.pin)); // ignores ranges
    let (received, file) = get(&client(), whole, 10, 20).await.expect("arrives");
    assert_eq!((received, file.as_slice()), (Received { bytes: 20, offset: 0 }, FILE));
}

#[tokio::test]
async fn an_upload_arrives_with_its_headers() {
    let server = serve().await;
    let slot = place(server.port, "/slot", Access::OwnBroker(Trust::pins([server.pin])));
    let mut pieces = FILE.chunks(7).map(Bytes::from_static).collect::<Vec<_>>().into_iter();
    let upload = Upload::new(FILE.len() as u64, move || Ok(pieces.next()));
    let headers = [("Authorization", "Basic eA=="), ("Host", "evil.example"), ("Content-Length", "3")]
        .map(|(name, value)| (name.to_owned(), value.to_owned())); // only the first one is sent
    client().put(&slot, &headers, upload).await.expect("stored");
    assert_eq!(server.received.lock().expect("not poisoned").as_slice(), FILE);
    let refused = client().put(&slot, &[], Upload::from_bytes(Bytes::from_static(FILE))).await;
    assert_eq!(refused, Err(HttpError::Status(403)));
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_sent_is_not_taken_for_complete() {
    let server = serve().await;
    let slot = place(server.port, "/slot", Access::Pinned(server.pin));
    let mut once = Some(Bytes::from_static(b"0123"));
    let outcome = client().put(&slot, &[], Upload::new(10, move || Ok(once.take()))).await;
    assert_eq!(outcome, Err(HttpError::Read(io::ErrorKind::UnexpectedEof)));
}

#[tokio::test]
async fn f04_redirects_to_other_hosts_ports_and_http_are_not_followed() {
    let server = serve().await;
    for (path, error) in [
        ("/elsewhere", HttpError::RedirectElsewhere),
        ("/other-port", HttpError::RedirectElsewhere),
        ("/downgrade", HttpError::NotHttps),
        ("/loop", HttpError::TooManyRedirects),
        ("/gone", HttpError::Status(404)),
    ] {
        let outcome = get(&client(), place(server.port, path, Access::Pinned(server.pin)), 0, 20).await;
        assert_eq!(outcome, Err(error), "{path}");
    }
}

#[tokio::test]
async fn f04_private_hosts_need_the_own_broker_or_a_pin() {
    let server = serve().await;
    let dns = DnsResponder::start(([127, 0, 0, 1], 0).into()).expect("a free port");
    dns.add("north.example", Record::Address("127.0.0.1".parse().expect("an address")));
    let client = HttpClient::new(Dialler::direct(Names::from_server(dns.address())));
    let url = HttpsUrl::parse(&format!("https://north.example:{}/file", server.port)).expect("a URL");
    let by_name = Place::new(url.clone(), Access::Public);
    let by_offer = place(server.port, "/file", Access::Public); // a stranger's `wx-at` is no permission
    for place in [by_name, by_offer] {
        let outcome = get(&client, place, 0, 20).await;
        assert_eq!(outcome, Err(HttpError::Open(OpenError::NotPublic)));
    }
    let own = Place::new(url, Access::OwnBroker(Trust::pins([server.pin])));
    get(&client, own, 0, 20).await.expect("the own broker may be anywhere");
}

#[tokio::test]
async fn f04_a_pinned_host_is_checked_against_that_pin() {
    let server = serve().await;
    let wrong = Access::Pinned(Pin::from_bytes([3; 32]));
    let outcome = get(&client(), place(server.port, "/file", wrong), 0, 20).await;
    assert_eq!(outcome, Err(HttpError::Tls(TlsError::Certificate(VerifyError::PinMismatch))));
    let unknown = Access::OwnBroker(Trust::public());
    let outcome = get(&client(), place(server.port, "/file", unknown), 0, 20).await;
    assert_eq!(outcome, Err(HttpError::Tls(TlsError::Certificate(VerifyError::UnknownIssuer))));
}

#[tokio::test]
async fn f04_an_announced_size_above_the_cap_is_refused_unread() {
    let server = serve().await;
    let mut written = 0;
    let place = place(server.port, "/file", Access::Pinned(server.pin));
    let fetch = Fetch { place, offset: 0, max_bytes: 19 };
    let mut write = |piece: &[u8]| {
        written += piece.len();
        Ok(())
    };
    let outcome = client().get(&fetch, &mut |_| Ok(()), &mut write).await;
    assert_eq!((outcome, written), (Err(HttpError::TooLarge), 0));
}

#[tokio::test]
async fn f04_an_endless_download_ends_at_the_cap() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (port, pin) = serve_raw(head, b"4\r\naaaa\r\n", 100_000, false).await;
    let outcome = get(&client(), place(port, "/", Access::Pinned(pin)), 0, 1000).await;
    assert_eq!(outcome, Err(HttpError::TooLarge));
    let (port, pin) = serve_raw("HTTP/1.1 200 OK\r\n\r\n", b"aaaa", 100_000, false).await;
    let outcome = get(&client(), place(port, "/", Access::Pinned(pin)), 0, 1000).await;
    assert_eq!(outcome, Err(HttpError::TooLarge));
}

#[tokio::test]
async fn f04_a_download_that_stalls_or_breaks_off_is_an_error() {
    let quick = client().with_timeouts(Duration::from_millis(200), Duration::from_secs(20));
    let (port, pin) = serve_raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"aaaa", 1, true).await;
    assert_eq!(get(&quick, place(port, "/", Access::Pinned(pin)), 0, 1000).await, Err(HttpError::TimedOut));
    let (port, pin) = serve_raw("", b"", 0, true).await;
    assert_eq!(get(&quick, place(port, "/", Access::Pinned(pin)), 0, 1000).await, Err(HttpError::TimedOut));
    let (port, pin) = serve_raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"aaaa", 1, false).await;
    assert_eq!(get(&quick, place(port, "/", Access::Pinned(pin)), 0, 1000).await, Err(HttpError::Truncated));
    let (port, pin) = serve_raw("SSH-2.0-OpenSSH\r\n\r\n", b"", 0, false).await;
    assert_eq!(get(&quick, place(port, "/", Access::Pinned(pin)), 0, 1000).await, Err(HttpError::Broken));
}

#[tokio::test]
async fn f04_a_drip_of_bytes_ends_at_the_longest_transfer() {
    let (listener, tls, port, pin) = listen_tls().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("accepts");
        let (mut connection, _) = Connection::from(stream).accept_tls(&tls, 0).await.expect("secured");
        let _ = connection.send(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while connection.send(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let quick = client().with_timeouts(Duration::from_secs(5), Duration::from_millis(300));
    assert_eq!(get(&quick, place(port, "/", Access::Pinned(pin)), 0, 1000).await, Err(HttpError::TimedOut));
}
