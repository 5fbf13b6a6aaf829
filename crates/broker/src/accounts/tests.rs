use xmpp::jid::BareJid;
use xmpp::stanza::{Condition, StanzaError};
use xmpp::xml::Element;

use super::*;
use crate::invites::{self, Spec};
use crate::testing::{PASSWORD, World, run};

const NORTH: &str = "north.example";
/// A password that no test account has by itself.
const OTHER: &str = "yet another long password";

fn bare(text: &str) -> BareJid {
    BareJid::parse(text).expect("an address")
}

fn world() -> World {
    World::new(1, &[NORTH])
}

fn invite(world: &World, spec: &Spec) -> String {
    run(invites::create(world.broker(NORTH), spec)).expect("an invitation").token
}

fn register_iq(name: &str, password: &str) -> Element {
    let text = |tag: &'static str, text: &str| Element::new(tag, xep::ibr::NS).with_text(text);
    let query = xep::ibr::query().with_child(text("username", name)).with_child(text("password", password));
    xmpp::stanza::iq("set", "1", None, query)
}

fn preauth_iq(token: &str) -> Element {
    xmpp::stanza::iq("set", "1", None, xep::invites::preauth(token))
}

fn error(reply: &Element) -> Option<Condition> {
    StanzaError::of_stanza(reply).map(|e| e.condition)
}

#[test]
fn an_invitation_makes_one_account() {
    let world = world();
    let core = world.broker(NORTH).core();
    let token = invite(&world, &Spec::default());
    let mut pre_auth = PreAuth::default();
    assert_eq!(run(pre_auth.handle(core, &preauth_iq(&token))).attr("type"), Some("result"));
    assert_eq!(run(pre_auth.handle(core, &register_iq("alice", OTHER))).attr("type"), Some("result"));
    assert_eq!(run(core.account_exists("alice@north.example")), Ok(true));

    let again = run(pre_auth.handle(core, &register_iq("bob", OTHER)));
    assert_eq!(error(&again), Some(Condition::NotAllowed), "the connection has used its token up");
    let again = run(PreAuth::default().handle(core, &preauth_iq(&token)));
    assert_eq!(error(&again), Some(Condition::ItemNotFound), "nobody can show it again");
    assert_eq!(run(create(core, "bob", OTHER, Some(&token))), Err(AccountError::InvalidToken));
}

#[test]
fn two_connections_with_one_token_make_one_account() {
    let world = world();
    let core = world.broker(NORTH).core();
    let token = invite(&world, &Spec::default());
    let (mut first, mut second) = (PreAuth::default(), PreAuth::default());
    for pre_auth in [&mut first, &mut second] {
        assert_eq!(run(pre_auth.handle(core, &preauth_iq(&token))).attr("type"), Some("result"));
    }
    assert_eq!(run(first.handle(core, &register_iq("alice", OTHER))).attr("type"), Some("result"));
    assert_eq!(error(&run(second.handle(core, &register_iq("bob", OTHER)))), Some(Condition::ItemNotFound));
    assert_eq!(run(core.account_exists("bob@north.example")), Ok(false));
}

#[test]
fn without_an_invitation_nobody_learns_which_names_are_taken() {
    let world = world();
    world.register("alice@north.example");
    let core = world.broker(NORTH).core();
    let answers = ["alice", "bob", "admin", "@"].map(|name| {
        let reply = run(PreAuth::default().handle(core, &register_iq(name, OTHER)));
        (error(&reply), reply.child("error", xmpp::ns::CLIENT).map(Element::to_owned))
    });
    assert!(answers.iter().all(|a| a == &answers[0]));
    assert_eq!(answers[0].0, Some(Condition::NotAllowed));
    let token = invite(&world, &Spec::default());
    let mut pre_auth = PreAuth::default();
    run(pre_auth.handle(core, &preauth_iq(&token)));
    assert_eq!(error(&run(pre_auth.handle(core, &register_iq("alice", OTHER)))), Some(Condition::Conflict));
    assert_eq!(run(pre_auth.handle(core, &register_iq("bob", OTHER))).attr("type"), Some("result"), "still good");
}

#[test]
fn the_end_of_a_token_is_looked_at_when_it_is_shown() {
    let mut world = world();
    let token = invite(&world, &Spec::default());
    let mut early = PreAuth::default();
    run(early.handle(world.broker(NORTH).core(), &preauth_iq(&token)));
    world.advance(core::time::Duration::from_secs(8 * 86_400));
    let core = world.broker(NORTH).core();
    assert_eq!(error(&run(PreAuth::default().handle(core, &preauth_iq(&token)))), Some(Condition::ItemNotFound));
    assert_eq!(run(early.handle(core, &register_iq("alice", OTHER))).attr("type"), Some("result"));
}

#[test]
fn guessing_on_one_connection_ends() {
    let world = world();
    let core = world.broker(NORTH).core();
    let mut pre_auth = PreAuth::default();
    let replies: Vec<_> =
        (0..25).map(|n| error(&run(pre_auth.handle(core, &preauth_iq(&format!("guess{n}")))))).collect();
    assert_eq!(replies.first(), Some(&Some(Condition::ItemNotFound)));
    assert_eq!(replies.last(), Some(&Some(Condition::PolicyViolation)));
}

#[test]
fn an_open_server_takes_everybody() {
    let world = World::with_config(1, &[NORTH], |config| config.accounts.is_open = true);
    let core = world.broker(NORTH).core();
    let mut pre_auth = PreAuth::default();
    let form = run(pre_auth.handle(core, &xmpp::stanza::iq("get", "1", None, xep::ibr::query())));
    assert!(form.child("query", xep::ibr::NS).is_some_and(|q| q.child("password", xep::ibr::NS).is_some()));
    assert_eq!(run(pre_auth.handle(core, &register_iq("alice", OTHER))).attr("type"), Some("result"));
    assert_eq!(error(&run(pre_auth.handle(core, &register_iq("alice", OTHER)))), Some(Condition::Conflict));
}

#[test]
fn x16_names_that_look_like_others_are_refused() {
    let world = World::with_config(1, &[NORTH], |config| config.accounts.reserved_names.push("carol".to_owned()));
    let core = world.broker(NORTH).core();
    for good in ["alice", "ALICE", "josé", "иван", "μαρία", "bob.b", "bob-2", "小明"] {
        assert!(names::parse(core, good).is_ok(), "{good}");
    }
    let mixed = ["аlice", "alicе", "pаypal", "αdam", "иvan", "o\u{3bf}ps"];
    for bad in
        ["", " ", "a b", "a@b", "a/b", "a\"b", "\u{202e}abc", "a\u{200b}b", "...", &"a".repeat(65)].iter().chain(&mixed)
    {
        assert_eq!(names::parse(core, bad), Err(AccountError::InvalidName), "{bad:?}");
    }
    let shared = std::sync::Arc::clone(world.broker(NORTH).core());
    assert_eq!(run(create_by_operator(&shared, "Admin", false)).map(|_| ()), Err(AccountError::NameReserved));
    let (admin, password) = run(create_by_operator(&shared, "Admin", true)).expect("the operator may");
    assert_eq!((admin.as_str(), password.len()), ("admin@north.example", 23));
    let again = run(create_by_operator(&shared, "admin", true)).map(|_| ());
    assert_eq!(again, Err(AccountError::NameTaken));
    let (dave, _) = run(create_by_operator(&shared, "dave", false)).expect("an ordinary name");
    assert_eq!(dave.as_str(), "dave@north.example");
    for kept in ["admin", "Admin", "a.d.m.i.n", "postmaster", "carol", "ＡＤＭＩＮ"] {
        assert_eq!(names::parse(core, kept), Err(AccountError::NameTaken), "{kept}");
    }
}

#[test]
fn suggestions_are_free_and_alike() {
    let world = world();
    world.register("alice@north.example");
    let core = world.broker(NORTH).core();
    let found = run(names::suggest(core, &bare("alice@north.example"), 3)).expect("names");
    assert_eq!(found.len(), 3);
    for name in found {
        let address = names::parse(core, &name).expect("a name");
        assert!(name.starts_with("alice") && run(names::is_free(core, &address, None)) == Ok(true), "{name}");
    }
}

#[test]
fn passwords_are_kept_as_verifiers_of_both_hashes_with_their_own_salts() {
    let world = world();
    let core = world.broker(NORTH).core();
    let alice = bare("alice@north.example");
    let rows = run(password::verifiers(core, &alice, OTHER)).expect("a password");
    let hashes: Vec<u32> = rows.iter().map(|row| row.hash).collect();
    assert_eq!(hashes, [2, 1]);
    assert!(rows.iter().all(|row| row.salt.len() == 16 && row.iterations == core.config.scram_iterations));
    assert_ne!(rows[0].salt, rows[1].salt);
    assert!(rows.iter().all(|row| row.other_stored_key.is_none()), "it has one form");
    let ligature = run(password::verifiers(core, &alice, "\u{fb01}shes of another good password")).expect("a password");
    assert!(ligature.iter().all(|row| row.other_stored_key.as_ref().is_some_and(|other| *other != row.stored_key)));
    assert_eq!(run(password::verifiers(core, &alice, "")), Err(AccountError::InvalidPassword));
    let made = password::generate(&*core.env.random);
    assert_eq!((made.len(), made.matches('-').count()), (23, 3));
    assert_ne!(made, password::generate(&*core.env.random));
}

#[test]
fn a_password_that_preparation_makes_simple_is_refused() {
    let world = world();
    let core = world.broker("north.example").core();
    let wide: String = "password1234".chars().filter_map(|c| char::from_u32(u32::from(c) + 0xfee0)).collect();
    let hyphened: String = "password1234".chars().flat_map(|c| [c, '\u{ad}']).collect();
    for (n, password) in [wide, hyphened].iter().enumerate() {
        let made = run(create(core, &format!("simple{n}"), password, None));
        assert!(matches!(made, Err(AccountError::WeakPassword(_))), "{n}");
    }
}

#[test]
fn what_is_easy_to_guess_is_refused_with_words_and_a_proposal_that_is_taken() {
    let world = World::with_config(1, &[NORTH], |config| config.accounts.is_open = true);
    let core = world.broker(NORTH).core();
    for weak in [
        "1",
        "password1",
        "qwertyuiop12345",
        "alice@north.example",
        "north.example2024",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "Tr0ub4dour&3",
        "k7f3q9x2m5",
    ] {
        let reply = run(PreAuth::default().handle(core, &register_iq("alice", weak)));
        let error = StanzaError::of_stanza(&reply).expect(weak);
        assert_eq!(error.condition, Condition::NotAcceptable, "{weak}");
        let proposal = xep::ibr::is_weak_password(&error).expect("our element");
        let words = error.text.as_deref().unwrap_or_default();
        assert!(words.contains(&proposal) && words.contains("easy to guess"), "{words}");
        assert!(!format!("{:?}", run(create(core, "alice", weak, None))).contains('-'), "nothing shows the proposal");
        assert_eq!(run(core.account_exists("alice@north.example")), Ok(false));
        let other = run(create(core, "carol", &proposal, None));
        assert!(matches!(other, Ok(_) | Err(AccountError::NameTaken)), "what is proposed is taken");
    }
    for (n, strong) in ["k7f3q9x2m5z8", OTHER, PASSWORD, "a long enough password", "another long passphrase"]
        .into_iter()
        .map(str::to_owned)
        .chain([format!("k7f3q9x2m5z8{}", "x".repeat(10_000)), "🦀🪩😀🎲🚲🌵🎻🧊🪁🥁🐙🧲".to_owned()])
        .enumerate()
    {
        let made = run(create(core, &format!("user{n}"), &strong, None));
        assert!(made.is_ok(), "{}", strong.chars().take(40).collect::<String>());
    }
}

#[test]
fn a_client_changes_its_password_over_the_stream() {
    let mut world = world();
    world.register("alice@north.example");
    world.register("bob@north.example");
    let alice = world.online("alice@north.example", "desk");
    world.send(alice, "<iq type='get' id='g'><query xmlns='jabber:iq:register'/></iq>");
    let told = world.take(alice).remove(0);
    assert!(told.child("query", xep::ibr::NS).is_some_and(|q| q.child("registered", xep::ibr::NS).is_some()));
    let change = |name: &str| {
        format!(
            "<iq type='set' id='c' to='north.example'><query xmlns='jabber:iq:register'>\
             <username>{name}</username><password>{OTHER}</password></query></iq>"
        )
    };
    world.send(alice, &change("bob"));
    assert_eq!(error(&world.take(alice)[0]), Some(Condition::NotAllowed), "only one's own");
    let weak = change("alice").replace(OTHER, "alice123");
    world.send(alice, &weak);
    let refused = StanzaError::of_stanza(&world.take(alice)[0]).expect("it is refused");
    assert!(xep::ibr::is_weak_password(&refused).is_some());
    world.send(alice, &change("alice"));
    assert_eq!(world.take(alice)[0].attr("type"), Some("result"));
    let again = world.connect("alice@north.example", "phone");
    assert!(!world.client(again).ready, "the old password is over");
    let bob = world.connect("bob@north.example", "phone");
    assert!(world.client(bob).ready);
}

#[test]
fn a_reset_ends_sessions_and_returns_the_new_password() {
    let mut world = world();
    world.register("alice@north.example");
    let alice = world.online("alice@north.example", "desk");
    let password = run(reset_password(world.broker(NORTH).core(), &bare("alice@north.example")));
    assert!(password.is_ok_and(|p| p.len() == 23));
    world.settle();
    assert!(world.client(alice).ended.is_some());
    assert_eq!(
        run(reset_password(world.broker(NORTH).core(), &bare("nobody@north.example"))).err(),
        Some(AccountError::NotFound)
    );
}

#[test]
fn closing_an_account_removes_everything_but_the_name() {
    let mut world = world();
    world.register("alice@north.example");
    world.register("bob@north.example");
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    world.send(alice, "<presence type='subscribe' to='bob@north.example'/>");
    world.send(bob, "<presence type='subscribed' to='alice@north.example'/>");
    let publish = "<iq type='set' id='p'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
                   <publish node='n'><item id='1'><x xmlns='urn:x'/></item></publish></pubsub></iq>";
    world.send(alice, publish);
    world.send(
        alice,
        "<iq type='set' id='inv' to='north.example'><command xmlns='http://jabber.org/protocol/commands' \
                       node='urn:xmpp:invite#invite' action='execute'/></iq>",
    );
    world.take(alice);
    world.take(bob);
    world.send(alice, "<iq type='set' id='bye'><query xmlns='jabber:iq:register'><remove/></query></iq>");
    let last = world.take(alice);
    assert!(last.iter().any(|s| s.attr("id") == Some("bye") && s.attr("type") == Some("result")), "{last:?}");
    assert!(world.client(alice).ended.is_some());
    let told = world.take(bob);
    assert!(told.iter().any(|s| s.name() == "presence" && s.attr("type") == Some("unsubscribe")), "{told:?}");

    let core = world.broker(NORTH).core();
    assert_eq!(run(core.account_exists("alice@north.example")), Ok(false));
    use crate::tables::{INVITES, INVITES_OWNER, PEP_NODES, ROSTER};
    let owner: &[u8] = b"alice@north.example";
    for (table, owner) in [(ROSTER, owner), (PEP_NODES, owner), (INVITES, INVITES_OWNER)] {
        assert!(run(core.store.list(table, owner)).is_ok_and(|rows| rows.is_empty()), "{}", table.name);
    }
    let row = run(core.account("alice@north.example")).expect("readable").expect("the name stays");
    assert!(row.closed && row.verifiers.is_empty());
    assert_eq!(run(create(core, "alice", OTHER, None)), Err(AccountError::NameTaken), "never given out again");
    let again = world.connect("alice@north.example", "desk");
    assert!(!world.client(again).ready);
}

#[test]
fn nobody_closes_somebody_elses_account() {
    let mut world = world();
    world.register("alice@north.example");
    world.register("bob@north.example");
    let bob = world.online("bob@north.example", "phone");
    world.send(
        bob,
        "<iq type='set' id='1' to='alice@north.example'><query xmlns='jabber:iq:register'><remove/></query></iq>",
    );
    assert_eq!(world.take(bob)[0].attr("type"), Some("error"));
    assert_eq!(run(world.broker(NORTH).core().account_exists("alice@north.example")), Ok(true));
}

#[test]
fn errors_and_states_show_no_secret() {
    let mut pre_auth = PreAuth::default();
    let world = world();
    let token = invite(&world, &Spec::default());
    run(pre_auth.handle(world.broker(NORTH).core(), &preauth_iq(&token)));
    assert!(!format!("{pre_auth:?}").contains(&token));
}
