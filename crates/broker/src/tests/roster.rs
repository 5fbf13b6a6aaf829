//! Rosters (RFC 6121 §2).

use super::{condition, query, world};
use crate::testing::World;
use xmpp::ns;
use xmpp::xml::Element;

const GET: &str = "<iq type='get' id='get'><query xmlns='jabber:iq:roster'/></iq>";

fn set(inner: &str) -> String {
    format!("<iq type='set' id='set'><query xmlns='jabber:iq:roster'>{inner}</query></iq>")
}

fn items(world: &mut World, client: usize) -> Vec<Element> {
    world.send(client, GET);
    let got = world.take(client);
    let answer = got.iter().find(|s| s.attr("id") == Some("get")).expect("the roster is answered");
    query(answer).expect("with a query").children().cloned().collect()
}

#[test]
fn a_contact_is_added_changed_pushed_and_removed() {
    let mut world = world(1);
    let desk = world.online("alice@north.example", "desk");
    let phone = world.online("alice@north.example", "phone");
    let deaf = world.online("alice@north.example", "deaf");
    assert!(items(&mut world, desk).is_empty());
    assert!(items(&mut world, phone).is_empty());
    world.take(deaf);
    world.send(desk, &set("<item jid='bob@north.example' name='Bob'><group>Friends</group></item>"));
    for client in [desk, phone] {
        let got = world.take(client);
        let push = got.iter().find(|s| s.attr("type") == Some("set")).expect("an interested resource gets a push");
        assert_eq!(push.attr("from"), None, "a push comes from nobody else (X03)");
        let item = query(push).and_then(|q| q.child("item", ns::ROSTER)).unwrap();
        assert_eq!((item.attr("name"), item.attr("subscription")), (Some("Bob"), Some("none")));
        assert_eq!(item.child_text("group", ns::ROSTER).as_deref(), Some("Friends"));
    }
    assert!(world.take(deaf).is_empty(), "a resource that has not asked gets none");
    // a client cannot give itself a subscription (§2.1.2)
    world.send(desk, &set("<item jid='bob@north.example' subscription='both'/>"));
    let item = &items(&mut world, phone)[0];
    assert_eq!((item.attr("name"), item.attr("subscription")), (None, Some("none")));
    world.send(desk, &set("<item jid='bob@north.example' subscription='remove'/>"));
    assert!(items(&mut world, phone).is_empty());
    world.take(desk);
    world.send(desk, &set("<item jid='bob@north.example' subscription='remove'/>"));
    assert_eq!(condition(&world.take(desk)[0]), Some("item-not-found"));
}

#[test]
fn malformed_changes_are_refused() {
    let mut world = world(2);
    let alice = world.online("alice@north.example", "desk");
    let long = "x".repeat(1024);
    let cases = [
        ("", "bad-request"),
        ("<item jid='bob@north.example'/><item jid='carol@north.example'/>", "bad-request"),
        ("<item/>", "bad-request"),
        ("<item jid='bob@north.example/phone'/>", "bad-request"),
        ("<item jid='bob@north.example'><group/></item>", "not-acceptable"),
        ("<item jid='bob@north.example'><group>a</group><group>a</group></item>", "bad-request"),
        ("<item jid='alice@north.example'/>", "not-acceptable"),
        (&format!("<item jid='bob@north.example' name='{long}'/>"), "not-acceptable"),
    ];
    for (inner, expected) in cases {
        world.send(alice, &set(inner));
        assert_eq!(condition(&world.take(alice)[0]), Some(expected), "{inner:.60}");
    }
}

#[test]
fn a_roster_has_an_end() {
    let mut world = World::with_config(3, &["north.example"], |c| c.limits.roster_items = 2);
    world.register("alice@north.example");
    let alice = world.online("alice@north.example", "desk");
    for n in 0..2 {
        world.send(alice, &set(&format!("<item jid='c{n}@north.example'/>")));
        assert_eq!(world.take(alice)[0].attr("type"), Some("result"));
    }
    world.send(alice, &set("<item jid='c3@north.example'/>"));
    assert_eq!(condition(&world.take(alice)[0]), Some("resource-constraint"));
    world.send(alice, &set("<item jid='c1@north.example' name='Other'/>"));
    assert_eq!(world.take(alice)[0].attr("type"), Some("result"), "what is there can be changed");
}
