//! Questions to servers and contacts (IQ requests), and which answer belongs to which.
//!
//! An answer counts only when both its id and its sender are those of the question (X06); ids have 128 random bits.

use std::collections::BTreeMap;
use std::time::Duration;

use xep::omemo::{DeviceList, Version};
use xmpp::jid::{BareJid, Jid};
use xmpp::stanza::{self, StanzaError};
use xmpp::time::Timestamp;
use xmpp::xml::Element;

use super::Engine;
use crate::command::RequestId;
use crate::error::Failure;
use crate::event::MessageId;

/// How long an answer may take. A server that must first dial another one takes some seconds.
const PATIENCE: Duration = Duration::from_secs(45);

/// What was asked, so that the answer finds its way.
#[derive(Clone)]
pub(crate) enum Question {
    /// A device list, ours or a contact's.
    DeviceList { who: BareJid, version: Version },
    /// The own bundle, to compare.
    OwnBundle { version: Version },
    /// The witness of this device at the own server.
    OwnWitness,
    /// To publish it.
    PublishWitness { round: u64 },
    /// A bundle of a device.
    Bundle { who: BareJid, version: Version, device: u32 },
    /// To publish the own device list.
    PublishList { version: Version, list: DeviceList, attempt: u8 },
    /// To publish the own bundle, as it was at this publication.
    PublishBundle { version: Version, attempt: u8, round: u64 },
    /// To set the access of an own node, where publish-options were refused.
    Configure { version: Version, then: Republish },
    /// Whether everything that waited at the server has been delivered.
    CatchUp,
    /// Whether the server has the outbox up to this row (servers without XEP-0198).
    OutboxPing { up_to: u64 },
    /// Whether the server has heard who may not see the user's presence any more.
    Withdrawn { people: Vec<BareJid> },
    /// Where the own server can be reached.
    Address,
    /// Whether the connection lives.
    KeepAlive,
    /// An invitation (XEP-0401).
    Invite { request: RequestId },
    /// The new password.
    Password { request: RequestId },
    /// To delete the account.
    Unregister { request: RequestId },
    /// What one of the server's services offers.
    ServiceFeatures { service: Jid },
    /// The server's services.
    ServerItems,
    /// To know the server of a contact.
    Introduction { contact: BareJid },
    /// A place to upload a file to.
    UploadSlot { contact: BareJid, message: MessageId },
}

/// What to publish again once a node is configured.
#[derive(Clone)]
pub(crate) enum Republish {
    List(DeviceList),
    Bundle { round: u64 },
}

/// How a question was answered.
pub(crate) enum Answer {
    /// The child element of the result, if it has one.
    Result(Option<Element>),
    /// The error.
    Error(StanzaError),
    /// Not at all: time is over, or the connection is.
    Lost,
}

impl Answer {
    /// What a missing result means for the user.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self {
            Self::Result(_) => None,
            Self::Error(error) => Some(Failure::from(error)),
            Self::Lost => Some(Failure::Disconnected),
        }
    }
}

struct Pending {
    /// Whom the question went to; `None` for the own account.
    to: Option<Jid>,
    question: Question,
    deadline: Timestamp,
}

/// The questions without an answer yet.
#[derive(Default)]
pub(crate) struct Queries {
    /// In the order of their ids, so that a run with the same seed is the same run.
    pending: BTreeMap<String, Pending>,
}

impl Queries {
    pub(crate) fn next_timeout(&self) -> Option<Timestamp> {
        self.pending.values().map(|pending| pending.deadline).min()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Forgets everything, because the connection is gone.
    pub(crate) fn take_all(&mut self) -> Vec<Question> {
        std::mem::take(&mut self.pending).into_values().map(|pending| pending.question).collect()
    }

    pub(crate) fn take_overdue(&mut self, now: Timestamp) -> Vec<Question> {
        let overdue: Vec<String> =
            self.pending.iter().filter(|(_, p)| p.deadline <= now).map(|(id, _)| id.clone()).collect();
        overdue.iter().filter_map(|id| self.pending.remove(id)).map(|pending| pending.question).collect()
    }

    /// Finds the question that a stanza answers. `own` is the full address of this session.
    fn take_answered(&mut self, stanza: &Element, own: &Jid) -> Option<Question> {
        let id = stanza.attr("id")?;
        let pending = self.pending.get(id)?;
        let from = stanza.attr("from").map(Jid::parse).transpose().ok()?;
        let fits = xep::origin::answers(pending.to.as_ref(), from.as_ref(), own);
        if fits { self.pending.remove(id).map(|pending| pending.question) } else { None }
    }
}

impl Engine {
    /// Asks; the answer reaches `handle_answer`. Without a connection nothing happens: whoever needs an answer asks again
    /// when the session starts.
    pub(crate) fn ask(&mut self, iq_type: &str, to: Option<&Jid>, child: Element, question: Question) {
        self.ask_within(PATIENCE, iq_type, to, child, question);
    }

    /// As [`Engine::ask`], with another patience.
    pub(crate) fn ask_within(
        &mut self,
        patience: Duration,
        iq_type: &str,
        to: Option<&Jid>,
        child: Element,
        question: Question,
    ) {
        let id = self.env.id();
        let iq = stanza::iq(iq_type, &id, to.map(Jid::as_str), child);
        let deadline = self.after(patience);
        if self.send_stanza(&iq, None) {
            self.queries.pending.insert(id, Pending { to: to.cloned(), question, deadline });
        }
    }

    /// Takes an IQ of type `result` or `error`; returns what it answers.
    pub(crate) fn match_answer(&mut self, stanza: &Element) -> Option<(Question, Answer)> {
        let own = self.full_jid()?;
        let question = self.queries.take_answered(stanza, &own)?;
        let answer = match StanzaError::of_stanza(stanza).filter(|_| stanza.attr("type") == Some("error")) {
            Some(error) => Answer::Error(error),
            None => Answer::Result(stanza.children().next().cloned()),
        };
        Some((question, answer))
    }
}
