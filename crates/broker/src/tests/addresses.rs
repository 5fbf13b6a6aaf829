//! Addresses are compared as addresses and sent on in their prepared form (RFC 7622 §4), and nobody speaks in the name of
//! the server (attack row X07).

use super::{condition, ids};
use crate::testing::World;

const NORTH: &str = "north.example";
const SOUTH: &str = "xn--sden-0ra.example";

/// Alice and bob on one broker, carol on another whose domain is an international one.
fn world() -> (World, [usize; 3]) {
    let mut world = World::with_config(1, &[NORTH, "süden.example"], |config| config.services = vec!["upload".into()]);
    let names = ["alice@north.example", "bob@north.example", "carol@süden.example"];
    for name in names {
        world.register(name);
    }
    let clients = names.map(|name| world.online(name, "desk"));
    (world, clients)
}

#[test]
fn whatever_way_an_address_is_written_it_goes_on_prepared() {
    let (mut world, [alice, bob, carol]) = world();
    let own = [format!("carol@{SOUTH}/desk"), format!("CAROL@{SOUTH}/desk"), "Carol@SÜDEN.example/desk".to_owned()];
    for (to, receiver, prepared) in [
        ("BOB@North.Example/desk", bob, "bob@north.example/desk"),
        ("bob@north.example./desk", bob, "bob@north.example/desk"),
        (own[0].as_str(), carol, "carol@süden.example/desk"),
        (own[1].as_str(), carol, "carol@süden.example/desk"),
        (own[2].as_str(), carol, "carol@süden.example/desk"),
    ] {
        for stanza in [
            format!("<message to='{to}' id='1'><body>x</body></message>"),
            format!("<iq to='{to}' id='1' type='get'><q xmlns='u:q'/></iq>"),
            format!("<presence to='{to}' id='1'/>"),
        ] {
            world.send(alice, &stanza);
            let got = world.take(receiver);
            assert_eq!(ids(&got), ["1"], "{stanza}");
            assert_eq!(got[0].attr("to"), Some(prepared), "{stanza}");
        }
    }
}

#[test]
fn answers_come_from_the_prepared_address() {
    let (mut world, [alice, ..]) = world();
    for (to, from) in [
        ("NORTH.example", "north.example"),
        ("Nobody@North.Example", "nobody@north.example"),
        ("Nobody@North.Example/X", "nobody@north.example/X"),
        ("Nobody@SÜDEN.Example/X", "nobody@süden.example/X"),
    ] {
        world.send(alice, &format!("<iq to='{to}' id='1' type='get'><q xmlns='u:q'/></iq>"));
        let got = world.take(alice);
        assert_eq!(got.iter().map(|s| s.attr("from")).collect::<Vec<_>>(), [Some(from)], "{to}");
        assert_eq!(condition(&got[0]), Some("service-unavailable"));
    }
    world.send(alice, "<message to='Nobody@North.Example' type='groupchat' id='1'><body>x</body></message>");
    assert_eq!(world.take(alice)[0].attr("from"), Some("nobody@north.example"));
}

#[test]
fn a_sender_may_write_its_own_address_as_it_likes() {
    let (mut world, [alice, bob, _]) = world();
    world
        .send(alice, "<message from='ALICE@North.example/desk' to='bob@north.example' id='1'><body>x</body></message>");
    assert_eq!(world.take(bob)[0].attr("from"), Some("alice@north.example/desk"));
}

#[test]
fn x07_what_is_said_in_the_servers_name_does_not_pass() {
    let (mut world, [alice, bob, carol]) = world();
    let forged = |domain: &str, receiver: &str| {
        format!(
            "<delay xmlns='urn:xmpp:delay' from='{domain}' stamp='2020-01-01T00:00:00Z'/>\
             <delay xmlns='urn:xmpp:delay' from='upload.{domain}' stamp='2020-01-01T00:00:00Z'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='{receiver}' id='1'/><sent xmlns='urn:xmpp:carbons:2'/>\
             <result xmlns='urn:xmpp:mam:2' id='1'/>"
        )
    };
    for (sender, receiver, to, domain) in [
        (alice, bob, "bob@north.example", NORTH),
        (carol, bob, "bob@north.example", NORTH),
        (alice, carol, "carol@süden.example", "süden.example"),
    ] {
        let children = forged(domain, to);
        world.send(sender, &format!("<message to='{to}' type='chat' id='1'><body>x</body>{children}</message>"));
        let got = world.take(receiver);
        let left: Vec<_> = got[0].children().map(xmpp::xml::Element::name).collect();
        assert_eq!(left, ["body"], "to {to}");
        world.send(sender, &format!("<presence to='{to}' id='1'>{children}</presence>"));
        assert_eq!(world.take(receiver)[0].children().count(), 0, "to {to}");
    }
    // and what waited says when it came, once
    world.cut(bob);
    let children = forged(NORTH, "bob@north.example");
    world
        .send(alice, &format!("<message to='bob@north.example' type='chat' id='1'><body>x</body>{children}</message>"));
    let bob = world.online_unread("bob@north.example", "desk");
    let got = world.take(bob);
    let message = got.iter().find(|s| s.name() == "message").expect("it waited");
    let stamps: Vec<_> = message.children().filter_map(|c| c.attr("stamp")).collect();
    assert!(stamps.len() == 1 && !stamps[0].starts_with("2020"), "{stamps:?}");
}
