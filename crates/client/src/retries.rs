//! What could not be delivered for now: kept, tried again at each start and with growing pauses, given up after three days.
//! And what the user sees and does about it.
//!
//! Only what may pass is kept: a server that does not answer, or says to wait. What will not pass fails with its reason.

use std::time::Duration;

use xmpp::jid::BareJid;
use xmpp::stanza::{Condition, ErrorType, StanzaError};
use xmpp::time::Timestamp;

use crate::command::{Queued, Reply};
use crate::conversations::GREETING;
use crate::engine::Engine;
use crate::error::{CommandError, EngineError, Failure};
use crate::event::{MessageId, MessageState};
use crate::tables::{self, ContactRow, FileCode, MessageRow, OutboxRow, StateCode, TriesRow, WaitingRow};

/// The pause after the first try, and the longest.
const PAUSE_MIN: Duration = Duration::from_secs(60);
const PAUSE_MAX: Duration = Duration::from_secs(60 * 60);
/// How long after the first try nothing is given up.
const KEPT_FOR: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// The fewest characters by which one message is named.
const ID_PREFIX_MIN: usize = 4;

impl TriesRow {
    /// Notes a try that failed for now.
    pub(crate) fn failed(&mut self, failure: Failure, now: Timestamp) {
        *self = self.begun(now);
        self.count = self.count.saturating_add(1);
        self.failure = failure.code();
        self.next_ms = (now + self.pause()).as_millis();
    }

    /// Notes when the first try was.
    pub(crate) fn begun(mut self, now: Timestamp) -> Self {
        // A clock that has been set back must not make it wait for years.
        if self.first_ms == 0 || self.first_ms > now.as_millis() {
            self.first_ms = now.as_millis();
        }
        self
    }

    fn pause(&self) -> Duration {
        let doublings = self.count.saturating_sub(1).min(10);
        PAUSE_MIN.saturating_mul(1 << doublings).min(PAUSE_MAX)
    }

    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now.since(Timestamp::from_millis(self.first_ms)) >= KEPT_FOR
    }
}

impl MessageRow {
    /// Why the last try failed, while it is kept.
    pub(crate) fn delayed_by(&self) -> Option<Failure> {
        Failure::from_code(self.tries.as_ref()?.failure)
    }
}

/// Whether a server refused only for now: it says to wait, or failed by its own fault.
pub(crate) fn may_pass(error: &StanzaError) -> bool {
    matches!(error.condition, Condition::InternalServerError | Condition::RemoteServerTimeout)
        || error.error_type == ErrorType::Wait
}

impl Engine {
    /// Puts messages of a person off that cannot be delivered for now; those that were tried long enough are given up.
    pub(crate) async fn put_off(
        &mut self,
        who: &BareJid,
        waiting: &[WaitingRow],
        failure: Failure,
    ) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let mut pause_until: Option<Timestamp> = None;
        for row in waiting {
            let mut tries = self.tries_of(who, row).await?;
            tries.failed(failure, self.now());
            if tries.is_over(self.date()) {
                // Who cannot be reached securely needs a link; for all others there was an answer that did not come.
                let failure = if failure == Failure::NotSecure { failure } else { Failure::Expired };
                self.give_up(who, row, failure).await?;
                continue;
            }
            let next = Timestamp::from_millis(tries.next_ms);
            pause_until = Some(pause_until.map_or(next, |soonest| soonest.min(next)));
            let mut tx = self.store.transaction();
            let message = self.message_of(who, row).await?.map(|message| MessageRow { tries: Some(tries), ..message });
            match (&message, self.contact_row(&own, who).await?) {
                (Some(message), _) => self.put_message(&mut tx, who, message)?,
                (None, Some(mut contact)) => {
                    contact.greeting_tries = Some(tries);
                    self.put_contact(&mut tx, &contact);
                }
                (None, None) => {}
            }
            tx.commit().await?;
            if let Some(message) = &message {
                self.emit_state(who, message);
            }
        }
        if let Some(at) = pause_until {
            self.retry_waiting_at.insert(who.clone(), at);
        }
        Ok(())
    }

    /// A message that the server had taken came back for now: it waits again, unless it was tried long enough.
    pub(crate) async fn came_back(
        &mut self,
        who: &BareJid,
        message: MessageRow,
        failure: Failure,
    ) -> Result<(), EngineError> {
        let mut tries = message.tries.unwrap_or_default();
        tries.failed(failure, self.now());
        let (over, next) = (tries.is_over(self.date()), Timestamp::from_millis(tries.next_ms));
        let mut message = MessageRow { tries: Some(tries), ..message };
        let mut tx = self.store.transaction();
        let seqs = self.delete_outbox_entry(&mut tx, &message.id).await?;
        if over {
            message.set_state(StateCode::Undeliverable);
            message.failure = Failure::Expired.code();
        } else {
            message.set_state(StateCode::Waiting);
            self.put_waiting(&mut tx, who, message.seq, &message.id).await?;
            self.restore_greeting(&mut tx, who, &message.id).await?;
        }
        self.put_message(&mut tx, who, &message)?;
        tx.commit().await?;
        if !over {
            self.retry_waiting_at.insert(who.clone(), next);
        }
        self.emit_state(who, &message);
        self.outbox_left(&seqs).await
    }

    /// A greeting, which is in no conversation, came back for now.
    pub(crate) async fn greeting_came_back(&mut self, who: &BareJid, id: &str) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let mut tx = self.store.transaction();
        if !self.restore_greeting(&mut tx, who, id).await? {
            return Ok(());
        }
        let seqs = self.delete_outbox_entry(&mut tx, id).await?;
        let waits = self.waiting_for(who).await?.iter().any(|row| row.message_seq == GREETING);
        let over =
            self.contact_row(&own, who).await?.and_then(|c| c.greeting_tries).is_some_and(|t| t.is_over(self.date()));
        // Given up, its token still goes with the next message.
        if !waits && !over {
            self.put_waiting(&mut tx, who, GREETING, id).await?;
        }
        tx.commit().await?;
        self.outbox_left(&seqs).await?;
        let waiting: Vec<WaitingRow> =
            self.waiting_for(who).await?.into_iter().filter(|row| row.message_seq == GREETING).collect();
        self.put_off(who, &waiting, Failure::ServerTimeout).await
    }

    /// The token of an invitation that a stanza carried goes with the next one.
    async fn restore_greeting(
        &self,
        tx: &mut store::Transaction,
        who: &BareJid,
        id: &str,
    ) -> Result<bool, EngineError> {
        let own = self.own_or_bad()?;
        let Some(mut contact) = self.contact_row(&own, who).await? else { return Ok(false) };
        if contact.greeted_by != id || contact.greeted_token.is_none() {
            return Ok(false);
        }
        contact.greet_token = contact.greeted_token.take();
        self.put_contact(tx, &contact);
        Ok(true)
    }

    async fn tries_of(&self, who: &BareJid, waiting: &WaitingRow) -> Result<TriesRow, EngineError> {
        let own = self.own_or_bad()?;
        let tries = match self.message_of(who, waiting).await? {
            Some(message) => message.tries,
            None => self.contact_row(&own, who).await?.and_then(|contact| contact.greeting_tries),
        };
        Ok(tries.unwrap_or_default())
    }

    async fn message_of(&self, who: &BareJid, waiting: &WaitingRow) -> Result<Option<MessageRow>, EngineError> {
        match waiting.message_seq {
            GREETING => Ok(None),
            seq => self.message_by_seq(who, seq).await,
        }
    }

    /// Tries those again whose time has come.
    pub(crate) async fn retry_waiting(&mut self, now: Timestamp) -> Result<(), EngineError> {
        if !self.is_online() {
            return Ok(());
        }
        let mut due: Vec<BareJid> =
            self.retry_waiting_at.iter().filter(|(_, at)| **at <= now).map(|(who, _)| who.clone()).collect();
        due.sort();
        for who in due {
            self.retry_waiting_at.remove(&who);
            self.advance(&who).await?;
        }
        Ok(())
    }

    /// Lists what has not reached the own server, oldest first.
    pub(crate) async fn outbox(&self) -> Result<Vec<Queued>, CommandError> {
        let owner = tables::owner(&self.own()?, &[]);
        let mut found = Vec::new();
        for (_, row) in tables::list_seq::<WaitingRow>(&self.store, tables::WAITING, &owner).await? {
            found.extend(self.queued(&row.contact, row.message_seq, &row.id).await?);
        }
        for (_, row) in tables::list_seq::<OutboxRow>(&self.store, tables::OUTBOX, &owner).await? {
            if row.contact.is_empty() {
                continue; // what two programs tell each other
            }
            let who = BareJid::parse(&row.contact).map_err(|_| EngineError::BadRow)?;
            if let Some(message) = self.message_by_id(&who, true, &row.id).await? {
                found.extend(self.queued(&row.contact, message.seq, &row.id).await?);
            }
        }
        found.sort_by_key(|queued| queued.written_at);
        Ok(found)
    }

    async fn queued(&self, address: &str, message_seq: u64, id: &str) -> Result<Option<Queued>, EngineError> {
        let own = self.own_or_bad()?;
        let who = BareJid::parse(address).map_err(|_| EngineError::BadRow)?;
        let Some(contact) = self.contact_row(&own, &who).await? else { return Ok(None) };
        let message = match message_seq {
            GREETING => None,
            seq => self.message_by_seq(&who, seq).await?,
        };
        let tries = message.as_ref().map_or(contact.greeting_tries, |message| message.tries).unwrap_or_default();
        let reason = Failure::from_code(tries.failure);
        let time = |ms: i64| (ms > 0).then(|| Timestamp::from_millis(ms));
        let waits = message.as_ref().is_none_or(|message| message.state() == StateCode::Waiting);
        Ok(Some(Queued {
            contact_name: contact.name.clone(),
            message: MessageId::new(id),
            content: match &message {
                Some(message) => Some(message.view(&contact)?.content),
                None => None,
            },
            state: match &message {
                Some(message) => message.message_state(),
                None => reason.map_or(MessageState::Waiting, MessageState::Delayed),
            },
            written_at: message.as_ref().map_or(self.now(), |message| Timestamp::from_millis(message.written_ms)),
            tried_at: time(tries.first_ms),
            next_at: time(tries.next_ms).filter(|_| waits),
            kept_until: time(tries.first_ms).map(|first| first + KEPT_FOR),
            contact: who,
        }))
    }

    /// Tries a message again that waits or could not be delivered.
    pub(crate) async fn retry(&mut self, who: &str, message: &MessageId) -> Result<Reply, CommandError> {
        let contact = self.resolve_known(who).await?;
        self.retry_of(&contact, message).await
    }

    async fn retry_of(&mut self, contact: &ContactRow, message: &MessageId) -> Result<Reply, CommandError> {
        let who = contact.jid()?;
        let row = self.message_by_id(&who, true, message.as_str()).await?.ok_or(CommandError::UnknownMessage)?;
        match row.state() {
            StateCode::Waiting => {}
            StateCode::Undeliverable => {
                let mut tx = self.store.transaction();
                let mut row = MessageRow { state: StateCode::Waiting.into(), failure: 0, tries: None, ..row };
                if let Some(file) = &mut row.file {
                    let is_empty = file.size_bytes == Some(0);
                    if file.offer.is_empty() && !is_empty && !self.has_pieces(&who, &row.id).await? {
                        return Err(CommandError::NotApplicable); // the file is not kept: it has to be sent anew
                    }
                    file.set_state(if file.offer.is_empty() { FileCode::Moving } else { FileCode::Complete });
                    file.failure = 0;
                }
                self.put_message(&mut tx, &who, &row)?;
                self.put_waiting(&mut tx, &who, row.seq, &row.id).await?;
                tx.commit().await?;
                self.emit_state(&who, &row);
            }
            _ => return Err(CommandError::NotApplicable),
        }
        self.fetches.forget(&who);
        self.advance(&who).await?;
        Ok(Reply::Saved { contact: who, message: message.clone(), replaced: false })
    }

    /// Tries one message again, by its id or the beginning of it.
    pub(crate) async fn retry_message(&mut self, id: &str) -> Result<Reply, CommandError> {
        let own = self.own()?;
        let (who, message) = self.find_own_message(id).await?;
        let contact = self.contact_row(&own, &who).await?.ok_or(CommandError::UnknownMessage)?;
        if self.message_by_id(&who, true, message.as_str()).await?.is_none() {
            self.fetches.forget(&who); // a greeting
            self.advance(&who).await?;
            return Ok(Reply::Saved { contact: who, message, replaced: false });
        }
        self.retry_of(&contact, &message).await
    }

    /// Tries everything again that waits.
    pub(crate) async fn retry_all(&mut self) -> Result<Reply, CommandError> {
        let own = self.own()?;
        for queued in self.outbox().await? {
            self.fetches.forget(&queued.contact);
        }
        self.advance_all(&own).await?;
        Ok(Reply::Outbox(self.outbox().await?))
    }

    /// Takes a message back that has not reached the own server.
    pub(crate) async fn cancel_message(&mut self, id: &str) -> Result<Reply, CommandError> {
        let (who, message) = self.find_own_message(id).await?;
        let waiting = self.waiting_for(&who).await?.into_iter().find(|row| row.id == message.as_str());
        if let Some(row) = waiting {
            self.transfers.forget_upload(&who, &message);
            self.give_up(&who, &row, Failure::Cancelled).await?;
            let mut tx = self.store.transaction();
            self.delete_pieces(&mut tx, &who, &row.id).await?;
            tx.erase();
            tx.commit().await?;
            return Ok(Reply::Nothing);
        }
        let row = self.message_by_id(&who, true, message.as_str()).await?.ok_or(CommandError::UnknownMessage)?;
        if row.state() != StateCode::Queued {
            return Err(CommandError::NotApplicable);
        }
        let row = MessageRow { state: StateCode::Undeliverable.into(), failure: Failure::Cancelled.code(), ..row };
        let mut tx = self.store.transaction();
        self.put_message(&mut tx, &who, &row)?;
        let seqs = self.delete_outbox_entry(&mut tx, message.as_str()).await?;
        tx.commit().await?;
        self.outbox_left(&seqs).await?;
        self.emit_state(&who, &row);
        Ok(Reply::Nothing)
    }

    /// Finds a message that the user sent: by its id, or by the beginning of one that has not reached the own server.
    async fn find_own_message(&self, id: &str) -> Result<(BareJid, MessageId), CommandError> {
        let own = self.own()?;
        let queued = self.outbox().await?;
        let named = |queued: &&Queued| {
            let full = queued.message.as_str();
            full == id || (id.len() >= ID_PREFIX_MIN && full.starts_with(id))
        };
        let mut found = queued.iter().filter(named);
        match (found.next(), found.next()) {
            (Some(one), None) => return Ok((one.contact.clone(), one.message.clone())),
            (Some(_), Some(_)) => return Err(CommandError::UnknownMessage),
            (None, _) => {}
        }
        for contact in self.contact_rows_of(&own).await? {
            let who = contact.jid()?;
            if self.message_by_id(&who, true, id).await?.is_some() {
                return Ok((who, MessageId::new(id)));
            }
        }
        Err(CommandError::UnknownMessage)
    }
}
