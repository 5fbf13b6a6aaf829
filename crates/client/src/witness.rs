//! The witness of this device: noticing that the whole profile, store and key file, was put back to an older state (security
//! design §3.5, attack row C23).
//!
//! A store that is older than its key file is recognised by itself. When both are put back together nothing on this machine
//! knows, and the keys in it have been used since. So how far the device has come is kept elsewhere too, sealed to itself: at the
//! own server, and by Waxwing peers. At the start of every stream, before anything is sealed, the server's copy is read; then
//! the device counts one further, in the key file, in the store, at the server, and only then seals. So it does before every
//! 256th sending step.
//!
//! A server that keeps nothing, is silent or shows an old one stops nobody: what cannot be read proves nothing.

use std::time::Duration;

use crypto::omemo::{MARK_BYTES, Witness};
use store::Transaction;
use xep::forms::{Form, FormType};
use xep::pubsub::{FORM_PUBLISH_OPTIONS, Item, Request};
use xep::witness::{self, RETURNED_MAX, Returned, Witnesses};
use xmpp::jid::BareJid;

use crate::command::WitnessState;
use crate::engine::{Answer, Engine, Question};
use crate::error::EngineError;
use crate::output::Output;
use crate::tables::{self, ContactRow, PeerDeviceRow, WitnessRow};

/// How long the server may take; after that sending goes on.
const PATIENCE: Duration = Duration::from_secs(10);
/// No more sending steps than this between two witnesses.
const STEPS_MAX: u32 = 256;
/// After so many the next one is begun, so that it is out in time.
const STEPS_DUE: u32 = 128;

/// How many witnesses are kept for a peer's device until they go back to it.
const DUE_MAX: usize = 8;

/// Where counting one further has come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Idle,
    /// The program writes the generation.
    Counting,
    /// The server has been told.
    Publishing,
}

/// The witness, while the program runs.
#[derive(Default)]
pub(crate) struct Witnessing {
    step: Step,
    /// Which witness is being published: an answer about one before says nothing of it.
    round: u64,
    /// Encryptions since the newest witness, and how many of them when the next one was begun.
    steps: u32,
    steps_before: u32,
}

impl Witnessing {
    /// The connection is gone, and every answer with it.
    pub(crate) fn forget_session(&mut self) {
        self.step = Step::Idle;
    }
}

impl Engine {
    /// Asks for the server's copy.
    pub(crate) fn ask_for_witness(&mut self) {
        let (Some(device), Ok(own)) = (&self.device, self.own()) else { return };
        let (node, ids) = (witness::node(device.id()), vec![witness::ITEM.to_owned()]);
        let request = Request::Items { node, ids, max_items: None };
        let own = own.as_ref().clone();
        self.ask_within(PATIENCE, "get", Some(&own), request.to_element().0, Question::OwnWitness);
        self.fetches.own_bundles_open += 1;
    }

    /// The server's copy is here, or it is not.
    pub(crate) async fn own_witness_answer(&mut self, answer: &Answer) -> Result<(), EngineError> {
        if let Some(sealed) = witness_in(answer)
            && self.is_ahead(&sealed).await?
        {
            self.renew_device().await?;
            self.fetches.own_bundles_open = 1; // what else is asked belongs to the old device
        }
        self.own_check_answered()
    }

    /// Whether a witness of this device, wherever it comes from, proves that the store was put back.
    async fn is_ahead(&self, sealed: &[u8]) -> Result<bool, EngineError> {
        let own = self.own_or_bad()?;
        let Some(found) = self.device.as_ref().and_then(|device| device.open_witness(own.as_str(), sealed)) else {
            return Ok(false);
        };
        // Compared with what was shown last, not with the count of starts: every start counts before it connects.
        let Some(row) = self.witness_row(&own).await? else { return Ok(true) }; // we have never shown any
        let mark = row.mark.as_slice().try_into().map_err(|_| EngineError::BadRow)?;
        Ok(found.is_ahead_of(&Witness { generation: row.generation, mark }))
    }

    async fn witness_row(&self, own: &BareJid) -> Result<Option<WitnessRow>, EngineError> {
        tables::load(&self.store, &witness_key(own)).await
    }

    /// One of the questions about the own device is answered; after the last, the device counts one further.
    pub(crate) fn own_check_answered(&mut self) -> Result<(), EngineError> {
        if self.fetches.own_device_checked || self.witnessing.step != Step::Idle {
            return Ok(()); // the other answers came after the device had been renewed
        }
        self.fetches.own_bundles_open = self.fetches.own_bundles_open.saturating_sub(1);
        if self.fetches.own_bundles_open == 0 {
            self.count_further();
        }
        Ok(())
    }

    /// Has the program count one further: the key file first, then the store.
    fn count_further(&mut self) {
        if self.witnessing.step == Step::Idle && self.is_online() {
            self.witnessing.step = Step::Counting;
            self.witnessing.steps_before = self.witnessing.steps;
            self.output(Output::AdvanceGeneration);
        }
    }

    /// The generation of [`Output::AdvanceGeneration`] is in the key file and in the store.
    ///
    /// # Errors
    ///
    /// [`EngineError`] when the store failed; nothing more is sealed on this connection then.
    pub async fn handle_generation(&mut self) -> Result<(), EngineError> {
        if self.witnessing.step != Step::Counting {
            return Ok(()); // the one at the start of the program
        }
        let shown = self.show_witness().await;
        self.flush();
        shown
    }

    async fn show_witness(&mut self) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let Some(device) = &self.device else { return Ok(()) };
        let witness = Witness { generation: self.store.generation().await?, mark: self.env.bytes::<MARK_BYTES>() };
        let row = WitnessRow {
            account: own.as_str().to_owned(),
            generation: witness.generation,
            mark: witness.mark.to_vec(),
            sealed: device.seal_witness(own.as_str(), &witness, &*self.env.random),
            state: self.witness_state().await?.code(),
        };
        let node = witness::node(device.id());
        let mut tx = self.store.transaction();
        tables::save(&mut tx, &witness_key(&own), &row);
        tx.commit().await?;
        let options = witness::OPTIONS
            .iter()
            .fold(Form::of_type(FormType::Submit, FORM_PUBLISH_OPTIONS), |form, (name, value)| form.with(name, *value));
        let item = Item::new(witness::ITEM, witness::to_element(&row.sealed));
        let request = Request::Publish { node, item, options: Some(options) };
        self.witnessing.step = Step::Publishing;
        self.witnessing.round += 1;
        let question = Question::PublishWitness { round: self.witnessing.round };
        self.ask_within(PATIENCE, "set", None, request.to_element().0, question);
        Ok(())
    }

    /// The server has the witness, or will not: from here on sending goes on.
    pub(crate) async fn witness_published(&mut self, round: u64, answer: &Answer) -> Result<(), EngineError> {
        if self.witnessing.step != Step::Publishing || round != self.witnessing.round {
            return Ok(());
        }
        self.witnessing.step = Step::Idle;
        self.witnessing.steps -= self.witnessing.steps_before.min(self.witnessing.steps);
        let state = match answer {
            Answer::Result(_) => WitnessState::Kept,
            Answer::Error(_) => WitnessState::Refused,
            Answer::Lost => WitnessState::Silent,
        };
        let own = self.own_or_bad()?;
        if let Some(row) = self.witness_row(&own).await?.filter(|row| row.state != state.code()) {
            let mut tx = self.store.transaction();
            tables::save(&mut tx, &witness_key(&own), &WitnessRow { state: state.code(), ..row });
            tx.commit().await?;
        }
        if self.fetches.own_device_checked {
            self.give_due_receipts().await?;
            return self.advance_all(&own).await;
        }
        self.own_device_is_checked().await
    }

    /// What the own server did with the newest witness, as far as is known.
    pub(crate) async fn witness_state(&self) -> Result<WitnessState, EngineError> {
        let Ok(own) = self.own() else { return Ok(WitnessState::Unknown) };
        Ok(self.witness_row(&own).await?.map_or(WitnessState::Unknown, |row| WitnessState::from_code(row.state)))
    }

    /// Whether so many devices can be encrypted to before the next witness has to be out.
    pub(crate) fn may_seal_for(&self, devices: usize) -> bool {
        let devices = u32::try_from(devices).unwrap_or(u32::MAX);
        self.fetches.own_device_checked && self.witnessing.steps.saturating_add(devices) <= STEPS_MAX
    }

    /// Counts steps that moved ratchets forward, one per device.
    pub(crate) fn count_sending_steps(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.witnessing.steps = self.witnessing.steps.saturating_add(count);
        if self.witnessing.steps >= STEPS_DUE {
            self.count_further();
        }
    }

    /// What an envelope to a person carries: our newest witness, if they have not got it, and theirs that are to go back.
    pub(crate) async fn witnesses_for<'a>(
        &self,
        contact: &ContactRow,
        devices: impl Iterator<Item = &'a PeerDeviceRow>,
    ) -> Result<Witnesses, EngineError> {
        let newest = self.witness_row(&self.own_or_bad()?).await?;
        let newest = newest.filter(|row| row.mark != contact.witness_told).map(|row| row.sealed);
        let mut due: Vec<(usize, Returned)> = Vec::new();
        for row in devices {
            let newest_first = row.witnesses_due.iter().rev().enumerate();
            due.extend(newest_first.map(|(age, sealed)| (age, Returned { device: row.id, sealed: sealed.clone() })));
        }
        // Of many devices the newest of each come first: no more are read.
        due.sort_by_key(|(age, _)| *age);
        let returned = due.into_iter().map(|(_, returned)| returned).take(RETURNED_MAX).collect();
        Ok(Witnesses { newest, returned })
    }

    /// Notes in a transaction that an envelope carried them.
    pub(crate) async fn put_witness_told(
        &self,
        tx: &mut Transaction,
        contact: &mut ContactRow,
        carried: &Witnesses,
    ) -> Result<(), EngineError> {
        if carried.newest.is_some()
            && let Some(row) = self.witness_row(&self.own_or_bad()?).await?
        {
            contact.witness_told = row.mark;
            self.put_contact(tx, contact);
        }
        Ok(())
    }

    /// Looks at what a peer gives back: whoever it comes from, only this device can have made what opens.
    pub(crate) async fn take_returned_witnesses(&mut self, witnesses: &Witnesses) -> Result<(), EngineError> {
        let Some(id) = self.device.as_ref().map(crypto::omemo::Device::id) else { return Ok(()) };
        for returned in witnesses.returned.iter().filter(|returned| returned.device == id) {
            if self.is_ahead(&returned.sealed).await? {
                self.renew_device().await?;
                self.witnessing.forget_session();
                self.fetches.own_bundles_open = 1;
                return self.own_check_answered();
            }
        }
        Ok(())
    }
}

impl PeerDeviceRow {
    /// Keeps the newest witness of a peer's device; those before go back to it with the next words. Nobody here can tell
    /// which of them is ahead of a device that was put back: the newest of what it was, which what it has shown since does
    /// not push out at once. So when there are too many, one from the middle goes.
    pub(crate) fn keep_witness(&mut self, newest: Option<&Vec<u8>>) {
        let Some(newest) = newest.filter(|newest| **newest != self.witness) else { return };
        let before = std::mem::replace(&mut self.witness, newest.clone());
        if before.is_empty() {
            return;
        }
        if self.witnesses_due.len() >= DUE_MAX {
            self.witnesses_due.remove(DUE_MAX / 2);
        }
        self.witnesses_due.push(before);
    }
}

fn witness_in(answer: &Answer) -> Option<Vec<u8>> {
    let Answer::Result(Some(element)) = answer else { return None };
    let (_, items) = xep::pubsub::request::parse_items(element).ok()?;
    let item = items.iter().find(|item| item.id.as_deref() == Some(witness::ITEM))?;
    witness::parse(item.payload.as_ref()?).ok()
}

fn witness_key(own: &BareJid) -> store::Key {
    tables::WITNESS.row(&tables::owner(own, &[]), b"")
}
