//! Reaching a domain: from a name to a TCP connection, by the one way out.
//!
//! [`Dialler::open`] is the only place in the program that opens a connection. When a proxy is set, everything goes
//! through it and no name is resolved here.
//!
//! The order in which a domain's hosts are tried:
//! 1. those named by the caller (a link's `wx-at`, a host override),
//! 2. the static route of the domain, for federation without DNS,
//! 3. SRV records, direct TLS before STARTTLS (XEP-0368 §3 leaves the preference to us), each in RFC 2782 order,
//! 4. the domain's own addresses at the standard ports (RFC 6120 §3.2.2).
//!
//! Sources: RFC 6120 §3, RFC 8305, XEP-0368.

mod address;
mod eyeballs;
mod network;
mod route;
mod socks5;
mod target;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::connection::Connection;
use crate::dns::{DnsError, Names, SrvAnswer};
use crate::names::{ip_literal, is_localhost, is_onion};
use crate::tls::{ClientTls, TlsError};
use crate::verify::Trust;
use xmpp::stream::TlsFacts;

pub use address::is_public;
pub use network::{IpNetwork, NotANetwork};
pub use route::{Route, Routes};
pub use socks5::{Proxy, ProxyError};
pub use target::{Endpoint, HostPort, Mode, Target};

/// Which addresses may be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressRule {
    /// All: the person or the operator has named the host.
    Any,
    /// Only addresses of the public internet: a stranger has named the host (security-design §5.3).
    PublicOnly,
    /// Addresses of the public internet, and those in networks that the operator has named.
    PublicAnd(Arc<[IpNetwork]>),
}

impl AddressRule {
    fn allows(&self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::PublicOnly => is_public(address),
            Self::PublicAnd(networks) => is_public(address) || networks.iter().any(|network| network.contains(address)),
        }
    }

    /// Says whether a host may be named to a proxy, which alone knows what the name leads to.
    fn may_allow(&self, host: &str) -> bool {
        let loopback = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        match ip_literal(host) {
            Some(address) => self.allows(address),
            None => !is_localhost(host) || self.allows(loopback),
        }
    }
}

/// Why one host could not be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// Its name could not be resolved.
    Name(DnsError),
    /// Its address is not one of the public internet, and the rule asks for that.
    NotPublic,
    /// Nobody listens there.
    Refused,
    /// There is no way to it, or it does not answer.
    Unreachable,
    /// It did not answer in time.
    TimedOut,
    /// The proxy did not do it.
    Proxy(ProxyError),
    /// The connection stood, and TLS failed on it.
    Tls(TlsError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => error.fmt(f),
            Self::NotPublic => f.write_str("the host is in a private network, and a stranger named it"),
            Self::Refused => f.write_str("nothing listens there"),
            Self::Unreachable => f.write_str("there is no way to it"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Proxy(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}

impl OpenError {
    /// Says whether this will be the same the next time: DNS denies the name, or somebody else has answered.
    #[must_use]
    pub fn is_denial(self) -> bool {
        match self {
            Self::Name(DnsError::NotFound | DnsError::Forbidden) | Self::NotPublic => true,
            Self::Tls(error) => error.is_somebody_else(),
            _ => false,
        }
    }
}

impl From<&io::Error> for OpenError {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Unreachable,
        }
    }
}

/// One thing that was tried. It names no host: the program knows the domain, and logs must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// How the connection would have been secured.
    pub mode: Mode,
    /// The port.
    pub port: u16,
    /// What went wrong.
    pub error: OpenError,
}

/// Why a domain could not be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialError {
    /// The domain says by DNS that it does not offer the service.
    NotOffered,
    /// Everything was tried, in this order.
    Unreachable(Vec<Attempt>),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOffered => f.write_str("the domain does not offer this service: check the address"),
            Self::Unreachable(attempts) => {
                f.write_str("could not connect")?;
                for (nth, attempt) in attempts.iter().enumerate() {
                    let mode = match attempt.mode {
                        Mode::DirectTls => "direct TLS",
                        Mode::StartTls => "STARTTLS",
                    };
                    let separator = if nth == 0 { ": " } else { "; " };
                    write!(f, "{separator}port {} ({mode}): {}", attempt.port, attempt.error)?;
                }
                f.write_str(". Check the network and the address, or name the host")
            }
        }
    }
}

impl std::error::Error for DialError {}

impl DialError {
    /// Says whether there is no such server: DNS denies it, or what answers everywhere is somebody else. Anything else
    /// (nobody listens, no answer, no name servers) may be better in a minute.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        match self {
            Self::NotOffered => true,
            Self::Unreachable(attempts) => {
                !attempts.is_empty() && attempts.iter().all(|attempt| attempt.error.is_denial())
            }
        }
    }

    /// Returns the certificate or TLS problem that was met first, if any: it says more than "unreachable".
    pub fn tls_error(&self) -> Option<TlsError> {
        let Self::Unreachable(attempts) = self else { return None };
        attempts.iter().find_map(|attempt| match attempt.error {
            OpenError::Tls(error) => Some(error),
            _ => None,
        })
    }
}

/// A connection to a domain, ready for a stream header.
#[derive(Debug)]
pub struct Link {
    /// The connection: under TLS already for [`Mode::DirectTls`], in clear for [`Mode::StartTls`].
    pub connection: Connection,
    /// How it is secured.
    pub mode: Mode,
    /// What TLS says, for [`Mode::DirectTls`].
    pub facts: Option<TlsFacts>,
    /// How TLS is to be done after `<proceed/>`: the caller's, with the trust of the domain's route.
    pub tls: ClientTls,
}

/// The way out. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dialler {
    names: Names,
    proxy: Option<Proxy>,
    routes: Routes,
    timeout: Duration,
}

impl Dialler {
    /// Connects directly, with names resolved by `names`, and 10 s for each host.
    pub fn direct(names: Names) -> Self {
        Self { names, proxy: None, routes: Routes::default(), timeout: Duration::from_secs(10) }
    }

    /// Connects through a SOCKS5 proxy only, which also resolves all names; 60 s for each host, as Tor needs.
    pub fn through(proxy: Proxy) -> Self {
        Self::direct(Names::system()).with_proxy(proxy)
    }

    /// Goes through a SOCKS5 proxy from now on, as in [`Dialler::through`]; names are not asked for any more.
    #[must_use]
    pub fn with_proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self.timeout = Duration::from_secs(60);
        self
    }

    /// Uses these static routes. They are shared: routes that are added later count.
    #[must_use]
    pub fn with_routes(mut self, routes: Routes) -> Self {
        self.routes = routes;
        self
    }

    /// Sets the time for each host.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Returns the static routes.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Connects to the first host of the target that answers, without TLS.
    ///
    /// # Errors
    ///
    /// [`DialError`] lists what was tried.
    pub async fn connect(&self, target: &Target) -> Result<(TcpStream, Mode), DialError> {
        let mut attempts = Vec::new();
        for endpoint in self.endpoints(target).await? {
            match self.open(&endpoint.host, target.rule.clone(), target.isolation.as_deref()).await {
                Ok(stream) => return Ok((stream, endpoint.mode)),
                Err(error) => attempts.push(Attempt { mode: endpoint.mode, port: endpoint.host.port, error }),
            }
        }
        Err(DialError::Unreachable(attempts))
    }

    /// Connects to the first host of the target that answers and, with direct TLS, proves to be the domain.
    ///
    /// A host whose TLS fails is passed over for the next one. `local_domain` chooses among our own certificates.
    ///
    /// # Errors
    ///
    /// [`DialError`] lists what was tried.
    pub async fn connect_link(
        &self,
        target: &Target,
        tls: &ClientTls,
        local_domain: Option<&str>,
    ) -> Result<Link, DialError> {
        let tls = match self.routes.trust_of(&target.domain) {
            Some(trust) => tls.clone().with_trust(trust),
            None if is_onion(&target.domain) && matches!(tls.trust(), Trust::Authorities(_)) => {
                tls.clone().with_trust(Trust::OnionAddress)
            }
            None => tls.clone(),
        };
        let mut attempts = Vec::new();
        // A port that has shown a wrong certificate speaks TLS: there is nothing to ask it in clear.
        let mut others: Vec<HostPort> = Vec::new();
        for endpoint in self.endpoints(target).await? {
            if others.contains(&endpoint.host) {
                continue;
            }
            match self.link(&endpoint, target, &tls, local_domain).await {
                Ok((connection, facts)) => return Ok(Link { connection, mode: endpoint.mode, facts, tls }),
                Err(error) => {
                    attempts.push(Attempt { mode: endpoint.mode, port: endpoint.host.port, error });
                    if matches!(error, OpenError::Tls(TlsError::Certificate(_))) {
                        others.push(endpoint.host);
                    }
                }
            }
        }
        Err(DialError::Unreachable(attempts))
    }

    async fn link(
        &self,
        endpoint: &Endpoint,
        target: &Target,
        tls: &ClientTls,
        local_domain: Option<&str>,
    ) -> Result<(Connection, Option<TlsFacts>), OpenError> {
        let stream = self.open(&endpoint.host, target.rule.clone(), target.isolation.as_deref()).await?;
        let connection = Connection::from(stream);
        match endpoint.mode {
            Mode::StartTls => Ok((connection, None)),
            Mode::DirectTls => {
                let secured = connection.direct_tls(tls, &target.domain, local_domain).await;
                let (connection, facts) = secured.map_err(OpenError::Tls)?;
                Ok((connection, Some(facts)))
            }
        }
    }

    /// Opens a TCP connection to one host: the single way out of this program.
    ///
    /// `isolation` keeps connections of different purposes on different paths where the proxy can do that (Tor).
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub async fn open(
        &self,
        host: &HostPort,
        rule: AddressRule,
        isolation: Option<&str>,
    ) -> Result<TcpStream, OpenError> {
        let attempt = async {
            match &self.proxy {
                Some(proxy) => {
                    if !rule.may_allow(&host.host) {
                        return Err(OpenError::NotPublic);
                    }
                    proxy.connect(&host.host, host.port, isolation).await
                }
                None => self.open_directly(host, &rule).await,
            }
        };
        tokio::time::timeout(self.timeout, attempt).await.unwrap_or(Err(OpenError::TimedOut))
    }

    async fn open_directly(&self, host: &HostPort, rule: &AddressRule) -> Result<TcpStream, OpenError> {
        let addresses = self.names.addresses(&host.host).await.map_err(OpenError::Name)?;
        // One private address among public ones is a trick (DNS rebinding), so it spoils the host.
        if !addresses.iter().all(|address| rule.allows(*address)) {
            return Err(OpenError::NotPublic);
        }
        let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, host.port)).collect();
        eyeballs::race(eyeballs::interleave(addresses), eyeballs::DELAY, TcpStream::connect)
            .await
            .map_err(|error| OpenError::from(&error))
    }

    /// A resolver that does not tell the services may still know the address. If it does not, that is no denial: the
    /// services may be elsewhere.
    async fn own_if_known(&self, target: &Target) -> Result<Vec<Endpoint>, DialError> {
        let own = target::standard_endpoints(&target.domain, target.service);
        if self.names.addresses(&target.domain).await != Err(DnsError::NotFound) {
            return Ok(own);
        }
        let error = OpenError::Name(DnsError::Failed);
        let attempt = |endpoint: Endpoint| Attempt { mode: endpoint.mode, port: endpoint.host.port, error };
        Err(DialError::Unreachable(own.into_iter().map(attempt).collect()))
    }

    async fn endpoints(&self, target: &Target) -> Result<Vec<Endpoint>, DialError> {
        if !target.at.is_empty() {
            return Ok(target.at.clone());
        }
        if let Some(at) = self.routes.endpoints_of(&target.domain) {
            return Ok(at);
        }
        let own = || target::standard_endpoints(&target.domain, target.service);
        if self.proxy.is_some() || is_onion(&target.domain) {
            return Ok(own());
        }
        let mut draw = random_up_to;
        let mut found = Vec::new();
        let (mut refused, mut failed) = (false, false);
        for (label, mode) in target::srv_queries(target.service) {
            match self.names.services(label, &target.domain, &mut draw).await {
                Ok(SrvAnswer::Hosts(hosts)) => {
                    found.extend(hosts.into_iter().map(|srv| Endpoint::new(srv.host, srv.port, mode)));
                }
                Ok(SrvAnswer::NotOffered) => refused = true,
                Ok(SrvAnswer::NoRecords) => {}
                Err(_) => failed = true,
            }
        }
        match (found.is_empty(), refused, failed) {
            (false, ..) => Ok(found),
            (true, _, true) => self.own_if_known(target).await,
            (true, true, false) => Err(DialError::NotOffered),
            (true, false, false) => Ok(own()),
        }
    }
}

fn random_up_to(limit: u32) -> u32 {
    // The bias of `%` over 32 bits does not matter for spreading load; failure means "the first one".
    let number = getrandom::u32().unwrap_or(0);
    limit.checked_add(1).map_or(number, |range| number % range)
}
