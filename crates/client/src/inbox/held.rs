//! Words that are held back: said by a device of which nobody knows whether it is the person's (security-design §2.6, C21).
//!
//! They lie sealed beside the conversation, within bounds, and are shown in it when the user has agreed to the device. Before a
//! device counts as unknown its owner's server is asked once which devices there are: our copy of the list may be old.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use crypto::omemo::{Legacy, Omemo2};
use prost::Message as _;
use store::Transaction;
use xep::omemo::Version;
use xmpp::jid::BareJid;
use xmpp::time::Timestamp;

use super::judgement::{Fate, Mark, Standing, judge};
use crate::conversations::Numbered;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::event::Notice;
use crate::tables::{self, ContactRow, DeviceTrustCode, HeldRow, MessageRow, PeerDeviceRow};

/// How much is held back for one person at most. What is oldest gets lost then, and is counted.
const DEVICES_MAX: usize = 8;
const MESSAGES_MAX: usize = 100;
const BYTES_MAX: usize = 1024 * 1024;
const KEEP: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How often the list of a person is asked for because of a device that it does not name.
const LOOK_UP_EVERY: Duration = Duration::from_secs(10 * 60);

/// What is being found out about the devices of people.
#[derive(Default)]
pub(crate) struct LookUps {
    /// Because of a device that is unknown.
    unknown: HashMap<BareJid, LookUp>,
    /// Because of one that is known, and that our copy of the list does not name: when last.
    unlisted: HashMap<BareJid, Timestamp>,
}

struct LookUp {
    since: Timestamp,
    /// Another device has spoken meanwhile, so the lists are asked for once more when the time has come.
    is_due_again: bool,
    lists_open: HashSet<Version>,
    bundles_open: HashSet<u32>,
    bundles_asked: HashSet<u32>,
}

impl LookUp {
    fn is_open(&self) -> bool {
        !self.lists_open.is_empty() || !self.bundles_open.is_empty()
    }
}

impl LookUps {
    /// Whether a person's list may be asked for (again).
    fn may_begin(&self, who: &BareJid, now: Timestamp) -> bool {
        !self.unknown.get(who).is_some_and(|look_up| is_recent(look_up.since, now))
    }

    fn is_open(&self, who: &BareJid) -> bool {
        self.unknown.get(who).is_some_and(LookUp::is_open)
    }

    pub(crate) fn list_answered(&mut self, who: &BareJid, version: Version) {
        if let Some(look_up) = self.unknown.get_mut(who) {
            look_up.lists_open.remove(&version);
        }
    }

    pub(crate) fn bundle_answered(&mut self, who: &BareJid, device: u32) {
        if let Some(look_up) = self.unknown.get_mut(who) {
            look_up.bundles_open.remove(&device);
        }
    }

    /// Answers that were on their way do not come any more: what is open begins anew.
    pub(crate) fn forget_session(&mut self) {
        self.unknown.retain(|_, look_up| !look_up.is_open());
    }

    pub(crate) fn next_timeout(&self) -> Option<Timestamp> {
        self.unknown.values().filter(|look_up| look_up.is_due_again).map(|look_up| look_up.since + LOOK_UP_EVERY).min()
    }

    fn take_due(&mut self, now: Timestamp) -> Vec<BareJid> {
        let is_due = |look_up: &LookUp| look_up.is_due_again && !is_recent(look_up.since, now);
        let mut due: Vec<_> = self.unknown.iter().filter(|(_, l)| is_due(l)).map(|(who, _)| who.clone()).collect();
        due.sort();
        due
    }
}

fn is_recent(since: Timestamp, now: Timestamp) -> bool {
    since <= now && now.since(since) < LOOK_UP_EVERY
}

impl Engine {
    /// Asks for the lists of a person because of a device that nobody knows: once per person and ten minutes. Returns whether
    /// answers are on their way.
    pub(crate) fn look_up(&mut self, who: &BareJid) -> bool {
        let now = self.now();
        if !self.is_online() || !self.fetches.look_ups.may_begin(who, now) {
            if let Some(look_up) = self.fetches.look_ups.unknown.get_mut(who) {
                look_up.is_due_again |= !look_up.is_open();
            }
            return self.fetches.look_ups.is_open(who);
        }
        let look_up = LookUp {
            since: now,
            is_due_again: false,
            lists_open: Version::STRONGEST_FIRST.into_iter().collect(),
            bundles_open: HashSet::new(),
            bundles_asked: HashSet::new(),
        };
        self.fetches.look_ups.unknown.insert(who.clone(), look_up);
        for version in Version::STRONGEST_FIRST {
            self.fetch_list(who, version);
        }
        true
    }

    /// Asks for the lists of a person because they do not name a device that is known; as seldom.
    pub(crate) fn look_up_unlisted(&mut self, who: &BareJid) {
        let now = self.now();
        if self.is_online() && !self.fetches.look_ups.unlisted.get(who).is_some_and(|since| is_recent(*since, now)) {
            self.fetches.look_ups.unlisted.insert(who.clone(), now);
            for version in Version::STRONGEST_FIRST {
                self.fetch_list(who, version);
            }
        }
    }

    /// Looks up again those about whom something came too soon after the last time.
    pub(crate) fn look_up_again(&mut self) {
        if self.is_online() {
            for who in self.fetches.look_ups.take_due(self.now()) {
                self.look_up(&who);
            }
        }
    }

    /// Makes room for one more device that no list names, or servers could keep the honest ones out. Returns which goes.
    pub(super) async fn make_room_for_device(
        &self,
        tx: &mut Transaction,
        who: &BareJid,
    ) -> Result<Option<u32>, EngineError> {
        let mut unknown = self.device_rows(who).await?;
        // Of the own account the user is asked about what was listed: that must not come back with another key meanwhile.
        let is_own = self.own_or_bad()? == *who;
        let is_asked_about = |row: &PeerDeviceRow| row.is_listed() || (is_own && row.was_listed);
        unknown.retain(|row| !is_asked_about(row) && row.trust() == DeviceTrustCode::Undecided);
        if unknown.len() < DEVICES_MAX {
            return Ok(None);
        }
        let Some(oldest) = unknown.iter().min_by_key(|row| (row.first_seen_ms, row.id)) else { return Ok(None) };
        tx.delete(&tables::PEER_DEVICE.row(&self.person_owner(who)?, &oldest.id.to_be_bytes()));
        self.delete_sessions(tx, who, oldest.id)?;
        Ok(Some(oldest.id))
    }

    /// Commits what a device said whose words are held back. Nothing goes back to it: that would be a receipt.
    pub(super) async fn commit_held(
        &mut self,
        mut tx: Transaction,
        who: &BareJid,
        mut contact: ContactRow,
        words: Option<HeldRow>,
        gone: Option<u32>,
    ) -> Result<(), EngineError> {
        let has_words = words.is_some();
        let before = contact.clone();
        self.put_held(&mut tx, who, &mut contact, words, gone).await?;
        if has_words {
            contact.held_untold_count = contact.held_untold_count.saturating_add(1);
        }
        let looking = self.look_up(who);
        let noted = if looking { None } else { self.note_held(&mut tx, &mut contact).await? };
        if contact != before {
            self.put_contact(&mut tx, &contact);
        }
        tx.commit().await?;
        self.notify(noted);
        if has_words { self.emit_contact(&contact).await } else { Ok(()) }
    }

    async fn note_held(
        &self,
        tx: &mut Transaction,
        contact: &mut ContactRow,
    ) -> Result<Option<crate::notices::Noted>, EngineError> {
        let times = std::mem::take(&mut contact.held_untold_count);
        match times {
            0 => Ok(None),
            _ => self.note_times(tx, Notice::WordsHeld { contact: contact.jid()? }, times).await.map(Some),
        }
    }

    /// Writes held words and keeps all of a person's within the bounds.
    async fn put_held(
        &self,
        tx: &mut Transaction,
        who: &BareJid,
        contact: &mut ContactRow,
        words: Option<HeldRow>,
        gone: Option<u32>,
    ) -> Result<(), EngineError> {
        let owner = self.person_owner(who)?;
        let mut rows: Vec<(u64, HeldRow)> = tables::list_seq(&self.store, tables::HELD, &owner).await?;
        if let Some(words) = words {
            let seq = self.store.next_seq(tables::HELD, &owner).await?;
            tables::save(tx, &tables::HELD.seq(&owner, seq), &words);
            rows.push((seq, words));
        }
        let before = rows.len();
        let lost = beyond_bounds(&rows, gone, self.date());
        for seq in &lost {
            tx.delete(&tables::HELD.seq(&owner, *seq));
        }
        contact.held_count = count(before - lost.len());
        contact.held_lost_count = contact.held_lost_count.saturating_add(count(lost.len()));
        Ok(())
    }

    /// Something has become known about a person's devices: is there enough to decide about what is held back?
    pub(crate) async fn held_progress(&mut self, who: &BareJid) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let Some(contact) = self.contact_row(&own, who).await?.filter(|contact| contact.held_count > 0) else {
            return Ok(());
        };
        if self.fetches.look_ups.unknown.get(who).is_some_and(|look_up| !look_up.lists_open.is_empty()) {
            return Ok(());
        }
        // A list alone does not say whose the key is that has signed: the bundle of that device does.
        let speakers: BTreeSet<u32> = self.held_rows(who).await?.iter().map(|(_, row)| row.device).collect();
        let devices = self.device_rows(who).await?;
        for device in devices.iter().filter(|device| device.is_listed() && speakers.contains(&device.id)) {
            let is_new = match self.fetches.look_ups.unknown.get_mut(who) {
                Some(look_up) => look_up.bundles_asked.insert(device.id),
                None => false,
            };
            if is_new && self.is_online() {
                let version = if device.listed_omemo2 { Version::Omemo2 } else { Version::Legacy };
                if let Some(look_up) = self.fetches.look_ups.unknown.get_mut(who) {
                    look_up.bundles_open.insert(device.id);
                }
                self.fetch_bundle(who, device.id, version);
            }
        }
        if self.fetches.look_ups.is_open(who) {
            return Ok(());
        }
        self.settle_held(contact).await
    }

    /// Decides about everything that is held back of a person, as their devices are known now.
    async fn settle_held(&mut self, mut contact: ContactRow) -> Result<(), EngineError> {
        let who = contact.jid()?;
        let owner = self.person_owner(&who)?;
        let standing = Standing::of(false, Some(&contact));
        let devices = self.device_rows(&who).await?;
        let rows = self.held_rows(&who).await?;
        let mut tx = self.store.transaction();
        let (mut released, mut left, mut speakers) = (Vec::new(), 0, BTreeSet::new());
        for (seq, row) in rows {
            let device = devices.iter().find(|device| device.id == row.device);
            let fate = device.map_or(Fate::Held, |device| judge(standing, device.into()));
            let Some(message) = row.message.filter(|_| fate != Fate::Dropped) else {
                tx.delete(&tables::HELD.seq(&owner, seq));
                continue;
            };
            let Fate::Shown(mark) = fate else {
                left += 1;
                continue;
            };
            tx.delete(&tables::HELD.seq(&owner, seq));
            speakers.insert(row.device);
            if self.message_by_id(&who, false, &message.id).await?.is_none() {
                // Whoever agrees without comparing reads them as of a new app.
                let verified = mark == Mark::Verified;
                let mut message = MessageRow { verified, unconfirmed: !verified, ..message };
                self.put_new_message(&mut tx, &who, &mut message, Numbered::ByCounter).await?;
                released.push(message);
            }
        }
        contact.held_count = left;
        contact.unread_count = contact.unread_count.saturating_add(count(released.len()));
        let mut noted = None;
        if left == 0 {
            (contact.held_untold_count, contact.held_lost_count) = (0, 0);
            self.delete_notice(&mut tx, &Notice::WordsHeld { contact: who.clone() })?;
        } else {
            noted = self.note_held(&mut tx, &mut contact).await?;
        }
        self.put_contact(&mut tx, &contact);
        tx.commit().await?;
        self.notify(noted);
        self.emit_contact(&contact).await?;
        for message in &released {
            self.emit_message(&contact, message)?;
        }
        for device in devices.iter().filter(|device| speakers.contains(&device.id)) {
            self.answer_device(&who, device).await?;
        }
        Ok(())
    }

    /// Answers the session of a device that was not answered while its words were held back.
    async fn answer_device(&mut self, who: &BareJid, device: &PeerDeviceRow) -> Result<(), EngineError> {
        let now = self.now_secs();
        if !device.is_written_to() || !self.is_online() {
            return Ok(());
        }
        if self.sessions::<Omemo2>(who, device.id).await?.is_ready(now) {
            self.send_empty(who, device.id, Version::Omemo2).await
        } else if self.sessions::<Legacy>(who, device.id).await?.is_ready(now) {
            self.send_empty(who, device.id, Version::Legacy).await
        } else {
            Ok(())
        }
    }

    /// At the start of a session: what is too old goes, and what a lost connection left undecided is looked up again.
    pub(crate) async fn look_after_held(&mut self) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        for before in self.contact_rows_of(&own).await? {
            if before.held_count == 0 {
                continue;
            }
            let who = before.jid()?;
            let mut contact = before.clone();
            let mut tx = self.store.transaction();
            self.put_held(&mut tx, &who, &mut contact, None, None).await?;
            if contact != before {
                self.put_contact(&mut tx, &contact);
            }
            tx.commit().await?;
            if contact.held_untold_count > 0 && !self.look_up(&who) {
                self.held_progress(&who).await?;
            }
        }
        Ok(())
    }

    async fn held_rows(&self, who: &BareJid) -> Result<Vec<(u64, HeldRow)>, EngineError> {
        tables::list_seq(&self.store, tables::HELD, &self.person_owner(who)?).await
    }
}

/// Which held words have to go: those of a device that is gone, what is too old, and the oldest of what is too much.
fn beyond_bounds(rows: &[(u64, HeldRow)], gone: Option<u32>, now: Timestamp) -> Vec<u64> {
    let is_over = |row: &HeldRow| {
        let saved = row.message.as_ref().map_or(0, |message| message.saved_ms);
        now.since(Timestamp::from_millis(saved)) > KEEP || Some(row.device) == gone
    };
    let (mut bytes, mut messages, mut devices) = (0, 0, BTreeSet::new());
    let mut lost = Vec::new();
    for (seq, row) in rows.iter().rev() {
        let (more_bytes, is_new_device) = (bytes + row.encoded_len(), !devices.contains(&row.device));
        let is_too_much =
            messages == MESSAGES_MAX || more_bytes > BYTES_MAX || (is_new_device && devices.len() == DEVICES_MAX);
        if is_over(row) || is_too_much {
            lost.push(*seq);
            continue;
        }
        (bytes, messages) = (more_bytes, messages + 1);
        devices.insert(row.device);
    }
    lost
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn row(seq: u64, device: u32, text_bytes: usize, age: Duration) -> (u64, HeldRow) {
        let saved_ms = NOW.as_millis() - i64::try_from(age.as_millis()).unwrap();
        let message = MessageRow { text: "x".repeat(text_bytes), saved_ms, ..MessageRow::default() };
        (seq, HeldRow { device, message: Some(message), ..HeldRow::default() })
    }

    #[test]
    fn c21_what_is_held_has_bounds_and_the_oldest_goes_first() {
        let minute = Duration::from_secs(60);
        let many: Vec<_> = (0..105).map(|n| row(n, 1, 10, minute)).collect();
        assert_eq!(beyond_bounds(&many, None, NOW), [4, 3, 2, 1, 0]);
        let large: Vec<_> = (0..5).map(|n| row(n, 1, 300_000, minute)).collect();
        assert_eq!(beyond_bounds(&large, None, NOW), [1, 0]);
        let devices: Vec<_> = (0..10).map(|n| row(n, u32::try_from(n).unwrap(), 10, minute)).collect();
        assert_eq!(beyond_bounds(&devices, None, NOW), [1, 0]);
        let old = [row(0, 1, 10, KEEP + minute), row(1, 1, 10, KEEP - minute)];
        assert_eq!(beyond_bounds(&old, None, NOW), [0]);
        assert_eq!(beyond_bounds(&[row(0, 1, 10, minute), row(1, 2, 10, minute)], Some(2), NOW), [1]);
    }
}
