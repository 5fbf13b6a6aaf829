//! Slots: who may upload how much (XEP-0363 §4).

use prost::Message as _;
use store::StoreError;
use xep::upload::{NS, Slot, SlotRequest, file_too_large, quota_reached};
use xmpp::jid::BareJid;
use xmpp::stanza::{Condition, StanzaError};
use xmpp::time::Timestamp;

use super::PATH;
use crate::Core;
use crate::accounts::password::{STRONG_LEN, random_letters};
use crate::iq::{IqKind, IqOutcome, IqRequest, IqTarget};
use crate::tables::{DayQuotaRow, UPLOAD_QUOTA, UPLOADS, UPLOADS_OF, UPLOADS_OWNER, UploadOfRow, UploadRow};

/// Longest media type that is compared, in bytes.
const CONTENT_TYPE_MAX: usize = 127;

/// Answers requests for a slot, at the service and at the server itself.
pub async fn handle(core: &Core, request: &IqRequest<'_>) -> IqOutcome {
    let is_here = match &request.target {
        IqTarget::Server => true,
        IqTarget::Service(name) => name == "upload",
        IqTarget::Account(_) => false,
    };
    let Some(base) = core.config.upload.web_base.as_deref() else { return IqOutcome::NotMine };
    if !is_here || !request.is("request", NS) || request.kind != IqKind::Get {
        return IqOutcome::NotMine;
    }
    if !request.is_local {
        return Condition::Forbidden.into();
    }
    let wanted = match SlotRequest::parse(request.payload) {
        Ok(wanted) => wanted,
        Err(fault) => return IqOutcome::Error(fault.into()),
    };
    if wanted.size_bytes > core.config.upload.max_bytes {
        return IqOutcome::Error(file_too_large(core.config.upload.max_bytes));
    }
    // one of endless length is not looked at
    let content_type = wanted.content_type.as_deref().filter(|text| text.len() <= CONTENT_TYPE_MAX);
    match make(core, &request.from.bare(), wanted.size_bytes, content_type).await {
        Ok(name) => {
            let url = format!("{base}{PATH}{name}{}", extension(&wanted.filename));
            let slot = Slot { put_url: url.clone(), put_headers: Vec::new(), get_url: url };
            IqOutcome::Result(Some(slot.to_element()))
        }
        Err(error) => IqOutcome::Error(error),
    }
}

/// Keeps a place and counts it; returns the random name.
async fn make(
    core: &Core,
    account: &BareJid,
    size_bytes: u64,
    content_type: Option<&str>,
) -> Result<String, StanzaError> {
    let _turn = core.turns.take(UPLOAD_QUOTA, account.as_str()).await;
    loop {
        match try_make(core, account, size_bytes, content_type).await {
            Err(Refused::Store(StoreError::Conflict)) => {} // another process was faster
            Err(Refused::Store(_)) => return Err(StanzaError::new(Condition::InternalServerError)),
            Err(Refused::Quota(retry_at)) => return Err(quota_reached(retry_at)),
            Ok(name) => return Ok(name),
        }
    }
}

enum Refused {
    Quota(Timestamp),
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn try_make(
    core: &Core,
    account: &BareJid,
    size_bytes: u64,
    content_type: Option<&str>,
) -> Result<String, Refused> {
    let (settings, now) = (&core.config.upload, core.date());
    let owner = account.as_str().as_bytes();
    let key = UPLOAD_QUOTA.row(owner, b"quota");
    let value = core.store.get(&key).await?;
    let mut quota = match &value {
        Some(value) => DayQuotaRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?,
        None => DayQuotaRow::default(),
    };
    if quota.day != now.day() {
        quota = DayQuotaRow { day: now.day(), used: 0 };
    }
    quota.used = quota.used.saturating_add(size_bytes);
    if quota.used > settings.per_day_bytes {
        return Err(Refused::Quota(Timestamp::from_secs((now.day() + 1) * 86_400)));
    }
    let name = random_letters(&*core.env.random, STRONG_LEN);
    let row = UploadRow {
        name: name.clone(),
        account: account.as_str().to_owned(),
        size_bytes,
        complete: false,
        expires_at: (now + settings.slot_lifetime).as_millis(),
        content_type: content_type.map(str::to_owned),
    };
    let mut transaction = core.store.transaction();
    transaction.expect(&key, value.as_ref());
    transaction.put(&key, quota.encode_to_vec());
    transaction.put(&UPLOADS.row(UPLOADS_OWNER, name.as_bytes()), row.encode_to_vec());
    transaction.put(&UPLOADS_OF.row(owner, name.as_bytes()), UploadOfRow { name: name.clone() }.encode_to_vec());
    transaction.commit().await?;
    Ok(name)
}

/// Returns the ending of a file name with its dot, where it is a plain one: some clients tell pictures by it.
fn extension(filename: &str) -> String {
    match filename.rsplit_once('.') {
        Some((_, ending)) if (1..=8).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            format!(".{}", ending.to_ascii_lowercase())
        }
        _ => String::new(),
    }
}
