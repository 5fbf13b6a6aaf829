//! What the client's `h` covers, and the clocks of a session.

use std::time::Duration;

use xmpp::ns;
use xmpp::stanza;
use xmpp::stream::StreamCondition;
use xmpp::time::Moment;
use xmpp::xml::{Element, Frame};

use super::{ClientSession, Phase};

/// Namespace of pings (XEP-0199).
const NS_PING: &str = "urn:xmpp:ping";

impl ClientSession {
    /// Tells the stream how many of the client's stanzas are settled, oldest first.
    pub(super) fn settle(&mut self) {
        let Phase::Bound(bound) = &mut self.phase else { return };
        let settled = bound.unsettled.take_settled(&bound.handle.mailbox);
        self.stream.handled(settled);
    }

    /// Returns when [`ClientSession::handle_timeout`] is to be called, unless something happens before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Moment> {
        let limits = &self.core.config.limits;
        match &self.phase {
            Phase::Login(login) => Some(login.held.as_ref().map_or(login.deadline, |h| h.until.min(login.deadline))),
            Phase::Bound(bound) => {
                let silence = match self.waiting_since {
                    Some(since) => since + limits.ack_timeout + bound.patience(),
                    None => self.last_heard + limits.client_idle,
                };
                let heir = bound.heir_of.map(|(_, until)| until);
                [bound.unsettled.next_timeout(), heir].into_iter().flatten().chain([silence]).min()
            }
            Phase::Over => None,
        }
    }

    pub(super) async fn check_timers(&mut self) {
        let now = self.core.env.moment();
        match &mut self.phase {
            Phase::Login(login) if login.deadline <= now => {
                self.stream.fail(StreamCondition::ConnectionTimeout);
                self.phase = Phase::Over;
            }
            Phase::Login(_) => self.release_held_login().await,
            Phase::Bound(bound) => {
                bound.heir_of = bound.heir_of.filter(|(_, until)| *until > now);
                bound.unsettled.check(&self.core, now).await;
                self.check_silence(now).await;
            }
            Phase::Over => {}
        }
    }

    /// A client that is silent is asked; one that does not answer is gone (XEP-0198 §4, XEP-0199 §4.2).
    async fn check_silence(&mut self, now: Moment) {
        let limits = &self.core.config.limits;
        let patience = match &self.phase {
            Phase::Bound(bound) => bound.patience(),
            _ => Duration::ZERO,
        };
        match self.waiting_since {
            Some(since) if since + limits.ack_timeout + patience <= now => {
                self.stream.fail(StreamCondition::ConnectionTimeout);
                self.end().await;
            }
            None if self.last_heard + limits.client_idle <= now => {
                let ping = Element::new("ping", NS_PING);
                let id = self.core.env.random_id();
                let Some(jid) = self.jid() else { return };
                let iq = stanza::iq("get", &id, Some(jid.as_str()), ping)
                    .with_attr("from", self.core.config.domain.as_str());
                self.send_own(Frame::from_element(&iq, ns::CLIENT));
                self.waiting_since = Some(now);
            }
            _ => {}
        }
    }
}
