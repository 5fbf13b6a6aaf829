//! What a broker lets through: only messages that it cannot read itself.
//!
//! [`inspect`] looks at one `<message/>` and says whether it passes as it is, passes without the parts that stand in
//! the clear beside an encrypted element, or goes back to its sender. It reads the frame in place and builds no tree,
//! because every message of every stream comes by here.
//!
//! Knows: which elements count as encryption (both namespaces of OMEMO, and OpenPGP for XMPP) and the form that each
//! must have ([`structure`]); which elements are readable content. Lacks: keys. Nothing here can tell a ciphertext from
//! random bytes, and a sender who insists can put words where ciphertext belongs; the rule protects people from their
//! apps' settings, not a broker from its users.

pub mod structure;
pub mod testimony;

#[cfg(test)]
mod tests;

use xmpp::ns;
use xmpp::stanza::{Condition, StanzaError};
use xmpp::xml::{ElementRef, Frame};

use crate::{Claim, Status};

/// Our own design: no XEP describes such a policy.
pub const CLAIM: Claim = Claim { xep: 0, version: "security-design §4", status: Status::Complete, features: &[] };

/// Namespace of OMEMO as most deployed clients speak it (XEP-0384 v0.3.0).
pub const NS_OMEMO_LEGACY: &str = "eu.siacs.conversations.axolotl";
/// Namespace of OMEMO since XEP-0384 v0.8.
pub const NS_OMEMO_2: &str = "urn:xmpp:omemo:2";
/// Namespace of OpenPGP for XMPP (XEP-0373).
pub const NS_OPENPGP: &str = "urn:xmpp:openpgp:0";

/// The words that a person sees whose message came back.
pub const REFUSAL: &str = "This server carries only encrypted messages. Switch on OMEMO in your app.";

/// What the server writes besides, once in a session: many apps show of an error only that delivery failed.
pub const ADVICE: &str = "Your message was not delivered: this server carries only encrypted messages. Switch on encryption \
    (OMEMO) for the conversation and send it again. Most apps have a lock for it beside the text field or above the \
    conversation.";

/// How strict a broker is about messages that it could read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum E2eePolicy {
    /// Readable messages go back to their sender; readable parts beside an encrypted element are removed.
    #[default]
    Required,
    /// Readable messages pass; readable parts beside an encrypted element are removed.
    Preferred,
    /// Nothing is inspected.
    Off,
}

impl E2eePolicy {
    /// Reads the word of the configuration: `required`, `preferred` or `off`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "required" => Some(Self::Required),
            "preferred" => Some(Self::Preferred),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// Tells which children of a message must go.
pub type DropChild = fn(ElementRef<'_>) -> bool;

/// What becomes of a stanza.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It passes as it is.
    Pass,
    /// It passes without the children for which the predicate says yes
    /// ([`Splice::drop_children`](xmpp::xml::Splice::drop_children)).
    Strip(DropChild),
    /// It goes back to its sender with this error.
    Reject(StanzaError),
}

/// Judges one stanza, from a client or from another server alike.
///
/// Only `<message/>` is judged. Exempt are errors, subjects of rooms and invitations, as long as they carry no body. A
/// headline is treated like any other type: clients show its body just the same.
///
/// Source: security-design §4, "E2EE policy".
#[must_use]
pub fn inspect(stanza: &Frame, policy: E2eePolicy) -> Verdict {
    if policy == E2eePolicy::Off || stanza.name() != "message" || !is_stanza_ns(stanza.ns()) {
        return Verdict::Pass;
    }
    let message_type = stanza.attr("type");
    if message_type.as_deref() == Some("error") {
        return Verdict::Pass;
    }
    let seen = Seen::in_message(stanza.root(), message_type.as_deref() == Some("groupchat"));
    match (policy, seen) {
        (E2eePolicy::Required, Seen { malformed: true, .. }) => Verdict::Reject(refusal()),
        (E2eePolicy::Required, Seen { encrypted: false, content: true, .. }) => Verdict::Reject(refusal()),
        (_, Seen { encrypted: true, clear: true, .. }) => Verdict::Strip(is_clear_part),
        _ => Verdict::Pass,
    }
}

/// What stands in a message.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// An encrypted element of the right form.
    encrypted: bool,
    /// An element that calls itself encrypted and has another form.
    malformed: bool,
    /// Something that must not stand beside an encrypted element.
    clear: bool,
    /// Something readable that, without an encrypted element, makes the message a readable one.
    content: bool,
}

impl Seen {
    fn in_message(message: ElementRef<'_>, in_room: bool) -> Self {
        let mut seen = Self::default();
        for child in message.children() {
            match structure::check(child) {
                Some(Ok(())) => seen.encrypted = true,
                Some(Err(_)) => seen.malformed = true,
                None => {
                    seen.clear |= is_clear_part(child);
                    seen.content |= is_content(child, in_room);
                }
            }
        }
        seen
    }
}

fn refusal() -> StanzaError {
    StanzaError::new(Condition::PolicyViolation).with_text(REFUSAL)
}

/// Tells whether an element takes its namespace from the kind of stream.
///
/// All kinds count everywhere: `<body xmlns='jabber:server'/>` on a client stream would turn into a real body when the
/// stanza moves to a server stream.
fn is_stanza_ns(namespace: &str) -> bool {
    namespace == ns::CLIENT || namespace == ns::SERVER || namespace == "jabber:component:accept"
}

/// Elements that carry what people say, or that lean on it, by namespace: a name, or `*` for all of the namespace.
const CLEAR_PARTS: &[(&str, &str)] = &[
    ("http://jabber.org/protocol/xhtml-im", "html"),
    ("http://www.w3.org/1999/xhtml", "*"),
    ("jabber:x:oob", "x"),
    ("urn:xmpp:reactions:0", "reactions"),
    ("urn:xmpp:reply:0", "reply"),
    ("urn:xmpp:message-correct:0", "replace"),
    ("urn:xmpp:message-attaching:1", "attach-to"),
    ("urn:xmpp:fallback:0", "fallback"),
    ("urn:xmpp:forward:0", "forwarded"),
    ("urn:xmpp:reference:0", "reference"),
    ("urn:xmpp:sims:1", "media-sharing"),
    ("urn:xmpp:sfs:0", "*"),
    ("urn:xmpp:spoiler:0", "spoiler"),
    ("urn:xmpp:markup:0", "markup"),
    ("urn:xmpp:json:0", "json"),
    ("urn:xmpp:rtt:0", "rtt"),
];

/// Those of them that show content by themselves; the others only point at a message.
const CONTENT: &[&str] = &[
    "http://jabber.org/protocol/xhtml-im",
    "http://www.w3.org/1999/xhtml",
    "jabber:x:oob",
    "urn:xmpp:reactions:0",
    "urn:xmpp:forward:0",
    "urn:xmpp:sims:1",
    "urn:xmpp:sfs:0",
    "urn:xmpp:json:0",
    "urn:xmpp:rtt:0",
];

/// Tells whether a child of a message must not stand beside an encrypted element.
#[must_use]
pub fn is_clear_part(child: ElementRef<'_>) -> bool {
    if is_stanza_ns(child.ns()) {
        return matches!(child.name(), "body" | "subject");
    }
    CLEAR_PARTS.iter().any(|(ns, name)| *ns == child.ns() && (*name == "*" || *name == child.name()))
}

/// Tells whether a child of a message without encryption makes it a readable one.
fn is_content(child: ElementRef<'_>, in_room: bool) -> bool {
    if !is_stanza_ns(child.ns()) {
        return is_clear_part(child) && CONTENT.contains(&child.ns());
    }
    match child.name() {
        // Some apps send an empty body as a sign to servers; there is nothing in it to protect.
        "body" => child.children().next().is_some() || !child.text().is_empty(),
        "subject" => !in_room && (child.children().next().is_some() || !child.text().is_empty()),
        _ => false,
    }
}
