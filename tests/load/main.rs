//! Attacks with a bystander pair (attack row X18): what a stranger or one account does to everybody.
//!
//! Each test asserts counts: nothing of the bystanders is lost, bytes, dials and descriptors stay within their budgets, and
//! memory comes back. How long messages took is printed and not asserted: `cargo xtask bench load` runs the same for
//! longer, one after another, and prints the table of `docs/benchmarks.md`.

mod stage;

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use broker::Peer;
use stage::{DOMAIN, PASSWORD, Stage, beside, message, scale};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use waxwing_tests::raw::{RawClient, SignIn};

/// Runs one test on two threads, as a small machine has. One after another: they look at the memory of the process.
fn run(test: impl Future<Output = ()>) {
    static ONE: Mutex<()> = Mutex::new(());
    let _turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be made").block_on(test);
}

/// A server that takes connections and says nothing, for as long as the test runs.
async fn silent_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            connections.push(connection);
        }
    });
    address
}

/// One account asks something of very many domains, none of which answers.
#[test]
fn b01_one_account_that_asks_very_many_domains() {
    run(beside("B1: one account asks many silent domains", async |stage: &'static Stage| {
        let silent = silent_server().await;
        let mut mallory = stage.person("mallory").await;
        for n in 0..400 * scale() {
            let domain = format!("silent{n}.example");
            let addresses = vec![silent.to_string()];
            let peer = Peer { domain: domain.clone(), addresses, pin: None, introduced_by: Vec::new() };
            stage.broker.broker().add_peer(peer).await.expect("remembered");
            mallory.send(&message(&format!("x@{domain}"), &n.to_string(), 10)).await;
        }
        let [_, (_, dials), (_, descriptors)] = stage.broker.broker().budgets.levels();
        assert!(dials.peak > 0 && dials.peak <= dials.capacity - dials.reserved.min(dials.capacity / 2), "{dials:?}");
        assert!(descriptors.peak <= descriptors.capacity / 2, "{descriptors:?}");
        drop(mallory);
    }));
}

/// Everybody who subscribed is deaf.
#[test]
fn b02_a_publisher_with_deaf_subscribers() {
    run(beside("B2: large publications for deaf subscribers", async |stage: &'static Stage| {
        let mut mallory = stage.person("mallory").await;
        let pubsub = "http://jabber.org/protocol/pubsub";
        let open = "<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value>\
             </field><field var='pubsub#access_model'><value>open</value></field>";
        let publish = |n: usize, bytes: usize| {
            format!(
                "<iq type='set' id='p{n}'><pubsub xmlns='{pubsub}'><publish node='n'><item id='{n}'><x xmlns='urn:x'>{}</x>\
                 </item></publish><publish-options><x xmlns='jabber:x:data' type='submit'>{open}</x></publish-options>\
                 </pubsub></iq>",
                "x".repeat(bytes)
            )
        };
        mallory.ask(&publish(0, 10)).await;
        let mut deaf = Vec::new();
        for n in 0..15 {
            let mut reader = stage.person(&format!("reader{n}")).await;
            let subscribe = format!("<subscribe node='n' jid='reader{n}@{DOMAIN}'/>");
            let subscribe = format!(
                "<iq type='set' id='s' to='mallory@{DOMAIN}'><pubsub xmlns='{pubsub}'>{subscribe}</pubsub></iq>"
            );
            reader.ask(&subscribe).await;
            deaf.push(reader.into_connection());
        }
        for n in 1..=15 * scale() {
            mallory.ask(&publish(n, 100_000)).await;
        }
        let bytes = stage.broker.broker().budgets.bytes.level();
        assert!(bytes.peak < 8 * 1024 * 1024, "and not 15 times 1.5 MB: {bytes:?}");
        drop((mallory, deaf));
    }));
}

#[test]
fn b03_a_large_roster_that_is_read_again_and_again() {
    run(beside("B3: a large roster read again and again", async |stage: &'static Stage| {
        let mut mallory = stage.person("mallory").await;
        for n in 0..150 * scale() {
            let item = format!("<item jid='c{n}@south.example'><group>{}</group></item>", "g".repeat(500));
            let set = format!("<iq type='set' id='s{n}'><query xmlns='jabber:iq:roster'>{item}</query></iq>");
            mallory.send(&set).await;
        }
        for n in 0..50 * scale() {
            mallory.send(&format!("<iq type='get' id='g{n}'><query xmlns='jabber:iq:roster'/></iq>")).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        drop(mallory);
    }));
}

#[test]
fn b04_many_who_write_to_one_who_is_away() {
    run(beside("B4: many write to one who is away", async |stage: &'static Stage| {
        drop(stage.person("carol").await);
        let mut senders = Vec::new();
        for n in 0..10 {
            senders.push(stage.person(&format!("sender{n}")).await);
        }
        let writing = senders.into_iter().enumerate().map(|(n, mut sender)| async move {
            for m in 0..20 * scale() {
                sender.send(&message(&format!("carol@{DOMAIN}"), &format!("{n}-{m}"), 200)).await;
                sender.sync().await;
            }
            let done = format!("<iq type='get' id='done' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>");
            sender.ask(&done).await;
        });
        let tasks: Vec<_> = writing.map(tokio::spawn).collect();
        for task in tasks {
            task.await.expect("nothing is refused");
        }
        let mut carol = stage.again("carol").await;
        carol.send("<presence/>").await;
        for _ in 0..200 * scale() {
            carol.expect("a message", |s| s.name() == "message" && s.attr("type") == Some("chat")).await;
        }
    }));
}

/// Connections of one other network that never finish what they say.
#[test]
fn b05_strangers_who_drip() {
    run(beside("B5: strangers who send a byte now and then", async |stage: &'static Stage| {
        let mut dripping: Vec<TcpStream> = Vec::new();
        for _ in 0..100 {
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.bind(([127, 0, 9, 1], 0).into()).expect("all of 127/8 is loopback");
            dripping.extend(socket.connect(stage.server.address).await);
        }
        for _ in 0..20 * scale() {
            for connection in &mut dripping {
                let _ = connection.write_all(b"<").await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut open = 0;
        for connection in &mut dripping {
            let mut byte = [0; 1];
            let read = tokio::time::timeout(Duration::from_millis(20), connection.read(&mut byte)).await;
            open += usize::from(read.is_err());
        }
        assert!(open <= 8, "of one network so many at once: {open}");
        let mut carol = stage.person("carol").await;
        carol.ask(&format!("<iq type='get' id='p' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>")).await;
    }));
}

/// Somebody who never reads gets more than a mailbox holds, and questions besides.
#[test]
fn b06_a_deaf_session_that_is_flooded() {
    run(beside("B6: a deaf session is flooded", async |stage: &'static Stage| {
        let carol = stage.person("carol").await;
        let to = carol.jid().as_str().to_owned();
        let deaf = carol.into_connection();
        let mut mallory = stage.person("mallory").await;
        for n in 0..60 * scale() {
            mallory.send(&message(&to, &format!("m{n}"), 20_000)).await;
            mallory.send(&format!("<iq type='get' id='q{n}' to='{to}'><x xmlns='urn:x'/></iq>")).await;
        }
        let done = format!("<iq type='get' id='done' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>");
        mallory.ask(&done).await;
        drop((deaf, mallory));
        let mut carol = stage.again("carol").await;
        carol.send("<presence/>").await;
        for _ in 0..60 * scale() {
            carol
                .expect("a message", |s| s.name() == "message" && s.attr("id").is_some_and(|id| id.starts_with('m')))
                .await;
        }
    }));
}

/// Contacts with presence as large as it may be, in very many sessions.
#[test]
fn b09_presences_of_very_many_sessions() {
    run(beside("B9: very many large presences", async |stage: &'static Stage| {
        let mut carol = stage.person("carol").await;
        let mut sessions = Vec::new();
        for n in 0..4 * scale() {
            let name = format!("contact{n}");
            let mut contact = stage.person(&name).await;
            contact.send(&format!("<presence type='subscribed' to='carol@{DOMAIN}'/>")).await;
            carol.send(&format!("<presence type='subscribe' to='{name}@{DOMAIN}'/>")).await;
            for _ in 0..5 {
                let mut session = stage.again(&name).await;
                session.send(&format!("<presence><status>{}</status></presence>", "x".repeat(7000))).await;
                sessions.push(session);
            }
            sessions.push(contact);
        }
        let mut again = stage.again("carol").await;
        again.send("<presence/>").await;
        again.ask(&format!("<iq type='get' id='p' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>")).await;
        drop(sessions);
    }));
}

/// Guesses of a password from another network, beside its owner.
#[test]
fn b13_guesses_of_a_password() {
    run(beside("B13: guesses of a password", async |stage: &'static Stage| {
        drop(stage.person("carol").await);
        for _ in 0..7 * scale() {
            let guess = RawClient::try_login(&stage.server, "carol", "a wrong password", &SignIn::default()).await;
            assert!(guess.is_err());
        }
        let owner = RawClient::try_login(&stage.server, "carol", PASSWORD, &SignIn::default()).await;
        assert!(owner.is_ok(), "the owner is not locked out");
    }));
}
