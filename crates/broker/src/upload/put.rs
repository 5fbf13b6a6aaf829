//! Taking a file in, piece by piece.

use prost::Message as _;
use store::{Day, StoreError};

use super::{CHUNK_BYTES, Claim, name_in, read};
use crate::Core;
use crate::http::{Request, Response};
use crate::tables::{UPLOAD_CHUNKS, UPLOADS, UPLOADS_OWNER, UploadRow};

/// A file on its way in. Dropped before its end, it is as if it had never come, and may come again.
pub struct Put<'a> {
    core: &'a Core,
    _claim: Claim<'a>,
    value: store::Value,
    row: UploadRow,
    /// The day under whose key all pieces are sealed.
    day: Day,
    pending: Vec<u8>,
    chunks: u64,
    received: u64,
}

impl std::fmt::Debug for Put<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Put({} bytes)", self.received)
    }
}

/// Begins to take a file in: the slot exists, is empty, and the announced length is the one that was asked for.
///
/// # Errors
///
/// The answer to a request that is refused.
pub async fn put<'a>(core: &'a Core, request: &Request<'_>) -> Result<Put<'a>, Response> {
    let name = name_in(request.path).ok_or_else(not_found)?;
    // before the row is read: whoever comes second must see what the first has made of it
    let claim = core.uploads.claim(name).ok_or_else(|| Response::text(409, "This file is being uploaded."))?;
    let (value, row) = read(core, name).await.map_err(|_| unavailable())?.ok_or_else(not_found)?;
    if row.complete {
        return Err(Response::text(409, "This file is here already."));
    }
    let Some(length) = request.header("content-length") else {
        return Err(Response::text(411, "The length of the file is missing."));
    };
    if length.parse() != Ok(row.size_bytes) {
        return Err(Response::text(400, "The file has another length than was asked for."));
    }
    // XEP-0363 §7; a client that says nothing at all means bytes
    let sent = request.header("content-type").unwrap_or("application/octet-stream");
    if row.content_type.as_deref().is_some_and(|asked| !is_same_type(asked, sent)) {
        return Err(Response::text(415, "The file has another media type than was asked for."));
    }
    // days are forgotten when messages are too old; a file that is kept longer belongs to a later day
    let ahead = core.config.upload.lifetime.saturating_sub(core.config.limits.offline_age);
    let day = Day::of_millis((core.date() + ahead).as_millis());
    Ok(Put { core, _claim: claim, value, row, day, pending: Vec::new(), chunks: 0, received: 0 })
}

impl Put<'_> {
    /// Takes the next piece, of any size.
    ///
    /// # Errors
    ///
    /// The answer to a request that is refused; nothing more is taken then.
    pub async fn handle_bytes(&mut self, mut bytes: &[u8]) -> Result<(), Response> {
        self.received = self.received.saturating_add(bytes.len() as u64);
        if self.received > self.row.size_bytes {
            return Err(Response::text(413, "The file is longer than was asked for."));
        }
        while !bytes.is_empty() {
            let room = CHUNK_BYTES.saturating_sub(self.pending.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() >= CHUNK_BYTES {
                self.write_chunk().await.map_err(|_| unavailable())?;
            }
        }
        Ok(())
    }

    async fn write_chunk(&mut self) -> Result<(), StoreError> {
        let mut transaction = self.core.store.transaction();
        let chunk = std::mem::take(&mut self.pending);
        transaction.put_expiring(UPLOAD_CHUNKS, self.row.name.as_bytes(), self.chunks, self.day, chunk);
        transaction.commit().await?;
        self.chunks += 1;
        Ok(())
    }

    /// Ends the file. It can be fetched from now on.
    ///
    /// # Errors
    ///
    /// The answer to a request that is refused: the file is too short, or the disk does not obey.
    pub async fn finish(mut self) -> Result<Response, Response> {
        if self.received != self.row.size_bytes {
            return Err(Response::text(400, "The file is shorter than was asked for."));
        }
        if !self.pending.is_empty() {
            self.write_chunk().await.map_err(|_| unavailable())?;
        }
        let key = UPLOADS.row(UPLOADS_OWNER, self.row.name.as_bytes());
        let expires_at = (self.core.date() + self.core.config.upload.lifetime).as_millis();
        // what kind of file it was is nobody's business any more
        let row = UploadRow { complete: true, expires_at, content_type: None, ..self.row.clone() };
        let mut transaction = self.core.store.transaction();
        transaction.expect(&key, Some(&self.value));
        transaction.put(&key, row.encode_to_vec());
        transaction.commit().await.map_err(|_| unavailable())?;
        Ok(Response::text(201, "The file is here."))
    }
}

/// Compares media types without their parameters (RFC 9110 §8.3.1).
fn is_same_type(one: &str, other: &str) -> bool {
    let essence = |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence(one) == essence(other)
}

pub(super) fn not_found() -> Response {
    Response::text(404, "There is no such file.")
}

pub(super) fn unavailable() -> Response {
    Response::text(503, "The server cannot do this now.")
}
