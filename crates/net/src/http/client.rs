//! The HTTPS client and the rules for links that others have made (security-design §5.3, attack row F04).

use std::fmt;
use std::io;
use std::time::Duration;

use hyper::{Method, StatusCode};

use super::exchange::exchange;
use super::{HttpsUrl, Upload};
use crate::Service;
use crate::certificate::Pin;
use crate::connection::Connection;
use crate::dial::{AddressRule, Dialler, HostPort, OpenError};
use crate::tls::{ClientTls, TlsError};
use crate::verify::Trust;

/// How many redirects are followed. They stay on the host, so more than a few are a loop.
const REDIRECTS: usize = 3;

/// The headers that an upload slot may prescribe.
const SLOT_HEADERS: [&str; 3] = ["authorization", "cookie", "expires"];

/// Why a transfer failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpError {
    /// The link is no URL that can be asked for.
    BadUrl,
    /// The link is not `https`: it is never followed.
    NotHttps,
    /// The server sends us to another host.
    RedirectElsewhere,
    /// The server sends us around in circles.
    TooManyRedirects,
    /// The answer is larger than agreed.
    TooLarge,
    /// The server could not be reached.
    Open(OpenError),
    /// The connection could not be secured.
    Tls(TlsError),
    /// The server answered with this status instead of what was asked for.
    Status(u16),
    /// The server did not answer, or stopped sending, for too long.
    TimedOut,
    /// The connection broke or the answer is not HTTP.
    Broken,
    /// The answer has ended before it was complete.
    Truncated,
    /// Writing what was received failed on this machine.
    Write(io::ErrorKind),
    /// Reading what was to be sent failed on this machine, or its size has changed.
    Read(io::ErrorKind),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadUrl => f.write_str("the link is not a web address"),
            Self::NotHttps => f.write_str("the link is not secure (https), so it is not followed"),
            Self::RedirectElsewhere => f.write_str("the server points to another server, which is not followed"),
            Self::TooManyRedirects => f.write_str("the server points in circles"),
            Self::TooLarge => f.write_str("the file is larger than announced or allowed"),
            Self::Open(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Status(404 | 410) => f.write_str("the file is no longer there: ask for it again"),
            Self::Status(status) => write!(f, "the server answered with status {status}"),
            Self::TimedOut => f.write_str("the server was silent for too long: try again"),
            Self::Broken => f.write_str("the connection broke: try again"),
            Self::Truncated => f.write_str("the file ended too early: try again"),
            Self::Write(kind) => write!(f, "the file cannot be written here: {kind}"),
            Self::Read(kind) => write!(f, "the file cannot be read here: {kind}"),
        }
    }
}

impl std::error::Error for HttpError {}

/// Why we may connect to the host of a link, and whom we believe there.
#[derive(Debug, Clone)]
pub enum Access {
    /// A stranger's link: public addresses only, public authorities only.
    Public,
    /// The own broker: any address, believed as in the account's settings.
    OwnBroker(Trust),
    /// The offer carried a pin that is also known for the sender's broker: any address, that key only.
    Pinned(Pin),
}

/// A URL and how to get to it.
#[derive(Debug, Clone)]
pub struct Place {
    url: HttpsUrl,
    access: Access,
    at: Vec<HostPort>,
}

impl Place {
    /// Names a URL and why it may be used.
    pub fn new(url: HttpsUrl, access: Access) -> Self {
        Self { url, access, at: Vec::new() }
    }

    /// Connects to these hosts instead of the one in the URL, for brokers without DNS (`wx-at`).
    ///
    /// The hosts do not widen what may be connected to: for [`Access::Public`] they must be public as well.
    #[must_use]
    pub fn at(mut self, hosts: impl IntoIterator<Item = HostPort>) -> Self {
        self.at.extend(hosts);
        self
    }
}

/// What to fetch.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// From where.
    pub place: Place,
    /// The offset to start at; not 0 asks for a part (`Range`).
    pub offset: u64,
    /// The most bytes to accept in this answer.
    pub max_bytes: u64,
}

/// A finished download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// How many bytes were written.
    pub bytes: u64,
    /// Where the first of them belongs: the offset asked for, or 0 when the server sent everything.
    pub offset: u64,
}

/// An HTTPS client over our TLS and the single way out.
#[derive(Debug, Clone)]
pub struct HttpClient {
    dialler: Dialler,
    public: Trust,
    idle: Duration,
    total: Duration,
}

impl HttpClient {
    /// Believes the public authorities; 30 s of silence and one hour in all end a transfer.
    pub fn new(dialler: Dialler) -> Self {
        Self { dialler, public: Trust::public(), idle: Duration::from_secs(30), total: Duration::from_secs(3600) }
    }

    /// Believes other authorities for strangers' links, such as an organisation's own.
    #[must_use]
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.public = trust;
        self
    }

    /// Sets the longest silence and the longest transfer.
    #[must_use]
    pub fn with_timeouts(mut self, idle: Duration, total: Duration) -> Self {
        self.idle = idle;
        self.total = total;
        self
    }

    /// Downloads, handing each piece to `write` as it arrives.
    ///
    /// When the server ignores the offset, [`Received::offset`] is 0 and `write` was given the file from its start:
    /// `start` is called once with the true offset before the first piece, so that the writer can seek.
    ///
    /// # Errors
    ///
    /// [`HttpError`]. What was written until then is incomplete.
    pub async fn get(
        &self,
        fetch: &Fetch,
        start: &mut (dyn FnMut(u64) -> io::Result<()> + Send),
        write: &mut (dyn FnMut(&[u8]) -> io::Result<()> + Send),
    ) -> Result<Received, HttpError> {
        let transfer = async {
            let mut url = fetch.place.url.clone();
            for _ in 0..=REDIRECTS {
                let connection = self.connect(&fetch.place).await?;
                let mut headers = Vec::new();
                if fetch.offset > 0 {
                    headers.push(("range".to_owned(), format!("bytes={}-", fetch.offset)));
                }
                let mut answer = exchange(connection, Method::GET, &url, &headers, Upload::empty(), self.idle).await?;
                if let Some(location) = answer.redirect() {
                    url = url.redirected(location)?;
                    continue;
                }
                let offset = match answer.status() {
                    StatusCode::OK => 0,
                    StatusCode::PARTIAL_CONTENT if answer.starts_at(fetch.offset) => fetch.offset,
                    other => return Err(HttpError::Status(other.as_u16())),
                };
                answer.refuse_larger_than(fetch.max_bytes)?;
                start(offset).map_err(|error| HttpError::Write(error.kind()))?;
                let bytes = answer.drain(fetch.max_bytes, self.idle, write).await?;
                return Ok(Received { bytes, offset });
            }
            Err(HttpError::TooManyRedirects)
        };
        tokio::time::timeout(self.total, transfer).await.unwrap_or(Err(HttpError::TimedOut))
    }

    /// Uploads with the headers that the slot prescribes. Redirects are not followed.
    ///
    /// Of the headers only `Authorization`, `Cookie` and `Expires` are sent: others could change what the request
    /// means (XEP-0363 §4).
    ///
    /// # Errors
    ///
    /// [`HttpError`]; the server may or may not have the file.
    pub async fn put(&self, place: &Place, headers: &[(String, String)], upload: Upload) -> Result<(), HttpError> {
        let transfer = async {
            let connection = self.connect(place).await?;
            let allowed = |name: &str| SLOT_HEADERS.iter().any(|slot| name.eq_ignore_ascii_case(slot));
            let one_line = |value: &str| value.replace(['\r', '\n'], "");
            let headers: Vec<_> = headers
                .iter()
                .filter(|(name, _)| allowed(name))
                .map(|(name, value)| (name.clone(), one_line(value)))
                .collect();
            let answer = exchange(connection, Method::PUT, &place.url, &headers, upload, self.total).await?;
            match answer.status() {
                status if status.is_success() => Ok(()),
                other => Err(HttpError::Status(other.as_u16())),
            }
        };
        tokio::time::timeout(self.total, transfer).await.unwrap_or(Err(HttpError::TimedOut))
    }

    async fn connect(&self, place: &Place) -> Result<Connection, HttpError> {
        let (rule, trust) = match &place.access {
            Access::Public => (AddressRule::PublicOnly, self.public.clone()),
            Access::OwnBroker(trust) => (AddressRule::Any, trust.clone()),
            Access::Pinned(pin) => (AddressRule::Any, Trust::pins([*pin])),
        };
        let tls = ClientTls::new(Service::Https, trust).with_timeout(self.idle);
        let own = [place.url.place().clone()];
        let hosts = if place.at.is_empty() { own.as_slice() } else { place.at.as_slice() };
        let mut first_error = None;
        for host in hosts {
            let secured = match self.dialler.open(host, rule.clone(), Some(place.url.host())).await {
                Ok(stream) => {
                    Connection::from(stream).direct_tls(&tls, place.url.host(), None).await.map_err(HttpError::Tls)
                }
                Err(error) => Err(HttpError::Open(error)),
            };
            match secured {
                Ok((connection, _)) => return Ok(connection),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or(HttpError::BadUrl))
    }
}
