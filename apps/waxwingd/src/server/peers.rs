//! Brokers that are reached without DNS: added, listed and removed while the broker runs.

use std::fmt;

use broker::tables::{PEERS, PEERS_OWNER, PeerRow};
use broker::{Broker, Peer};
use prost::Message as _;
use store::StoreError;

use super::links::parse_peer;

/// Why a peer was not added or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerError {
    /// The text is no peer link.
    NotAPeerLink,
    /// The link is this broker's own.
    Oneself,
    /// There is no such peer.
    Unknown,
    /// The disk does not obey.
    Store(StoreError),
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAPeerLink => "this is not a peer link: copy what `waxwingd status` shows on the other broker",
            Self::Oneself => "this is the link of this broker: add it on the other one",
            Self::Unknown => "there is no such peer: `waxwingd peer list` shows those that are known",
            Self::Store(error) => return error.fmt(f),
        })
    }
}

impl std::error::Error for PeerError {}

impl From<StoreError> for PeerError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Remembers a peer by its link and returns its domain.
pub(crate) async fn add(broker: &Broker, link: &str) -> Result<String, PeerError> {
    let peer = parse_peer(link).ok_or(PeerError::NotAPeerLink)?;
    if peer.domain == broker.config.domain {
        return Err(PeerError::Oneself);
    }
    let domain = peer.domain.clone();
    broker.add_peer(peer).await?;
    Ok(domain)
}

/// Lists the peers that are remembered, by domain.
pub(crate) async fn list(broker: &Broker) -> Result<Vec<Peer>, PeerError> {
    let rows = broker.store.list(PEERS, PEERS_OWNER).await?;
    let mut peers = Vec::with_capacity(rows.len());
    for (_, value) in rows {
        let row = PeerRow::decode(value.as_slice()).map_err(|_| StoreError::Altered)?;
        let pin = row.pin.and_then(|pin| pin.try_into().ok());
        let introduced_by = row.introduced_by;
        peers.push(Peer { domain: row.domain, addresses: row.addresses, pin, introduced_by });
    }
    peers.sort_by(|a, b| a.domain.cmp(&b.domain));
    Ok(peers)
}

/// Forgets a peer: it must prove itself like any other server from now on.
pub(crate) async fn remove(broker: &Broker, domain: &str) -> Result<(), PeerError> {
    if broker.remove_peer(domain).await? { Ok(()) } else { Err(PeerError::Unknown) }
}
