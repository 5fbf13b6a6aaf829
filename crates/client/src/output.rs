//! What an engine wants done in the world: connect, write, speak HTTPS, save a file. It does none of it by itself.

use std::fmt;

use bytes::Bytes;

use crate::event::MessageId;

/// One thing for the program around the engine to do, in the order in which they are polled.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Open a connection, then call `handle_connected`, or `handle_connect_failed`.
    Connect(ConnectPlan),
    /// Write these bytes to the connection.
    Bytes(Bytes),
    /// Start TLS on the connection under the plan it was opened with, then call `handle_tls`.
    StartTls,
    /// Write what is left, then close the connection; no call is expected back, later ones for it are ignored.
    Disconnect,
    /// Make an HTTPS request, then call `handle_http` with the same id.
    Http(HttpRequest),
    /// Save a file that arrived, then call `handle_saved` with the same id: it is complete only then. Its name is safe to use as the last part of a
    /// path.
    SaveFile(SaveFile),
    /// Write the next generation to the key file, then to the store (security-design §3.5). Once after every start, and
    /// in time before each 256th sending step.
    AdvanceGeneration,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(plan) => plan.fmt(f),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::StartTls => f.write_str("StartTls"),
            Self::Disconnect => f.write_str("Disconnect"),
            Self::Http(request) => request.fmt(f),
            Self::SaveFile(file) => file.fmt(f),
            Self::AdvanceGeneration => f.write_str("AdvanceGeneration"),
        }
    }
}

/// Where and how to connect.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectPlan {
    /// The server's name: what its certificate must say, and where SRV records are looked for.
    pub domain: String,
    /// Addresses to try in this order instead of looking any up; empty for a server that DNS knows.
    pub addresses: Vec<Endpoint>,
    /// How to know the server.
    pub identity: ServerIdentity,
}

impl fmt::Debug for ConnectPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectPlan({} addresses, {:?})", self.addresses.len(), self.identity)
    }
}

/// A host and a port, as a link or the user named them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// A name, or an IP address without brackets.
    pub host: String,
    /// The port; 0 for the default of the service.
    pub port: u16,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// How the other end of a TLS connection proves that it is the right server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerIdentity {
    /// A certificate that the machine's trust roots vouch for.
    PublicCertificate,
    /// The SHA-256 of its public key (SPKI), known from a link; the certificate's issuer and names do not matter then.
    Pin([u8; 32]),
}

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpMethod {
    /// Download.
    Get,
    /// Upload.
    Put,
}

/// Matches an answer to its [`HttpRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HttpId(pub u64);

/// A request over HTTPS. Never follow a redirect to another host.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Comes back in `handle_http`.
    pub id: HttpId,
    /// Download or upload.
    pub method: HttpMethod,
    /// Always `https:`.
    pub url: String,
    /// Header lines to send besides those that HTTP itself needs.
    pub headers: Vec<(String, String)>,
    /// What is uploaded; empty for a download. Always ciphertext.
    pub body: Bytes,
    /// How the host proves itself.
    pub identity: ServerIdentity,
    /// Where to connect instead of looking the host up; empty to look it up.
    pub addresses: Vec<Endpoint>,
    /// Whether addresses of private networks and of this machine are allowed: only for the own broker and for pinned
    /// hosts (F04).
    pub private_addresses: PrivateAddresses,
    /// Give up when the answer is longer than this.
    pub response_bytes_max: u64,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpRequest({:?}, {:?}, {} bytes)", self.id, self.method, self.body.len())
    }
}

/// Whether a connection into private address ranges is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivateAddresses {
    /// The host is known: go wherever its name leads.
    Allow,
    /// The address came from somebody else: refuse loopback, private and link-local addresses.
    Refuse,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpOutcome {
    /// The server answered.
    Response {
        /// The status code.
        status: u16,
        /// The body, at most `response_bytes_max` long.
        body: Bytes,
    },
    /// There was no answer.
    Failed(HttpFailure),
}

/// Why a request got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpFailure {
    /// No connection, or it broke.
    Network,
    /// The host did not prove to be the right one.
    NotTrusted,
    /// The address lies in a private range and may not be used.
    PrivateAddress,
    /// It led to another host or away from HTTPS.
    Redirected,
    /// Longer than allowed.
    TooLarge,
}

/// Matches what became of a file to its [`SaveFile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SaveId(pub u64);

/// A received file, decrypted and checked.
#[derive(Clone, PartialEq, Eq)]
pub struct SaveFile {
    /// Comes back in `handle_saved`.
    pub id: SaveId,
    /// The message that offered it.
    pub message: MessageId,
    /// A safe file name; a program adds a suffix where the name is taken.
    pub name: String,
    /// The content.
    pub bytes: Bytes,
}

impl fmt::Debug for SaveFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SaveFile({} bytes)", self.bytes.len())
    }
}

/// Why a connection could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// Nobody answered at any address, or this machine is offline.
    Unreachable,
    /// The server's name is unknown.
    NoSuchServer,
    /// The server did not prove to be the right one.
    NotTrusted,
    /// It speaks no TLS that we accept.
    Tls,
}
