//! The load: pairs that talk in a closed loop, logins one after another, sessions that do nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use net::connection::Connection;
use waxwing_tests::raw::{RawClient, Server, SignIn};

use crate::measure;
use crate::servers::{PASSWORD, Running};

/// Both ends of one conversation.
pub(crate) struct Pair {
    sender: Connection,
    receiver: Connection,
    stanza: Vec<u8>,
}

/// What a closed loop gave.
pub(crate) struct Chat {
    pub(crate) cpu_us_per_message: f64,
    pub(crate) messages_per_second: f64,
}

/// A message of the size and shape of an OMEMO message to two devices: 1.15 KiB with its stamps.
pub(crate) fn stanza(to: &str) -> Vec<u8> {
    let key = "MwohBdmPZ9yP0aVdJb1mxk2cBzR4mG5cWvZ1Yp0fJm1n".repeat(2);
    format!(
        "<message to='{to}' id='5b1c0f2e-0d4b-4a53-9b0d-1f4dd4a2b6a1' type='chat'><encrypted \
         xmlns='eu.siacs.conversations.axolotl'><header sid='1804289383'><key rid='846930886'>{key}</key><key \
         rid='1681692777'>{key}</key><iv>AAECAwQFBgcICQoL</iv></header><payload>{}</payload></encrypted><encryption \
         xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl' name='OMEMO'/><store \
         xmlns='urn:xmpp:hints'/><origin-id xmlns='urn:xmpp:sid:0' id='5b1c0f2e-0d4b-4a53-9b0d-1f4dd4a2b6a1'/></message>",
        "aGVsbG8gd29ybGQh".repeat(22)
    )
    .into_bytes()
}

/// Logs in without acknowledgements: what is measured is the way of a message, and nobody here would answer.
async fn sign_in(server: &Server, number: usize) -> RawClient {
    let how = SignIn { acks: false, ..SignIn::default() };
    RawClient::login_as(server, &format!("u{number}"), PASSWORD, &how).await
}

/// Connects `count` pairs; the receivers are available.
pub(crate) async fn sign_in_pairs(server: &Running, count: usize) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for number in 0..count {
        let (a, b) = (2 * number, 2 * number + 1);
        pairs.push(match server.xmpp() {
            Some(xmpp) => {
                let sender = sign_in(xmpp, a).await;
                let mut receiver = sign_in(xmpp, b).await;
                receiver.send("<presence/>").await;
                receiver.expect("the own presence", |s| s.name() == "presence").await;
                let stanza = stanza(receiver.jid().bare().as_str());
                Pair { sender: sender.into_connection(), receiver: receiver.into_connection(), stanza }
            }
            None => Pair {
                sender: server.relayed(a).await,
                receiver: server.relayed(b).await,
                stanza: stanza(&format!("u{b}@relay.example")),
            },
        });
    }
    pairs
}

/// Each sender sends its next message when the last has arrived.
pub(crate) async fn chat(pairs: Vec<Pair>, group: u32, warm_up: Duration, time: Duration) -> Chat {
    let count = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = pairs.into_iter().map(|pair| tokio::spawn(talk(pair, Arc::clone(&count)))).collect();
    tokio::time::sleep(warm_up).await;
    let (cpu, messages, start) = (measure::cpu_seconds(group), count.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(time).await;
    let cpu = measure::cpu_seconds(group) - cpu;
    let messages = (count.load(Ordering::Relaxed) - messages) as f64;
    let seconds = start.elapsed().as_secs_f64();
    for task in tasks {
        assert!(!task.is_finished(), "a conversation broke off");
        task.abort();
    }
    Chat { cpu_us_per_message: cpu * 1e6 / messages, messages_per_second: messages / seconds }
}

async fn talk(mut pair: Pair, count: Arc<AtomicU64>) {
    const END: &[u8] = b"</message>";
    let mut tail = Vec::new();
    loop {
        pair.sender.send(&pair.stanza).await.expect("the server takes messages");
        loop {
            let bytes = pair.receiver.read_chunk().await.expect("the server delivers").expect("the server stays");
            tail.extend_from_slice(&bytes);
            if let Some(at) = tail.windows(END.len()).position(|w| w == END) {
                tail.drain(..at + END.len());
                break;
            }
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Full logins, four at a time: TCP, TLS, SCRAM, bind, roster, presence. Returns the server's processor time of one in ms.
pub(crate) async fn logins(server: &Running, group: u32, count: usize) -> f64 {
    let before = measure::cpu_seconds(group);
    for batch in 0..count / 4 {
        let four = (0..4).map(|i| one_login(server, (batch * 4 + i) % server.accounts()));
        for connection in join(four).await {
            drop(connection);
        }
    }
    (measure::cpu_seconds(group) - before) * 1000.0 / (count / 4 * 4) as f64
}

async fn one_login(server: &Running, number: usize) -> Connection {
    let Some(xmpp) = server.xmpp() else { return server.relayed(number).await };
    let mut client = sign_in(xmpp, number).await;
    client.ask("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>").await;
    client.send("<presence/>").await;
    client.expect("the own presence", |s| s.name() == "presence").await;
    client.into_connection()
}

/// Runs futures side by side on this thread.
async fn join<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, slot) in running.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(cx)
            {
                *slot = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// Sessions that are signed in, available and silent. Returns what each adds to resident memory, in KiB.
pub(crate) async fn idle(server: &Running, group: u32, count: usize) -> f64 {
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = measure::resident_kib(group);
    let mut held = Vec::with_capacity(count);
    for batch in 0..count / 4 {
        held.extend(join((0..4).map(|i| one_login(server, (batch * 4 + i) % server.accounts()))).await);
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    let gained = measure::resident_kib(group).saturating_sub(before);
    gained as f64 / held.len() as f64
}
