//! Files in: fetched only when the user wants it, checked, handed out to be saved, and complete only when they are. What
//! fails says why, and is tried again where that can help.
//!
//! The pieces are [`crate::files`]'. What the user wants and is not here is remembered, so that a process that ends, or a
//! disk that is full, loses no file.

use std::collections::HashMap;

use store::Direction;
use xmpp::jid::BareJid;
use xmpp::time::Timestamp;

use crate::account::endpoints_from_rows;
use crate::command::{Outcome, Reply, RequestId};
use crate::engine::Engine;
use crate::error::{CommandError, EngineError, Failure};
use crate::event::{Event, Message, MessageId};
use crate::files::{self, Broker, Offer};
use crate::output::{HttpId, HttpOutcome, Output, SaveFile, SaveId};
use crate::tables::{self, ContactRow, FetchRow, FileCode, FileRow, MessageRow};

/// The files that come.
#[derive(Default)]
pub(crate) struct Downloads {
    open: HashMap<HttpId, Download>,
    saving: HashMap<SaveId, Download>,
    next_save: u64,
    /// When the first of those that failed for now is due.
    retry_at: Option<Timestamp>,
}

struct Download {
    contact: BareJid,
    message: MessageId,
    /// Who waits for it; nobody when it is tried again by itself.
    requests: Vec<RequestId>,
    offer: Box<Offer>,
}

impl Downloads {
    /// Whether somebody waits for a file. What is tried again by itself can be interrupted.
    pub(crate) fn is_busy(&self) -> bool {
        self.open.values().chain(self.saving.values()).any(|download| !download.requests.is_empty())
    }

    pub(crate) fn next_timeout(&self) -> Option<Timestamp> {
        self.retry_at
    }

    pub(crate) fn are_due(&self, now: Timestamp) -> bool {
        self.retry_at.is_some_and(|at| at <= now)
    }

    fn under_way(&mut self, contact: &BareJid, message: &MessageId) -> Option<&mut Download> {
        let mut all = self.open.values_mut().chain(self.saving.values_mut());
        all.find(|download| download.contact == *contact && download.message == *message)
    }
}

impl FileRow {
    /// Notes a failure; tells whether to try again by itself.
    fn fetch_failed(&mut self, failure: Failure, now: Timestamp) -> bool {
        self.set_state(FileCode::Failed);
        self.failure = failure.code();
        let mut tries = self.tries.unwrap_or_default();
        tries.failed(failure, now);
        self.tries = Some(tries);
        may_come_later(failure) && !tries.is_over(now)
    }
}

/// Whether a file that could not be had may be there, or find room, later.
fn may_come_later(failure: Failure) -> bool {
    failure.is_temporary() || failure == Failure::FileNotSaved
}

impl Engine {
    /// Fetches an offered file, because the user wants it.
    pub(crate) async fn fetch_file(&mut self, who: &str, message: &MessageId) -> Result<Reply, CommandError> {
        let contact = self.resolve_known(who).await?;
        let jid = contact.jid()?;
        let row = self.message_by_id(&jid, false, message.as_str()).await?.ok_or(CommandError::UnknownMessage)?;
        let offer = row.file.as_ref().and_then(|file| Offer::from_text(&file.offer));
        let offer = offer.ok_or(CommandError::NotApplicable)?;
        if !files::may_fetch(self.contact_view(&contact).await?.relation) {
            return Err(CommandError::NotApplicable);
        }
        let request = self.new_request();
        if let Some(download) = self.downloads.under_way(&jid, message) {
            download.requests.push(request);
            return Ok(Reply::Accepted(request));
        }
        self.put_wanted(&jid, message).await?;
        let download =
            Download { contact: jid, message: message.clone(), requests: vec![request], offer: Box::new(offer) };
        self.begin_download(&contact, download).await?;
        Ok(Reply::Accepted(request))
    }

    async fn begin_download(&mut self, contact: &ContactRow, download: Download) -> Result<(), EngineError> {
        let id = self.new_http();
        match files::fetch_request(id, &download.offer, &self.own_broker()?, &broker_of(contact)?) {
            Ok(http) => {
                self.downloads.open.insert(id, download);
                self.output(Output::Http(http));
                Ok(())
            }
            Err(failure) => self.download_failed(download, failure).await,
        }
    }

    /// A request has ended. What came is handed out when it is what was offered.
    pub(crate) async fn downloaded(&mut self, id: HttpId, outcome: HttpOutcome) -> Result<(), EngineError> {
        let Some(download) = self.downloads.open.remove(&id) else { return Ok(()) };
        match files::fetched(outcome).and_then(|ciphertext| files::open(&download.offer, &ciphertext)) {
            Ok(file) => {
                self.downloads.next_save += 1;
                let save = SaveId(self.downloads.next_save);
                let message = download.message.clone();
                self.downloads.saving.insert(save, download);
                self.output(Output::SaveFile(SaveFile { id: save, message, name: file.name, bytes: file.bytes }));
                Ok(())
            }
            Err(failure) => self.download_failed(download, failure).await,
        }
    }

    /// The program around has saved a file, or could not.
    pub(crate) async fn save_ended(&mut self, id: SaveId, saved: bool) -> Result<(), EngineError> {
        let Some(download) = self.downloads.saving.remove(&id) else { return Ok(()) };
        if !saved {
            return self.download_failed(download, Failure::FileNotSaved).await;
        }
        self.note_download(&download, |file| {
            file.set_state(FileCode::Complete);
            (file.failure, file.tries) = (0, None);
            false
        })
        .await?;
        for request in download.requests {
            self.done(request, Ok(Outcome::Fetched { message: download.message.clone() }));
        }
        Ok(())
    }

    async fn download_failed(&mut self, download: Download, failure: Failure) -> Result<(), EngineError> {
        let now = self.now();
        self.note_download(&download, |file| file.fetch_failed(failure, now)).await?;
        for request in download.requests {
            self.done(request, Err(failure));
        }
        Ok(())
    }

    /// Commits what became of a download. `change` tells whether the file is still wanted.
    async fn note_download(
        &mut self,
        download: &Download,
        change: impl FnOnce(&mut FileRow) -> bool,
    ) -> Result<(), EngineError> {
        let Download { contact, message, .. } = download;
        let mut tx = self.store.transaction();
        let mut told = None;
        let mut wanted = false;
        if let Some(mut row) = self.message_by_id(contact, false, message.as_str()).await?
            && let Some(file) = &mut row.file
        {
            wanted = change(file);
            if wanted {
                let next = Timestamp::from_millis(file.tries.map_or(0, |tries| tries.next_ms));
                self.downloads.retry_at = Some(self.downloads.retry_at.map_or(next, |at| at.min(next)));
            }
            told = Some(file.file_state());
            self.put_message(&mut tx, contact, &row)?;
        }
        if !wanted {
            tx.delete(&self.wanted_key(contact, message)?);
        }
        tx.commit().await?;
        if let Some(state) = told {
            self.emit(Event::FileProgress { contact: contact.clone(), message: message.clone(), state });
        }
        Ok(())
    }

    /// Tries those again whose time has come. Nobody waits for them, so they begin only with a session.
    pub(crate) async fn retry_downloads(&mut self, now: Timestamp) -> Result<(), EngineError> {
        if !self.is_online() {
            return Ok(());
        }
        self.downloads.retry_at = None;
        for (contact, row) in self.wanted_rows().await? {
            let (jid, message) = (contact.jid()?, MessageId::new(&row.id));
            let Some(file) = row.file.as_ref().filter(|_| self.downloads.under_way(&jid, &message).is_none()) else {
                continue;
            };
            let due = Timestamp::from_millis(file.tries.map_or(0, |tries| tries.next_ms));
            if due > now {
                self.downloads.retry_at = Some(self.downloads.retry_at.map_or(due, |at| at.min(due)));
            } else if let Some(offer) = Offer::from_text(&file.offer) {
                let download = Download { contact: jid, message, requests: Vec::new(), offer: Box::new(offer) };
                self.begin_download(&contact, download).await?;
            }
        }
        Ok(())
    }

    /// Lists the messages whose files the user wants and has not got.
    pub(crate) async fn wanted_files(&self) -> Result<Vec<Message>, CommandError> {
        self.own()?;
        let rows = self.wanted_rows().await?;
        let mut messages: Vec<Message> =
            rows.iter().map(|(contact, row)| row.view(contact)).collect::<Result<_, EngineError>>()?;
        messages.sort_by_key(|message| (message.saved_at, message.seq));
        Ok(messages)
    }

    /// Of contacts only: nothing is fetched from anybody else, whatever was wanted once.
    async fn wanted_rows(&self) -> Result<Vec<(ContactRow, MessageRow)>, EngineError> {
        let own = self.own_or_bad()?;
        let mut found = Vec::new();
        for wanted in tables::list::<FetchRow>(&self.store, tables::FETCH, &tables::owner(&own, &[])).await? {
            let who = BareJid::parse(&wanted.contact).map_err(|_| EngineError::BadRow)?;
            let contact = self.contact_row(&own, &who).await?.filter(ContactRow::is_accepted);
            let message = self.message_by_id(&who, false, &wanted.message).await?;
            if let (Some(contact), Some(message)) = (contact, message) {
                found.push((contact, message));
            }
        }
        found.sort_by_key(|(_, row)| (row.saved_ms, row.seq));
        Ok(found)
    }

    /// A contact's server has become known: files that could not be fetched for want of that are offered anew.
    pub(crate) async fn files_reachable(&mut self, who: &BareJid) -> Result<(), EngineError> {
        let owner = self.person_owner(who)?;
        let limit = usize::try_from(REACHABLE_MAX).unwrap_or(usize::MAX);
        let rows = self.store.scan_seq(tables::MESSAGE, &owner, .., Direction::Backward, limit).await?;
        for (_, value) in rows {
            let mut row: MessageRow = tables::decode(&value)?;
            let refused = |file: &&mut FileRow| file.failure == Failure::FileAddress.code() && !row.outgoing;
            let Some(file) = row.file.as_mut().filter(refused) else { continue };
            file.set_state(FileCode::Offered);
            (file.failure, file.tries) = (0, None);
            let message = MessageId::new(&row.id);
            let mut tx = self.store.transaction();
            self.put_message(&mut tx, who, &row)?;
            tx.commit().await?;
            self.put_wanted(who, &message).await?;
        }
        self.downloads.retry_at = None;
        self.retry_downloads(self.now()).await
    }

    async fn put_wanted(&self, who: &BareJid, message: &MessageId) -> Result<(), EngineError> {
        let row = FetchRow {
            account: self.own_or_bad()?.as_str().to_owned(),
            contact: who.as_str().to_owned(),
            message: message.as_str().to_owned(),
        };
        let mut tx = self.store.transaction();
        tables::save(&mut tx, &self.wanted_key(who, message)?, &row);
        Ok(tx.commit().await?)
    }

    fn wanted_key(&self, who: &BareJid, message: &MessageId) -> Result<store::Key, EngineError> {
        let name = tables::owner(who, &[message.as_str()]);
        Ok(tables::FETCH.row(&tables::owner(&self.own_or_bad()?, &[]), &name))
    }
}

/// So many messages are looked through for files that have become reachable.
const REACHABLE_MAX: u32 = 1000;

/// What is known of a contact's server.
fn broker_of(contact: &ContactRow) -> Result<Broker, EngineError> {
    Ok(Broker {
        domain: contact.jid()?.domainpart().to_owned(),
        pin: contact.server_pin.as_deref().and_then(|pin| pin.try_into().ok()),
        endpoints: endpoints_from_rows(&contact.server_endpoints),
    })
}
