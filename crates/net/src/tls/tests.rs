//! Real handshakes on loopback, both ends ours.

use std::sync::Arc;

use xmpp::time::{Clock as _, Timestamp};

use super::*;
use crate::Service;
use crate::clock::SystemClock;
use crate::connection::Connection;
use crate::dial::{Route, Routes};
use crate::identity::{Identity, OwnCa, ReloadableIdentity, generate_key_pem};
use crate::verify::Trust;
use tokio::net::{TcpListener, TcpStream};

/// A broker's identity and the authority that vouches for it.
fn broker(domain: &str, issued: Timestamp) -> (Arc<ReloadableIdentity>, OwnCa) {
    let ca = OwnCa::generate(domain, issued).expect("made");
    (identity_of(&ca, domain, issued), ca)
}

fn identity_of(ca: &OwnCa, domain: &str, issued: Timestamp) -> Arc<ReloadableIdentity> {
    let key = generate_key_pem().expect("made");
    let chain = ca.issue(domain, &key, issued).expect("issued");
    ReloadableIdentity::new(Identity::from_pem(&chain, &key).expect("read"))
}

fn now() -> Timestamp {
    SystemClock.now()
}

fn days_from_now(days: i64) -> Timestamp {
    Timestamp::from_millis(now().as_millis() + days * 86_400_000)
}

type Secured = Result<(Connection, TlsFacts), TlsError>;

/// Connects the two ends by TCP and lets both shake hands.
async fn shake(client: &ClientTls, server: &ServerTls, domain: &str, local: Option<&str>) -> (Secured, Secured) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let initiating = async {
        let stream = TcpStream::connect(address).await.expect("connects");
        let mut secured = Connection::from(stream).direct_tls(client, domain, local).await;
        if let Ok((connection, _)) = &mut secured {
            let _ = connection.send(b"hello").await;
        }
        secured
    };
    let receiving = async {
        let (stream, _) = listener.accept().await.expect("accepts");
        let mut secured = Connection::from(stream).accept_tls(server, 0).await;
        // In TLS 1.3 a client is done before the server has seen its certificate: only data proves the end.
        if let Ok((connection, _)) = &mut secured
            && connection.read_chunk().await.is_err()
        {
            return Err(TlsError::Closed);
        }
        secured
    };
    tokio::join!(initiating, receiving)
}

fn client(trust: Trust, versions: Versions) -> ClientTls {
    ClientTls::new(Service::Client, trust).with_versions(versions)
}

#[tokio::test]
async fn both_ends_see_the_same_bindings_in_both_versions() {
    let (identity, ca) = broker("north.example", now());
    let server = ServerTls::new(Purpose::XmppClients, Arc::clone(&identity));
    for (versions, expected) in [
        (Versions::Floor12, TlsVersion::Tls13),
        (Versions::Only13, TlsVersion::Tls13),
        (Versions::DangerOnly12, TlsVersion::Tls12),
    ] {
        let trust = Trust::only_pem(ca.certificate_pem()).expect("read");
        let (ours, theirs) = shake(&client(trust, versions), &server, "north.example", None).await;
        let ((_, ours), (_, theirs)) = (ours.expect("secured"), theirs.expect("secured"));
        assert_eq!((ours.version, theirs.version), (expected, expected));
        assert!(ours.exporter.is_some());
        assert_eq!(ours.exporter, theirs.exporter);
        assert_eq!(ours.server_end_point.as_deref(), identity.choose(None).server_end_point());
        assert_eq!(ours.server_end_point, theirs.server_end_point);
        let certificate = ours.peer_certificate.expect("a server always shows one");
        assert_eq!(certificate.spki_sha256, *identity.choose(None).pin().as_bytes());
        assert!(certificate.verified_domain_check.verifies("north.example"));
        assert!(!certificate.verified_domain_check.verifies("south.example"));
        assert!(theirs.peer_certificate.is_none(), "clients are not asked for one");
    }
}

#[tokio::test]
async fn x10_the_exporter_differs_on_every_connection() {
    let (identity, _) = broker("north.example", now());
    let trust = Trust::pins([identity.choose(None).pin()]);
    let server = ServerTls::new(Purpose::XmppClients, identity);
    let mut seen = std::collections::HashSet::new();
    for versions in [Versions::Only13, Versions::DangerOnly12] {
        for _ in 0..2 {
            let (ours, _) = shake(&client(trust.clone(), versions), &server, "north.example", None).await;
            let exporter = ours.expect("secured").1.exporter.expect("defined");
            assert!(seen.insert(exporter), "an exporter was repeated");
        }
    }
}

#[tokio::test]
async fn x10_a_rogue_certificate_has_another_end_point_and_another_pin() {
    let (real, ca) = broker("north.example", now());
    let rogue = identity_of(&ca, "north.example", now()); // mis-issued by an authority that we believe
    let trust = Trust::only_pem(ca.certificate_pem()).expect("read");
    let server = ServerTls::new(Purpose::XmppClients, rogue);
    let (ours, _) = shake(&client(trust, Versions::Floor12), &server, "north.example", None).await;
    let facts = ours.expect("an authority vouches for it").1;
    assert_ne!(facts.server_end_point.as_deref(), real.choose(None).server_end_point());
    let pinned = Trust::pins([real.choose(None).pin()]);
    let (ours, theirs) = shake(&client(pinned, Versions::Floor12), &server, "north.example", None).await;
    assert_eq!(ours.map(|_| ()), Err(TlsError::Certificate(VerifyError::PinMismatch)));
    assert_eq!(theirs.map(|_| ()), Err(TlsError::RefusedByPeer));
}

#[tokio::test]
async fn a_pin_needs_no_authority_and_no_date() {
    let (identity, _) = broker("north.example", days_from_now(-1000));
    let pin = identity.choose(None).pin();
    let server = ServerTls::new(Purpose::XmppClients, identity);
    for versions in [Versions::Only13, Versions::DangerOnly12] {
        let (ours, _) = shake(&client(Trust::pins([pin]), versions), &server, "north.example", None).await;
        ours.expect("the pin alone decides");
    }
}

#[tokio::test]
async fn certificates_that_do_not_fit_are_refused_with_the_reason() {
    let (_, ca) = broker("north.example", now());
    let (stranger, other_ca) = broker("north.example", now());
    let long_ago = OwnCa::generate("north.example", days_from_now(-1000)).expect("made");
    let trust = |ca: &OwnCa| Trust::only_pem(ca.certificate_pem()).expect("read");
    let cases = [
        (identity_of(&ca, "north.example", now()), trust(&ca), "south.example", VerifyError::WrongName),
        (identity_of(&ca, "north.example", now()), trust(&ca), "x.north.example", VerifyError::WrongName),
        (stranger, trust(&ca), "north.example", VerifyError::UnknownIssuer),
        (identity_of(&other_ca, "north.example", now()), Trust::public(), "north.example", VerifyError::UnknownIssuer),
        (
            identity_of(&long_ago, "north.example", days_from_now(-1000)),
            trust(&long_ago),
            "north.example",
            VerifyError::Expired,
        ),
        (identity_of(&ca, "north.example", days_from_now(30)), trust(&ca), "north.example", VerifyError::NotYetValid),
        // The authority was made for one domain and cannot vouch for another one.
        (identity_of(&ca, "south.example", now()), trust(&ca), "south.example", VerifyError::Unsuitable),
    ];
    for (identity, trust, domain, reason) in cases {
        for versions in [Versions::Only13, Versions::DangerOnly12] {
            let server = ServerTls::new(Purpose::XmppClients, Arc::clone(&identity));
            let (ours, theirs) = shake(&client(trust.clone(), versions), &server, domain, None).await;
            assert_eq!(ours.map(|_| ()), Err(TlsError::Certificate(reason)), "{reason:?}");
            assert!(theirs.is_err());
        }
    }
}

#[tokio::test]
async fn servers_show_certificates_and_are_checked_as_servers_afterwards() {
    let (north, north_ca) = broker("north.example", now());
    let (south, south_ca) = broker("south.example", now());
    let believed = Trust::only_pem(south_ca.certificate_pem()).expect("read");
    let receiving = ServerTls::new(Purpose::XmppServers, north).with_peer_trust(believed, Routes::default());
    let trust = Trust::only_pem(north_ca.certificate_pem()).expect("read");
    for versions in [Versions::Only13, Versions::DangerOnly12] {
        let south_tls = ClientTls::new(Service::Server, trust.clone()).with_versions(versions);
        let south_tls = south_tls.with_identity(Arc::clone(&south));
        let (_, theirs) = shake(&south_tls, &receiving, "north.example", Some("south.example")).await;
        let shown = theirs.expect("secured").1.peer_certificate.expect("shown");
        assert_eq!(shown.spki_sha256, *south.choose(None).pin().as_bytes());
        assert!(shown.verified_domain_check.verifies("south.example"));
        assert!(!shown.verified_domain_check.verifies("north.example"));
    }
}

#[tokio::test]
async fn unbelieved_and_absent_certificates_pass_the_handshake_and_no_check() {
    let (north, ca) = broker("north.example", now());
    let (stranger, _) = broker("south.example", days_from_now(-1000));
    let trust = Trust::only_pem(ca.certificate_pem()).expect("read");
    let receiving = ServerTls::new(Purpose::XmppServers, north).with_peer_trust(trust.clone(), Routes::default());
    for versions in [Versions::Only13, Versions::DangerOnly12] {
        let plain = ClientTls::new(Service::Server, trust.clone()).with_versions(versions);
        let (_, theirs) = shake(&plain, &receiving, "north.example", None).await;
        assert!(theirs.expect("let through").1.peer_certificate.is_none());
        let with_stranger = plain.with_identity(Arc::clone(&stranger));
        let (_, theirs) = shake(&with_stranger, &receiving, "north.example", None).await;
        let shown = theirs.expect("let through").1.peer_certificate.expect("shown");
        assert!(!shown.verified_domain_check.verifies("south.example"));
    }
}

#[tokio::test]
async fn pins_of_static_routes_count_for_incoming_servers_before_any_path() {
    let (north, ca) = broker("north.example", now());
    let (south, _) = broker("south.example", days_from_now(-1000));
    let routes = Routes::default();
    let pins = vec![south.choose(None).pin()];
    assert!(routes.set("south.example", Route { at: Vec::new(), pins }));
    assert!(routes.set("west.example", Route { at: Vec::new(), pins: vec![Pin::from_bytes([1; 32])] }));
    let receiving = ServerTls::new(Purpose::XmppServers, north).with_peer_trust(Trust::public(), routes);
    let trust = Trust::only_pem(ca.certificate_pem()).expect("read");
    let south_tls = ClientTls::new(Service::Server, trust).with_identity(south);
    let (_, theirs) = shake(&south_tls, &receiving, "north.example", None).await;
    let shown = theirs.expect("secured").1.peer_certificate.expect("shown");
    assert!(shown.verified_domain_check.verifies("south.example"));
    assert!(!shown.verified_domain_check.verifies("west.example"), "another domain's pin");
    assert!(!shown.verified_domain_check.verifies("east.example"), "no pin, so authorities decide");
}

#[tokio::test]
async fn x09_bytes_before_tls_end_the_connection() {
    let (identity, ca) = broker("north.example", now());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let ours = Connection::from(TcpStream::connect(address).await.expect("connects"));
    let (theirs, _) = listener.accept().await.expect("accepts");
    let trust = Trust::only_pem(ca.certificate_pem()).expect("read");
    let refused = ours.start_tls(&client(trust, Versions::Floor12), "north.example", None, 1).await;
    assert_eq!(refused.map(|_| ()), Err(TlsError::PlaintextBeforeTls));
    let server = ServerTls::new(Purpose::XmppClients, identity);
    let refused = Connection::from(theirs).accept_tls(&server, 7).await;
    assert_eq!(refused.map(|_| ()), Err(TlsError::PlaintextBeforeTls));
}

#[tokio::test]
async fn x09_stanzas_in_place_of_a_handshake_are_not_tls() {
    let (identity, ca) = broker("north.example", now());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let mut injector = Connection::from(TcpStream::connect(address).await.expect("connects"));
    let (theirs, _) = listener.accept().await.expect("accepts");
    injector.send(b"<message xmlns='jabber:client'/>").await.expect("sent");
    let server = ServerTls::new(Purpose::XmppClients, identity);
    let refused = Connection::from(theirs).accept_tls(&server, 0).await;
    assert_eq!(refused.map(|_| ()), Err(TlsError::NotTls));

    let ours = Connection::from(TcpStream::connect(address).await.expect("connects"));
    let (mut injector, _) = listener.accept().await.map(|(tcp, peer)| (Connection::from(tcp), peer)).expect("accepts");
    injector.send(b"<message xmlns='jabber:client'/>").await.expect("sent");
    let trust = Trust::only_pem(ca.certificate_pem()).expect("read");
    let refused = ours.start_tls(&client(trust, Versions::Floor12), "north.example", None, 0).await;
    assert_eq!(refused.map(|_| ()), Err(TlsError::NotTls));
}

#[tokio::test]
async fn the_name_chooses_the_identity_and_a_reload_takes_effect() {
    let (north, north_ca) = broker("north.example", now());
    let (south, south_ca) = broker("south.example", now());
    let identities = Arc::clone(&north);
    let server = ServerTls::new(Purpose::XmppClients, identities);
    let south_trust = Trust::only_pem(south_ca.certificate_pem()).expect("read");
    let south_client = client(south_trust, Versions::Floor12);
    let (ours, _) = shake(&south_client, &server, "south.example", None).await;
    assert!(ours.is_err(), "only the north identity is there yet");
    let key = generate_key_pem().expect("made");
    let renewed = north_ca.issue("north.example", &key, now()).expect("issued");
    let added = south_ca.issue("south.example", &key, now()).expect("issued");
    let read = |chain: &str| Identity::from_pem(chain, &key).expect("read");
    north.replace(read(&renewed), vec![read(&added)]);
    let (ours, theirs) = shake(&south_client, &server, "south.example", None).await;
    assert_eq!(ours.expect("secured").1.server_end_point, theirs.expect("secured").1.server_end_point);
    drop(south);
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_given_up() {
    let (identity, _) = broker("north.example", now());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let _silent = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connects");
    let (theirs, _) = listener.accept().await.expect("accepts");
    let server = ServerTls::new(Purpose::XmppClients, identity).with_timeout(std::time::Duration::from_millis(20));
    let given_up = Connection::from(theirs).accept_tls(&server, 0).await;
    assert_eq!(given_up.map(|_| ()), Err(TlsError::TimedOut));
}

#[test]
fn the_hybrid_key_exchange_is_first_and_weak_ones_are_absent() {
    let names: Vec<_> = provider().kx_groups.iter().map(|group| group.name()).collect();
    assert_eq!(names, [rustls::NamedGroup::X25519MLKEM768, rustls::NamedGroup::X25519, rustls::NamedGroup::secp256r1]);
    for suite in &provider().cipher_suites {
        let name = format!("{:?}", suite.suite());
        assert!(name.contains("GCM") || name.contains("CHACHA20_POLY1305"), "{name}");
        assert!(name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_"), "{name}");
    }
}

#[tokio::test]
async fn a_service_asked_for_at_the_wrong_port_refuses() {
    let (identity, ca) = broker("north.example", now());
    let trust = Trust::only_pem(ca.certificate_pem()).expect("read");
    let server = ServerTls::new(Purpose::XmppClients, identity);
    let (ours, _) = shake(&ClientTls::new(Service::Server, trust), &server, "north.example", None).await;
    assert_eq!(ours.map(|_| ()), Err(TlsError::RefusedByPeer));
}

#[tokio::test]
async fn long_writes_arrive_whole_and_an_end_without_notice_is_no_end() {
    let (identity, ca) = broker("north.example", now());
    let trust = Trust::only_pem(ca.certificate_pem()).expect("read");
    let server = ServerTls::new(Purpose::XmppClients, identity);
    let sent: Vec<u8> = (0..200_000u32).map(|number| number as u8).collect();
    for (versions, orderly) in [(Versions::Only13, true), (Versions::Only13, false), (Versions::DangerOnly12, false)] {
        let (ours, theirs) = shake(&client(trust.clone(), versions), &server, "north.example", None).await;
        let ((mut ours, _), (mut theirs, _)) = (ours.expect("secured"), theirs.expect("secured"));
        let sending = async {
            theirs.send(&sent).await.expect("sent");
            if orderly {
                theirs.close().await;
            } // else it is dropped: what an attacker does who cuts the connection
        };
        let receiving = async {
            let mut received = Vec::new();
            loop {
                match ours.read_chunk().await {
                    Ok(Some(chunk)) => received.extend_from_slice(&chunk),
                    Ok(None) => return (received, Ok(())),
                    Err(error) => return (received, Err(error.kind())),
                }
            }
        };
        let ((), (received, end)) = tokio::join!(sending, receiving);
        assert!(received == sent, "{} of {} bytes", received.len(), sent.len());
        assert_eq!(end, if orderly { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof) });
    }
}
