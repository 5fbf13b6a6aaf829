//! The devices of people as their servers list them, and what is under way to find out.
//!
//! Nothing is decided here at once: a message that waits asks for what is missing ([`Engine::advance`]), and every answer
//! asks again. So an answer that never comes, or comes late, does no harm.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use store::Transaction;
use xep::omemo::{DEVICES_MAX, DeviceList, Version};
use xep::pubsub::{self, Request};
use xmpp::jid::BareJid;
use xmpp::stanza::Condition;
use xmpp::xml::Element;

use crate::engine::{Answer, Engine, Question};
use crate::error::{EngineError, Failure};
use crate::event::{Event, Notice};
use crate::inbox::{KeyState, LookUps, Standing, is_taken_at_face_value};
use crate::retries::may_pass;
use crate::tables::{self, ContactRow, DeviceListRow, DeviceTrustCode, PeerDeviceRow, TrustCode};

/// A list that is older is fetched again before anything is sent (security-design §2.8).
const LIST_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Both lists are asked for together. A list that shows up so much later than the first one was held back, and what it names
/// is not there at first sight.
const FIRST_SIGHT: Duration = Duration::from_secs(10 * 60);

/// So many keys of a person are asked for at once only to be shown: their server decides how many devices it names.
const UNDECIDED_FETCHES_MAX: usize = 8;

/// How far a fetch is. What has never been asked for has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetch {
    /// The answer is on its way.
    Asked,
    /// The key is here, to be shown and compared; the device is not written to, so there is no session.
    Seen,
    /// It is here, and in the store if it was any good.
    Done,
    /// The account shows it only to those who see each other's presence.
    Forbidden,
    /// There was no answer, or none to work with.
    Failed(Failure),
}

/// What is being fetched, or was for the message that waits now.
#[derive(Default)]
pub(crate) struct Fetches {
    lists: HashMap<(BareJid, Version), Fetch>,
    bundles: HashMap<(BareJid, u32, Version), Fetch>,
    /// How many questions about the own bundles are open.
    pub(crate) own_bundles_open: u8,
    /// Whether the own bundles have been compared with the store in this session: before that, no ratchet moves.
    pub(crate) own_device_checked: bool,
    /// The own bundles that the server has confirmed, of those that are being published.
    pub(crate) published: HashSet<Version>,
    /// The own lists that the server has been asked for in this session, and has answered, well or not.
    own_lists_answered: HashSet<Version>,
    /// What is being found out about devices that no list of ours names.
    pub(crate) look_ups: LookUps,
}

impl Fetches {
    pub(crate) fn bundle(&self, who: &BareJid, device: u32, version: Version) -> Option<Fetch> {
        self.bundles.get(&(who.clone(), device, version)).copied()
    }

    pub(crate) fn set_bundle(&mut self, who: &BareJid, device: u32, version: Version, fetch: Fetch) {
        self.bundles.insert((who.clone(), device, version), fetch);
    }

    /// Whether this session has shown which other devices the own account has, and their keys.
    pub(crate) fn knows_own_devices(&self, own: &BareJid) -> bool {
        let answered = |version| self.own_lists_answered.contains(version);
        Version::STRONGEST_FIRST.iter().all(answered) && self.bundles_open_count(own) == 0
    }

    fn bundles_open_count(&self, who: &BareJid) -> usize {
        self.bundles.iter().filter(|((of, _, _), fetch)| of == who && **fetch == Fetch::Asked).count()
    }

    /// Begins anew for a person: whatever was found may be different by now.
    pub(crate) fn forget(&mut self, who: &BareJid) {
        self.lists.retain(|(of, _), fetch| of != who || *fetch == Fetch::Asked);
        self.bundles.retain(|(of, _, _), fetch| of != who || *fetch == Fetch::Asked);
    }

    /// The connection is gone, and every answer with it.
    pub(crate) fn forget_session(&mut self) {
        self.lists.clear();
        self.bundles.clear();
        self.published.clear();
        self.own_lists_answered.clear();
        self.look_ups.forget_session();
        (self.own_bundles_open, self.own_device_checked) = (0, false);
    }
}

/// Whether the lists of a person can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lists {
    Ready,
    Pending,
    Forbidden,
    Failed(Failure),
}

impl Engine {
    /// Sees to it that a person's device lists are here and fresh.
    pub(crate) async fn ensure_lists(&mut self, who: &BareJid) -> Result<Lists, EngineError> {
        let seen = self.list_row(who).await?;
        let has_devices = self.device_rows(who).await?.iter().any(PeerDeviceRow::is_listed);
        let is_own = self.own_or_bad()? == *who;
        let mut lists = Lists::Ready;
        for version in Version::STRONGEST_FIRST {
            let fresh = (has_devices || is_own) && self.is_fresh(seen_ms(&seen, version));
            let fetch = self.fetches.lists.get(&(who.clone(), version)).copied();
            let now = match fetch {
                Some(Fetch::Asked) => Lists::Pending,
                Some(Fetch::Done | Fetch::Seen) => Lists::Ready,
                Some(Fetch::Forbidden) => Lists::Forbidden,
                Some(Fetch::Failed(failure)) => Lists::Failed(failure),
                None if fresh => Lists::Ready,
                None => {
                    self.fetch_list(who, version);
                    Lists::Pending
                }
            };
            lists = match (lists, now) {
                (Lists::Pending, _) | (_, Lists::Pending) => Lists::Pending,
                (worse, Lists::Ready) => worse,
                (_, now) => now,
            };
        }
        Ok(lists)
    }

    fn is_fresh(&self, seen_ms: i64) -> bool {
        let seen = xmpp::time::Timestamp::from_millis(seen_ms);
        let now = self.now();
        seen <= now && now.since(seen) < LIST_MAX_AGE
    }

    pub(crate) fn fetch_list(&mut self, who: &BareJid, version: Version) {
        let request = Request::Items { node: version.devices_node().to_owned(), ids: Vec::new(), max_items: Some(1) };
        self.fetches.lists.insert((who.clone(), version), Fetch::Asked);
        self.ask("get", Some(who.as_ref()), request.to_element().0, Question::DeviceList { who: who.clone(), version });
    }

    pub(crate) async fn list_answer(
        &mut self,
        who: BareJid,
        version: Version,
        answer: Answer,
    ) -> Result<(), EngineError> {
        let (fetch, list) = match &answer {
            Answer::Result(pubsub) => (Fetch::Done, pubsub.as_ref().and_then(list_in_answer)),
            Answer::Error(error) => match error.condition {
                Condition::Forbidden
                | Condition::NotAuthorized
                | Condition::SubscriptionRequired
                | Condition::RegistrationRequired => (Fetch::Forbidden, None),
                Condition::RemoteServerNotFound => (Fetch::Failed(Failure::NoSuchServer), None),
                _ if may_pass(error) => (Fetch::Failed(Failure::ServerTimeout), None),
                // No node, no account, no PEP: all the same, there is no device.
                _ => (Fetch::Done, None),
            },
            Answer::Lost => (Fetch::Failed(Failure::ServerTimeout), None),
        };
        self.fetches.lists.insert((who.clone(), version), fetch);
        let is_own = self.own_or_bad()? == who;
        if fetch == Fetch::Done {
            self.store_list(&who, version, &list.clone().unwrap_or_default()).await?;
            if is_own {
                self.heal_own_list(version, list.as_ref()).await?;
            }
        }
        if is_own {
            self.fetches.own_lists_answered.insert(version);
            self.emit(Event::OwnDevices);
        }
        self.fetches.look_ups.list_answered(&who, version);
        self.held_progress(&who).await?;
        self.advance_all(&who).await
    }

    /// A list that its owner's server sent by itself.
    pub(crate) async fn list_event(&mut self, who: BareJid, element: &Element) -> Result<(), EngineError> {
        let Ok((version, list)) = DeviceList::parse(element) else { return Ok(()) };
        let own = self.own_or_bad()?;
        if who != own && self.contact_row(&own, &who).await?.is_none() {
            return Ok(()); // of a stranger nothing is kept
        }
        self.store_list(&who, version, &list).await?;
        if who == own {
            self.heal_own_list(version, Some(&list)).await?;
        }
        self.held_progress(&who).await?;
        self.advance_all(&who).await
    }

    /// Notes which devices a list names. Devices that are gone keep their pinned keys: they may come back.
    async fn store_list(&mut self, who: &BareJid, version: Version, list: &DeviceList) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let this_device = if *who == own { self.ids_of_this_device().await? } else { Vec::new() };
        let contact = self.contact_row(&own, who).await?;
        let mut seen = self.list_row(who).await?;
        let now = self.now();
        if seen.first_seen_ms == 0 {
            seen.first_seen_ms = now.as_millis();
        }
        let first_sight = now.since(xmpp::time::Timestamp::from_millis(seen.first_seen_ms)) <= FIRST_SIGHT;
        let first_time = seen_ms(&seen, version) == 0 && first_sight;
        let mut rows = self.device_rows(who).await?;
        let mut tx = self.store.transaction();
        let standing = Standing::of(*who == own, contact.as_ref());
        let (mut news, mut new_app) = (false, false);
        for id in list.ids().filter(|id| !this_device.contains(id)).take(DEVICES_MAX) {
            if !rows.iter().any(|row| row.id == id) {
                let trust = trust_of_new_device(contact.as_ref(), first_time && *who != own);
                news |= trust == DeviceTrustCode::Undecided;
                // Somebody who was never compared: a later device is believed as well, but marked, and told of.
                let unconfirmed = trust == DeviceTrustCode::Tofu && !first_time && standing != Standing::Stranger;
                new_app |= unconfirmed;
                let first_seen_ms = now.as_millis();
                rows.push(PeerDeviceRow { first_seen_ms, unconfirmed, ..new_device_row(&own, who, id, trust) });
            }
        }
        for row in &mut rows {
            let entry = list.devices.iter().find(|device| device.id == row.id);
            let listed = entry.is_some();
            if let Some(entry) = entry {
                row.keep_label(entry);
            }
            row.was_listed |= listed || row.is_listed();
            match version {
                Version::Omemo2 => row.listed_omemo2 = listed,
                Version::Legacy => row.listed_legacy = listed,
            }
            // It spoke before any list named it; now one does.
            if is_taken_at_face_value(standing, KeyState::from(&*row)) {
                row.set_trust(DeviceTrustCode::Tofu);
                row.unconfirmed = !first_time;
                new_app |= row.unconfirmed;
            }
            if row.is_worth_keeping() {
                self.put_device_row(&mut tx, row)?;
            } else {
                tx.delete(&tables::PEER_DEVICE.row(&self.person_owner(who)?, &row.id.to_be_bytes()));
            }
        }
        match version {
            Version::Omemo2 => seen.omemo2_seen_ms = now.as_millis(),
            Version::Legacy => seen.legacy_seen_ms = now.as_millis(),
        }
        tables::save(&mut tx, &tables::DEVICE_LIST.row(&tables::owner(&own, &[]), who.as_str().as_bytes()), &seen);
        let notice = match (news, new_app) {
            (true, _) if *who == own => Some(Notice::NewOwnDevice),
            (true, _) => Some(Notice::NewDevice { contact: who.clone() }),
            (false, true) => Some(Notice::NewApp { contact: who.clone() }),
            (false, false) => None,
        };
        let noted = match notice {
            Some(notice) => Some(self.note(&mut tx, notice).await?),
            None => None,
        };
        tx.commit().await?;
        self.notify(noted);
        if contact.is_some() || *who == own {
            self.fetch_undecided_keys(who, &rows);
        }
        Ok(())
    }

    /// Asks for the keys of devices that wait for the user's decision, so that they can be compared before it.
    pub(crate) fn fetch_undecided_keys(&mut self, who: &BareJid, devices: &[PeerDeviceRow]) {
        if !self.is_online() {
            return;
        }
        let room = UNDECIDED_FETCHES_MAX.saturating_sub(self.fetches.bundles_open_count(who));
        let wanted = |device: &&PeerDeviceRow| {
            device.is_listed() && device.identity.is_empty() && device.trust() == DeviceTrustCode::Undecided
        };
        for device in devices.iter().filter(wanted).take(room) {
            let version = if device.listed_omemo2 { Version::Omemo2 } else { Version::Legacy };
            if self.fetches.bundle(who, device.id, version).is_none() {
                self.fetch_bundle(who, device.id, version);
            }
        }
    }

    async fn list_row(&self, who: &BareJid) -> Result<DeviceListRow, EngineError> {
        let own = self.own_or_bad()?;
        let key = tables::DEVICE_LIST.row(&tables::owner(&own, &[]), who.as_str().as_bytes());
        Ok(tables::load(&self.store, &key).await?.unwrap_or_else(|| DeviceListRow {
            account: own.as_str().to_owned(),
            address: who.as_str().to_owned(),
            ..DeviceListRow::default()
        }))
    }

    pub(crate) async fn device_rows(&self, who: &BareJid) -> Result<Vec<PeerDeviceRow>, EngineError> {
        let mut rows: Vec<PeerDeviceRow> =
            tables::list(&self.store, tables::PEER_DEVICE, &self.person_owner(who)?).await?;
        rows.sort_by_key(|row| row.id); // the store lists in no order, and a run must be repeatable
        Ok(rows)
    }

    pub(crate) async fn device_row(&self, who: &BareJid, id: u32) -> Result<Option<PeerDeviceRow>, EngineError> {
        tables::load(&self.store, &tables::PEER_DEVICE.row(&self.person_owner(who)?, &id.to_be_bytes())).await
    }

    pub(crate) fn put_device_row(&self, tx: &mut Transaction, row: &PeerDeviceRow) -> Result<(), EngineError> {
        let owner = tables::owner(&self.own_or_bad()?, &[&row.address]);
        tables::save(tx, &tables::PEER_DEVICE.row(&owner, &row.id.to_be_bytes()), row);
        Ok(())
    }
}

fn seen_ms(row: &DeviceListRow, version: Version) -> i64 {
    match version {
        Version::Omemo2 => row.omemo2_seen_ms,
        Version::Legacy => row.legacy_seen_ms,
    }
}

/// Devices that are there at first sight are taken at face value. A later one of a verified person waits for the user, and so
/// does every other one of the own account, whenever it was first seen (security-design §2.6, C22). So does one of a person
/// whose keys do not fit: servers can bring that about, and must not gain by it.
fn trust_of_new_device(contact: Option<&ContactRow>, first_time: bool) -> DeviceTrustCode {
    match contact {
        Some(contact) if contact.trust() != TrustCode::Tofu && contact.promised_keys.is_empty() => {
            DeviceTrustCode::Undecided
        }
        None if !first_time => DeviceTrustCode::Undecided,
        _ => DeviceTrustCode::Tofu,
    }
}

pub(crate) fn new_device_row(own: &BareJid, who: &BareJid, id: u32, trust: DeviceTrustCode) -> PeerDeviceRow {
    PeerDeviceRow {
        account: own.as_str().to_owned(),
        address: who.as_str().to_owned(),
        id,
        trust: trust.into(),
        repaired_day: i64::MIN,
        ..PeerDeviceRow::default()
    }
}

fn list_in_answer(pubsub: &Element) -> Option<DeviceList> {
    let (_, items) = pubsub::request::parse_items(pubsub).ok()?;
    let newest = items.iter().find(|item| item.id.as_deref() == Some(Version::DEVICES_ITEM)).or(items.last())?;
    DeviceList::parse(newest.payload.as_ref()?).ok().map(|(_, list)| list)
}
