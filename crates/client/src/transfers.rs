//! Files out and in: encrypted before they are uploaded, fetched only when the user wants it, checked before they are saved.

use bytes::Bytes;
use xmpp::jid::{BareJid, Jid};
use xmpp::xml::Element;

use crate::command::Reply;
use crate::engine::{Answer, Engine};
use crate::error::{CommandError, EngineError};
use crate::event::MessageId;
use crate::output::{HttpId, HttpOutcome};
use crate::tables::FileRow;

/// The files under way.
#[derive(Default)]
pub(crate) struct Transfers {}

/// What a file message says: the offer for OMEMO 2, a link for legacy.
pub(crate) struct Offer {
    pub(crate) content: Vec<Element>,
    pub(crate) body: String,
}

impl Transfers {
    pub(crate) fn is_busy(&self) -> bool {
        false
    }

    pub(crate) fn slot_lost(&mut self, _contact: &BareJid, _message: &MessageId) {}
}

pub(crate) fn offer_of(_file: &FileRow) -> Option<Offer> {
    None
}

pub(crate) fn offer_in_text(_text: &str) -> Option<FileRow> {
    None
}

pub(crate) fn offer_in_content(_content: &[Element]) -> Option<FileRow> {
    None
}

impl Engine {
    pub(crate) async fn send_file(
        &mut self,
        _who: &str,
        _name: &str,
        _media_type: Option<String>,
        _bytes: Bytes,
    ) -> Result<Reply, CommandError> {
        Err(CommandError::NotApplicable)
    }

    pub(crate) async fn fetch_file(&mut self, _who: &str, _message: &MessageId) -> Result<Reply, CommandError> {
        Err(CommandError::NotApplicable)
    }

    pub(crate) async fn http_done(&mut self, _id: HttpId, _outcome: HttpOutcome) -> Result<(), EngineError> {
        Ok(())
    }

    pub(crate) async fn slot_answer(
        &mut self,
        _contact: BareJid,
        _message: MessageId,
        _answer: Answer,
    ) -> Result<(), EngineError> {
        Ok(())
    }

    pub(crate) async fn upload_service_found(&mut self, _service: Jid, _max: Option<u64>) -> Result<(), EngineError> {
        Ok(())
    }
}
