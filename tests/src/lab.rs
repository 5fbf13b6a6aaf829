//! A small internet on loopback: names, addresses, certificates and a DNS server that knows them.
//!
//! Each server lives on its own address of 127.0.0.0/8, so that all of them can use the ports that the standards name.
//! Names end in `.example`: resolvers answer for `.test` by themselves.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};

use net::clock::SystemClock;
use net::identity::{OwnCa, generate_key_pem};
use net::testing::{DnsResponder, Record};
use xmpp::time::Clock;

use crate::scratch::Scratch;

/// The names, addresses and certificates of one test.
#[derive(Debug)]
pub struct Lab {
    scratch: Scratch,
    dns: DnsResponder,
    hosts: Vec<Host>,
}

/// One server's place in the laboratory.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its XMPP domain.
    pub domain: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Certificate chain, PEM.
    pub chain: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// Chain and key in one file, PEM.
    pub all: PathBuf,
    /// Directory for its data and logs.
    pub dir: PathBuf,
}

impl Host {
    /// Returns the socket address of a port of this host.
    #[must_use]
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.address), port)
    }
}

impl Lab {
    /// Makes a place for each name: a fresh address, a certificate of an own authority, and DNS records for clients and
    /// servers at the standard ports.
    ///
    /// # Panics
    ///
    /// When loopback or the directory for temporary files cannot be used.
    #[must_use]
    pub fn new(label: &str, names: &[&str]) -> Self {
        let scratch = Scratch::new(label);
        let dns = DnsResponder::start(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a loopback port is free");
        let mut bundle = String::new();
        let mut hosts = Vec::new();
        for name in names {
            let domain = format!("{name}.example");
            let address = next_address();
            let now = SystemClock.now();
            let ca = OwnCa::generate(&domain, now).expect("the name fits a certificate");
            let key_pem = generate_key_pem().expect("a key can be made");
            let chain_pem = ca.issue(&domain, &key_pem, now).expect("the name fits a certificate");
            bundle.push_str(ca.certificate_pem());
            let dir = scratch.path().join(name);
            std::fs::create_dir_all(&dir).expect("a scratch directory can be made");
            hosts.push(Host {
                chain: scratch.write(&format!("{name}/chain.pem"), &chain_pem),
                key: scratch.write(&format!("{name}/key.pem"), &key_pem),
                all: scratch.write(&format!("{name}/all.pem"), &format!("{chain_pem}{key_pem}")),
                dir,
                domain: domain.clone(),
                address,
            });
            dns.add(&domain, Record::Address(IpAddr::V4(address)));
            for (service, port) in [("xmpp-client", 5222), ("xmpp-server", 5269)] {
                dns.add(&format!("_{service}._tcp.{domain}"), Record::srv(&domain, port));
            }
        }
        scratch.write("ca.pem", &bundle);
        Self { scratch, dns, hosts }
    }

    /// Returns the place of a server by the short name that the laboratory was made with.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn host(&self, name: &str) -> &Host {
        let domain = format!("{name}.example");
        self.hosts.iter().find(|h| h.domain == domain).expect("the laboratory has that name")
    }

    /// Returns all places.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Returns the file with all authorities.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.scratch.path().join("ca.pem")
    }

    /// Returns the DNS server.
    #[must_use]
    pub fn dns(&self) -> &DnsResponder {
        &self.dns
    }

    /// Returns the directory of the whole laboratory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }
}

/// Addresses differ between the processes of one run by their third byte, and within a process by the last.
fn next_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(2);
    let third = u8::try_from(std::process::id() % 200).unwrap_or(0) + 10;
    Ipv4Addr::new(127, 77, third, NEXT.fetch_add(1, Ordering::Relaxed))
}
