//! What strangers may leave here: bounded, whatever they do (security-design §2.6 Strangers, attack row C26).
//!
//! Somebody who writes without words leaves nothing: no row, no session, and the prekey stays unspent. Of those who write there
//! are so many at most, and of each so much. A valid invitation passes all of it: whoever shows one is a contact.

use std::collections::HashMap;

use crypto::omemo::{Profile, SessionSet};
use store::{Direction, Transaction};
use xmpp::jid::BareJid;

use super::content::Said;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::event::Event;
use crate::tables::{self, ContactRow, MessageRow};

/// How many people may wait in the requests, and how many of one domain.
const REQUESTS_MAX: usize = 100;
const REQUESTS_PER_DOMAIN_MAX: usize = 10;
/// How much is kept of each of them.
const MESSAGES_MAX: usize = 20;
const BYTES_MAX: usize = 64 * 1024;
const SKIPPED_KEYS_MAX: usize = 100;

impl Engine {
    /// Whether what a stranger sent may be kept. Noted once that more was written than is kept.
    pub(super) async fn stranger_has_room<P: Profile>(
        &mut self,
        who: &BareJid,
        contact: Option<&ContactRow>,
        said: &Said,
        sessions: &SessionSet<P>,
    ) -> Result<bool, EngineError> {
        if let Some(token) = &said.token
            && self.is_open_token(token, who).await?
        {
            return Ok(true);
        }
        let bytes = said_bytes(said);
        if !said.has_words() || bytes > BYTES_MAX || sessions.skipped_key_count() > SKIPPED_KEYS_MAX {
            return Ok(false);
        }
        let Some(contact) = contact else { return Ok(true) };
        let owner = self.person_owner(who)?;
        let rows = self.store.scan_seq(tables::MESSAGE, &owner, .., Direction::Backward, MESSAGES_MAX).await?;
        let mut kept = bytes;
        for (_, value) in &rows {
            kept += message_bytes(&tables::decode::<MessageRow>(value)?);
        }
        if rows.len() < MESSAGES_MAX && kept <= BYTES_MAX {
            return Ok(true);
        }
        if !contact.more_not_kept {
            let row = ContactRow { more_not_kept: true, ..contact.clone() };
            self.store_contact(&row).await?;
        }
        Ok(false)
    }

    /// Makes room for one more who asks: where their domain has its share already, its oldest goes; where there are too many
    /// in all, the oldest of the domain that has most. Returns who goes, to be told after the commit.
    pub(crate) async fn make_room_for_request(
        &self,
        tx: &mut Transaction,
        who: &BareJid,
    ) -> Result<Option<BareJid>, EngineError> {
        let own = self.own_or_bad()?;
        let mut waiting: Vec<(i64, BareJid)> = Vec::new();
        for row in self.contact_rows_of(&own).await? {
            // Whom the user has let see their presence, they have decided about.
            if row.is_request() && !row.sees_presence {
                waiting.push((row.asked_ms, row.jid()?));
            }
        }
        let Some(gone) = who_goes(&waiting, who) else { return Ok(None) };
        self.delete_person(tx, &own, gone.as_str()).await?;
        tx.delete(&tables::CONTACT.row(&tables::owner(&own, &[]), gone.as_str().as_bytes()));
        Ok(Some(gone))
    }

    pub(crate) fn tell_of_gone_request(&mut self, gone: Option<BareJid>) {
        if let Some(contact) = gone {
            self.emit(Event::ContactRemoved { contact });
        }
    }
}

/// Who has to go so that one more may ask.
fn who_goes(waiting: &[(i64, BareJid)], who: &BareJid) -> Option<BareJid> {
    let oldest_of = |domain: &str| {
        let mut of_domain: Vec<_> = waiting.iter().filter(|(_, jid)| jid.domainpart() == domain).collect();
        of_domain.sort();
        of_domain.first().map(|(_, jid)| jid.clone())
    };
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (_, jid) in waiting {
        *counts.entry(jid.domainpart()).or_default() += 1;
    }
    if counts.get(who.domainpart()).copied().unwrap_or(0) >= REQUESTS_PER_DOMAIN_MAX {
        return oldest_of(who.domainpart());
    }
    if waiting.len() < REQUESTS_MAX {
        return None;
    }
    let most = counts.values().copied().max()?;
    let full = waiting.iter().filter(|(_, jid)| counts.get(jid.domainpart()) == Some(&most));
    full.min().map(|(_, jid)| jid.clone())
}

fn said_bytes(said: &Said) -> usize {
    said.text.len() + said.file.as_ref().map_or(0, prost::Message::encoded_len)
}

fn message_bytes(row: &MessageRow) -> usize {
    row.text.len() + row.file.as_ref().map_or(0, prost::Message::encoded_len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    #[test]
    fn c26_the_fullest_domains_oldest_goes() {
        let new = jid("new@east.example");
        assert_eq!(who_goes(&[], &new), None);
        let mut waiting: Vec<_> = (0..10).map(|n| (100 - n, jid(&format!("p{n}@east.example")))).collect();
        assert_eq!(who_goes(&waiting, &new), Some(jid("p9@east.example")), "a domain has its share");
        assert_eq!(who_goes(&waiting, &jid("new@west.example")), None);
        waiting.extend((0..90).map(|n| (n, jid(&format!("q@d{n}.example")))));
        assert_eq!(who_goes(&waiting, &jid("new@west.example")), Some(jid("p9@east.example")), "not the oldest of all");
        waiting.truncate(10);
        waiting.extend((0..90).map(|n| (n, jid(&format!("q{n}@d{}.example", n / 10)))));
        assert_eq!(
            who_goes(&waiting, &jid("new@west.example")),
            Some(jid("q0@d0.example")),
            "the oldest of the fullest"
        );
    }
}
