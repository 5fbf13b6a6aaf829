//! Subscriptions between accounts: the rules of [`super::subscription`] applied to rosters (RFC 6121 §3).
//!
//! The order is always: commit the change, then tell. A change that could not be committed was not made, and nobody hears
//! of it.

use std::sync::Arc;

use xmpp::jid::{BareJid, Jid};
use xmpp::ns;
use xmpp::stanza::{Condition, StanzaError};
use xmpp::xml::Frame;

use super::presence_element;
use super::subscription::{Kind, State, inbound, outbound};
use crate::mailbox::Delivery;
use crate::registry::SessionHandle;
use crate::roster::{self, Change, RosterError};
use crate::route::Stanza;
use crate::tables::RosterRow;
use crate::{Core, invites, pep};

/// Longest request that is kept and shown with everything in it, in bytes.
/// A hundred of them fit into what a roster keeps of requests.
const REQUEST_BYTES_MAX: usize = 2 * 1024;

impl RosterRow {
    pub(crate) fn state(&self) -> State {
        State {
            to: self.to,
            from: self.from,
            pending_out: self.pending_out,
            pending_in: self.pending_in.is_some(),
            approved: self.approved,
        }
    }

    /// Takes over a state; `request` is what is kept where the contact has asked.
    fn set_state(&mut self, state: State, request: Option<&Frame>) {
        self.to = state.to;
        self.from = state.from;
        self.pending_out = state.pending_out;
        self.approved = state.approved;
        match (state.pending_in, request) {
            (false, _) => self.pending_in = None,
            (true, Some(request)) => self.pending_in = Some(request.bytes().to_vec()),
            (true, None) => {}
        }
    }

    /// Whether the row says anything that must be remembered.
    fn says_anything(&self) -> bool {
        self.listed || self.state() != State::default()
    }
}

/// A user asks, allows, or withdraws either (RFC 6121 §3.1-§3.4).
pub(crate) async fn outbound_subscription(
    core: &Core,
    handle: &SessionHandle,
    frame: &Frame,
    to: &Jid,
) -> Result<(), StanzaError> {
    let Some(kind) = frame.attr("type").and_then(|t| Kind::parse(&t)) else {
        return Err(StanzaError::new(Condition::BadRequest));
    };
    let account = handle.jid.bare();
    let contact = to.bare();
    if contact == account {
        return Ok(()); // one is always subscribed to oneself
    }
    let (before, decision) = change_own(core, &account, &contact, kind).await.map_err(|e| StanzaError::from(&e))?;
    if decision.route {
        // subscriptions are between accounts, so the bare address is the sender (RFC 6121 §3.1.2)
        let stamped = frame.splice().set_attr("from", account.as_str()).set_attr("to", contact.as_str()).finish();
        let stanza = Stanza {
            frame: stamped,
            from: account.clone().into(),
            to: contact.clone().into(),
            by: Arc::clone(&handle.by),
        };
        super::route(core, stanza).await;
    }
    tell(core, &account, &contact, before.from, decision.state.from).await;
    Ok(())
}

/// Commits what the user's own side becomes, and pushes it.
async fn change_own(
    core: &Core,
    account: &BareJid,
    contact: &BareJid,
    kind: Kind,
) -> Result<(State, super::subscription::Outbound), RosterError> {
    roster::update(core, account.as_str(), contact.as_str(), |row| {
        let known = row.is_some();
        let mut row = row.unwrap_or_else(|| RosterRow { jid: contact.as_str().to_owned(), ..RosterRow::default() });
        let before = row.state();
        let decision = outbound(before, kind);
        row.set_state(decision.state, None);
        // asking and allowing put the contact into the roster (RFC 6121 §3.1.2, §3.1.6, §3.4.1)
        row.listed |= matches!(kind, Kind::Subscribe | Kind::Subscribed);
        let change = match (row.says_anything(), known) {
            (true, _) => Change::Put(row),
            (false, true) => Change::Delete,
            (false, false) => Change::Nothing,
        };
        (change, (before, decision))
    })
    .await
}

/// A contact asks, allows, or withdraws either: the side of the one who is addressed (RFC 6121 §3.1.3-§3.3.3).
pub(super) async fn inbound_subscription(core: &Core, stanza: &Stanza, kind: Kind) {
    let account = stanza.to.bare();
    let contact = stanza.from.bare();
    // a name that is not in use answers nothing, so nobody learns that it is not (RFC 6121 §8.5.1)
    if !matches!(core.account_exists(account.as_str()).await, Ok(true)) {
        return;
    }
    let frame = stanza.frame.splice().set_attr("from", contact.as_str()).set_attr("to", account.as_str()).finish();
    // a good token allows the request before it is looked at (XEP-0379 §3.5)
    let invited = kind == Kind::Subscribe && redeem(core, &account, &contact, &frame).await;
    if kind == Kind::Subscribe && !invited && !may_ask(core, &account, &contact).await {
        return;
    }
    // what is kept for who is away is kept for strangers too: a request, not a file (RFC 6121 §3.1.3)
    let frame = if frame.len() > REQUEST_BYTES_MAX { frame.splice().drop_children(|_| true).finish() } else { frame };
    let updated = roster::update(core, account.as_str(), contact.as_str(), |row| {
        let known = row.is_some();
        let mut row = row.unwrap_or_else(|| RosterRow { jid: contact.as_str().to_owned(), ..RosterRow::default() });
        let before = row.state();
        let decision = inbound(before, kind);
        row.set_state(decision.state, (kind == Kind::Subscribe).then_some(&frame));
        let change = match (decision.state == before, row.says_anything(), known) {
            (true, ..) => Change::Nothing,
            (_, true, _) => Change::Put(row),
            (_, false, true) => Change::Delete,
            (_, false, false) => Change::Nothing,
        };
        (change, (before, decision))
    })
    .await;
    let Ok((before, decision)) = updated else { return };
    if decision.deliver {
        // whoever is away finds a request in the roster row at the next sign-in
        for session in core.registry.sessions(account.as_str(), |s| s.is_available() || s.is_interested()) {
            let _ = session.mailbox.post(Delivery::new(frame.clone(), &stanza.by));
        }
    }
    if decision.auto_subscribed {
        let answer = presence_element("subscribed", account.as_str(), contact.as_str());
        let frame = Frame::from_element(&answer, ns::CLIENT);
        let by = Arc::clone(&stanza.by);
        let answer = Stanza { frame, from: account.clone().into(), to: contact.clone().into(), by };
        super::route(core, answer).await;
    }
    tell(core, &account, &contact, before.from, decision.state.from).await;
    if invited {
        ask_in_turn(core, &account, &contact).await;
    }
}

/// Tells whether a request carries a token of an invitation that is good; it is used up then.
async fn redeem(core: &Core, account: &BareJid, contact: &BareJid, request: &Frame) -> bool {
    let preauth = request.root().child("preauth", xep::invites::NS_PREAUTH);
    let Some(token) = preauth.and_then(|p| p.attr("token")) else { return false };
    // with any doubt it is a request like others (XEP-0379 §4.1)
    invites::redeem_subscription(core, account, contact, &token).await.unwrap_or(false)
}

/// Asks to see the presence of somebody who came by invitation.
async fn ask_in_turn(core: &Core, account: &BareJid, contact: &BareJid) {
    let Ok((_, decision)) = change_own(core, account, contact, Kind::Subscribe).await else { return };
    if decision.route {
        let request = presence_element("subscribe", account.as_str(), contact.as_str());
        let frame = Frame::from_element(&request, ns::CLIENT);
        let stanza = Stanza::new(core, frame, account.clone().into(), contact.clone().into());
        Box::pin(super::route(core, stanza)).await;
    }
}

/// Tells whether one more request may reach an account: always from people it knows, from strangers a few per minute.
async fn may_ask(core: &Core, account: &BareJid, contact: &BareJid) -> bool {
    match roster::load(core, account.as_str(), contact.as_str()).await {
        Ok(Some(_)) => return true,
        Ok(None) => {}
        Err(_) => return false,
    }
    let now = core.env.moment();
    if core.strangers.wait_until(account.as_str(), now).is_some() {
        return false;
    }
    core.strangers.charge(account.as_str(), now);
    true
}

/// A contact sees the presence of an account since now, or no longer does: sends what there is to see, or that nothing
/// is, and lets the personal services of both know.
pub(crate) async fn tell(core: &Core, account: &BareJid, contact: &BareJid, before: bool, now: bool) {
    if before == now {
        return;
    }
    for session in core.available_sessions(account.as_str()) {
        let gone = || {
            let gone = presence_element("unavailable", session.jid.as_str(), contact.as_str());
            Some(Frame::from_element(&gone, ns::CLIENT))
        };
        let frame = if now { session.presence() } else { gone() };
        let Some(frame) = frame else { continue };
        let frame = frame.splice().set_attr("to", contact.as_str()).finish();
        let (to, by) = (contact.clone().into(), Arc::clone(&session.by));
        let stanza = Stanza { frame, from: session.jid.clone(), to, by };
        // boxed: the way goes on through the contact's service
        Box::pin(super::route(core, stanza)).await;
    }
    Box::pin(pep::contact_changed(core, account, contact, now)).await;
}

/// A contact is removed from the roster: ends what holds in both directions (RFC 6121 §2.5.2).
pub(crate) async fn part(core: &Core, account: &BareJid, contact: &BareJid, before: State) {
    let withdrawals =
        [(Kind::Unsubscribe, before.to || before.pending_out), (Kind::Unsubscribed, before.from || before.pending_in)];
    for (kind, needed) in withdrawals {
        if needed {
            let frame =
                Frame::from_element(&presence_element(kind.as_str(), account.as_str(), contact.as_str()), ns::CLIENT);
            super::route(core, Stanza::new(core, frame, account.clone().into(), contact.clone().into())).await;
        }
    }
    tell(core, account, contact, before.from, false).await;
}
