//! What the user must know: rows that stay until they have seen them, one per kind and person, counted (security-design
//! §2.6).
//!
//! Whatever causes a notice notes it in its own transaction, [`Engine::note`], and tells of it after the commit,
//! [`Engine::notify`]: whoever listens just then hears it at once, and whoever does not finds the row later.

use store::Transaction;
use xmpp::jid::BareJid;
use xmpp::time::Timestamp;

use crate::command::Reply;
use crate::engine::Engine;
use crate::error::{CommandError, EngineError};
use crate::event::{Event, KeptNotice, Notice};
use crate::tables::{self, NoticeRow};

/// A notice that is in a transaction which is not committed yet.
#[must_use = "the user is told once it is committed: Engine::notify"]
pub(crate) struct Noted(Notice);

impl Notice {
    /// The kinds as they are stored. A number is never used again.
    const CODES: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

    /// One of each kind about somebody, for whoever keeps watch over what is said to people.
    #[must_use]
    pub fn every(contact: &BareJid) -> Vec<Self> {
        let about = || contact.clone();
        store::every!(Self {
            Unreadable => [Self::Unreadable { contact: about() }],
            StillUnreadable => [Self::StillUnreadable { contact: about() }],
            NewDevice => [Self::NewDevice { contact: about() }],
            NewOwnDevice => [Self::NewOwnDevice],
            Changed => [Self::Changed { contact: about() }],
            Misaddressed => [Self::Misaddressed { contact: about() }],
            DeviceRenewed => [Self::DeviceRenewed],
            NotAllAddressed => [Self::NotAllAddressed { contact: about() }],
            OddTime => [Self::OddTime { contact: about() }],
            NewApp => [Self::NewApp { contact: about() }],
            WordsHeld => [Self::WordsHeld { contact: about() }],
            Joined => [Self::Joined { contact: about() }],
        })
    }

    /// Whom it is about; nobody for the own account and this machine.
    pub fn contact(&self) -> Option<&BareJid> {
        match self {
            Self::Unreadable { contact }
            | Self::StillUnreadable { contact }
            | Self::NewDevice { contact }
            | Self::Changed { contact }
            | Self::Misaddressed { contact }
            | Self::NotAllAddressed { contact }
            | Self::OddTime { contact }
            | Self::NewApp { contact }
            | Self::WordsHeld { contact }
            | Self::Joined { contact } => Some(contact),
            Self::NewOwnDevice | Self::DeviceRenewed => None,
        }
    }

    fn code(&self) -> u8 {
        match self {
            Self::Unreadable { .. } => 1,
            Self::StillUnreadable { .. } => 2,
            Self::NewDevice { .. } => 3,
            Self::NewOwnDevice => 4,
            Self::Changed { .. } => 5,
            Self::Misaddressed { .. } => 6,
            Self::DeviceRenewed => 7,
            Self::NotAllAddressed { .. } => 8,
            Self::OddTime { .. } => 9,
            Self::NewApp { .. } => 10,
            Self::WordsHeld { .. } => 11,
            Self::Joined { .. } => 12,
        }
    }

    /// Reads what a row says; nothing for a kind that only a newer version knows.
    fn from_row(row: &NoticeRow) -> Option<Self> {
        let contact = || BareJid::parse(&row.contact).ok();
        Some(match u8::try_from(row.kind).ok()? {
            1 => Self::Unreadable { contact: contact()? },
            2 => Self::StillUnreadable { contact: contact()? },
            3 => Self::NewDevice { contact: contact()? },
            4 => Self::NewOwnDevice,
            5 => Self::Changed { contact: contact()? },
            6 => Self::Misaddressed { contact: contact()? },
            7 => Self::DeviceRenewed,
            8 => Self::NotAllAddressed { contact: contact()? },
            9 => Self::OddTime { contact: contact()? },
            10 => Self::NewApp { contact: contact()? },
            11 => Self::WordsHeld { contact: contact()? },
            12 => Self::Joined { contact: contact()? },
            _ => return None,
        })
    }
}

impl Engine {
    /// Notes in a transaction what the user must know. Strangers cause no notices: that is up to the caller.
    pub(crate) async fn note(&self, tx: &mut Transaction, notice: Notice) -> Result<Noted, EngineError> {
        self.note_times(tx, notice, 1).await
    }

    /// As [`Engine::note`], for something that happened several times.
    pub(crate) async fn note_times(
        &self,
        tx: &mut Transaction,
        notice: Notice,
        times: u64,
    ) -> Result<Noted, EngineError> {
        let own = self.own_or_bad()?;
        let key = notice_key(&own, notice.code(), notice.contact());
        let now = self.now().as_millis();
        let before = tables::load::<NoticeRow>(&self.store, &key).await?;
        let row = NoticeRow {
            account: own.as_str().to_owned(),
            kind: u32::from(notice.code()),
            contact: notice.contact().map(|contact| contact.as_str().to_owned()).unwrap_or_default(),
            count: before.as_ref().map_or(0, |row| row.count).saturating_add(times),
            first_ms: before.map_or(now, |row| row.first_ms),
            last_ms: now,
            id: self.store.next_seq(tables::NOTICE, &tables::owner(&own, &[])).await?,
        };
        tables::save(tx, &key, &row);
        Ok(Noted(notice))
    }

    /// Notes something in a transaction of its own, and tells of it.
    pub(crate) async fn note_alone(&mut self, notice: Notice) -> Result<(), EngineError> {
        let mut tx = self.store.transaction();
        let noted = self.note(&mut tx, notice).await?;
        tx.commit().await?;
        self.notify([noted]);
        Ok(())
    }

    /// Tells whoever listens of what has been noted and committed.
    pub(crate) fn notify(&mut self, noted: impl IntoIterator<Item = Noted>) {
        for Noted(notice) in noted {
            self.emit(Event::Notice(notice));
        }
    }

    /// What the user has not seen yet, oldest first.
    pub(crate) async fn notices(&self) -> Result<Vec<KeptNotice>, CommandError> {
        let Ok(own) = self.own() else { return Ok(Vec::new()) };
        let mut rows: Vec<NoticeRow> = tables::list(&self.store, tables::NOTICE, &tables::owner(&own, &[])).await?;
        rows.sort_by_key(|row| row.id);
        let kept = |row: &NoticeRow| {
            Some(KeptNotice {
                id: row.id,
                notice: Notice::from_row(row)?,
                count: row.count,
                first_at: Timestamp::from_millis(row.first_ms),
                last_at: Timestamp::from_millis(row.last_ms),
            })
        };
        Ok(rows.iter().filter_map(kept).collect())
    }

    /// The user has seen everything up to there. What has happened again since has another id, and stays. An app of one's
    /// own that waits for an answer is told of until it has one.
    pub(crate) async fn notices_seen(&mut self, up_to: u64) -> Result<Reply, CommandError> {
        let own = self.own()?;
        let mut tx = self.store.transaction();
        let still_waits = self.own_device_waits().await?;
        for kept in self.notices().await?.iter().filter(|kept| kept.id <= up_to) {
            if kept.notice != Notice::NewOwnDevice || !still_waits {
                tx.delete(&notice_key(&own, kept.notice.code(), kept.notice.contact()));
            }
        }
        tx.commit().await?;
        Ok(Reply::Nothing)
    }

    /// Takes a notice back whose cause is gone.
    pub(crate) fn delete_notice(&self, tx: &mut Transaction, notice: &Notice) -> Result<(), EngineError> {
        tx.delete(&notice_key(&self.own_or_bad()?, notice.code(), notice.contact()));
        Ok(())
    }

    /// Forgets what was noted about somebody who is forgotten.
    pub(crate) fn delete_notices_about(&self, tx: &mut Transaction, own: &BareJid, who: &BareJid) {
        for code in Notice::CODES {
            tx.delete(&notice_key(own, code, Some(who)));
        }
    }
}

fn notice_key(own: &BareJid, code: u8, contact: Option<&BareJid>) -> store::Key {
    let mut name = vec![code];
    name.extend_from_slice(contact.map(BareJid::as_str).unwrap_or_default().as_bytes());
    tables::NOTICE.row(&tables::owner(own, &[]), &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back() {
        let contact = BareJid::parse("bob@south.example").unwrap();
        for code in Notice::CODES {
            let row = NoticeRow { kind: code.into(), contact: contact.as_str().to_owned(), ..NoticeRow::default() };
            assert_eq!(Notice::from_row(&row).unwrap().code(), code);
        }
        assert_eq!(Notice::from_row(&NoticeRow { kind: 255, ..NoticeRow::default() }), None);
    }
}
