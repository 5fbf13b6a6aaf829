mod bounds;
mod learnt;

use xep::caps::Caps;
use xep::disco::{Identity, Info, Items};
use xep::pubsub::request::parse_items;
use xep::pubsub::{Event, NS_ERRORS};
use xmpp::stanza::{Condition, StanzaError};
use xmpp::xml::Element;

use crate::testing::{World, run};

const NORTH: &str = "north.example";
const SOUTH: &str = "south.example";
const ALICE: &str = "alice@north.example";
const BOB: &str = "bob@south.example";
const LIST: &str = "eu.siacs.conversations.axolotl.devicelist";

/// Alice on north, Bob on south; nobody is anybody's contact yet.
fn world() -> World {
    let world = World::new(1, &[NORTH, SOUTH]);
    world.register(ALICE);
    world.register(BOB);
    world
}

fn pubsub(kind: &str, to: Option<&str>, content: &str) -> String {
    let to = to.map(|to| format!(" to='{to}'")).unwrap_or_default();
    format!("<iq type='{kind}' id='q'{to}><pubsub xmlns='http://jabber.org/protocol/pubsub'>{content}</pubsub></iq>")
}

fn owner(kind: &str, content: &str) -> String {
    format!("<iq type='{kind}' id='q'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>{content}</pubsub></iq>")
}

fn options(fields: &[(&str, &str)]) -> String {
    if fields.is_empty() {
        return String::new();
    }
    let fields: String =
        fields.iter().map(|(var, value)| format!("<field var='pubsub#{var}'><value>{value}</value></field>")).collect();
    format!(
        "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/pubsub#publish-options</value></field>{fields}</x></publish-options>"
    )
}

fn publish(node: &str, id: &str, fields: &[(&str, &str)]) -> String {
    let item = format!("<publish node='{node}'><item id='{id}'><x xmlns='urn:x'>{id}</x></item></publish>");
    pubsub("set", None, &format!("{item}{}", options(fields)))
}

/// Sends a question and returns its answer; other stanzas are dropped.
fn ask(world: &mut World, client: usize, iq: &str) -> Element {
    world.send(client, iq);
    let mut answers = world.take(client);
    answers.retain(|s| s.name() == "iq" && s.attr("id") == Some("q"));
    assert_eq!(answers.len(), 1, "one answer to {iq}");
    answers.remove(0)
}

fn refused(answer: &Element) -> Option<(Condition, Option<String>)> {
    let error = StanzaError::of_stanza(answer)?;
    let specific = error.extra.iter().find(|e| e.ns() == NS_ERRORS).map(|e| e.name().to_owned());
    Some((error.condition, specific))
}

fn ids(answer: &Element) -> Vec<String> {
    let (_, items) = parse_items(answer.children().next().expect("an answer")).expect("items");
    items.into_iter().filter_map(|item| item.id).collect()
}

fn items(world: &mut World, client: usize, to: Option<&str>, node: &str) -> Element {
    ask(world, client, &pubsub("get", to, &format!("<items node='{node}'/>")))
}

/// Returns node and ids of the events among what a client has received.
fn events(world: &mut World, client: usize) -> Vec<(String, Vec<String>)> {
    described(&world.take(client))
}

fn described(received: &[Element]) -> Vec<(String, Vec<String>)> {
    let events = received.iter().filter(|s| s.name() == "message").filter_map(|s| Event::inside(s).ok().flatten());
    let described = events.map(|event| match event {
        Event::Items { node, published, retracted } => {
            let ids = published.into_iter().filter_map(|i| i.id);
            (node, ids.chain(retracted.into_iter().map(|id| format!("-{id}"))).collect())
        }
        other => (other.node().to_owned(), vec!["(gone)".to_owned()]),
    });
    described.collect()
}

fn interested_in(nodes: &[&str]) -> Info {
    Info {
        identities: vec![Identity::new("client", "pc", None)],
        features: nodes.iter().map(|n| format!("{n}+notify")).collect(),
        ..Info::default()
    }
}

/// Sends presence with capabilities, and answers the questions that come for it. Returns how many came.
fn available(world: &mut World, client: usize, info: &Info) -> usize {
    let caps = Caps::announcing(info, "https://example.org/app");
    world.send(client, &format!("<presence>{}</presence>", caps.to_element().to_xml("jabber:client")));
    let mut asked = 0;
    for question in world.take(client) {
        if question.attr("type") == Some("get") && question.children().any(|c| c.is("query", xep::disco::NS_INFO)) {
            assert_eq!(
                question.child("query", xep::disco::NS_INFO).and_then(|q| q.attr("node")),
                Some(&*caps.query_node())
            );
            let mut answer = xmpp::stanza::reply_result(&question, Some(info.to_element()));
            answer.remove_attr("from");
            world.send(client, &answer.to_xml("jabber:client"));
            asked += 1;
        }
    }
    asked
}

/// Makes two people each other's contacts, with presence.
fn befriend(world: &mut World, one: usize, other: usize) {
    let bare = |world: &mut World, client: usize| {
        world.client(client).jid().split_once('/').map(|(bare, _)| bare.to_owned()).expect("a full address")
    };
    let (first, second) = (bare(world, one), bare(world, other));
    for (asker, to, allower, from) in [(one, &second, other, &first), (other, &first, one, &second)] {
        world.send(asker, &format!("<presence type='subscribe' to='{to}'/>"));
        world.send(allower, &format!("<presence type='subscribed' to='{from}'/>"));
    }
}

#[test]
fn publishing_makes_the_node_and_the_owner_reads_it_back() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    let published = ask(&mut world, alice, &publish("n", "1", &[]));
    let item =
        published.children().next().and_then(|p| p.child("publish", xep::pubsub::NS)?.children().next().cloned());
    assert_eq!(item.and_then(|i| i.attr("id").map(str::to_owned)).as_deref(), Some("1"));
    assert_eq!(ids(&items(&mut world, alice, None, "n")), ["1"]);
    ask(&mut world, alice, &publish("n", "2", &[]));
    assert_eq!(ids(&items(&mut world, alice, Some(ALICE), "n")), ["2"], "one item by default");
    world.crash(NORTH);
    let alice = world.online(ALICE, "desk");
    assert_eq!(ids(&items(&mut world, alice, None, "n")), ["2"], "on disk");
}

#[test]
fn a_missing_node_is_told_with_the_old_code() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    let answer = items(&mut world, alice, None, LIST);
    assert_eq!(refused(&answer), Some((Condition::ItemNotFound, None)));
    let error = answer.child("error", "jabber:client").expect("an error");
    assert_eq!(error.attr("code"), Some("404"), "a deployed client publishes its first list only then");
}

#[test]
fn publish_options_make_a_node_and_then_hold_it_to_them() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    let open = [("access_model", "open"), ("persist_items", "true"), ("max_items", "max")];
    assert_eq!(refused(&ask(&mut world, alice, &publish("n", "1", &open))), None);
    assert_eq!(refused(&ask(&mut world, alice, &publish("n", "2", &open))), None);
    assert_eq!(ids(&items(&mut world, alice, None, "n")), ["1", "2"]);
    let closed = [("access_model", "whitelist")];
    let not_met = Some((Condition::Conflict, Some("precondition-not-met".to_owned())));
    assert_eq!(refused(&ask(&mut world, alice, &publish("n", "3", &closed))), not_met);
    assert_eq!(
        refused(&ask(&mut world, alice, &publish("n", "3", &[("made_up", "1")]))),
        Some((Condition::NotAcceptable, None))
    );
    assert_eq!(ids(&items(&mut world, alice, None, "n")), ["1", "2"], "nothing of the refused ones");
    // what clients do then: configure, and publish again
    let configure = "<configure node='n'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
                     <value>http://jabber.org/protocol/pubsub#node_config</value></field>\
                     <field var='pubsub#access_model'><value>whitelist</value></field></x></configure>";
    assert_eq!(refused(&ask(&mut world, alice, &owner("set", configure))), None);
    assert_eq!(refused(&ask(&mut world, alice, &publish("n", "3", &closed))), None);
}

#[test]
fn who_may_read_depends_on_the_node() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    let bob = world.online(BOB, "phone");
    for (node, access) in [("open", "open"), ("presence", "presence"), ("private", "whitelist")] {
        ask(&mut world, alice, &publish(node, "1", &[("access_model", access)]));
    }
    let presence_needed = Some((Condition::NotAuthorized, Some("presence-subscription-required".to_owned())));
    let closed = Some((Condition::NotAllowed, Some("closed-node".to_owned())));
    assert_eq!(ids(&items(&mut world, bob, Some(ALICE), "open")), ["1"]);
    assert_eq!(refused(&items(&mut world, bob, Some(ALICE), "presence")), presence_needed);
    assert_eq!(refused(&items(&mut world, bob, Some(ALICE), "private")), closed);
    assert_eq!(refused(&items(&mut world, bob, Some(ALICE), "none")), Some((Condition::ItemNotFound, None)));
    assert_eq!(
        refused(&items(&mut world, bob, Some("nobody@north.example"), "open")),
        Some((Condition::ItemNotFound, None)),
        "an account that does not exist looks like one without nodes"
    );
    befriend(&mut world, alice, bob);
    assert_eq!(ids(&items(&mut world, bob, Some(ALICE), "presence")), ["1"]);
    assert_eq!(refused(&items(&mut world, bob, Some(ALICE), "private")), closed, "contacts neither");
    let member = format!("<affiliations node='private'><affiliation jid='{BOB}' affiliation='member'/></affiliations>");
    assert_eq!(refused(&ask(&mut world, alice, &owner("set", &member))), None);
    assert_eq!(ids(&items(&mut world, bob, Some(ALICE), "private")), ["1"]);
    let outcast = format!("<affiliations node='open'><affiliation jid='{BOB}' affiliation='outcast'/></affiliations>");
    ask(&mut world, alice, &owner("set", &outcast));
    assert_eq!(refused(&items(&mut world, bob, Some(ALICE), "open")), Some((Condition::Forbidden, None)));
}

#[test]
fn x04_only_the_owner_changes_nodes() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    let bob = world.online(BOB, "phone");
    ask(&mut world, alice, &publish("n", "1", &[("access_model", "open")]));
    befriend(&mut world, alice, bob);
    let to_alice = |iq: String| iq.replacen("id='q'", &format!("id='q' to='{ALICE}'"), 1);
    for foreign in [
        to_alice(publish("n", "2", &[])),
        to_alice(publish("other", "2", &[])),
        to_alice(pubsub("set", None, "<create node='other'/>")),
        to_alice(pubsub("set", None, "<retract node='n'><item id='1'/></retract>")),
        to_alice(owner("set", "<delete node='n'/>")),
        to_alice(owner("set", "<purge node='n'/>")),
        to_alice(owner("get", "<configure node='n'/>")),
        to_alice(owner("get", "<subscriptions node='n'/>")),
        to_alice(owner(
            "set",
            &format!("<affiliations node='n'><affiliation jid='{BOB}' affiliation='member'/></affiliations>"),
        )),
    ] {
        assert_eq!(refused(&ask(&mut world, bob, &foreign)), Some((Condition::Forbidden, None)), "{foreign}");
    }
    assert_eq!(ids(&items(&mut world, alice, None, "n")), ["1"]);
}

#[test]
fn x04_events_come_from_the_account_that_owns_the_node() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    available(&mut world, alice, &interested_in(&["n"]));
    world.send(alice, &publish("n", "1", &[]));
    let received = world.take(alice);
    let event = received.iter().find(|s| s.name() == "message").expect("an event");
    assert_eq!((event.attr("from"), event.attr("type")), (Some(ALICE), Some("headline")));
    assert_eq!(event.attr("to").map(str::to_owned), Some(world.client(alice).jid()));
}

#[test]
fn items_can_be_asked_for_by_id_and_by_number() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    for id in ["1", "2", "3"] {
        ask(&mut world, alice, &publish("n", id, &[("max_items", "10")]));
    }
    assert_eq!(ids(&ask(&mut world, alice, &pubsub("get", None, "<items node='n' max_items='2'/>"))), ["2", "3"]);
    let by_id = |id: &str| pubsub("get", None, &format!("<items node='n'><item id='{id}'/></items>"));
    assert_eq!(ids(&ask(&mut world, alice, &by_id("1"))), ["1"]);
    assert_eq!(refused(&ask(&mut world, alice, &by_id("9"))), Some((Condition::ItemNotFound, None)));
    ask(&mut world, alice, &publish("n", "1", &[]));
    assert_eq!(ids(&items(&mut world, alice, None, "n")), ["2", "3", "1"], "a repeated id replaces and is the newest");
}

#[test]
fn retract_purge_and_delete() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    available(&mut world, alice, &interested_in(&["n"]));
    for id in ["1", "2"] {
        world.send(alice, &publish("n", id, &[("max_items", "10")]));
    }
    world.take(alice);
    let retract = |id: &str| pubsub("set", None, &format!("<retract node='n'><item id='{id}'/></retract>"));
    world.send(alice, &retract("1"));
    assert_eq!(events(&mut world, alice), [("n".to_owned(), vec!["-1".to_owned()])]);
    assert_eq!(refused(&ask(&mut world, alice, &retract("1"))), Some((Condition::ItemNotFound, None)));
    assert_eq!(ids(&items(&mut world, alice, None, "n")), ["2"]);
    world.send(alice, &owner("set", "<purge node='n'/>"));
    assert_eq!(events(&mut world, alice).len(), 1);
    assert!(ids(&items(&mut world, alice, None, "n")).is_empty());
    world.send(alice, &owner("set", "<delete node='n'/>"));
    assert_eq!(events(&mut world, alice).len(), 1);
    assert_eq!(refused(&items(&mut world, alice, None, "n")), Some((Condition::ItemNotFound, None)));
    assert_eq!(
        refused(&ask(&mut world, alice, &owner("set", "<delete node='n'/>"))),
        Some((Condition::ItemNotFound, None))
    );
}

#[test]
fn create_and_configure() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    assert_eq!(refused(&ask(&mut world, alice, &pubsub("set", None, "<create node='n'/><configure/>"))), None);
    assert_eq!(
        refused(&ask(&mut world, alice, &pubsub("set", None, "<create node='n'/>"))),
        Some((Condition::Conflict, None))
    );
    let instant = ask(&mut world, alice, &pubsub("set", None, "<create/>"));
    let name =
        instant.children().next().and_then(|p| p.child("create", xep::pubsub::NS)?.attr("node").map(str::to_owned));
    assert!(name.is_some_and(|n| n.len() == 32));
    let settings = ask(&mut world, alice, &owner("get", "<configure node='n'/>"));
    let form =
        xep::pubsub::request::parse_configuration(settings.children().next().expect("an answer")).expect("a form");
    assert_eq!((form.value("pubsub#access_model"), form.value("pubsub#max_items")), (Some("presence"), Some("1")));
    let cancel = "<configure node='n'><x xmlns='jabber:x:data' type='cancel'/></configure>";
    assert_eq!(refused(&ask(&mut world, alice, &owner("set", cancel))), None);
    let authorize = "<configure node='n'><x xmlns='jabber:x:data' type='submit'>\
                     <field var='pubsub#access_model'><value>authorize</value></field></x></configure>";
    assert_eq!(refused(&ask(&mut world, alice, &owner("set", authorize))), Some((Condition::NotAcceptable, None)));
}

#[test]
fn a_stranger_on_another_server_subscribes_to_an_open_node() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    let bob = world.online(BOB, "phone");
    ask(&mut world, alice, &publish(LIST, "current", &[("access_model", "open")]));
    ask(&mut world, alice, &publish("presence", "1", &[]));
    let subscribe =
        |node: &str, jid: &str| pubsub("set", Some(ALICE), &format!("<subscribe node='{node}' jid='{jid}'/>"));
    let invalid = Some((Condition::BadRequest, Some("invalid-jid".to_owned())));
    assert_eq!(refused(&ask(&mut world, bob, &subscribe(LIST, "eve@south.example"))), invalid);
    assert!(refused(&ask(&mut world, bob, &subscribe("presence", BOB))).is_some());
    world.send(bob, &subscribe(LIST, BOB));
    assert_eq!(events(&mut world, bob), [(LIST.to_owned(), vec!["current".to_owned()])], "the newest item at once");
    ask(&mut world, alice, &publish(LIST, "current", &[]));
    assert_eq!(events(&mut world, bob), [(LIST.to_owned(), vec!["current".to_owned()])]);
    // closed behind him: he hears nothing more
    let closed = "<configure node='eu.siacs.conversations.axolotl.devicelist'><x xmlns='jabber:x:data' type='submit'>\
                  <field var='pubsub#access_model'><value>whitelist</value></field></x></configure>";
    ask(&mut world, alice, &owner("set", closed));
    ask(&mut world, alice, &publish(LIST, "current", &[]));
    assert!(events(&mut world, bob).is_empty());
    let unsubscribe = pubsub("set", Some(ALICE), &format!("<unsubscribe node='{LIST}' jid='{BOB}'/>"));
    assert_eq!(refused(&ask(&mut world, bob, &unsubscribe)), None, "leaving is always allowed");
    let not_subscribed = Some((Condition::UnexpectedRequest, Some("not-subscribed".to_owned())));
    assert_eq!(refused(&ask(&mut world, bob, &unsubscribe)), not_subscribed);
}

#[test]
fn contacts_hear_what_their_capabilities_ask_for_and_nothing_else() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    let bob = world.online(BOB, "phone");
    befriend(&mut world, alice, bob);
    let info = interested_in(&["wanted", "private"]);
    assert!(available(&mut world, bob, &info) >= 1, "an unknown client is asked");
    for (node, access) in [("wanted", "presence"), ("unwanted", "presence"), ("private", "whitelist")] {
        ask(&mut world, alice, &publish(node, "1", &[("access_model", access)]));
    }
    assert_eq!(events(&mut world, bob), [("wanted".to_owned(), vec!["1".to_owned()])]);
    // without the presence of each other, nothing
    world.send(alice, &format!("<presence type='unsubscribed' to='{BOB}'/>"));
    ask(&mut world, alice, &publish("wanted", "2", &[]));
    assert!(events(&mut world, bob).is_empty());
}

#[test]
fn the_newest_items_come_with_the_first_presence_and_the_client_is_asked_once_per_kind() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    ask(&mut world, alice, &publish("n", "1", &[]));
    ask(&mut world, alice, &publish("quiet", "1", &[("send_last_published_item", "never")]));
    let info = interested_in(&["n", "quiet"]);
    let own = world.connect(ALICE, "tablet");
    let asked = available(&mut world, own, &info);
    assert_eq!(asked, 1, "the own server asks once");
    let received = world.take(own);
    let event = received.iter().find(|s| s.name() == "message").expect("the newest item");
    assert!(event.child("delay", "urn:xmpp:delay").is_some());
    assert_eq!(received.iter().filter(|s| s.name() == "message").count(), 1, "what is quiet stays quiet");
    assert_eq!(available(&mut world, own, &info), 0);
    assert!(events(&mut world, own).is_empty(), "a second presence brings nothing again");
    let third = world.connect(ALICE, "laptop");
    let caps = Caps::announcing(&info, "https://example.org/app");
    world.send(third, &format!("<presence>{}</presence>", caps.to_element().to_xml("jabber:client")));
    assert_eq!(events(&mut world, third), [("n".to_owned(), vec!["1".to_owned()])], "known by now: at once");
}

#[test]
fn an_answer_that_nobody_asked_for_or_of_somebody_else_changes_nothing() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    let bob = world.online(BOB, "phone");
    befriend(&mut world, alice, bob);
    world.take(bob);
    let info = interested_in(&["n"]);
    let caps = Caps::announcing(&info, "https://example.org/app");
    world.send(bob, &format!("<presence>{}</presence>", caps.to_element().to_xml("jabber:client")));
    let questions = world.take(bob);
    let id = questions.iter().find(|q| q.attr("from") == Some(ALICE)).and_then(|q| q.attr("id")).expect("a question");
    world.register("eve@south.example");
    let eve = world.online("eve@south.example", "phone");
    let forged = |id: &str| {
        format!("<iq type='result' id='{id}' to='{ALICE}'>{}</iq>", info.to_element().to_xml("jabber:client"))
    };
    world.send(eve, &forged(id));
    world.send(bob, &forged("guess"));
    ask(&mut world, alice, &publish("n", "1", &[]));
    assert!(events(&mut world, bob).is_empty());
    // an answer that is not what was announced is not believed either
    let other = interested_in(&["n", "more"]);
    world.send(
        bob,
        &format!("<iq type='result' id='{id}' to='{ALICE}'>{}</iq>", other.to_element().to_xml("jabber:client")),
    );
    ask(&mut world, alice, &publish("n", "2", &[]));
    assert!(events(&mut world, bob).is_empty());
}

#[test]
fn x18_the_bounds_hold() {
    let mut world = World::with_config(1, &[NORTH], |config| {
        config.pep = super::PepLimits { item_bytes: 200, nodes: 2, items: 3, bytes: 1 << 20, listed: 1 };
    });
    world.register(ALICE);
    world.register("bob@north.example");
    world.register("carol@north.example");
    let alice = world.online(ALICE, "desk");
    let large = pubsub(
        "set",
        None,
        &format!("<publish node='n'><item><x xmlns='urn:x'>{}</x></item></publish>", "x".repeat(200)),
    );
    let too_big = Some((Condition::NotAcceptable, Some("payload-too-big".to_owned())));
    assert_eq!(refused(&ask(&mut world, alice, &large)), too_big);
    for id in ["1", "2", "3", "4", "5"] {
        ask(&mut world, alice, &publish("a", id, &[("max_items", "max"), ("access_model", "open")]));
    }
    assert_eq!(ids(&items(&mut world, alice, None, "a")), ["3", "4", "5"]);
    ask(&mut world, alice, &publish("b", "1", &[]));
    let too_many = Some((Condition::Conflict, Some("max-nodes-exceeded".to_owned())));
    assert_eq!(refused(&ask(&mut world, alice, &publish("c", "1", &[]))), too_many);
    assert_eq!(refused(&ask(&mut world, alice, &pubsub("set", None, "<create/>"))), too_many);
    let bob = world.online("bob@north.example", "phone");
    let carol = world.online("carol@north.example", "phone");
    let subscribe = |jid: &str| pubsub("set", Some(ALICE), &format!("<subscribe node='a' jid='{jid}'/>"));
    assert_eq!(refused(&ask(&mut world, bob, &subscribe("bob@north.example"))), None);
    let full = Some((Condition::PolicyViolation, Some("too-many-subscriptions".to_owned())));
    assert_eq!(refused(&ask(&mut world, carol, &subscribe("carol@north.example"))), full);
}

#[test]
fn service_discovery_shows_what_the_asker_may_read() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    let bob = world.online(BOB, "phone");
    for (node, access) in [("open", "open"), ("presence", "presence"), ("private", "whitelist")] {
        ask(&mut world, alice, &publish(node, "1", &[("access_model", access)]));
    }
    let query = |ns: &str| format!("<iq type='get' id='q' to='{ALICE}'><query xmlns='{ns}'/></iq>");
    let listed = |answer: &Element| {
        let items = Items::parse(answer.children().next().expect("an answer")).expect("items");
        items.items.into_iter().filter_map(|i| i.node).collect::<Vec<_>>()
    };
    let own = ask(&mut world, alice, &query(xep::disco::NS_ITEMS));
    assert_eq!(listed(&own), ["open", "presence", "private"]);
    let info = ask(&mut world, alice, &query(xep::disco::NS_INFO));
    let info = Info::parse(info.children().next().expect("an answer")).expect("an answer");
    assert!(
        info.has_identity("pubsub", "pep") && info.has_feature("http://jabber.org/protocol/pubsub#publish-options")
    );
    for ns in [xep::disco::NS_ITEMS, xep::disco::NS_INFO] {
        let stranger = ask(&mut world, bob, &query(ns));
        let nobody = ask(&mut world, bob, &query(ns).replace(ALICE, "nobody@north.example"));
        assert_eq!(refused(&stranger), Some((Condition::ServiceUnavailable, None)));
        assert_eq!(refused(&nobody), refused(&stranger));
    }
    befriend(&mut world, alice, bob);
    assert_eq!(listed(&ask(&mut world, bob, &query(xep::disco::NS_ITEMS))), ["open", "presence"]);
}

#[test]
fn many_publishers_of_one_node_lose_nothing() {
    let mut world = world();
    let alice = world.online(ALICE, "desk");
    ask(&mut world, alice, &publish("n", "first", &[("max_items", "max")]));
    let core = world.broker(NORTH).core();
    let account = xmpp::jid::BareJid::parse(ALICE).expect("an address");
    // two that have read the same state: the second must decide again
    let mut one = run(super::node::Node::load(core, &account, "n")).expect("readable").expect("a node");
    let mut other = run(super::node::Node::load(core, &account, "n")).expect("readable").expect("a node");
    for (node, expected) in [(&mut one, Ok(())), (&mut other, Err(store::StoreError::Conflict))] {
        let mut transaction = core.store.transaction();
        node.row.members.push("x".to_owned());
        node.save(&mut transaction, &account);
        assert_eq!(run(transaction.commit()), expected);
    }
}

/// `pubsub#itemreply` (XEP-0060 §7.1.2.3, §12.17): whoever reads or hears of an item learns who published it, and nobody
/// can say so of himself.
#[test]
fn items_name_their_publisher_where_the_node_says_so() {
    let mut world = world();
    let (alice, bob) = (world.online(ALICE, "desk"), world.connect(BOB, "phone"));
    befriend(&mut world, alice, bob);
    available(&mut world, bob, &interested_in(&["n"]));
    let publisher_of = |items: &Element| {
        let (_, items) = parse_items(items.children().next().expect("an answer")).expect("items");
        items.into_iter().map(|item| item.publisher.map(|jid| jid.as_str().to_owned())).collect::<Vec<_>>()
    };
    let heard = |world: &mut World, client: usize| {
        let received = world.take(client);
        let events = received.iter().filter_map(|s| Event::inside(s).ok().flatten());
        let items = events.flat_map(|event| match event {
            Event::Items { published, .. } => published,
            _ => Vec::new(),
        });
        items.map(|item| item.publisher.map(|jid| jid.as_str().to_owned())).collect::<Vec<_>>()
    };
    let forged = publish("n", "1", &[]).replace("<item ", "<item publisher='mallory@north.example' ");
    ask(&mut world, alice, &forged);
    assert_eq!(heard(&mut world, bob), [None]);
    assert_eq!(publisher_of(&items(&mut world, bob, Some(ALICE), "n")), [None]);
    let configure = |value: &str| {
        owner(
            "set",
            &format!(
                "<configure node='n'><x xmlns='jabber:x:data'><field var='FORM_TYPE' type='hidden'>\
                 <value>http://jabber.org/protocol/pubsub#node_config</value></field><field var='pubsub#itemreply'>\
                 <value>{value}</value></field></x></configure>"
            ),
        )
    };
    assert_eq!(refused(&ask(&mut world, alice, &configure("owner"))).map(|(c, _)| c), Some(Condition::NotAcceptable));
    assert_eq!(refused(&ask(&mut world, alice, &configure("publisher"))), None, "a form without type is filled in");
    ask(&mut world, alice, &forged);
    assert_eq!(heard(&mut world, bob), [Some(ALICE.to_owned())]);
    assert_eq!(publisher_of(&items(&mut world, bob, Some(ALICE), "n")), [Some(ALICE.to_owned())]);
    world.crash(NORTH);
    let alice = world.online(ALICE, "desk");
    assert_eq!(publisher_of(&items(&mut world, alice, None, "n")), [Some(ALICE.to_owned())], "it is kept");
}
