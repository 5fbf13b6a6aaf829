//! Two brokers that name themselves and know nothing of each other: a link is enough for their people.

use waxwing::cli::Exit;

use crate::harness::{Person, nameless_broker};

#[tokio::test(flavor = "multi_thread")]
async fn who_is_added_by_a_link_can_be_written_to_and_writes_back() {
    let (north, south) = (nameless_broker().await, nameless_broker().await);
    let (alice, bob) = (Person::joined(&north, "alice").await, Person::joined(&south, "bob").await);
    let ran = bob.run(&["add", &alice.link().await, "--name", "Alice"]).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    let ran = bob.run(&["say", "alice", "found you"]).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert_eq!(alice.read().await, ["found you"]);
    let ran = alice.run(&["say", &format!("bob@{}", south.domain()), "and back"]).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert_eq!(bob.read().await, ["and back"]);
    north.stop().await;
    south.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_said_to_at_once_is_enough_too() {
    let (north, south) = (nameless_broker().await, nameless_broker().await);
    let (alice, bob) = (Person::joined(&north, "alice").await, Person::joined(&south, "bob").await);
    let ran = bob.run(&["say", &alice.link().await, "straight away"]).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert_eq!(alice.read().await, ["straight away"]);
    north.stop().await;
    south.stop().await;
}
