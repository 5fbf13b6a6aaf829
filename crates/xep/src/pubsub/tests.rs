use xmpp::jid::Jid;
use xmpp::stanza::{Condition, StanzaError};

use super::request::{Answer, parse_configuration, parse_items};
use super::rules::{Reader, check_access};
use super::*;
use crate::forms::{Form, FormType};

fn jid(text: &str) -> Jid {
    Jid::parse(text).expect("an address")
}

fn options() -> Form {
    Form::of_type(FormType::Submit, FORM_PUBLISH_OPTIONS)
        .with("pubsub#access_model", "open")
        .with("pubsub#max_items", "max")
}

fn payload() -> Element {
    Element::new("list", "eu.siacs.conversations.axolotl")
}

#[test]
fn requests_come_back_the_same() {
    let node = || "princely_musings".to_owned();
    let config = Form::of_type(FormType::Submit, FORM_NODE_CONFIG).with("pubsub#access_model", "whitelist");
    let bob = jid("bob@example.org");
    for request in [
        Request::Create { node: Some(node()), configure: Some(config.clone()) },
        Request::Create { node: None, configure: None },
        Request::Publish { node: node(), item: Item::new("current", payload()), options: Some(options()) },
        Request::Publish { node: node(), item: Item::default(), options: None },
        Request::Retract { node: node(), ids: vec!["1".into(), "2".into()], notify: Some(true) },
        Request::Items { node: node(), ids: vec!["1".into()], max_items: None },
        Request::Items { node: node(), ids: vec![], max_items: Some(3) },
        Request::Subscribe { node: node(), jid: bob.clone() },
        Request::Unsubscribe { node: node(), jid: bob.clone() },
        Request::Subscriptions { node: None },
        Request::Affiliations { node: Some(node()) },
        Request::DefaultConfig,
        Request::Configuration { node: node() },
        Request::Configure { node: node(), form: Some(config) },
        Request::Configure { node: node(), form: None },
        Request::Delete { node: node() },
        Request::Purge { node: node() },
        Request::NodeSubscriptions { node: node() },
        Request::ModifySubscriptions { node: node(), changes: vec![(bob.clone(), SubscriptionState::None)] },
        Request::NodeAffiliations { node: node() },
        Request::ModifyAffiliations { node: node(), changes: vec![(bob.bare(), Affiliation::Member)] },
    ] {
        let (element, is_set) = request.to_element();
        assert!(Request::is_one(&element));
        assert_eq!(Request::parse(&element, is_set), Ok(request));
    }
}

#[test]
fn broken_requests_get_the_errors_of_the_xep() {
    let set = |what: Element| Request::parse(&Element::new("pubsub", NS).with_child(what), true);
    let named = |name: &'static str| Element::new(name, NS).with_attr("node", "n");
    let item = || Element::new("item", NS);
    let two = item().with_child(payload()).with_child(payload());
    for (what, error) in [
        (Element::new("publish", NS).with_child(item()), PubSubError::NodeIdRequired),
        (named("publish"), PubSubError::ItemRequired),
        (named("publish").with_child(two), PubSubError::InvalidPayload),
        (named("retract"), PubSubError::ItemRequired),
        (named("subscribe"), PubSubError::InvalidJid),
        (named("subscribe").with_attr("jid", "@"), PubSubError::InvalidJid),
        (named("options"), PubSubError::Unsupported("subscription-options")),
    ] {
        assert_eq!(set(what), Err(error));
    }
    for bad in [
        Element::new("publish", NS_OWNER),
        named("made-up"),
        named("publish").with_child(item()).with_child(item()),
        named("retract").with_child(item()),
        Element::new("create", NS).with_attr("node", "n".repeat(MAX_NAME_LEN + 1)),
    ] {
        assert!(matches!(set(bad), Err(PubSubError::BadRequest(_))));
    }
    assert!(Request::parse(&Element::new("pubsub", NS), true).is_err());
}

#[test]
fn events_come_back_the_same() {
    let node = || "n".to_owned();
    for event in [
        Event::published("n", Item::new("current", payload())),
        Event::retracted("n", vec!["1".into()]),
        Event::Purged { node: node() },
        Event::Deleted { node: node() },
        Event::Configured { node: node(), config: None },
    ] {
        let message = Element::new("message", "jabber:client").with_child(event.to_element());
        assert_eq!(Event::inside(&message), Ok(Some(event)));
    }
    let bare = Event::published("n", Item::new("current", payload())).without_payloads();
    assert_eq!(bare, Event::published("n", Item { id: Some("current".into()), ..Item::default() }));
}

#[test]
fn x04_an_account_speaks_for_its_own_nodes_only() {
    let own = jid("alice@example.org").bare();
    let event = Event::published("n", Item::new("current", payload()));
    let message = |from: Option<&str>| {
        Element::new("message", "jabber:client").with_attr_opt("from", from).with_child(event.to_element())
    };
    let owner = |from| Event::of_account(&message(from), &own).map(|found| found.map(|(owner, _)| owner));
    assert_eq!(owner(None), Ok(Some(own.clone())));
    assert_eq!(owner(Some("alice@example.org")), Ok(Some(own.clone())));
    assert_eq!(owner(Some("bob@example.org")), Ok(Some(jid("bob@example.org").bare())), "never as one's own");
    assert_eq!(owner(Some("alice@example.org/phone")), Ok(None), "a client cannot speak for the account");
    assert_eq!(owner(Some("@")), Ok(None));
    let error = message(Some("bob@example.org")).with_attr("type", "error");
    assert_eq!(Event::of_account(&error, &own), Ok(None), "a bounce repeats what we sent");
}

#[test]
fn answers_hold_what_the_client_reads() {
    let items = vec![Item::new("1", payload()), Item::new("2", payload())];
    let answer = Answer::Items { node: "n".into(), items: items.clone() };
    assert_eq!(parse_items(&answer.to_element()), Ok(("n".to_owned(), items)));
    let config = NodeConfig { access: AccessModel::Open, ..NodeConfig::default() };
    let answer = Answer::Configuration { node: "n".into(), config: Box::new(config.clone()) };
    let form = parse_configuration(&answer.to_element()).expect("a form");
    assert_eq!(NodeConfig::default().apply(&form), Ok(config));
    assert!(parse_items(&answer.to_element()).is_err());
    let published = Answer::Published { node: "n".into(), id: "1".into() }.to_element();
    assert_eq!(published.child("publish", NS).and_then(|p| p.child("item", NS)).and_then(|i| i.attr("id")), Some("1"));
}

#[test]
fn preconditions_are_met_or_not_or_unknown() {
    let open = NodeConfig { access: AccessModel::Open, max_items: MaxItems::Max, ..NodeConfig::default() };
    assert_eq!(open.check_preconditions(&options()), Ok(()));
    assert_eq!(NodeConfig::default().check_preconditions(&options()), Err(PubSubError::PreconditionNotMet));
    let with = |var: &str, value: &str| {
        NodeConfig::default().check_preconditions(&Form::new(FormType::Submit).with(var, value))
    };
    assert_eq!(with("pubsub#persist_items", "true"), Ok(()));
    assert_eq!(with("pubsub#made_up", "1"), Err(PubSubError::NotAcceptable));
    assert_eq!(with("made_up", "1"), Err(PubSubError::NotAcceptable));
    assert_eq!(with("pubsub#publish_model", "open"), Err(PubSubError::NotAcceptable));
    assert_eq!(with("pubsub#access_model", "authorize"), Err(PubSubError::NotAcceptable));
    assert_eq!(with("pubsub#max_items", "0"), Err(PubSubError::NotAcceptable));
    assert_eq!(with("pubsub#persist_items", "maybe"), Err(PubSubError::NotAcceptable));
    assert_eq!(with("pubsub#itemreply", "none"), Ok(()));
    assert_eq!(with("pubsub#itemreply", "publisher"), Err(PubSubError::PreconditionNotMet));
    assert_eq!(with("pubsub#itemreply", "owner"), Err(PubSubError::NotAcceptable));
}

#[test]
fn who_may_read() {
    let config = |access| NodeConfig { access, roster_groups: vec!["Friends".into()], ..NodeConfig::default() };
    let friends = ["Friends".to_owned()];
    let watcher = Reader { sees_presence: true, ..Reader::STRANGER };
    let member = Reader { affiliation: Affiliation::Member, ..Reader::STRANGER };
    let outcast = Reader { affiliation: Affiliation::Outcast, sees_presence: true, ..Reader::STRANGER };
    let friend = Reader { groups: &friends, ..Reader::STRANGER };
    for (access, reader, result) in [
        (AccessModel::Open, Reader::STRANGER, Ok(())),
        (AccessModel::Open, outcast, Err(PubSubError::Forbidden)),
        (AccessModel::Presence, watcher, Ok(())),
        (AccessModel::Presence, member, Err(PubSubError::PresenceRequired)),
        (AccessModel::Presence, outcast, Err(PubSubError::Forbidden)),
        (AccessModel::Roster, friend, Ok(())),
        (AccessModel::Roster, watcher, Err(PubSubError::NotInRosterGroup)),
        (AccessModel::Whitelist, member, Ok(())),
        (AccessModel::Whitelist, watcher, Err(PubSubError::Closed)),
        (AccessModel::Whitelist, friend, Err(PubSubError::Closed)),
        (AccessModel::Whitelist, Reader::OWNER, Ok(())),
    ] {
        assert_eq!(check_access(&config(access), reader), result, "{access:?} {reader:?}");
    }
}

#[test]
fn errors_carry_the_condition_of_the_service() {
    let error = StanzaError::from(&PubSubError::PreconditionNotMet);
    assert_eq!(error.condition, Condition::Conflict);
    assert!(error.extra.iter().any(|e| e.is("precondition-not-met", NS_ERRORS)));
    assert_eq!(StanzaError::from(&PubSubError::NotFound).to_element("jabber:client").attr("code"), Some("404"));
}

#[test]
fn words_of_states_are_read_back() {
    for state in [SubscriptionState::None, SubscriptionState::Pending, SubscriptionState::Subscribed] {
        assert_eq!(SubscriptionState::parse(state.as_str()), Some(state));
    }
    assert_eq!(Affiliation::parse("publisher"), None, "not offered");
}
