//! Listening, and letting in no more unknown people at once than we can bear.
//!
//! Knows: ports and how many connections of one network have not signed in yet. Lacks: what is spoken on them.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::connection::Connection;
use crate::dial::IpNetwork;
use crate::proxy_header::{self, Origin};

/// How long a connection may take to sign in (security-design §6).
pub const PRE_AUTH_TIME: Duration = Duration::from_secs(30);

/// How many connections may be signing in at once where nobody can say where they come from: behind an onion service.
pub const PRE_AUTH_HIDDEN: u32 = 64;

/// How many connections of one /24 or /48 may be signing in at once (security-design §6).
pub const PRE_AUTH_PER_NETWORK: u32 = 8;

/// Why a port could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindError {
    /// Another program has the port.
    PortTaken {
        /// Which one.
        port: u16,
    },
    /// The operating system does not let this user have the port.
    NotPermitted {
        /// Which one.
        port: u16,
    },
    /// The address is not one of this machine.
    NotOurAddress,
    /// The operating system refuses for another reason.
    Failed {
        /// Which one.
        port: u16,
    },
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortTaken { port } => write!(
                f,
                "port {port} is taken by another program: stop that one, or choose other ports with --port-base"
            ),
            Self::NotPermitted { port } => write!(
                f,
                "this user may not open port {port}: choose one above 1023 with --port-base, or give the program the right"
            ),
            Self::NotOurAddress => f.write_str("the address to listen on is not one of this machine: check --listen"),
            Self::Failed { port } => write!(f, "port {port} cannot be opened on this machine"),
        }
    }
}

impl std::error::Error for BindError {}

/// Counts connections that have not signed in yet, by network. One for each kind of peers, shared between the listeners for
/// that kind: other servers must not be able to keep clients out.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<GateInner>,
}

struct GateInner {
    per_network: Option<u32>,
    /// All are from one place, as far as can be known.
    is_hidden: bool,
    waiting: Mutex<HashMap<Network, u32>>,
}

/// Where a connection comes from: a /24, a /48, or a listener that does not know. It is no address, and still no text of
/// it may be logged or kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// The first bytes of an IPv4 address.
    V4([u8; 3]),
    /// The first groups of an IPv6 address.
    V6([u16; 3]),
    /// Behind an onion service.
    Hidden,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network(<redacted>)")
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("per_network", &self.inner.per_network).finish_non_exhaustive()
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(Some(PRE_AUTH_PER_NETWORK))
    }
}

impl Gate {
    /// Lets in this many connections of one network at once; `None` counts nothing.
    pub fn new(per_network: Option<u32>) -> Self {
        Self { inner: Arc::new(GateInner { per_network, is_hidden: false, waiting: Mutex::default() }) }
    }

    /// For a listener behind an onion service or another thing that hides where people come from: this many connections
    /// at once, wherever they come from; `None` counts nothing.
    pub fn hidden(at_once: Option<u32>) -> Self {
        Self { inner: Arc::new(GateInner { per_network: at_once, is_hidden: true, waiting: Mutex::default() }) }
    }

    /// Lets one more connection in, or refuses.
    pub fn enter(&self, address: IpAddr) -> Option<Admission> {
        self.enter_since(address, Instant::now())
    }

    fn enter_since(&self, address: IpAddr, since: Instant) -> Option<Admission> {
        let network = if self.inner.is_hidden { Network::Hidden } else { Network::of(address) };
        let Some(limit) = self.inner.per_network else {
            return Some(Admission { gate: None, network, since });
        };
        let mut waiting = self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.entry(network).or_insert(0);
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Admission { gate: Some(Arc::clone(&self.inner)), network, since })
    }
}

impl Network {
    /// Returns a name for it, the same for all who come from there. For the tables of budgets in memory only.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::V4([a, b, c]) => format!("{a}.{b}.{c}"),
            Self::V6([a, b, c]) => format!("{a:x}:{b:x}:{c:x}"),
            Self::Hidden => "hidden".to_owned(),
        }
    }

    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                Self::V6([a, b, c])
            }
        }
    }
}

/// A place among those who have not signed in yet. Drop it at sign-in, or with the connection.
pub struct Admission {
    gate: Option<Arc<GateInner>>,
    network: Network,
    since: Instant,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admission")
    }
}

impl Admission {
    /// Returns when the connection was made. Whoever still holds this some time later ([`PRE_AUTH_TIME`], or what the
    /// operator says) has to be closed, whatever arrived meanwhile.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Returns where the connection comes from.
    pub fn network(&self) -> Network {
        self.network
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let Some(gate) = self.gate.take() else { return };
        let mut waiting = gate.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&self.network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                waiting.remove(&self.network); // the table holds no address of people who are not there
            }
        }
    }
}

/// An open port.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    gate: Gate,
    proxies: Arc<[IpNetwork]>,
}

/// A connection that somebody has opened. Where it comes from may still have to be read from it.
#[derive(Debug)]
pub struct Arrival {
    stream: TcpStream,
    since: Instant,
    entrance: Entrance,
}

#[derive(Debug)]
enum Entrance {
    /// The gate has let it in.
    Open(Admission),
    /// From a proxy, which says for whom.
    Proxied(Gate, IpAddr),
}

impl Arrival {
    /// Lets it in, or closes it: after the proxy has said whom it connects for, where it comes from one. `patience` is how
    /// long a proxy may take.
    pub async fn admit(self, patience: Duration) -> Option<(Connection, Admission)> {
        let Self { mut stream, since, entrance } = self;
        let admission = match entrance {
            Entrance::Open(admission) => admission,
            Entrance::Proxied(gate, proxy) => {
                let reading = proxy_header::read(&mut stream);
                let origin = tokio::time::timeout_at(since + patience, reading).await.ok()?.ok()?;
                let address = match origin {
                    Origin::Address(address) => address,
                    Origin::Proxy => proxy,
                };
                gate.enter_since(address, since)?
            }
        };
        Some((Connection::from(stream), admission))
    }
}

impl Listener {
    /// Opens a port; port 0 lets the operating system choose.
    ///
    /// # Errors
    ///
    /// [`BindError`] says what to do.
    pub async fn bind(address: SocketAddr, gate: Gate) -> Result<Self, BindError> {
        let port = address.port();
        let inner = TcpListener::bind(address).await.map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => BindError::PortTaken { port },
            io::ErrorKind::PermissionDenied => BindError::NotPermitted { port },
            io::ErrorKind::AddrNotAvailable => BindError::NotOurAddress,
            _ => BindError::Failed { port },
        })?;
        Ok(Self { inner, gate, proxies: Arc::default() })
    }

    /// Expects a PROXY header (version 2) on every connection from these addresses, and on no other.
    #[must_use]
    pub fn with_proxies(mut self, proxies: Arc<[IpNetwork]>) -> Self {
        self.proxies = proxies;
        self
    }

    /// Returns the address that is listened on, with the port that was chosen.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.inner.local_addr().ok()
    }

    /// Waits for the next connection that the gate lets in, or that comes from a proxy; others are closed at once. Safe to
    /// drop in `select!`.
    pub async fn accept(&self) -> Arrival {
        loop {
            match self.inner.accept().await {
                Ok((stream, peer)) => {
                    let since = Instant::now();
                    if self.proxies.iter().any(|network| network.contains(peer.ip())) {
                        let entrance = Entrance::Proxied(self.gate.clone(), peer.ip());
                        return Arrival { stream, since, entrance };
                    }
                    if let Some(admission) = self.gate.enter_since(peer.ip(), since) {
                        return Arrival { stream, since, entrance: Entrance::Open(admission) };
                    }
                }
                // Out of file descriptors, mostly: give those who leave some time instead of spinning.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    #[test]
    fn the_gate_counts_by_network() {
        let gate = Gate::new(Some(2));
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let first = gate.enter(ip("192.0.2.1")).expect("free");
        let _second = gate.enter(ip("::ffff:192.0.2.200")).expect("free");
        assert!(gate.enter(ip("192.0.2.3")).is_none(), "same /24, mapped or not");
        assert!(gate.enter(ip("192.0.3.3")).is_some(), "another /24");
        let _third = gate.enter(ip("2001:db8:1:1::1")).expect("free");
        let _fourth = gate.enter(ip("2001:db8:1:ffff::1")).expect("free");
        assert!(gate.enter(ip("2001:db8:1:2::1")).is_none(), "same /48");
        assert!(gate.enter(ip("2001:db8:2::1")).is_some());
        drop(first);
        assert!(gate.enter(ip("192.0.2.3")).is_some(), "a place is free again");
    }

    #[test]
    fn an_empty_gate_remembers_nobody() {
        let gate = Gate::default();
        drop(gate.enter("192.0.2.1".parse().expect("an address")));
        assert!(gate.inner.waiting.lock().expect("not poisoned").is_empty());
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_what_to_do() {
        let first = Listener::bind(([127, 0, 0, 1], 0).into(), Gate::default()).await.expect("a free port");
        let address = first.local_address().expect("bound");
        let second = Listener::bind(address, Gate::default()).await.map(|_| ());
        assert_eq!(second, Err(BindError::PortTaken { port: address.port() }));
        let message = BindError::PortTaken { port: 5222 }.to_string();
        assert!(message.contains("5222") && message.contains("--port-base"), "{message}");
    }

    #[tokio::test]
    async fn the_ninth_stranger_is_closed_and_others_go_on() {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), Gate::new(Some(1))).await.expect("a free port");
        let address = listener.local_address().expect("bound");
        let _one = TcpStream::connect(address).await.expect("connects");
        let (_held, admission) = admit(&listener).await.expect("there is room");
        let mut refused = TcpStream::connect(address).await.expect("connects");
        let accepting = tokio::spawn(async move {
            let accepted = admit(&listener).await;
            (accepted.is_some(), listener)
        });
        let mut byte = [0; 1];
        let end = refused.read(&mut byte).await;
        assert!(matches!(end, Ok(0) | Err(_)), "closed without a word");
        drop(admission);
        let _third = TcpStream::connect(address).await.expect("connects");
        assert!(accepting.await.expect("the third one is let in").0);
    }

    async fn admit(listener: &Listener) -> Option<(Connection, Admission)> {
        listener.accept().await.admit(PRE_AUTH_TIME).await
    }

    #[test]
    fn b05_who_comes_by_an_onion_service_is_counted_apart_and_together() {
        let (open, hidden) = (Gate::new(Some(2)), Gate::hidden(Some(3)));
        let ip = IpAddr::from([127, 0, 0, 1]);
        let held: Vec<_> = std::iter::from_fn(|| hidden.enter(ip)).collect();
        assert_eq!(held.len(), 3);
        assert!(hidden.enter(IpAddr::from([127, 7, 0, 1])).is_none(), "one count for all");
        let others: Vec<_> = std::iter::from_fn(|| open.enter(ip)).collect();
        assert_eq!(others.len(), 2, "the other gate is as open as before");
        assert_eq!(held[0].network(), Network::Hidden);
    }

    fn header(source: [u8; 4]) -> Vec<u8> {
        [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", &source[..], &[192, 0, 2, 1, 0, 9, 0, 9]].concat()
    }

    #[tokio::test]
    async fn b05_behind_a_listed_proxy_everybody_is_counted_by_their_own_network() {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), Gate::new(Some(1))).await.expect("a free port");
        let listener = listener.with_proxies(Arc::from(["127.0.0.0/8".parse().expect("a network")]));
        let address = listener.local_address().expect("bound");
        let mut held = Vec::new();
        for (source, is_let_in) in [([203, 0, 114, 1], true), ([203, 0, 114, 2], false), ([203, 0, 115, 1], true)] {
            let mut client = TcpStream::connect(address).await.expect("connects");
            client.write_all(&header(source)).await.expect("sent");
            client.write_all(b"<stream").await.expect("sent");
            let admitted = admit(&listener).await;
            assert_eq!(admitted.is_some(), is_let_in, "{source:?}");
            if let Some((mut connection, admission)) = admitted {
                assert_eq!(connection.read_chunk().await.expect("read").as_deref(), Some(&b"<stream"[..]));
                held.push((client, connection, admission));
            }
        }
        let mut without = TcpStream::connect(address).await.expect("connects");
        without.write_all(b"<?xml version='1.0'?><stream:stream>").await.expect("sent");
        assert!(admit(&listener).await.is_none(), "a proxy has to say for whom it connects");
    }

    #[tokio::test]
    async fn b05_nobody_else_can_say_where_they_come_from() {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), Gate::new(Some(1))).await.expect("a free port");
        let listener = listener.with_proxies(Arc::from(["192.0.2.0/24".parse().expect("a network")]));
        let mut client = TcpStream::connect(listener.local_address().expect("bound")).await.expect("connects");
        client.write_all(&header([203, 0, 114, 1])).await.expect("sent");
        let (mut connection, admission) = admit(&listener).await.expect("there is room");
        assert_eq!(admission.network(), Network::V4([127, 0, 0]));
        let read = connection.read_chunk().await.expect("read").expect("there is something");
        assert_eq!(&read[..], &header([203, 0, 114, 1])[..], "it is what the peer says, and no XML");
    }
}
