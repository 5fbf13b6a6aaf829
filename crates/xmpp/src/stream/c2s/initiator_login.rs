//! The login at the client's end: SASL around the exchange of [`crate::sasl::client`] (RFC 6120 §6).

use base64::{Engine, engine::general_purpose::STANDARD};

use super::event::{InitiatorEvent, LoginError};
use super::initiator::{Initiator, Stage, State};
use crate::ns;
use crate::sasl::client::ClientExchange;
use crate::sasl::select::{Binding, Selection, select};
use crate::sasl::{Credential, ExchangeError, SaslCondition, ScramKeys};
use crate::stream::{Misbehaviour, StreamError};
use crate::xml::Frame;

impl Initiator {
    /// Logs in after a registration, or again after the server refused. Returns the failure where there is no safe
    /// way to try; the stream is then closing.
    pub fn login(&mut self, username: &str, credential: Credential) -> Option<InitiatorEvent> {
        if !matches!(self.state, State::BeforeLogin) {
            return None;
        }
        self.login = Some((username.to_owned(), credential));
        self.tries_other_form = true;
        self.start_login()
    }

    pub(super) fn start_login(&mut self) -> Option<InitiatorEvent> {
        let (username, _) = self.login.as_ref()?;
        let offer = self.features.offer();
        let bindings = self.tls.as_ref().map(|tls| tls.bindings()).unwrap_or_default();
        let selection = match select(&offer, &bindings, self.config.policy) {
            Ok(selection) => selection,
            Err(error) => return Some(self.give_up(LoginError::Select(error))),
        };
        let nonce = self.wire.entropy.token();
        let version = self.tls.as_ref().map(|tls| tls.version);
        let (exchange, first) = ClientExchange::start(&selection, username, &nonce, &offer, &bindings, version);
        self.wire.write(&format!(
            "<auth xmlns='{}' mechanism='{}'>{}</auth>",
            ns::SASL,
            selection.mechanism.name(),
            STANDARD.encode(first)
        ));
        self.state = State::AwaitChallenge { exchange: Box::new(exchange), selection };
        None
    }

    pub(super) fn handle_sasl(&mut self, frame: &Frame) -> Result<Option<InitiatorEvent>, StreamError> {
        if frame.ns() != ns::SASL {
            return Err(Misbehaviour::UnexpectedElement.into());
        }
        let state = std::mem::replace(&mut self.state, State::BeforeLogin);
        match (frame.name(), state) {
            ("challenge", State::AwaitChallenge { exchange, .. }) => Ok(self.handle_challenge(*exchange, frame)),
            ("challenge", State::AwaitProof(exchange)) => match exchange.handle_server_final(&decode(frame)) {
                Ok(keys) => {
                    self.wire.write("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
                    self.state = State::AwaitSuccess(Box::new(keys));
                    Ok(None)
                }
                Err(error) => Ok(Some(self.give_up(LoginError::Exchange(error)))),
            },
            ("success", State::AwaitProof(exchange)) => match exchange.handle_server_final(&decode(frame)) {
                Ok(keys) => Ok(Some(self.logged_in(keys))),
                Err(error) => Ok(Some(self.give_up(LoginError::Exchange(error)))),
            },
            ("success", State::AwaitSuccess(keys)) => Ok(Some(self.logged_in(*keys))),
            // a server that is content before it has proved itself is not our server (attack X11)
            ("success", State::AwaitChallenge { .. }) => {
                Ok(Some(self.give_up(LoginError::Exchange(ExchangeError::ServerUnproven))))
            }
            ("failure", State::AwaitChallenge { selection, .. }) => Ok(self.handle_refusal(frame, Some(selection))),
            ("failure", _) => Ok(self.handle_refusal(frame, None)),
            _ => Err(Misbehaviour::UnexpectedElement.into()),
        }
    }

    fn handle_challenge(&mut self, exchange: ClientExchange, frame: &Frame) -> Option<InitiatorEvent> {
        let (_, credential) = self.login.as_ref()?;
        match exchange.handle_server_first(&decode(frame), credential) {
            Ok((next, proof)) => {
                self.wire.write(&format!("<response xmlns='{}'>{}</response>", ns::SASL, STANDARD.encode(proof)));
                self.state = State::AwaitProof(Box::new(next));
                None
            }
            Err(error) => {
                self.wire.write("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
                Some(self.give_up(LoginError::Exchange(error)))
            }
        }
    }

    /// A server that lists no binding types may not know the one we chose: then the next one is tried. Only its very
    /// first answer can mean that; later ones are about the proof.
    fn handle_refusal(&mut self, frame: &Frame, first: Option<Selection>) -> Option<InitiatorEvent> {
        if let Some(Selection { binding: Binding::Type(binding), types_announced: false, .. }) = first {
            self.config.policy.refused = self.config.policy.refused.with(binding);
            return self.start_login();
        }
        let children = || frame.root().children().filter(|child| child.ns() == ns::SASL);
        let condition = children().find_map(|child| SaslCondition::parse(child.name()));
        if condition == Some(SaslCondition::NotAuthorized) && first.is_none() && self.take_other_form() {
            return self.start_login();
        }
        self.login = None;
        let text = children().find(|child| child.name() == "text").map(|text| text.text().into_owned());
        Some(InitiatorEvent::LoginFailed(LoginError::Refused {
            condition: condition.unwrap_or(SaslCondition::NotAuthorized),
            text,
        }))
    }

    /// Turns to the other form of the password, where it has one that was not tried.
    fn take_other_form(&mut self) -> bool {
        if !std::mem::take(&mut self.tries_other_form) {
            return false;
        }
        let Some((_, credential)) = &mut self.login else { return false };
        let Some(other) = credential.other_form() else { return false };
        *credential = other;
        true
    }

    fn logged_in(&mut self, keys: ScramKeys) -> InitiatorEvent {
        let form = self.login.take().map(|(_, credential)| credential.form()).unwrap_or_default();
        self.wire.restart_after_login();
        self.open(Stage::Authenticated);
        InitiatorEvent::Authenticated { keys, form }
    }

    /// Nothing more is said to a server that we do not trust.
    fn give_up(&mut self, error: LoginError) -> InitiatorEvent {
        self.login = None;
        self.wire.close();
        InitiatorEvent::LoginFailed(error)
    }
}

/// The bytes in a SASL element; what is not base64 becomes an empty message, which no exchange accepts.
fn decode(frame: &Frame) -> Vec<u8> {
    STANDARD.decode(frame.root().text().trim()).unwrap_or_default()
}
