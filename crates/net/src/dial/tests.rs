//! Finding and reaching a domain on loopback, with a name server and a proxy of our own.

use std::sync::Arc;

use tokio::net::TcpListener;
use xmpp::time::Clock as _;

use super::*;
use crate::Service;
use crate::certificate::Pin;
use crate::clock::SystemClock;
use crate::identity::{Identity, OwnCa, ReloadableIdentity, generate_key_pem};
use crate::testing::{DnsResponder, Record, SocksProxy};
use crate::tls::{Purpose, ServerTls};
use crate::verify::VerifyError;

const V4: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn responder() -> (DnsResponder, Dialler) {
    let dns = DnsResponder::start(([127, 0, 0, 1], 0).into()).expect("a free port");
    let dialler = Dialler::direct(Names::from_server(dns.address())).with_timeout(Duration::from_secs(5));
    (dns, dialler)
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

/// A port of 127.0.0.1 on which nobody listens.
async fn dead_port() -> u16 {
    listener().await.1
}

fn identity(domain: &str) -> (Arc<ReloadableIdentity>, Pin) {
    let ca = OwnCa::generate(domain, SystemClock.now()).expect("made");
    let key = generate_key_pem().expect("made");
    let chain = ca.issue(domain, &key, SystemClock.now()).expect("issued");
    let identity = Identity::from_pem(&chain, &key).expect("read");
    let pin = identity.pin();
    (ReloadableIdentity::new(identity), pin)
}

/// A server that speaks direct TLS for `domain` until the test ends.
async fn tls_server(domain: &str) -> (u16, Pin) {
    let (listener, port) = listener().await;
    let (identity, pin) = identity(domain);
    tokio::spawn(async move {
        let tls = ServerTls::new(Purpose::XmppClients, identity);
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok((mut connection, _)) = Connection::from(stream).accept_tls(&tls, 0).await {
                let _ = connection.send(b"hello").await;
            }
        }
    });
    (port, pin)
}

#[tokio::test]
async fn srv_records_lead_to_the_host_and_direct_tls_comes_first() {
    let (dns, dialler) = responder();
    let (starttls, starttls_port) = listener().await;
    let (direct, direct_port) = listener().await;
    dns.add("_xmpp-client._tcp.north.example", Record::srv("a.north.example", starttls_port));
    dns.add("_xmpps-client._tcp.north.example", Record::srv("b.north.example", direct_port));
    dns.add("a.north.example", Record::Address(V4));
    dns.add("b.north.example", Record::Address(V4));
    let target = Target::new("North.example", Service::Client);
    let (stream, mode) = dialler.connect(&target).await.expect("reached");
    assert_eq!((mode, stream.peer_addr().expect("connected").port()), (Mode::DirectTls, direct_port));
    drop(direct);
    let (stream, mode) = dialler.connect(&target).await.expect("reached the next one");
    assert_eq!((mode, stream.peer_addr().expect("connected").port()), (Mode::StartTls, starttls_port));
    drop(starttls);
}

#[tokio::test]
async fn srv_records_are_tried_by_priority() {
    let (dns, dialler) = responder();
    let (_second, second_port) = listener().await;
    let dead = dead_port().await;
    let name = "_xmpp-server._tcp.north.example";
    dns.add(name, Record::Srv { priority: 20, weight: 0, port: second_port, target: "a.north.example".into() });
    dns.add(name, Record::Srv { priority: 10, weight: 0, port: dead, target: "a.north.example".into() });
    dns.add("a.north.example", Record::Address(V4));
    let target = Target::new("north.example", Service::Server);
    let (stream, _) = dialler.connect(&target).await.expect("reached");
    assert_eq!(stream.peer_addr().expect("connected").port(), second_port);
    assert_eq!(
        dns.asked().iter().filter(|name| name.starts_with('_')).collect::<Vec<_>>(),
        ["_xmpps-server._tcp.north.example", "_xmpp-server._tcp.north.example"]
    );
}

#[tokio::test]
async fn a_dot_as_target_means_not_offered_and_nothing_else_is_tried() {
    let (dns, dialler) = responder();
    dns.add("_xmpp-client._tcp.north.example", Record::Srv { priority: 0, weight: 0, port: 0, target: ".".into() });
    dns.add("north.example", Record::Address(V4));
    let target = Target::new("north.example", Service::Client);
    assert_eq!(dialler.connect(&target).await.map(|_| ()), Err(DialError::NotOffered));
    assert!(!dns.asked().contains(&"north.example".to_owned()), "no fallback to the address (XEP-0368 §3)");
}

#[tokio::test]
async fn direct_tls_not_offered_leaves_starttls() {
    let (dns, dialler) = responder();
    let (_server, port) = listener().await;
    dns.add("_xmpps-client._tcp.north.example", Record::Srv { priority: 0, weight: 0, port: 0, target: ".".into() });
    dns.add("_xmpp-client._tcp.north.example", Record::srv("north.example", port));
    dns.add("north.example", Record::Address(V4));
    let (_, mode) = dialler.connect(&Target::new("north.example", Service::Client)).await.expect("reached");
    assert_eq!(mode, Mode::StartTls);
}

#[tokio::test]
async fn without_srv_records_the_domain_itself_is_tried_at_the_standard_ports() {
    let (dns, dialler) = responder();
    dns.add("north.example", Record::Address("127.0.0.253".parse().expect("an address")));
    let target = Target::new("north.example", Service::Server);
    let Err(DialError::Unreachable(attempts)) = dialler.connect(&target).await else {
        panic!("nobody listens on 127.0.0.253");
    };
    let tried: Vec<_> = attempts.iter().map(|attempt| (attempt.port, attempt.mode, attempt.error)).collect();
    assert_eq!(tried, [(5269, Mode::StartTls, OpenError::Refused), (5270, Mode::DirectTls, OpenError::Refused)]);
    let message = DialError::Unreachable(attempts).to_string();
    assert!(message.contains("5269 (STARTTLS): nothing listens there") && !message.contains("127.0"), "{message}");
}

#[tokio::test]
async fn an_unknown_domain_is_said_to_be_unknown() {
    let (_dns, dialler) = responder();
    let error = dialler.connect(&Target::new("nowhere.example", Service::Client)).await.map(|_| ());
    let Err(DialError::Unreachable(attempts)) = error else { panic!("{error:?}") };
    assert!(attempts.iter().all(|attempt| attempt.error == OpenError::Name(DnsError::NotFound)), "{attempts:?}");
}

#[tokio::test]
async fn one_dead_address_of_a_host_does_not_matter() {
    let (dns, dialler) = responder();
    let (_server, port) = listener().await;
    dns.add("_xmpp-client._tcp.north.example", Record::srv("a.north.example", port));
    dns.add("a.north.example", Record::Address("::1".parse().expect("an address"))); // nobody listens there
    dns.add("a.north.example", Record::Address(V4));
    dialler.connect(&Target::new("north.example", Service::Client)).await.expect("reached by IPv4");
}

#[tokio::test]
async fn named_hosts_and_routes_need_no_dns() {
    let (dns, dialler) = responder();
    let (_server, port) = listener().await;
    let endpoint = Endpoint::new("127.0.0.1", port, Mode::StartTls);
    let named = Target::new("north-abcdef.local", Service::Client).at([endpoint.clone()]);
    dialler.connect(&named).await.expect("reached by wx-at");
    let route = Route { at: vec![endpoint], pins: Vec::new() };
    assert!(dialler.routes().set("south-abcdef.local", route));
    for domain in ["south-abcdef.local", "rooms.south-abcdef.local"] {
        dialler.connect(&Target::new(domain, Service::Server)).await.expect("reached by its route");
    }
    assert_eq!(dns.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_link_is_under_tls_and_a_wrong_pin_is_refused() {
    let (port, pin) = tls_server("north.example").await;
    let dialler = Dialler::direct(Names::from_server(([127, 0, 0, 1], 9).into()));
    let target = Target::new("north.example", Service::Client).at([Endpoint::new("127.0.0.1", port, Mode::DirectTls)]);
    let pinned = ClientTls::new(Service::Client, Trust::pins([pin]));
    let mut link = dialler.connect_link(&target, &pinned, None).await.expect("reached");
    assert!(link.connection.is_secure() && link.facts.is_some());
    assert_eq!(link.connection.read_chunk().await.expect("read").as_deref(), Some(&b"hello"[..]));
    let wrong = ClientTls::new(Service::Client, Trust::pins([Pin::from_bytes([9; 32])]));
    let error = dialler.connect_link(&target, &wrong, None).await.expect_err("refused");
    assert_eq!(error.tls_error(), Some(TlsError::Certificate(VerifyError::PinMismatch)));
    // The pin of the domain's route stands above the caller's trust.
    assert!(dialler.routes().set("north.example", Route { at: Vec::new(), pins: vec![pin] }));
    dialler.connect_link(&target, &wrong, None).await.expect("the route's pin fits");
}

#[tokio::test]
async fn a_host_that_fails_in_tls_is_passed_over() {
    let (right, pin) = tls_server("north.example").await;
    let (wrong, _) = tls_server("north.example").await;
    let dialler = Dialler::direct(Names::system());
    let target = Target::new("north.example", Service::Client)
        .at([wrong, right].map(|port| Endpoint::new("127.0.0.1", port, Mode::DirectTls)));
    let pinned = ClientTls::new(Service::Client, Trust::pins([pin]));
    dialler.connect_link(&target, &pinned, None).await.expect("the second one is the domain");
}

#[tokio::test]
async fn through_a_proxy_no_name_is_resolved_here() {
    let proxy = SocksProxy::start().expect("a free port");
    let (port, _) = tls_server("abcdefgh.onion").await;
    let to = SocketAddr::new(V4, port);
    proxy.lead("abcdefgh.onion", 5223, to);
    let dialler = Dialler::through(Proxy::new(proxy.address()));
    let target = Target::new("abcdefgh.onion", Service::Client).isolated("alice");
    let tls = ClientTls::new(Service::Client, Trust::public());
    let link = dialler.connect_link(&target, &tls, None).await.expect("an onion address proves itself");
    assert_eq!(link.mode, Mode::DirectTls);
    assert_eq!(proxy.asked(), [("abcdefgh.onion".to_owned(), 5222), ("abcdefgh.onion".to_owned(), 5223)]);
    let users = proxy.users();
    assert_eq!(users.first(), users.last(), "one purpose, one circuit");
    proxy.lead("abcdefgh.onion", 5222, to);
    dialler.connect(&target.clone().isolated("bob")).await.expect("reached");
    assert_ne!(proxy.users().last(), users.last(), "another purpose, another circuit");
}

#[tokio::test]
async fn the_proxys_refusals_are_told_apart() {
    let proxy = SocksProxy::start().expect("a free port");
    let dead = SocketAddr::new(V4, dead_port().await);
    proxy.lead("north.example", 1, dead);
    let dialler = Dialler::through(Proxy::new(proxy.address()));
    let open = |host: HostPort| {
        let dialler = dialler.clone();
        async move { dialler.open(&host, AddressRule::Any, None).await.map(|_| ()) }
    };
    assert_eq!(open(HostPort::new("north.example", 1)).await, Err(OpenError::Proxy(ProxyError::Refused)));
    assert_eq!(open(HostPort::new("south.example", 1)).await, Err(OpenError::Proxy(ProxyError::HostUnreachable)));
    let nobody = Dialler::through(Proxy::new(dead));
    let refused = nobody.open(&HostPort::new("north.example", 1), AddressRule::Any, None).await.map(|_| ());
    assert_eq!(refused, Err(OpenError::Proxy(ProxyError::NotRunning)));
}

#[tokio::test]
async fn f05_with_a_proxy_nothing_goes_past_it() {
    let (dns, direct) = responder();
    let (bystander, port) = listener().await;
    dns.add("_xmpp-client._tcp.north.example", Record::srv("north.example", port));
    dns.add("north.example", Record::Address(V4));
    let proxy = SocksProxy::start().expect("a free port");
    let dialler = direct.with_proxy(Proxy::new(proxy.address()));
    let endpoint = Endpoint::new("127.0.0.1", port, Mode::StartTls);
    assert!(dialler.routes().set("south.example", Route { at: vec![endpoint.clone()], pins: Vec::new() }));
    let named = Target::new("east.example", Service::Client).at([endpoint]);
    for target in [Target::new("north.example", Service::Client), Target::new("south.example", Service::Server), named]
    {
        assert!(dialler.connect(&target).await.is_err(), "the proxy leads nowhere");
    }
    assert_eq!(dns.asked(), Vec::<String>::new());
    let asked: Vec<_> = proxy.asked().into_iter().map(|(host, _)| host).collect();
    assert_eq!(asked, ["north.example", "north.example", "127.0.0.1", "127.0.0.1"]);
    let reached = tokio::time::timeout(Duration::from_millis(50), bystander.accept()).await;
    assert!(reached.is_err(), "somebody connected directly");
}

#[tokio::test]
async fn a_host_without_a_stated_mode_is_tried_both_ways() {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = Connection::from(stream);
                let _ = connection.read_chunk().await;
                let _ = connection.send(b"<stream:error>").await; // what was read is no XML
                connection.close().await;
            });
        }
    });
    let target = Target::new("north.example", Service::Client).at(Endpoint::either(HostPort::new("127.0.0.1", port)));
    let tls = ClientTls::new(Service::Client, Trust::public());
    let link = Dialler::direct(Names::system()).connect_link(&target, &tls, None).await.expect("reached");
    assert_eq!((link.mode, link.connection.is_secure()), (Mode::StartTls, false));
}

#[tokio::test]
async fn onion_names_are_never_asked_for_without_a_proxy() {
    let (dns, dialler) = responder();
    let error = dialler.connect(&Target::new("abcdefgh.onion", Service::Client)).await.expect_err("no way");
    let DialError::Unreachable(attempts) = error else { panic!("{error:?}") };
    assert!(attempts.iter().all(|attempt| attempt.error == OpenError::Name(DnsError::Forbidden)));
    assert_eq!(dns.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn f04_strangers_cannot_make_us_connect_to_private_addresses() {
    let (dns, dialler) = responder();
    let (_server, port) = listener().await;
    dns.add("private.example", Record::Address(V4));
    dns.add("mixed.example", Record::Address("203.0.114.1".parse().expect("an address")));
    dns.add("mixed.example", Record::Address(V4));
    for host in ["private.example", "mixed.example", "127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1"] {
        let refused = dialler.open(&HostPort::new(host, port), AddressRule::PublicOnly, None).await.map(|_| ());
        assert_eq!(refused, Err(OpenError::NotPublic), "{host}");
    }
    let proxy = SocksProxy::start().expect("a free port");
    let proxied = Dialler::through(Proxy::new(proxy.address()));
    for host in ["127.0.0.1", "localhost", "10.0.0.1", "::1"] {
        let refused = proxied.open(&HostPort::new(host, port), AddressRule::PublicOnly, None).await.map(|_| ());
        assert_eq!(refused, Err(OpenError::NotPublic), "{host}");
    }
    assert_eq!(proxy.asked(), []);
}
