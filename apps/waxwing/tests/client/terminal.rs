//! What a person at a terminal is told while they wait, and when they have had enough.

use waxwing::cli::Exit;

use crate::harness::{Person, broker};
use crate::way::Way;

/// Alice, whose way to her server can be held up, and Bob, who know each other.
async fn acquainted(server: &waxwingd::Server) -> (Person, Person, Way) {
    let way = Way::to(server).await;
    let link = server.invite().await.expect("an invitation").link;
    let alice = Person::new();
    assert_eq!(alice.run(&["join", &way.over(&link), "--name", "alice"]).await.exit, Exit::Ok);
    let bob = Person::joined(server, "bob").await;
    assert_eq!(bob.run(&["add", &alice.link().await]).await.exit, Exit::Ok);
    assert_eq!(alice.run(&["inbox"]).await.exit, Exit::Ok);
    assert_eq!(alice.run(&["say", "bob", "first"]).await.exit, Exit::Ok);
    (alice, bob, way)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_mute_for_long_and_ctrl_c_asks_what_is_meant() {
    let server = broker("north.example").await;
    let (alice, bob, way) = acquainted(&server).await;
    let is_mute = |seen: &str| seen.contains("Waiting for your server ...");
    way.hold(true);
    let say = |text| ["say", "bob", text, "--wait", "60"];
    let ran = alice.interrupted(&say("kept"), "perhaps\nlater\n", is_mute).await;
    assert_eq!(ran.exit, Exit::NotYetSent, "{ran:?}");
    assert_eq!(ran.err.matches("Stop sending?").count(), 2, "an answer that is none is asked for again: {ran:?}");
    let ran = alice.interrupted(&say("taken back"), "stop\n", is_mute).await;
    assert!(ran.exit == Exit::Failed && ran.out.contains("It is taken back."), "{ran:?}");
    let queued = alice.json(&["outbox"]).await;
    assert_eq!(queued.len(), 1, "{queued:?}");
    assert_eq!(queued[0]["queued"]["text"], "kept");
    let line = say("went on");
    let (went_on, ()) = tokio::join!(alice.interrupted(&line, "go on\n", is_mute), async {
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
        way.hold(false);
    });
    assert_eq!(went_on.exit, Exit::Ok, "{went_on:?}");
    assert_eq!(bob.read().await, ["first", "kept", "went on"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn following_says_that_it_listens_and_when_the_connection_goes() {
    let server = broker("north.example").await;
    let (alice, bob, _way) = acquainted(&server).await;
    let has_come = |seen: &str| seen.contains("hello alice") && seen.contains("is with your server");
    let (ran, ()) = tokio::join!(alice.interrupted(&["inbox", "--follow"], "", has_come), async {
        assert_eq!(bob.run(&["say", "alice", "hello alice"]).await.exit, Exit::Ok);
        assert_eq!(alice.run(&["say", "bob", "hello bob"]).await.exit, Exit::Ok);
    });
    assert!(ran.exit == Exit::Ok && ran.err.contains("New messages appear here; Ctrl-C ends it."), "{ran:?}");
    assert!(ran.out.contains("Your message to bob@north.example is with your server."), "{ran:?}");
    let is_gone = |seen: &str| seen.contains("The connection to your server is gone.");
    let (ran, ()) = tokio::join!(alice.interrupted(&["inbox", "--follow"], "", is_gone), async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        server.stop().await;
    });
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
}
