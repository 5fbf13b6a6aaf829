//! Dino, the packaged one, in a window that nobody sees, and our client, on our broker.

use waxwing_tests::lab::Lab;
use waxwing_tests::peers::dino::Dino;
use waxwing_tests::person::Person;
use waxwing_tests::raw::{RawClient, Server};
use xep::policy::E2eePolicy;

use crate::ours::{Ours, Vouched};

const PASSWORD: &str = "a long enough password";

/// The text field, the lock beside it, and OMEMO in the lock's menu, where they are in the window.
const TEXT_FIELD: (u32, u32) = (700, 663);
const LOCK: (u32, u32) = (1163, 663);
const OMEMO: (u32, u32) = (1160, 777);

/// Words and a file to Dino; its first answer is in clear, as Dino begins, comes back, and its user is told what to do.
#[tokio::test(flavor = "multi_thread")]
async fn dino_and_our_client_exchange_messages_and_a_file() {
    let lab = Lab::new("dino", &["waxwing"]);
    let ours = Ours::start(&lab, "waxwing", E2eePolicy::Required, Vouched::ByLab).await;
    let server = ours.server();
    let alice = Person::new(lab.dir(), "alice");
    alice.register(&server).await;
    alice.login(&server, &lab.ca_file(), &[]).await;
    // Dino fetches files by itself from people in the roster only.
    let mut bob = RawClient::register(&server, "bob", PASSWORD, None).await;
    let item = "<item jid='alice@waxwing.example' name='alice'/>";
    bob.ask(&format!("<iq type='set' id='r'><query xmlns='jabber:iq:roster'>{item}</query></iq>")).await;
    bob.close().await;
    let bob = tokio::task::block_in_place(|| Dino::start(&lab, "bob", "waxwing.example", PASSWORD));
    keys_of(&server, "bob").await;

    alice.say("bob@waxwing.example", "hello, Dino").await;
    tokio::task::block_in_place(|| bob.wait_for_message("hello, Dino"));
    let content: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    let file = lab.dir().join("picture.png");
    std::fs::write(&file, &content).expect("a scratch file can be written");
    alice.ok(&["send", "bob", file.to_str().expect("scratch paths are text")]).await;
    let got = tokio::task::block_in_place(|| bob.wait_for_file());
    assert!(got == content, "{} bytes", got.len());

    tokio::task::block_in_place(|| {
        bob.click(TEXT_FIELD);
        bob.type_line("in clear");
        bob.wait_for_message(xep::policy::ADVICE);
        bob.click(LOCK);
        bob.click(OMEMO);
        bob.click(TEXT_FIELD);
        bob.type_line("hello, Waxwing");
    });
    alice.wait_for_message("hello, Waxwing", false).await;
    ours.broker.stop().await;
}

/// Waits until everybody can read the keys of an account: Dino publishes them first, and opens their nodes afterwards.
async fn keys_of(server: &Server, name: &str) {
    let mut carol = RawClient::register(server, "carol", PASSWORD, None).await;
    let account = format!("{name}@{}", server.domain);
    let mut nodes = vec![String::from("eu.siacs.conversations.axolotl.devicelist")];
    for _ in 0..200 {
        let Some(node) = nodes.last() else { return };
        let items = format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='{node}'/></pubsub>");
        let answer = carol.ask(&format!("<iq type='get' to='{account}' id='keys'>{items}</iq>")).await.to_xml("");
        let device = answer.split("<device id=").nth(1).and_then(|rest| rest.split(&['\'', '"'][..]).nth(1));
        match device {
            Some(id) => nodes = vec![format!("eu.siacs.conversations.axolotl.bundles:{id}")],
            None if answer.contains("prekeys") => return carol.close().await,
            None => tokio::time::sleep(std::time::Duration::from_millis(200)).await,
        }
    }
    panic!("{name} publishes no keys");
}
