//! What strangers and ill-meaning accounts try: each of these once worked.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use xmpp::jid::BareJid;
use xmpp::stream::{Ending, StreamCondition, TlsFacts, TlsVersion, Transport};
use xmpp::xml::Element;

use super::{NORTH, condition, ids, world};
use crate::testing::{PASSWORD, World, run};
use crate::{ClientSession, accounts};

/// A connection that does everything by hand.
struct Raw(ClientSession);

impl Raw {
    fn new(world: &World) -> Self {
        let facts =
            TlsFacts { version: TlsVersion::Tls13, exporter: None, server_end_point: None, peer_certificate: None };
        Self(world.broker(NORTH).accept_client(Transport::Tls(facts), std::sync::Arc::new(|| ())))
    }

    fn say(&mut self, xml: &str) -> String {
        run(self.0.handle_bytes(xml.as_bytes()));
        let bytes = self.0.take_output().bytes.unwrap_or_default();
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    fn open(&mut self) -> String {
        let stream = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'";
        self.say(&format!("{stream} to='{NORTH}' version='1.0'>"))
    }
}

/// The salt that is shown for a name.
fn salt(world: &World, name: &str, mechanism: &str) -> String {
    let mut raw = Raw::new(world);
    raw.open();
    let first = STANDARD.encode(format!("n,,n={name},r=nonce"));
    let sasl = "urn:ietf:params:xml:ns:xmpp-sasl";
    let answer = raw.say(&format!("<auth xmlns='{sasl}' mechanism='{mechanism}'>{first}</auth>"));
    let (_, challenge) = answer.split_once('>').expect("a challenge");
    let (challenge, _) = challenge.split_once('<').expect("a challenge");
    let challenge = String::from_utf8(STANDARD.decode(challenge).expect("base64")).expect("text");
    let salt = challenge.split(',').find_map(|part| part.strip_prefix("s=")).expect("a salt");
    salt.to_owned()
}

/// An account has a salt for each hash; a name without one must look the same.
#[test]
fn x11_salts_do_not_tell_which_names_are_taken() {
    let world = World::new(1, &[NORTH]);
    run(accounts::create(world.broker(NORTH), "alice", PASSWORD, None)).expect("made");
    for name in ["alice", "nobody-here"] {
        let (sha_1, sha_256) = (salt(&world, name, "SCRAM-SHA-1"), salt(&world, name, "SCRAM-SHA-256"));
        assert_ne!(sha_1, sha_256, "{name}");
        assert_eq!(sha_256, salt(&world, name, "SCRAM-SHA-256"), "{name}: the same each time");
        assert_eq!(sha_1.len(), sha_256.len(), "{name}");
    }
}

/// Signs alice in with another password than is then set: she has proved the old one and has not bound a resource yet.
#[test]
fn a_login_under_way_ends_with_the_password_or_the_account() {
    use xmpp::sasl::Credential;
    use xmpp::stream::Seed;
    use xmpp::stream::c2s::{Initiator, InitiatorConfig, InitiatorEvent, Purpose};
    for (case, is_let_in) in [("nothing", true), ("reset", false), ("deleted", false)] {
        let world = world(1);
        let facts =
            || TlsFacts { version: TlsVersion::Tls13, exporter: None, server_end_point: None, peer_certificate: None };
        let login = Purpose::Login { username: "alice".into(), credential: Credential::password(PASSWORD) };
        let mut client =
            Initiator::new(InitiatorConfig::new(NORTH, login), Transport::Tls(facts()), Seed::new([1; 32]));
        let mut raw = Raw::new(&world);
        let (mut is_changed, mut is_ready) = (false, false);
        for _ in 0..20 {
            let said = client.poll_output().map(|bytes| String::from_utf8(bytes.to_vec()).expect("text"));
            let Some(said) = said else { break };
            if said.contains("urn:ietf:params:xml:ns:xmpp-bind") && !is_changed {
                is_changed = true;
                let account = BareJid::parse("alice@north.example").expect("an address");
                match case {
                    "reset" => drop(run(accounts::reset_password(world.broker(NORTH), &account)).expect("reset")),
                    "deleted" => run(accounts::delete(world.broker(NORTH), &account)).expect("deleted"),
                    _ => {}
                }
            }
            client.handle_bytes(raw.say(&said).as_bytes());
            while let Some(event) = client.poll_event() {
                is_ready |= matches!(event, InitiatorEvent::Ready { .. });
            }
        }
        assert!(is_changed, "{case}: it came as far as to ask for a resource");
        assert_eq!(is_ready, is_let_in, "{case}");
        assert_eq!(world.broker(NORTH).session_count(), usize::from(is_let_in), "{case}");
    }
}

/// A stanza at the bounds grows by what the server adds; it must not make the receiver's queue unreadable.
#[test]
fn a_stanza_at_the_bounds_blocks_nobody() {
    let mut world = World::new(1, &[NORTH, "south.example"]);
    for account in ["alice@north.example", "bob@north.example", "dora@south.example"] {
        world.register(account);
    }
    let alice = world.online("alice@north.example", "desk");
    let attributes: String = (0..61).map(|n| format!(" a{n}=''")).collect();
    let children = "<x xmlns='urn:x'/>".repeat(4095);
    for to in ["bob@north.example", "dora@south.example"] {
        let begin = format!("<message to='{to}' type='chat'");
        world.send(alice, &format!("{begin} id='wide'{attributes}><body/></message>"));
        world.send(alice, &format!("{begin} id='long'><body/>{children}</message>"));
        world.send(alice, &format!("{begin} id='plain'><body/></message>"));
        assert_eq!(world.client(alice).ended, None);
        let bob = world.connect(to, "phone");
        world.send(bob, "<presence/>");
        let got = world.take(bob);
        let messages: Vec<Element> = got.into_iter().filter(|s| s.name() == "message").collect();
        assert_eq!(ids(&messages), ["wide", "long", "plain"], "{to}");
        assert_eq!(world.client(bob).ended, None);
    }
}

/// The old connection of a client that was killed is noticed late; by then the new one has the same address.
#[test]
fn an_old_session_does_not_show_its_successor_as_gone() {
    let mut world = world(2);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    world.send(alice, "<presence type='subscribe' to='bob@north.example'/>");
    world.send(bob, "<presence type='subscribed' to='alice@north.example'/>");
    let carol = world.online("carol@north.example", "pad");
    world.send(bob, "<presence to='carol@north.example/pad'/>");
    for client in [alice, carol] {
        world.take(client);
    }
    // frozen, so that the notice of its end stays unread until later
    world.freeze(bob);
    let old = world.client(bob).leave_unread();
    let again = world.connect("bob@north.example", "phone");
    world.send(again, "<presence/>");
    run(old.closed());
    world.settle();
    let kinds = |got: Vec<Element>| -> Vec<String> {
        got.iter().filter(|s| s.name() == "presence").map(|s| s.attr("type").unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(kinds(world.take(alice)), [""], "the new session is there, and stays");
    assert_eq!(kinds(world.take(carol)), ["unavailable"], "who was addressed directly learns that this is over");
}

/// Refusals go to the sender itself, so no mailbox bounds them.
#[test]
fn answers_that_are_never_acknowledged_are_bounded() {
    let mut world = World::with_config(1, &[NORTH], |config| config.limits.session_queue_bytes = 10_000);
    world.register("alice@north.example");
    let alice = world.online("alice@north.example", "desk");
    world.client(alice).handles = false;
    let id = "x".repeat(5000);
    for _ in 0..20 {
        world.send(alice, &format!("<message to='@' id='{id}'><body/></message>"));
    }
    let ended = Some(Ending::PeerError(StreamCondition::ResourceConstraint));
    assert_eq!(world.client(alice).ended, ended);
}

/// Offline messages are handed out in pieces that fit into the session's bounds.
#[test]
fn offline_messages_come_in_bounded_pieces() {
    let world = world(3);
    let core = world.broker(NORTH).core();
    let body = "x".repeat(5000);
    for n in 0..25 {
        let message = format!("<message to='bob@north.example' id='{n}'><body>{body}</body></message>");
        let frame = crate::offline::parse_stanza(message.as_bytes()).expect("a message");
        run(crate::offline::keep(core, "bob@north.example", &frame)).expect("kept");
    }
    let read = |after, count_max, bytes_max| -> Vec<u64> {
        let read = crate::offline::read(core, "bob@north.example", after, count_max, bytes_max);
        run(read).expect("read").iter().map(|waiting| waiting.seq).collect()
    };
    let all = read(0, 100, usize::MAX);
    assert_eq!(all.len(), 25);
    assert_eq!(read(0, 100, 20_000), all[..3], "as many as fit");
    assert_eq!(read(all[2], 100, 20_000), all[3..6], "and then the next");
    assert_eq!(read(0, 100, 10), all[..1], "never none");
    assert_eq!(read(0, 12, usize::MAX), all[..12]);
}

/// A request is kept for whoever is away, from anybody: so it is a request and not a file.
#[test]
fn a_request_to_subscribe_is_kept_small() {
    let mut world = world(4);
    let alice = world.online("alice@north.example", "desk");
    let text = "x".repeat(50_000);
    world.send(alice, &format!("<presence type='subscribe' to='bob@north.example'><status>{text}</status></presence>"));
    let row = run(crate::roster::load(world.broker(NORTH), "bob@north.example", "alice@north.example"));
    let kept = row.expect("read").and_then(|row| row.pending_in).expect("a request");
    assert!(kept.len() < 1000, "{}", kept.len());
    world.send(alice, "<presence type='subscribe' to='carol@north.example'><status>hello</status></presence>");
    let carol = world.connect("carol@north.example", "pad");
    world.send(carol, "<presence/>");
    let got = world.take(carol);
    assert!(got.iter().any(|s| s.child("status", xmpp::ns::CLIENT).is_some()), "usual ones are kept whole");
}

/// Whatever a stranger asks of an account, one that does not exist answers like one that does.
#[test]
fn questions_do_not_tell_which_accounts_exist() {
    let mut world = world(5);
    let alice = world.online("alice@north.example", "desk");
    let pubsub = "http://jabber.org/protocol/pubsub";
    let questions = [
        format!("<iq type='get' id='q'><pubsub xmlns='{pubsub}'><subscriptions/></pubsub></iq>"),
        format!("<iq type='get' id='q'><pubsub xmlns='{pubsub}'><affiliations/></pubsub></iq>"),
        format!("<iq type='get' id='q'><pubsub xmlns='{pubsub}'><items node='n'/></pubsub></iq>"),
        format!("<iq type='set' id='q'><pubsub xmlns='{pubsub}'><create node='n'/></pubsub></iq>"),
        format!("<iq type='set' id='q'><pubsub xmlns='{pubsub}'><subscribe node='n' jid='x@y.example'/></pubsub></iq>"),
        format!("<iq type='get' id='q'><pubsub xmlns='{pubsub}#owner'><configure node='n'/></pubsub></iq>"),
        "<iq type='get' id='q'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>".to_owned(),
        "<iq type='get' id='q'><query xmlns='http://jabber.org/protocol/disco#info' node='n'/></iq>".to_owned(),
        "<iq type='get' id='q'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>".to_owned(),
        "<iq type='get' id='q'><query xmlns='jabber:iq:roster'/></iq>".to_owned(),
        "<iq type='get' id='q'><ping xmlns='urn:xmpp:ping'/></iq>".to_owned(),
        // it would leave no trace with whoever exists
        "<message type='chat' id='q'><body>x</body><no-store xmlns='urn:xmpp:hints'/></message>".to_owned(),
    ];
    for question in questions {
        let mut answers = ["bob", "nobody-here"].map(|name| {
            let (begin, rest) = question.split_once(' ').expect("an element");
            world.send(alice, &format!("{begin} to='{name}@north.example' {rest}"));
            let answers = world.take(alice);
            answers.iter().map(|a| (condition(a), a.to_xml(xmpp::ns::CLIENT).replace(name, "-"))).collect::<Vec<_>>()
        });
        answers.iter_mut().flatten().for_each(|(_, xml)| xml.truncate(2000));
        assert_eq!(answers[0], answers[1], "{question}");
    }
}

/// Closing is finished at the next try, whenever it was interrupted.
#[test]
fn an_account_that_was_half_closed_can_be_closed_again() {
    use crate::tables::{ACCOUNTS, ACCOUNTS_OWNER};
    use prost::Message as _;
    let mut world = world(6);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    world.send(alice, "<presence type='subscribe' to='bob@north.example'/>");
    world.send(bob, "<presence type='subscribed' to='alice@north.example'/>");
    world.take(alice);
    let core = world.broker(NORTH).core().clone();
    let account = BareJid::parse("bob@north.example").expect("an address");
    // as a crash after the first commit leaves it
    let mut row = run(core.account(account.as_str())).expect("read").expect("there");
    (row.closed, row.leaving) = (true, true);
    let mut transaction = core.store.transaction();
    transaction.put(&ACCOUNTS.row(ACCOUNTS_OWNER, account.as_str().as_bytes()), row.encode_to_vec());
    run(transaction.commit()).expect("written");
    assert_eq!(run(accounts::finish_deletions(&core)), Ok(1), "what was begun is finished");
    world.settle();
    assert!(run(crate::roster::load_all(&core, account.as_str())).expect("read").is_empty());
    let told = world.take(alice);
    assert!(told.iter().any(|s| s.attr("type") == Some("unsubscribed")), "contacts are told");
    assert_eq!(run(accounts::finish_deletions(&core)), Ok(0));
    let again = run(accounts::delete(&core, &account));
    assert_eq!(again, Err(accounts::AccountError::NotFound), "and then there is nothing left to close");
}

/// Messages and files share the keys of days, not their age.
#[test]
fn files_outlive_messages_where_the_settings_say_so() {
    use crate::http::Request;
    let mut world = World::with_config(7, &[NORTH], |config| {
        config.limits.offline_age = Duration::from_secs(2 * 86_400);
        config.upload.web_base = Some("https://north.example".to_owned());
    });
    world.register("alice@north.example");
    let alice = world.online("alice@north.example", "desk");
    let slot = "<request xmlns='urn:xmpp:http:upload:0' filename='a' size='3'/>";
    world.send(alice, &format!("<iq type='get' id='u' to='{NORTH}'>{slot}</iq>"));
    let answer = world.take(alice).remove(0);
    let slot = answer.child("slot", xep::upload::NS).map(xep::upload::Slot::parse).expect("a slot").expect("a slot");
    let path = slot.get_url.trim_start_matches("https://north.example").to_owned();
    let core = world.broker(NORTH).core().clone();
    let put = Request { method: "PUT", path: &path, headers: &[("content-length", "3")] };
    let mut upload = run(crate::upload::put(&core, &put)).expect("taken");
    run(upload.handle_bytes(b"abc")).expect("taken");
    run(upload.finish()).expect("taken");
    for _ in 0..13 {
        world.advance(Duration::from_secs(86_400));
        run(crate::offline::expire(&core)).expect("done");
    }
    let get = Request { method: "GET", path: &path, headers: &[] };
    let (_, download) = run(crate::upload::get(&core, &get));
    assert_eq!(run(download.expect("there").next()), Ok(Some(b"abc".to_vec())));
}

/// A password is expensive to change, on purpose, so nobody may do it all the time.
#[test]
fn passwords_change_a_few_times_in_ten_minutes() {
    let mut world = world(8);
    let alice = world.online("alice@north.example", "desk");
    let change = |world: &mut World| {
        let query = "<query xmlns='jabber:iq:register'><username>alice</username><password>yet another long password</password></query>";
        world.send(alice, &format!("<iq type='set' id='p' to='{NORTH}'>{query}</iq>"));
        condition(&world.take(alice).remove(0))
    };
    for _ in 0..5 {
        assert_eq!(change(&mut world), None);
    }
    assert_eq!(change(&mut world), Some("resource-constraint"));
    world.advance(Duration::from_secs(121));
    assert_eq!(change(&mut world), None);
}

/// An invitation for one name does not pay for hashing the passwords of others.
#[test]
fn a_token_that_does_not_fit_costs_no_hashing() {
    let world = World::with_config(9, &[NORTH], |config| config.scram_iterations = 4_000_000_000);
    world.register("alice@north.example");
    let core = world.broker(NORTH).core().clone();
    let address = BareJid::parse("bob@north.example").ok();
    let spec = crate::invites::Spec { address, ..crate::invites::Spec::default() };
    let token = run(crate::invites::create(&core, &spec)).expect("made").token;
    let other = run(accounts::create(&core, "carol", PASSWORD, Some(&token)));
    assert_eq!(other, Err(accounts::AccountError::OtherName));
    let made_up = run(accounts::create(&core, "carol", PASSWORD, Some("made-up")));
    assert_eq!(made_up, Err(accounts::AccountError::InvalidToken));
}
