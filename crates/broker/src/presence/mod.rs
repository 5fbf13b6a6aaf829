//! Presence: who sees whom (RFC 6121 §3, §4).
//!
//! An account that holds no subscription costs nothing here: its roster is empty, so its presence reaches its own
//! resources and nobody else, and no probe is sent.

mod subscribe;
pub(crate) mod subscription;

use std::collections::HashSet;

use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::xml::{Element, Frame};

use store::StoreError;

use crate::Core;
use crate::budget::Source;
use crate::core::Place;
use crate::mailbox::Delivery;
use crate::pep;
use crate::registry::SessionHandle;
use crate::roster;
use crate::route::Stanza;
use crate::tables::RosterRow;

pub(crate) use subscribe::{outbound_subscription, part, tell};

/// How much longer a presence may be because of the addresses that servers put into it.
const ADDRESSES_BYTES: usize = 2 * 3072;

/// Tells whether a presence asks, allows or withdraws. One that is too large is made small and not dropped: its type says
/// it all.
pub(crate) fn is_about_subscription(presence_type: Option<&str>) -> bool {
    presence_type.is_some_and(|kind| subscription::Kind::parse(kind).is_some())
}

/// Routes a presence that has a `to`.
pub(crate) async fn route(core: &Core, stanza: Stanza) {
    let presence_type = stanza.frame.attr("type").map(std::borrow::Cow::into_owned);
    let max = core.config.limits.presence_bytes.saturating_add(ADDRESSES_BYTES);
    if stanza.frame.len() > max && !is_about_subscription(presence_type.as_deref()) {
        return; // of another server's; ours are refused before
    }
    match presence_type.as_deref() {
        None | Some("unavailable" | "error") => {
            pass(core, &stanza.by, &stanza.frame, &stanza.to);
            // to a full address too: it may be the answer to a probe
            if core.place(&stanza.to) == Place::Account {
                let presence = stanza.frame.to_element();
                Box::pin(pep::handle_presence(core, &stanza.to.bare(), &stanza.from, &presence)).await;
            }
        }
        Some("probe") if core.place(&stanza.to) == Place::Account => {
            // boxed: answering may itself route
            Box::pin(answer_probe(core, &stanza)).await;
        }
        Some(kind) => match (subscription::Kind::parse(kind), core.place(&stanza.to)) {
            (Some(kind), Place::Account) => Box::pin(subscribe::inbound_subscription(core, &stanza, kind)).await,
            (_, Place::Remote(domain)) => core.federation.queue(core, domain, stanza.frame.clone(), &stanza.by),
            _ => {}
        },
    }
}

/// Passes a presence on to a resource, to all available resources of an account, or to another server
/// (RFC 6121 §8.5.2.1.2, §8.5.3.1).
pub(crate) fn pass(core: &Core, by: &Source, frame: &Frame, to: &Jid) {
    match core.place(to) {
        Place::Account if to.is_bare() => {
            for session in core.available_sessions(to.as_str()) {
                let _ = session.mailbox.post(Delivery::new(frame.clone(), by));
            }
        }
        Place::Account => {
            if let Some(session) = core.registry.session(to) {
                let _ = session.mailbox.post(Delivery::new(frame.clone(), by));
            }
        }
        Place::Remote(domain) => core.federation.queue(core, domain, frame.clone(), by),
        Place::Server | Place::Service(_) => {}
    }
}

/// Reads the priority of a presence; one that is no number counts as 0 (RFC 6121 §4.7.2.3).
fn priority_of(presence: &Frame) -> i8 {
    presence.root().child("priority", ns::CLIENT).and_then(|p| p.text().trim().parse().ok()).unwrap_or(0)
}

/// A resource became available or changed its presence: tells those who may know (RFC 6121 §4.2.2, §4.4.2).
pub(crate) async fn broadcast_available(core: &Core, handle: &SessionHandle, frame: Frame) -> Result<(), StoreError> {
    let contacts = roster::load_all(core, handle.jid.bare_str()).await?;
    handle.set_available(priority_of(&frame), frame.clone(), core.env.moment());
    broadcast(core, handle, &frame, &contacts, None);
    tell_services(core, handle, &frame, &contacts).await;
    Ok(())
}

/// A resource became unavailable: tells those who knew, by subscription or directly (RFC 6121 §4.5.2, §4.6.3).
pub(crate) async fn broadcast_unavailable(
    core: &Core,
    handle: &SessionHandle,
    frame: Frame,
    directed: Option<&HashSet<Jid>>,
) {
    // when the store fails, those who were addressed directly and the own resources still learn it
    let contacts = roster::load_all(core, handle.jid.bare_str()).await.unwrap_or_default();
    if handle.is_available() {
        handle.set_unavailable();
        broadcast(core, handle, &frame, &contacts, directed);
        tell_services(core, handle, &frame, &contacts).await;
    } else if let Some(directed) = directed {
        for to in directed {
            pass(core, &handle.by, &frame.splice().set_attr("to", to.as_str()).finish(), to);
        }
    }
}

/// Tells the personal services here that may have something for the resource: its own account's, and those of contacts.
async fn tell_services(core: &Core, handle: &SessionHandle, frame: &Frame, contacts: &[RosterRow]) {
    let presence = frame.to_element();
    let own = handle.jid.bare();
    Box::pin(pep::handle_presence(core, &own, &handle.jid, &presence)).await;
    for contact in contacts.iter().filter(|c| c.from) {
        let Ok(account) = BareJid::parse(&contact.jid) else { continue };
        if core.place(account.as_ref()) == Place::Account {
            Box::pin(pep::handle_presence(core, &account, &handle.jid, &presence)).await;
        }
    }
}

fn broadcast(
    core: &Core,
    handle: &SessionHandle,
    frame: &Frame,
    contacts: &[RosterRow],
    directed: Option<&HashSet<Jid>>,
) {
    let addressed = |to: &Jid| pass(core, &handle.by, &frame.splice().set_attr("to", to.as_str()).finish(), to);
    let mut told = HashSet::new();
    for contact in contacts.iter().filter(|c| c.from) {
        if let Ok(to) = Jid::parse(&contact.jid) {
            addressed(&to);
            told.insert(to);
        }
    }
    // one is implicitly subscribed to oneself (RFC 6121 §4.2.2)
    for own in core.available_sessions(handle.jid.bare_str()) {
        let frame = frame.splice().set_attr("to", own.jid.as_str()).finish();
        let _ = own.mailbox.post(Delivery::new(frame, &handle.by));
    }
    for to in directed.into_iter().flatten().filter(|to| !told.contains(&Jid::from(to.bare()))) {
        addressed(to);
    }
}

/// What a resource gets when it becomes available: requests that are still open, and presence of the account's other
/// resources. Also asks for the presence of the contacts (RFC 6121 §3.1.3, §4.2.2, §4.3.1).
pub(crate) async fn welcome(core: &Core, handle: &SessionHandle) -> Vec<Frame> {
    let mut frames = Vec::new();
    for other in core.available_sessions(handle.jid.bare_str()) {
        if other.id != handle.id
            && let Some(presence) = other.presence()
        {
            frames.push(presence.splice().set_attr("to", handle.jid.as_str()).finish());
        }
    }
    let contacts = roster::load_all(core, handle.jid.bare_str()).await.unwrap_or_default();
    for contact in contacts {
        if let Some(request) = contact.pending_in.as_deref().and_then(crate::offline::parse_stanza) {
            frames.push(request);
        }
        if contact.to
            && let Ok(jid) = Jid::parse(&contact.jid)
        {
            probe(core, handle, &jid, &mut frames).await;
        }
    }
    frames
}

/// Asks for a contact's presence: at once for one of ours, by a probe for another server's.
async fn probe(core: &Core, handle: &SessionHandle, contact: &Jid, frames: &mut Vec<Frame>) {
    if core.place(contact) == Place::Account {
        let theirs = roster::load(core, contact.as_str(), handle.jid.bare_str()).await;
        if theirs.ok().flatten().is_some_and(|row| row.from) {
            for session in core.available_sessions(contact.as_str()) {
                frames.extend(session.presence().map(|p| p.splice().set_attr("to", handle.jid.as_str()).finish()));
            }
        }
        return;
    }
    let probe = Element::new("presence", ns::CLIENT)
        .with_attr("type", "probe")
        .with_attr("from", handle.jid.as_str())
        .with_attr("to", contact.as_str());
    pass(core, &handle.by, &Frame::from_element(&probe, ns::CLIENT), contact);
}

/// Answers the question of another server where an account of ours is (RFC 6121 §4.3.2).
///
/// Whoever holds no subscription gets `unsubscribed`, and so does whoever asks for an account that does not exist.
async fn answer_probe(core: &Core, stanza: &Stanza) {
    let account = stanza.to.bare();
    let asker = stanza.from.bare();
    let is_own = asker == account;
    let row = roster::load(core, account.as_str(), asker.as_str()).await;
    let Ok(row) = row else { return }; // no answer rather than a wrong one
    if !is_own && !row.is_some_and(|row| row.from) {
        let refusal = presence_element("unsubscribed", account.as_str(), asker.as_str());
        return pass(core, &stanza.by, &Frame::from_element(&refusal, ns::CLIENT), &asker.into());
    }
    let sessions = core.available_sessions(account.as_str());
    if sessions.is_empty() && !is_own {
        let away = presence_element("unavailable", account.as_str(), stanza.from.as_str());
        return pass(core, &stanza.by, &Frame::from_element(&away, ns::CLIENT), &stanza.from);
    }
    for presence in sessions.iter().filter_map(|session| session.presence()) {
        let presence = presence.splice().set_attr("to", stanza.from.as_str()).finish();
        pass(core, &stanza.by, &presence, &stanza.from);
    }
}

fn presence_element(presence_type: &'static str, from: &str, to: &str) -> Element {
    Element::new("presence", ns::CLIENT).with_attr("type", presence_type).with_attr("from", from).with_attr("to", to)
}
