//! Whether people are who they say: keys that are pinned, numbers and links that prove them, and what happens when
//! something does not fit (security-design §2.6). Trust is kept per person; devices follow from it.

use crypto::number::{self, ComparisonNumber, Person};
use crypto::omemo::IdentityKey;
use store::Transaction;
use xmpp::jid::BareJid;

use crate::command::{Number, Proof, Reply};
use crate::engine::Engine;
use crate::error::{CommandError, EngineError, LinkProblem};
use crate::event::Notice;
use crate::invites::Invitation;
use crate::notices::Noted;
use crate::tables::{ContactRow, DeviceTrustCode, PeerDeviceRow, TrustCode};

/// What learning a device's key came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the known one, or the first.
    Fits,
    /// Another one is known: the device or somebody in between has changed.
    Conflict,
}

impl PeerDeviceRow {
    pub(crate) fn is_listed(&self) -> bool {
        self.listed_omemo2 || self.listed_legacy
    }

    /// Whether messages are encrypted to it.
    pub(crate) fn is_written_to(&self) -> bool {
        !matches!(self.trust(), DeviceTrustCode::Undecided | DeviceTrustCode::Distrusted)
    }

    /// Whether it is written to, and only in the older encryption.
    pub(crate) fn knows_only_the_older(&self) -> bool {
        self.is_listed() && self.is_written_to() && !self.listed_omemo2 && !self.used_omemo2
    }

    /// Whether anything is known of the device but that a list once named it. Else servers could fill the store with ids.
    pub(crate) fn is_worth_keeping(&self) -> bool {
        self.is_listed() || !self.identity.is_empty() || self.used_omemo2
    }

    /// The pinned key, when there is one.
    pub(crate) fn pinned(&self) -> Option<IdentityKey> {
        let bytes: [u8; 32] = self.identity.as_slice().try_into().ok()?;
        IdentityKey::from_montgomery(&bytes).ok()
    }

    /// Pins the key at first sight and decides what the device is trusted with; later only compares.
    pub(crate) fn learn(&mut self, identity: &IdentityKey, contact: Option<&ContactRow>) -> Verdict {
        if !self.identity.is_empty() {
            if self.identity != identity.montgomery() {
                self.conflict = true;
                return Verdict::Conflict;
            }
        } else {
            self.identity = identity.montgomery().to_vec();
            if self.trust() != DeviceTrustCode::Distrusted {
                self.set_trust(first_trust(contact, identity, self.trust()));
            }
        }
        if let Some(ed25519) = identity.ed25519() {
            self.identity_ed25519 = ed25519.to_vec();
        }
        Verdict::Fits
    }

    /// Compares a known key with those of a link that the user relies on. What they have refused, no link brings back.
    pub(crate) fn apply_link(&mut self, link: &Invitation) {
        if self.identity.is_empty() || self.trust() == DeviceTrustCode::Distrusted {
            return;
        }
        if link.distrusted.iter().any(|key| self.identity == key) {
            self.set_trust(DeviceTrustCode::Distrusted);
        } else if link.keys.iter().any(|key| self.identity == key) {
            self.set_trust(DeviceTrustCode::Verified);
        } else if self.trust() == DeviceTrustCode::Tofu {
            self.set_trust(DeviceTrustCode::Undecided);
        }
    }
}

/// A key that a link promised is verified. Where a link promised others, or the person is verified already or was until their
/// keys did not fit, the user decides; else it is taken at face value.
fn first_trust(contact: Option<&ContactRow>, identity: &IdentityKey, so_far: DeviceTrustCode) -> DeviceTrustCode {
    let Some(contact) = contact else { return so_far };
    if contact.promised_keys.iter().any(|key| key == identity.montgomery()) {
        return DeviceTrustCode::Verified;
    }
    if contact.trust() != TrustCode::Tofu || !contact.promised_keys.is_empty() {
        return DeviceTrustCode::Undecided;
    }
    so_far
}

impl Engine {
    pub(crate) async fn number(&mut self, who: &str) -> Result<Number, CommandError> {
        let mut contact = self.resolve_known(who).await?;
        if self.own_device_waits().await? {
            return Err(CommandError::OwnDeviceWaits);
        }
        let devices = self.device_rows(&contact.jid()?).await?;
        self.fetch_undecided_keys(&contact.jid()?, &devices); // the next number covers them
        let number = self.comparison_number(&contact.jid()?).await?.ok_or(CommandError::NothingToCompare)?;
        if contact.number_shown != number.digits() {
            contact.number_shown = number.digits().to_owned();
            let mut tx = self.store.transaction();
            self.put_contact(&mut tx, &contact);
            tx.commit().await.map_err(EngineError::from)?;
        }
        Ok(Number {
            contact: self.contact_view(&contact).await?,
            digits: number.grouped(),
            own_link: self.own_link().await?,
        })
    }

    /// The number of the user and a person; `None` while no key of theirs is known.
    async fn comparison_number(&self, who: &BareJid) -> Result<Option<ComparisonNumber>, EngineError> {
        let own = self.own_or_bad()?;
        let theirs = known_keys(&self.device_rows(who).await?);
        // Who compares numbers vouches for the own keys: not for those that wait for a decision.
        let mut own_others = self.device_rows(&own).await?;
        own_others.retain(|device| device.trust() != DeviceTrustCode::Undecided);
        let mut ours = known_keys(&own_others);
        ours.extend(self.device.as_ref().map(|device| *device.identity().montgomery()));
        if theirs.is_empty() || ours.is_empty() {
            return Ok(None);
        }
        let ours = Person { bare_jid: own.as_str(), keys: &ours };
        Ok(Some(number::compare(ours, Person { bare_jid: who.as_str(), keys: &theirs })))
    }

    /// Our identity keys in the form that links carry: of this device and of the others that the user has agreed to.
    /// Others rely on links, so what the server listed when we signed in for the first time is not good enough.
    pub(crate) async fn own_identity_keys(&self) -> Result<Vec<[u8; 32]>, EngineError> {
        let own = self.own_or_bad()?;
        let mut keys: Vec<[u8; 32]> = self.device.iter().filter_map(|d| d.identity().ed25519().copied()).collect();
        for row in self.device_rows(&own).await? {
            let trusted = matches!(row.trust(), DeviceTrustCode::Tofu | DeviceTrustCode::Verified);
            if row.is_listed() && trusted && row.accepted {
                keys.extend(<[u8; 32]>::try_from(row.identity_ed25519.as_slice()));
            }
        }
        Ok(keys)
    }

    pub(crate) async fn verify(&mut self, who: &str, proof: &Proof) -> Result<Reply, CommandError> {
        let mut contact = self.resolve_known(who).await?;
        if contact.trust() == TrustCode::Tombstoned {
            return Err(CommandError::NotApplicable);
        }
        let jid = contact.jid()?;
        let mut devices = self.device_rows(&jid).await?;
        match proof {
            Proof::Number(_) | Proof::NumberShown if self.own_device_waits().await? => {
                return Err(CommandError::OwnDeviceWaits);
            }
            Proof::Number(_) | Proof::NumberShown => {
                let number = self.comparison_number(&jid).await?.ok_or(CommandError::NothingToCompare)?;
                let said = match proof {
                    Proof::Number(said) => said,
                    _ => &contact.number_shown,
                };
                let said: String = said.chars().filter(char::is_ascii_digit).collect();
                if said != number.digits() {
                    return Err(match proof {
                        Proof::NumberShown if said.is_empty() => CommandError::NumberNotShown,
                        Proof::NumberShown => CommandError::NumberChanged,
                        _ => CommandError::DoesNotMatch,
                    });
                }
                for device in &mut devices {
                    apply_number(device);
                }
            }
            Proof::Link(link) => {
                let link = Invitation::parse(link)?;
                if link.person(&self.own()?)? != jid {
                    return Err(LinkProblem::SomebodyElse.into());
                }
                if link.keys.is_empty() {
                    return Err(LinkProblem::ProvesNothing.into());
                }
                let known: Vec<_> = devices.iter().filter(|d| d.is_listed() && !d.identity.is_empty()).collect();
                if !known.is_empty() && !known.iter().any(|d| link.keys.iter().any(|key| d.identity == key)) {
                    return Err(CommandError::DoesNotMatch);
                }
                contact.promised_keys = link.keys.iter().map(|key| key.to_vec()).collect();
                for device in &mut devices {
                    device.apply_link(&link);
                }
            }
        }
        contact.set_trust(TrustCode::Verified);
        self.save_person(&contact, &devices).await?;
        self.held_progress(&jid).await?;
        self.advance(&jid).await?;
        Ok(Reply::Contact(self.contact_view(&contact).await?))
    }

    /// The user has looked at what changed about a person and takes it at face value.
    pub(crate) async fn accept_change(&mut self, who: &str) -> Result<Reply, CommandError> {
        let own = self.own()?;
        if BareJid::parse(who).is_ok_and(|jid| jid == own) {
            return Err(CommandError::IsYourself); // there each app is a decision of its own
        }
        let mut contact = self.resolve_known(who).await?;
        if contact.trust() == TrustCode::Tombstoned {
            return Err(CommandError::NotApplicable);
        }
        let jid = contact.jid()?;
        let mut devices = self.device_rows(&jid).await?;
        // What the user has refused stays refused, with its key.
        for device in devices.iter_mut().filter(|device| device.trust() != DeviceTrustCode::Distrusted) {
            if device.conflict {
                self.forget_sessions(&jid, device.id).await?;
                device.identity.clear();
                device.identity_ed25519.clear();
                device.conflict = false;
                device.set_trust(DeviceTrustCode::Tofu);
            } else if device.trust() == DeviceTrustCode::Undecided {
                // Not one that no list names: about that one the user decides by itself, also when a list names it later.
                match device.is_listed() {
                    true => device.set_trust(DeviceTrustCode::Tofu),
                    false => device.by_itself = true,
                }
            }
            device.unconfirmed = false;
        }
        // Not everything in use has been compared any more.
        contact.set_trust(TrustCode::Tofu);
        contact.promised_keys.clear();
        self.save_person(&contact, &devices).await?;
        self.held_progress(&jid).await?;
        self.fetches.forget(&jid);
        self.advance(&jid).await?;
        Ok(Reply::Contact(self.contact_view(&contact).await?))
    }

    async fn save_person(&mut self, contact: &ContactRow, devices: &[PeerDeviceRow]) -> Result<(), EngineError> {
        let mut tx = self.store.transaction();
        self.put_contact(&mut tx, contact);
        for device in devices {
            self.put_device_row(&mut tx, device)?;
        }
        tx.commit().await?;
        self.emit_contact(contact).await
    }

    /// Stops sending to a person whose keys do not fit. Returns what the user is told once that is committed.
    pub(crate) async fn mark_changed(
        &self,
        tx: &mut Transaction,
        contact: &mut ContactRow,
    ) -> Result<Option<Noted>, EngineError> {
        if matches!(contact.trust(), TrustCode::Changed | TrustCode::Tombstoned) {
            return Ok(None);
        }
        contact.set_trust(TrustCode::Changed);
        self.put_contact(tx, contact);
        self.note(tx, Notice::Changed { contact: contact.jid()? }).await.map(Some)
    }

    /// Once every device of a person is known: were the keys of the link among them?
    pub(crate) async fn settle_promise(&mut self, who: &BareJid) -> Result<Option<ContactRow>, EngineError> {
        let own = self.own_or_bad()?;
        let Some(mut contact) = self.contact_row(&own, who).await? else { return Ok(None) };
        if contact.promised_keys.is_empty() || contact.trust() != TrustCode::Tofu {
            return Ok(Some(contact));
        }
        let devices = self.device_rows(who).await?;
        let known: Vec<_> = devices.iter().filter(|d| d.is_listed() && !d.identity.is_empty()).collect();
        if known.is_empty() {
            return Ok(Some(contact));
        }
        let promise_kept = known.iter().any(|device| contact.promised_keys.contains(&device.identity));
        let mut tx = self.store.transaction();
        let mut noted = None;
        if promise_kept {
            contact.set_trust(TrustCode::Verified);
            self.put_contact(&mut tx, &contact);
        } else {
            noted = self.mark_changed(&mut tx, &mut contact).await?;
        }
        tx.commit().await?;
        self.notify(noted);
        self.emit_contact(&contact).await?;
        Ok(Some(contact))
    }
}

/// What the number covers is verified. A device that it does not cover, because it is off the list, was not compared: it
/// must not come back as one that is written to.
fn apply_number(device: &mut PeerDeviceRow) {
    if device.identity.is_empty() || device.trust() == DeviceTrustCode::Distrusted {
        return;
    }
    if device.is_listed() {
        device.set_trust(DeviceTrustCode::Verified);
        device.unconfirmed = false;
    } else if device.trust() == DeviceTrustCode::Tofu {
        device.set_trust(DeviceTrustCode::Undecided);
    }
}

fn known_keys(devices: &[PeerDeviceRow]) -> Vec<[u8; 32]> {
    let counted = |device: &&PeerDeviceRow| device.is_listed() && device.trust() != DeviceTrustCode::Distrusted;
    devices.iter().filter(counted).filter_map(|device| device.identity.as_slice().try_into().ok()).collect()
}
