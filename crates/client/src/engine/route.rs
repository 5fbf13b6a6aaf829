//! Which part of the engine a stanza or an answer is for.

use xep::omemo::Version;
use xep::pubsub;
use xmpp::jid::{BareJid, Jid};
use xmpp::xml::Element;

use super::{Answer, Engine, Question};
use crate::contacts::new_contact;
use crate::error::EngineError;
use crate::event::Event;
use crate::tables::RelationCode;

impl Engine {
    /// A session begins: the own keys are compared; presence, so that the server delivers; what the server has not
    /// acknowledged, again. What waits follows when the keys have been compared.
    pub(crate) async fn start_session(&mut self) -> Result<(), EngineError> {
        self.check_own_device();
        self.send_own_presence();
        self.ask_whether_caught_up();
        self.withdraw_presence().await?;
        self.introduce_servers().await?;
        self.resend_outbox().await?;
        self.ask_server_features();
        self.ask_address();
        self.unregister_again();
        self.finish_sign_in().await
    }

    /// Stanzas are handled in order, so the answer comes behind everything that had waited for us.
    fn ask_whether_caught_up(&mut self) {
        self.ask("get", None, Element::new("ping", xep::ping::NS), Question::CatchUp);
    }

    pub(crate) async fn handle_stanza(&mut self, stanza: Element) -> Result<(), EngineError> {
        match stanza.name() {
            "message" => self.handle_message(stanza).await,
            "presence" => self.handle_presence(&stanza).await,
            "iq" => self.handle_iq(&stanza).await,
            _ => Ok(()),
        }
    }

    async fn handle_iq(&mut self, iq: &Element) -> Result<(), EngineError> {
        match iq.attr("type") {
            Some("get" | "set") => self.answer_request(iq).await,
            _ => match self.match_answer(iq) {
                Some((question, answer)) => self.handle_answer(question, answer).await,
                None => Ok(()), // late, or nobody asked (X06)
            },
        }
    }

    pub(crate) async fn handle_answer(&mut self, question: Question, answer: Answer) -> Result<(), EngineError> {
        match question {
            Question::DeviceList { who, version } => self.list_answer(who, version, answer).await,
            Question::Bundle { who, version, device } => self.bundle_answer(who, device, version, answer).await,
            Question::OwnBundle { version } => self.own_bundle_answer(version, &answer).await,
            Question::OwnWitness => self.own_witness_answer(&answer).await,
            Question::PublishWitness { round } => self.witness_published(round, &answer).await,
            Question::PublishBundle { version, attempt, round } => {
                self.publish_bundle_answer(version, attempt, round, &answer).await
            }
            Question::PublishList { version, list, attempt } => {
                self.publish_list_answer(version, list, attempt, &answer);
                Ok(())
            }
            Question::Configure { version, then } => {
                self.configure_answer(version, then, &answer);
                Ok(())
            }
            // The answer comes behind everything that had waited. As long as there is none, keys that a message on its
            // way may need are kept.
            Question::CatchUp if matches!(answer, Answer::Lost) => {
                self.ask_whether_caught_up();
                Ok(())
            }
            Question::CatchUp => {
                self.note_caught_up();
                if self.fetches.own_device_checked {
                    self.maintain_device(true).await?;
                }
                self.note_session_works();
                self.retry_downloads(self.now()).await
            }
            Question::OutboxPing { up_to } => match answer {
                Answer::Lost => Ok(()),
                // Even an error shows that the server has come this far.
                _ => self.acknowledged_up_to(up_to).await,
            },
            Question::Invite { request } => self.invite_answer(request, answer).await,
            Question::Password { request } => self.password_answer(request, &answer).await,
            Question::Unregister { request } => self.unregister_answer(request, &answer).await,
            Question::ServerItems => self.server_items(&answer).await,
            Question::ServiceFeatures { service } => self.service_features(service, &answer).await,
            Question::UploadSlot { contact, message } => self.slot_answer(contact, message, answer).await,
            Question::Withdrawn { people } => self.presence_withdrawn(&people, &answer).await,
            Question::Address => self.address_answer(&answer).await,
            Question::Introduction { contact } => self.introduction_answer(contact, &answer).await,
            Question::KeepAlive => Ok(()),
        }
    }

    /// News of a node. `owner` is the account whose node it is; nobody speaks for another's (X04).
    pub(crate) async fn pubsub_event(&mut self, owner: BareJid, event: pubsub::Event) -> Result<(), EngineError> {
        let pubsub::Event::Items { node, published, .. } = event else { return Ok(()) };
        let is_list = Version::STRONGEST_FIRST.iter().any(|version| version.devices_node() == node);
        match published.last().and_then(|item| item.payload.as_ref()) {
            Some(payload) if is_list => self.list_event(owner, payload).await,
            _ => Ok(()),
        }
    }

    /// Requests to see each other's presence, which other apps make. We show ours to nobody by ourselves.
    async fn handle_presence(&mut self, presence: &Element) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let Some(who) = presence.attr("from").and_then(|from| Jid::parse(from).ok()).map(|from| from.bare()) else {
            return Ok(());
        };
        if who == own || who.localpart().is_none() {
            return Ok(());
        }
        match presence.attr("type") {
            Some("subscribe") => self.presence_wanted(&own, &who, xep::invites::token_inside(presence)).await,
            Some("subscribed") => {
                self.fetches.forget(&who);
                self.advance(&who).await
            }
            _ => Ok(()),
        }
    }

    /// Somebody wants to see when the user is online. A token of ours lets them; else the user decides.
    async fn presence_wanted(&mut self, own: &BareJid, who: &BareJid, token: Option<&str>) -> Result<(), EngineError> {
        let known = self.contact_row(own, who).await?;
        let is_new = known.is_none();
        let mut row = known.unwrap_or_else(|| new_contact(own, who));
        if row.is_blocked() {
            return Ok(());
        }
        let mut tx = self.store.transaction();
        let invited = match token {
            Some(token) => self.redeem_token(&mut tx, token, who).await?,
            None => false,
        };
        if invited {
            row.set_relation(RelationCode::Accepted);
        }
        // Their app may ask again after it was let: then the answer stands, and the user is asked once only.
        let granted = invited || row.sees_presence;
        row.asks_presence = !granted;
        row.sees_presence = granted;
        let mut gone = None;
        if is_new && !invited {
            row.asked_ms = self.now().as_millis();
            gone = self.make_room_for_request(&mut tx, who).await?;
        }
        self.put_contact(&mut tx, &row);
        if granted {
            self.forget_withdrawal(&mut tx, who)?;
        }
        tx.commit().await?;
        self.tell_of_gone_request(gone);
        if granted {
            self.send_presence(who, "subscribed");
        }
        let view = self.contact_view(&row).await?;
        self.emit(if is_new && !invited { Event::Request(view) } else { Event::Contact(view) });
        Ok(())
    }

    /// A question whose answer the lost connection has taken along.
    pub(crate) fn question_lost(&mut self, question: Question) {
        let failure = crate::error::Failure::Disconnected;
        match question {
            Question::Unregister { request } => self.unregister_lost(request),
            Question::Password { request } | Question::Invite { request } => {
                self.done(request, Err(failure));
            }
            Question::UploadSlot { contact, message } => self.transfers.slot_lost(&contact, &message),
            _ => {}
        }
    }
}
