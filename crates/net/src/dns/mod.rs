//! Finding the hosts of a domain: SRV records, and addresses of names.
//!
//! Never used when a proxy is set (the proxy resolves names), and never asked for `.onion`.
//!
//! Deliberately absent: DNSSEC and TLSA. A forged answer leads to a host that cannot show the domain's certificate.

mod srv;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};

use crate::names::{ip_literal, is_localhost, is_onion, to_ascii};

pub use srv::{Srv, order};

/// Why a name could not be resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DnsError {
    /// There is no such name, or it has no address.
    NotFound,
    /// The name servers gave no usable answer.
    Failed,
    /// This machine has no name servers configured.
    NotConfigured,
    /// The name must not be asked for: no valid name, or `.onion`.
    Forbidden,
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "the name is unknown or has no address: check the spelling",
            Self::Failed => "the name servers do not answer: check the network",
            Self::NotConfigured => "this machine has no name servers configured",
            Self::Forbidden => "this name cannot be looked up; .onion addresses need the Tor proxy",
        })
    }
}

impl std::error::Error for DnsError {}

/// What a domain says about a service by SRV records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SrvAnswer {
    /// The hosts, in the order in which they are to be tried.
    Hosts(Vec<Srv>),
    /// The domain says that it does not offer the service (target `.`, RFC 2782).
    NotOffered,
    /// There are no records: try the domain's own addresses.
    NoRecords,
}

/// A resolver for names. Cheap to clone; the cache is shared.
#[derive(Clone)]
pub struct Names {
    source: Source,
    resolver: Arc<OnceLock<Option<TokioResolver>>>,
}

#[derive(Clone, Copy)]
enum Source {
    System,
    Server(SocketAddr),
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}

impl Names {
    /// Uses the name servers and the hosts file of this machine, read at first use.
    pub fn system() -> Self {
        Self { source: Source::System, resolver: Arc::default() }
    }

    /// Uses one name server only, and no hosts file.
    pub fn from_server(server: SocketAddr) -> Self {
        Self { source: Source::Server(server), resolver: Arc::default() }
    }

    /// Looks up the hosts that offer `label` (such as `_xmpp-client`) for `domain`, in the order of RFC 2782.
    ///
    /// `draw(n)` returns a random number below or equal to `n`.
    ///
    /// # Errors
    ///
    /// [`DnsError`]; "no such record" is not an error.
    pub async fn services(
        &self,
        label: &str,
        domain: &str,
        draw: &mut (dyn FnMut(u32) -> u32 + Send),
    ) -> Result<SrvAnswer, DnsError> {
        let domain = lookup_name(domain)?;
        if ip_literal(&domain).is_some() {
            return Ok(SrvAnswer::NoRecords);
        }
        let name = Name::from_ascii(format!("{label}._tcp.{domain}.")).map_err(|_| DnsError::Forbidden)?;
        let lookup = match self.resolver()?.lookup(name, RecordType::SRV).await {
            Ok(lookup) => lookup,
            Err(error) if says_nothing(&error) => return Ok(SrvAnswer::NoRecords),
            Err(_) => return Err(DnsError::Failed),
        };
        let records: Vec<Srv> = lookup.answers().iter().filter_map(|record| read_srv(&record.data)).collect();
        if records.is_empty() {
            return Ok(SrvAnswer::NoRecords);
        }
        let offered: Vec<Srv> = records.into_iter().filter(|srv| !srv.host.is_empty()).collect();
        if offered.is_empty() {
            return Ok(SrvAnswer::NotOffered);
        }
        Ok(SrvAnswer::Hosts(order(offered, draw)))
    }

    /// Looks up the addresses of a host, IPv6 and IPv4. IP literals and `localhost` need no name server.
    ///
    /// # Errors
    ///
    /// [`DnsError`].
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        let host = lookup_name(host)?;
        if let Some(address) = ip_literal(&host) {
            return Ok(vec![address]);
        }
        if is_localhost(&host) {
            return Ok(vec![std::net::Ipv6Addr::LOCALHOST.into(), std::net::Ipv4Addr::LOCALHOST.into()]);
        }
        // The final dot keeps the search list of this machine out: `example.org.intranet` is somebody else.
        match self.resolver()?.lookup_ip(format!("{host}.")).await {
            Ok(lookup) => {
                let addresses: Vec<IpAddr> = lookup.iter().collect();
                if addresses.is_empty() { Err(DnsError::NotFound) } else { Ok(addresses) }
            }
            Err(error) if says_nothing(&error) => Err(DnsError::NotFound),
            Err(_) => Err(DnsError::Failed),
        }
    }

    fn resolver(&self) -> Result<&TokioResolver, DnsError> {
        self.resolver.get_or_init(|| build(self.source)).as_ref().ok_or(DnsError::NotConfigured)
    }
}

fn build(source: Source) -> Option<TokioResolver> {
    let mut builder = match source {
        Source::System => TokioResolver::builder_tokio().ok()?,
        Source::Server(server) => {
            let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
            udp.port = server.port();
            tcp.port = server.port();
            let server = NameServerConfig::new(server.ip(), true, vec![udp, tcp]);
            let config = ResolverConfig::from_name_servers(vec![server]);
            Resolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    options.timeout = Duration::from_secs(3);
    options.attempts = 2;
    options.ip_strategy = hickory_resolver::config::LookupIpStrategy::Ipv6AndIpv4;
    if matches!(source, Source::Server(_)) {
        options.use_hosts_file = ResolveHosts::Never;
    }
    builder.build().ok()
}

fn lookup_name(name: &str) -> Result<String, DnsError> {
    if is_onion(name) {
        return Err(DnsError::Forbidden);
    }
    to_ascii(name).ok_or(DnsError::Forbidden)
}

fn says_nothing(error: &NetError) -> bool {
    error.is_no_records_found() || error.is_nx_domain()
}

fn read_srv(data: &RData) -> Option<Srv> {
    let RData::SRV(srv) = data else { return None };
    // The root as target reads as an empty host: the service is not offered.
    let host = srv.target.to_ascii().trim_end_matches('.').to_ascii_lowercase();
    Some(Srv { priority: srv.priority, weight: srv.weight, port: srv.port, host })
}
