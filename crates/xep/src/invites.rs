//! Invitations: the commands that make them (XEP-0401), the token that registers (XEP-0445) and the token that lets
//! somebody into the contact list (XEP-0379).
//!
//! Links themselves are `uri`'s; what a token is worth is known to the broker that made it.

use xmpp::jid::BareJid;
use xmpp::time::Timestamp;
use xmpp::xml::Element;

use crate::forms::{Field, Form, FormType};
use crate::{Claim, Malformed, Status};

/// The command by which a user invites a contact.
pub const COMMAND_INVITE: &str = "urn:xmpp:invite#invite";
/// The command by which an operator invites somebody to an account.
pub const COMMAND_CREATE_ACCOUNT: &str = "urn:xmpp:invite#create-account";
/// `FORM_TYPE` of a finished invitation.
pub const FORM_INVITATION: &str = "urn:xmpp:invite#invitation";
/// Namespace of the stream feature that tells that tokens are taken (XEP-0445 §3).
pub const NS_FEATURE: &str = "urn:xmpp:ibr-token:0";
/// Namespace of the element that carries a token (XEP-0379 §3.4).
pub const NS_PREAUTH: &str = "urn:xmpp:pars:0";

/// Namespace of the element, ours, by which a broker tells who invited that somebody has come.
pub const NS_JOINED: &str = "urn:waxwing:invite:0";

/// Both commands.
pub const CLAIM: Claim = Claim { xep: 401, version: "0.6.0", status: Status::Complete, features: &[] };
/// Registration with a token.
pub const CLAIM_TOKEN: Claim = Claim { xep: 445, version: "0.2.0", status: Status::Complete, features: &[NS_FEATURE] };
/// Subscription with a token.
pub const CLAIM_PREAUTH: Claim =
    Claim { xep: 379, version: "0.3.3", status: Status::Complete, features: &[NS_PREAUTH] };

/// Longest token that we read, in bytes.
const MAX_TOKEN_LEN: usize = 256;

/// Makes the stream feature.
#[must_use]
pub fn stream_feature() -> Element {
    Element::new("register", NS_FEATURE)
}

/// Makes the element that carries a token, into a subscription request or an IQ before registration.
#[must_use]
pub fn preauth(token: &str) -> Element {
    Element::new("preauth", NS_PREAUTH).with_attr("token", token)
}

/// Returns the token that a subscription request or an IQ carries.
///
/// A malformed one counts as none: the request is then one like any other (XEP-0379 §4.1).
#[must_use]
pub fn token_inside(stanza: &Element) -> Option<&str> {
    token(stanza.child("preauth", NS_PREAUTH)?)
}

/// Returns the token of a `<preauth/>`.
#[must_use]
pub fn token(preauth: &Element) -> Option<&str> {
    let token = preauth.attr("token").filter(|_| preauth.is("preauth", NS_PREAUTH))?;
    (!token.is_empty() && token.len() <= MAX_TOKEN_LEN).then_some(token)
}

/// Makes `<joined jid='…' token='…'/>`: an account was made with an invitation of the receiver, which is used up.
#[must_use]
pub fn joined(account: &BareJid, token: &str) -> Element {
    Element::new("joined", NS_JOINED).with_attr("jid", account.as_str()).with_attr("token", token)
}

/// Returns who has joined, and with which token, of a message that must come from one's own server.
#[must_use]
pub fn joined_inside(message: &Element) -> Option<(BareJid, &str)> {
    let joined = message.child("joined", NS_JOINED)?;
    let token = joined.attr("token").filter(|token| !token.is_empty() && token.len() <= MAX_TOKEN_LEN)?;
    Some((BareJid::parse(joined.attr("jid")?).ok()?, token))
}

/// A finished invitation as the command returns it (XEP-0401 §5.1).
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The `xmpp:` link.
    pub uri: String,
    /// The page that shows the same in a browser.
    pub landing_url: Option<String>,
    /// When it ends.
    pub expire: Option<Timestamp>,
}

impl std::fmt::Debug for Invitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Invitation(<redacted>)")
    }
}

impl Invitation {
    /// Writes the form.
    #[must_use]
    pub fn to_form(&self) -> Form {
        let text = |var: &str, value: &str| Field::new(var, value).with_type("text-single");
        let mut form = Form::of_type(FormType::Result, FORM_INVITATION).with_field(text("uri", &self.uri));
        if let Some(url) = &self.landing_url {
            form = form.with_field(text("landing-url", url));
        }
        if let Some(expire) = self.expire {
            form = form.with_field(text("expire", &expire.to_xep0082()));
        }
        form
    }

    /// Reads the form.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when there is no link, or a time that is none.
    pub fn parse(form: &Form) -> Result<Self, Malformed> {
        let expire = form.value("expire").map(Timestamp::parse_xep0082).transpose();
        Ok(Self {
            uri: form.value("uri").ok_or(Malformed("an invitation without link"))?.to_owned(),
            landing_url: form.value("landing-url").map(str::to_owned),
            expire: expire.map_err(|_| Malformed("the end of an invitation is no time"))?,
        })
    }
}

/// Makes the form that asks for whom an account is (XEP-0401 §5.4).
#[must_use]
pub fn create_account_form() -> Form {
    Form::new(FormType::Form)
        .with_field(Field::ask("username", "text-single", "Username"))
        .with_field(Field::ask("roster-subscription", "boolean", "Add each other as contacts").with_value("0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invitations_come_back_the_same() {
        let full = Invitation {
            uri: "xmpp:inviter@example.com?roster;preauth=TOKEN;ibr=y".into(),
            landing_url: Some("https://example.com/invite/TOKEN".into()),
            expire: Some(Timestamp::from_secs(1_509_936_975)),
        };
        let bare = Invitation { landing_url: None, expire: None, ..full.clone() };
        for invitation in [full, bare] {
            assert_eq!(Invitation::parse(&invitation.to_form()), Ok(invitation.clone()));
            assert!(!format!("{invitation:?}").contains("TOKEN"));
        }
        assert!(Invitation::parse(&Form::new(FormType::Result)).is_err());
        assert!(Invitation::parse(&Form::new(FormType::Result).with("uri", "xmpp:a").with("expire", "soon")).is_err());
    }

    #[test]
    fn a_broken_token_is_none() {
        let presence = |child| Element::new("presence", "jabber:client").with_child(child);
        assert_eq!(token_inside(&presence(preauth("1tMFqYDdKhfe2pwp"))), Some("1tMFqYDdKhfe2pwp"));
        for broken in [preauth(""), preauth(&"x".repeat(300)), Element::new("preauth", NS_PREAUTH)] {
            assert_eq!(token_inside(&presence(broken)), None);
        }
        assert_eq!(token(&Element::new("preauth", "urn:other").with_attr("token", "x")), None);
    }
}
