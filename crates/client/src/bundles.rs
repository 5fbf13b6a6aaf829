//! The keys of others' devices: fetched, checked, compared with what is pinned, and made into sessions.

use crypto::omemo::{Bundle, Legacy, Omemo2, Profile, PublishedBundle, SessionSet};
use store::{Key, Transaction};
use xep::omemo::{BundleElement, Version};
use xep::pubsub::{self, Request};
use xmpp::jid::BareJid;
use xmpp::xml::Element;

use crate::devices::{Fetch, new_device_row};
use crate::engine::{Answer, Engine, Question};
use crate::error::{EngineError, Failure};
use crate::event::Event;
use crate::retries::may_pass;
use crate::tables::{self, DeviceTrustCode, SessionRow};
use crate::trust::Verdict;

impl Engine {
    pub(crate) fn fetch_bundle(&mut self, who: &BareJid, device: u32, version: Version) {
        let ids = vec![version.bundle_item(device)];
        let node = version.bundle_node(device);
        // Legacy nodes hold one item, under whatever id the publisher chose.
        let request = match version {
            Version::Omemo2 => Request::Items { node, ids, max_items: None },
            Version::Legacy => Request::Items { node, ids: Vec::new(), max_items: Some(1) },
        };
        self.fetches.set_bundle(who, device, version, Fetch::Asked);
        let question = Question::Bundle { who: who.clone(), version, device };
        self.ask("get", Some(who.as_ref()), request.to_element().0, question);
    }

    pub(crate) async fn bundle_answer(
        &mut self,
        who: BareJid,
        device: u32,
        version: Version,
        answer: Answer,
    ) -> Result<(), EngineError> {
        let fetch = match &answer {
            Answer::Lost => Fetch::Failed(Failure::ServerTimeout),
            Answer::Error(error) if may_pass(error) => Fetch::Failed(Failure::ServerTimeout),
            Answer::Error(_) => Fetch::Failed(Failure::NotSecure),
            Answer::Result(pubsub) => {
                match pubsub.as_ref().and_then(|pubsub| bundle_in_answer(pubsub, version, device)) {
                    None => Fetch::Failed(Failure::NotSecure),
                    Some(published) => match version {
                        Version::Omemo2 => self.use_bundle::<Omemo2>(&who, device, &published).await?,
                        Version::Legacy => self.use_bundle::<Legacy>(&who, device, &published).await?,
                    },
                }
            }
        };
        self.fetches.set_bundle(&who, device, version, fetch);
        if self.is_repair_due(&who, device, version).await? {
            match fetch {
                Fetch::Done => self.send_empty(&who, device, version).await?,
                Fetch::Failed(Failure::ServerTimeout) => {} // the next session begins anew
                _ => self.give_up_repair(&who, device, version).await?,
            }
        }
        self.fetches.look_ups.bundle_answered(&who, device);
        self.held_progress(&who).await?;
        if self.own_or_bad()? == who {
            let devices = self.device_rows(&who).await?;
            self.fetch_undecided_keys(&who, &devices);
            self.emit(Event::OwnDevices);
        }
        self.advance_all(&who).await
    }

    /// Learns the key, and starts a session, unless there is a good one that nobody wants replaced or the device is not to
    /// be written to.
    async fn use_bundle<P: Profile>(
        &mut self,
        who: &BareJid,
        device: u32,
        published: &PublishedBundle,
    ) -> Result<Fetch, EngineError> {
        let version = Version::from(P::ID);
        let Ok(bundle) = Bundle::<P>::parse(published) else { return Ok(Fetch::Failed(Failure::NotSecure)) };
        let own = self.own_or_bad()?;
        let mut contact = self.contact_row(&own, who).await?;
        let row = self.device_row(who, device).await?;
        let mut row = row.unwrap_or_else(|| new_device_row(&own, who, device, DeviceTrustCode::Undecided));
        if row.identity.is_empty() && self.is_refused_key(who, bundle.identity()).await? {
            row.set_trust(DeviceTrustCode::Distrusted);
        }
        let mut tx = self.store.transaction();
        let verdict = row.learn(bundle.identity(), contact.as_ref());
        self.put_device_row(&mut tx, &row)?;
        if verdict == Verdict::Conflict {
            let noted = match contact.as_mut() {
                Some(contact) => self.mark_changed(&mut tx, contact).await?,
                None => None,
            };
            tx.commit().await?;
            self.notify(noted);
            return Ok(Fetch::Failed(Failure::Changed));
        }
        let mut sessions = self.sessions::<P>(who, device).await?;
        let repair = row.is_repair_due(version);
        let now = self.now_secs();
        if !repair && !row.is_written_to() {
            tx.commit().await?;
            if let Some(contact) = &contact {
                self.emit_contact(contact).await?;
            }
            return Ok(Fetch::Seen);
        }
        if repair || !sessions.is_ready(now) {
            let Some(own_device) = &self.device else { return Ok(Fetch::Failed(Failure::NotSecure)) };
            if sessions.start(own_device, &bundle, now, &*self.env.random).is_err() {
                return Ok(Fetch::Failed(Failure::NotSecure));
            }
            self.put_sessions(&mut tx, who, device, &sessions)?;
        }
        tx.commit().await?;
        Ok(Fetch::Done)
    }

    /// The sessions with a device under a version; none yet is an empty set, and so are those of keys that we gave up.
    pub(crate) async fn sessions<P: Profile>(&self, who: &BareJid, device: u32) -> Result<SessionSet<P>, EngineError> {
        let key = self.session_key(who, device, Version::from(P::ID))?;
        let Some(row) = tables::load::<SessionRow>(&self.store, &key).await? else { return Ok(SessionSet::new()) };
        let sessions = SessionSet::from_bytes(&row.sessions).map_err(|_| EngineError::BadRow)?;
        // Sessions of the device that this one was before its keys were renewed may be in use elsewhere (C04).
        let ours = self.device.as_ref().is_some_and(|own| sessions.belongs_to(own.identity()));
        Ok(if ours { sessions } else { SessionSet::new() })
    }

    pub(crate) fn put_sessions<P: Profile>(
        &self,
        tx: &mut Transaction,
        who: &BareJid,
        device: u32,
        sessions: &SessionSet<P>,
    ) -> Result<(), EngineError> {
        let row = SessionRow {
            account: self.own_or_bad()?.as_str().to_owned(),
            address: who.as_str().to_owned(),
            device,
            sessions: sessions.to_bytes().to_vec(),
        };
        tables::save(tx, &self.session_key(who, device, Version::from(P::ID))?, &row);
        Ok(())
    }

    /// Forgets the sessions with a device whose key is accepted anew.
    pub(crate) async fn forget_sessions(&self, who: &BareJid, device: u32) -> Result<(), EngineError> {
        let mut tx = self.store.transaction();
        self.delete_sessions(&mut tx, who, device)?;
        Ok(tx.commit().await?)
    }

    pub(crate) fn delete_sessions(&self, tx: &mut Transaction, who: &BareJid, device: u32) -> Result<(), EngineError> {
        for version in Version::STRONGEST_FIRST {
            tx.delete(&self.session_key(who, device, version)?);
        }
        Ok(())
    }

    fn session_key(&self, who: &BareJid, device: u32, version: Version) -> Result<Key, EngineError> {
        let mut name = vec![match version {
            Version::Legacy => 0,
            Version::Omemo2 => 2,
        }];
        name.extend_from_slice(&device.to_be_bytes());
        Ok(tables::SESSION.row(&self.person_owner(who)?, &name))
    }
}

/// Finds the bundle of a device in an answer. Only what stands under the right id counts.
pub(crate) fn bundle_in_answer(pubsub: &Element, version: Version, device: u32) -> Option<PublishedBundle> {
    let (_, items) = pubsub::request::parse_items(pubsub).ok()?;
    let item = match version {
        Version::Omemo2 => items.into_iter().find(|item| item.id.as_deref() == Some(&version.bundle_item(device)))?,
        Version::Legacy => items.into_iter().next_back()?,
    };
    let (found, bundle) = BundleElement::parse(item.payload.as_ref()?).ok()?;
    (found == version).then(|| bundle.into())
}
