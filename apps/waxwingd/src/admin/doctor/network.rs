//! The network: ports, DNS, and what links say of the way to this broker.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use net::dial::is_public;
use net::dns::{DnsError, Names, Srv, SrvAnswer};
use net::listen::{BindError, Gate, Listener};
use xep::uri::{Endpoint, Host};

use super::super::commands::Context;
use super::super::protocol::{Check, PortsLine};
use crate::settings::Ports;

/// What to do when the name servers are at fault.
const RESOLVER: &str = "See which name servers this machine uses (/etc/resolv.conf), or name one: [federation] dns.";

/// What DNS should say.
pub(super) struct Place<'a> {
    pub(super) domain: &'a str,
    pub(super) is_public_name: bool,
    pub(super) ports: PortsLine,
    pub(super) is_federating: bool,
    pub(super) names: &'a Names,
}

/// Tells whether the ports of the running broker answer.
pub(super) async fn listening(context: &Context) -> Check {
    let name = "ports";
    let addresses = context.facts.addresses;
    let mut all = vec![addresses.client, addresses.client_tls];
    if context.shared.federation.is_enabled {
        all.extend([addresses.server, addresses.server_tls]);
    }
    all.push(addresses.https);
    let mut silent = Vec::new();
    for address in &all {
        let at = if address.ip().is_unspecified() {
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
        } else {
            *address
        };
        let connecting = tokio::time::timeout(Duration::from_secs(3), tokio::net::TcpStream::connect(at)).await;
        if !matches!(connecting, Ok(Ok(_))) {
            silent.push(address.port().to_string());
        }
    }
    let list: Vec<String> = all.iter().map(|address| address.port().to_string()).collect();
    if silent.is_empty() {
        let list = list.join(", ");
        return Check::good(name, format!("{list} answer on this machine; a router in front must forward them"));
    }
    Check::bad(
        name,
        format!("nothing answers on {}: clients and servers cannot connect", silent.join(", ")),
        "Check the firewall of this machine, then restart the broker.",
    )
}

/// Tells whether a start could open the ports.
pub(super) async fn free_ports(listen: Option<IpAddr>, ports: Ports) -> Check {
    let name = "ports";
    let address = listen.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let mut held = Vec::new();
    for port in [ports.client, ports.client_tls, ports.server, ports.server_tls, ports.https] {
        match Listener::bind((address, port).into(), Gate::new(None)).await {
            Ok(listener) => held.push(listener),
            Err(error @ BindError::PortTaken { .. }) => {
                return Check::bad(name, error.to_string(), "See who has it with `ss -ltnp`.");
            }
            Err(error) => return Check::bad(name, error.to_string(), ""),
        }
    }
    Check::good(name, "all five are free")
}

/// Asks DNS about the broker: the addresses of its domain, and where apps and other servers are sent.
pub(super) async fn dns(place: &Place<'_>) -> Vec<Check> {
    if !place.is_public_name {
        let domain = place.domain;
        return vec![Check::good(
            "DNS",
            format!("{domain} is a name of this broker's own making: DNS is not asked, and links carry the address"),
        )];
    }
    let ports = place.ports;
    let mut checks = vec![addresses(place.domain, &place.names.addresses(place.domain).await)];
    let apps = [("_xmpp-client", ports.client, 5222), ("_xmpps-client", ports.client_tls, 5223)];
    for (label, port, usual) in apps {
        checks.push(service(place, "apps", label, port, usual).await);
    }
    if place.is_federating {
        let servers = [("_xmpp-server", ports.server, 5269), ("_xmpps-server", ports.server_tls, 5270)];
        for (label, port, usual) in servers {
            checks.push(service(place, "other servers", label, port, usual).await);
        }
    }
    checks
}

async fn service(place: &Place<'_>, who: &str, label: &str, port: u16, usual: u16) -> Check {
    let answer = place.names.services(label, place.domain, &mut |_| 0).await;
    let mut check = records(place.domain, who, label, (port, usual), &answer);
    let Ok(SrvAnswer::Hosts(hosts)) = &answer else { return check };
    // A record that leads to a host without an address leads nowhere.
    for host in hosts {
        if let Err(error) = place.names.addresses(&host.host).await {
            check = Check::bad(
                &format!("DNS {label}"),
                format!("the record leads to {}, which has no address: {error}", host.host),
                format!("Add an A or AAAA record for {}.", host.host),
            );
        }
    }
    check
}

/// What the addresses of the domain mean.
pub(super) fn addresses(domain: &str, answer: &Result<Vec<IpAddr>, DnsError>) -> Check {
    let name = "DNS addresses";
    match answer {
        Ok(found) if found.iter().any(|address| is_public(*address)) => {
            Check::good(name, format!("{domain} has {} in public DNS", count(found.len(), "address", "addresses")))
        }
        Ok(_) => Check::warning(
            name,
            format!("{domain} has only addresses of a private network: nobody outside of it reaches this broker"),
            "For people elsewhere, add an A or AAAA record with the public address.",
        ),
        Err(DnsError::NotFound) => Check::warning(
            name,
            format!(
                "DNS knows no address of {domain}: web pages and files are not found, nor apps without SRV records"
            ),
            format!("Add an A (IPv4) or AAAA (IPv6) record for {domain}."),
        ),
        Err(error) => Check::warning(name, format!("DNS cannot be asked: {error}"), RESOLVER),
    }
}

/// What SRV records mean. `ports` is the one that we listen on, and the usual one.
pub(super) fn records(
    domain: &str,
    who: &str,
    label: &str,
    ports: (u16, u16),
    answer: &Result<SrvAnswer, DnsError>,
) -> Check {
    let name = format!("DNS {label}");
    let (port, usual) = ports;
    let record = format!("{label}._tcp.{domain}. SRV 0 5 {port} {domain}.");
    match answer {
        Ok(SrvAnswer::Hosts(hosts)) => match wrong_port(hosts, port) {
            None => Check::good(&name, format!("{who} are sent to port {port}")),
            Some(other) => Check::warning(
                &name,
                format!("{who} are sent to port {other}, and this broker listens on {port}"),
                format!("Unless a router forwards {other} to {port}, change the record: {record}"),
            ),
        },
        Ok(SrvAnswer::NotOffered) => Check::bad(
            &name,
            format!("DNS says that {domain} does not offer this, so {who} do not even try"),
            format!("Replace the record with the target \".\": {record}"),
        ),
        // XEP-0368: direct TLS is known by its record alone; STARTTLS has a usual port.
        Ok(SrvAnswer::NoRecords) if label.starts_with("_xmpps") => Check::warning(
            &name,
            format!(
                "there is no record, so {who} do not use port {port}; the one without TLS from the start serves too"
            ),
            format!("Add it: {record}"),
        ),
        Ok(SrvAnswer::NoRecords) if port == usual => {
            Check::good(&name, format!("there is no record, and none is needed: {who} try port {usual}"))
        }
        Ok(SrvAnswer::NoRecords) => Check::bad(
            &name,
            format!("there is no record, so {who} try port {usual}, and this broker listens on {port}"),
            format!("Add it: {record}"),
        ),
        Err(error) => Check::warning(&name, format!("DNS cannot be asked: {error}"), RESOLVER),
    }
}

fn wrong_port(hosts: &[Srv], port: u16) -> Option<u16> {
    let first = hosts.first()?;
    (!hosts.iter().any(|srv| srv.port == port)).then_some(first.port)
}

/// What the links of a broker say that DNS does not know.
pub(super) fn links(at: &[Endpoint], is_public_name: bool) -> Check {
    let name = "links";
    if at.is_empty() {
        return Check::good(name, "links name the domain alone; DNS leads to it");
    }
    let is_private = |endpoint: &Endpoint| matches!(&endpoint.host, Host::Address(address) if !is_public(*address));
    if at.iter().all(is_private) && !is_public_name {
        return Check::warning(
            name,
            "links carry addresses that are known in this network only: people elsewhere cannot join",
            "If a router forwards the ports, name its outer address or a DNS name: announce = [\"example.net\"].",
        );
    }
    Check::good(name, format!("links carry {} of this broker", count(at.len(), "address", "addresses")))
}

/// Whether there are other servers.
pub(super) fn federation(is_enabled: bool, allow: &[String]) -> Check {
    let name = "federation";
    match (is_enabled, allow.len()) {
        (false, _) => Check::warning(
            name,
            "people of other servers cannot be reached: federation is off",
            "If that is not meant, set [federation] enabled = true.",
        ),
        (true, 0) => Check::good(name, "people of all servers that prove who they are can be reached"),
        (true, domains) => Check::good(
            name,
            format!(
                "only {} allowed",
                match domains {
                    1 => "1 domain is".to_owned(),
                    domains => format!("{domains} domains are"),
                }
            ),
        ),
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
