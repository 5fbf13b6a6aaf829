//! Giving a file out, piece by piece.

use store::StoreError;

use super::put::{not_found, unavailable};
use super::range::{self, Wanted};
use super::{CHUNK_BYTES, name_in, read};
use crate::Core;
use crate::http::{Request, Response};
use crate::tables::UPLOAD_CHUNKS;

/// A file on its way out.
pub struct Download<'a> {
    core: &'a Core,
    name: String,
    next: u64,
    end: u64,
}

impl std::fmt::Debug for Download<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Download({} bytes left)", self.end.saturating_sub(self.next))
    }
}

/// Answers `GET` and `HEAD`. The head comes at once, the content from the download, if there is one.
pub async fn get<'a>(core: &'a Core, request: &Request<'_>) -> (Response, Option<Download<'a>>) {
    let row = match name_in(request.path) {
        Some(name) => read(core, name).await,
        None => return (not_found(), None),
    };
    let row = match row {
        Ok(Some((_, row))) if row.complete => row,
        Ok(_) => return (not_found(), None),
        Err(_) => return (unavailable(), None),
    };
    let size = row.size_bytes;
    let (status, first, end) = match range::parse(request.header("range"), size) {
        Wanted::All => (200, 0, size),
        Wanted::Part(first, end) => (206, first, end),
        Wanted::Nothing => {
            return (Response::text(416, "Beyond the end.").with("content-range", format!("bytes */{size}")), None);
        }
    };
    let mut head = Response::new(status)
        .with("content-type", "application/octet-stream")
        .with("content-disposition", "attachment")
        .with("content-security-policy", "default-src 'none'; sandbox")
        .with("cache-control", "private, no-transform, max-age=86400")
        .with("accept-ranges", "bytes")
        // Dino reads until the connection ends: it would wait for the end of the keep-alive after each file.
        .with("connection", "close")
        .with("content-length", (end - first).to_string());
    if status == 206 {
        head = head.with("content-range", format!("bytes {first}-{}/{size}", end - 1));
    }
    let download = Download { core, name: row.name, next: first, end };
    (head, (!request.is_head()).then_some(download))
}

impl Download<'_> {
    /// Returns the next piece; `None` at the end.
    ///
    /// # Errors
    ///
    /// The file is no longer there, or the disk does not obey. The connection is then cut, so that nobody takes half a
    /// file for a whole one.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        if self.next >= self.end {
            return Ok(None);
        }
        let size = CHUNK_BYTES as u64;
        let key = UPLOAD_CHUNKS.seq(self.name.as_bytes(), self.next / size);
        let chunk = self.core.store.get(&key).await?.ok_or(StoreError::Altered)?;
        let skip = usize::try_from(self.next % size).unwrap_or(usize::MAX);
        let left = usize::try_from(self.end - self.next).unwrap_or(usize::MAX);
        let piece: Vec<u8> = chunk.as_slice().iter().skip(skip).take(left).copied().collect();
        if piece.is_empty() {
            return Err(StoreError::Altered);
        }
        self.next += piece.len() as u64;
        Ok(Some(piece))
    }
}
