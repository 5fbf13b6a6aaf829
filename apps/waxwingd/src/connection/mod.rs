//! One task per connection: bytes from TLS to a session of the broker and back.
//!
//! Knows: sockets, TLS, and when to call a session. Lacks: what is spoken; sessions are `broker`'s. A sleeping connection
//! costs its session, what TLS remembers, and no buffer: bytes are read into the stack when they are there, and
//! everything that a session has to say at once is written as one piece.

mod accept;
mod dial;
mod drive;
pub(crate) mod probe;
mod session;
mod web;

use broker::Broker;
use net::dial::{AddressRule, Dialler};
use net::dns::Names;
use net::listen::Admission;
use net::tls::{ClientTls, ServerTls};
use xmpp::stream::{DomainCheck, TlsFacts};

pub(crate) use accept::{Start, serve_clients, serve_https, serve_servers};
pub(crate) use dial::start_dialling;

use crate::server::shutdown::Stopping;
use crate::settings::{Direction, FederationSettings, Tap};

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) broker: Broker,
    pub(crate) client_tls: ServerTls,
    pub(crate) server_tls: ServerTls,
    pub(crate) https_tls: ServerTls,
    pub(crate) dial_tls: ClientTls,
    pub(crate) dialler: Dialler,
    /// The name servers that are asked.
    pub(crate) names: Names,
    pub(crate) federation: FederationSettings,
    /// Where other servers may be that nobody has added as a peer.
    pub(crate) addresses: AddressRule,
    /// What strangers may hold is counted by where they come from too.
    pub(crate) counts_networks: bool,
    pub(crate) tap: Option<Tap>,
    pub(crate) stopping: Stopping,
}

impl Shared {
    /// Names where a connection comes from, for the budgets.
    fn network(&self, admission: &Admission) -> Option<String> {
        self.counts_networks.then(|| admission.network().name())
    }

    fn tap(&self, direction: Direction, bytes: &[u8]) {
        if let Some(tap) = &self.tap {
            tap(direction, bytes);
        }
    }

    /// Lets a certificate count only for domains that the settings permit, and its key for the name that it makes, where
    /// links may introduce brokers. Peers with a configured pin are recognised by the broker itself.
    fn permitted(&self, mut facts: TlsFacts) -> TlsFacts {
        if let Some(certificate) = &mut facts.peer_certificate {
            let federation = self.federation.clone();
            let check = certificate.verified_domain_check.clone();
            let pin = self.broker.config.by_link.is_some().then_some(certificate.spki_sha256);
            let names_itself = move |domain: &str| pin.is_some_and(|pin| xep::peer::makes(&pin, domain));
            certificate.verified_domain_check = DomainCheck::new(move |domain| {
                federation.permits(domain) && (names_itself(domain) || check.verifies(domain))
            });
        }
        facts
    }
}
