//! Joining, writing, reading, files, strangers.

use waxwing::cli::Exit;

use crate::harness::{Person, broker};

#[tokio::test(flavor = "multi_thread")]
async fn two_people_join_by_link_and_converse() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    let link = alice.link().await;
    let bob = Person::new();
    let ran = bob.run(&["join", &link, "--name", "bob"]).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert!(ran.out.contains("Your address is bob@north.example."), "{}", ran.out);
    assert!(ran.out.contains("alice@north.example invited you."), "{}", ran.out);

    let ran = bob.run(&["say", "alice", "hello alice"]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Ok, "Sent.\n"), "{ran:?}");
    let ran = alice.run(&["inbox"]).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert!(ran.out.ends_with("bob: hello alice\n"), "{ran:?}");
    assert_eq!(alice.run(&["inbox"]).await.out, "Nothing new.\n");

    let ran = alice.run(&["say", "bob", "hello bob"]).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert_eq!(bob.read().await, ["hello bob"]);
    server.stop().await;
}
