//! Messages on their way to the own server: saved before they are sent, and kept until the server says it has them.
//!
//! Two queues, both in the store: *waiting* holds what is not encrypted yet, *outbox* what is, as the stanza's own bytes.
//! After a lost connection the outbox is sent again, unchanged and with the same ids, and receivers show it once.
//! The outbox takes only [`Sealed`] (C08).

use store::{Direction, Transaction};
use xep::omemo::client::Sealed;
use xmpp::jid::BareJid;
use xmpp::stanza::StanzaError;
use xmpp::stream::StreamCondition;
use xmpp::xml::{Element, Frame};

use crate::engine::{Engine, Question};
use crate::error::{EngineError, Failure};
use crate::retries::may_pass;
use crate::tables::{self, FileCode, MessageRow, OutboxRow, StateCode, WaitingRow};

/// The longest stanza that is read back from the outbox.
const STANZA_BYTES_MAX: usize = 512 * 1024;
/// An entry that was alone when the server ended the connection over it so often, the time included when it was one of
/// several, is at fault.
const REFUSALS_MAX: u32 = 2;

/// A stanza that is in the outbox as soon as its transaction is committed, and may be sent then.
#[must_use = "a stanza that is not released is sent only after the next start"]
pub(crate) struct Kept {
    seq: u64,
    frame: Frame,
    /// How many devices it is encrypted for.
    devices: usize,
}

impl Engine {
    /// Puts a sealed message into the outbox. The argument's type is the rule: nothing else gets in.
    pub(crate) async fn put_outbox(
        &self,
        tx: &mut Transaction,
        to: &BareJid,
        id: &str,
        sealed: &Sealed,
        in_conversation: bool,
    ) -> Result<Kept, EngineError> {
        let own = self.own_or_bad()?;
        let owner = tables::owner(&own, &[]);
        let seq = self.store.next_seq(tables::OUTBOX, &owner).await?;
        let message = sealed.to_message(to, id);
        let row = OutboxRow {
            account: own.as_str().to_owned(),
            seq,
            contact: if in_conversation { to.as_str().to_owned() } else { String::new() },
            id: id.to_owned(),
            stanza: message.to_xml(""),
            refused_count: 0,
        };
        tables::save(tx, &tables::OUTBOX.seq(&owner, seq), &row);
        let devices = sealed.parts().iter().map(|part| part.keys.len()).sum();
        Ok(Kept { seq, frame: Frame::from_element(&message, xmpp::ns::CLIENT), devices })
    }

    /// Sends what has been committed, or lets it wait for its turn.
    pub(crate) fn release(&mut self, kept: Kept) {
        self.count_sending_steps(kept.devices);
        self.outbox_open.insert(kept.seq);
        if self.outbox_careful && !self.outbox_sent.is_empty() {
            return;
        }
        if self.send_frame(&kept.frame, Some(kept.seq)) {
            self.outbox_sent.insert(kept.seq);
            self.ask_for_acknowledgement(kept.seq);
        }
    }

    /// Where the server has no XEP-0198, the answer to a ping behind the message is the acknowledgement: a server handles
    /// stanzas in order (RFC 6120 §10.1).
    fn ask_for_acknowledgement(&mut self, up_to: u64) {
        if !self.has_acks() {
            self.ask("get", None, Element::new("ping", xep::ping::NS), Question::OutboxPing { up_to });
        }
        self.expect_sign_of_life();
    }

    pub(crate) fn has_outbox(&self) -> bool {
        !self.outbox_open.is_empty()
    }

    /// At the start of a session: everything that the server has not acknowledged, once more.
    pub(crate) async fn resend_outbox(&mut self) -> Result<(), EngineError> {
        self.outbox_sent.clear();
        self.send_outbox().await
    }

    /// Sends what is in the outbox and has not been sent on this connection: all of it, or, after a server has ended a
    /// connection over one of them, one at a time.
    async fn send_outbox(&mut self) -> Result<(), EngineError> {
        let owner = tables::owner(&self.own_or_bad()?, &[]);
        let rows: Vec<(u64, OutboxRow)> = tables::list_seq(&self.store, tables::OUTBOX, &owner).await?;
        self.outbox_open = rows.iter().map(|(seq, _)| *seq).collect();
        self.outbox_careful = rows.iter().any(|(_, row)| row.refused_count > 0);
        let mut last = None;
        for (seq, row) in &rows {
            if self.outbox_careful && !self.outbox_sent.is_empty() {
                break;
            }
            if self.outbox_sent.contains(seq) {
                continue;
            }
            let Ok(stanza) = xep::document::parse(row.stanza.as_bytes(), STANZA_BYTES_MAX) else {
                self.drop_from_outbox(*seq, row).await?;
                continue;
            };
            if self.send_stanza(&stanza, Some(*seq)) {
                self.outbox_sent.insert(*seq);
                last = Some(*seq);
            }
        }
        if let Some(last) = last {
            self.ask_for_acknowledgement(last);
        }
        Ok(())
    }

    /// The server has these; they leave the outbox.
    pub(crate) async fn acknowledged(&mut self, seqs: &[u64]) -> Result<(), EngineError> {
        let owner = tables::owner(&self.own_or_bad()?, &[]);
        let mut tx = self.store.transaction();
        let mut arrived = Vec::new();
        for seq in seqs {
            let key = tables::OUTBOX.seq(&owner, *seq);
            let Some(row) = tables::load::<OutboxRow>(&self.store, &key).await? else { continue };
            tx.delete(&key);
            if let Ok(who) = BareJid::parse(&row.contact)
                && let Some(message) = self.message_by_id(&who, true, &row.id).await?
                && message.state() == StateCode::Queued
            {
                let message = MessageRow { state: StateCode::AtBroker.into(), ..message };
                self.put_message(&mut tx, &who, &message)?;
                arrived.push((who, message));
            }
        }
        tx.commit().await?;
        for (who, message) in &arrived {
            self.emit_state(who, message);
        }
        self.outbox_left(seqs).await
    }

    /// The answer to a ping behind the outbox: everything up to there has arrived.
    pub(crate) async fn acknowledged_up_to(&mut self, up_to: u64) -> Result<(), EngineError> {
        let seqs: Vec<u64> = self.outbox_open.range(..=up_to).copied().collect();
        self.acknowledged(&seqs).await
    }

    /// A message came back as an error (RFC 6120 §8.3).
    pub(crate) async fn bounced(&mut self, stanza: &Element, from: &BareJid) -> Result<(), EngineError> {
        let (Some(id), Some(error)) = (stanza.attr("id"), StanzaError::of_stanza(stanza)) else { return Ok(()) };
        let failure = Failure::from(&error);
        let Some(message) = self.message_by_id(from, true, id).await? else {
            return if may_pass(&error) { self.greeting_came_back(from, id).await } else { Ok(()) };
        };
        if !matches!(message.state(), StateCode::Queued | StateCode::AtBroker) {
            return Ok(());
        }
        if may_pass(&error) {
            return self.came_back(from, message, failure).await;
        }
        let message = MessageRow { state: StateCode::Undeliverable.into(), failure: failure.code(), ..message };
        let mut tx = self.store.transaction();
        self.put_message(&mut tx, from, &message)?;
        let seqs = self.delete_outbox_entry(&mut tx, id).await?;
        tx.commit().await?;
        self.emit_state(from, &message);
        self.outbox_left(&seqs).await
    }

    /// The server ended the connection in a way that says that what was sent is at fault. Of several entries nobody knows
    /// which one it was: they go one by one next time. One that ends a connection alone, again, is at fault.
    pub(crate) async fn outbox_blamed(&mut self, condition: StreamCondition) -> Result<(), EngineError> {
        if !blames_what_was_sent(condition) {
            return Ok(());
        }
        let owner = tables::owner(&self.own_or_bad()?, &[]);
        let sent: Vec<u64> = self.outbox_sent.iter().copied().collect();
        for seq in &sent {
            let key = tables::OUTBOX.seq(&owner, *seq);
            let Some(mut row) = tables::load::<OutboxRow>(&self.store, &key).await? else { continue };
            row.refused_count = row.refused_count.saturating_add(1);
            if sent.len() == 1 && row.refused_count >= REFUSALS_MAX {
                self.drop_from_outbox(*seq, &row).await?;
                continue;
            }
            let mut tx = self.store.transaction();
            tables::save(&mut tx, &key, &row);
            tx.commit().await?;
        }
        Ok(())
    }

    /// An entry that can never be sent leaves the outbox, and its message says why.
    async fn drop_from_outbox(&mut self, seq: u64, row: &OutboxRow) -> Result<(), EngineError> {
        let mut tx = self.store.transaction();
        tx.delete(&tables::OUTBOX.seq(&tables::owner(&self.own_or_bad()?, &[]), seq));
        let who = BareJid::parse(&row.contact).ok();
        let message = match &who {
            Some(who) => self.message_by_id(who, true, &row.id).await?,
            None => None,
        };
        let message = message.filter(|message| message.state() == StateCode::Queued).map(|message| MessageRow {
            state: StateCode::Undeliverable.into(),
            failure: Failure::EndsConnection.code(),
            ..message
        });
        if let (Some(who), Some(message)) = (&who, &message) {
            self.put_message(&mut tx, who, message)?;
        }
        tx.commit().await?;
        self.outbox_open.remove(&seq);
        self.outbox_sent.remove(&seq);
        if let (Some(who), Some(message)) = (&who, &message) {
            self.emit_state(who, message);
        }
        Ok(())
    }

    /// Deletes the entries of an id in a transaction; afterwards they have to be told to [`Engine::outbox_left`].
    pub(crate) async fn delete_outbox_entry(&self, tx: &mut Transaction, id: &str) -> Result<Vec<u64>, EngineError> {
        let owner = tables::owner(&self.own_or_bad()?, &[]);
        let rows: Vec<(u64, OutboxRow)> = tables::list_seq(&self.store, tables::OUTBOX, &owner).await?;
        let seqs: Vec<u64> = rows.into_iter().filter(|(_, row)| row.id == id).map(|(seq, _)| seq).collect();
        for seq in &seqs {
            tx.delete(&tables::OUTBOX.seq(&owner, *seq));
        }
        Ok(seqs)
    }

    /// These are not in the outbox any more; where entries go one by one, the next one has its turn.
    pub(crate) async fn outbox_left(&mut self, seqs: &[u64]) -> Result<(), EngineError> {
        for seq in seqs {
            self.outbox_open.remove(seq);
            self.outbox_sent.remove(seq);
        }
        if self.outbox_careful { self.send_outbox().await } else { Ok(()) }
    }

    /// What waits for a person, oldest first.
    pub(crate) async fn waiting_for(&self, who: &BareJid) -> Result<Vec<WaitingRow>, EngineError> {
        let owner = tables::owner(&self.own_or_bad()?, &[]);
        let rows: Vec<(u64, WaitingRow)> = tables::list_seq(&self.store, tables::WAITING, &owner).await?;
        Ok(rows.into_iter().map(|(_, row)| row).filter(|row| row.contact == who.as_str()).collect())
    }

    /// Tries everything that waits. `about` is a person of whom something has become known; the own account concerns all.
    pub(crate) async fn advance_all(&mut self, about: &BareJid) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        if *about != own {
            return self.advance(about).await;
        }
        let owner = tables::owner(&own, &[]);
        let rows = self.store.scan_seq(tables::WAITING, &owner, .., Direction::Forward, usize::MAX).await?;
        let mut people: Vec<BareJid> = Vec::new();
        for (_, value) in &rows {
            let who = BareJid::parse(&tables::decode::<WaitingRow>(value)?.contact).map_err(|_| EngineError::BadRow)?;
            if !people.contains(&who) {
                people.push(who);
            }
        }
        for who in people {
            self.advance(&who).await?;
        }
        Ok(())
    }

    /// Takes a message out of the queue that cannot be sent, and tells the user why.
    pub(crate) async fn give_up(
        &mut self,
        who: &BareJid,
        waiting: &WaitingRow,
        failure: Failure,
    ) -> Result<(), EngineError> {
        let mut tx = self.store.transaction();
        self.delete_waiting(&mut tx, waiting)?;
        let message = self.message_by_seq(who, waiting.message_seq).await?.map(|mut message| {
            message.set_state(StateCode::Undeliverable);
            message.failure = failure.code();
            if let Some(file) = &mut message.file {
                file.set_state(FileCode::Failed);
                file.failure = failure.code();
            }
            message
        });
        if let Some(message) = &message {
            self.put_message(&mut tx, who, message)?;
        }
        tx.commit().await?;
        if let Some(message) = &message {
            self.emit_state(who, message);
        }
        self.undo_contact(who, failure).await
    }

    pub(crate) async fn drop_waiting(&mut self, waiting: &WaitingRow) -> Result<(), EngineError> {
        let mut tx = self.store.transaction();
        self.delete_waiting(&mut tx, waiting)?;
        Ok(tx.commit().await?)
    }

    pub(crate) fn delete_waiting(&self, tx: &mut Transaction, waiting: &WaitingRow) -> Result<(), EngineError> {
        tx.delete(&tables::WAITING.seq(&tables::owner(&self.own_or_bad()?, &[]), waiting.seq));
        Ok(())
    }
}

/// Whether a server that ends a stream so says that something in it cannot be taken (RFC 6120 §4.9.3).
fn blames_what_was_sent(condition: StreamCondition) -> bool {
    matches!(
        condition,
        StreamCondition::BadFormat
            | StreamCondition::BadNamespacePrefix
            | StreamCondition::ImproperAddressing
            | StreamCondition::InvalidFrom
            | StreamCondition::InvalidNamespace
            | StreamCondition::InvalidXml
            | StreamCondition::NotWellFormed
            | StreamCondition::PolicyViolation
            | StreamCondition::RestrictedXml
            | StreamCondition::UndefinedCondition
            | StreamCondition::UnsupportedEncoding
            | StreamCondition::UnsupportedFeature
            | StreamCondition::UnsupportedStanzaType
    )
}
