//! X01 to X07: who may say what. Forgers are contacts, strangers, other domains, and full addresses.

use xep::omemo::{DeviceList, Version};
use xep::pubsub::{Event as PubSubEvent, Item};
use xmpp::jid::BareJid;
use xmpp::xml::Element;

use crate::testing::World;

const FORGERS: [&str; 4] = ["bob@south.example", "bob@south.example/r", "eve@evil.example", "evil.example"];

fn message(from: &str, child: Element) -> Element {
    Element::new("message", xmpp::ns::CLIENT)
        .with_attr("from", from)
        .with_attr("to", "alice@north.example")
        .with_attr("id", "forged")
        .with_child(child)
}

/// A message of bob's as the server saw it.
fn genuine(world: &mut World, bob: usize) -> Element {
    world.server.tamper = Some(Box::new(|_| Vec::new()));
    world.say(bob, "alice", "wrapped");
    world.server.tamper = None;
    world.server.messages.last().cloned().unwrap()
}

#[test]
fn x01_forwarded_copies_are_not_believed() {
    let (mut world, alice, bob) = World::alice_and_bob(10);
    world.say(bob, "alice", "session");
    for wrapper in ["received", "sent"] {
        let inner = genuine(&mut world, bob);
        let forwarded = Element::new("forwarded", "urn:xmpp:forward:0").with_child(inner);
        let carbon = Element::new(wrapper, "urn:xmpp:carbons:2").with_child(forwarded);
        for forger in FORGERS {
            world.server.inject(alice, &message(forger, carbon.clone()));
        }
    }
    world.settle();
    assert_eq!(world.received(alice), ["session"]);
}

#[test]
fn x02_archive_results_that_nobody_asked_for_are_ignored() {
    let (mut world, alice, bob) = World::alice_and_bob(11);
    world.say(bob, "alice", "session");
    let inner = genuine(&mut world, bob);
    let forwarded = Element::new("forwarded", "urn:xmpp:forward:0").with_child(inner);
    let result = Element::new("result", "urn:xmpp:mam:2").with_attr("queryid", "q").with_child(forwarded);
    for forger in FORGERS.into_iter().chain(["alice@north.example"]) {
        world.server.inject(alice, &message(forger, result.clone()));
    }
    world.settle();
    assert_eq!(world.received(alice), ["session"]);
}

#[test]
fn x03_roster_pushes_change_nothing_and_are_acknowledged_to_the_own_server_only() {
    let (mut world, alice, _) = World::alice_and_bob(12);
    let item =
        Element::new("item", xmpp::ns::ROSTER).with_attr("jid", "eve@evil.example").with_attr("subscription", "both");
    let push = |from: &str| {
        Element::new("iq", xmpp::ns::CLIENT)
            .with_attr("type", "set")
            .with_attr("id", "push")
            .with_attr("from", from)
            .with_child(Element::new("query", xmpp::ns::ROSTER).with_child(item.clone()))
    };
    for forger in FORGERS {
        world.server.inject(alice, &push(forger));
        world.settle();
        assert_eq!(world.server.answers.last().and_then(|iq| iq.attr("type")), Some("error"), "{forger}");
    }
    world.server.inject(alice, &push("alice@north.example"));
    world.settle();
    assert_eq!(world.server.answers.last().and_then(|iq| iq.attr("type")), Some("result"));
    assert!(world.contact(alice, "eve@evil.example").is_none());
}

#[test]
fn x04_nobody_speaks_for_the_nodes_of_others() {
    let (mut world, alice, bob) = World::alice_and_bob(13);
    world.say(alice, "bob", "session");
    let own = world.device_ids("alice@north.example");
    for version in Version::STRONGEST_FIRST {
        let list = DeviceList::of_ids([666]).to_element(version);
        let event = PubSubEvent::published(version.devices_node(), Item::new("current", list)).to_element();
        for forger in ["bob@south.example/r", "eve@evil.example", "north.example", "south.example"] {
            world.server.inject(alice, &message(forger, event.clone()));
        }
    }
    world.settle();
    world.say(alice, "bob", "to the same devices");
    assert_eq!(world.received(bob), ["session", "to the same devices"]);
    assert_eq!(world.device_ids("alice@north.example"), own);
    let last = world.server.messages.last().unwrap().to_xml("");
    assert!(!last.contains("rid='666'") && !last.contains("rid=\"666\""));
}

#[test]
fn the_own_list_is_healed_when_this_device_is_missing() {
    let (mut world, alice, _) = World::alice_and_bob(14);
    let own = world.device_ids("alice@north.example");
    for version in Version::STRONGEST_FIRST {
        let list = DeviceList::of_ids([4711]).to_element(version);
        let event = PubSubEvent::published(version.devices_node(), Item::new("current", list)).to_element();
        world.server.inject(alice, &message("alice@north.example", event));
    }
    world.settle();
    let healed = world.device_ids("alice@north.example");
    assert!(own.iter().all(|id| healed.contains(id)));
    assert!(healed.contains(&4711), "the other device stays");
}

#[test]
fn x05_messages_of_rooms_and_of_servers_are_not_taken_for_people() {
    let (mut world, alice, bob) = World::alice_and_bob(15);
    world.say(bob, "alice", "session");
    let mut forged = genuine(&mut world, bob);
    forged.set_attr("type", "groupchat");
    world.server.inject(alice, &forged);
    forged.set_attr("type", "chat");
    forged.set_attr("from", "room.example/bob");
    world.server.inject(alice, &forged);
    world.settle();
    assert_eq!(world.received(alice), ["session"]);
}

#[test]
fn x06_answers_count_only_from_whom_was_asked() {
    let (mut world, alice, bob) = World::alice_and_bob(16);
    // Every answer about bob's lists is preceded by forged ones with the right id.
    world.server.forge_answers_from = vec!["eve@evil.example".into(), "south.example".into()];
    world.advance(std::time::Duration::from_secs(25 * 60 * 60));
    world.say(alice, "bob", "to bob only");
    assert_eq!(world.received(bob), ["to bob only"]);
    let last = world.server.messages.last().unwrap().to_xml("");
    assert!(!last.contains("666"));
}

#[test]
fn x07_stamps_count_only_from_the_own_server() {
    let (mut world, alice, bob) = World::alice_and_bob(17);
    world.say(bob, "alice", "session");
    let now = world.now();
    world.server.tamper = Some(Box::new(|mut stanza| {
        let delay = Element::new("delay", "urn:xmpp:delay")
            .with_attr("from", "south.example")
            .with_attr("stamp", "2001-01-01T00:00:00Z");
        stanza.push(delay);
        vec![stanza]
    }));
    world.say(bob, "alice", "written now");
    let messages = world.inbox(alice, crate::command::InboxSide::Contacts);
    assert_eq!(messages.last().unwrap().written_at, now);
}

#[test]
fn who_joins_by_an_invitation_is_told_once_and_only_by_the_own_server() {
    let (mut world, alice, _) = World::alice_and_bob(18);
    let link = world.invite_of(alice);
    let token = link.split("preauth=").nth(1).and_then(|rest| rest.split(';').next()).unwrap().to_owned();
    let own = BareJid::parse("alice@north.example").unwrap();
    let joined = |from: &str, who: &str, token: &str| {
        xmpp::xml::Element::new("message", xmpp::ns::CLIENT)
            .with_attr("from", from)
            .with_attr("to", own.as_str())
            .with_attr("id", "joined")
            .with_child(xep::invites::joined(&BareJid::parse(who).unwrap(), token))
    };
    let told = |world: &mut World| -> Vec<String> {
        world.settle();
        let notices = world.notices(alice).into_iter();
        let joined = notices.filter(|kept| matches!(kept.notice, crate::event::Notice::Joined { .. }));
        joined.filter_map(|kept| Some(kept.notice.contact()?.as_str().to_owned())).collect()
    };
    let domain = own.domainpart();
    for forged in [
        joined("evil.example", "eve@evil.example", &token),
        joined("bob@south.example", "eve@evil.example", &token),
        joined(domain, "eve@evil.example", "guessed"),
    ] {
        world.server.inject(alice, &forged);
    }
    assert_eq!(told(&mut world), Vec::<String>::new());
    world.server.inject(alice, &joined(domain, "carol@north.example", &token));
    assert_eq!(told(&mut world), ["carol@north.example"]);
    // an invitation opens one account, so a server cannot fill the store with people whom nobody invited
    world.server.inject(alice, &joined(domain, "dave@north.example", &token));
    assert_eq!(told(&mut world), ["carol@north.example"]);
}
