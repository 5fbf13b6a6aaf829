//! In-band registration: making, changing and closing an account (XEP-0077).
//!
//! Knows the plain fields `username` and `password`, and the same as a data form. Lacks: every other field of the XEP;
//! an account needs no name, mail address or postcode.

use xmpp::stanza::{Condition, StanzaError};
use xmpp::xml::Element;

use crate::forms::{Field, Form, FormType};
use crate::{Claim, Malformed, Status};

/// Namespace of registration.
pub const NS: &str = "jabber:iq:register";
/// Namespace of the stream feature.
pub const NS_FEATURE: &str = "http://jabber.org/features/iq-register";

/// Namespace of our own: why a password is not taken, in a way that a program can tell from a refused name.
pub const NS_WEAK: &str = "urn:waxwing:register:0";

/// Registration, change of password, cancellation.
pub const CLAIM: Claim = Claim { xep: 77, version: "2.4", status: Status::Complete, features: &[NS] };

/// Refuses a password that is easy to guess, in words, and with one to take instead:
/// `<weak-password xmlns='urn:waxwing:register:0'><proposal>…</proposal></weak-password>` beside `<not-acceptable/>`.
#[must_use]
pub fn weak_password(words: &str, proposal: &str) -> StanzaError {
    let proposal = Element::new("proposal", NS_WEAK).with_text(proposal);
    let weak = Element::new("weak-password", NS_WEAK).with_child(proposal);
    StanzaError::new(Condition::NotAcceptable).with_text(words.to_owned()).with_extra(weak)
}

/// Tells whether an error is about a password that is easy to guess. Returns the one that is proposed; it may be empty.
#[must_use]
pub fn is_weak_password(error: &StanzaError) -> Option<String> {
    let weak = error.extra.iter().find(|extra| extra.is("weak-password", NS_WEAK))?;
    Some(weak.child_text("proposal", NS_WEAK).unwrap_or_default())
}

/// What somebody asks for in an IQ of type `set`.
#[derive(Clone, PartialEq, Eq)]
pub enum Request {
    /// Make an account, or change its password.
    Register {
        /// The localpart.
        username: String,
        /// The password.
        password: String,
    },
    /// Close the account.
    Cancel,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Register { .. } => "Register(<redacted>)",
            Self::Cancel => "Cancel",
        })
    }
}

impl Request {
    /// Reads a `<query/>`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when a field is missing or empty: `not-acceptable` for somebody who registers (XEP-0077 §3.1.1),
    /// `bad-request` for a change of password (§3.3).
    pub fn parse(query: &Element) -> Result<Self, Malformed> {
        if !query.is("query", NS) {
            return Err(Malformed("not a registration"));
        }
        if query.child("remove", NS).is_some() {
            return if query.children().count() == 1 {
                Ok(Self::Cancel)
            } else {
                Err(Malformed("closing an account stands alone"))
            };
        }
        let form = Form::inside(query)?.filter(|f| f.form_type == FormType::Submit);
        let field = |name| match &form {
            Some(form) => form.value(name).map(str::to_owned),
            None => query.child_text(name, NS),
        };
        let filled = |name, fault| field(name).filter(|v| !v.is_empty()).ok_or(Malformed(fault));
        Ok(Self::Register {
            username: filled("username", "the username is missing")?,
            password: filled("password", "the password is missing")?,
        })
    }

    /// Writes the `<query/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let text = |name: &'static str, text: &str| Element::new(name, NS).with_text(text);
        match self {
            Self::Register { username, password } => {
                Element::new("query", NS).with_child(text("username", username)).with_child(text("password", password))
            }
            Self::Cancel => Element::new("query", NS).with_child(Element::new("remove", NS)),
        }
    }
}

/// Makes the question for the fields to fill in.
#[must_use]
pub fn query() -> Element {
    Element::new("query", NS)
}

/// Makes the answer with the fields to fill in, plain and as a form (XEP-0077 §4).
#[must_use]
pub fn fields(instructions: &str) -> Element {
    let mut form = Form::of_type(FormType::Form, NS)
        .with_field(Field::ask("username", "text-single", "Username").required())
        .with_field(Field::ask("password", "text-private", "Password").required());
    form.instructions.push(instructions.to_owned());
    query()
        .with_child(Element::new("instructions", NS).with_text(instructions))
        .with_child(Element::new("username", NS))
        .with_child(Element::new("password", NS))
        .with_child(form.to_element())
}

/// Makes the answer to somebody who has an account (XEP-0077 §3.1).
#[must_use]
pub fn registered(username: &str) -> Element {
    query().with_child(Element::new("registered", NS)).with_child(Element::new("username", NS).with_text(username))
}

/// Makes the stream feature.
#[must_use]
pub fn stream_feature() -> Element {
    Element::new("register", NS_FEATURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_back_the_same() {
        let register = Request::Register { username: "bill".into(), password: "Calliope".into() };
        for request in [register.clone(), Request::Cancel] {
            assert_eq!(Request::parse(&request.to_element()), Ok(request));
        }
        assert!(!format!("{register:?}").contains("Calliope"));
    }

    #[test]
    fn a_form_counts_like_the_plain_fields() {
        let form = Form::of_type(FormType::Submit, NS).with("username", "bill").with("password", "Calliope");
        let register = Request::Register { username: "bill".into(), password: "Calliope".into() };
        assert_eq!(Request::parse(&query().with_child(form.to_element())), Ok(register));
    }

    #[test]
    fn half_a_request_is_none() {
        let text = |name: &'static str, text: &str| Element::new(name, NS).with_text(text);
        for bad in [
            query(),
            query().with_child(text("username", "bill")),
            query().with_child(text("username", "bill")).with_child(text("password", "")),
            query().with_child(Element::new("remove", NS)).with_child(text("username", "bill")),
            Element::new("query", "jabber:iq:roster"),
        ] {
            assert!(Request::parse(&bad).is_err());
        }
    }

    #[test]
    fn the_fields_can_be_filled_in_either_way() {
        let asked = fields("Choose a name and a password.");
        assert!(asked.child("username", NS).is_some());
        let form = Form::inside(&asked).expect("a form").expect("a form");
        assert!(form.field("password").is_some_and(|f| f.required));
    }
}
