//! Listening, and letting in no more unknown people at once than we can bear.
//!
//! Knows: ports and how many connections of one network have not signed in yet. Lacks: what is spoken on them.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::connection::Connection;

/// How long a connection may take to sign in (security-design §6).
pub const PRE_AUTH_TIME: Duration = Duration::from_secs(30);

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

/// Counts connections that have not signed in yet, by network. Share one between all listeners.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<GateInner>,
}

struct GateInner {
    per_network: Option<u32>,
    waiting: Mutex<HashMap<Network, u32>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    V4([u8; 3]),
    V6([u16; 3]),
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
        Self { inner: Arc::new(GateInner { per_network, waiting: Mutex::default() }) }
    }

    /// Lets one more connection in, or refuses.
    pub fn enter(&self, address: IpAddr) -> Option<Admission> {
        let since = Instant::now();
        let Some(limit) = self.inner.per_network else {
            return Some(Admission { counted: None, since });
        };
        let network = Network::of(address);
        let mut waiting = self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.entry(network).or_insert(0);
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Admission { counted: Some((Arc::clone(&self.inner), network)), since })
    }
}

impl Network {
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
    counted: Option<(Arc<GateInner>, Network)>,
    since: Instant,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admission")
    }
}

impl Admission {
    /// Returns the moment at which a connection that still holds this has to be closed.
    pub fn deadline(&self) -> Instant {
        self.since + PRE_AUTH_TIME
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let Some((gate, network)) = self.counted.take() else { return };
        let mut waiting = gate.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                waiting.remove(&network); // the table holds no address of people who are not there
            }
        }
    }
}

/// An open port.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    gate: Gate,
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
        Ok(Self { inner, gate })
    }

    /// Returns the address that is listened on, with the port that was chosen.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.inner.local_addr().ok()
    }

    /// Waits for the next connection that the gate lets in; others are closed at once. Safe to drop in `select!`.
    pub async fn accept(&self) -> (Connection, Admission) {
        loop {
            match self.inner.accept().await {
                Ok((stream, peer)) => {
                    if let Some(admission) = self.gate.enter(peer.ip()) {
                        return (Connection::from(stream), admission);
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
    use tokio::io::AsyncReadExt as _;
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
        let (_held, admission) = listener.accept().await;
        let mut refused = TcpStream::connect(address).await.expect("connects");
        let accepting = tokio::spawn(async move {
            let accepted = listener.accept().await;
            (accepted, listener)
        });
        let mut byte = [0; 1];
        let end = refused.read(&mut byte).await;
        assert!(matches!(end, Ok(0) | Err(_)), "closed without a word");
        drop(admission);
        let _third = TcpStream::connect(address).await.expect("connects");
        accepting.await.expect("the third one is let in");
    }
}
