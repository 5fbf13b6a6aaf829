//! Stanzas from the client: stamped, checked, routed (RFC 6120 §8.1, §10).

use std::sync::Arc;

use xmpp::jid::Jid;
use xmpp::stanza::{Condition, StanzaError, may_bounce, reply_error};
use xmpp::xml::{Element, Frame, Splice};

use super::{ClientSession, Phase};
use crate::mailbox::Delivery;
use crate::pipeline::{self, Origin};
use crate::route::{self, MessageType, Stanza};
use crate::settle::Ticket;

impl ClientSession {
    /// Takes responsibility for a stanza of the client.
    pub(super) async fn handle_stanza(&mut self, frame: Frame) {
        self.allowance.charge_stanzas(self.core.env.moment(), 1);
        let ticket = self.take_stanza(frame).await;
        if let Phase::Bound(bound) = &mut self.phase {
            if !bound.acks {
                // counted all the same: the client may switch acknowledgements on later (XEP-0198 §3)
                return self.stream.handled(1);
            }
            let (now, limits) = (self.core.env.moment(), &self.core.config.limits);
            let settled = bound.unsettled.push(ticket, &bound.handle.mailbox, now, limits);
            self.stream.handled(settled);
        }
    }

    async fn take_stanza(&mut self, frame: Frame) -> Option<Arc<Ticket>> {
        let Phase::Bound(bound) = &mut self.phase else { return None };
        let handle = Arc::clone(&bound.handle);
        let Ok(to) = bound.parse_to(&frame) else {
            self.refuse(&frame, Condition::JidMalformed);
            return None;
        };
        let frame = route::prepared(&frame, None, to.as_ref());
        // RFC 6120 §8.1.2.1: whatever the client wrote, `from` says who it is
        match frame.name() {
            "presence" => {
                Box::pin(self.handle_presence(frame, to)).await;
                None
            }
            "message" => {
                let message_type = MessageType::of(frame.attr("type").as_deref());
                let stamp = |splice: Splice| splice.set_attr("from", handle.jid.as_str());
                // without `to` it is for the sender's own account (RFC 6120 §10.3.1)
                let to = to.unwrap_or_else(|| handle.jid.bare().into());
                let frame = match pipeline::message(&self.core, &frame, (&handle.jid, &to), Origin::Client, stamp) {
                    Ok(frame) => frame,
                    Err(error) => {
                        self.send_error(&frame, &error);
                        self.advise(&error);
                        return None;
                    }
                };
                let stanza = Stanza { frame, from: handle.jid.clone(), to, by: Arc::clone(&handle.by) };
                let waiting = bound.acks.then_some(&handle.mailbox);
                route::message(&self.core, stanza, message_type, waiting).await
            }
            _ => {
                let frame = frame.splice().set_attr("from", handle.jid.as_str()).finish();
                // without `to` the server answers on behalf of the account (RFC 6120 §10.3.3)
                let to = to.unwrap_or_else(|| handle.jid.bare().into());
                let stanza = Stanza { frame, from: handle.jid.clone(), to, by: Arc::clone(&handle.by) };
                Box::pin(route::route(&self.core, stanza, None)).await
            }
        }
    }

    fn refuse(&mut self, frame: &Frame, condition: Condition) {
        self.send_error(frame, &StanzaError::new(condition));
    }

    /// Sends a stanza of the client back to it.
    fn send_error(&mut self, frame: &Frame, error: &StanzaError) {
        let element = frame.to_element();
        if may_bounce(&element) {
            let reply = reply_error(&element, error);
            self.send_own(Frame::from_element(&reply, xmpp::ns::CLIENT));
        }
    }

    /// Says in words, once in a session, what to do about a message that was not encrypted: Dino, for one, shows of an
    /// error only "delivery failed".
    fn advise(&mut self, error: &StanzaError) {
        let Phase::Bound(bound) = &mut self.phase else { return };
        if error.condition != Condition::PolicyViolation || std::mem::replace(&mut bound.advised, true) {
            return;
        }
        let advice = Element::new("message", xmpp::ns::CLIENT)
            .with_attr("type", "chat")
            .with_attr("from", self.core.config.domain.as_str())
            .with_attr("to", bound.handle.jid.as_str())
            .with_child(Element::new("body", xmpp::ns::CLIENT).with_text(xep::policy::ADVICE));
        self.send_own(Frame::from_element(&advice, xmpp::ns::CLIENT));
    }

    /// Presence goes three ways: to everybody who subscribed, to one address, or into the subscription rules.
    async fn handle_presence(&mut self, frame: Frame, to: Option<Jid>) {
        let Phase::Bound(bound) = &mut self.phase else { return };
        let handle = Arc::clone(&bound.handle);
        let presence_type = frame.attr("type").map(std::borrow::Cow::into_owned);
        let max = self.core.config.limits.presence_bytes;
        if frame.len() > max && !crate::presence::is_about_subscription(presence_type.as_deref()) {
            return self.refuse(&frame, Condition::PolicyViolation);
        }
        // to everybody: nobody's server may be spoken for by what it would say of the sender itself
        let receiver = to.clone().unwrap_or_else(|| handle.jid.bare().into());
        let parties = (&handle.jid, &receiver);
        let frame = pipeline::true_words(&self.core, &frame, frame.splice(), parties, Origin::Client).finish();
        match (presence_type.as_deref(), to) {
            (None, None) => {
                let frame = frame.splice().set_attr("from", handle.jid.as_str()).finish();
                let first = !handle.is_available();
                let took = handle.takes_messages();
                let sent = crate::presence::broadcast_available(&self.core, &handle, frame).await;
                if sent.is_err() {
                    return; // the store failed; presence is repeated by the client when it matters to it
                }
                if first {
                    self.welcome().await;
                }
                if !took
                    && handle.takes_messages()
                    && let Phase::Bound(bound) = &mut self.phase
                {
                    bound.looks_again = true;
                }
            }
            (Some("unavailable"), None) => {
                let frame = frame.splice().set_attr("from", handle.jid.as_str()).finish();
                let directed = bound.directed.take();
                crate::presence::broadcast_unavailable(&self.core, &handle, frame, directed.as_ref()).await;
            }
            (Some(_), None) => self.refuse(&frame, Condition::BadRequest),
            (None | Some("unavailable" | "error"), Some(to)) => {
                if !bound.note_directed(&to, presence_type.as_deref(), self.core.config.limits.directed_presence) {
                    return self.refuse(&frame, Condition::ResourceConstraint);
                }
                let frame = frame.splice().set_attr("from", handle.jid.as_str()).finish();
                let stanza = Stanza { frame, from: handle.jid.clone(), to, by: Arc::clone(&handle.by) };
                route::route(&self.core, stanza, None).await;
            }
            (Some(_), Some(to)) => {
                let answer = crate::presence::outbound_subscription(&self.core, &handle, &frame, &to).await;
                if let Err(error) = answer {
                    self.send_error(&frame, &error);
                }
            }
        }
    }

    /// Sends what a resource gets when it becomes available: presence of the others, and open requests.
    async fn welcome(&mut self) {
        let Phase::Bound(bound) = &self.phase else { return };
        let handle = Arc::clone(&bound.handle);
        let frames = crate::presence::welcome(&self.core, &handle).await;
        for frame in frames {
            // what is too much is left out: nobody's contacts can end their stream
            let _ = handle.mailbox.post_own(Delivery::new(frame, &handle.by));
        }
    }
}

impl super::Bound {
    /// Parses `to`, mostly by remembering the last one.
    fn parse_to(&mut self, frame: &Frame) -> Result<Option<Jid>, xmpp::jid::JidError> {
        let Some(text) = frame.attr("to") else { return Ok(None) };
        if let Some((last, jid)) = &self.last_to
            && **last == *text
        {
            return Ok(Some(jid.clone()));
        }
        let jid = Jid::parse(&text)?;
        self.last_to = Some((text.as_ref().into(), jid.clone()));
        Ok(Some(jid))
    }

    /// Remembers whom the client shows itself to, so that they learn when it leaves (RFC 6121 §4.6.3). No when there
    /// are too many.
    fn note_directed(&mut self, to: &Jid, presence_type: Option<&str>, max: usize) -> bool {
        match presence_type {
            None => {
                let directed = self.directed.get_or_insert_default();
                if directed.len() >= max && !directed.contains(to) {
                    return false;
                }
                directed.insert(to.clone());
            }
            Some("unavailable") => {
                if let Some(directed) = &mut self.directed {
                    directed.remove(to);
                    if directed.is_empty() {
                        self.directed = None;
                    }
                }
            }
            Some(_) => {}
        }
        true
    }
}
