//! What all stanzas share: kinds, types, replies and errors (RFC 6120 §8).

use std::borrow::Cow;
use std::fmt;

use crate::ns;
use crate::xml::Element;

/// Which of the three stanzas an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `<message/>`: pushed, kept for those who are away.
    Message,
    /// `<presence/>`: broadcast to those who subscribed.
    Presence,
    /// `<iq/>`: a question and its answer.
    Iq,
}

impl Kind {
    /// Recognises a stanza by name and by the content namespace of either kind of stream.
    #[must_use]
    pub fn of(name: &str, namespace: &str) -> Option<Self> {
        if namespace != ns::CLIENT && namespace != ns::SERVER {
            return None;
        }
        match name {
            "message" => Some(Self::Message),
            "presence" => Some(Self::Presence),
            "iq" => Some(Self::Iq),
            _ => None,
        }
    }
}

/// Error types: what the sender should do next (RFC 6120 §8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// Retry after providing credentials.
    Auth,
    /// Do not retry.
    Cancel,
    /// Proceed; it was only a warning.
    Continue,
    /// Retry after changing what was sent.
    Modify,
    /// Retry after waiting.
    Wait,
}

impl ErrorType {
    /// Returns the value of the `type` attribute.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Cancel => "cancel",
            Self::Continue => "continue",
            Self::Modify => "modify",
            Self::Wait => "wait",
        }
    }

    /// Reads the value of the `type` attribute.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Auth, Self::Cancel, Self::Continue, Self::Modify, Self::Wait].into_iter().find(|t| t.as_str() == text)
    }
}

macro_rules! conditions {
    ($($variant:ident $name:literal $kind:ident $code:literal $doc:literal;)*) => {
        /// Defined conditions of stanza errors (RFC 6120 §8.3.3).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Condition { $(#[doc = $doc] $variant,)* }

        impl Condition {
            /// Returns the element name of the condition.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $name,)* } }

            /// Returns the type that the RFC recommends for the condition.
            #[must_use]
            pub const fn default_type(self) -> ErrorType { match self { $(Self::$variant => ErrorType::$kind,)* } }

            /// Returns the numeric code of the old protocol (XEP-0086 §3): one deployed client acts on nothing else.
            #[must_use]
            pub const fn legacy_code(self) -> u16 { match self { $(Self::$variant => $code,)* } }

            /// Reads an element name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> { match name { $($name => Some(Self::$variant),)* _ => None } }
        }
    };
}

conditions! {
    BadRequest "bad-request" Modify 400 "The stanza is not of the form that its kind requires.";
    Conflict "conflict" Cancel 409 "Something with that name exists already.";
    FeatureNotImplemented "feature-not-implemented" Cancel 501 "The entity does not know this feature.";
    Forbidden "forbidden" Auth 403 "The sender lacks the permission.";
    Gone "gone" Cancel 302 "The entity is gone for good.";
    InternalServerError "internal-server-error" Cancel 500 "The server failed by its own fault.";
    ItemNotFound "item-not-found" Cancel 404 "The addressed thing does not exist.";
    JidMalformed "jid-malformed" Modify 400 "An address is not an address.";
    NotAcceptable "not-acceptable" Modify 406 "The stanza does not meet the receiver's criteria.";
    NotAllowed "not-allowed" Cancel 405 "Nobody may do this here.";
    NotAuthorized "not-authorized" Auth 401 "The sender must sign in first.";
    PolicyViolation "policy-violation" Modify 406 "The stanza breaks a rule of the service.";
    RecipientUnavailable "recipient-unavailable" Wait 404 "The receiver is away for now.";
    Redirect "redirect" Modify 302 "The receiver is elsewhere for now.";
    RegistrationRequired "registration-required" Auth 407 "The sender must register first.";
    RemoteServerNotFound "remote-server-not-found" Cancel 404 "The receiver's server does not exist or cannot be trusted.";
    RemoteServerTimeout "remote-server-timeout" Wait 504 "The receiver's server did not answer in time.";
    ResourceConstraint "resource-constraint" Wait 500 "A quota or a resource is used up.";
    ServiceUnavailable "service-unavailable" Cancel 503 "The addressed entity does not offer this service.";
    SubscriptionRequired "subscription-required" Auth 407 "The sender must subscribe first.";
    UndefinedCondition "undefined-condition" Cancel 500 "Another condition, told by an application-specific element.";
    UnexpectedRequest "unexpected-request" Wait 400 "The request came at the wrong time.";
}

/// The `<error/>` of a stanza (RFC 6120 §8.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StanzaError {
    /// What the sender should do next.
    pub error_type: ErrorType,
    /// The defined condition.
    pub condition: Condition,
    /// Words for a human, in English.
    pub text: Option<Cow<'static, str>>,
    /// Application-specific conditions (RFC 6120 §8.3.4).
    pub extra: Vec<Element>,
}

impl StanzaError {
    /// Makes an error with the type that the RFC recommends.
    #[must_use]
    pub fn new(condition: Condition) -> Self {
        Self { error_type: condition.default_type(), condition, text: None, extra: Vec::new() }
    }

    /// Sets another type.
    #[must_use]
    pub fn with_type(mut self, error_type: ErrorType) -> Self {
        self.error_type = error_type;
        self
    }

    /// Sets the words for a human.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// Adds an application-specific condition.
    #[must_use]
    pub fn with_extra(mut self, extra: Element) -> Self {
        self.extra.push(extra);
        self
    }

    /// Writes the `<error/>` for a stream with the given content namespace.
    #[must_use]
    pub fn to_element(&self, stream_ns: &str) -> Element {
        let mut error = Element::new("error", stream_ns.to_owned())
            .with_attr("type", self.error_type.as_str())
            .with_attr("code", self.condition.legacy_code().to_string())
            .with_child(Element::new(self.condition.as_str(), ns::STANZA_ERRORS));
        if let Some(text) = &self.text {
            error.push(Element::new("text", ns::STANZA_ERRORS).with_attr("xml:lang", "en").with_text(text));
        }
        error.with_children(self.extra.iter().cloned())
    }

    /// Reads the `<error/>` of an error stanza; what cannot be read becomes `undefined-condition`.
    #[must_use]
    pub fn of_stanza(stanza: &Element) -> Option<Self> {
        let error = stanza.children().find(|c| c.name() == "error" && c.ns() == stanza.ns())?;
        let condition = error
            .children()
            .filter(|c| c.ns() == ns::STANZA_ERRORS)
            .find_map(|c| Condition::parse(c.name()))
            .unwrap_or(Condition::UndefinedCondition);
        let error_type = error.attr("type").and_then(ErrorType::parse).unwrap_or(condition.default_type());
        let text = error.child_text("text", ns::STANZA_ERRORS).map(Cow::Owned);
        let extra = error.children().filter(|c| c.ns() != ns::STANZA_ERRORS).cloned().collect();
        Some(Self { error_type, condition, text, extra })
    }
}

impl fmt::Display for StanzaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.as_str())
    }
}

impl std::error::Error for StanzaError {}

/// Makes an IQ request.
#[must_use]
pub fn iq(iq_type: &str, id: &str, to: Option<&str>, child: Element) -> Element {
    Element::new("iq", ns::CLIENT)
        .with_attr("type", iq_type)
        .with_attr("id", id)
        .with_attr_opt("to", to)
        .with_child(child)
}

/// Makes the empty stanza that answers `stanza`: same kind and id, addresses exchanged.
fn reply(stanza: &Element, reply_type: &str) -> Element {
    Element::new(stanza.name().to_owned(), stanza.ns().to_owned())
        .with_attr("type", reply_type)
        .with_attr_opt("id", stanza.attr("id"))
        .with_attr_opt("from", stanza.attr("to"))
        .with_attr_opt("to", stanza.attr("from"))
}

/// Makes the successful answer to an IQ request (RFC 6120 §8.2.3).
#[must_use]
pub fn reply_result(request: &Element, child: Option<Element>) -> Element {
    reply(request, "result").with_children(child)
}

/// Makes the error that answers a stanza (RFC 6120 §8.3.1).
///
/// What was sent is not repeated inside: it may be large, and the sender knows it.
#[must_use]
pub fn reply_error(stanza: &Element, error: &StanzaError) -> Element {
    let answer = reply(stanza, "error");
    let error = error.to_element(stanza.ns());
    answer.with_child(error)
}

/// Tells whether a stanza may be answered with an error: not an error or a result itself (RFC 6120 §8.3.1).
#[must_use]
pub fn may_bounce(stanza: &Element) -> bool {
    !matches!((stanza.name(), stanza.attr("type")), (_, Some("error")) | ("iq", Some("result")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_carry_the_old_code_and_come_back_the_same() {
        let request =
            iq("get", "1", Some("example.org"), Element::new("query", "x")).with_attr("from", "a@example.org/r");
        let error =
            StanzaError::new(Condition::ItemNotFound).with_text("no such node").with_extra(Element::new("n", "urn:n"));
        let answer = reply_error(&request, &error);
        assert_eq!(answer.attr("to"), Some("a@example.org/r"));
        assert_eq!(answer.child("error", ns::CLIENT).and_then(|e| e.attr("code")), Some("404"));
        assert_eq!(StanzaError::of_stanza(&answer), Some(error));
        assert!(!may_bounce(&answer));
    }

    #[test]
    fn every_condition_has_one_name() {
        for c in [Condition::BadRequest, Condition::UnexpectedRequest, Condition::PolicyViolation] {
            assert_eq!(Condition::parse(c.as_str()), Some(c));
        }
        assert_eq!(Condition::parse("no-such"), None);
    }
}
