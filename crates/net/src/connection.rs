//! One connection, before and after TLS.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

use crate::tls::{ClientTls, ServerTls, TlsError};
use xmpp::stream::TlsFacts;

/// How much one read takes at most: a full TLS record.
const CHUNK_BYTES: usize = 16 * 1024;

const CLOSE_TIME: Duration = Duration::from_secs(5);

/// A TCP connection that may have TLS on it.
///
/// It owns no read buffer: [`Connection::read_chunk`] uses the stack while bytes are there, so that an idle session
/// costs only what TLS itself remembers.
pub struct Connection {
    inner: Inner,
}

enum Inner {
    Plain(TcpStream),
    Initiator(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    Responder(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_secure() { "Connection(TLS)" } else { "Connection(plain)" })
    }
}

impl From<TcpStream> for Connection {
    fn from(stream: TcpStream) -> Self {
        // Stanzas are small and people wait for them. A failure only costs latency.
        let _ = stream.set_nodelay(true);
        Self { inner: Inner::Plain(stream) }
    }
}

impl Connection {
    /// Says whether TLS is up.
    pub fn is_secure(&self) -> bool {
        !matches!(self.inner, Inner::Plain(_))
    }

    /// Says whether the peer has said by ALPN that it is a server, on a port that serves both.
    pub fn is_for_servers(&self) -> bool {
        let Inner::Responder(tls) = &self.inner else { return false };
        tls.get_ref().1.alpn_protocol() == Some(crate::tls::SERVERS_ALPN)
    }

    /// Returns the peer's address, for rate limits. It must never be logged or kept.
    pub fn peer_address(&self) -> Option<IpAddr> {
        let tcp = match &self.inner {
            Inner::Plain(tcp) => tcp,
            Inner::Initiator(tls) => tls.get_ref().0,
            Inner::Responder(tls) => tls.get_ref().0,
        };
        tcp.peer_addr().ok().map(|address| address.ip())
    }

    /// Secures the connection as initiating side, at once (direct TLS, ALPN offered).
    ///
    /// # Errors
    ///
    /// [`TlsError`]; the connection is closed.
    pub async fn direct_tls(
        self,
        tls: &ClientTls,
        domain: &str,
        local_domain: Option<&str>,
    ) -> Result<(Self, TlsFacts), TlsError> {
        self.initiate(tls, domain, local_domain, true).await
    }

    /// Secures the connection as initiating side after `<proceed/>`.
    ///
    /// `unread_bytes` is what the stream parser still holds from before: it must be 0, because bytes from before TLS
    /// could have been put there by anybody (RFC 6120 §5.4.3.3).
    ///
    /// # Errors
    ///
    /// [`TlsError`]; the connection is closed.
    pub async fn start_tls(
        self,
        tls: &ClientTls,
        domain: &str,
        local_domain: Option<&str>,
        unread_bytes: usize,
    ) -> Result<(Self, TlsFacts), TlsError> {
        if unread_bytes != 0 {
            return Err(TlsError::PlaintextBeforeTls);
        }
        self.initiate(tls, domain, local_domain, false).await
    }

    async fn initiate(
        self,
        tls: &ClientTls,
        domain: &str,
        local_domain: Option<&str>,
        alpn: bool,
    ) -> Result<(Self, TlsFacts), TlsError> {
        let Inner::Plain(tcp) = self.inner else { return Err(TlsError::AlreadySecure) };
        let (stream, facts) = tls.handshake(tcp, domain, local_domain, alpn).await?;
        Ok((Self { inner: Inner::Initiator(Box::new(stream)) }, facts))
    }

    /// Secures the connection as receiving side: at once on a direct TLS port, or after `<proceed/>` was sent.
    ///
    /// `unread_bytes` as in [`Connection::start_tls`].
    ///
    /// # Errors
    ///
    /// [`TlsError`]; the connection is closed.
    pub async fn accept_tls(self, tls: &ServerTls, unread_bytes: usize) -> Result<(Self, TlsFacts), TlsError> {
        if unread_bytes != 0 {
            return Err(TlsError::PlaintextBeforeTls);
        }
        let Inner::Plain(tcp) = self.inner else { return Err(TlsError::AlreadySecure) };
        let (stream, facts) = tls.handshake(tcp).await?;
        Ok((Self { inner: Inner::Responder(Box::new(stream)) }, facts))
    }

    /// Reads what is there, at most 16 KiB; `None` when the peer has closed in order. Safe to drop in `select!`.
    ///
    /// # Errors
    ///
    /// The connection is broken. Under TLS an end without `close_notify` is `UnexpectedEof`.
    pub async fn read_chunk(&mut self) -> io::Result<Option<Bytes>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        // On the stack only while this poll runs, not in the future: sleeping sessions have none.
        let mut space = [const { MaybeUninit::<u8>::uninit() }; CHUNK_BYTES];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(self).poll_read(cx, &mut buffer))?;
        let filled = buffer.filled();
        Poll::Ready(Ok((!filled.is_empty()).then(|| Bytes::copy_from_slice(filled))))
    }

    /// Writes all bytes and hands them to the operating system.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes).await?;
        self.flush().await
    }

    /// Ends our direction in order (`close_notify` under TLS). Errors do not matter any more, and a peer that reads
    /// nothing is left after 5 s.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(CLOSE_TIME, self.shutdown()).await;
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Inner::Initiator(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
            Inner::Responder(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().inner {
            Inner::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Inner::Initiator(tls) => Pin::new(tls.as_mut()).poll_write(cx, buf),
            Inner::Responder(tls) => Pin::new(tls.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Inner::Initiator(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
            Inner::Responder(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Inner::Initiator(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
            Inner::Responder(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}
