//! People: the contact list, those who wrote first, those who are blocked. The list is local; the server's roster stays
//! empty (security-design §2.8).

use std::time::Duration;

use store::Transaction;
use xmpp::jid::BareJid;
use xmpp::time::Timestamp;

use crate::account::endpoints_to_rows;
use crate::command::{InboxSide, Reply};
use crate::display::{names_look_alike, one_line};
use crate::engine::Engine;
use crate::error::{Candidates, CommandError, EngineError, Failure, LinkProblem};
use crate::event::{Contact, Event, PersonTrust, Relation, Resembled};
use crate::invites::Invitation;
use crate::tables::{self, ContactRow, DeviceTrustCode, PeerDeviceRow, RelationCode, TrustCode};

/// How long after somebody new was written to a failure makes them nobody again: as long as the user waits for the answer.
/// What fails later stays in the conversation, or nobody would hear of it.
const UNDO_WITHIN: Duration = Duration::from_secs(60);

/// Longest name of a contact, in characters.
const NAME_CHARS_MAX: usize = 64;

impl ContactRow {
    pub(crate) fn is_accepted(&self) -> bool {
        self.relation() == RelationCode::Accepted
    }

    pub(crate) fn is_request(&self) -> bool {
        self.relation() == RelationCode::Request
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.relation() == RelationCode::Blocked
    }

    pub(crate) fn jid(&self) -> Result<BareJid, EngineError> {
        BareJid::parse(&self.address).map_err(|_| EngineError::BadRow)
    }

    /// Takes from a link what it promises about the person: at first sight all of it, later only what was not known yet.
    /// Whoever is verified, or blocked because something did not fit, stays so: links come from anywhere, and only
    /// comparing ([`Engine::verify`]) or the user's own decision changes that.
    fn rely_on(&mut self, invitation: &Invitation, devices: &mut [PeerDeviceRow]) {
        if !invitation.keys.is_empty() && self.trust() == TrustCode::Tofu {
            self.promised_keys = invitation.keys.iter().map(|key| key.to_vec()).collect();
            for device in devices {
                device.apply_link(invitation);
            }
        }
        let pin = invitation.pin.map(|pin| pin.to_vec());
        if self.server_pin.is_none() || self.server_pin == pin {
            self.server_pin = pin;
            self.server_endpoints = endpoints_to_rows(&invitation.endpoints);
            self.server_introduced = false;
        }
    }
}

/// What somebody was before the user wrote to them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WrittenTo {
    at: Timestamp,
    /// They had written first, and waited in the requests.
    was_request: bool,
}

impl Engine {
    pub(crate) async fn contacts(&self) -> Result<Vec<Contact>, CommandError> {
        self.contacts_in(InboxSide::Contacts).await
    }

    pub(crate) async fn requests(&self) -> Result<Vec<Contact>, CommandError> {
        self.contacts_in(InboxSide::Requests).await
    }

    async fn contacts_in(&self, side: InboxSide) -> Result<Vec<Contact>, CommandError> {
        let own = self.own()?;
        let mut found = Vec::new();
        for row in self.contact_rows_of(&own).await? {
            if row.is_request() == (side == InboxSide::Requests) {
                found.push(self.contact_view(&row).await?);
            }
        }
        found.sort_by_key(|contact| (contact.name.to_lowercase(), contact.address.as_str().to_owned()));
        Ok(found)
    }

    /// Adds whoever a link belongs to.
    pub(crate) async fn add(&mut self, link: &str, name: Option<String>) -> Result<Reply, CommandError> {
        let invitation = Invitation::parse(link)?;
        invitation.person(&self.own()?)?;
        self.move_by_the_way(&invitation);
        let row = self.introduce(&invitation, name).await?.ok_or(LinkProblem::BelongsToNobody)?;
        Ok(Reply::Contact(self.contact_view(&row).await?))
    }

    /// Makes the person of a link a contact, with what the link promises about them, and greets them by its token.
    pub(crate) async fn introduce(
        &mut self,
        invitation: &Invitation,
        name: Option<String>,
    ) -> Result<Option<ContactRow>, EngineError> {
        let (Some(account), Some(who)) = (&self.account, invitation.inviter.clone()) else { return Ok(None) };
        let own = account.jid.clone();
        if who == own {
            return Ok(None);
        }
        let mut row = self.contact_row(&own, &who).await?.unwrap_or_else(|| new_contact(&own, &who));
        row.set_relation(RelationCode::Accepted);
        if let Some(name) = name {
            row.name = tidy_name(&name, &who);
        }
        row.greet_token.clone_from(&invitation.token);
        self.written_to.remove(&who);
        let mut devices = self.device_rows(&who).await?;
        let server_before = (row.server_pin.clone(), row.server_endpoints.clone());
        row.rely_on(invitation, &mut devices);
        let mut tx = self.store.transaction();
        self.put_contact(&mut tx, &row);
        for device in &devices {
            self.put_device_row(&mut tx, device)?;
        }
        if row.greet_token.is_some() {
            self.put_greeting(&mut tx, &who).await?;
        }
        tx.commit().await?;
        self.emit_contact(&row).await?;
        self.introduce_server(&row)?; // before anything is asked of it
        self.advance(&who).await?;
        if server_before != (row.server_pin.clone(), row.server_endpoints.clone()) {
            self.files_reachable(&who).await?;
        }
        Ok(Some(row))
    }

    pub(crate) async fn accept(&mut self, who: &str) -> Result<Reply, CommandError> {
        let mut row = self.resolve_known(who).await?;
        let resembles = self.resembled(&row).await?;
        row.set_relation(RelationCode::Accepted);
        self.written_to.remove(&row.jid()?);
        self.store_contact(&row).await?;
        self.answer_new_sessions(&row.jid()?).await?;
        Ok(Reply::Contact(Contact { resembles, ..self.contact_view(&row).await? }))
    }

    pub(crate) async fn block(&mut self, who: &str) -> Result<Reply, CommandError> {
        let own = self.own()?;
        let mut row = match self.resolve_known(who).await {
            Err(CommandError::UnknownContact) => {
                new_contact(&own, &BareJid::parse(who).map_err(|_| CommandError::UnknownContact)?)
            }
            known => known?,
        };
        row.set_relation(RelationCode::Blocked);
        row.unread_count = 0;
        let mut tx = self.store.transaction();
        self.stop_showing_presence(&mut tx, &mut row)?;
        self.close_invites(&mut tx, &row.address).await?;
        self.put_contact(&mut tx, &row);
        tx.commit().await?;
        self.withdraw_presence().await?;
        self.emit_contact(&row).await?;
        Ok(Reply::Contact(self.contact_view(&row).await?))
    }

    pub(crate) async fn remove(&mut self, who: &str) -> Result<Reply, CommandError> {
        let own = self.own()?;
        let mut row = self.resolve_known(who).await?;
        let mut tx = self.store.transaction();
        self.stop_showing_presence(&mut tx, &mut row)?;
        self.close_invites(&mut tx, &row.address).await?;
        self.delete_person(&mut tx, &own, &row.address).await?;
        tx.delete(&tables::CONTACT.row(&tables::owner(&own, &[]), row.address.as_bytes()));
        tx.erase();
        tx.commit().await?;
        self.withdraw_presence().await?;
        let contact = row.jid()?;
        self.fetches.forget(&contact);
        self.emit(Event::ContactRemoved { contact });
        Ok(Reply::Nothing)
    }

    pub(crate) async fn rename(&mut self, who: &str, name: String) -> Result<Reply, CommandError> {
        let mut row = self.resolve_known(who).await?;
        row.name = tidy_name(&name, &row.jid()?);
        self.written_to.remove(&row.jid()?);
        self.store_contact(&row).await?;
        Ok(Reply::Contact(self.contact_view(&row).await?))
    }

    /// Finds somebody by address or link, or a contact by short name. A short name never means anybody else: whoever the user
    /// has not accepted could have chosen it to be taken for somebody (C25).
    pub(crate) async fn resolve_known(&self, who: &str) -> Result<ContactRow, CommandError> {
        let own = self.own()?;
        if let Some(address) = address_in(who) {
            return self.contact_row(&own, &address).await?.ok_or(CommandError::UnknownAddress);
        }
        let wanted = who.to_lowercase();
        let rows = self.contact_rows_of(&own).await?;
        let by_name = |row: &&ContactRow| row.name.to_lowercase() == wanted;
        let by_localpart = |row: &&ContactRow| row.address.split('@').next() == Some(wanted.as_str());
        let (contacts, others): (Vec<&ContactRow>, Vec<&ContactRow>) = rows.iter().partition(|row| row.is_accepted());
        for found in [
            contacts.iter().copied().filter(by_name).collect::<Vec<_>>(),
            contacts.iter().copied().filter(by_localpart).collect(),
        ] {
            match found.as_slice() {
                [] => {}
                [only] => return Ok((*only).clone()),
                several => {
                    let mut addresses = several.iter().map(|row| row.jid()).collect::<Result<Vec<_>, _>>()?;
                    addresses.sort();
                    return Err(CommandError::AmbiguousName(Candidates(addresses)));
                }
            }
        }
        match others.iter().any(|row| by_name(row) || by_localpart(row)) {
            true => Err(CommandError::NameOfRequest),
            false => Err(CommandError::UnknownContact),
        }
    }

    /// The contact whose name somebody's looks like who is none (security-design §2.6 Names).
    async fn resembled(&self, row: &ContactRow) -> Result<Option<Resembled>, EngineError> {
        if row.is_accepted() {
            return Ok(None);
        }
        let own = self.own_or_bad()?;
        let local = |row: &ContactRow| row.address.split('@').next().unwrap_or_default().to_owned();
        let theirs = [local(row), row.name.clone()];
        for contact in self.contact_rows_of(&own).await?.iter().filter(|c| c.is_accepted() && c.address != row.address)
        {
            let known = [local(contact), contact.name.clone()];
            if theirs.iter().any(|name| known.iter().any(|known| names_look_alike(name, known))) {
                return Ok(Some(Resembled { name: contact.name.clone(), address: contact.jid()? }));
            }
        }
        Ok(None)
    }

    /// Finds whom to write to; an address or link makes a contact of somebody unknown, and of a request.
    pub(crate) async fn resolve_recipient(&mut self, who: &str) -> Result<ContactRow, CommandError> {
        let own = self.own()?;
        let mut row = match self.resolve_known(who).await {
            Err(CommandError::UnknownContact | CommandError::UnknownAddress) => {
                let invitation = match Invitation::parse(who) {
                    Ok(invitation) => Some(invitation),
                    Err(LinkProblem::NoLink) => None,
                    Err(problem) => return Err(problem.into()),
                };
                if let Some(invitation) = invitation {
                    invitation.person(&own)?;
                    return self.introduce(&invitation, None).await?.ok_or(LinkProblem::BelongsToNobody.into());
                }
                let jid = BareJid::parse(who).map_err(|_| CommandError::UnknownContact)?;
                if jid == own {
                    return Err(CommandError::IsYourself);
                }
                if jid.localpart().is_none() {
                    return Err(CommandError::UnknownContact);
                }
                new_contact(&own, &jid)
            }
            known => known?,
        };
        if !row.is_accepted() && !row.is_blocked() {
            let who = row.jid()?;
            let was_request = self.contact_row(&own, &who).await?.is_some();
            let resembles = self.resembled(&row).await?;
            row.set_relation(RelationCode::Accepted);
            let mut tx = self.store.transaction();
            self.put_contact(&mut tx, &row);
            tx.commit().await?;
            self.written_to.insert(who, WrittenTo { at: self.now(), was_request });
            let view = Contact { resembles, ..self.contact_view(&row).await? };
            self.emit(Event::Contact(view));
        }
        Ok(row)
    }

    /// Writing to somebody new has failed: they are what they were before, unless they have become a contact otherwise.
    pub(crate) async fn undo_contact(&mut self, who: &BareJid, failure: Failure) -> Result<(), EngineError> {
        let Some(before) = self.written_to.get(who).copied() else { return Ok(()) };
        let hopeless =
            matches!(failure, Failure::NotSecure | Failure::NoSuchServer | Failure::NoSuchPerson | Failure::Expired);
        if !hopeless || !self.waiting_for(who).await?.is_empty() {
            return Ok(());
        }
        self.written_to.remove(who);
        let own = self.own_or_bad()?;
        let Some(mut row) = self.contact_row(&own, who).await? else { return Ok(()) };
        let age = self.now().since(before.at);
        if age > UNDO_WITHIN {
            return Ok(());
        }
        if before.was_request {
            row.set_relation(RelationCode::Request);
            return self.store_contact(&row).await;
        }
        let mut tx = self.store.transaction();
        self.stop_showing_presence(&mut tx, &mut row)?;
        self.delete_person(&mut tx, &own, &row.address).await?;
        tx.delete(&tables::CONTACT.row(&tables::owner(&own, &[]), row.address.as_bytes()));
        tx.commit().await?;
        self.withdraw_presence().await?;
        self.emit(Event::ContactRemoved { contact: who.clone() });
        Ok(())
    }

    pub(crate) async fn contact_row(&self, own: &BareJid, who: &BareJid) -> Result<Option<ContactRow>, EngineError> {
        tables::load(&self.store, &tables::CONTACT.row(&tables::owner(own, &[]), who.as_str().as_bytes())).await
    }

    pub(crate) async fn contact_rows_of(&self, own: &BareJid) -> Result<Vec<ContactRow>, EngineError> {
        tables::list(&self.store, tables::CONTACT, &tables::owner(own, &[])).await
    }

    pub(crate) fn put_contact(&self, tx: &mut Transaction, row: &ContactRow) {
        if let Some(account) = &self.account {
            let key = tables::CONTACT.row(&tables::owner(&account.jid, &[]), row.address.as_bytes());
            tables::save(tx, &key, row);
        }
    }

    /// Saves a contact and tells of it.
    pub(crate) async fn store_contact(&mut self, row: &ContactRow) -> Result<(), EngineError> {
        let mut tx = self.store.transaction();
        self.put_contact(&mut tx, row);
        tx.commit().await?;
        self.emit_contact(row).await
    }

    pub(crate) async fn emit_contact(&mut self, row: &ContactRow) -> Result<(), EngineError> {
        let view = self.contact_view(row).await?;
        self.emit(Event::Contact(view));
        Ok(())
    }

    pub(crate) async fn contact_view(&self, row: &ContactRow) -> Result<Contact, EngineError> {
        let address = row.jid()?;
        let devices = self.device_rows(&address).await?;
        let undecided = devices.iter().filter(|d| d.is_listed() && d.trust() == DeviceTrustCode::Undecided).count();
        let own_devices = match row.is_accepted() {
            true => self.device_rows(&self.own_or_bad()?).await?,
            false => Vec::new(),
        };
        let legacy = devices.iter().chain(&own_devices).any(PeerDeviceRow::knows_only_the_older);
        Ok(Contact {
            address,
            legacy,
            name: row.name.clone(),
            relation: match row.relation() {
                RelationCode::Request => Relation::Request,
                RelationCode::Accepted => Relation::Accepted,
                RelationCode::Blocked => Relation::Blocked,
            },
            trust: match row.trust() {
                TrustCode::Tofu => PersonTrust::Tofu,
                TrustCode::Verified => PersonTrust::Verified,
                TrustCode::Changed => PersonTrust::Changed,
                TrustCode::Tombstoned => PersonTrust::Tombstoned,
            },
            unread_count: row.unread_count,
            asks_presence: row.asks_presence,
            sees_presence: row.sees_presence,
            receipts: self.receipts_for(row),
            undecided_devices_count: undecided,
            resembles: self.resembled(row).await?,
            more_not_kept: row.is_request() && row.more_not_kept,
            held_count: row.held_count,
        })
    }

    /// Forgets everything about a person except the contact itself.
    pub(crate) async fn delete_person(
        &self,
        tx: &mut Transaction,
        own: &BareJid,
        address: &str,
    ) -> Result<(), EngineError> {
        let (account, person) = (tables::owner(own, &[]), tables::owner(own, &[address]));
        for table in tables::OF_PERSON {
            tables::delete_all(&self.store, tx, *table, &person).await?;
        }
        for (_, row) in tables::list_seq::<tables::MessageRow>(&self.store, tables::MESSAGE, &person).await? {
            if row.outgoing && row.file.is_some() {
                let pieces = tables::owner(own, &[address, &row.id]);
                tables::delete_seq(&self.store, tx, tables::FILE_PIECE, &pieces).await?;
            }
        }
        for table in tables::OF_PERSON_IN_ORDER {
            tables::delete_seq(&self.store, tx, *table, &person).await?;
        }
        for (seq, row) in tables::list_seq::<tables::WaitingRow>(&self.store, tables::WAITING, &account).await? {
            if row.contact == address {
                tx.delete(&tables::WAITING.seq(&account, seq));
            }
        }
        for (seq, row) in tables::list_seq::<tables::OutboxRow>(&self.store, tables::OUTBOX, &account).await? {
            if row.contact == address {
                tx.delete(&tables::OUTBOX.seq(&account, seq));
            }
        }
        tx.delete(&tables::DEVICE_LIST.row(&account, address.as_bytes()));
        for (key, value) in self.store.list(tables::FETCH, &account).await? {
            if tables::decode::<tables::FetchRow>(&value)?.contact == address {
                tx.delete_row(&key);
            }
        }
        if let Ok(who) = BareJid::parse(address) {
            self.delete_notices_about(tx, own, &who);
        }
        Ok(())
    }
}

/// The address in what the user wrote, when it is one or a link that belongs to somebody.
pub(crate) fn address_in(who: &str) -> Option<BareJid> {
    let of_link = Invitation::parse(who).ok().and_then(|invitation| invitation.inviter);
    of_link.or_else(|| BareJid::parse(who).ok().filter(|jid| jid.localpart().is_some()))
}

/// Makes a row for somebody of whom nothing is known.
pub(crate) fn new_contact(own: &BareJid, who: &BareJid) -> ContactRow {
    ContactRow {
        account: own.as_str().to_owned(),
        address: who.as_str().to_owned(),
        name: who.localpart().unwrap_or(who.as_str()).to_owned(),
        ..ContactRow::default()
    }
}

fn tidy_name(name: &str, who: &BareJid) -> String {
    let tidy = one_line(name, NAME_CHARS_MAX);
    if tidy.trim().is_empty() { who.localpart().unwrap_or(who.as_str()).to_owned() } else { tidy.trim().to_owned() }
}
