//! Servers known by configuration, and how the certificate of a peer is judged.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use prost::Message;
use store::StoreError;
use xmpp::stream::PeerCertificate;

use crate::Core;
use crate::config::Peer;
use crate::tables::{PEERS, PEERS_OWNER, PeerRow};

/// The servers known by configuration.
pub(super) struct Peers(RwLock<HashMap<String, Peer>>);

impl Peers {
    pub(super) fn new(peers: Vec<Peer>) -> Self {
        Self(RwLock::new(peers.into_iter().map(|peer| (peer.domain.clone(), peer)).collect()))
    }

    pub(super) fn find(&self, domain: &str) -> Option<Peer> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(domain).cloned()
    }

    pub(super) fn knows(&self, domain: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains_key(domain)
    }

    /// Counts the brokers that an account has introduced.
    pub(super) fn introduced_by(&self, account: &str) -> usize {
        let peers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        peers.values().filter(|peer| peer.introduced_by.iter().any(|by| by == account)).count()
    }

    fn remove(&self, domain: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(domain);
    }

    fn add(&self, peer: Peer) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(peer.domain.clone(), peer);
    }
}

impl Core {
    /// Judges the certificate of a peer that claims a domain: by the configured pin where there is one and nothing else,
    /// otherwise by its chain. Nobody else is ever one of our own domains.
    pub(super) fn trusts(&self, certificate: Option<&PeerCertificate>, domain: &str) -> bool {
        let Some(certificate) = certificate else { return false };
        if self.is_own_domain(domain) {
            return false;
        }
        // what people introduce is judged like any other broker, so that the operator's rules count
        let operators = self.federation.peers.find(domain).filter(|peer| !peer.is_introduced());
        match operators.and_then(|peer| peer.pin) {
            Some(pin) => certificate.spki_sha256 == pin,
            None => certificate.verified_domain_check.verifies(domain),
        }
    }

    pub(crate) fn is_own_domain(&self, domain: &str) -> bool {
        let own = self.config.domain.as_str();
        let service = domain.strip_suffix(own).and_then(|rest| rest.strip_suffix('.'));
        domain == own || service.is_some_and(|service| self.config.services.iter().any(|s| s == service))
    }

    /// Remembers a server by configuration (`peer add`), from now on.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn add_peer(&self, peer: Peer) -> Result<(), StoreError> {
        let row = PeerRow {
            domain: peer.domain.clone(),
            addresses: peer.addresses.clone(),
            pin: peer.pin.map(|pin| pin.to_vec()),
            introduced_by: peer.introduced_by.clone(),
        };
        let mut transaction = self.store.transaction();
        transaction.put(&PEERS.row(PEERS_OWNER, peer.domain.as_bytes()), row.encode_to_vec());
        transaction.commit().await?;
        self.federation.peers.add(peer);
        Ok(())
    }

    /// Forgets a server that [`Core::add_peer`] has remembered; no when there is none. Connections that stand go on.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn remove_peer(&self, domain: &str) -> Result<bool, StoreError> {
        let key = PEERS.row(PEERS_OWNER, domain.as_bytes());
        if self.store.get(&key).await?.is_none() {
            return Ok(false);
        }
        let mut transaction = self.store.transaction();
        transaction.delete(&key);
        transaction.commit().await?;
        self.federation.peers.remove(domain);
        Ok(true)
    }

    /// Loads the servers that [`Core::add_peer`] has remembered; to be called once at the start.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn load_peers(&self) -> Result<(), StoreError> {
        self.look_at_clock().await?; // from here on it is known what to date things by
        for (_, value) in self.store.list(PEERS, PEERS_OWNER).await? {
            let row = PeerRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
            let pin = row.pin.map(|pin| <[u8; 32]>::try_from(pin).map_err(|_| StoreError::Altered)).transpose()?;
            let introduced_by = row.introduced_by;
            // the settings file stands above what people say
            if introduced_by.is_empty() || self.federation.peers.find(&row.domain).is_none() {
                self.federation.peers.add(Peer { domain: row.domain, addresses: row.addresses, pin, introduced_by });
            }
        }
        Ok(())
    }
}
