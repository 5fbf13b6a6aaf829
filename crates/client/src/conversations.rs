//! What was said with whom: messages in order, found again by their ids, and what is known about each.

use std::borrow::Cow;

use store::{Direction as Order, Transaction};
use xmpp::jid::BareJid;
use xmpp::xml::Element;

use crate::command::{InboxFilter, InboxSide, Reply, Status};
use crate::display::displayable;
use crate::engine::Engine;
use crate::error::{CommandError, EngineError, Failure};
use crate::event::{Content, Direction, Event, FileOffer, FileState, Message, MessageId, MessageState};
use crate::tables::{self, ContactRow, FileCode, MessageIdRow, MessageRow, StateCode, WaitingRow};

/// The longest text of one message as XML, in bytes: with its envelope it fits what may be sent.
const TEXT_BYTES_MAX: usize = 56 * 1024;

/// How a message gets its place in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbered {
    /// By a counter that never gives a place twice.
    ByCounter,
    /// After the last one: of strangers, for whom there is no counter, because its row would outlast them.
    ByLast,
}

impl MessageRow {
    pub(crate) fn message_state(&self) -> MessageState {
        match self.state() {
            StateCode::Waiting => self.delayed_by().map_or(MessageState::Waiting, MessageState::Delayed),
            StateCode::Queued => MessageState::Queued,
            StateCode::AtBroker => MessageState::AtBroker,
            StateCode::Delivered => MessageState::Delivered,
            StateCode::Undeliverable => {
                MessageState::Undeliverable(Failure::from_code(self.failure).unwrap_or(Failure::Refused))
            }
            StateCode::Received => MessageState::Received,
        }
    }

    pub(crate) fn view(&self, contact: &ContactRow) -> Result<Message, EngineError> {
        let content = match &self.file {
            None => Content::Text(self.text.clone()),
            Some(file) => Content::File(FileOffer {
                name: file.name.clone(),
                size_bytes: file.size_bytes,
                media_type: file.media_type.clone(),
                state: file.file_state(),
            }),
        };
        Ok(Message {
            contact: contact.jid()?,
            contact_name: contact.name.clone(),
            seq: self.seq,
            id: MessageId(self.id.clone()),
            direction: if self.outgoing { Direction::Outgoing } else { Direction::Incoming },
            written_at: xmpp::time::Timestamp::from_millis(self.written_ms),
            saved_at: xmpp::time::Timestamp::from_millis(self.saved_ms),
            content,
            state: self.message_state(),
            verified: self.verified,
            new_app: self.unconfirmed,
            legacy: self.legacy,
            read: self.outgoing || self.seq <= contact.read_up_to,
            request: contact.is_request(),
        })
    }
}

impl tables::FileRow {
    pub(crate) fn file_state(&self) -> FileState {
        match self.state() {
            FileCode::Offered => FileState::Offered,
            FileCode::Moving => FileState::Moving { done_bytes: 0, total_bytes: self.size_bytes.unwrap_or(0) },
            FileCode::Complete => FileState::Complete,
            FileCode::Failed => FileState::Failed(Failure::from_code(self.failure).unwrap_or(Failure::Refused)),
        }
    }
}

impl Engine {
    /// Saves words to be sent. What no screen should get and XML cannot carry is replaced before.
    pub(crate) async fn say(&mut self, who: &str, text: String) -> Result<Reply, CommandError> {
        if text.trim().is_empty() {
            return Err(CommandError::Empty);
        }
        let (text, replaced) = match displayable(&text) {
            Cow::Owned(text) => (text, true),
            Cow::Borrowed(_) => (text, false),
        };
        if Element::new("body", "").with_text(&text).to_xml("").len() > TEXT_BYTES_MAX {
            return Err(CommandError::TooLong);
        }
        let contact = self.resolve_recipient(who).await?;
        let row = MessageRow { text, ..self.new_outgoing(&contact) };
        self.save_outgoing(&contact, row, replaced).await
    }

    pub(crate) fn new_outgoing(&self, contact: &ContactRow) -> MessageRow {
        let now = self.now().as_millis();
        MessageRow {
            account: contact.account.clone(),
            contact: contact.address.clone(),
            id: self.env.id(),
            outgoing: true,
            written_ms: now,
            saved_ms: now,
            ..MessageRow::default()
        }
    }

    /// Saves a message and its place in the queue, then lets it go as far as it can. `replaced` is for the reply.
    pub(crate) async fn save_outgoing(
        &mut self,
        contact: &ContactRow,
        mut row: MessageRow,
        replaced: bool,
    ) -> Result<Reply, CommandError> {
        let who = contact.jid()?;
        let mut tx = self.store.transaction();
        self.put_new_message(&mut tx, &who, &mut row, Numbered::ByCounter).await?;
        self.put_waiting(&mut tx, &who, row.seq, &row.id).await?;
        tx.commit().await?;
        let view = row.view(contact)?;
        self.emit(Event::Message(view));
        self.advance(&who).await?;
        Ok(Reply::Saved { contact: who, message: MessageId(row.id), replaced })
    }

    /// Gives a new message its place in its conversation.
    pub(crate) async fn put_new_message(
        &self,
        tx: &mut Transaction,
        who: &BareJid,
        row: &mut MessageRow,
        numbered: Numbered,
    ) -> Result<(), EngineError> {
        let owner = self.person_owner(who)?;
        let newest = self.store.scan_seq(tables::MESSAGE, &owner, .., Order::Backward, 1).await?;
        let newest = newest.first().map_or(0, |(seq, _)| *seq);
        row.seq = match numbered {
            Numbered::ByLast => newest + 1,
            Numbered::ByCounter => self.store.next_seq(tables::MESSAGE, &owner).await?,
        };
        // The counter begins when somebody is accepted; what they wrote before has its numbers.
        while row.seq <= newest {
            row.seq = self.store.next_seq(tables::MESSAGE, &owner).await?;
        }
        tables::save(tx, &tables::MESSAGE.seq(&owner, row.seq), row);
        let id_row = MessageIdRow { account: row.account.clone(), seq: row.seq };
        tables::save(tx, &tables::MESSAGE_ID.row(&owner, &id_name(row.outgoing, &row.id)), &id_row);
        Ok(())
    }

    pub(crate) async fn put_waiting(
        &self,
        tx: &mut Transaction,
        who: &BareJid,
        message_seq: u64,
        id: &str,
    ) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let owner = tables::owner(&own, &[]);
        let seq = self.store.next_seq(tables::WAITING, &owner).await?;
        let row = WaitingRow {
            account: own.as_str().to_owned(),
            contact: who.as_str().to_owned(),
            message_seq,
            seq,
            id: id.to_owned(),
        };
        tables::save(tx, &tables::WAITING.seq(&owner, seq), &row);
        Ok(())
    }

    /// Puts a greeting into the queue: a message without words, which carries an invitation's token.
    pub(crate) async fn put_greeting(&self, tx: &mut Transaction, who: &BareJid) -> Result<(), EngineError> {
        self.put_waiting(tx, who, GREETING, &self.env.id()).await
    }

    pub(crate) async fn history(
        &self,
        who: &str,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Message>, CommandError> {
        let contact = self.resolve_known(who).await?;
        let mut messages = self.messages_before(&contact, before.unwrap_or(u64::MAX), limit).await?;
        messages.reverse();
        Ok(messages)
    }

    /// Reads backwards from a place.
    async fn messages_before(
        &self,
        contact: &ContactRow,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Message>, EngineError> {
        let owner = self.person_owner(&contact.jid()?)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let rows = self.store.scan_seq(tables::MESSAGE, &owner, ..before, Order::Backward, limit).await?;
        rows.iter().map(|(_, value)| tables::decode::<MessageRow>(value)?.view(contact)).collect()
    }

    pub(crate) async fn inbox(&self, filter: InboxFilter) -> Result<Vec<Message>, CommandError> {
        let own = self.own()?;
        let mut messages = Vec::new();
        for contact in self.contact_rows_of(&own).await? {
            let wanted = match filter.from {
                InboxSide::Contacts => contact.is_accepted(),
                InboxSide::Requests => contact.is_request(),
            };
            if wanted {
                let found = self.messages_before(&contact, u64::MAX, filter.limit).await?;
                messages.extend(found.into_iter().filter(|m| !filter.unread_only || !m.read));
            }
        }
        messages.sort_by_key(|message| (message.saved_at, message.seq));
        Ok(messages)
    }

    pub(crate) async fn mark_read(&mut self, who: &str) -> Result<Reply, CommandError> {
        let mut contact = self.resolve_known(who).await?;
        let owner = self.person_owner(&contact.jid()?)?;
        let newest = self.store.scan_seq(tables::MESSAGE, &owner, .., Order::Backward, 1).await?;
        let newest = newest.first().map_or(0, |(seq, _)| *seq);
        if contact.unread_count > 0 || contact.read_up_to < newest {
            contact.read_up_to = newest;
            contact.unread_count = 0;
            self.store_contact(&contact).await?;
        }
        Ok(Reply::Nothing)
    }

    pub(crate) async fn status(&self) -> Result<Status, CommandError> {
        let mut status = Status {
            address: None,
            account: self.account_state.clone(),
            waiting_count: 0,
            queued_count: 0,
            unread_count: 0,
            requests_count: 0,
            contacts_count: 0,
            clock_ahead_ms: match self.clock.look(self.env.clock_reading()).await? {
                store::ClockVerdict::Believed => None,
                store::ClockVerdict::Doubted { ahead_ms, .. } => Some(ahead_ms),
            },
            witness: self.witness_state().await.map_err(|_| CommandError::Store(store::StoreError::Altered))?,
        };
        let Ok(own) = self.own() else { return Ok(status) };
        let owner = tables::owner(&own, &[]);
        for row in self.contact_rows_of(&own).await? {
            if row.is_accepted() {
                status.contacts_count += 1;
                status.unread_count += row.unread_count;
            }
            status.requests_count += u64::from(row.is_request());
        }
        let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
        let waiting = self.store.scan_seq(tables::WAITING, &owner, .., Order::Forward, usize::MAX).await?;
        let queued = self.store.scan_seq(tables::OUTBOX, &owner, .., Order::Forward, usize::MAX).await?;
        (status.waiting_count, status.queued_count) = (count(waiting.len()), count(queued.len()));
        status.address = Some(own);
        Ok(status)
    }

    pub(crate) async fn message_by_id(
        &self,
        who: &BareJid,
        outgoing: bool,
        id: &str,
    ) -> Result<Option<MessageRow>, EngineError> {
        let owner = self.person_owner(who)?;
        let key = tables::MESSAGE_ID.row(&owner, &id_name(outgoing, id));
        match tables::load::<MessageIdRow>(&self.store, &key).await? {
            Some(found) => tables::load(&self.store, &tables::MESSAGE.seq(&owner, found.seq)).await,
            None => Ok(None),
        }
    }

    pub(crate) async fn message_by_seq(&self, who: &BareJid, seq: u64) -> Result<Option<MessageRow>, EngineError> {
        tables::load(&self.store, &tables::MESSAGE.seq(&self.person_owner(who)?, seq)).await
    }

    pub(crate) fn put_message(&self, tx: &mut Transaction, who: &BareJid, row: &MessageRow) -> Result<(), EngineError> {
        tables::save(tx, &tables::MESSAGE.seq(&self.person_owner(who)?, row.seq), row);
        Ok(())
    }

    pub(crate) fn emit_state(&mut self, who: &BareJid, row: &MessageRow) {
        let state = row.message_state();
        self.emit(Event::MessageState { contact: who.clone(), id: MessageId(row.id.clone()), state });
    }

    pub(crate) fn emit_message(&mut self, contact: &ContactRow, row: &MessageRow) -> Result<(), EngineError> {
        let view = row.view(contact)?;
        self.emit(Event::Message(view));
        Ok(())
    }

    /// The owner of the rows about a person.
    pub(crate) fn person_owner(&self, who: &BareJid) -> Result<Vec<u8>, EngineError> {
        Ok(tables::owner(&self.own_or_bad()?, &[who.as_str()]))
    }

    pub(crate) fn own_or_bad(&self) -> Result<BareJid, EngineError> {
        // Rows are written and read for an account only; without one there is nothing to read.
        self.account.as_ref().map(|account| account.jid.clone()).ok_or(EngineError::BadRow)
    }
}

/// The place of a greeting, which is in no conversation; messages are counted from 1.
pub(crate) const GREETING: u64 = 0;

/// Names a message by direction and id: the two sides may use the same id.
fn id_name(outgoing: bool, id: &str) -> Vec<u8> {
    let mut name = vec![u8::from(outgoing)];
    name.extend_from_slice(id.as_bytes());
    name
}
