//! The contact list as it travels (RFC 6121 §2).
//!
//! The rules of subscriptions are the broker's (`broker::roster`); here are the elements, and whom a client may believe.

use xmpp::jid::{BareJid, Jid};
use xmpp::xml::Element;

use crate::{Claim, Malformed, Status};

/// Namespace of the roster.
pub const NS: &str = xmpp::ns::ROSTER;

/// Queries, pushes and versions.
pub const CLAIM: Claim = Claim { xep: 0, version: "RFC 6121 §2", status: Status::WireOnly, features: &[NS] };

/// Longest name and group, in bytes (RFC 6121 §2.3.3 lets the server choose).
pub const MAX_TEXT_LEN: usize = 1023;
/// Groups of one contact at most.
pub const MAX_GROUPS: usize = 64;

/// Who sees whose presence (RFC 6121 §2.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Subscription {
    /// Neither sees the other's.
    #[default]
    None,
    /// The user sees the contact's.
    To,
    /// The contact sees the user's.
    From,
    /// Both see the other's.
    Both,
    /// The contact is no longer in the list.
    Remove,
}

impl Subscription {
    const ALL: [Self; 5] = [Self::None, Self::To, Self::From, Self::Both, Self::Remove];

    /// Returns the value of the `subscription` attribute.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::To => "to",
            Self::From => "from",
            Self::Both => "both",
            Self::Remove => "remove",
        }
    }

    /// Reads the value of the `subscription` attribute.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Makes the state from its two halves.
    #[must_use]
    pub const fn of(to: bool, from: bool) -> Self {
        match (to, from) {
            (false, false) => Self::None,
            (true, false) => Self::To,
            (false, true) => Self::From,
            (true, true) => Self::Both,
        }
    }
}

/// A contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The contact's address.
    pub jid: BareJid,
    /// What the user calls the contact.
    pub name: Option<String>,
    /// Groups that the user put the contact into.
    pub groups: Vec<String>,
    /// Who sees whose presence.
    pub subscription: Subscription,
    /// The user has asked to see the contact's presence, and there is no answer yet.
    pub ask: bool,
    /// The user has allowed in advance that the contact sees his presence.
    pub approved: bool,
}

impl Item {
    /// Makes a contact of whom nothing is known but the address.
    #[must_use]
    pub fn new(jid: BareJid) -> Self {
        Self { jid, name: None, groups: Vec::new(), subscription: Subscription::None, ask: false, approved: false }
    }

    fn parse(element: &Element) -> Result<Self, Malformed> {
        let jid = element.attr("jid").ok_or(Malformed("a contact without address"))?;
        let groups: Vec<String> = element.children().filter(|c| c.is("group", NS)).map(Element::text).collect();
        Ok(Self {
            jid: BareJid::parse(jid).map_err(|_| Malformed("the address of a contact is none"))?,
            name: element.attr("name").filter(|n| !n.is_empty()).map(str::to_owned),
            groups,
            subscription: element.attr("subscription").and_then(Subscription::parse).unwrap_or_default(),
            ask: element.attr("ask") == Some("subscribe"),
            approved: matches!(element.attr("approved"), Some("true" | "1")),
        })
    }

    /// Writes the `<item/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let group = |g: &String| Element::new("group", NS).with_text(g);
        Element::new("item", NS)
            .with_attr("jid", self.jid.as_str())
            .with_attr_opt("name", self.name.as_deref())
            .with_attr("subscription", self.subscription.as_str())
            .with_attr_opt("ask", self.ask.then_some("subscribe"))
            .with_attr_opt("approved", self.approved.then_some("true"))
            .with_children(self.groups.iter().map(group))
    }
}

/// A roster, whole or in part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// Version (RFC 6121 §2.6); in a request, the one that the client has.
    pub ver: Option<String>,
    /// Contacts.
    pub items: Vec<Item>,
}

impl Query {
    /// Reads a `<query/>`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it is no roster or a contact is none.
    pub fn parse(query: &Element) -> Result<Self, Malformed> {
        if !query.is("query", NS) {
            return Err(Malformed("not a roster"));
        }
        let items = query.children().filter(|c| c.is("item", NS)).map(Item::parse);
        Ok(Self { ver: query.attr("ver").map(str::to_owned), items: items.collect::<Result<_, _>>()? })
    }

    /// Writes the `<query/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        Element::new("query", NS)
            .with_attr_opt("ver", self.ver.as_deref())
            .with_children(self.items.iter().map(Item::to_element))
    }
}

/// Reads the one contact that a client sets (RFC 6121 §2.1.5, §2.3.3).
///
/// # Errors
///
/// [`Malformed`] when there is not exactly one contact, a group stands there twice, or a text is too long; the last is
/// `not-acceptable` in the RFC, and the caller may say so by [`is_not_acceptable`].
pub fn parse_set(query: &Element) -> Result<Item, Malformed> {
    let mut items = Query::parse(query)?.items;
    let item = items.pop().ok_or(Malformed("no contact"))?;
    if !items.is_empty() {
        return Err(Malformed("more than one contact"));
    }
    let mut sorted: Vec<&String> = item.groups.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != item.groups.len() {
        return Err(Malformed("a group stands there twice"));
    }
    Ok(item)
}

/// Tells whether a contact that a client sets has texts that a server does not accept (RFC 6121 §2.3.3).
#[must_use]
pub fn is_not_acceptable(item: &Item) -> bool {
    item.name.as_ref().is_some_and(|n| n.len() > MAX_TEXT_LEN)
        || item.groups.len() > MAX_GROUPS
        || item.groups.iter().any(|g| g.is_empty() || g.len() > MAX_TEXT_LEN)
}

/// Reads a roster push, if the client may believe it: it comes from the client's own account, or says nothing of where
/// it comes from (RFC 6121 §2.1.6). Anybody else's is `None`.
///
/// # Errors
///
/// [`Malformed`] when there is not exactly one contact in it.
pub fn parse_push(iq: &Element, own: &BareJid) -> Result<Option<(Option<String>, Item)>, Malformed> {
    let Some(query) = iq.child("query", NS).filter(|_| iq.name() == "iq" && iq.attr("type") == Some("set")) else {
        return Ok(None);
    };
    let own_account = match iq.attr("from") {
        None => true,
        Some(from) => Jid::parse(from).is_ok_and(|from| from.is_bare() && from.bare_str() == own.as_str()),
    };
    if !own_account {
        return Ok(None);
    }
    let mut query = Query::parse(query)?;
    match (query.items.pop(), query.items.is_empty()) {
        (Some(item), true) => Ok(Some((query.ver, item))),
        _ => Err(Malformed("a push holds exactly one contact")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmpp::stanza::iq;

    fn item() -> Item {
        Item {
            name: Some("Bob".into()),
            groups: vec!["Friends".into(), "Work".into()],
            subscription: Subscription::From,
            ask: true,
            approved: true,
            ..Item::new(BareJid::parse("bob@example.org").expect("an address"))
        }
    }

    #[test]
    fn rosters_come_back_the_same() {
        for subscription in Subscription::ALL {
            let query = Query { ver: Some("v1".into()), items: vec![Item { subscription, ..item() }] };
            assert_eq!(Query::parse(&query.to_element()), Ok(query));
        }
    }

    #[test]
    fn a_set_holds_one_contact() {
        let query = |items: Vec<Item>| Query { ver: None, items }.to_element();
        assert_eq!(parse_set(&query(vec![item()])), Ok(item()));
        assert!(parse_set(&query(vec![])).is_err());
        assert!(parse_set(&query(vec![item(), item()])).is_err());
        let twice = Item { groups: vec!["a".into(), "a".into()], ..item() };
        assert!(parse_set(&query(vec![twice])).is_err());
        assert!(is_not_acceptable(&Item { name: Some("x".repeat(2000)), ..item() }));
        assert!(is_not_acceptable(&Item { groups: vec![String::new()], ..item() }));
        assert!(!is_not_acceptable(&item()));
    }

    #[test]
    fn x03_a_push_is_believed_from_the_own_account_only() {
        let own = BareJid::parse("alice@example.org").expect("an address");
        let push = |from: Option<&str>| {
            let query = Query { ver: None, items: vec![item()] };
            iq("set", "1", None, query.to_element()).with_attr_opt("from", from)
        };
        for good in [None, Some("alice@example.org"), Some("Alice@Example.org")] {
            assert_eq!(parse_push(&push(good), &own), Ok(Some((None, item()))), "{good:?}");
        }
        for forged in ["bob@example.org", "example.org", "alice@example.org/phone", "alice@example.net", "@"] {
            assert_eq!(parse_push(&push(Some(forged)), &own), Ok(None), "{forged}");
        }
    }
}
