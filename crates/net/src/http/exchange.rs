//! One request and its answer on one connection.

use std::io;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_RANGE, HOST, LOCATION, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use super::{HttpError, HttpsUrl, Upload};
use crate::connection::Connection;

/// Header bytes of an answer that are accepted.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// An answer whose body is still to be read. The connection ends with it.
pub(super) struct Answer {
    response: Response<Incoming>,
    driver: JoinHandle<()>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.driver.abort(); // one exchange per connection: nothing else waits for it
    }
}

/// Sends a request and waits for the head of the answer, at most `silence`.
pub(super) async fn exchange(
    connection: Connection,
    method: Method,
    url: &HttpsUrl,
    headers: &[(String, String)],
    upload: Upload,
    silence: Duration,
) -> Result<Answer, HttpError> {
    let mut request = Request::builder()
        .method(method)
        .uri(url.path_and_query())
        .header(HOST, url.authority())
        .header(USER_AGENT, "Waxwing");
    for (name, value) in headers {
        request = request.header(name.as_str(), value.as_str());
    }
    let request = request.body(upload).map_err(|_| HttpError::BadUrl)?;
    let (mut sender, driver) = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .handshake(TokioIo::new(connection))
        .await
        .map_err(|_| HttpError::Broken)?;
    let driver = tokio::spawn(async move {
        let _ = driver.await; // its errors arrive at the sender and at the body as well
    });
    let answered = tokio::time::timeout(silence, sender.send_request(request)).await;
    match answered {
        Ok(Ok(response)) => Ok(Answer { response, driver }),
        Ok(Err(error)) => {
            driver.abort();
            Err(local_cause(&error).map_or(HttpError::Broken, HttpError::Read))
        }
        Err(_) => {
            driver.abort();
            Err(HttpError::TimedOut)
        }
    }
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The target of a redirect, if this is one.
    pub(super) fn redirect(&self) -> Option<&str> {
        match self.status().as_u16() {
            301 | 302 | 303 | 307 | 308 => self.response.headers().get(LOCATION)?.to_str().ok(),
            _ => None,
        }
    }

    /// Says whether a partial answer begins where it was asked to.
    pub(super) fn starts_at(&self, offset: u64) -> bool {
        let range = self.response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        range.is_some_and(|range| range.starts_with(&format!("bytes {offset}-")))
    }

    /// Refuses an answer that announces more than agreed, before a byte of it is read.
    pub(super) fn refuse_larger_than(&self, max_bytes: u64) -> Result<(), HttpError> {
        match self.response.body().size_hint().exact() {
            Some(announced) if announced > max_bytes => Err(HttpError::TooLarge),
            _ => Ok(()),
        }
    }

    /// Reads the body to its end and returns its length.
    pub(super) async fn drain(
        &mut self,
        max_bytes: u64,
        silence: Duration,
        write: &mut (dyn FnMut(&[u8]) -> io::Result<()> + Send),
    ) -> Result<u64, HttpError> {
        let body = self.response.body_mut();
        let mut received = 0u64;
        loop {
            let frame = match tokio::time::timeout(silence, body.frame()).await {
                Err(_) => return Err(HttpError::TimedOut),
                Ok(None) => return Ok(received),
                Ok(Some(Err(_))) => return Err(HttpError::Truncated),
                Ok(Some(Ok(frame))) => frame,
            };
            let Some(piece) = frame.data_ref() else { continue };
            received = received.saturating_add(piece.len() as u64);
            if received > max_bytes {
                return Err(HttpError::TooLarge);
            }
            write(piece).map_err(|error| HttpError::Write(error.kind()))?;
        }
    }
}

/// The error of the upload's producer, when that is what broke the exchange.
fn local_cause(error: &hyper::Error) -> Option<io::ErrorKind> {
    if !error.is_user() {
        return None;
    }
    let source = std::error::Error::source(error)?;
    source.downcast_ref::<io::Error>().map(io::Error::kind)
}
