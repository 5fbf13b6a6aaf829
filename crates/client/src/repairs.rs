//! Sessions that broke are replaced by themselves, once a day (security-design §2.3).
//!
//! That a repair is due stands in the row of the device until the message without words that tells of the new session is in
//! the outbox: the program may end at any moment between.

use xep::omemo::Version;
use xmpp::jid::BareJid;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::event::Notice;
use crate::tables::PeerDeviceRow;

impl PeerDeviceRow {
    pub(crate) fn is_repair_due(&self, version: Version) -> bool {
        match version {
            Version::Omemo2 => self.repair_omemo2_due,
            Version::Legacy => self.repair_legacy_due,
        }
    }

    pub(crate) fn set_repair_due(&mut self, version: Version, due: bool) {
        match version {
            Version::Omemo2 => self.repair_omemo2_due = due,
            Version::Legacy => self.repair_legacy_due = due,
        }
    }
}

impl Engine {
    /// Begins to replace the session with a device, and tells the user; a second time on a day it only tells.
    pub(crate) async fn repair(
        &mut self,
        who: &BareJid,
        mut row: PeerDeviceRow,
        version: Version,
    ) -> Result<(), EngineError> {
        let today = self.now().day();
        if row.repaired_day == today {
            return self.note_alone(Notice::StillUnreadable { contact: who.clone() }).await;
        }
        row.repaired_day = today;
        row.set_repair_due(version, true);
        let mut tx = self.store.transaction();
        self.put_device_row(&mut tx, &row)?;
        let noted = self.note(&mut tx, Notice::Unreadable { contact: who.clone() }).await?;
        tx.commit().await?;
        self.notify([noted]);
        self.fetch_bundle(who, row.id, version);
        Ok(())
    }

    /// Repairs that a lost connection or the end of the program interrupted: their bundles are asked for again.
    pub(crate) async fn resume_repairs(&mut self) -> Result<(), EngineError> {
        let mut people = Vec::new();
        for contact in self.contact_rows_of(&self.own_or_bad()?).await? {
            if contact.is_accepted() {
                people.push(contact.jid()?);
            }
        }
        people.sort();
        for who in people {
            for row in self.device_rows(&who).await? {
                for version in Version::STRONGEST_FIRST.into_iter().filter(|version| row.is_repair_due(*version)) {
                    self.fetch_bundle(&who, row.id, version);
                }
            }
        }
        Ok(())
    }

    /// The bundle of a device whose session is to be replaced is of no use: the next unreadable message begins anew.
    pub(crate) async fn give_up_repair(
        &mut self,
        who: &BareJid,
        device: u32,
        version: Version,
    ) -> Result<(), EngineError> {
        let Some(mut row) = self.device_row(who, device).await? else { return Ok(()) };
        row.set_repair_due(version, false);
        let mut tx = self.store.transaction();
        self.put_device_row(&mut tx, &row)?;
        Ok(tx.commit().await?)
    }

    pub(crate) async fn is_repair_due(
        &self,
        who: &BareJid,
        device: u32,
        version: Version,
    ) -> Result<bool, EngineError> {
        Ok(self.device_row(who, device).await?.is_some_and(|row| row.is_repair_due(version)))
    }
}
