//! Makes the servers of contacts known to our own, as their links say (`xep::peer`): a broker that is called by its key
//! alone is in no DNS, and ours may be told by its people where it listens.

use xep::peer::{Introduction, makes};
use xmpp::jid::{BareJid, Jid};

use crate::account::endpoints_from_rows;
use crate::engine::{Answer, Engine, Question};
use crate::error::EngineError;
use crate::invites::endpoint_to_uri;
use crate::tables::ContactRow;

impl Engine {
    /// At the start of a session: makes known what could not be before.
    pub(crate) async fn introduce_servers(&mut self) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        for row in self.contact_rows_of(&own).await? {
            self.introduce_server(&row)?;
        }
        Ok(())
    }

    /// Hands pin and place of a contact's server to our own, unless it has them or would not need them.
    pub(crate) fn introduce_server(&mut self, row: &ContactRow) -> Result<(), EngineError> {
        let (own, who) = (self.own_or_bad()?, row.jid()?);
        let pin = row.server_pin.as_deref().and_then(|pin| <[u8; 32]>::try_from(pin).ok());
        let Some(pin) = pin.filter(|pin| makes(pin, who.domainpart())) else { return Ok(()) };
        let is_due = row.is_accepted() && !row.server_introduced && who.domainpart() != own.domainpart();
        if !is_due || !self.is_online() {
            return Ok(());
        }
        let introduction = Introduction {
            domain: who.domainpart().to_owned(),
            pin,
            at: endpoints_from_rows(&row.server_endpoints)
                .iter()
                .filter_map(endpoint_to_uri)
                .take(xep::peer::PLACES_MAX)
                .collect(),
            token: row.greet_token.clone(),
        };
        let Ok(server) = Jid::parse(own.domainpart()) else { return Ok(()) };
        self.ask("set", Some(&server), introduction.to_element(), Question::Introduction { contact: who });
        Ok(())
    }

    /// Our server knows it, or will not: then messages there fail as to any server that it does not know.
    pub(crate) async fn introduction_answer(&mut self, contact: BareJid, answer: &Answer) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        if answer.failure().is_none()
            && let Some(mut row) = self.contact_row(&own, &contact).await?
        {
            row.server_introduced = true;
            let mut tx = self.store.transaction();
            self.put_contact(&mut tx, &row);
            tx.commit().await?;
        }
        Ok(())
    }
}
