//! From a message in the store to a sealed one: who gets it, under which version, and what it says in which vocabulary.
//!
//! The only way out of here is [`Sealed`], which `xep` makes by encrypting and in no other way (C08). Choosing follows
//! security-design §2.6: per device the strongest version it offers, and never less than was used with it before.

use crypto::omemo::{Legacy, Omemo2, Profile, ReplyDue, SessionSet};
use xep::omemo::Version;
use xep::omemo::client::{Recipient, Recipients, Said, SealError, Sealed, Sealer, seal, seal_empty, seal_reply};
use xep::receipts;
use xep::sce::{Envelope, recipients_hash};
use xep::witness::Witnesses;
use xmpp::jid::BareJid;
use xmpp::time::Timestamp;
use xmpp::xml::Element;

use crate::conversations::GREETING;
use crate::devices::{Fetch, Lists};
use crate::display::displayable;
use crate::engine::Engine;
use crate::error::{EngineError, Failure};
use crate::introduction;
use crate::tables::{ContactRow, DeviceTrustCode, MessageRow, PeerDeviceRow, StateCode, TrustCode, WaitingRow};
use crate::transfers;

/// A device that a message goes to.
struct Target<P> {
    who: BareJid,
    row: PeerDeviceRow,
    sessions: SessionSet<P>,
}

/// All devices that a message goes to.
#[derive(Default)]
struct Targets {
    omemo2: Vec<Target<Omemo2>>,
    legacy: Vec<Target<Legacy>>,
}

/// Whether messages to a person can be sealed.
enum Readiness {
    Ready(Targets),
    /// Something is being fetched; its arrival asks again.
    Pending,
    /// Not now, for this reason.
    Later(Failure),
    /// Not at all.
    Never(Failure),
}

/// Whether one device can be encrypted to.
enum DeviceState {
    Ready(Version),
    Pending,
    Unusable(Failure),
}

/// What a message says, in both vocabularies.
struct Words {
    content: Vec<Element>,
    body: String,
    written: Timestamp,
}

impl Targets {
    fn reaches(&self, who: &BareJid) -> bool {
        self.omemo2.iter().any(|t| t.who == *who) || self.legacy.iter().any(|t| t.who == *who)
    }

    fn devices(&self) -> impl Iterator<Item = (&BareJid, &PeerDeviceRow)> {
        self.omemo2.iter().map(|t| (&t.who, &t.row)).chain(self.legacy.iter().map(|t| (&t.who, &t.row)))
    }

    /// The devices of one person that understand an envelope.
    fn of<'a>(&'a self, who: &'a BareJid) -> impl Iterator<Item = &'a PeerDeviceRow> {
        self.omemo2.iter().filter(move |target| target.who == *who).map(|target| &target.row)
    }

    fn recipients(&mut self) -> Recipients<'_> {
        Recipients {
            omemo2: self.omemo2.iter_mut().map(recipient).collect(),
            legacy: self.legacy.iter_mut().map(recipient).collect(),
        }
    }
}

fn recipient<P>(target: &mut Target<P>) -> Recipient<'_, P> {
    Recipient { jid: &target.who, device: target.row.id, sessions: &mut target.sessions }
}

impl Engine {
    /// Takes what waits for a person as far as it goes: fetches what is missing, seals what can be sealed.
    pub(crate) async fn advance(&mut self, who: &BareJid) -> Result<(), EngineError> {
        let waiting = self.waiting_for(who).await?;
        if waiting.is_empty() {
            // What was fetched is in the store, with its age. Remembered here it would never grow old.
            self.fetches.forget(who);
            return Ok(());
        }
        if !self.is_online() || !self.fetches.own_device_checked {
            return Ok(());
        }
        match self.readiness(who).await? {
            Readiness::Pending => return Ok(()),
            Readiness::Later(failure) => self.put_off(who, &waiting, failure).await?,
            Readiness::Never(failure) => {
                for row in &waiting {
                    self.give_up(who, row, failure).await?;
                }
            }
            Readiness::Ready(mut targets) => {
                for row in &waiting {
                    if !self.may_seal_for(targets.devices().count()) {
                        break; // all that waits is looked at again when the next witness is out
                    }
                    self.seal_waiting(who, row, &mut targets).await?;
                }
            }
        }
        // The next message finds out anew: what was missing may have appeared.
        self.fetches.forget(who);
        Ok(())
    }

    async fn readiness(&mut self, who: &BareJid) -> Result<Readiness, EngineError> {
        let own = self.own_or_bad()?;
        let Some(contact) = self.contact_row(&own, who).await? else { return Ok(Readiness::Never(Failure::NotSecure)) };
        if contact.is_blocked() {
            return Ok(Readiness::Never(Failure::Blocked));
        }
        if let Some(blocked) = blocked_by_trust(&contact) {
            return Ok(Readiness::Never(blocked));
        }
        let (theirs, ours) = (self.ensure_lists(who).await?, self.ensure_lists(&own).await?);
        match theirs {
            _ if theirs == Lists::Pending || ours == Lists::Pending => return Ok(Readiness::Pending),
            Lists::Forbidden => return self.ask_to_see(contact).await,
            Lists::Failed(Failure::NoSuchServer) => return Ok(Readiness::Never(Failure::NoSuchServer)),
            // Whatever else keeps a list back may pass: no answer is no news about devices.
            Lists::Failed(failure) => return Ok(Readiness::Later(failure)),
            Lists::Ready | Lists::Pending => {}
        }
        let mut targets = Targets::default();
        let (mut pending, mut temporary, mut undecided) = (false, None, false);
        for person in [who, &own] {
            let mut rows = self.device_rows(person).await?;
            rows.retain(PeerDeviceRow::is_listed);
            for row in rows {
                match self.device_state(person, &row).await? {
                    DeviceState::Pending => pending = true,
                    DeviceState::Unusable(failure) if person == who => {
                        temporary = temporary.or(Some(failure).filter(|failure| failure.is_temporary()));
                        undecided |= failure == Failure::Changed;
                    }
                    DeviceState::Unusable(_) => {}
                    DeviceState::Ready(version) => self.add_target(&mut targets, person, row, version).await?,
                }
            }
        }
        if pending {
            return Ok(Readiness::Pending);
        }
        let contact = self.settle_promise(who).await?.unwrap_or(contact);
        if let Some(blocked) = blocked_by_trust(&contact) {
            return Ok(Readiness::Never(blocked));
        }
        Ok(match (targets.reaches(who), temporary) {
            (true, _) => Readiness::Ready(targets),
            (false, Some(failure)) => Readiness::Later(failure),
            (false, None) if undecided => Readiness::Never(Failure::Changed),
            (false, None) => Readiness::Never(Failure::NotSecure),
        })
    }

    /// A device under the strongest version that works, fetching its bundle where a session is missing.
    async fn device_state(&mut self, who: &BareJid, row: &PeerDeviceRow) -> Result<DeviceState, EngineError> {
        if !row.is_written_to() {
            return Ok(DeviceState::Unusable(Failure::Changed));
        }
        if row.used_omemo2 || row.listed_omemo2 {
            let state = self.session_state::<Omemo2>(who, row).await?;
            // Less than OMEMO 2 only for a device that has never used it.
            let hopeless = matches!(&state, DeviceState::Unusable(failure) if !failure.is_temporary() && *failure != Failure::Changed);
            if row.used_omemo2 || !row.listed_legacy || !hopeless {
                return Ok(state);
            }
        }
        self.session_state::<Legacy>(who, row).await
    }

    async fn session_state<P: Profile>(
        &mut self,
        who: &BareJid,
        row: &PeerDeviceRow,
    ) -> Result<DeviceState, EngineError> {
        let version = Version::from(P::ID);
        // The key decides about trust, so a device is not encrypted to before it is known.
        if !row.identity.is_empty() && self.sessions::<P>(who, row.id).await?.is_ready(self.now_secs()) {
            return Ok(DeviceState::Ready(version));
        }
        Ok(match self.fetches.bundle(who, row.id, version) {
            Some(Fetch::Asked) => DeviceState::Pending,
            Some(Fetch::Failed(failure)) => DeviceState::Unusable(failure),
            Some(Fetch::Done | Fetch::Forbidden) => DeviceState::Unusable(Failure::NotSecure),
            // What was only looked at may have been agreed to since.
            None | Some(Fetch::Seen) => {
                self.fetch_bundle(who, row.id, version);
                DeviceState::Pending
            }
        })
    }

    async fn add_target(
        &self,
        targets: &mut Targets,
        who: &BareJid,
        row: PeerDeviceRow,
        version: Version,
    ) -> Result<(), EngineError> {
        match version {
            Version::Omemo2 => {
                let sessions = self.sessions(who, row.id).await?;
                targets.omemo2.push(Target { who: who.clone(), row, sessions });
            }
            Version::Legacy => {
                let sessions = self.sessions(who, row.id).await?;
                targets.legacy.push(Target { who: who.clone(), row, sessions });
            }
        }
        Ok(())
    }

    /// Some accounts show their devices only to those who see their presence: asks for that once (security-design §2.8).
    async fn ask_to_see(&mut self, mut contact: ContactRow) -> Result<Readiness, EngineError> {
        if !contact.presence_asked {
            contact.presence_asked = true;
            self.store_contact(&contact).await?;
            self.send_presence(&contact.jid()?, "subscribe");
        }
        Ok(Readiness::Later(Failure::NotSecure))
    }

    /// Seals one message. Ratchets, stanza and state are committed together, and only then does the stanza leave (C04).
    async fn seal_waiting(
        &mut self,
        who: &BareJid,
        waiting: &WaitingRow,
        targets: &mut Targets,
    ) -> Result<(), EngineError> {
        let own = self.own_or_bad()?;
        let Some(mut contact) = self.contact_row(&own, who).await? else { return Ok(()) };
        let message = match waiting.message_seq {
            GREETING => None,
            seq => match self.message_by_seq(who, seq).await? {
                Some(message) => Some(message),
                None => return self.drop_waiting(waiting).await,
            },
        };
        let takes_tokens = targets.omemo2.iter().any(|target| target.who == *who);
        let token = contact.greet_token.clone().filter(|_| takes_tokens);
        if message.is_none() && token.is_none() {
            return self.greet_by_presence(contact, waiting).await;
        }
        let Some(mut words) = words(message.as_ref(), token.as_deref(), self.now()) else {
            // A file that is not uploaded yet; its upload comes back here.
            return match &message {
                Some(message) => self.start_upload(who, waiting, message).await,
                None => Ok(()),
            };
        };
        if token.is_some() {
            words.content.extend(self.introduction().await?);
        }
        let witnesses = self.witnesses_for(&contact, targets.of(who)).await?;
        let sealed = match self.seal_words(&own, who, &words, &witnesses, targets) {
            Ok(sealed) => sealed,
            Err(SealError::Envelope(_) | SealError::TooLarge) => {
                return self.give_up(who, waiting, Failure::FileTooLarge).await;
            }
            Err(_) => return self.give_up(who, waiting, Failure::NotSecure).await,
        };
        // Apps of the older kind look for the request beside the element; others have it inside.
        let in_clear = message.is_some() && targets.legacy.iter().any(|target| target.who == *who);
        let sealed = if in_clear { sealed.asking_for_receipt() } else { sealed };
        let mut tx = self.store.transaction();
        for target in &mut targets.omemo2 {
            self.put_sessions(&mut tx, &target.who, target.row.id, &target.sessions)?;
            let returned = target.who == *who && !std::mem::take(&mut target.row.witnesses_due).is_empty();
            if returned || !target.row.used_omemo2 {
                target.row.used_omemo2 = true;
                self.put_device_row(&mut tx, &target.row)?;
            }
        }
        if targets.omemo2.iter().any(|target| target.who == *who) {
            self.put_witness_told(&mut tx, &mut contact, &witnesses).await?;
        }
        for target in &targets.legacy {
            self.put_sessions(&mut tx, &target.who, target.row.id, &target.sessions)?;
        }
        let sent = self.put_outbox(&mut tx, who, &waiting.id, &sealed, message.is_some()).await?;
        self.delete_waiting(&mut tx, waiting)?;
        if token.is_some() {
            contact.greeted_token = contact.greet_token.take();
            contact.greeted_by.clone_from(&waiting.id);
            self.put_contact(&mut tx, &contact);
        }
        let (now, legacy) = (self.date(), !targets.legacy.is_empty());
        let message = message.map(|message| MessageRow {
            legacy,
            state: StateCode::Queued.into(),
            failure: 0,
            tries: Some(message.tries.unwrap_or_default().begun(now)),
            verified: targets.devices().all(|(of, row)| of != who || row.trust() == DeviceTrustCode::Verified),
            ..message
        });
        if let Some(message) = &message {
            self.put_message(&mut tx, who, message)?;
        }
        tx.commit().await?;
        self.written_to.remove(who);
        if let Some(message) = &message {
            self.emit_state(who, message);
        }
        self.release(sent);
        Ok(())
    }

    /// With a greeting goes where our server is, as our own links say it: files that we send lie there.
    async fn introduction(&self) -> Result<Option<Element>, EngineError> {
        let has_pin = self.account.as_ref().is_some_and(|account| account.pin().is_some());
        let link = if has_pin { self.own_link().await? } else { String::new() };
        Ok(Some(link).filter(|link| !link.is_empty()).map(|link| introduction::to_element(&link)))
    }

    fn seal_words(
        &self,
        own: &BareJid,
        who: &BareJid,
        words: &Words,
        witnesses: &Witnesses,
        targets: &mut Targets,
    ) -> Result<Sealed, SealError> {
        let device = self.device.as_ref().ok_or(SealError::NoRecipients)?;
        let envelope = Envelope {
            from: own.clone(),
            to: who.clone(),
            time: words.written,
            recipients_hash: Some(recipients_hash(targets.devices().map(|(of, row)| (of, row.id)))),
            witnesses: witnesses.clone(),
            content: words.content.clone(),
        };
        let sealer = Sealer { device, now: self.now_secs(), random: &*self.env.random };
        seal(&sealer, &Said { envelope: &envelope, body: &words.body }, &mut targets.recipients())
    }

    /// Somebody whose app knows nothing of our greeting gets their token the way their app knows (XEP-0379 §3.3).
    async fn greet_by_presence(&mut self, mut contact: ContactRow, waiting: &WaitingRow) -> Result<(), EngineError> {
        let who = contact.jid()?;
        if let Some(token) = contact.greet_token.take() {
            let presence = Element::new("presence", xmpp::ns::CLIENT)
                .with_attr("to", who.as_str())
                .with_attr("type", "subscribe")
                .with_attr("id", waiting.id.as_str())
                .with_child(xep::invites::preauth(&token));
            self.send_stanza(&presence, None);
        }
        let mut tx = self.store.transaction();
        contact.presence_asked = true;
        self.put_contact(&mut tx, &contact);
        self.delete_waiting(&mut tx, waiting)?;
        Ok(tx.commit().await?)
    }

    /// Sends a message without words on the current session, which tells the other device that the session works.
    pub(crate) async fn send_empty(&mut self, who: &BareJid, device: u32, version: Version) -> Result<(), EngineError> {
        match version {
            Version::Omemo2 => self.send_empty_under::<Omemo2>(who, device, None).await,
            Version::Legacy => self.send_empty_under::<Legacy>(who, device, None).await,
        }
    }

    /// As [`Engine::send_empty`], or on the session that asked for it.
    pub(crate) async fn send_empty_under<P: Profile>(
        &mut self,
        who: &BareJid,
        device: u32,
        reply: Option<&ReplyDue>,
    ) -> Result<(), EngineError> {
        if !self.may_seal_for(1) {
            return Ok(()); // the other side repeats its question with its next message
        }
        let mut sessions = self.sessions::<P>(who, device).await?;
        let sealed = {
            let Some(own_device) = &self.device else { return Ok(()) };
            let sealer = Sealer { device: own_device, now: self.now_secs(), random: &*self.env.random };
            let recipient = Recipient { jid: who, device, sessions: &mut sessions };
            match reply {
                Some(reply) => seal_reply(&sealer, recipient, reply),
                None => seal_empty(&sealer, recipient),
            }
        };
        let Ok(sealed) = sealed else { return Ok(()) }; // the session is gone by now, which is harmless
        let mut tx = self.store.transaction();
        self.put_sessions(&mut tx, who, device, &sessions)?;
        if reply.is_none()
            && let Some(mut row) = self.device_row(who, device).await?.filter(|row| row.is_repair_due(P::ID.into()))
        {
            row.set_repair_due(P::ID.into(), false);
            self.put_device_row(&mut tx, &row)?;
        }
        let id = self.env.id();
        let sent = self.put_outbox(&mut tx, who, &id, &sealed, false).await?;
        tx.commit().await?;
        self.release(sent);
        Ok(())
    }

    /// A person has been accepted: their sessions, unanswered so far, are answered now.
    pub(crate) async fn answer_new_sessions(&mut self, who: &BareJid) -> Result<(), EngineError> {
        for row in self.device_rows(who).await? {
            if !row.is_written_to() {
                continue;
            }
            if self.sessions::<Omemo2>(who, row.id).await?.is_ready(self.now_secs()) {
                self.send_empty(who, row.id, Version::Omemo2).await?;
            } else if self.sessions::<Legacy>(who, row.id).await?.is_ready(self.now_secs()) {
                self.send_empty(who, row.id, Version::Legacy).await?;
            }
        }
        Ok(())
    }
}

pub(crate) fn blocked_by_trust(contact: &ContactRow) -> Option<Failure> {
    matches!(contact.trust(), TrustCode::Changed | TrustCode::Tombstoned).then_some(Failure::Changed)
}

/// What goes inside: the words or the file, and the token of an invitation.
fn words(message: Option<&MessageRow>, token: Option<&str>, now: Timestamp) -> Option<Words> {
    let mut words = Words { content: Vec::new(), body: String::new(), written: now };
    if let Some(message) = message {
        words.written = Timestamp::from_millis(message.written_ms);
        match &message.file {
            Some(file) => {
                let offer = transfers::offer_of(file)?;
                words.content = offer.content;
                words.body = offer.body;
            }
            None => {
                // What an earlier version saved may hold what cannot be sent.
                let text = displayable(&message.text);
                words.content.push(Element::new("body", xmpp::ns::CLIENT).with_text(&text));
                words.body = text.into_owned();
            }
        }
        words.content.push(receipts::request());
    }
    words.content.extend(token.map(xep::invites::preauth));
    Some(words)
}
