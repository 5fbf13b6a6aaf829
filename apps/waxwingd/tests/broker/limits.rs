//! The limits that this program itself enforces (security-design §6): strangers, and how long they may take.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use waxwingd::{Direction, Server};

use crate::person::message;
use crate::talk::{register, settings};

/// Reads until the broker closes, at most 20 s, and returns what it said.
async fn to_the_end(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let reading = stream.read_to_end(&mut said);
    // A reset is an end as well.
    let _ = tokio::time::timeout(Duration::from_secs(20), reading).await.expect("the broker closes");
    String::from_utf8(said).expect("text")
}

#[tokio::test]
async fn who_does_not_sign_in_in_time_is_closed() {
    let mut settings = settings("north.example");
    settings.limits.pre_auth = Duration::from_millis(300);
    let server = Server::start(settings).await.expect("starts");
    let addresses = server.addresses();
    for address in [addresses.client, addresses.client_tls, addresses.server, addresses.server_tls, addresses.https] {
        let mut silent = TcpStream::connect(address).await.expect("it listens");
        let started = Instant::now();
        to_the_end(&mut silent).await;
        assert!(started.elapsed() >= Duration::from_millis(250), "{:?}", started.elapsed());
    }
    let header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
                  to='north.example' version='1.0'>";
    let mut slow = TcpStream::connect(addresses.client).await.expect("it listens");
    slow.write_all(header.as_bytes()).await.expect("written");
    let said = to_the_end(&mut slow).await;
    assert!(said.contains("<starttls") && said.contains("<connection-timeout"), "{said}");
    server.stop().await;
}

#[tokio::test]
async fn b05_strangers_of_one_network_are_few_at_once_and_servers_do_not_keep_clients_out() {
    let mut settings = settings("north.example");
    settings.pre_auth_per_network = Some(2);
    settings.onion.client = Some(([127, 0, 0, 1], 0).into());
    let server = Server::start(settings).await.expect("starts");
    let addresses = server.addresses();
    for (at, tls) in [(addresses.server, addresses.server_tls), (addresses.client, addresses.client_tls)] {
        let _one = TcpStream::connect(at).await.expect("it listens");
        let _two = TcpStream::connect(tls).await.expect("it listens");
        until_refused(at).await;
        if at == addresses.server {
            register(&server, "alice").await;
        }
    }
    server.stop().await;
}

async fn until_refused(at: SocketAddr) {
    // The broker's tasks take them in while this one is refused: try until that has happened.
    let by = Instant::now() + Duration::from_secs(10);
    loop {
        let mut third = TcpStream::connect(at).await.expect("it listens");
        let mut byte = [0];
        let closed = tokio::time::timeout(Duration::from_millis(300), third.read(&mut byte)).await;
        if matches!(closed, Ok(Ok(0) | Err(_))) {
            break;
        }
        assert!(Instant::now() < by, "the third stranger is let in");
    }
}

#[tokio::test]
async fn clear_text_after_the_agreement_on_tls_ends_the_connection() {
    let server = Server::start(settings("north.example")).await.expect("starts");
    let mut stream = TcpStream::connect(server.addresses().client).await.expect("it listens");
    let text = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
                to='north.example' version='1.0'><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\
                <iq type='set' id='1'><query xmlns='jabber:iq:register'/></iq>";
    stream.write_all(text.as_bytes()).await.expect("written");
    let said = to_the_end(&mut stream).await;
    assert!(!said.contains("<iq"), "{said}");
    server.stop().await;
}

/// What a tap was shown.
type Seen = Mutex<Vec<(Direction, Vec<u8>)>>;

#[tokio::test]
async fn the_tap_sees_what_the_broker_sees() {
    let seen: Arc<Seen> = Arc::default();
    let mut settings = settings("north.example");
    settings.danger_tap = Some(Arc::new({
        let seen = Arc::clone(&seen);
        move |direction, bytes: &[u8]| seen.lock().expect("unbroken").push((direction, bytes.to_vec()))
    }));
    let server = Server::start(settings).await.expect("starts");
    let (mut alice, mut bob) = (register(&server, "alice").await, register(&server, "bob").await);
    bob.be_available().await;
    alice.send_acknowledged(&message("bob@north.example", "a marker in clear")).await;
    bob.receive_body("a marker in clear").await;
    server.stop().await;
    let seen = seen.lock().expect("unbroken");
    for direction in [Direction::Received, Direction::Sent] {
        let all: Vec<u8> = seen.iter().filter(|(way, _)| *way == direction).flat_map(|(_, b)| b.clone()).collect();
        assert!(String::from_utf8_lossy(&all).contains("a marker in clear"), "{direction:?}");
    }
}

#[tokio::test]
async fn who_is_over_the_rate_is_slowed_down_and_loses_nothing() {
    const MESSAGES: u32 = 25;
    let mut settings = settings("north.example");
    settings.limits.client_stanzas = broker::rate::Rate { per_second: 20, burst: 5 };
    let server = Server::start(settings).await.expect("starts");
    let (mut alice, mut bob) = (register(&server, "alice").await, register(&server, "bob").await);
    bob.be_available().await;
    let started = Instant::now();
    for nth in 0..MESSAGES {
        alice.send(&message("bob@north.example", &format!("message {nth}"))).await;
    }
    for nth in 0..MESSAGES {
        bob.receive_body(&format!("message {nth}")).await;
    }
    // What one read brings is handled at once, and its price is paid before the next read: however the bytes were cut,
    // 26 messages at 20 each second with 5 saved up take a second.
    alice.send(&message("bob@north.example", "the last")).await;
    bob.receive_body("the last").await;
    assert!(started.elapsed() >= Duration::from_millis(900), "{:?}", started.elapsed());
    server.stop().await;
}
