//! What a node's owner can do to others and to the disk: subscriptions, copies, quota, rows.

use prost::Message as _;
use store::Direction;
use xmpp::stanza::Condition;

use super::{ALICE, BOB, NORTH, ask, events, ids, items, options, owner, publish, pubsub, refused, world};
use crate::tables::{ItemOrderRow, NodeRow, PEP_NODES, PEP_ORDER, PEP_USAGE, PepUsageRow};
use crate::testing::{World, run};

/// Publishes an item of so many bytes.
fn publish_large(node: &str, id: &str, bytes: usize, fields: &[(&str, &str)]) -> String {
    let text = "x".repeat(bytes);
    let item = format!("<publish node='{node}'><item id='{id}'><x xmlns='urn:x'>{text}</x></item></publish>");
    pubsub("set", None, &format!("{item}{}", options(fields)))
}

/// The owner subscribed whomever they liked, and each publication was copied for each.
#[test]
fn b02_nobody_is_subscribed_by_another() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    let bob = world.online(BOB, "phone");
    ask(&mut world, alice, &publish("n", "1", &[("access_model", "open")]));
    let change = |jid: &str, state: &str| {
        owner(
            "set",
            &format!("<subscriptions node='n'><subscription jid='{jid}' subscription='{state}'/></subscriptions>"),
        )
    };
    let no = Some((Condition::NotAcceptable, None));
    assert_eq!(refused(&ask(&mut world, alice, &change(BOB, "subscribed"))), no);
    ask(&mut world, alice, &publish("n", "2", &[]));
    assert!(events(&mut world, bob).is_empty());
    // who has asked themselves stays, and can be removed
    let subscribe = pubsub("set", Some(ALICE), &format!("<subscribe node='n' jid='{BOB}'/>"));
    assert_eq!(refused(&ask(&mut world, bob, &subscribe)), None);
    assert_eq!(refused(&ask(&mut world, alice, &change(BOB, "subscribed"))), None);
    events(&mut world, bob);
    ask(&mut world, alice, &publish("n", "3", &[]));
    assert_eq!(events(&mut world, bob), [("n".to_owned(), vec!["3".to_owned()])]);
    assert_eq!(refused(&ask(&mut world, alice, &change(BOB, "none"))), None);
    ask(&mut world, alice, &publish("n", "4", &[]));
    assert!(events(&mut world, bob).is_empty());
}

/// However many are deaf to it, a publication lies in memory once, and is charged to its publisher.
#[test]
fn b02_what_many_get_is_held_once() {
    let mut world = World::new(1, &[NORTH]);
    world.register(ALICE);
    let alice = world.online(ALICE, "desk");
    ask(&mut world, alice, &publish("n", "1", &[("access_model", "open")]));
    let mut deaf = Vec::new();
    for n in 0..40 {
        let name = format!("r{n}@north.example");
        world.register(&name);
        let reader = world.online(&name, "phone");
        let subscribe = pubsub("set", Some(ALICE), &format!("<subscribe node='n' jid='{name}'/>"));
        assert_eq!(refused(&ask(&mut world, reader, &subscribe)), None);
        world.freeze(reader);
        deaf.push(reader);
    }
    let core = std::sync::Arc::clone(world.broker(NORTH).core());
    assert_eq!(core.budgets.bytes.level().held, 0);
    ask(&mut world, alice, &publish_large("n", "2", 100_000, &[]));
    let held = core.budgets.bytes.level();
    assert!((100_000..100_000 + 40 * 1500).contains(&held.held), "and not 4 MB: {held:?}");
    assert_eq!(core.source(&xmpp::jid::Jid::parse(ALICE).expect("an address")).held(), held.held);
    world.cut(alice);
    assert_eq!(core.budgets.bytes.level().held, held.held, "they still wait for it");
    for reader in &deaf {
        world.thaw(*reader);
        let got = world.take(*reader);
        let text = got.iter().find_map(|s| xep::pubsub::Event::inside(s).ok().flatten()).expect("the event");
        assert!(matches!(text, xep::pubsub::Event::Items { published, .. } if published.len() == 1));
    }
    assert_eq!(core.budgets.bytes.level().held, 0, "nothing of it is left");
}

#[test]
fn b02_an_account_publishes_so_many_bytes() {
    let mut world = World::with_config(1, &[NORTH], |config| config.pep.bytes = 10_000);
    world.register(ALICE);
    let alice = world.online(ALICE, "desk");
    let many: &[(&str, &str)] = &[("max_items", "max")];
    for (node, id) in [("a", "1"), ("a", "2"), ("b", "1")] {
        assert_eq!(refused(&ask(&mut world, alice, &publish_large(node, id, 2000, many))), None);
    }
    let full = Some((Condition::ResourceConstraint, None));
    assert_eq!(refused(&ask(&mut world, alice, &publish_large("c", "1", 2000, many))), full);
    assert_eq!(refused(&ask(&mut world, alice, &publish_large("a", "3", 2000, many))), full);
    assert_eq!(ids(&items(&mut world, alice, None, "a")), ["1", "2"], "nothing of a refusal is left");
    // in place of another it fits, and what is taken back makes room
    assert_eq!(refused(&ask(&mut world, alice, &publish_large("a", "1", 2000, many))), None);
    assert_eq!(ids(&items(&mut world, alice, None, "a")), ["2", "1"]);
    let retract = pubsub("set", None, "<retract node='a'><item id='2'/></retract>");
    assert_eq!(refused(&ask(&mut world, alice, &retract)), None);
    assert_eq!(refused(&ask(&mut world, alice, &publish_large("c", "1", 2000, many))), None);
    let delete = owner("set", "<delete node='b'/>");
    assert_eq!(refused(&ask(&mut world, alice, &delete)), None);
    assert_eq!(refused(&ask(&mut world, alice, &publish_large("c", "2", 2000, many))), None);
    let core = world.broker(NORTH).core();
    for (node, name) in [("whole", "whole".to_owned()), ("c", "node\0c".to_owned())] {
        let row = run(core.store.get(&PEP_USAGE.row(ALICE.as_bytes(), name.as_bytes()))).expect("read").expect("a row");
        let usage = PepUsageRow::decode(row.as_slice()).expect("a row");
        assert_eq!(usage.items, if node == "whole" { 3 } else { 2 }, "{node}");
    }
    let account = xmpp::jid::BareJid::parse(ALICE).expect("an address");
    run(super::super::remove_of(core, &account)).expect("removed");
    assert!(run(core.store.list(PEP_USAGE, ALICE.as_bytes())).expect("read").is_empty());
    for node in ["a", "b", "c"] {
        let of_node = format!("{ALICE}\0{node}");
        let left = run(core.store.scan_seq(PEP_ORDER, of_node.as_bytes(), .., Direction::Forward, 9));
        assert!(left.expect("read").is_empty());
    }
}

/// What is written must be read again, and be no file.
#[test]
fn b02_rows_of_nodes_are_bounded() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    let name = "n".repeat(2000);
    assert!(refused(&ask(&mut world, alice, &publish(&name, "1", &[]))).is_some());
    let title = "t".repeat(70_000);
    assert!(refused(&ask(&mut world, alice, &publish("n", "1", &[("title", &title)]))).is_some());
    ask(&mut world, alice, &publish("n", "1", &[("access_model", "whitelist")]));
    let members: String = (0..100)
        .map(|n| format!("<affiliation jid='{n}{}@south.example' affiliation='member'/>", "m".repeat(900)))
        .collect();
    let change = owner("set", &format!("<affiliations node='n'>{members}</affiliations>"));
    let full = Some((Condition::PolicyViolation, Some("too-many-subscriptions".to_owned())));
    assert_eq!(refused(&ask(&mut world, alice, &change)), full);
}

/// Each publication wrote a list of all ids anew: 36 kB of them for an item of a hundred bytes.
#[test]
fn b02_a_publication_writes_the_same_few_bytes_however_many_items_there_are() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    let long = |n: usize| format!("{n}-{}", "i".repeat(500));
    let many: &[(&str, &str)] = &[("max_items", "max"), ("access_model", "open")];
    ask(&mut world, alice, &publish("n", &long(0), many));
    let node = |world: &World| {
        let row = run(world.broker(NORTH).store.get(&PEP_NODES.row(ALICE.as_bytes(), b"n"))).expect("read");
        row.expect("a node").as_slice().to_vec()
    };
    let before = node(&world);
    assert!(NodeRow::decode(before.as_slice()).expect("a node").ids.is_empty());
    for n in 1..60 {
        ask(&mut world, alice, &publish("n", &long(n), &[]));
    }
    assert_eq!(node(&world), before, "the node is not written");
    let of_node = format!("{ALICE}\0n");
    let order = run(world.broker(NORTH).store.scan_seq(PEP_ORDER, of_node.as_bytes(), .., Direction::Forward, 99));
    let order = order.expect("read");
    assert_eq!(order.len(), 60);
    for (n, (_, value)) in order.iter().enumerate() {
        assert!(value.len() < 600);
        assert_eq!(ItemOrderRow::decode(value.as_slice()).expect("a row").id, long(n));
    }
    // an item of one's own choice leaves its place for the newest one
    ask(&mut world, alice, &publish("n", &long(7), &[]));
    let read = ids(&items(&mut world, alice, None, "n"));
    assert_eq!((read.len(), read.last()), (60, Some(&long(7))));
}

/// Counters that are damaged keep nobody from publishing or from taking back: they are counted anew.
#[test]
fn b11_a_damaged_counter_closes_no_node() {
    let mut world = World::with_config(1, &[NORTH], |config| config.pep.bytes = 10_000);
    world.register(ALICE);
    let alice = world.online(ALICE, "desk");
    let many: &[(&str, &str)] = &[("max_items", "max")];
    let retract = |id: &str| pubsub("set", None, &format!("<retract node='a'><item id='{id}'/></retract>"));
    assert_eq!(refused(&ask(&mut world, alice, &publish_large("a", "1", 2000, many))), None);
    assert_eq!(refused(&ask(&mut world, alice, &retract("1"))), None);
    let before = world.stored_keys(NORTH);
    assert_eq!(refused(&ask(&mut world, alice, &publish_large("a", "1", 2000, many))), None);
    let mut made = world.stored_keys(NORTH);
    made.retain(|key| !before.contains(key) && key.len() == 32);
    assert_eq!(made.len(), 3, "the item and two counters");
    made.iter().for_each(|key| world.damage(NORTH, key));
    world.crash(NORTH);
    let alice = world.online(ALICE, "later");
    for id in ["2", "3"] {
        assert_eq!(refused(&ask(&mut world, alice, &publish_large("a", id, 2000, many))), None, "{id}");
    }
    let full = Some((Condition::ResourceConstraint, None));
    assert_eq!(refused(&ask(&mut world, alice, &publish_large("a", "4", 2000, many))), full, "what was there counts");
    assert_eq!(refused(&ask(&mut world, alice, &retract("2"))), None);
    assert_eq!(refused(&ask(&mut world, alice, &publish_large("a", "4", 2000, many))), None);
    let aside = run(world.broker(NORTH).store.aside()).expect("read");
    assert_eq!(aside.iter().filter(|table| *table == PEP_USAGE.name).count(), 2, "{aside:?}");
}
