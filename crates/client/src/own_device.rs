//! This device's own keys: made, published, refilled, and made anew when the store turns out to be a copy.

use std::time::Duration;

use crypto::omemo::{Device, Legacy, Omemo2, Publication, PublishedBundle};
use store::Transaction;
use xep::forms::{Form, FormType};
use xep::omemo::{BundleElement, DeviceList, Version};
use xep::pubsub::{FORM_NODE_CONFIG, FORM_PUBLISH_OPTIONS, Item, Request};
use xmpp::jid::BareJid;
use xmpp::stanza::Condition;
use xmpp::time::Timestamp;

use crate::bundles::bundle_in_answer;
use crate::engine::{Answer, Engine, Question, Republish};
use crate::error::EngineError;
use crate::event::Notice;
use crate::tables::{self, DeviceRow};

/// The attempts to publish: with all options, where a node had others until then twice; with the one that others must be
/// able to read, because some servers do not know the rest; without any.
const ATTEMPT_OPEN_ONLY: u8 = 2;
const ATTEMPT_PLAIN: u8 = 3;

/// How often bundles are published on account of strangers, at most (security-design §2.6).
const STRANGERS_WAIT: Duration = Duration::from_secs(3600);

/// The publication of the own bundles that is under way, or was last.
#[derive(Default)]
pub(crate) struct Publishing {
    /// Counts publications: an answer about an earlier one says nothing about this one.
    round: u64,
    /// The prekeys that these bundles no longer offer.
    withdrawn: Publication,
    /// When the server last confirmed, or was last asked: strangers' prekeys wait from then on.
    last: Option<Timestamp>,
}

impl Engine {
    /// Makes the keys of a new device.
    pub(crate) fn make_device(&self, own: &BareJid, tx: &mut Transaction) -> Device {
        let device = Device::generate(self.now_secs(), &*self.env.random);
        let row = DeviceRow {
            account: own.as_str().to_owned(),
            device: device.to_bytes().to_vec(),
            publish_due: true,
            retired_ids: Vec::new(),
            published_ms: 0,
        };
        tables::save(tx, &device_key(own), &row);
        device
    }

    /// The id of this device, and those that it had before: their owner is no other app.
    pub(crate) async fn ids_of_this_device(&self) -> Result<Vec<u32>, EngineError> {
        let own = self.own_or_bad()?;
        let mut ids = tables::load::<DeviceRow>(&self.store, &device_key(&own)).await?.unwrap_or_default().retired_ids;
        ids.extend(self.device.as_ref().map(Device::id));
        Ok(ids)
    }

    pub(crate) async fn load_device(&mut self) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        match tables::load::<DeviceRow>(&self.store, &device_key(&own)).await? {
            Some(row) => {
                self.device = Some(Device::from_bytes(&row.device).map_err(|_| EngineError::BadRow)?);
                self.publishing.last = Some(Timestamp::from_millis(row.published_ms));
            }
            None => {
                let mut tx = self.store.transaction();
                self.device = Some(self.make_device(&own, &mut tx));
                tx.commit().await?;
            }
        }
        Ok(())
    }

    /// The keys in this store may be in use elsewhere: a new id, new keys, no sessions. What was said is kept, and the user
    /// is told.
    pub(crate) async fn renew_device(&mut self) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let mut tx = self.store.transaction();
        let old = tables::load::<DeviceRow>(&self.store, &device_key(&own)).await?;
        let device = Device::generate(self.now_secs(), &*self.env.random);
        let mut retired_ids = old.map(|row| row.retired_ids).unwrap_or_default();
        retired_ids.extend(self.device.as_ref().map(Device::id));
        let row = DeviceRow {
            account: own.as_str().to_owned(),
            device: device.to_bytes().to_vec(),
            publish_due: true,
            retired_ids,
            published_ms: 0,
        };
        tables::save(&mut tx, &device_key(&own), &row);
        let mut people: Vec<String> = vec![own.as_str().to_owned()];
        people.extend(self.contact_rows_of(&own).await?.into_iter().map(|contact| contact.address));
        for person in people {
            let owner = tables::owner(&own, &[person.as_str()]);
            tables::delete_all(&self.store, &mut tx, tables::SESSION, &owner).await?;
        }
        let noted = self.note(&mut tx, Notice::DeviceRenewed).await?;
        tx.commit().await?;
        self.device = Some(device);
        self.notify([noted]);
        self.fetches.forget_session();
        Ok(())
    }

    /// Writes the device in a transaction. `publish_due` only ever becomes true here.
    pub(crate) async fn put_device(
        &self,
        tx: &mut Transaction,
        device: &Device,
        publish_due: bool,
    ) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let mut row: DeviceRow = tables::load(&self.store, &device_key(&own)).await?.unwrap_or_default();
        row.account = own.as_str().to_owned();
        row.device = device.to_bytes().to_vec();
        row.publish_due |= publish_due;
        tables::save(tx, &device_key(&own), &row);
        Ok(())
    }

    /// Once a day while connected: the signed prekey is replaced weekly.
    pub(crate) async fn maintain_daily(&mut self) -> Result<(), EngineError> {
        let today = self.now().day();
        if self.is_online() && !self.is_catching_up() && self.maintained_day != Some(today) {
            self.maintained_day = Some(today);
            self.maintain_device(true).await?;
        }
        Ok(())
    }

    /// When [`Engine::look_at_keys`] has something to do.
    pub(crate) fn next_look_at_keys(&self) -> Option<Timestamp> {
        let device = self.device.as_ref().filter(|_| self.may_look_at_keys())?;
        // While the wall clock is not believed the two differ, and nothing is erased.
        let is_believed = self.date() == self.now();
        let erasure = device.next_erasure().and_then(|at| i64::try_from(at).ok()).map(Timestamp::from_secs);
        let erasure = erasure.filter(|_| is_believed);
        let publication = device.is_publication_due().then(|| self.strangers_turn());
        erasure.into_iter().chain(publication).min()
    }

    fn may_look_at_keys(&self) -> bool {
        self.is_online() && !self.is_catching_up() && self.fetches.own_device_checked
    }

    /// From when on prekeys that strangers have used up are reason enough to publish.
    fn strangers_turn(&self) -> Timestamp {
        self.publishing.last.map_or_else(|| self.now(), |last| last.min(self.now()) + STRANGERS_WAIT)
    }

    /// Erases used prekeys whose time is over, and publishes what strangers have used up.
    pub(crate) async fn look_at_keys(&mut self, now: Timestamp) -> Result<(), EngineError> {
        if self.next_look_at_keys().is_some_and(|at| at <= now) { self.maintain_device(true).await } else { Ok(()) }
    }

    /// At the start of a session: looks at what the server shows of our keys. Nothing is sealed or published before the
    /// answers are here (security-design §3.5).
    pub(crate) fn check_own_device(&mut self) {
        let (Some(device), Ok(own)) = (self.device.as_ref().map(Device::id), self.own()) else { return };
        for version in Version::STRONGEST_FIRST {
            let (node, ids) = (version.bundle_node(device), vec![version.bundle_item(device)]);
            let request = Request::Items { node, ids, max_items: None };
            self.ask("get", Some(own.as_ref()), request.to_element().0, Question::OwnBundle { version });
            self.fetches.own_bundles_open += 1;
        }
        self.ask_for_witness();
    }

    /// The keys in this store are the right ones: from here on they are published, listed and used.
    pub(crate) async fn own_device_is_checked(&mut self) -> Result<(), EngineError> {
        self.fetches.own_device_checked = true;
        self.maintain_device(!self.is_catching_up()).await?;
        self.note_session_works();
        let own = self.own_or_bad()?;
        for version in Version::STRONGEST_FIRST {
            self.fetch_list(&own, version);
        }
        self.resume_repairs().await?;
        self.look_after_held().await?;
        self.give_due_receipts().await?;
        self.advance_all(&own).await
    }

    /// Refills and rotates prekeys, and erases the private parts that nothing on its way needs any more once everything
    /// that had waited is here (`caught_up`); publishes when anything is due.
    pub(crate) async fn maintain_device(&mut self, caught_up: bool) -> Result<(), EngineError> {
        let now = self.now_secs();
        let believed = self.believes_clock().await?;
        let Some(mut device) = self.device.take() else { return Ok(()) };
        if caught_up && believed {
            device.catch_up_completed(now);
        }
        // By a date that is not believed nothing is due; prekeys that run low are refilled all the same.
        let changed = device.maintain(now, &*self.env.random).bundle_changed;
        let mut tx = self.store.transaction();
        let put = self.put_device(&mut tx, &device, changed).await;
        self.device = Some(device);
        put?;
        tx.commit().await?;
        self.publish_if_due().await
    }

    pub(crate) async fn publish_if_due(&mut self) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let row = tables::load::<DeviceRow>(&self.store, &device_key(&own)).await?;
        // Before the comparison, what is here may be older than what is published there.
        if !self.is_online() || !self.fetches.own_device_checked {
            return Ok(());
        }
        let Some(device) = &self.device else { return Ok(()) };
        let for_strangers = device.is_publication_due() && self.strangers_turn() <= self.now();
        if for_strangers || row.is_some_and(|row| row.publish_due) {
            self.publishing.withdrawn = device.publication();
            self.publishing.round += 1;
            self.publishing.last = Some(self.now());
            self.fetches.published.clear();
            for version in Version::STRONGEST_FIRST {
                self.publish_bundle(version, 0, self.publishing.round);
            }
        }
        Ok(())
    }

    fn publish_bundle(&mut self, version: Version, attempt: u8, round: u64) {
        let Some(device) = self.device.as_ref().filter(|_| round == self.publishing.round) else { return };
        let bundle = BundleElement::from(own_bundle(device, version)).to_element(version);
        let request = Request::Publish {
            node: version.bundle_node(device.id()),
            item: Item::new(&version.bundle_item(device.id()), bundle),
            options: publish_options(version.bundle_options(), attempt),
        };
        self.ask("set", None, request.to_element().0, Question::PublishBundle { version, attempt, round });
    }

    fn publish_list(&mut self, version: Version, others: &DeviceList, attempt: u8) {
        let Some(device) = &self.device else { return };
        let mut list = others.clone();
        if !list.contains(device.id()) {
            list.devices.extend(DeviceList::of_ids([device.id()]).devices);
        }
        let request = Request::Publish {
            node: version.devices_node().to_owned(),
            item: Item::new(Version::DEVICES_ITEM, list.to_element(version)),
            options: publish_options(version.devices_options(), attempt),
        };
        self.ask("set", None, request.to_element().0, Question::PublishList { version, list, attempt });
    }

    /// The own list as the server has it: puts this device back on it when it is missing, takes retired ones off, and
    /// leaves the others alone.
    pub(crate) async fn heal_own_list(
        &mut self,
        version: Version,
        list: Option<&DeviceList>,
    ) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let retired = tables::load::<DeviceRow>(&self.store, &device_key(&own)).await?.unwrap_or_default().retired_ids;
        let Some(id) = self.device.as_ref().map(Device::id) else { return Ok(()) };
        let mut healed = list.cloned().unwrap_or_default();
        healed.devices.retain(|device| !retired.contains(&device.id));
        let mut tx = self.store.transaction();
        self.without_refused(&mut tx, version, &mut healed).await?;
        tx.commit().await?;
        if list.is_none_or(|list| !list.contains(id) || list.devices.len() != healed.devices.len()) {
            self.publish_list(version, &healed, 0);
        }
        Ok(())
    }

    pub(crate) async fn own_bundle_answer(&mut self, version: Version, answer: &Answer) -> Result<(), EngineError> {
        let Some(device) = &self.device else { return Ok(()) };
        let ours = own_bundle(device, version);
        let theirs = match answer {
            Answer::Result(Some(pubsub)) => bundle_in_answer(pubsub, version, device.id()),
            _ => None,
        };
        match theirs {
            // Our key has signed what this store has never made: a copy of it is, or was, in use elsewhere.
            Some(theirs) if is_proof(device, version, &theirs) => {
                self.renew_device().await?;
                self.fetches.own_bundles_open = 1; // what the server has of the old device does not matter any more
            }
            // Anything else proves nothing, however odd it is: it is put right (C24).
            Some(theirs) if is_ours(device, version, &ours, &theirs) => {}
            _ if matches!(answer, Answer::Lost) => {}
            _ => self.note_publish_due().await?,
        }
        self.own_check_answered()
    }

    pub(crate) async fn note_publish_due(&mut self) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let row = tables::load::<DeviceRow>(&self.store, &device_key(&own)).await?;
        if let Some(row) = row.filter(|row| !row.publish_due) {
            let mut tx = self.store.transaction();
            tables::save(&mut tx, &device_key(&own), &DeviceRow { publish_due: true, ..row });
            tx.commit().await?;
        }
        Ok(())
    }

    pub(crate) async fn publish_bundle_answer(
        &mut self,
        version: Version,
        attempt: u8,
        round: u64,
        answer: &Answer,
    ) -> Result<(), EngineError> {
        if round != self.publishing.round {
            return Ok(()); // keys have changed since
        }
        match answer {
            Answer::Result(_) => {
                self.fetches.published.insert(version);
                if Version::STRONGEST_FIRST.iter().all(|version| self.fetches.published.contains(version)) {
                    self.bundles_are_out().await?;
                }
            }
            Answer::Error(error) if attempt < ATTEMPT_PLAIN => {
                if let Some(node) = self.device.as_ref().map(|device| version.bundle_node(device.id())) {
                    self.fix_node(version, node, error.condition, Republish::Bundle { round }, attempt);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The server has the bundles of both versions: from now on nobody new picks the prekeys that are not in them.
    async fn bundles_are_out(&mut self) -> Result<(), EngineError> {
        let (own, now) = (self.own_or_bad()?, self.now());
        let (Some(device), Some(row)) =
            (&self.device, tables::load::<DeviceRow>(&self.store, &device_key(&own)).await?)
        else {
            return Ok(());
        };
        // On a copy: if the commit fails, they are published again.
        let mut device = Device::from_bytes(&device.to_bytes()).map_err(|_| EngineError::BadRow)?;
        device.published(&self.publishing.withdrawn, self.now_secs());
        let bytes = device.to_bytes().to_vec();
        let row = DeviceRow { publish_due: false, published_ms: now.as_millis(), device: bytes, ..row };
        let mut tx = self.store.transaction();
        tables::save(&mut tx, &device_key(&own), &row);
        tx.commit().await?;
        self.device = Some(device);
        self.publishing.last = Some(now);
        Ok(())
    }

    pub(crate) fn publish_list_answer(&mut self, version: Version, list: DeviceList, attempt: u8, answer: &Answer) {
        if let Answer::Error(error) = answer
            && attempt < ATTEMPT_PLAIN
        {
            let node = version.devices_node().to_owned();
            self.fix_node(version, node, error.condition, Republish::List(list), attempt);
        }
    }

    /// A node of another making has other settings (`precondition-not-met` is a conflict): sets them, then publishes
    /// again. Other errors mean that the server does not know an option: publishes with fewer.
    fn fix_node(&mut self, version: Version, node: String, condition: Condition, then: Republish, attempt: u8) {
        if condition != Condition::Conflict || attempt > 0 {
            return self.republish(version, then, (attempt + 1).max(ATTEMPT_OPEN_ONLY));
        }
        let options = match then {
            Republish::List(_) => version.devices_options(),
            Republish::Bundle { .. } => version.bundle_options(),
        };
        let request = Request::Configure { node, form: Some(form(FORM_NODE_CONFIG, options)) };
        let question = Question::Configure { version, then };
        self.ask("set", None, request.to_element().0, question);
    }

    pub(crate) fn configure_answer(&mut self, version: Version, then: Republish, answer: &Answer) {
        let next = if matches!(answer, Answer::Result(_)) { 1 } else { ATTEMPT_OPEN_ONLY };
        self.republish(version, then, next);
    }

    fn republish(&mut self, version: Version, what: Republish, attempt: u8) {
        match what {
            Republish::List(list) => self.publish_list(version, &list, attempt),
            Republish::Bundle { round } => self.publish_bundle(version, attempt, round),
        }
    }
}

/// Whether a bundle at the server proves that a copy of this device is in use.
fn is_proof(device: &Device, version: Version, theirs: &PublishedBundle) -> bool {
    match version {
        Version::Omemo2 => device.is_copied::<Omemo2>(theirs),
        Version::Legacy => device.is_copied::<Legacy>(theirs),
    }
}

/// Whether a bundle at the server is as we left it, but for prekeys that have been used since.
fn is_ours(device: &Device, version: Version, ours: &PublishedBundle, theirs: &PublishedBundle) -> bool {
    let serves = |prekey| match version {
        Version::Omemo2 => device.has_prekey::<Omemo2>(prekey),
        Version::Legacy => device.has_prekey::<Legacy>(prekey),
    };
    theirs.identity_key == ours.identity_key
        && theirs.signed_prekey == ours.signed_prekey
        && theirs.prekeys.iter().all(serves)
}

fn own_bundle(device: &Device, version: Version) -> PublishedBundle {
    match version {
        Version::Omemo2 => device.bundle::<Omemo2>(),
        Version::Legacy => device.bundle::<Legacy>(),
    }
}

fn publish_options(all: &[(&'static str, &'static str)], attempt: u8) -> Option<Form> {
    match attempt {
        ATTEMPT_PLAIN.. => None,
        ATTEMPT_OPEN_ONLY => Some(form(FORM_PUBLISH_OPTIONS, &[("pubsub#access_model", "open")])),
        _ => Some(form(FORM_PUBLISH_OPTIONS, all)),
    }
}

fn form(meaning: &str, options: &[(&'static str, &'static str)]) -> Form {
    options.iter().fold(Form::of_type(FormType::Submit, meaning), |form, (name, value)| form.with(name, *value))
}

fn device_key(own: &BareJid) -> store::Key {
    tables::DEVICE.row(&tables::owner(own, &[]), b"")
}
