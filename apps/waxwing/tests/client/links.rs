//! Links as people paste them: whole and in quotes, and every other way. Each has a sentence of its own, because each needs
//! something else of the person.

use waxwing::cli::Exit;
use xep::uri::{Action, Link};
use xmpp::jid::Jid;

use crate::harness::{Person, broker, open_broker};

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_cannot_be_used_says_why() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    let newcomer = Person::new();
    let link = alice.link().await;
    let peer = "xmpp:south.example?wx-peer;wx-at=127.0.0.1:5269";
    let pin_at = link.find("wx-pin=").expect("a pin") + "wx-pin=".len();
    let half = &link[..pin_at + 20];
    let other = if link[pin_at..].starts_with('A') { "B" } else { "A" };
    let wrong_letter = format!("{}{other}{}", &link[..pin_at], &link[pin_at + 1..]);
    for (line, words) in [
        (&["join", "alice@north.example"][..], "This is not a link."),
        (&["join", "xmpp:alice@north.example?roster"], "This link was cut off"),
        (&["join", "xmpp:alice@north.example"], "does not open an account"),
        (&["join", half, "--name", "carol"], "This link is not whole"),
        (
            &["join", &wrong_letter, "--name", "carol"],
            "Either a letter of the link is wrong, or somebody is in between.",
        ),
        (&["join", peer, "--name", "carol"], "This link connects two servers."),
        (&["join", &link], "This link lets you choose a user name.\nChoose one: --name NAME"),
    ] {
        let ran = newcomer.run(line).await;
        assert!(ran.err.contains(words), "{line:?}: {ran:?}");
        assert!(matches!(ran.exit, Exit::Usage | Exit::NoAccount) && ran.out.is_empty(), "{line:?}: {ran:?}");
    }
    for (line, words) in [
        (&["add", &link][..], "This is your own link."),
        (&["say", &link, "hello"], "This is your own link."),
        (&["add", "xmpp:north.example?register;preauth=x"], "it does not belong to a person"),
        (&["add", half], "This link is not whole"),
        (&["add", peer], "This link connects two servers."),
    ] {
        let ran = alice.run(line).await;
        assert!(ran.exit == Exit::Usage && ran.err.contains(words), "{line:?}: {ran:?}");
    }
    let ran = alice.run(&["add", "xmpp:bob@north.example?roster"]).await;
    assert!(ran.exit == Exit::Ok && ran.err.contains("put all of it in quotes"), "a shell may have cut it: {ran:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_an_invitation_is_as_good_as_its_link() {
    let (server, other) = (broker("north.example").await, broker("north.example").await);
    let page = server.invite().await.expect("an invitation").page.expect("a page");
    let (bare, pin) = page.split_once('#').expect("the key of the broker");
    let other_page = other.invite().await.expect("an invitation").page.expect("a page");
    let (_, other_pin) = other_page.split_once('#').expect("the key of the broker");
    for (pasted, words, exit) in [
        (bare.to_owned(), "whose certificate is not trusted here", Exit::NoAccount),
        (
            format!("{bare}#{other_pin}"),
            "Either a letter of the link is wrong, or somebody is in between.",
            Exit::NoAccount,
        ),
        (format!("{bare}#{}", &pin[..20]), "This link is not whole", Exit::Usage),
        (format!("{}x#{pin}", &bare[..bare.len() - 4]), "This invite link has been used", Exit::Usage),
    ] {
        let ran = Person::new().run(&["join", &pasted, "--name", "alice"]).await;
        assert!(ran.exit == exit && ran.err.contains(words), "{pasted}: {ran:?}");
    }
    let ran = Person::new().run(&["join", &page, "--name", "alice"]).await;
    assert!(ran.exit == Exit::Ok && ran.out.contains("Your address is alice@north.example."), "{ran:?}");
    server.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_asked_for_where_somebody_can_answer() {
    let server = broker("north.example").await;
    let _bob = Person::joined(&server, "bob").await;
    let link = server.invite().await.expect("an invitation").link;
    let ran = Person::new().at_terminal(&["join", &link], "bob\ncarol\n").await;
    assert!(ran.exit == Exit::Ok && ran.out.contains("Your address is carol@north.example."), "{ran:?}");
    assert!(ran.err.contains("This user name is taken already."), "{ran:?}");
    assert_eq!(ran.err.matches("Which user name would you like?").count(), 2, "{ran:?}");
    let link = server.invite().await.expect("an invitation").link;
    let ran = Person::new().at_terminal(&["join", &link], "").await;
    assert!(ran.exit == Exit::Usage && ran.err.contains("--name NAME"), "nobody answers: {ran:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_open_opens_an_account_by_its_name() {
    for (server, is_open) in [(open_broker("north.example").await, true), (broker("north.example").await, false)] {
        let invitation = Link::parse(&server.invite().await.expect("an invitation").link).expect("a link");
        let mut link = Link::new(Jid::parse("north.example").expect("an address"), Action::Register);
        (link.pin, link.at) = (invitation.pin, invitation.at);
        let link = link.to_text().expect("short enough");
        for (verb, name) in [("join", "carol\n"), ("login", "dora\n")] {
            let ran = Person::new().at_terminal(&[verb, &link], name).await;
            if is_open {
                assert!(
                    ran.exit == Exit::Ok && ran.out.contains(&format!("Your address is {}", name.trim())),
                    "{ran:?}"
                );
            } else {
                assert!(ran.exit == Exit::Usage && ran.err.contains("only for an invite link"), "{ran:?}");
            }
        }
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_names_an_account_is_enough_to_sign_in() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    let file = alice.home.0.join("password");
    std::fs::write(&file, "a walnut lantern on a hill\n").expect("written");
    let file = file.to_str().expect("text");
    assert_eq!(alice.run(&["account", "password", "--password-file", file]).await.exit, Exit::Ok);
    let invitation = Link::parse(&server.invite().await.expect("an invitation").link).expect("a link");
    let mut link = Link::new(Jid::parse("alice@north.example").expect("an address"), Action::Identify);
    (link.pin, link.at) = (invitation.pin, invitation.at);
    let line = ["login", &link.to_text().expect("short enough"), "--password-file", file];
    let ran = Person::new().run(&line).await;
    assert!(ran.exit == Exit::Ok && ran.out.starts_with("You are signed in as alice@north.example."), "{ran:?}");
    server.stop().await;
}
