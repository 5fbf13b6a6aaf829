//! Brokers that name themselves and are no peers: somebody adds somebody by a link, and both can write (`xep::peer`).

use waxwingd::Server;
use xep::peer::{Introduction, makes};
use xep::uri::Link;
use xmpp::stanza::StanzaError;
use xmpp::xml::Element;

use crate::person::{Person, message};
use crate::talk::{register, settings};

/// A broker without a domain.
async fn nameless() -> Server {
    let mut settings = settings("unused.example");
    settings.domain = None;
    Server::start(settings).await.expect("starts")
}

/// What a client reads in a link of somebody there.
async fn introduction(server: &Server) -> Introduction {
    let link = Link::parse(&server.invite().await.expect("an invitation").link).expect("a link");
    let pin = link.pin.expect("it has a pin");
    Introduction { domain: server.domain().to_owned(), pin, at: link.at, token: None }
}

/// An invitation that a person has made.
async fn token(server: &Server, person: &mut Person) -> String {
    let command = xep::commands::Request::start(xep::invites::COMMAND_INVITE).to_element();
    let answer = person.ask("set", server.domain(), command).await;
    let command = answer.children().next().expect("an answer");
    let form = xep::commands::Response::parse(command).expect("an answer").form.expect("a form");
    let invitation = xep::invites::Invitation::parse(&form).expect("an invitation");
    Link::parse(&invitation.uri).expect("a link").preauth.expect("a token")
}

async fn introduce(own: &Server, person: &mut Person, introduction: &Introduction) -> Option<String> {
    let answer = person.ask("set", own.domain(), introduction.to_element()).await;
    StanzaError::of_stanza(&answer).map(|error| error.condition.as_str().to_owned())
}

fn condition(stanza: &Element) -> Option<&'static str> {
    StanzaError::of_stanza(stanza).map(|error| error.condition.as_str())
}

#[tokio::test]
async fn a_link_is_enough_between_brokers_that_name_themselves() {
    let (north, south) = (nameless().await, nameless().await);
    assert!(makes(north.pin().as_bytes(), north.domain()), "{}", north.domain());
    let (mut alice, mut bob) = (register(&north, "alice").await, register(&south, "bob").await);
    alice.be_available().await;
    bob.be_available().await;
    let (to_alice, to_bob) = (format!("alice@{}", north.domain()), format!("bob@{}", south.domain()));
    // without a link nobody knows the way, in either direction
    bob.send(&message(&to_alice, "who knows?")).await;
    let error = bob.receive("an error", |stanza| stanza.attr("type") == Some("error")).await;
    assert_eq!(condition(&error), Some("remote-server-not-found"));
    // bob adds alice by her link; her invitation tells her server the way back
    let mut of_north = introduction(&north).await;
    of_north.token = Some(token(&north, &mut alice).await);
    assert_eq!(introduce(&south, &mut bob, &of_north).await, None);
    bob.send(&message(&to_alice, "found you")).await;
    alice.receive_body("found you").await;
    alice.send_acknowledged(&message(&to_bob, "and back")).await;
    bob.receive_body("and back").await;
    north.stop().await;
    south.stop().await;
}

#[tokio::test]
async fn only_the_key_of_the_name_counts_and_the_operators_rules_stand_above() {
    let north = nameless().await;
    let mut strict = settings("strict.example");
    strict.federation.by_link = Some(true);
    strict.federation.deny = vec![north.domain().to_owned()];
    let (strict, south) = (Server::start(strict).await.expect("starts"), nameless().await);
    let named = Server::start(settings("named.example")).await.expect("starts");
    let of_north = introduction(&north).await;
    let mut people = Vec::new();
    for (server, expected) in [(&strict, Some("forbidden")), (&named, Some("not-allowed")), (&south, None)] {
        let mut bob = register(server, "bob").await;
        assert_eq!(introduce(server, &mut bob, &of_north).await.as_deref(), expected, "{}", server.domain());
        people.push(bob);
    }
    let bob = people.last_mut().expect("three");
    let other_key = Introduction { pin: [7; 32], ..of_north.clone() };
    let short = Introduction { domain: "north-abcdef.local".into(), ..of_north.clone() };
    let dns = Introduction { domain: "north.example".into(), ..of_north.clone() };
    for wrong in [other_key, short, dns] {
        assert_eq!(introduce(&south, bob, &wrong).await.as_deref(), Some("not-acceptable"));
    }
    for server in [north, strict, named, south] {
        server.stop().await;
    }
}

#[tokio::test]
async fn an_account_introduces_twenty_and_they_are_forgotten_one_by_one() {
    let south = nameless().await;
    let mut bob = register(&south, "bob").await;
    let place = introduction(&south).await.at;
    let nth = |nth: u8| {
        let pin = [nth; 32];
        let domain = format!("tower-{}.local", xep::peer::name_chars(&pin));
        Introduction { domain, pin, at: place.clone(), token: None }
    };
    for one in 1..=20 {
        assert_eq!(introduce(&south, &mut bob, &nth(one)).await, None);
    }
    assert_eq!(introduce(&south, &mut bob, &nth(21)).await.as_deref(), Some("resource-constraint"));
    assert_eq!(introduce(&south, &mut bob, &nth(1)).await, None, "it is known already");
    assert_eq!(south.broker().remove_peer(&nth(1).domain).await, Ok(true));
    assert_eq!(introduce(&south, &mut bob, &nth(21)).await, None);
    south.stop().await;
}
