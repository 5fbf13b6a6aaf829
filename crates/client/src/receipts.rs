//! Delivery receipts (XEP-0184): given to contacts once the user has agreed, and shown when contacts give theirs.
//!
//! A receipt goes where the words came from: inside an envelope, or in clear beside the older encryption. It has no row: what
//! is lost on the way is a receipt, never a message. It leaves after its message has been committed.

use crypto::omemo::Omemo2;
use store::Transaction;
use xep::hints::Hint;
use xep::omemo::Version;
use xep::omemo::client::{Recipient, Recipients, Said, Sealer, seal};
use xep::receipts;
use xep::sce::{Envelope, recipients_hash};
use xep::witness::Witnesses;
use xmpp::jid::BareJid;
use xmpp::xml::Element;

use crate::command::Reply;
use crate::encryption::blocked_by_trust;
use crate::engine::Engine;
use crate::error::{CommandError, EngineError};
use crate::tables::{ContactRow, MessageRow, StateCode};

/// How many receipts wait at most until the own device has been checked.
const DUE_MAX: usize = 1024;

/// A receipt that is to be sealed.
pub(crate) struct DueReceipt {
    who: BareJid,
    /// The device that wrote.
    device: u32,
    id: String,
}

impl Engine {
    /// Says whether people may see that their messages arrived: one of them, or all of whom nothing else is said.
    pub(crate) async fn set_receipts(&mut self, who: Option<&str>, on: bool) -> Result<Reply, CommandError> {
        let Some(who) = who else {
            self.own()?;
            if let Some(account) = &mut self.account {
                account.row.receipts = Some(on);
            }
            self.save_account().await?;
            return Ok(Reply::Nothing);
        };
        let mut row = self.resolve_known(who).await?;
        row.receipts = Some(on);
        self.store_contact(&row).await?;
        Ok(Reply::Contact(self.contact_view(&row).await?))
    }

    /// What the user has said about receipts for a contact, or for everybody.
    pub(crate) fn receipts_for(&self, contact: &ContactRow) -> Option<bool> {
        contact.receipts.or_else(|| self.account.as_ref().and_then(|account| account.row.receipts))
    }

    fn may_get_receipt(&self, contact: &ContactRow) -> bool {
        contact.is_accepted() && blocked_by_trust(contact).is_none() && self.receipts_for(contact) == Some(true)
    }

    /// Tells a contact that their message is here, in the way it came, if the user has agreed to that.
    pub(crate) async fn give_receipt(
        &mut self,
        contact: &ContactRow,
        device: u32,
        version: Version,
        id: &str,
    ) -> Result<(), EngineError> {
        if !self.may_get_receipt(contact) {
            return Ok(());
        }
        let who = contact.jid()?;
        match version {
            Version::Omemo2 if self.receipts_due.len() < DUE_MAX => {
                self.receipts_due.push(DueReceipt { who, device, id: id.to_owned() });
                self.give_due_receipts().await
            }
            Version::Omemo2 => Ok(()),
            Version::Legacy => {
                let receipt = Element::new("message", xmpp::ns::CLIENT)
                    .with_attr("type", "chat")
                    .with_attr("to", who.as_str())
                    .with_attr("id", self.env.id())
                    .with_child(receipts::received(id))
                    .with_child(Hint::Store.to_element());
                self.send_stanza(&receipt, None);
                Ok(())
            }
        }
    }

    /// Seals what is due, as soon as ratchets may move. The user may have thought better of it meanwhile.
    pub(crate) async fn give_due_receipts(&mut self) -> Result<(), EngineError> {
        while self.is_online() && self.may_seal_for(1) && !self.receipts_due.is_empty() {
            let due = self.receipts_due.remove(0);
            let contact = self.contact_row(&self.own_or_bad()?, &due.who).await?;
            if contact.is_some_and(|contact| self.may_get_receipt(&contact)) {
                self.seal_receipt(&due).await?;
            }
        }
        Ok(())
    }

    async fn seal_receipt(&mut self, due: &DueReceipt) -> Result<(), EngineError> {
        let is_written_to = self.device_row(&due.who, due.device).await?.is_some_and(|row| row.is_written_to());
        let mut sessions = self.sessions::<Omemo2>(&due.who, due.device).await?;
        let Some(own_device) = self.device.as_ref().filter(|_| is_written_to) else { return Ok(()) };
        let envelope = Envelope {
            from: self.own_or_bad()?,
            to: due.who.clone(),
            time: self.now(),
            recipients_hash: Some(recipients_hash([(&due.who, due.device)])),
            witnesses: Witnesses::default(),
            content: vec![receipts::received(&due.id)],
        };
        let sealer = Sealer { device: own_device, now: self.now_secs(), random: &*self.env.random };
        let recipient = Recipient { jid: &due.who, device: due.device, sessions: &mut sessions };
        let mut recipients = Recipients { omemo2: vec![recipient], legacy: Vec::new() };
        let Ok(sealed) = seal(&sealer, &Said { envelope: &envelope, body: "" }, &mut recipients) else {
            return Ok(()); // the session is gone by now, and with it the way to say so
        };
        let mut tx = self.store.transaction();
        self.put_sessions(&mut tx, &due.who, due.device, &sessions)?;
        let sent = self.put_outbox(&mut tx, &due.who, &self.env.id(), &sealed, false).await?;
        tx.commit().await?;
        self.release(sent);
        Ok(())
    }

    /// Notes that a contact has a message of ours, if there is one of that id that was sent to them and had not arrived. In
    /// clear any server on the way can say so: that counts only for what an app of the older kind has got.
    pub(crate) async fn put_delivered(
        &self,
        tx: &mut Transaction,
        who: &BareJid,
        id: &str,
        in_clear: bool,
    ) -> Result<Option<MessageRow>, EngineError> {
        let Some(message) = self.message_by_id(who, true, id).await? else { return Ok(None) };
        let is_sent = matches!(message.state(), StateCode::Queued | StateCode::AtBroker);
        if !is_sent || (in_clear && !message.legacy) {
            return Ok(None);
        }
        let message = MessageRow { state: StateCode::Delivered.into(), ..message };
        self.put_message(tx, who, &message)?;
        Ok(Some(message))
    }

    /// A message that is not encrypted: at most it says that one of ours has arrived.
    pub(crate) async fn receipt_in_clear(&mut self, who: &BareJid, message: &Element) -> Result<(), EngineError> {
        let outside: Vec<Element> = message.children().filter(|child| child.ns() == receipts::NS).cloned().collect();
        let Some(id) = receipts::received_id(&outside) else { return Ok(()) };
        let contact = self.contact_row(&self.own_or_bad()?, who).await?;
        if !contact.is_some_and(|contact| contact.is_accepted()) {
            return Ok(());
        }
        let mut tx = self.store.transaction();
        let Some(arrived) = self.put_delivered(&mut tx, who, id, true).await? else { return Ok(()) };
        tx.commit().await?;
        self.emit_state(who, &arrived);
        Ok(())
    }
}
