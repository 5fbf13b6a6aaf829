//! What a service learnt from presence counts anew when roster or access changes (XEP-0163 §4.3.4).

use super::*;

const CAROL: &str = "carol@north.example";

/// Answers the questions for capabilities that a client has received; returns the nodes and ids of its events.
fn events_of(world: &mut World, client: usize, info: &Info) -> Vec<(String, Vec<String>)> {
    let received = world.take(client);
    let mut events: Vec<_> = described(&received);
    for question in received {
        if question.attr("type") == Some("get") && question.children().any(|c| c.is("query", xep::disco::NS_INFO)) {
            let mut answer = xmpp::stanza::reply_result(&question, Some(info.to_element()));
            answer.remove_attr("from");
            world.send(client, &answer.to_xml("jabber:client"));
            events.extend(described(&world.take(client)));
        }
    }
    events
}

fn item(node: &str, id: &str) -> (String, Vec<String>) {
    (node.to_owned(), vec![id.to_owned()])
}

/// Two people who are online and interested, and nobody's contacts: one on north, the other here or there.
fn two(other: &str) -> (World, usize, usize, Info) {
    let mut world = world();
    world.register(CAROL);
    let info = interested_in(&[LIST]);
    let (one, two) = (world.connect(ALICE, "desk"), world.connect(other, "phone"));
    for client in [one, two] {
        available(&mut world, client, &info);
        let id = world.client(client).jid().chars().take(5).collect::<String>();
        ask(&mut world, client, &publish(LIST, &id, &[]));
        events_of(&mut world, client, &info);
    }
    (world, one, two, info)
}

#[test]
fn new_contacts_get_the_newest_items_and_new_ones_without_new_presence() {
    for other in [BOB, CAROL] {
        let (mut world, alice, bob, info) = two(other);
        befriend(&mut world, alice, bob);
        let (first, second) = (events_of(&mut world, alice, &info), events_of(&mut world, bob, &info));
        let name = other.chars().take(5).collect::<String>();
        assert_eq!(first, [item(LIST, &name)], "alice gets what {other} has");
        assert_eq!(second, [item(LIST, "alice")], "{other} gets what alice has");
        world.send(alice, &publish(LIST, "new", &[]));
        assert_eq!(events_of(&mut world, bob, &info), [item(LIST, "new")]);
        world.send(bob, &publish(LIST, "newer", &[]));
        assert!(events_of(&mut world, alice, &info).contains(&item(LIST, "newer")));
    }
}

#[test]
fn who_lost_the_presence_hears_nothing_and_who_gets_it_back_hears_again() {
    for other in [BOB, CAROL] {
        let (mut world, alice, bob, info) = two(other);
        befriend(&mut world, alice, bob);
        events_of(&mut world, alice, &info);
        events_of(&mut world, bob, &info);
        world.send(alice, &format!("<presence type='unsubscribed' to='{other}'/>"));
        world.send(alice, &publish(LIST, "secret", &[]));
        assert_eq!(events_of(&mut world, bob, &info), [], "{other}");
        world.send(bob, &format!("<presence type='subscribe' to='{ALICE}'/>"));
        world.send(alice, &format!("<presence type='subscribed' to='{other}'/>"));
        assert_eq!(events_of(&mut world, bob, &info), [item(LIST, "secret")], "{other}");
        // the contact withdraws his own presence: he is no longer there for alice's service
        world.send(bob, &format!("<presence type='unsubscribed' to='{ALICE}'/>"));
        let gone = run(async { world.broker(NORTH).interests.knows(ALICE, other) });
        assert!(!gone, "{other}");
    }
}

#[test]
fn a_node_that_is_opened_is_sent_to_who_may_read_it_since_then() {
    for other in [BOB, CAROL] {
        let (mut world, alice, bob, info) = two(other);
        befriend(&mut world, alice, bob);
        events_of(&mut world, bob, &info);
        world.send(alice, &owner("set", &configure(LIST, "whitelist", "")));
        world.send(alice, &publish(LIST, "2", &[]));
        assert_eq!(events_of(&mut world, bob, &info), [], "closed to {other}");
        let member =
            format!("<affiliations node='{LIST}'><affiliation jid='{other}' affiliation='member'/></affiliations>");
        world.send(alice, &owner("set", &member));
        assert_eq!(events_of(&mut world, bob, &info), [item(LIST, "2")], "{other} is a member");
        let outcast =
            format!("<affiliations node='{LIST}'><affiliation jid='{other}' affiliation='outcast'/></affiliations>");
        world.send(alice, &owner("set", &outcast));
        world.send(alice, &owner("set", &configure(LIST, "open", "")));
        world.send(alice, &publish(LIST, "3", &[]));
        assert_eq!(events_of(&mut world, bob, &info), [], "{other} is blocked");
        let none =
            format!("<affiliations node='{LIST}'><affiliation jid='{other}' affiliation='none'/></affiliations>");
        world.send(alice, &owner("set", &none));
        assert_eq!(events_of(&mut world, bob, &info), [item(LIST, "3")], "{other} no longer");
        // a group of the roster
        world.send(alice, &owner("set", &configure(LIST, "roster", "friends")));
        world.send(alice, &publish(LIST, "4", &[]));
        assert_eq!(events_of(&mut world, bob, &info), [], "{other} is in no group");
        let group = format!(
            "<iq type='set' id='q'><query xmlns='jabber:iq:roster'><item jid='{other}'><group>friends</group></item></query></iq>"
        );
        world.send(alice, &group);
        assert_eq!(events_of(&mut world, bob, &info), [item(LIST, "4")], "{other} is a friend");
        world.send(alice, &owner("set", &configure(LIST, "open", "")));
        assert_eq!(events_of(&mut world, bob, &info), [], "who could read it before is not told again");
    }
}

#[test]
fn who_comes_by_an_invitation_hears_at_once() {
    for other in [BOB, CAROL] {
        let (mut world, alice, bob, info) = two(other);
        let spec = crate::invites::Spec {
            inviter: xmpp::jid::BareJid::parse(ALICE).ok(),
            is_contact: true,
            subscribes: true,
            ..Default::default()
        };
        let token = run(crate::invites::create(world.broker(NORTH), &spec)).expect("an invitation").token;
        // the invited allows the inviter before asking, as XEP-0379 §3.5 has it
        world.send(bob, &format!("<presence type='subscribed' to='{ALICE}'/>"));
        let preauth = format!("<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>");
        world.send(bob, &format!("<presence type='subscribe' to='{ALICE}'>{preauth}</presence>"));
        let name = other.chars().take(5).collect::<String>();
        assert_eq!(events_of(&mut world, bob, &info), [item(LIST, "alice")], "{other}");
        assert_eq!(events_of(&mut world, alice, &info), [item(LIST, &name)], "{other}");
    }
}

#[test]
fn what_a_probe_brings_is_learnt_too() {
    let (mut world, alice, bob, info) = two(BOB);
    befriend(&mut world, alice, bob);
    events_of(&mut world, bob, &info);
    world.crash(NORTH); // all that was learnt is gone, and bob stays where he is
    let alice = world.connect(ALICE, "desk");
    available(&mut world, alice, &info);
    events_of(&mut world, bob, &info); // asked for his capabilities again
    world.send(alice, &publish(LIST, "new", &[]));
    assert!(events_of(&mut world, bob, &info).contains(&item(LIST, "new")));
}

#[test]
fn nothing_is_kept_of_strangers_who_send_presence() {
    let (mut world, _, bob, info) = two(BOB);
    let caps = Caps::announcing(&info, "https://example.org/app").to_element().to_xml("jabber:client");
    world.send(bob, &format!("<presence to='{ALICE}'>{caps}</presence>"));
    world.send(bob, &format!("<presence to='{ALICE}/desk'>{caps}</presence>"));
    assert!(!world.broker(NORTH).interests.knows(ALICE, BOB));
}

fn configure(node: &str, access: &str, group: &str) -> String {
    format!(
        "<configure node='{node}'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/pubsub#node_config</value></field><field var='pubsub#access_model'>\
         <value>{access}</value></field><field var='pubsub#roster_groups_allowed'><value>{group}</value></field></x>\
         </configure>"
    )
}
