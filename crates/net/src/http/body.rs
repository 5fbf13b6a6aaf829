//! The body of an upload, produced piece by piece.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

type Produce = Box<dyn FnMut() -> io::Result<Option<Bytes>> + Send>;

/// What a PUT sends: a known number of bytes, asked for when the connection can take more.
pub struct Upload {
    remaining: u64,
    produce: Produce,
    broken: bool,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}

impl Upload {
    /// Sends `size_bytes` bytes, from pieces that `produce` returns until it returns `None`. The pieces must add up.
    pub fn new(size_bytes: u64, produce: impl FnMut() -> io::Result<Option<Bytes>> + Send + 'static) -> Self {
        Self { remaining: size_bytes, produce: Box::new(produce), broken: false }
    }

    /// Sends bytes that are in memory.
    pub fn from_bytes(bytes: Bytes) -> Self {
        let size_bytes = bytes.len() as u64;
        let mut once = Some(bytes);
        Self::new(size_bytes, move || Ok(once.take()))
    }

    /// No body.
    pub(super) fn empty() -> Self {
        Self::new(0, || Ok(None))
    }

    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let piece = (self.produce)()?;
        let length = piece.as_ref().map_or(0, Bytes::len) as u64;
        match (piece, self.remaining.checked_sub(length)) {
            (Some(piece), Some(remaining)) => {
                self.remaining = remaining;
                Ok(Some(piece))
            }
            (None, _) if self.remaining == 0 => Ok(None),
            // The file has changed while it was sent. The receiver must not take it for complete.
            (None, _) => Err(io::ErrorKind::UnexpectedEof.into()),
            (Some(_), None) => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.broken || (self.remaining == 0 && self.is_end_stream()) {
            return Poll::Ready(None);
        }
        let next = self.next();
        self.broken = next.is_err();
        Poll::Ready(next.map(|piece| piece.map(Frame::data)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_must_add_up() {
        let pieces = |count: usize| {
            let mut left = count;
            move || {
                let piece = (left > 0).then(|| Bytes::from_static(b"abc"));
                left = left.saturating_sub(1);
                Ok(piece)
            }
        };
        let mut exact = Upload::new(6, pieces(2));
        assert!(matches!((exact.next(), exact.next(), exact.next()), (Ok(Some(_)), Ok(Some(_)), Ok(None))));
        let mut short = Upload::new(6, pieces(1));
        assert!(short.next().is_ok() && short.next().is_err());
        let mut long = Upload::new(2, pieces(1));
        assert!(long.next().is_err());
    }
}
