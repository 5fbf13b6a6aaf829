//! Federation as between strangers: SRV records, and certificates of an authority that both believe.

use net::clock::SystemClock;
use net::identity::{OwnCa, generate_key_pem};
use net::testing::{DnsResponder, Record};
use tokio::net::TcpListener;
use waxwingd::settings::CertificateFiles;
use waxwingd::{Server, Settings};
use xmpp::time::Clock as _;

use crate::person::{Person, Way, message};
use crate::scratch::Scratch;
use crate::talk;

/// Settings with a certificate of `ca`, its name server, and its authority as the only additional one.
fn settings(scratch: &Scratch, ca: &OwnCa, domain: &str, dns: &DnsResponder) -> Settings {
    let key = generate_key_pem().expect("made");
    let chain = ca.issue(domain, &key, SystemClock.now()).expect("issued");
    let files = CertificateFiles {
        chain: scratch.path().join(format!("{domain}.chain.pem")),
        key: scratch.path().join(format!("{domain}.key.pem")),
    };
    std::fs::write(&files.chain, chain).expect("written");
    std::fs::write(&files.key, key).expect("written");
    let mut settings = talk::settings(domain);
    settings.certificate = Some(files);
    settings.federation.dns = Some(dns.address());
    settings.federation.authorities_pem = Some(ca.certificate_pem().to_owned());
    settings
}

/// Says in DNS where a broker listens for others.
fn announce(dns: &DnsResponder, server: &Server) {
    let (domain, port) = (server.domain(), server.addresses().server_tls.port());
    dns.add(&format!("_xmpps-server._tcp.{domain}"), Record::srv("host.example", port));
    dns.add("host.example", Record::Address([127, 0, 0, 1].into()));
}

async fn person(server: &Server, name: &str) -> Person {
    let invite = server.invite().await.expect("an invitation");
    // With a public certificate a link has no pin; in this process we know it.
    assert!(!invite.link.contains("wx-pin"), "{}", invite.link);
    let pinned = invite.link.replace(";wx-at", &format!(";wx-pin={};wx-at", server.pin().to_text()));
    Person::register(&Way::of_link(&pinned), name, "correct horse battery staple").await
}

#[tokio::test]
async fn strangers_federate_by_dns_and_certificates_unless_it_is_denied() {
    let scratch = Scratch::new();
    let dns = DnsResponder::start(([127, 0, 0, 1], 0).into()).expect("a free port");
    let ca = OwnCa::generate("example", SystemClock.now()).expect("made");
    let north = Server::start(settings(&scratch, &ca, "north.example", &dns)).await.expect("starts");
    let south = Server::start(settings(&scratch, &ca, "south.example", &dns)).await.expect("starts");
    let mut strict = settings(&scratch, &ca, "strict.example", &dns);
    strict.federation.deny = vec!["north.example".to_owned()];
    let strict = Server::start(strict).await.expect("starts");
    for server in [&north, &south, &strict] {
        announce(&dns, server);
    }
    let (mut alice, mut bob) = (person(&north, "alice").await, person(&south, "bob").await);
    let mut carol = person(&strict, "carol").await;
    for person in [&mut alice, &mut bob, &mut carol] {
        person.be_available().await;
    }
    alice.send(&message("bob@south.example", "found you")).await;
    bob.receive_body("found you").await;
    bob.send(&message("carol@strict.example", "you too")).await;
    carol.receive_body("you too").await;

    alice.send(&message("carol@strict.example", "let me in")).await;
    let error = alice.receive("an error", |stanza| stanza.attr("type") == Some("error")).await;
    assert_eq!(error.attr("from"), Some("carol@strict.example"));
    carol.send(&message("alice@north.example", "not to you")).await;
    let error = carol.receive("an error", |stanza| stanza.attr("type") == Some("error")).await;
    assert_eq!(error.attr("from"), Some("alice@north.example"));
    for server in [north, south, strict] {
        server.stop().await;
    }
}

/// What DNS says of a stranger's domain leads to public addresses, or nowhere (attack row F04 between servers).
#[tokio::test]
async fn b01_a_strangers_domain_leads_into_no_private_network() {
    let dns = DnsResponder::start(([127, 0, 0, 1], 0).into()).expect("a free port");
    let inside = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let port = inside.local_addr().expect("bound").port();
    let mut settings = talk::settings("north.example");
    settings.federation.dns = Some(dns.address());
    settings.federation.networks.clear();
    let north = Server::start(settings).await.expect("starts");
    let mut alice = talk::register(&north, "alice").await;
    alice.be_available().await;
    for (nth, address) in ["127.0.0.1", "::1", "10.0.0.1", "192.168.0.1", "169.254.1.1"].into_iter().enumerate() {
        let (domain, host) = (format!("d{nth}.example"), format!("inside{nth}.example"));
        dns.add(&format!("_xmpps-server._tcp.{domain}"), Record::srv(&host, port));
        dns.add(&host, Record::Address(address.parse().expect("an address")));
        alice.send(&message(&format!("bob@{domain}"), "hello?")).await;
        let error = alice.receive("an error", |stanza| stanza.attr("type") == Some("error")).await;
        assert!(error.to_xml("").contains("remote-server-not-found"), "{address}");
    }
    let reached = tokio::time::timeout(std::time::Duration::from_millis(50), inside.accept()).await;
    assert!(reached.is_err(), "somebody connected into the private network");
    north.stop().await;
}
