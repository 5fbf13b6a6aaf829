//! Why a service refuses, and how that looks on the wire.

use std::fmt;

use xmpp::stanza::{Condition, ErrorType, StanzaError};
use xmpp::xml::Element;

use super::NS_ERRORS;
use crate::Malformed;

/// Why a request to a node was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PubSubError {
    /// The request is not of the form that it must have.
    BadRequest(&'static str),
    /// There is no such node or item.
    NotFound,
    /// Only the owner may do that.
    Forbidden,
    /// The node exists already.
    NodeExists,
    /// The request needs the name of a node.
    NodeIdRequired,
    /// The request needs an item.
    ItemRequired,
    /// The item needs a payload.
    PayloadRequired,
    /// A publication may hold one payload.
    InvalidPayload,
    /// The item is too large.
    PayloadTooBig,
    /// The account has published as much as it may.
    QuotaExceeded,
    /// The account has as many nodes as it may have.
    TooManyNodes,
    /// The node is as full as its settings allow.
    TooManySubscriptions,
    /// The node is not as the publisher demands.
    PreconditionNotMet,
    /// The node is for those who see the owner's presence.
    PresenceRequired,
    /// The node is for contacts in groups.
    NotInRosterGroup,
    /// The node is for a list of addresses.
    Closed,
    /// One may subscribe oneself only.
    InvalidJid,
    /// There is no such subscription.
    NotSubscribed,
    /// A setting has a value that we do not offer.
    NotAcceptable,
    /// The service does not offer that (feature of XEP-0060 §10).
    Unsupported(&'static str),
}

impl fmt::Display for PubSubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRequest(why) => f.write_str(why),
            other => fmt::Debug::fmt(other, f),
        }
    }
}

impl std::error::Error for PubSubError {}

impl From<Malformed> for PubSubError {
    fn from(fault: Malformed) -> Self {
        Self::BadRequest(fault.0)
    }
}

impl From<&PubSubError> for StanzaError {
    fn from(error: &PubSubError) -> Self {
        use Condition as C;
        let specific = |condition: Condition, name: &'static str| {
            StanzaError::new(condition).with_extra(Element::new(name, NS_ERRORS))
        };
        match *error {
            PubSubError::BadRequest(why) => StanzaError::new(C::BadRequest).with_text(why),
            PubSubError::NotFound => StanzaError::new(C::ItemNotFound),
            PubSubError::Forbidden => StanzaError::new(C::Forbidden),
            PubSubError::NodeExists => StanzaError::new(C::Conflict),
            PubSubError::NodeIdRequired => specific(C::BadRequest, "nodeid-required"),
            PubSubError::ItemRequired => specific(C::BadRequest, "item-required"),
            PubSubError::PayloadRequired => specific(C::BadRequest, "payload-required"),
            PubSubError::InvalidPayload => specific(C::BadRequest, "invalid-payload"),
            PubSubError::PayloadTooBig => specific(C::NotAcceptable, "payload-too-big"),
            PubSubError::QuotaExceeded => StanzaError::new(C::ResourceConstraint).with_type(ErrorType::Cancel),
            PubSubError::TooManyNodes => specific(C::Conflict, "max-nodes-exceeded"),
            PubSubError::TooManySubscriptions => {
                specific(C::PolicyViolation, "too-many-subscriptions").with_type(ErrorType::Wait)
            }
            PubSubError::PreconditionNotMet => specific(C::Conflict, "precondition-not-met"),
            PubSubError::PresenceRequired => specific(C::NotAuthorized, "presence-subscription-required"),
            PubSubError::NotInRosterGroup => specific(C::NotAuthorized, "not-in-roster-group"),
            PubSubError::Closed => specific(C::NotAllowed, "closed-node"),
            PubSubError::InvalidJid => specific(C::BadRequest, "invalid-jid"),
            PubSubError::NotSubscribed => specific(C::UnexpectedRequest, "not-subscribed").with_type(ErrorType::Cancel),
            PubSubError::NotAcceptable => StanzaError::new(C::NotAcceptable),
            PubSubError::Unsupported(feature) => StanzaError::new(C::FeatureNotImplemented)
                .with_extra(Element::new("unsupported", NS_ERRORS).with_attr("feature", feature)),
        }
    }
}
