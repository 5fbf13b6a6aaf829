//! Links that lead to this broker, and links that lead to others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use broker::Peer;
use net::certificate::Pin;
use net::dial::{IpNetwork, is_public};
use xep::uri::{Action, Endpoint, Host, Link};
use xmpp::jid::Jid;

/// Finds the hosts that links name: those that were announced, else the address that is listened on, else the ones of
/// this machine.
pub(super) fn hosts(announce: &[String], listen: Option<IpAddr>) -> Vec<Host> {
    let announced: Vec<Host> = announce.iter().filter_map(|host| host_of(host)).collect();
    if !announced.is_empty() {
        return announced;
    }
    match listen.filter(|address| !address.is_unspecified()) {
        Some(address) => vec![Host::Address(address)],
        None => own_addresses().into_iter().map(Host::Address).collect(),
    }
}

/// Reads a host as an operator writes it: an international name too, which links carry in ASCII.
pub(crate) fn host_of(text: &str) -> Option<Host> {
    Host::parse(text).ok().or_else(|| Host::parse(&net::names::to_ascii(text)?).ok())
}

/// The addresses that this machine would use towards others; loopback where it has no network.
fn own_addresses() -> Vec<IpAddr> {
    // Connecting a UDP socket sends nothing: the system only chooses the way. These are addresses for documentation.
    let towards = [
        (SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 9))),
        (
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
            SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9)),
        ),
    ];
    let chosen = |(from, to): &(SocketAddr, SocketAddr)| {
        let socket = UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    let found: Vec<IpAddr> = towards.iter().filter_map(chosen).collect();
    if found.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { found }
}

/// Returns the networks, besides the public internet, in which other servers may be reached on a stranger's word: those
/// that the operator has named, and our own where we announce nothing public. Never this machine, unless it is named.
pub(super) fn near(named: &[IpNetwork], hosts: &[Host], is_public_name: bool) -> Vec<IpNetwork> {
    let address = |host: &Host| match host {
        Host::Address(address) => Some(*address),
        Host::Name(_) => None,
    };
    let announced: Option<Vec<IpAddr>> = hosts.iter().map(address).collect();
    let own = announced.filter(|all| !is_public_name && !all.iter().copied().any(is_public)).unwrap_or_default();
    let own = own.into_iter().filter_map(IpNetwork::private_around);
    named.iter().copied().chain(own).collect()
}

/// Puts a port to hosts.
pub(super) fn at(hosts: &[Host], port: u16) -> Vec<Endpoint> {
    hosts.iter().map(|host| Endpoint { host: host.clone(), port }).collect()
}

/// Makes the link that `peer add` on another broker takes; its addresses are those of direct TLS.
pub(super) fn peer_link(domain: &str, pin: Option<Pin>, at: Vec<Endpoint>) -> Option<String> {
    let mut link = Link::new(Jid::parse(domain).ok()?, Action::Peer);
    link.pin = pin.map(|pin| *pin.as_bytes());
    link.at = at;
    link.to_text().ok()
}

/// Reads a peer link.
#[must_use]
pub fn parse_peer(text: &str) -> Option<Peer> {
    let link = Link::parse(text.trim()).ok()?;
    if link.action != Action::Peer || link.address.localpart().is_some() || !link.address.is_bare() {
        return None;
    }
    Some(Peer {
        domain: link.address.domainpart().to_owned(),
        addresses: link.at.iter().map(Endpoint::to_text).collect(),
        pin: link.pin,
        introduced_by: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_link_comes_back_as_a_peer() {
        let hosts = hosts(&["192.0.2.7".into(), "north.example".into()], None);
        let link = peer_link("north.example", Some(Pin::from_bytes([7; 32])), at(&hosts, 5270)).expect("fits");
        assert!(link.starts_with("xmpp:north.example?wx-peer;wx-pin="), "{link}");
        let peer = parse_peer(&format!(" {link}\n")).expect("read");
        assert_eq!(peer.domain, "north.example");
        assert_eq!(peer.addresses, ["192.0.2.7:5270", "north.example:5270"]);
        assert_eq!(peer.pin, Some([7; 32]));
    }

    #[test]
    fn other_links_are_no_peers() {
        for bad in ["", "xmpp:north.example", "xmpp:north.example?register;preauth=x", "xmpp:a@north.example?wx-peer"] {
            assert_eq!(parse_peer(bad), None, "{bad}");
        }
        assert_eq!(parse_peer("xmpp:north.example?wx-peer;wx-pin=damaged"), None);
    }

    #[test]
    fn hosts_come_from_what_was_said_first() {
        let listen = Some(Ipv4Addr::LOCALHOST.into());
        assert_eq!(at(&hosts(&[], listen), 1)[0].to_text(), "127.0.0.1:1");
        assert_eq!(at(&hosts(&["no host!".into()], listen), 1)[0].to_text(), "127.0.0.1:1");
        assert!(!hosts(&[], None).is_empty());
    }
}
