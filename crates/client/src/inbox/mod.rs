//! Messages that arrive: decrypted on a copy, saved together with the moved ratchet, and only then acknowledged.
//!
//! What cannot be believed is not shown: clear text beside an encrypted element, words in the name of somebody else,
//! repetitions. What a stranger writes lies in the requests, and nothing goes back to them.

mod content;
mod held;
mod judgement;
mod strangers;

use crypto::omemo::{DecryptError, Delivery, Device, Legacy, Omemo2, Profile, ReplyDue, SessionSet};
use store::Transaction;
use xep::omemo::client::{Content, OpenError, Opened, Opener, open};
use xep::omemo::{DEVICES_MAX, Encrypted, NS_LEGACY, NS_OMEMO2, Version};
use xmpp::jid::{BareJid, Jid};
use xmpp::xml::Element;

use crate::account::endpoints_to_rows;
use crate::contacts::new_contact;
use crate::devices::new_device_row;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::event::{Event, Notice};
use crate::tables::{ContactRow, DeviceTrustCode, HeldRow, MessageRow, PeerDeviceRow};
use crate::trust::Verdict;
use content::{Context, Said};
pub(crate) use held::LookUps;
use judgement::{Fate, Mark, judge};
pub(crate) use judgement::{KeyState, Standing, is_taken_at_face_value};

/// What is done after a message has been committed.
struct Aftermath {
    version: Version,
    device: u32,
    /// The person's list names the device.
    is_listed: bool,
    /// It may be answered.
    is_written_to: bool,
    reply: Option<ReplyDue>,
    used_prekey: bool,
    /// The id of a message that was new, and asks for a receipt.
    receipt_for: Option<String>,
}

impl Engine {
    /// Takes a `<message/>` from the server.
    pub(crate) async fn handle_message(&mut self, message: Element) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let from = match message.attr("from") {
            None => Some(own.to_jid()),
            Some(from) => Jid::parse(from).ok(),
        };
        let Some(from) = from else { return Ok(()) };
        let who = from.bare();
        if message.attr("type") == Some("error") {
            return self.bounced(&message, &who).await;
        }
        if let Ok(Some((owner, event))) = xep::pubsub::Event::of_account(&message, &own) {
            return self.pubsub_event(owner, event).await;
        }
        if from.as_str() == own.domainpart()
            && let Some((joined, token)) = xep::invites::joined_inside(&message)
        {
            return self.somebody_joined(token, joined).await;
        }
        // Carbons and archive results belong to extensions that this engine does not ask for: nobody sends them in
        // good faith (X01, X02). Group messages come with their own rules later.
        if matches!(message.attr("type"), Some("groupchat" | "headline")) || from.localpart().is_none() {
            return Ok(());
        }
        let Some(element) = self.element_for_us(&own, &message) else {
            return self.receipt_in_clear(&who, &message).await;
        };
        if who != own && self.contact_row(&own, &who).await?.is_some_and(|contact| contact.is_blocked()) {
            return Ok(());
        }
        match element.version {
            Version::Omemo2 => self.receive::<Omemo2>(&who, &message, &element).await,
            Version::Legacy => self.receive::<Legacy>(&who, &message, &element).await,
        }
    }

    /// The strongest element that has a key for this device. Without one the message is not for us, or not encrypted at
    /// all, and there is nothing to show.
    fn element_for_us(&self, own: &BareJid, message: &Element) -> Option<Encrypted> {
        let device = self.device.as_ref()?.id();
        [NS_OMEMO2, NS_LEGACY].into_iter().find_map(|ns| {
            let mut elements = message.children().filter(|child| child.is("encrypted", ns));
            let element = elements.next().filter(|_| elements.next().is_none())?;
            Encrypted::parse(element).ok().filter(|element| element.key_for(own, device).is_some())
        })
    }

    async fn receive<P: Profile>(
        &mut self,
        who: &BareJid,
        message: &Element,
        element: &Encrypted,
    ) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let mut contact = self.contact_row(&own, who).await?;
        let known = self.device_row(who, element.sender_device).await?;
        if known.as_ref().is_some_and(|row| row.trust() == DeviceTrustCode::Distrusted) {
            return Ok(());
        }
        if known.is_none() && self.has_too_many_devices(who).await? {
            return Ok(()); // nobody has so many; it is an attempt to fill the store
        }
        let mut sessions = self.sessions::<P>(who, element.sender_device).await?;
        // On a copy: if the commit fails, nothing has happened, and the server delivers again.
        let Some(mut device) = self.device.as_ref().and_then(|device| Device::from_bytes(&device.to_bytes()).ok())
        else {
            return Ok(());
        };
        let pinned = known.as_ref().and_then(PeerDeviceRow::pinned);
        let delivery = if self.is_catching_up() { Delivery::CatchUp } else { Delivery::Live };
        let opener =
            Opener { own: &own, pinned: pinned.as_ref(), delivery, now: self.now_secs(), random: &*self.env.random };
        let opened = match open(&opener, element, &mut device, &mut sessions) {
            Ok(opened) => opened,
            Err(error) => return self.unreadable(who, element, &sessions, known, &error).await,
        };
        if self.is_refused_key(who, &opened.identity).await? {
            return Ok(()); // known under another number, and refused there
        }
        let standing = Standing::of(*who == own, contact.as_ref());
        let mut tx = self.store.transaction();
        let mut gone = None;
        let mut row = match known {
            Some(row) => row,
            None if standing == Standing::Stranger => self.device_heard_of(who, element, DeviceTrustCode::Tofu)?,
            // No list has named it yet.
            None => {
                gone = self.make_room_for_device(&mut tx, who).await?;
                self.device_heard_of(who, element, DeviceTrustCode::Undecided)?
            }
        };
        if row.learn(&opened.identity, contact.as_ref()) == Verdict::Conflict {
            return Ok(()); // `open` compares with the pin already
        }
        row.used_omemo2 |= element.version == Version::Omemo2;
        self.put_device_row(&mut tx, &row)?;
        self.put_sessions(&mut tx, who, element.sender_device, &sessions)?;
        if opened.used_prekey.is_some() {
            self.put_device(&mut tx, &device, false).await?;
        }
        let mut aftermath = Aftermath {
            version: element.version,
            device: element.sender_device,
            used_prekey: opened.used_prekey.is_some(),
            is_listed: row.is_listed(),
            is_written_to: row.is_written_to(),
            reply: opened.reply_due.clone(),
            receipt_for: None,
        };
        let (mut said, notices) = self.understand(&own, who, message, &opened);
        let witnesses = std::mem::take(&mut said.witnesses);
        if standing == Standing::Stranger && !self.stranger_has_room(who, contact.as_ref(), &said, &sessions).await? {
            return Ok(()); // nothing has happened: the transaction is forgotten, and the prekey is unspent
        }
        if said.from_waxwing && !row.waxwing {
            row.waxwing = true;
            self.put_device_row(&mut tx, &row)?;
        }
        let mut noted = Vec::new();
        // Strangers cannot make the program speak of them, nor keep things for them. Who greets by an invitation of ours is
        // none any more with this message, and does not tell this witness again.
        let is_invited = match &said.token {
            Some(token) if contact.as_ref().is_none_or(ContactRow::is_request) => {
                self.is_open_token(token, who).await?
            }
            _ => false,
        };
        if *who == own || is_invited || contact.as_ref().is_some_and(ContactRow::is_accepted) {
            row.keep_witness(witnesses.newest.as_ref());
            self.put_device_row(&mut tx, &row)?;
            // They begin anew: perhaps they could not read what we said last, and our witness in it.
            if opened.used_prekey.is_some()
                && let Some(contact) = &mut contact
            {
                contact.witness_told.clear();
                self.put_contact(&mut tx, contact);
            }
            for notice in notices {
                noted.push(self.note(&mut tx, notice).await?);
            }
        }
        match judge(standing, KeyState::from(&row)) {
            Fate::Dropped => return Ok(()),
            Fate::Held => match contact.clone() {
                Some(contact) => {
                    let words = self.held_words(&contact, row.id, message, said);
                    self.commit_held(tx, who, contact, words, gone).await?;
                }
                None => tx.commit().await?, // of the own account no words are shown anyway
            },
            Fate::Shown(mark) => {
                let receipt_for = said.receipt_for.take();
                let is_new = self.commit_received(tx, who, &mut contact, mark, message, said).await?;
                aftermath.receipt_for = receipt_for.filter(|_| is_new);
            }
        }
        self.notify(noted);
        if aftermath.used_prekey {
            self.device = Some(device);
        }
        self.after_receiving(who, contact.as_ref(), &aftermath).await?;
        self.take_returned_witnesses(&witnesses).await
    }

    fn device_heard_of(
        &self,
        who: &BareJid,
        element: &Encrypted,
        trust: DeviceTrustCode,
    ) -> Result<PeerDeviceRow, EngineError> {
        let first_seen_ms = self.now().as_millis();
        let row = new_device_row(&self.own_or_bad()?, who, element.sender_device, trust);
        Ok(PeerDeviceRow { first_seen_ms, ..row })
    }

    /// Whether one more device would be too many. Those that the user knows nothing of have a bound of their own.
    async fn has_too_many_devices(&self, who: &BareJid) -> Result<bool, EngineError> {
        let mut rows = self.device_rows(who).await?;
        rows.retain(|row| row.is_listed() || row.trust() != DeviceTrustCode::Undecided);
        Ok(rows.len() >= DEVICES_MAX)
    }

    /// Words as they are put aside.
    fn held_words(&self, contact: &ContactRow, device: u32, message: &Element, said: Said) -> Option<HeldRow> {
        said.has_words().then(|| HeldRow {
            account: contact.account.clone(),
            address: contact.address.clone(),
            device,
            // By the date that is believed: the 30 days are counted from it (B10).
            message: Some(MessageRow {
                saved_ms: self.date().as_millis(),
                ..self.received_row(contact, message, said)
            }),
        })
    }

    /// What a decrypted message says, if it says anything that may be believed, and what is odd about it.
    fn understand(&self, own: &BareJid, who: &BareJid, message: &Element, opened: &Opened) -> (Said, Vec<Notice>) {
        let mut notices = Vec::new();
        let context = Context { own, from: who, message, now: self.now() };
        let said = match &opened.content {
            Content::Empty => Said::default(),
            Content::Body(body) => context.legacy(body),
            Content::Envelope(bytes) => match context.envelope(bytes) {
                Ok(said) => said,
                Err(_) => {
                    notices.push(Notice::Misaddressed { contact: who.clone() });
                    Said::default()
                }
            },
        };
        if said.not_all_addressed {
            notices.push(Notice::NotAllAddressed { contact: who.clone() });
        }
        if said.odd_time {
            notices.push(Notice::OddTime { contact: who.clone() });
        }
        (said, notices)
    }

    /// Commits ratchet and words together; then tells of them. Returns whether there were words, and new ones.
    async fn commit_received(
        &mut self,
        mut tx: Transaction,
        who: &BareJid,
        contact: &mut Option<ContactRow>,
        mark: Mark,
        message: &Element,
        said: Said,
    ) -> Result<bool, EngineError> {
        let own = self.own_or_bad()?;
        if *who == own {
            // Other devices of the account keep their sessions alive this way; there is nothing to show.
            tx.commit().await?;
            return Ok(false);
        }
        let was_known = contact.is_some();
        let mut row = contact.take().unwrap_or_else(|| new_contact(&own, who));
        let mut accepted_now = false;
        if let Some(token) = &said.token
            && row.is_request()
            && self.redeem_token(&mut tx, token, who).await?
        {
            row.set_relation(crate::tables::RelationCode::Accepted);
            accepted_now = true;
        }
        let mut server_learnt = false;
        if let Some(link) = said.introduction.as_ref().filter(|_| row.is_accepted() && row.server_pin.is_none()) {
            row.server_pin = link.pin.map(|pin| pin.to_vec());
            row.server_endpoints = endpoints_to_rows(&link.endpoints);
            server_learnt = row.server_pin.is_some();
        }
        let arrived = match said.arrived.as_deref().filter(|_| row.is_accepted()) {
            Some(id) => self.put_delivered(&mut tx, who, id, false).await?,
            None => None,
        };
        let saved = match said.has_words() {
            true => self.put_received(&mut tx, who, &mut row, mark, message, said).await?,
            false => None,
        };
        let keep = was_known || accepted_now || saved.is_some();
        let mut gone = None;
        if !was_known && keep && row.is_request() {
            row.asked_ms = self.now().as_millis();
            gone = self.make_room_for_request(&mut tx, who).await?;
        }
        if keep {
            self.put_contact(&mut tx, &row);
        }
        tx.commit().await?;
        self.tell_of_gone_request(gone);
        if server_learnt && keep {
            self.introduce_server(&row)?;
        }
        self.written_to.remove(who);
        if keep && !was_known && row.is_request() {
            let view = self.contact_view(&row).await?;
            self.emit(Event::Request(view));
        } else if accepted_now || saved.is_some() {
            self.emit_contact(&row).await?;
        }
        if let Some(arrived) = arrived {
            self.emit_state(who, &arrived);
        }
        let is_new = saved.is_some();
        if let Some(saved) = saved {
            self.emit_message(&row, &saved)?;
        }
        if server_learnt && was_known {
            self.files_reachable(who).await?;
        }
        *contact = keep.then_some(row);
        Ok(is_new)
    }

    /// Publishes used-up prekeys anew, and answers sessions: to contacts and own devices only.
    async fn after_receiving(
        &mut self,
        who: &BareJid,
        contact: Option<&ContactRow>,
        aftermath: &Aftermath,
    ) -> Result<(), EngineError> {
        let is_own = self.own_or_bad()? == *who;
        let counts = is_own || contact.is_some_and(ContactRow::is_accepted);
        // An answer is a receipt: a device that waits for the user's word gets none.
        let may_answer = counts && aftermath.is_written_to;
        if counts && aftermath.is_written_to && !aftermath.is_listed {
            // A device that our copy of the list does not name: without this it would be left out until the copy is old.
            self.look_up_unlisted(who);
        }
        if let Some(reply) = aftermath.reply.as_ref().filter(|_| may_answer) {
            match aftermath.version {
                Version::Omemo2 => self.send_empty_under::<Omemo2>(who, aftermath.device, Some(reply)).await?,
                Version::Legacy => self.send_empty_under::<Legacy>(who, aftermath.device, Some(reply)).await?,
            }
        }
        if let (Some(contact), Some(id)) = (contact.filter(|_| may_answer && !is_own), &aftermath.receipt_for) {
            self.give_receipt(contact, aftermath.device, aftermath.version, id).await?;
        }
        // What strangers use up is published with the next bundle, or once an hour (security-design §2.6); what others do,
        // at once, but while messages keep coming from the offline queue, once at the end.
        if aftermath.used_prekey && counts {
            self.note_publish_due().await?;
            if !self.is_catching_up() {
                self.maintain_device(true).await?;
            }
        }
        Ok(())
    }

    /// A message that does not decrypt: nothing has changed. If it is no repetition and from a device that counts, its
    /// session is replaced, once a day (security-design §2.3).
    async fn unreadable<P: Profile>(
        &mut self,
        who: &BareJid,
        element: &Encrypted,
        sessions: &SessionSet<P>,
        known: Option<PeerDeviceRow>,
        error: &OpenError,
    ) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let Some(mut contact) = self.contact_row(&own, who).await?.filter(ContactRow::is_accepted) else {
            return Ok(());
        };
        if let OpenError::Key(DecryptError::IdentityChanged { .. }) = error {
            let mut tx = self.store.transaction();
            if let Some(mut row) = known {
                row.conflict = true;
                self.put_device_row(&mut tx, &row)?;
            }
            let noted = self.mark_changed(&mut tx, &mut contact).await?;
            tx.commit().await?;
            self.notify(noted);
            return self.emit_contact(&contact).await;
        }
        let key = element.key_for(&own, self.device.as_ref().map_or(0, Device::id));
        if key.is_none_or(|key| sessions.looks_repeated(&key.bytes, key.key_exchange)) {
            return Ok(());
        }
        let Some(row) = known else {
            // Perhaps a device that is new to us: the next message will find it.
            self.look_up_unlisted(who);
            return Ok(());
        };
        if !row.is_listed() {
            // Our copy of the list may be old. A key that is known counts all the same, as its words would.
            self.look_up_unlisted(who);
            if !row.is_written_to() || row.identity.is_empty() {
                return self.note_alone(Notice::StillUnreadable { contact: who.clone() }).await;
            }
        }
        self.repair(who, row, element.version).await
    }
}
