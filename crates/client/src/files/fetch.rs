//! Whether and from where a file may be fetched.
//!
//! An address in a message is somebody else's choice. Following it can tell where one is, or make one's machine knock
//! at doors of its own network (attack row F04). So: only contacts, only `https`, no private network except where the
//! own broker or the sender's pinned broker is; and the connection itself checks once more what names resolve to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use xep::esfs::Reach;
use xep::https_url::HttpsUrl;
use xep::sfs::Source;
use xep::uri::Host;

use super::FILE_BYTES_MAX;
use super::offer::Offer;
use crate::error::Failure;
use crate::event::Relation;
use crate::output::{
    Endpoint, HttpFailure, HttpId, HttpMethod, HttpOutcome, HttpRequest, PrivateAddresses, ServerIdentity,
};

/// How much longer than the file its ciphertext may be: the tag, and whatever padding other clients use.
const OVERHEAD_BYTES: u64 = 128 * 1024;

/// A broker as far as files are concerned: the own one, or a sender's.
#[derive(Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its domain. Services below it belong to it.
    pub domain: String,
    /// SHA-256 of its TLS key, when a link named it.
    pub pin: Option<[u8; 32]>,
    /// Where it is without DNS; empty when DNS knows. Ports are those of other services and not used.
    pub endpoints: Vec<Endpoint>,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Broker(<redacted>)")
    }
}

/// How to connect for one URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) identity: ServerIdentity,
    pub(super) addresses: Vec<Endpoint>,
    pub(super) private_addresses: PrivateAddresses,
}

impl Broker {
    /// How to connect to a URL of this broker; none when it is not this broker's.
    pub(super) fn place(&self, url: &HttpsUrl) -> Option<Place> {
        let own_name = match &url.host {
            // a URL names machines in ASCII, however the domain is written in addresses
            Host::Name(name) => xmpp::jid::to_ascii(&self.domain).is_some_and(|domain| is_below(name, &domain)),
            Host::Address(address) => self.endpoints.iter().any(|e| e.host.parse() == Ok(*address)),
        };
        own_name.then(|| Place {
            identity: self.pin.map_or(ServerIdentity::PublicCertificate, ServerIdentity::Pin),
            addresses: self.endpoints.iter().map(|e| Endpoint { host: e.host.clone(), port: url.port }).collect(),
            private_addresses: PrivateAddresses::Allow,
        })
    }

    /// How to connect to a URL that nobody vouches for; none when it is plainly in a private network.
    pub(super) fn public_place(url: &HttpsUrl) -> Option<Place> {
        let private = match &url.host {
            Host::Address(address) => is_private(*address),
            Host::Name(name) => is_below(name, "localhost"),
        };
        (!private).then(|| Place {
            identity: ServerIdentity::PublicCertificate,
            addresses: Vec::new(),
            private_addresses: PrivateAddresses::Refuse,
        })
    }

    /// How to connect when the offer names the pin that we know this broker by. Both must be there and be equal: a pin
    /// that only the offer knows would let any sender point at any machine.
    fn pinned_place(&self, url: &HttpsUrl, reach: &Reach) -> Option<Place> {
        if self.pin != Some(reach.pin) {
            return None;
        }
        let at = |e: &xep::uri::Endpoint| Endpoint { host: bare_host(&e.host), port: e.port };
        let mut addresses: Vec<Endpoint> = reach.at.iter().map(at).collect();
        if addresses.is_empty() {
            addresses = self.endpoints.iter().map(|e| Endpoint { host: e.host.clone(), port: url.port }).collect();
        }
        Some(Place { identity: ServerIdentity::Pin(reach.pin), addresses, private_addresses: PrivateAddresses::Allow })
    }
}

/// Tells whether files of somebody may be fetched, even when the user asks: only those of contacts.
#[must_use]
pub fn may_fetch(relation: Relation) -> bool {
    relation == Relation::Accepted
}

/// Makes the request that fetches an offered file: the first of its addresses that may be used.
///
/// `sender` is what is known of the sender's broker, `own` is one's own.
///
/// # Errors
///
/// [`Failure::FileTooLarge`], or [`Failure::FileAddress`] when no address may be used.
///
/// Source: security-design §5.3.
pub fn fetch_request(id: HttpId, offer: &Offer, own: &Broker, sender: &Broker) -> Result<HttpRequest, Failure> {
    let (urls, reach, size) = match offer {
        Offer::Link(link) => (std::slice::from_ref(&link.url), None, None),
        Offer::Sharing(sharing) => {
            let source = sharing.sources.iter().find_map(|source| match source {
                Source::Encrypted(source) => Some(source),
                Source::Url(_) => None,
            });
            let source = source.ok_or(Failure::FileAddress)?;
            (source.urls.as_slice(), source.reach.as_ref(), sharing.file.size_bytes)
        }
    };
    if size.is_some_and(|size| size > FILE_BYTES_MAX) {
        return Err(Failure::FileTooLarge);
    }
    let place = |url: &HttpsUrl| {
        let own_place = own.place(url);
        let pinned = || reach.and_then(|reach| sender.pinned_place(url, reach));
        own_place.or_else(pinned).or_else(|| Broker::public_place(url))
    };
    let (url, place) = urls.iter().find_map(|url| Some((url, place(url)?))).ok_or(Failure::FileAddress)?;
    let size = size.unwrap_or(FILE_BYTES_MAX);
    Ok(HttpRequest {
        id,
        method: HttpMethod::Get,
        url: url.to_text(),
        headers: Vec::new(),
        body: Bytes::new(),
        identity: place.identity,
        addresses: place.addresses,
        private_addresses: place.private_addresses,
        response_bytes_max: size.saturating_add(size / 4).saturating_add(OVERHEAD_BYTES),
    })
}

/// Finds what a request brought.
///
/// # Errors
///
/// [`Failure`]: why there is nothing.
pub fn fetched(outcome: HttpOutcome) -> Result<Bytes, Failure> {
    match outcome {
        HttpOutcome::Response { status: 200, body } => Ok(body),
        HttpOutcome::Response { status: 413, .. } | HttpOutcome::Failed(HttpFailure::TooLarge) => {
            Err(Failure::FileTooLarge)
        }
        HttpOutcome::Response { status: 429 | 502..=504, .. } => Err(Failure::ServerTimeout),
        HttpOutcome::Response { .. } => Err(Failure::FileGone),
        HttpOutcome::Failed(HttpFailure::Network) => Err(Failure::ServerTimeout),
        HttpOutcome::Failed(HttpFailure::NotTrusted) => Err(Failure::NotTrusted),
        HttpOutcome::Failed(HttpFailure::PrivateAddress | HttpFailure::Redirected) => Err(Failure::FileAddress),
    }
}

/// Tells whether a name is a domain or below it.
fn is_below(name: &str, domain: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let below = name.len().checked_sub(domain.len()).and_then(|at| name.split_at_checked(at));
    below.is_some_and(|(front, end)| {
        end.eq_ignore_ascii_case(domain) && !domain.is_empty() && (front.is_empty() || front.ends_with('.'))
    })
}

fn bare_host(host: &Host) -> String {
    match host {
        Host::Name(name) => name.clone(),
        Host::Address(address) => address.to_string(),
    }
}

/// Tells whether an address is not on the public Internet. The connection checks resolved names the same way.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => is_private_v6(address),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    a == 0
        || a >= 240
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([p, q], [r, s]) = (high.to_be_bytes(), low.to_be_bytes());
        is_private_v4(Ipv4Addr::new(p, q, r, s))
    };
    match (a, b) {
        (0, 0) if (c, d, e, f) == (0, 0, 0, 0xffff) => embedded(g, h), // IPv4-mapped
        (0, _) => true,                                                // ::, ::1, IPv4-compatible
        (0x64, 0xff9b) => true,                                        // NAT64 leads anywhere
        (0x2002, _) => embedded(b, c),                                 // 6to4
        _ => (a & 0xfe00) == 0xfc00 || (a & 0xffc0) == 0xfe80 || (a & 0xff00) == 0xff00,
    }
}

#[cfg(test)]
mod tests;
