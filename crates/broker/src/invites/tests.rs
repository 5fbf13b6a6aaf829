use core::time::Duration;

use xep::forms::Form;
use xep::invites::Invitation;
use xep::uri::{Action, Link};
use xmpp::jid::BareJid;
use xmpp::stanza::{Condition, StanzaError};
use xmpp::xml::Element;

use super::*;
use crate::accounts;
use crate::testing::{PASSWORD, World, run};

const NORTH: &str = "north.example";
const SOUTH: &str = "south.example";
const INVITE: &str = "urn:xmpp:invite#invite";
const CREATE: &str = "urn:xmpp:invite#create-account";

fn bare(text: &str) -> BareJid {
    BareJid::parse(text).expect("an address")
}

fn world() -> World {
    let world = World::with_config(1, &[NORTH, SOUTH], |config| {
        config.invites.web_base = Some("https://north.example:5443".to_owned());
        config.invites.pin = Some([9; 32]);
        config.invites.at = vec![Endpoint::parse("192.0.2.1:5222").expect("an endpoint")];
    });
    world.register("alice@north.example");
    world
}

fn command(world: &mut World, client: usize, node: &str, form: &str) -> Element {
    let command = format!(
        "<iq type='set' id='c' to='north.example'><command xmlns='http://jabber.org/protocol/commands' node='{node}'>\
         {form}</command></iq>"
    );
    world.send(client, &command);
    let mut replies = world.take(client);
    replies.retain(|r| r.attr("id") == Some("c"));
    replies.remove(0)
}

fn invitation(reply: &Element) -> Invitation {
    let command = reply.child("command", xep::commands::NS).expect("an answer");
    assert_eq!(command.attr("status"), Some("completed"));
    Invitation::parse(&Form::inside(command).expect("a form").expect("a form")).expect("an invitation")
}

fn submit(fields: &str) -> String {
    format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>")
}

fn field(var: &str, value: &str) -> String {
    format!("<field var='{var}'><value>{value}</value></field>")
}

fn contact(world: &World, owner: &str, contact: &str) -> Option<crate::tables::RosterRow> {
    let (_, domain) = owner.split_once('@').expect("an account");
    run(crate::roster::load(world.broker(domain).core(), owner, contact)).expect("readable")
}

#[test]
fn the_commands_are_listed() {
    let mut world = world();
    let alice = world.online("alice@north.example", "desk");
    let ask = |to: &str, query: &str| format!("<iq type='get' id='d' to='{to}'>{query}</iq>");
    let query = "<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/>";
    world.send(alice, &ask("north.example", query));
    let reply = world.take(alice).remove(0);
    let items = xep::disco::Items::parse(reply.children().next().expect("an answer")).expect("items");
    let nodes: Vec<_> = items.items.iter().filter_map(|i| i.node.as_deref()).collect();
    assert_eq!(nodes, [INVITE, CREATE]);
}

#[test]
fn a_contact_invitation_names_the_inviter_and_connects_who_registers_by_it() {
    let mut world = world();
    let alice = world.online("alice@north.example", "desk");
    world.send(alice, "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
    world.take(alice);
    let told = invitation(&command(&mut world, alice, INVITE, ""));
    let link = Link::parse(&told.uri).expect("a link");
    assert_eq!((link.address.as_str(), &link.action, link.ibr), ("alice@north.example", &Action::Roster, true));
    assert_eq!((link.pin, link.at.len()), (Some([9; 32]), 1));
    let token = link.preauth.expect("a token");
    assert_eq!(token.len(), 26);
    assert_eq!(
        told.landing_url,
        Some(format!("https://north.example:5443/invite/{token}#wx-pin={}", xep::encoding::base64url(&[9; 32])))
    );
    assert_eq!(told.expire, Some(world.now() + Duration::from_secs(7 * 86_400)));

    run(accounts::create(world.broker(NORTH).core(), "bob", PASSWORD, Some(&token))).expect("an account");
    world.settle();
    let pushes = world.take(alice);
    assert!(pushes.iter().any(|p| p.attr("type") == Some("set") && p.child("query", xmpp::ns::ROSTER).is_some()));
    for (owner, other) in [("alice@north.example", "bob@north.example"), ("bob@north.example", "alice@north.example")] {
        let row = contact(&world, owner, other).expect("a contact");
        assert!(row.to && row.from && row.listed);
    }
}

#[test]
fn an_account_invitation_touches_no_contact_list_unless_told_to() {
    let mut world = world();
    let alice = world.online("alice@north.example", "desk");
    let form = command(&mut world, alice, CREATE, "");
    let shown = form.child("command", xep::commands::NS).expect("an answer");
    assert_eq!(shown.attr("status"), Some("executing"));
    let told = invitation(&command(&mut world, alice, CREATE, &submit("")));
    let link = Link::parse(&told.uri).expect("a link");
    assert_eq!((link.address.as_str(), &link.action), ("north.example", &Action::Register));
    run(accounts::create(world.broker(NORTH).core(), "bob", PASSWORD, link.preauth.as_deref())).expect("an account");
    assert!(contact(&world, "alice@north.example", "bob@north.example").is_none());

    let told = invitation(&command(&mut world, alice, CREATE, &submit(&field("roster-subscription", "true"))));
    let token = Link::parse(&told.uri).expect("a link").preauth;
    run(accounts::create(world.broker(NORTH).core(), "carol", PASSWORD, token.as_deref())).expect("an account");
    assert!(contact(&world, "alice@north.example", "carol@north.example").is_some_and(|row| row.to && row.from));
}

#[test]
fn a_kept_name_is_kept_for_who_has_the_token_until_it_ends() {
    let mut world = world();
    let alice = world.online("alice@north.example", "desk");
    let told = invitation(&command(&mut world, alice, CREATE, &submit(&field("username", "Juliet"))));
    let link = Link::parse(&told.uri).expect("a link");
    assert_eq!(link.address.as_str(), "juliet@north.example");
    let token = link.preauth.expect("a token");
    let other = run(create(world.broker(NORTH).core(), &Spec::default())).expect("an invitation").token;
    let core = world.broker(NORTH).core();
    assert_eq!(run(accounts::create(core, "juliet", PASSWORD, Some(&other))), Err(accounts::AccountError::NameTaken));
    assert_eq!(run(accounts::create(core, "romeo", PASSWORD, Some(&token))), Err(accounts::AccountError::OtherName));
    let again = command(&mut world, alice, CREATE, &submit(&field("username", "juliet")));
    assert_eq!(StanzaError::of_stanza(&again).map(|e| e.condition), Some(Condition::Conflict));

    world.advance(Duration::from_secs(6 * 86_400));
    let late = run(create(world.broker(NORTH).core(), &Spec::default())).expect("an invitation").token;
    world.advance(Duration::from_secs(2 * 86_400));
    let core = world.broker(NORTH).core();
    assert_eq!(run(accounts::create(core, "juliet", PASSWORD, Some(&late))), Ok(bare("juliet@north.example")));
    assert_eq!(run(forget_expired(core)), Ok(2));
    assert!(run(core.store.list(RESERVED, RESERVED_OWNER)).is_ok_and(|rows| rows.is_empty()));
}

/// Two who ask at the same moment are both told that the name is free; one of them gets it.
#[test]
fn one_name_is_kept_once_and_for_nobody_beside_who_registers_it() {
    let world = world();
    let core = world.broker(NORTH).core();
    let juliet = bare("juliet@north.example");
    let reserving = |token: &str| {
        let mut transaction = core.store.transaction();
        let kept = ReservedRow { token: token.to_owned(), expires_at: i64::MAX };
        run(reserve(core, &mut transaction, &juliet, &kept)).expect("free");
        transaction
    };
    let (first, second) = (reserving("first"), reserving("second"));
    let mut registering = core.store.transaction();
    assert_eq!(run(names::expect_free(core, &mut registering, &juliet, None)), Ok(true));
    assert_eq!(run(first.commit()), Ok(()));
    assert_eq!(run(second.commit()), Err(StoreError::Conflict));
    assert_eq!(run(registering.commit()), Err(StoreError::Conflict));
    let spec = Spec { address: Some(juliet), ..Spec::default() };
    assert_eq!(run(create(core, &spec)), Err(InviteError::NameTaken));

    let romeo = bare("romeo@north.example");
    let mut late = core.store.transaction();
    let kept = ReservedRow { token: "late".to_owned(), expires_at: i64::MAX };
    assert_eq!(run(reserve(core, &mut late, &romeo, &kept)), Ok(()));
    run(accounts::create(core, "romeo", PASSWORD, None)).expect("an account");
    assert_eq!(run(late.commit()), Err(StoreError::Conflict), "there is an account of that name now");
}

#[test]
fn x19_an_account_makes_so_many_invitations_a_day() {
    let mut world = world();
    let alice = world.online("alice@north.example", "desk");
    for _ in 0..20 {
        invitation(&command(&mut world, alice, INVITE, ""));
    }
    let refused = command(&mut world, alice, INVITE, "");
    assert_eq!(StanzaError::of_stanza(&refused).map(|e| e.condition), Some(Condition::ResourceConstraint));
    world.advance(Duration::from_secs(86_400));
    let alice = world.online("alice@north.example", "phone");
    invitation(&command(&mut world, alice, INVITE, ""));
}

#[test]
fn strangers_make_no_invitations() {
    let mut world = world();
    world.register("bob@south.example");
    let bob = world.online("bob@south.example", "desk");
    let refused = command(&mut world, bob, INVITE, "");
    assert_eq!(StanzaError::of_stanza(&refused).map(|e| e.condition), Some(Condition::Forbidden));
}

#[test]
fn a_token_lets_one_person_of_another_server_in() {
    let mut world = world();
    world.register("bob@south.example");
    world.register("eve@south.example");
    let alice = world.online("alice@north.example", "desk");
    let token = Link::parse(&invitation(&command(&mut world, alice, INVITE, "")).uri).expect("a link").preauth;
    let request = format!(
        "<presence type='subscribe' to='alice@north.example'><preauth xmlns='urn:xmpp:pars:0' token='{}'/></presence>",
        token.expect("a token")
    );
    let bob = world.online("bob@south.example", "phone");
    // pre-approved, as the XEP asks of his client
    world.send(bob, "<presence type='subscribed' to='alice@north.example'/>");
    world.send(bob, &request);
    for (owner, other) in [("alice@north.example", "bob@south.example"), ("bob@south.example", "alice@north.example")] {
        let row = contact(&world, owner, other).expect("a contact");
        assert!(row.to && row.from, "{owner}");
    }
    let eve = world.online("eve@south.example", "phone");
    world.take(alice);
    world.send(eve, &request);
    let row = contact(&world, "alice@north.example", "eve@south.example").expect("a request");
    assert!(!row.from && row.pending_in.is_some(), "a used token is none: she is asked");
    assert!(world.take(alice).iter().any(|p| p.attr("type") == Some("subscribe")));
}

#[test]
fn a_token_is_good_for_its_inviter_only() {
    let mut world = world();
    world.register("bob@north.example");
    let alice = world.online("alice@north.example", "desk");
    let token = Link::parse(&invitation(&command(&mut world, alice, INVITE, "")).uri).expect("a link").preauth;
    let token = token.expect("a token");
    let core = world.broker(NORTH).core();
    let (alice, bob, eve) = (bare("alice@north.example"), bare("bob@north.example"), bare("eve@south.example"));
    assert_eq!(run(redeem_subscription(core, &bob, &eve, &token)), Ok(false));
    assert_eq!(run(redeem_subscription(core, &alice, &eve, "guess")), Ok(false));
    let silent = Spec { inviter: Some(alice.clone()), is_contact: true, ..Spec::default() };
    let silent = run(create(core, &silent)).expect("an invitation").token;
    assert_eq!(run(redeem_subscription(core, &alice, &eve, &silent)), Ok(false), "made to touch no contact list");
    assert_eq!(run(redeem_subscription(core, &alice, &eve, &token)), Ok(true));
    assert_eq!(run(redeem_subscription(core, &alice, &eve, &token)), Ok(false));
}

#[test]
fn x19_ten_thousand_guesses_find_nothing() {
    let world = world();
    let core = world.broker(NORTH).core();
    let token = run(create(core, &Spec::default())).expect("an invitation").token;
    let guess = |n: usize| match n {
        // near misses first: one letter short, one too many, another case
        0 => token.chars().skip(1).collect(),
        1 => format!("{token}a"),
        2 => token.to_uppercase(),
        _ => random_letters(&*core.env.random, STRONG_LEN),
    };
    assert!((0..10_000).all(|n| run(lookup(core, &guess(n))) == Ok(None)));
    assert!(run(lookup(core, &token)).is_ok_and(|found| found.is_some()));
}

#[test]
fn who_invited_is_told_who_came_also_when_they_were_away() {
    let mut world = world();
    let spec = Spec { inviter: Some(bare("alice@north.example")), ..Spec::default() };
    let core = std::sync::Arc::clone(world.broker(NORTH).core());
    let told = |stanza: &Element| {
        stanza.name() == "message"
            && stanza.attr("from") == Some(NORTH)
            && xep::invites::joined_inside(stanza).is_some_and(|(who, _)| who == bare("bob@north.example"))
            && stanza.child("body", xmpp::ns::CLIENT).is_some_and(|body| body.text().contains("bob@north.example"))
    };
    let token = run(create(&core, &spec)).expect("made").token;
    run(accounts::create(&core, "bob", PASSWORD, Some(&token))).expect("an account");
    let alice = world.connect("alice@north.example", "desk");
    world.send(alice, "<presence/>");
    assert!(world.take(alice).iter().any(told), "it waited for her");

    let token = run(create(&core, &spec)).expect("made").token;
    run(accounts::create(&core, "carol", PASSWORD, Some(&token))).expect("an account");
    world.settle();
    let told = world.take(alice);
    let joined: Vec<_> = told.iter().filter_map(xep::invites::joined_inside).collect();
    assert_eq!(joined, [(bare("carol@north.example"), token.as_str())]);
}

#[test]
fn the_operators_list_ends_with_the_invitations() {
    let mut world = world();
    let core = std::sync::Arc::clone(world.broker(NORTH).core());
    let token = run(create(&core, &Spec::default())).expect("made").token;
    let open = run(create(&core, &Spec::default())).expect("made").token;
    run(accounts::create(&core, "bob", PASSWORD, Some(&token))).expect("an account");
    let listed = run(list(&core)).expect("readable");
    let used: Vec<_> = listed.iter().filter_map(|l| l.used_by.as_deref().map(|by| (l.id.as_str(), by))).collect();
    assert_eq!(used, [(&token[..6], "bob@north.example")]);
    assert_eq!(run(open_of_operator(&core)).expect("readable").map(|invite| invite.token), Some(open.clone()));
    assert_eq!(run(revoke(&core, &token[..6])), Err(RevokeError::Unknown), "it is used up");
    assert_eq!(run(revoke(&core, "")), Err(RevokeError::Unknown));
    assert_eq!(run(revoke(&core, &open[..6])).map(|listed| listed.id).as_deref(), Ok(&open[..6]));
    assert_eq!(run(lookup(&core, &open)), Ok(None));
    assert_eq!(run(accounts::create(&core, "carol", PASSWORD, Some(&open))), Err(accounts::AccountError::InvalidToken));
    world.advance(Duration::from_secs(8 * 86_400));
    run(forget_expired(&core)).expect("forgotten");
    assert_eq!(run(list(&core)), Ok(Vec::new()));
}

/// An invitation is for one person, and not for finding out who has an account.
#[test]
fn x19_one_invitation_asks_for_twenty_names() {
    let mut world = world();
    world.register("romeo@north.example");
    let token = run(create(world.broker(NORTH), &Spec::default())).expect("an invitation").token;
    let other = run(create(world.broker(NORTH), &Spec::default())).expect("an invitation").token;
    let core = world.broker(NORTH).core().clone();
    let asked = |name: &str, token: &str| run(accounts::create(&core, name, PASSWORD, Some(token)));
    for n in 0..20 {
        assert_eq!(asked("romeo", &token), Err(accounts::AccountError::NameTaken), "question {n}");
        assert_eq!(asked("ro meo", &token), Err(accounts::AccountError::InvalidName), "which asks for nothing");
    }
    for name in ["romeo", "mercutio"] {
        assert_eq!(asked(name, &token), Err(accounts::AccountError::TooManyNames), "it no longer tells");
    }
    world.crash(NORTH);
    let core = world.broker(NORTH).core().clone();
    let after = run(accounts::create(&core, "mercutio", PASSWORD, Some(&token)));
    assert_eq!(after, Err(accounts::AccountError::TooManyNames), "nor after a restart");
    assert!(run(accounts::create(&core, "mercutio", PASSWORD, Some(&other))).is_ok(), "others are as good as before");
    let used = run(accounts::create(&core, "romeo", PASSWORD, Some(&other)));
    assert_eq!(used, Err(accounts::AccountError::InvalidToken), "whoever has used it up learns nothing");
}
