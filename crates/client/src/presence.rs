//! Who sees when the user is online (RFC 6121 §3). Only the user decides about that (security-design §2.8).
//!
//! What is taken back is a row until the server has heard of it: people are removed and blocked without a connection too.

use store::Transaction;
use xmpp::jid::BareJid;
use xmpp::xml::Element;

use crate::command::Reply;
use crate::contacts::address_in;
use crate::engine::{Answer, Engine, Question};
use crate::error::{CommandError, EngineError};
use crate::tables::{self, ContactRow, WithdrawalRow};

impl Engine {
    /// Lets somebody see when the user is online (RFC 6121 §3.1.4).
    pub(crate) async fn grant_presence(&mut self, who: &str) -> Result<Reply, CommandError> {
        let mut row = self.resolve_known(who).await?;
        if !self.is_online() {
            return Err(CommandError::Offline);
        }
        let address = row.jid()?;
        row.asks_presence = false;
        row.sees_presence = true;
        let mut tx = self.store.transaction();
        self.put_contact(&mut tx, &row);
        self.forget_withdrawal(&mut tx, &address)?;
        tx.commit().await?;
        self.emit_contact(&row).await?;
        self.send_presence(&address, "subscribed");
        Ok(Reply::Contact(self.contact_view(&row).await?))
    }

    /// Lets somebody not see it, or not any more (RFC 6121 §3.2), whether or not they are known here: the server may know of
    /// people whom this device has forgotten.
    pub(crate) async fn revoke_presence(&mut self, who: &str) -> Result<Reply, CommandError> {
        let (own, known) = (self.own()?, self.resolve_known(who).await);
        let (address, row) = match (known, address_in(who)) {
            (Ok(row), _) => (row.jid()?, Some(row)),
            (Err(CommandError::UnknownAddress), Some(address)) if address == own => {
                return Err(CommandError::IsYourself);
            }
            (Err(CommandError::UnknownAddress), Some(address)) => (address, None),
            (Err(error), _) => return Err(error),
        };
        if !self.is_online() {
            return Err(CommandError::Offline);
        }
        let mut tx = self.store.transaction();
        self.put_withdrawal(&mut tx, address.as_str())?;
        let row = row.map(|row| ContactRow { asks_presence: false, sees_presence: false, ..row });
        if let Some(row) = &row {
            self.put_contact(&mut tx, row);
        }
        tx.commit().await?;
        self.withdraw_presence().await?;
        let Some(row) = row else { return Ok(Reply::Nothing) };
        self.emit_contact(&row).await?;
        Ok(Reply::Contact(self.contact_view(&row).await?))
    }

    /// Notes in a transaction that somebody who goes is not to see it any more, if they did. After the commit,
    /// [`Engine::withdraw_presence`] tells the server.
    pub(crate) fn stop_showing_presence(&self, tx: &mut Transaction, row: &mut ContactRow) -> Result<(), EngineError> {
        match std::mem::take(&mut row.sees_presence) {
            true => self.put_withdrawal(tx, &row.address),
            false => Ok(()),
        }
    }

    fn put_withdrawal(&self, tx: &mut Transaction, address: &str) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let row = WithdrawalRow { account: own.as_str().to_owned(), address: address.to_owned() };
        tables::save(tx, &withdrawal_key(&own, address), &row);
        Ok(())
    }

    /// They may see it again, or the server has heard that they may not.
    pub(crate) fn forget_withdrawal(&self, tx: &mut Transaction, who: &BareJid) -> Result<(), EngineError> {
        tx.delete(&withdrawal_key(&self.own_or_bad()?, who.as_str()));
        Ok(())
    }

    /// Tells the server who may not see it any more; while offline, the next session does. The answer to a ping behind it
    /// shows that the server has it: a server handles stanzas in order (RFC 6120 §10.1).
    pub(crate) async fn withdraw_presence(&mut self) -> Result<(), EngineError> {
        if !self.is_online() {
            return Ok(());
        }
        let owner = tables::owner(&self.own_or_bad()?, &[]);
        let rows: Vec<WithdrawalRow> = tables::list(&self.store, tables::WITHDRAWAL, &owner).await?;
        let mut people = Vec::new();
        for row in &rows {
            people.push(BareJid::parse(&row.address).map_err(|_| EngineError::BadRow)?);
        }
        people.sort();
        for who in &people {
            self.send_presence(who, "unsubscribed");
        }
        if !people.is_empty() {
            self.ask("get", None, Element::new("ping", xep::ping::NS), Question::Withdrawn { people });
        }
        Ok(())
    }

    /// The answer to that ping.
    pub(crate) async fn presence_withdrawn(&mut self, people: &[BareJid], answer: &Answer) -> Result<(), EngineError> {
        if matches!(answer, Answer::Lost) {
            return Ok(());
        }
        let mut tx = self.store.transaction();
        for who in people {
            self.forget_withdrawal(&mut tx, who)?;
        }
        Ok(tx.commit().await?)
    }

    pub(crate) fn send_presence(&mut self, to: &BareJid, presence_type: &'static str) {
        let presence = Element::new("presence", xmpp::ns::CLIENT)
            .with_attr("to", to.as_str())
            .with_attr("type", presence_type)
            .with_attr("id", self.env.id());
        self.send_stanza(&presence, None);
    }
}

fn withdrawal_key(own: &BareJid, address: &str) -> store::Key {
    tables::WITHDRAWAL.row(&tables::owner(own, &[]), address.as_bytes())
}
