//! [`Settings`]: everything that can be chosen about a broker, with the defaults of the security design.
//!
//! Programs get them from the command line and `waxwingd.toml` ([`crate::config`]); the demonstration and tests make them
//! by hand, mostly with [`Settings::in_memory`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use broker::Limits;
use broker::pep::PepLimits;
use broker::upload::UploadSettings;
use net::dial::IpNetwork;
use xep::policy::E2eePolicy;

/// Everything that can be chosen about a broker.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The domain that accounts live under. Without one the broker names itself and DNS is not asked about it.
    pub domain: Option<String>,
    /// The one address to listen on; all of this machine without it.
    pub listen: Option<IpAddr>,
    /// The ports.
    pub ports: Ports,
    /// Hosts for the links of a broker that DNS does not know; without any, the addresses of this machine.
    pub announce: Vec<String>,
    /// Where everything is kept.
    pub storage: Storage,
    /// A certificate of a public authority; without one the broker makes its own.
    pub certificate: Option<CertificateFiles>,
    /// What is done with messages that are not end-to-end encrypted.
    pub policy: E2eePolicy,
    /// Who may register.
    pub registration: RegistrationSettings,
    /// How often new passwords are hashed (SCRAM).
    pub scram_iterations: u32,
    /// Bounds on everything that others can make the broker do or keep.
    pub limits: Limits,
    /// Bounds of personal services (PEP).
    pub pep: PepLimits,
    /// Uploads. The address of the listener in it is filled in at the start.
    pub upload: UploadSettings,
    /// Connections of one /24 or /48 that may be signing in at once, clients and other servers each; no bound without it.
    pub pre_auth_per_network: Option<u32>,
    /// Addresses of load balancers, which must say for whom they connect (PROXY protocol, version 2).
    pub proxies: Vec<IpNetwork>,
    /// Listeners for an onion service.
    pub onion: OnionListeners,
    /// Other servers.
    pub federation: FederationSettings,
    /// Sees the decrypted bytes of every connection. For demonstrations and tests, which prove with it that the broker
    /// cannot read messages.
    pub danger_tap: Option<Tap>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("ports", &self.ports).field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Settings {
    /// The settings of a broker that keeps its data in `data` and its key in `keys`, at the usual ports.
    #[must_use]
    pub fn on_disk(data: impl Into<PathBuf>, keys: impl Into<PathBuf>) -> Self {
        Self::new(Storage::Directories { data: data.into(), keys: keys.into() })
    }

    /// The settings of a broker that leaves nothing behind: everything in memory, on loopback, at free ports. Other
    /// servers may be on loopback too.
    #[must_use]
    pub fn in_memory() -> Self {
        let mut settings = Self::new(Storage::Memory);
        settings.listen = Some(Ipv4Addr::LOCALHOST.into());
        settings.ports = Ports::FREE;
        settings.federation.networks = LOOPBACK.iter().filter_map(|network| network.parse().ok()).collect();
        settings
    }

    pub(crate) fn new(storage: Storage) -> Self {
        Self {
            domain: None,
            listen: None,
            ports: Ports::STANDARD,
            announce: Vec::new(),
            storage,
            certificate: None,
            policy: E2eePolicy::default(),
            registration: RegistrationSettings::default(),
            scram_iterations: 100_000,
            limits: Limits::default(),
            pep: PepLimits::default(),
            upload: UploadSettings::default(),
            pre_auth_per_network: Some(net::listen::PRE_AUTH_PER_NETWORK),
            proxies: Vec::new(),
            onion: OnionListeners::default(),
            federation: FederationSettings::default(),
            danger_tap: None,
        }
    }
}

/// The five ports of a broker. 0 lets the system choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Clients, STARTTLS.
    pub client: u16,
    /// Clients, direct TLS.
    pub client_tls: u16,
    /// Servers, STARTTLS.
    pub server: u16,
    /// Servers, direct TLS.
    pub server_tls: u16,
    /// Web pages and files.
    pub https: u16,
}

impl Ports {
    /// The assigned and customary ports.
    pub const STANDARD: Self = Self { client: 5222, client_tls: 5223, server: 5269, server_tls: 5270, https: 5443 };
    /// Whatever is free.
    pub const FREE: Self = Self { client: 0, client_tls: 0, server: 0, server_tls: 0, https: 0 };

    /// Five ports from `base` on, in the order of the fields; `None` where there are not so many.
    #[must_use]
    pub const fn from_base(base: u16) -> Option<Self> {
        if base == 0 || base > u16::MAX - 4 {
            return None;
        }
        Some(Self { client: base, client_tls: base + 1, server: base + 2, server_tls: base + 3, https: base + 4 })
    }
}

/// The networks of this machine alone.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1"];

/// Where an onion service brings its connections to. Everybody comes from there, so these have a count of their own, and
/// nobody who is silent there keeps those out who come another way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnionListeners {
    /// For clients, STARTTLS.
    pub client: Option<SocketAddr>,
    /// For other servers, STARTTLS.
    pub server: Option<SocketAddr>,
    /// Connections that may be signing in at once, on each; no bound without it.
    pub pre_auth: Option<u32>,
}

/// Where a broker keeps what it must remember.
#[derive(Clone, PartialEq, Eq)]
pub enum Storage {
    /// In memory, keys and all: it ends with the process.
    Memory,
    /// In a database in `data`, sealed with a key that lies in `keys`, which must be outside of `data`.
    Directories {
        /// The data directory.
        data: PathBuf,
        /// The directory of the key file.
        keys: PathBuf,
    },
}

/// A certificate of a public authority.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain in PEM, the broker's certificate first.
    pub chain: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

/// Who may register, and what invitations are worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationSettings {
    /// Anybody may register without an invitation.
    pub is_open: bool,
    /// Names that nobody gets, besides the usual ones.
    pub reserved_names: Vec<String>,
    /// How long an invitation is good.
    pub invite_lifetime: Duration,
    /// Invitations that one account may make on one day.
    pub invites_per_day: u64,
}

impl Default for RegistrationSettings {
    fn default() -> Self {
        Self {
            is_open: false,
            reserved_names: Vec::new(),
            invite_lifetime: Duration::from_secs(7 * 86_400),
            invites_per_day: 20,
        }
    }
}

/// Which other servers there are.
#[derive(Clone, PartialEq, Eq)]
pub struct FederationSettings {
    /// Without it there is no other server.
    pub is_enabled: bool,
    /// Authorities that are believed besides the public ones, in PEM.
    pub authorities_pem: Option<String>,
    /// Only these domains, if there are any.
    pub allow: Vec<String>,
    /// Never these domains.
    pub deny: Vec<String>,
    /// Ask this name server instead of the machine's.
    pub dns: Option<SocketAddr>,
    /// Links of brokers that are reached without DNS, besides those added with `peer add`.
    pub peers: Vec<String>,
    /// Networks, besides the public internet, in which other servers may be that nobody has added as a peer.
    pub networks: Vec<IpNetwork>,
    /// Whether people's links introduce brokers that name themselves by their key. Without it: where this broker names
    /// itself, too.
    pub by_link: Option<bool>,
}

impl Default for FederationSettings {
    fn default() -> Self {
        Self {
            is_enabled: true,
            authorities_pem: None,
            allow: Vec::new(),
            deny: Vec::new(),
            dns: None,
            peers: Vec::new(),
            networks: Vec::new(),
            by_link: None,
        }
    }
}

impl FederationSettings {
    /// Tells whether stanzas may be exchanged with a domain. Services of a domain (`rooms.`) follow the domain.
    #[must_use]
    pub fn permits(&self, domain: &str) -> bool {
        let covers = |rule: &String| {
            let rule = rule.as_str();
            domain == rule || domain.strip_suffix(rule).is_some_and(|rest| rest.ends_with('.'))
        };
        self.is_enabled && !self.deny.iter().any(covers) && (self.allow.is_empty() || self.allow.iter().any(covers))
    }
}

/// Which way bytes went, seen from the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the peer to the broker.
    Received,
    /// From the broker to the peer.
    Sent,
}

/// Sees decrypted bytes.
pub type Tap = Arc<dyn Fn(Direction, &[u8]) + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_follow_their_base() {
        let ports = Ports::from_base(6000).expect("there are five");
        assert_eq!((ports.client, ports.https), (6000, 6004));
        assert_eq!(Ports::from_base(0), None);
        assert_eq!(Ports::from_base(65_532), None);
        assert_eq!(Ports::from_base(65_531).map(|ports| ports.https), Some(65_535));
    }

    #[test]
    fn denied_domains_stay_denied_with_their_services() {
        let mut settings = FederationSettings { deny: vec!["bad.example".into()], ..FederationSettings::default() };
        assert!(settings.permits("good.example") && settings.permits("notbad.example"));
        assert!(!settings.permits("bad.example") && !settings.permits("rooms.bad.example"));
        settings.allow = vec!["good.example".into(), "bad.example".into()];
        assert!(settings.permits("good.example"));
        assert!(!settings.permits("other.example") && !settings.permits("bad.example"));
        settings.is_enabled = false;
        assert!(!settings.permits("good.example"));
    }
}
