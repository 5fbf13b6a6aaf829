//! Files out: encrypted before they are uploaded. The pieces are [`crate::files`]'; here is their order, and what is
//! remembered in between. Files in are `downloads`'.
//!
//! A file to be sent waits in the store until the person can be reached securely; then it is uploaded, then the message
//! that offers it goes the way of all messages.

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;
use store::Transaction;
use xep::esfs::Reach;
use xep::https_url::HttpsUrl;
use xep::sfs::FileSharing;
use xep::upload::Slot;
use xep::uri::{Endpoint as UriEndpoint, Host};
use xmpp::jid::{BareJid, Jid};
use xmpp::xml::Element;

use crate::command::Reply;
use crate::display::displayable;
use crate::engine::{Answer, Engine, Question};
use crate::error::{CommandError, EngineError, Failure};
use crate::event::{Event, FileState, MessageId};
use crate::files::{self, Broker, FILE_BYTES_MAX, Offer, Padding, Prepared};
use crate::output::{HttpId, HttpOutcome, Output};
use crate::tables::{self, ContactRow, FileCode, FileRow, MessageRow, PeerDeviceRow, WaitingRow};

/// How much of a waiting file lies in one row.
const PIECE_BYTES: usize = 1024 * 1024;
/// Longest offer in a message, in bytes.
const OFFER_BYTES_MAX: usize = 64 * 1024;

/// The files under way.
#[derive(Default)]
pub(crate) struct Transfers {
    uploads: HashMap<(BareJid, MessageId), Upload>,
    /// Uploads under way: to whom, and by which message.
    requests: HashMap<HttpId, (BareJid, MessageId)>,
    /// The own server's upload service and the largest file it takes.
    service: Option<(Jid, Option<u64>)>,
    /// Questions about services without an answer yet.
    searching: u32,
}

struct Upload {
    prepared: Prepared,
    waiting: WaitingRow,
    slot: Option<Slot>,
    /// The message goes to apps that know only links.
    with_link: bool,
}

/// What a file message says: the offer for OMEMO 2, a link for legacy.
pub(crate) struct Vocabularies {
    pub(crate) content: Vec<Element>,
    pub(crate) body: String,
}

impl Transfers {
    pub(crate) fn is_busy(&self) -> bool {
        !self.uploads.is_empty() || !self.requests.is_empty()
    }

    /// A message was taken back: what its upload comes to does not matter any more.
    pub(crate) fn forget_upload(&mut self, contact: &BareJid, message: &MessageId) {
        self.uploads.remove(&(contact.clone(), message.clone()));
    }

    /// The connection took the answer along; the next session asks again.
    pub(crate) fn slot_lost(&mut self, contact: &BareJid, message: &MessageId) {
        self.uploads.remove(&(contact.clone(), message.clone()));
    }

    pub(crate) fn search_begins(&mut self) {
        (self.service, self.searching) = (None, 0);
    }

    pub(crate) fn search_step(&mut self) {
        self.searching += 1;
    }
}

/// Writes the offer of an uploaded file; `None` while it has not been uploaded, or when what is stored is no offer.
pub(crate) fn offer_of(file: &FileRow) -> Option<Vocabularies> {
    // An earlier version could store a name with characters that no XML can carry.
    let stored = xmpp::xml::to_carriable(&file.offer);
    let sharing = xep::document::parse(stored.as_bytes(), OFFER_BYTES_MAX).ok()?;
    let content = match file.with_link {
        true => files::content_with_link(sharing, &file.link),
        false => vec![sharing],
    };
    Some(Vocabularies { content, body: file.link.clone() })
}

/// Finds an offer in the text of a legacy message.
pub(crate) fn offer_in_text(text: &str) -> Option<FileRow> {
    Offer::of_body(text).map(|offer| offered(&offer))
}

/// Finds an offer in the content of an envelope.
pub(crate) fn offer_in_content(content: &[Element]) -> Option<FileRow> {
    Offer::of_content(content).map(|offer| offered(&offer))
}

fn offered(offer: &Offer) -> FileRow {
    let description = offer.description();
    FileRow {
        name: description.name,
        size_bytes: description.size_bytes,
        media_type: description.media_type,
        state: FileCode::Offered.into(),
        offer: offer.to_text(),
        ..FileRow::default()
    }
}

impl PeerDeviceRow {
    /// Whether the device is known to be Waxwing's, which reads offers: it has said so itself in an envelope, or a link of
    /// its owner named its key beside the pin of their broker.
    fn is_waxwing(&self, contact: Option<&ContactRow>) -> bool {
        let by_link =
            |contact: &ContactRow| contact.server_pin.is_some() && contact.promised_keys.contains(&self.identity);
        !self.identity.is_empty() && (self.waxwing || contact.is_some_and(by_link))
    }
}

impl Engine {
    /// Saves a file to be sent, with the message that will offer it.
    pub(crate) async fn send_file(
        &mut self,
        who: &str,
        name: &str,
        media_type: Option<String>,
        bytes: Bytes,
    ) -> Result<Reply, CommandError> {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if size > FILE_BYTES_MAX {
            return Err(CommandError::TooLong);
        }
        let contact = self.resolve_recipient(who).await?;
        let shown = displayable(name);
        let replaced = matches!(shown, Cow::Owned(_));
        let file = FileRow {
            name: files::safe_name(&shown),
            size_bytes: Some(size),
            media_type: media_type.map(|media_type| displayable(&media_type).into_owned()),
            state: FileCode::Moving.into(),
            ..FileRow::default()
        };
        let row = MessageRow { file: Some(file), ..self.new_outgoing(&contact) };
        // The pieces come first: a message without its file could never be sent.
        let owner = self.piece_owner(&contact.jid()?, &row.id)?;
        for (number, piece) in (1u64..).zip(bytes.chunks(PIECE_BYTES)) {
            let mut tx = self.store.transaction();
            tx.put(&tables::FILE_PIECE.seq(&owner, number), piece);
            tx.commit().await?;
        }
        self.save_outgoing(&contact, row, replaced).await
    }

    /// Whether the content of a file that has not been uploaded is still here.
    pub(crate) async fn has_pieces(&self, who: &BareJid, id: &str) -> Result<bool, EngineError> {
        let owner = self.piece_owner(who, id)?;
        let first = self.store.scan_seq(tables::FILE_PIECE, &owner, .., store::Direction::Forward, 1).await?;
        Ok(!first.is_empty())
    }

    /// Forgets the content of a file that will not be sent.
    pub(crate) async fn delete_pieces(&self, tx: &mut Transaction, who: &BareJid, id: &str) -> Result<(), EngineError> {
        Ok(tables::delete_seq(&self.store, tx, tables::FILE_PIECE, &self.piece_owner(who, id)?).await?)
    }

    fn piece_owner(&self, who: &BareJid, id: &str) -> Result<Vec<u8>, EngineError> {
        Ok(tables::owner(&self.own_or_bad()?, &[who.as_str(), id]))
    }

    /// Encrypts a waiting file and asks for a place to put it, unless that is under way.
    pub(crate) async fn start_upload(
        &mut self,
        who: &BareJid,
        waiting: &WaitingRow,
        message: &MessageRow,
    ) -> Result<(), EngineError> {
        let key = (who.clone(), MessageId::new(&message.id));
        let Some(file) = message.file.as_ref().filter(|_| !self.transfers.uploads.contains_key(&key)) else {
            return Ok(());
        };
        let Some((service, max_bytes)) = self.transfers.service.clone() else {
            return match self.transfers.searching {
                0 => self.give_up(who, waiting, Failure::NotSupported).await,
                _ => Ok(()), // finding one tries everything again
            };
        };
        let mut bytes = Vec::new();
        let owner = self.piece_owner(who, &message.id)?;
        for (_, piece) in
            self.store.scan_seq(tables::FILE_PIECE, &owner, .., store::Direction::Forward, usize::MAX).await?
        {
            bytes.extend_from_slice(&piece);
        }
        // Uploaded once, or damaged: what is left is not the file, and trying again would not bring it back.
        if !file.offer.is_empty() || file.size_bytes.is_some_and(|size| size != bytes.len() as u64) {
            return self.give_up(who, waiting, Failure::FileGone).await;
        }
        // Links have no room for the true length, so nothing can be added to it.
        let padding = if self.needs_link(who).await? { Padding::None } else { Padding::ToSizeClass };
        let media_type = file.media_type.as_deref();
        let prepared = match Prepared::new(&file.name, media_type, bytes, padding, &*self.env.random) {
            Ok(prepared) => prepared,
            Err(failure) => return self.give_up(who, waiting, failure).await,
        };
        let slot = prepared.slot_request();
        if max_bytes.is_some_and(|max| slot.size_bytes > max) {
            return self.give_up(who, waiting, Failure::FileTooLarge).await;
        }
        let question = Question::UploadSlot { contact: key.0.clone(), message: key.1.clone() };
        let with_link = padding == Padding::None;
        self.transfers.uploads.insert(key, Upload { prepared, waiting: waiting.clone(), slot: None, with_link });
        self.ask("get", Some(&service), slot.to_element(), question);
        Ok(())
    }

    /// Whether any device that the message goes to may belong to an app that knows links only: any that is not known as
    /// Waxwing's.
    async fn needs_link(&self, who: &BareJid) -> Result<bool, EngineError> {
        let own = self.own_or_bad()?;
        let contact = self.contact_row(&own, who).await?;
        let theirs = self.device_rows(who).await?;
        let ours = self.device_rows(&own).await?;
        let is_addressed = |row: &&PeerDeviceRow| row.is_listed() && row.is_written_to();
        Ok(theirs.iter().filter(is_addressed).any(|row| !row.is_waxwing(contact.as_ref()))
            || ours.iter().filter(is_addressed).any(|row| !row.is_waxwing(None)))
    }

    pub(crate) async fn slot_answer(
        &mut self,
        contact: BareJid,
        message: MessageId,
        answer: Answer,
    ) -> Result<(), EngineError> {
        let slot = match &answer {
            Answer::Result(Some(slot)) => Slot::parse(slot).map_err(|_| Failure::Protocol),
            Answer::Result(None) => Err(Failure::Protocol),
            Answer::Error(error) => Err(slot_failure(error)),
            Answer::Lost => Err(Failure::Disconnected),
        };
        let (id, own) = (self.new_http(), self.own_broker()?);
        let key = (contact.clone(), message.clone());
        let Some(upload) = self.transfers.uploads.get_mut(&key) else { return Ok(()) };
        let request = match slot.and_then(|slot| upload.prepared.upload(id, upload.slot.insert(slot), &own)) {
            Ok(request) => request,
            Err(failure) => return self.upload_failed(&key, failure).await,
        };
        let total_bytes = u64::try_from(request.body.len()).unwrap_or(u64::MAX);
        self.transfers.requests.insert(id, (contact.clone(), message.clone()));
        self.emit(Event::FileProgress { contact, message, state: FileState::Moving { done_bytes: 0, total_bytes } });
        self.output(Output::Http(request));
        Ok(())
    }

    pub(crate) async fn http_done(&mut self, id: HttpId, outcome: HttpOutcome) -> Result<(), EngineError> {
        match self.transfers.requests.remove(&id) {
            Some(upload) => self.uploaded(upload, &outcome).await,
            None => self.downloaded(id, outcome).await,
        }
    }

    /// The file lies at its place: now the message that offers it can be sealed.
    async fn uploaded(&mut self, key: (BareJid, MessageId), outcome: &HttpOutcome) -> Result<(), EngineError> {
        let Some(upload) = self.transfers.uploads.get(&key) else { return Ok(()) };
        let with_link = upload.with_link;
        let offer = match outcome {
            HttpOutcome::Response { status: 200..=299, .. } => match &upload.slot {
                Some(slot) => upload.prepared.offer(slot, self.own_reach(slot)),
                None => Err(Failure::Protocol),
            },
            HttpOutcome::Response { status: 413, .. } => Err(Failure::FileTooLarge),
            HttpOutcome::Response { status: 429 | 500..=599, .. } | HttpOutcome::Failed(_) => {
                Err(Failure::ServerTimeout)
            }
            HttpOutcome::Response { .. } => Err(Failure::Refused),
        };
        let offer = match offer {
            Ok(offer) => offer,
            Err(failure) => return self.upload_failed(&key, failure).await,
        };
        self.transfers.uploads.remove(&key);
        let (who, message) = key;
        let Some(mut row) = self.message_by_id(&who, true, message.as_str()).await? else { return Ok(()) };
        if let Some(file) = &mut row.file {
            file.set_state(FileCode::Complete);
            file.offer = FileSharing::to_element(&offer.sharing).to_xml("");
            file.link = offer.body();
            file.with_link = with_link;
        }
        let mut tx = self.store.transaction();
        self.put_message(&mut tx, &who, &row)?;
        tables::delete_seq(&self.store, &mut tx, tables::FILE_PIECE, &self.piece_owner(&who, &row.id)?).await?;
        tx.erase();
        tx.commit().await?;
        self.emit(Event::FileProgress { contact: who.clone(), message, state: FileState::Complete });
        self.advance(&who).await
    }

    /// For a while: tried again with everything that waits. For good: the user is told.
    async fn upload_failed(&mut self, key: &(BareJid, MessageId), failure: Failure) -> Result<(), EngineError> {
        let Some(upload) = self.transfers.uploads.remove(key) else { return Ok(()) };
        if failure.is_temporary() {
            return self.put_off(&key.0, std::slice::from_ref(&upload.waiting), failure).await;
        }
        self.give_up(&key.0, &upload.waiting, failure).await
    }

    /// An upload service of the own server.
    pub(crate) async fn upload_service_found(&mut self, service: Jid, max: Option<u64>) -> Result<(), EngineError> {
        if self.transfers.service.is_none() {
            self.transfers.service = Some((service, max));
            let own = self.own_or_bad()?;
            self.advance_all(&own).await?;
        }
        Ok(())
    }

    /// One of the questions about services is answered; after the last one it is known whether there is any.
    pub(crate) async fn search_answered(&mut self) -> Result<(), EngineError> {
        self.transfers.searching = self.transfers.searching.saturating_sub(1);
        if self.transfers.searching == 0 && self.transfers.service.is_none() {
            let own = self.own_or_bad()?;
            self.advance_all(&own).await?;
        }
        Ok(())
    }

    pub(crate) fn own_broker(&self) -> Result<Broker, EngineError> {
        let account = self.account.as_ref().ok_or(EngineError::BadRow)?;
        Ok(Broker { domain: account.jid.domainpart().to_owned(), pin: account.pin(), endpoints: account.endpoints() })
    }

    /// How contacts reach the own server's files without DNS and public certificates.
    fn own_reach(&self, slot: &Slot) -> Option<Reach> {
        let account = self.account.as_ref()?;
        let port = HttpsUrl::parse(&slot.get_url).ok()?.port;
        let host = |host: &str| match host.parse() {
            Ok(address) => Some(Host::Address(address)),
            Err(_) => Host::parse(&xmpp::jid::to_ascii(host)?).ok(),
        };
        let at = account.endpoints().iter().filter_map(|e| Some(UriEndpoint { host: host(&e.host)?, port })).collect();
        Some(Reach { pin: account.pin()?, at })
    }
}

fn slot_failure(error: &xmpp::stanza::StanzaError) -> Failure {
    if error.extra.iter().any(|extra| extra.is("file-too-large", xep::upload::NS)) {
        return Failure::FileTooLarge;
    }
    Failure::from(error)
}
