//! Registration over the stream: before the login with a token (XEP-0445), and after it (XEP-0077).

use xep::ibr::{self, Request};
use xep::invites::token;
use xmpp::stanza::{Condition, StanzaError, reply_error, reply_result};
use xmpp::xml::Element;

use super::{AccountError, change_password, create, delete};
use crate::iq::{IqKind, IqOutcome, IqRequest, IqTarget};
use crate::{Core, invites};

/// Words above the form.
const INSTRUCTIONS: &str = "Choose a name and a password.";
/// Attempts of one connection, tokens and names together.
const ATTEMPTS_MAX: u32 = 20;

/// What a connection has shown before it signs in.
#[derive(Default)]
pub struct PreAuth {
    /// The token that was good when it was shown; its end is not looked at again (XEP-0445 §4).
    token: Option<String>,
    attempts: u32,
}

impl std::fmt::Debug for PreAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PreAuth(<redacted>)")
    }
}

impl PreAuth {
    /// Answers an IQ that came before the login.
    pub async fn handle(&mut self, core: &Core, iq: &Element) -> Element {
        self.attempts += 1;
        let outcome = if self.attempts > ATTEMPTS_MAX {
            Err(StanzaError::new(Condition::PolicyViolation).with_text("Too many attempts."))
        } else {
            self.decide(core, iq).await
        };
        match outcome {
            Ok(child) => reply_result(iq, child),
            Err(error) => reply_error(iq, &error),
        }
    }

    async fn decide(&mut self, core: &Core, iq: &Element) -> Result<Option<Element>, StanzaError> {
        let payload = iq.children().next().ok_or(StanzaError::new(Condition::BadRequest))?;
        match (iq.attr("type"), payload.ns()) {
            (Some("set"), xep::invites::NS_PREAUTH) => self.take_token(core, payload).await,
            (Some("get"), ibr::NS) => {
                self.check_allowed(core)?;
                Ok(Some(ibr::fields(INSTRUCTIONS)))
            }
            (Some("set"), ibr::NS) => self.register(core, payload).await,
            _ => Err(StanzaError::new(Condition::ServiceUnavailable)),
        }
    }

    async fn take_token(&mut self, core: &Core, payload: &Element) -> Result<Option<Element>, StanzaError> {
        let unknown = || StanzaError::from(&AccountError::InvalidToken);
        let token = token(payload).ok_or_else(unknown)?;
        match invites::lookup(core, token).await.map_err(|e| StanzaError::from(&AccountError::from(e)))? {
            Some(invite) if invite.may_register => {
                self.token = Some(invite.token);
                Ok(None)
            }
            _ => Err(unknown()),
        }
    }

    fn check_allowed(&self, core: &Core) -> Result<(), StanzaError> {
        if self.token.is_some() || core.config.accounts.is_open {
            return Ok(());
        }
        Err(StanzaError::from(&AccountError::InvitationNeeded))
    }

    async fn register(&mut self, core: &Core, payload: &Element) -> Result<Option<Element>, StanzaError> {
        // before anything else: who has no invitation must not learn which names are taken
        self.check_allowed(core)?;
        match Request::parse(payload) {
            Ok(Request::Register { username, password }) => {
                create(core, &username, &password, self.token.as_deref()).await.map_err(|e| StanzaError::from(&e))?;
                self.token = None;
                Ok(None)
            }
            Ok(Request::Cancel) => Err(StanzaError::new(Condition::UnexpectedRequest)),
            Err(fault) => Err(StanzaError::new(Condition::NotAcceptable).with_text(fault.0)),
        }
    }
}

/// Answers somebody who is signed in: tells that he is registered, changes his password, closes his account.
pub async fn handle(core: &Core, request: &IqRequest<'_>) -> IqOutcome {
    let is_ours = request.target == IqTarget::Server || request.is_own_account();
    if !request.is("query", ibr::NS) || !is_ours || !request.is_local {
        return IqOutcome::NotMine;
    }
    let account = request.from.bare();
    let own_name = account.localpart().unwrap_or_default();
    if request.kind == IqKind::Get {
        return IqOutcome::Result(Some(ibr::registered(own_name)));
    }
    let done = match Request::parse(request.payload) {
        Err(fault) => return IqOutcome::Error(fault.into()),
        Ok(Request::Register { username, password }) => {
            if core.local_jid(&username).as_ref() != Some(&account) {
                return Condition::NotAllowed.into();
            }
            let now = core.env.moment();
            if core.password_changes.wait_until(account.as_str(), now).is_some() {
                let error = StanzaError::new(Condition::ResourceConstraint);
                return IqOutcome::Error(error.with_text("Too many changes. Try again in some minutes."));
            }
            core.password_changes.charge(account.as_str(), now);
            let changed = change_password(core, &account, &password).await;
            if changed.is_ok() {
                // whoever has the old one is out: that may be why it was changed
                core.end_other_sessions(account.as_str(), request.from);
            }
            changed
        }
        Ok(Request::Cancel) => {
            // the answer goes first, because nothing reaches a session of an account that is gone
            let answer = Element::new("iq", xmpp::ns::CLIENT)
                .with_attr("type", "result")
                .with_attr("id", request.id)
                .with_attr("to", request.from.as_str());
            crate::route::answer(core, request.from, &answer);
            delete(core, &account).await
        }
    };
    match done {
        Ok(()) => IqOutcome::Result(None),
        Err(error) => IqOutcome::Error((&error).into()),
    }
}
