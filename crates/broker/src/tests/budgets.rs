//! What one account or a stranger can do to everybody: bytes held, backlogs, presence. Counts only, no times.

use std::time::Duration;

use super::{NORTH, ids, world};
use crate::testing::World;

fn held(world: &World) -> usize {
    world.broker(NORTH).budgets.bytes.level().held
}

fn message(to: &str, id: usize, bytes: usize) -> String {
    let text = "x".repeat(bytes);
    format!("<message type='chat' to='{to}' id='{id}'><body>{text}</body></message>")
}

/// The ids of the messages among what a client got.
fn messages(world: &mut World, client: usize) -> Vec<usize> {
    let got = world.take(client);
    let messages: Vec<_> = got.into_iter().filter(|s| s.name() == "message").collect();
    ids(&messages).iter().filter_map(|id| id.parse().ok()).collect()
}

#[test]
fn what_waits_is_charged_to_its_sender_by_what_it_holds_and_given_back() {
    let mut world = world(1);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    assert_eq!(held(&world), 0, "nothing waits");
    world.freeze(bob);
    for id in 0..10 {
        world.send(alice, &message("bob@north.example", id, 1000));
    }
    let waiting = held(&world);
    assert!((10 * 1000..10 * 3000).contains(&waiting), "{waiting}");
    let core = std::sync::Arc::clone(world.broker(NORTH).core());
    let share = |name: &str| core.source(&xmpp::jid::Jid::parse(name).expect("an address")).held();
    assert_eq!(share("alice@north.example/desk"), waiting);
    assert_eq!(share("bob@north.example/phone"), 0, "it is not the slow one who is charged");
    world.thaw(bob);
    assert_eq!(messages(&mut world, bob).len(), 10);
    assert_eq!(held(&world), 0);
    // whatever way it goes: to who has gone, to another session, to the offline store
    world.freeze(bob);
    for id in 0..10 {
        world.send(alice, &message("bob@north.example", id, 1000));
    }
    let pad = world.online("bob@north.example", "pad");
    world.freeze(pad);
    world.cut(bob);
    assert!(held(&world) > 0, "another session has it now");
    world.cut(pad);
    world.cut(alice);
    assert_eq!(held(&world), 0);
    let bob = world.online_unread("bob@north.example", "phone");
    assert_eq!(messages(&mut world, bob), (0..10).collect::<Vec<_>>());
    world.cut(bob);
    assert_eq!(held(&world), 0);
}

/// A sender who holds their part fills no further mailbox: what they send goes to the offline store, and arrives; and
/// nobody else feels it.
#[test]
fn who_holds_their_part_writes_to_the_store_and_others_to_mailboxes() {
    let mut world = World::with_config(2, &[NORTH], |c| c.limits.whole.bytes = 400_000);
    for name in ["mallory", "alice", "bob", "carol"] {
        world.register(&format!("{name}@{NORTH}"));
    }
    let mallory = world.online("mallory@north.example", "desk");
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    let carol = world.online("carol@north.example", "phone");
    world.freeze(bob);
    world.freeze(carol);
    for id in 0..40 {
        world.send(mallory, &message("bob@north.example", id, 5000));
    }
    let level = world.broker(NORTH).budgets.bytes.level();
    assert!(level.largest <= 50_000 && level.refused > 0, "one part in eight: {level:?}");
    world.send(alice, &message("carol@north.example", 1, 20_000));
    assert!(world.broker(NORTH).budgets.bytes.level().held > 60_000, "a bystander has room");
    world.thaw(carol);
    assert_eq!(messages(&mut world, carol), [1]);
    world.thaw(bob);
    assert_eq!(messages(&mut world, bob), (0..40).collect::<Vec<_>>(), "nothing is lost, and in order");
    assert_eq!(held(&world), 0);
}

#[test]
fn input_that_is_not_read_to_its_end_is_charged() {
    let mut world = world(3);
    let alice = world.online("alice@north.example", "desk");
    let text = "x".repeat(50_000);
    world.client(alice).push(format!("<message to='bob@north.example'><body>{text}").as_bytes());
    assert!((50_000..200_000).contains(&held(&world)), "{}", held(&world));
    world.client(alice).push(b"</body></message>");
    assert_eq!(held(&world), 0);
    world.client(alice).push(b"<message to='bob@north.example'>");
    assert!(held(&world) > 0);
    world.cut(alice);
    assert_eq!(held(&world), 0);
}

/// Three accounts that keep a mailbox busy with what is no message, and withhold everybody's messages: they did, as long
/// as anything at all was in flight.
#[test]
fn b06_a_few_who_keep_a_mailbox_busy_withhold_nobodys_messages() {
    let mut world = World::with_config(4, &[NORTH], |c| c.limits.session_queue_count = 20);
    for name in ["mallory", "alice", "bob"] {
        world.register(&format!("{name}@{NORTH}"));
    }
    let mallory = world.online("mallory@north.example", "desk");
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    let ask = |n: usize| format!("<iq type='get' id='q{n}' to='bob@north.example/phone'><x xmlns='urn:x'/></iq>");
    world.client(bob).handles = false;
    for n in 0..25 {
        world.send(mallory, &ask(n));
    }
    for id in 0..5 {
        world.send(alice, &message("bob@north.example", id, 10));
    }
    assert!(messages(&mut world, bob).is_empty(), "they wait in the store");
    // bob acknowledges all but a few, and never has nothing in flight
    let mut got = Vec::new();
    for n in 0..10 {
        world.client(bob).handle_but(5);
        world.send(mallory, &ask(100 + n));
        got.extend(messages(&mut world, bob));
    }
    assert_eq!(got, (0..5).collect::<Vec<_>>());
}

/// 4 MiB were sent at once, with one question for acknowledgement at their end.
#[test]
fn b08_a_slow_link_drains_its_backlog_in_small_batches() {
    let mut world = world(5);
    let alice = world.online("alice@north.example", "desk");
    for id in 0..60 {
        world.send(alice, &message("bob@north.example", id, 10_000));
    }
    let slow = world.connect("bob@north.example", "phone");
    world.client(slow).handles = false;
    world.send(slow, "<presence/>");
    let mut got = messages(&mut world, slow);
    assert!((1..=7).contains(&got.len()), "about 64 KiB: {}", got.len());
    // live messages take the same way
    for id in 60..100 {
        world.send(alice, &message("bob@north.example", id, 10_000));
    }
    assert!(messages(&mut world, slow).is_empty(), "no more before it has these");
    while got.len() < 100 {
        // longer than a client may usually take
        world.freeze(slow);
        world.advance(Duration::from_secs(100));
        world.thaw(slow);
        world.client(slow).handle_but(0);
        world.settle();
        let batch = messages(&mut world, slow);
        assert!((1..=8).contains(&batch.len()), "{}", batch.len());
        got.extend(batch);
    }
    assert_eq!(got, (0..100).collect::<Vec<_>>());
    assert!(world.client(slow).session().is_some());
    world.client(slow).handle_all();
    world.settle();
    assert_eq!(held(&world), 0);
}

/// A hundred contacts with presences of 255 kB ended the stream of whoever signed in.
#[test]
fn b09_presences_of_contacts_lock_nobody_out() {
    let mut world = World::with_config(6, &[NORTH], |c| c.limits.session_queue_bytes = 64 * 1024);
    world.register("alice@north.example");
    let alice = world.online("alice@north.example", "desk");
    let big = format!("<presence><status>{}</status></presence>", "x".repeat(9000));
    world.send(alice, &big);
    let refused = world.take(alice);
    assert!(refused.iter().any(|s| super::condition(s) == Some("policy-violation")), "larger than 8 KiB");
    for n in 0..60 {
        let name = format!("c{n}@north.example");
        world.register(&name);
        let contact = world.connect(&name, "r");
        world.send(contact, "<presence type='subscribed' to='alice@north.example'/>");
        world.send(alice, &format!("<presence type='subscribe' to='{name}'/>"));
        world.send(contact, &format!("<presence><status>{}</status></presence>", "x".repeat(7000)));
    }
    world.take(alice);
    let phone = world.connect("alice@north.example", "phone");
    world.client(phone).handles = false;
    world.send(phone, "<presence/>");
    let mut got = 0;
    for _ in 0..50 {
        got += world.take(phone).len();
        world.client(phone).handle_but(0);
        world.settle();
    }
    assert!(world.client(phone).session().is_some(), "still there");
    assert!((30..60).contains(&got), "what fits is shown: {got}");
    world.send(alice, &message("alice@north.example/phone", 7, 10));
    world.client(phone).handle_all();
    world.settle();
    assert_eq!(messages(&mut world, phone), [7]);
}

/// One contact whose queue is full and whose client says nothing.
#[test]
fn b07_a_silent_contact_holds_up_nobody_for_long() {
    let mut world = World::with_config(7, &[NORTH], |c| c.limits.offline_bytes = 10);
    for name in ["alice", "bob", "carol"] {
        world.register(&format!("{name}@{NORTH}"));
    }
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    let carol = world.online("carol@north.example", "phone");
    world.freeze(bob);
    world.client(alice).send_numbered(&message("bob@north.example", 1, 10), Some(1));
    world.client(alice).send_numbered(&message("carol@north.example", 2, 10), Some(2));
    world.settle();
    world.advance(Duration::from_secs(19));
    assert_eq!(messages(&mut world, carol), [2]);
    assert!(world.client(alice).acknowledged.is_empty());
    world.advance(Duration::from_secs(1));
    let got = world.take(alice);
    assert_eq!(got.iter().filter_map(super::condition).collect::<Vec<_>>(), ["recipient-unavailable"]);
    assert_eq!(world.client(alice).acknowledged, [1, 2]);
    let pad = world.online("bob@north.example", "pad");
    world.cut(bob);
    assert!(messages(&mut world, pad).is_empty(), "it is not given to another session later");
    assert_eq!(held(&world), 0);
}

fn roster_set(n: usize, group_bytes: usize) -> String {
    let group = "g".repeat(group_bytes);
    format!(
        "<iq type='set' id='s{n}'><query xmlns='jabber:iq:roster'><item jid='c{n}@south.example'>\
         <group>{group}</group></item></query></iq>"
    )
}

/// A roster could be 40 MB, and reading it made everybody wait.
#[test]
fn b03_a_roster_is_at_most_256_kib() {
    let mut world = World::with_config(8, &[NORTH], |c| {
        c.limits.client_stanzas = crate::rate::Rate::UNLIMITED;
        c.limits.roster_bytes = 20_000;
    });
    assert_eq!(crate::Limits::default().roster_bytes, 256 * 1024);
    world.register("alice@north.example");
    let alice = world.online("alice@north.example", "desk");
    for n in 0..40 {
        world.send(alice, &roster_set(n, 700));
    }
    let got = world.take(alice);
    let refused = got.iter().filter_map(super::condition).collect::<Vec<_>>();
    assert!(refused.len() > 10 && refused.iter().all(|c| *c == "resource-constraint"), "{refused:?}");
    let rows = crate::testing::run(crate::roster::load_all(world.broker(NORTH), "alice@north.example")).expect("read");
    let bytes: usize = rows.iter().map(prost::Message::encoded_len).sum();
    assert!((19_000..=20_000).contains(&bytes), "{bytes}");
    // one that is there does not grow either, but can become smaller
    for n in 0..5 {
        world.send(alice, &roster_set(n, 1023));
    }
    assert!(world.take(alice).iter().any(|s| super::condition(s) == Some("resource-constraint")));
    world.send(alice, &roster_set(0, 10));
    assert!(world.take(alice).iter().all(|s| super::condition(s).is_none()));
}

/// 300 reads of a large roster took a burst of 300 stanzas, and bystanders waited for seconds.
#[test]
fn b03_a_stanza_is_charged_by_the_rows_and_bytes_that_it_touches() {
    let mut world = world(9);
    let alice = world.connect("alice@north.example", "desk");
    let core = std::sync::Arc::clone(world.broker(NORTH).core());
    let mut transaction = core.store.transaction();
    for n in 0..640 {
        let jid = format!("c{n}@south.example");
        let row = crate::tables::RosterRow { jid: jid.clone(), listed: true, ..Default::default() };
        let key = crate::tables::ROSTER.row(b"alice@north.example", jid.as_bytes());
        transaction.put(&key, prost::Message::encode_to_vec(&row));
    }
    crate::testing::run(transaction.commit()).expect("written");
    let get = "<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>";
    let pause = |world: &mut World, who| world.client(who).session().and_then(crate::ClientSession::read_pause);
    let mut reads = 0;
    while pause(&mut world, alice).is_none() {
        world.send(alice, get);
        reads += 1;
        assert!(reads <= 300);
    }
    assert!((20..40).contains(&reads), "each is worth about eleven stanzas: {reads}");
    let bob = world.connect("bob@north.example", "phone");
    world.send(bob, get);
    assert_eq!(pause(&mut world, bob), None, "nobody else pays for it");
    world.advance(Duration::from_secs(2));
    assert_eq!(pause(&mut world, alice), None, "and it is back-pressure, not a refusal");
}

/// A message whose sender's part is spent, and that no store takes, shut the mailbox of a receiver with nothing in flight.
#[test]
fn b06_what_is_refused_for_its_sender_and_not_kept_shuts_nobodys_mailbox() {
    let mut world = World::with_config(6, &[NORTH], |c| c.limits.whole.bytes = 400_000);
    for name in ["mallory", "alice", "bob", "carol"] {
        world.register(&format!("{name}@{NORTH}"));
    }
    let mallory = world.online("mallory@north.example", "desk");
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    let carol = world.online("carol@north.example", "phone");
    world.freeze(bob);
    for id in 0..40 {
        world.send(mallory, &message("bob@north.example", id, 5000));
    }
    for kind in ["chat", "headline"] {
        let text = "x".repeat(5000);
        let hint = "<no-store xmlns='urn:xmpp:hints'/>";
        let refused = format!("<message type='{kind}' to='carol@north.example'><body>{text}</body>{hint}</message>");
        world.send(mallory, &refused);
        world.take(carol);
        world.send(alice, "<message type='headline' to='carol@north.example' id='7'><body>news</body></message>");
        assert_eq!(messages(&mut world, carol), [7], "after a {kind}");
    }
}
