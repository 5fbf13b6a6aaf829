//! Messages on their way to the own server: saved before they are sent, and kept until the server says it has them.
//!
//! Two queues, both in the store: *waiting* holds what is not encrypted yet, *outbox* what is, as the stanza's own bytes.
//! After a lost connection the outbox is sent again, unchanged and with the same ids, and receivers show it once.
//! The outbox takes only [`Sealed`] (C08).

use std::time::Duration;

use store::{Direction, Transaction};
use xep::omemo::client::Sealed;
use xmpp::jid::BareJid;
use xmpp::stanza::{Condition, ErrorType, StanzaError};
use xmpp::time::Timestamp;
use xmpp::xml::{Element, Frame};

use crate::engine::{Engine, Question};
use crate::error::{EngineError, Failure};
use crate::event::MessageId;
use crate::invites::InvitePurpose;
use crate::tables::{self, FileCode, MessageRow, OutboxRow, StateCode, WaitingRow};

/// The longest stanza that is read back from the outbox.
const STANZA_BYTES_MAX: usize = 512 * 1024;
/// When a message that came back from a server that did not answer is tried again.
const BOUNCE_WAIT: Duration = Duration::from_secs(120);

/// A stanza that is in the outbox as soon as its transaction is committed, and may be sent then.
#[must_use = "a stanza that is not released is sent only after the next start"]
pub(crate) struct Kept {
    seq: u64,
    frame: Frame,
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
        };
        tables::save(tx, &tables::OUTBOX.seq(&owner, seq), &row);
        Ok(Kept { seq, frame: Frame::from_element(&message, xmpp::ns::CLIENT) })
    }

    /// Sends what has been committed.
    pub(crate) fn release(&mut self, kept: Kept) {
        self.count_sending_step();
        self.outbox_open.insert(kept.seq);
        if self.send_frame(&kept.frame, Some(kept.seq)) {
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
        let owner = tables::owner(&self.own_or_bad()?, &[]);
        let rows: Vec<(u64, OutboxRow)> = tables::list_seq(&self.store, tables::OUTBOX, &owner).await?;
        self.outbox_open = rows.iter().map(|(seq, _)| *seq).collect();
        for (seq, row) in &rows {
            let stanza =
                xep::document::parse(row.stanza.as_bytes(), STANZA_BYTES_MAX).map_err(|_| EngineError::BadRow)?;
            self.send_stanza(&stanza, Some(*seq));
        }
        if let Some((last, _)) = rows.last() {
            self.ask_for_acknowledgement(*last);
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
        for seq in seqs {
            self.outbox_open.remove(seq);
        }
        for (who, message) in &arrived {
            self.emit_state(who, message);
        }
        Ok(())
    }

    /// The answer to a ping behind the outbox: everything up to there has arrived.
    pub(crate) async fn acknowledged_up_to(&mut self, up_to: u64) -> Result<(), EngineError> {
        let seqs: Vec<u64> = self.outbox_open.range(..=up_to).copied().collect();
        self.acknowledged(&seqs).await
    }

    /// A message came back as an error (RFC 6120 §8.3).
    pub(crate) async fn bounced(&mut self, stanza: &Element, from: &BareJid) -> Result<(), EngineError> {
        let (Some(id), Some(error)) = (stanza.attr("id"), StanzaError::of_stanza(stanza)) else { return Ok(()) };
        let Some(message) = self.message_by_id(from, true, id).await? else { return Ok(()) };
        if !matches!(message.state(), StateCode::Queued | StateCode::AtBroker) {
            return Ok(());
        }
        let failure = Failure::from(&error);
        let mut tx = self.store.transaction();
        let message = if failure.is_temporary() || may_pass(&error) {
            self.put_waiting(&mut tx, from, message.seq, &message.id).await?;
            let at = self.after(BOUNCE_WAIT);
            self.retry_waiting_at.insert(from.clone(), at);
            MessageRow { state: StateCode::Waiting.into(), ..message }
        } else {
            MessageRow { state: StateCode::Undeliverable.into(), failure: failure.code(), ..message }
        };
        self.put_message(&mut tx, from, &message)?;
        tx.commit().await?;
        self.emit_state(from, &message);
        Ok(())
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
            if failure == Failure::NotSecure {
                let purpose = InvitePurpose::Unreachable { contact: who.clone(), message: MessageId::new(&message.id) };
                self.ask_invite(purpose);
            }
        }
        Ok(())
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

/// Whether a server refused only for now: it says to wait, or failed by its own fault. (That somebody is away and their
/// server keeps nothing is an answer that the user should see.)
fn may_pass(error: &StanzaError) -> bool {
    match error.condition {
        Condition::InternalServerError => true,
        Condition::RecipientUnavailable => false,
        _ => error.error_type == ErrorType::Wait,
    }
}
