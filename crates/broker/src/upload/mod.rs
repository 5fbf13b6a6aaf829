//! Files for people who are not there: a slot over XMPP, `PUT` and `GET` over HTTPS (XEP-0363).
//!
//! What is kept is what was sent, in sealed rows of 256 KiB under the key of the day; end-to-end encryption is the
//! client's. The name in the address is random and all that it takes to fetch; neither the name of the file nor its type
//! is kept.

mod get;
mod put;
mod range;
mod slot;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prost::Message as _;
use store::{StoreError, Transaction};
use xmpp::jid::BareJid;

pub use get::{Download, get};
pub use put::{Put, put};
pub use slot::handle;

use crate::Core;
use crate::http::Response;
use crate::tables::{UPLOAD_CHUNKS, UPLOAD_QUOTA, UPLOADS, UPLOADS_OF, UPLOADS_OWNER, UploadOfRow, UploadRow};

/// What an operator can choose about uploads.
#[derive(Debug, Clone)]
pub struct UploadSettings {
    /// Address of the listener without a slash at its end, like `https://example.org:5443`; none switches uploads off.
    pub web_base: Option<String>,
    /// Largest file.
    pub max_bytes: u64,
    /// How much an account may upload on one day.
    pub per_day_bytes: u64,
    /// How long a file is kept.
    pub lifetime: Duration,
    /// How long a slot waits for its file.
    pub slot_lifetime: Duration,
}

impl Default for UploadSettings {
    fn default() -> Self {
        Self {
            web_base: None,
            max_bytes: 200 * 1024 * 1024,
            per_day_bytes: 2 * 1024 * 1024 * 1024,
            lifetime: Duration::from_secs(14 * 86_400),
            slot_lifetime: Duration::from_secs(3600),
        }
    }
}

/// Files that are being uploaded, by name: one upload at a time for each.
#[derive(Default)]
pub(crate) struct Busy(Mutex<HashSet<Box<str>>>);

impl Busy {
    /// Makes an upload the only one of its name; `None` while there is another.
    fn claim(&self, name: &str) -> Option<Claim<'_>> {
        let is_free = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into());
        is_free.then(|| Claim { busy: self, name: name.into() })
    }
}

/// The right to upload a file, until this is dropped.
struct Claim<'a> {
    busy: &'a Busy,
    name: Box<str>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.busy.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// Bytes of one row.
const CHUNK_BYTES: usize = 256 * 1024;

/// Path in front of the random name.
pub const PATH: &str = "/upload/";

/// Returns the random name in a path: what follows the prefix, up to a dot. What follows the dot is for the receiving
/// client, which tells pictures by it.
fn name_in(path: &str) -> Option<&str> {
    let name = path.strip_prefix(PATH)?;
    let name = name.split_once('.').map_or(name, |(name, _)| name);
    let is_one = !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric());
    is_one.then_some(name)
}

/// What a browser may ask of a file.
const METHODS: &str = "OPTIONS, HEAD, GET, PUT";

/// Lets apps that run in a browser, from wherever they were loaded, see an answer (XEP-0363 §8). Whoever knows a random
/// name may read the file; there are no cookies and no passwords that such an app could misuse, so none are allowed.
#[must_use]
pub fn for_browsers(response: Response) -> Response {
    response
        .with("access-control-allow-origin", "*")
        .with("access-control-allow-methods", METHODS)
        .with("access-control-allow-headers", "Authorization, Content-Type, Range")
        .with("access-control-expose-headers", "Content-Length, Content-Range, Accept-Ranges")
        .with("access-control-max-age", "86400")
}

/// Answers the question that a browser asks before it sends or fetches a file for an app (`OPTIONS`), whether the file is
/// there or not.
#[must_use]
pub fn options() -> Response {
    Response::new(204).with("allow", METHODS)
}

async fn read(core: &Core, name: &str) -> Result<Option<(store::Value, UploadRow)>, StoreError> {
    let Some(value) = core.store.get(&UPLOADS.row(UPLOADS_OWNER, name.as_bytes())).await? else { return Ok(None) };
    let row = UploadRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
    Ok((row.expires_at > core.date().as_millis()).then_some((value, row)))
}

fn delete(transaction: &mut Transaction, row: &UploadRow) {
    let chunks = row.size_bytes.div_ceil(CHUNK_BYTES as u64);
    for chunk in 0..chunks {
        transaction.delete(&UPLOAD_CHUNKS.seq(row.name.as_bytes(), chunk));
    }
    transaction.delete(&UPLOADS.row(UPLOADS_OWNER, row.name.as_bytes()));
    transaction.delete(&UPLOADS_OF.row(row.account.as_bytes(), row.name.as_bytes()));
}

/// Removes files and slots that are over. Returns how many; to be called now and then.
///
/// # Errors
///
/// What the store says.
pub async fn forget_expired(core: &Core) -> Result<usize, StoreError> {
    if !core.may_expire().await? {
        return Ok(0);
    }
    let now = core.date().as_millis();
    let mut forgotten = 0;
    for (_, value) in core.store.list(UPLOADS, UPLOADS_OWNER).await? {
        let row = UploadRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
        if row.expires_at <= now {
            let mut transaction = core.store.transaction();
            delete(&mut transaction, &row);
            transaction.commit().await?;
            forgotten += 1;
        }
    }
    Ok(forgotten)
}

/// Removes everything that an account has uploaded.
pub(crate) async fn remove_of(core: &Core, account: &BareJid) -> Result<(), StoreError> {
    let owner = account.as_str().as_bytes();
    for (of, value) in core.store.list(UPLOADS_OF, owner).await? {
        let of_row = UploadOfRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
        let mut transaction = core.store.transaction();
        if let Some(value) = core.store.get(&UPLOADS.row(UPLOADS_OWNER, of_row.name.as_bytes())).await? {
            let row = UploadRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
            delete(&mut transaction, &row);
        }
        transaction.delete_row(&of);
        transaction.commit().await?;
    }
    let mut transaction = core.store.transaction();
    transaction.delete(&UPLOAD_QUOTA.row(owner, b"quota"));
    transaction.commit().await
}
