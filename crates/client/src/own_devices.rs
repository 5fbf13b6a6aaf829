//! The devices of people as the user sees and decides about them; above all the other ones of the own account
//! (security-design §2.6, attack row C22).
//!
//! Agreement is local: this device agrees to itself, and to no other. What the server lists beside it, at the first sign-in
//! or later, may have been planted there. Until the user has said that it is theirs it gets no words, counts in no number and
//! stands in no link.

use crypto::omemo::IdentityKey;
use store::Transaction;
use xep::omemo::{DeviceEntry, DeviceList, Version};
use xmpp::jid::BareJid;
use xmpp::time::Timestamp;

use crate::command::{Decision, Devices, Reply};
use crate::display::one_line;
use crate::engine::Engine;
use crate::error::{CommandError, EngineError};
use crate::event::{Device, DeviceState, Event, Notice};
use crate::tables::{DeviceTrustCode, PeerDeviceRow, TrustCode};

/// Longest label that is shown, in characters (XEP-0384 §5.3.1).
const LABEL_CHARS_MAX: usize = 53;

impl PeerDeviceRow {
    /// Whether the user has been shown enough to decide about it, and has not decided.
    pub(crate) fn waits_for_decision(&self) -> bool {
        self.is_listed() && !self.identity.is_empty() && self.trust() == DeviceTrustCode::Undecided
    }

    /// Keeps what a list says about the device; whether it says so itself is seen once its key is known.
    pub(crate) fn keep_label(&mut self, entry: &DeviceEntry) {
        if let Some((label, signature)) = &entry.label {
            self.label.clone_from(label);
            self.label_signature.clone_from(signature);
        }
    }

    /// What the device calls itself, if its own key has signed it (XEP-0384 §5.3.1).
    fn signed_label(&self) -> Option<String> {
        let key = IdentityKey::from_ed25519(self.identity_ed25519.as_slice().try_into().ok()?).ok()?;
        let signature = self.label_signature.as_slice().try_into().ok()?;
        let label = one_line(&self.label, LABEL_CHARS_MAX);
        (!label.is_empty() && key.verify(self.label.as_bytes(), signature)).then_some(label)
    }

    /// Whether the user's answer can be about the key that is here. Who refuses without looking loses nothing by it.
    fn answers_for_what_was_shown(&self, shown: Option<&str>, decision: Decision) -> Result<(), CommandError> {
        let is_same = match shown {
            Some(shown) => fingerprint(&self.identity) == shown,
            None if self.identity_shown.is_empty() && decision == Decision::Agree => {
                return Err(CommandError::KeyNotShown);
            }
            None => self.identity_shown.is_empty() || self.identity_shown == self.identity,
        };
        if is_same || decision == Decision::Later { Ok(()) } else { Err(CommandError::KeyShownChanged) }
    }

    fn view(&self) -> Device {
        Device {
            id: self.id,
            fingerprint: (!self.identity.is_empty()).then(|| fingerprint(&self.identity)),
            label: self.signed_label(),
            first_seen_at: (self.first_seen_ms > 0).then(|| Timestamp::from_millis(self.first_seen_ms)),
            state: match self.trust() {
                DeviceTrustCode::Undecided => DeviceState::Undecided,
                DeviceTrustCode::Tofu => DeviceState::Believed,
                DeviceTrustCode::Verified => DeviceState::Compared,
                DeviceTrustCode::Distrusted => DeviceState::Refused,
            },
            is_listed: self.is_listed(),
            is_put_off: self.put_off,
        }
    }
}

/// The identity key as people compare it: eight groups of eight (XEP-0384 §8).
fn fingerprint(key: &[u8]) -> String {
    let groups: Vec<String> = key.chunks(4).map(hex::encode).collect();
    groups.join(" ")
}

fn version_bit(version: Version) -> u32 {
    match version {
        Version::Omemo2 => 1,
        Version::Legacy => 2,
    }
}

impl Engine {
    /// The devices of a person, or the others of the own account. What is shown to the user is remembered.
    pub(crate) async fn devices(&self, who: Option<&str>, to_show: bool) -> Result<Devices, CommandError> {
        let own = self.own()?;
        let person = match who {
            Some(who) => self.resolve_known(who).await?.jid()?,
            None => own.clone(),
        };
        let mut rows = self.device_rows(&person).await?;
        rows.retain(PeerDeviceRow::is_worth_keeping);
        if to_show {
            let mut tx = self.store.transaction();
            for row in rows.iter_mut().filter(|row| row.identity_shown != row.identity) {
                row.identity_shown.clone_from(&row.identity);
                self.put_device_row(&mut tx, row)?;
            }
            tx.commit().await.map_err(EngineError::from)?;
        }
        Ok(Devices {
            devices: rows.iter().map(PeerDeviceRow::view).collect(),
            own_fingerprint: who.is_none().then(|| self.own_fingerprint()).flatten(),
            own_id: who.is_none().then(|| self.device.as_ref().map(crypto::omemo::Device::id)).flatten(),
            is_complete: who.is_some() || self.fetches.knows_own_devices(&own),
        })
    }

    fn own_fingerprint(&self) -> Option<String> {
        self.device.as_ref().map(|device| fingerprint(device.identity().montgomery()))
    }

    /// Whether another app of the own account waits for the user's word. No number is good while one does.
    pub(crate) async fn own_device_waits(&self) -> Result<bool, EngineError> {
        let own = self.own_or_bad()?;
        Ok(self.device_rows(&own).await?.iter().any(PeerDeviceRow::waits_for_decision))
    }

    /// The user says whether a device is its owner's: the one with the key that they were shown, not whichever has its number
    /// by now.
    pub(crate) async fn decide_device(
        &mut self,
        who: Option<&str>,
        id: u32,
        shown: Option<&str>,
        decision: Decision,
    ) -> Result<Reply, CommandError> {
        let own = self.own()?;
        let person = match who {
            Some(who) => self.resolve_known(who).await?.jid()?,
            None => own.clone(),
        };
        let mut row = self.device_row(&person, id).await?.ok_or(CommandError::UnknownDevice)?;
        if decision == Decision::Agree && row.identity.is_empty() {
            return Err(CommandError::UnknownDevice); // a key that comes later could be anybody's
        }
        row.answers_for_what_was_shown(shown, decision)?;
        match decision {
            Decision::Agree => {
                if row.trust() != DeviceTrustCode::Verified {
                    row.set_trust(DeviceTrustCode::Tofu);
                }
                (row.accepted, row.unconfirmed) = (true, false);
            }
            Decision::Refuse => {
                row.set_trust(DeviceTrustCode::Distrusted);
                row.accepted = false;
            }
            Decision::Later => row.put_off = true,
        }
        let mut tx = self.store.transaction();
        self.put_device_row(&mut tx, &row)?;
        tx.commit().await?;
        if person == own {
            self.own_devices_decided(decision).await?;
        } else {
            self.device_of_contact_decided(&person, decision).await?;
        }
        if decision == Decision::Refuse {
            self.forget_sessions(&person, id).await?;
        }
        Ok(Reply::Nothing)
    }

    async fn own_devices_decided(&mut self, decision: Decision) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        if !self.own_device_waits().await? {
            let mut tx = self.store.transaction();
            self.delete_notice(&mut tx, &Notice::NewOwnDevice)?;
            tx.commit().await?;
        }
        if decision == Decision::Refuse && self.is_online() {
            for version in Version::STRONGEST_FIRST {
                self.fetch_list(&own, version); // the answer takes it off
            }
        }
        self.emit(Event::OwnDevices);
        Ok(())
    }

    /// Whoever is agreed to without comparing is not verified any more. That says nothing about their other devices: those
    /// that wait go on waiting.
    async fn device_of_contact_decided(&mut self, who: &BareJid, decision: Decision) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let Some(mut contact) = self.contact_row(&own, who).await? else { return Ok(()) };
        let mut tx = self.store.transaction();
        if decision == Decision::Agree {
            self.leave_undecided(&mut tx, who).await?;
            if contact.trust() == TrustCode::Verified {
                contact.set_trust(TrustCode::Tofu);
            }
        }
        self.put_contact(&mut tx, &contact);
        tx.commit().await?;
        self.emit_contact(&contact).await?;
        self.held_progress(who).await?;
        self.advance(who).await
    }

    /// What is undecided about a person stays so until the user decides about it by itself.
    async fn leave_undecided(&self, tx: &mut Transaction, who: &BareJid) -> Result<(), EngineError> {
        for mut row in self.device_rows(who).await? {
            if row.trust() == DeviceTrustCode::Undecided && !row.by_itself {
                row.by_itself = true;
                self.put_device_row(tx, &row)?;
            }
        }
        Ok(())
    }

    /// A key that the user has refused stays refused under whatever number it comes back.
    pub(crate) async fn is_refused_key(&self, who: &BareJid, key: &IdentityKey) -> Result<bool, EngineError> {
        let refused = |row: &PeerDeviceRow| {
            row.trust() == DeviceTrustCode::Distrusted && row.identity.as_slice() == key.montgomery()
        };
        Ok(self.device_rows(who).await?.iter().any(refused))
    }

    /// The own list without the apps that the user has refused, each left out once: an app that is still in use puts itself
    /// back, and two programs must not undo each other's work for ever.
    pub(crate) async fn without_refused(
        &self,
        tx: &mut Transaction,
        version: Version,
        list: &mut DeviceList,
    ) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        for mut row in self.device_rows(&own).await? {
            let is_due = row.trust() == DeviceTrustCode::Distrusted && row.unlisted & version_bit(version) == 0;
            if is_due && list.contains(row.id) {
                list.devices.retain(|device| device.id != row.id);
                row.unlisted |= version_bit(version);
                self.put_device_row(tx, &row)?;
            }
        }
        Ok(())
    }

    /// Stores of the first version took the devices that were listed at sign-in at face value. They wait for the user's
    /// word now, as they do in a store that is new.
    pub(crate) async fn ask_about_own_devices_again(&mut self) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let mut tx = self.store.transaction();
        let mut noted = None;
        for mut row in self.device_rows(&own).await? {
            if row.trust() == DeviceTrustCode::Tofu && !row.accepted {
                row.set_trust(DeviceTrustCode::Undecided);
                self.put_device_row(&mut tx, &row)?;
                noted = Some(self.note(&mut tx, Notice::NewOwnDevice).await?);
            }
        }
        tx.commit().await?;
        self.notify(noted);
        Ok(())
    }
}
