//! The login at the broker's end: SASL around the exchange of [`crate::sasl::server`] (RFC 6120 §6).

use base64::{Engine, engine::general_purpose::STANDARD};

use super::event::ResponderEvent;
use super::responder::{Responder, Stage, State};
use crate::ns;
use crate::sasl::server::{Lookup, ServerExchange};
use crate::sasl::{ExchangeError, Mechanism, SaslCondition, ScramVerifier};
use crate::stream::{Misbehaviour, StreamError};
use crate::xml::Frame;

impl Responder {
    /// Answers [`ResponderEvent::Authenticate`]: with what is stored for the account and the mechanism's hash, or with
    /// `None` when there is no such account.
    ///
    /// `fake_salt` must always be the same for the same name, and look like a real one (16 bytes): it keeps an
    /// onlooker from finding out which accounts exist (attack X11).
    pub fn provide_credentials(&mut self, verifier: Option<ScramVerifier>, fake_salt: [u8; 16]) {
        let state = std::mem::replace(&mut self.state, State::Negotiate(Stage::Secure));
        let State::AwaitCredentials(exchange) = state else {
            self.state = state;
            return;
        };
        let lookup = match verifier {
            Some(verifier) => Lookup::Known(verifier),
            None => Lookup::Unknown { salt: fake_salt.to_vec(), iterations: self.config.iterations },
        };
        let nonce = self.wire.entropy.token();
        let (next, challenge) = exchange.challenge(lookup, &nonce, &self.offer(), self.tls_version());
        self.wire.write(&format!("<challenge xmlns='{}'>{}</challenge>", ns::SASL, STANDARD.encode(challenge)));
        self.state = State::AwaitProof(Box::new(next));
    }

    /// Answers [`ResponderEvent::Authenticate`] with a refusal that has nothing to do with the password: the account
    /// is switched off, or the store cannot be read now.
    pub fn refuse_credentials(&mut self, condition: SaslCondition) {
        if matches!(self.state, State::AwaitCredentials(_)) {
            self.refuse_login(condition, Stage::Secure);
        }
    }

    pub(super) fn handle_before_login(&mut self, frame: &Frame) -> Result<Option<ResponderEvent>, StreamError> {
        if frame.ns() == ns::SASL {
            return self.handle_sasl(frame);
        }
        if frame.ns() == ns::TLS {
            self.wire.write("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"); // RFC 6120 §5.4.2.2
            return Err(Misbehaviour::TlsTwice.into());
        }
        if matches!(self.state, State::Negotiate(_)) && self.is_registration(frame) {
            self.state = State::AwaitPreAuthReply;
            return Ok(Some(ResponderEvent::PreAuthIq(frame.to_element())));
        }
        Err(Misbehaviour::NotAuthenticated.into())
    }

    fn is_registration(&self, frame: &Frame) -> bool {
        let offered = self.config.registration;
        let asks = |name: &str, namespace: &str| frame.root().child(name, namespace).is_some();
        frame.is("iq", ns::CLIENT)
            && ((offered.in_band || offered.by_token) && asks("query", "jabber:iq:register")
                || offered.by_token && asks("preauth", "urn:xmpp:pars:0"))
    }

    fn handle_sasl(&mut self, frame: &Frame) -> Result<Option<ResponderEvent>, StreamError> {
        let state = std::mem::replace(&mut self.state, State::Negotiate(Stage::Secure));
        let outcome = match (frame.name(), state) {
            ("auth", State::Negotiate(_)) => return Ok(self.handle_auth(frame)),
            ("response", State::AwaitInitialResponse(mechanism)) => {
                decode(frame).and_then(|first| self.start_exchange(mechanism, &first))
            }
            ("response", State::AwaitProof(exchange)) => decode(frame).and_then(|proof| {
                let done = exchange.handle_client_final(&proof).map_err(|error| SaslCondition::from(&error))?;
                self.wire.write(&format!(
                    "<success xmlns='{}'>{}</success>",
                    ns::SASL,
                    STANDARD.encode(done.server_final)
                ));
                self.wire.set_limits(self.config.limits);
                self.wire.restart_after_login();
                self.state = State::AwaitHeader(Stage::Authenticated);
                self.forget_login();
                Ok(ResponderEvent::Authenticated { username: done.username, client_key: done.client_key })
            }),
            ("abort", State::AwaitInitialResponse(_) | State::AwaitProof(_)) => Err(SaslCondition::Aborted),
            _ => return Err(Misbehaviour::UnexpectedElement.into()),
        };
        Ok(Some(outcome.unwrap_or_else(|condition| self.refuse_login(condition, Stage::Secure))))
    }

    /// What only the login needed; a session lasts for days.
    fn forget_login(&mut self) {
        self.username = None;
        self.tls = None;
    }

    fn handle_auth(&mut self, frame: &Frame) -> Option<ResponderEvent> {
        let name = frame.attr("mechanism").unwrap_or_default();
        let offered = self.offer().mechanisms.iter().any(|mechanism| *mechanism == name);
        let Some(mechanism) = Mechanism::parse(&name).filter(|_| offered) else {
            return Some(self.refuse_login(SaslCondition::InvalidMechanism, Stage::Secure));
        };
        if frame.root().text().is_empty() {
            // RFC 6120 §6.4.2: the client did not use the chance to send its first message at once
            self.wire.write("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
            self.state = State::AwaitInitialResponse(mechanism);
            return None;
        }
        let outcome = decode(frame).and_then(|first| self.start_exchange(mechanism, &first));
        Some(outcome.unwrap_or_else(|condition| self.refuse_login(condition, Stage::Secure)))
    }

    fn start_exchange(&mut self, mechanism: Mechanism, first: &[u8]) -> Result<ResponderEvent, SaslCondition> {
        let exchange =
            ServerExchange::start(mechanism, first, &self.offer(), &self.bindings(), self.domain().unwrap_or_default())
                .map_err(|error: ExchangeError| SaslCondition::from(&error))?;
        let username = exchange.username().to_owned();
        self.username = Some(username.clone());
        self.state = State::AwaitCredentials(Box::new(exchange));
        Ok(ResponderEvent::Authenticate { username, mechanism })
    }

    pub(super) fn refuse_login(&mut self, condition: SaslCondition, stage: Stage) -> ResponderEvent {
        self.wire.write(&format!("<failure xmlns='{}'><{}/></failure>", ns::SASL, condition.name()));
        self.state = State::Negotiate(stage);
        self.failed_logins = self.failed_logins.saturating_add(1);
        if self.failed_logins >= self.config.login_attempts {
            self.wire.fail(Misbehaviour::TooManyLogins.into());
        }
        ResponderEvent::LoginFailed { username: self.username.take(), condition }
    }
}

/// The bytes in a SASL element: strict base64, `=` for none (RFC 6120 §6.4.2).
fn decode(frame: &Frame) -> Result<Vec<u8>, SaslCondition> {
    let text = frame.root().text();
    if text == "=" {
        return Ok(Vec::new());
    }
    STANDARD.decode(text.as_bytes()).map_err(|_| SaslCondition::IncorrectEncoding)
}
