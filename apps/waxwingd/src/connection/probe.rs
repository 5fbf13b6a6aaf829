//! A try at another server for `doctor`: the way there, its certificate, and whether it accepts ours.

use std::time::Duration;

use broker::federation::DialFailure;
use net::connection::Connection;
use net::dial::Link;
use xmpp::stream::s2s::{Initiator, InitiatorConfig, InitiatorEvent};
use xmpp::stream::{PeerCertificate, Seed, Transport};

use super::Shared;
use super::dial::reach;
use crate::admin::protocol::Check;
use crate::server::{canonical, peers};

const NAME: &str = "federation";
const PATIENCE: Duration = Duration::from_secs(30);

/// How far the stream came.
enum Reached {
    /// It takes our stanzas: both certificates are accepted.
    Authorized,
    /// It is who it should be, and wants us to prove ourselves by dialback.
    Opened,
    /// Its certificate is not good for its domain.
    NotTheDomain,
    /// It ended before.
    Ended,
}

/// Tries to reach a domain and says what came of it.
pub(crate) async fn federation(shared: &Shared, domain: &str) -> Check {
    let Some(domain) = canonical(domain) else {
        return Check::bad(NAME, "this is no domain", "Give a name like example.org.");
    };
    if domain == shared.broker.config.domain {
        return Check::bad(NAME, "this is our own domain", "Give the domain of another server.");
    }
    let known = match peers::list(&shared.broker).await {
        Ok(peers) => peers.into_iter().find(|peer| peer.domain == domain),
        Err(_) => None,
    };
    if known.is_none() && !shared.federation.permits(&domain) {
        return Check::bad(NAME, format!("the settings forbid {domain}"), "See [federation] in the settings file.");
    }
    let link = match reach(shared, &domain, known.as_ref()).await {
        Ok(link) => link,
        Err(failure) => return not_reached(&domain, failure),
    };
    let pin = known.and_then(|peer| peer.pin);
    let talked = tokio::time::timeout(PATIENCE, converse(shared, &domain, pin, link)).await;
    match talked.unwrap_or(Reached::Ended) {
        Reached::Authorized => Check::good(NAME, format!("{domain} answers, and each side accepts the other")),
        Reached::Opened => Check::good(NAME, format!("{domain} answers and will ask back who we are")),
        Reached::NotTheDomain => Check::bad(
            NAME,
            format!("what answers for {domain} has no certificate that is good for this name"),
            "Ask its operator; for a broker without a public certificate use `waxwingd peer add`.",
        ),
        Reached::Ended => Check::bad(
            NAME,
            format!("{domain} was reached, and ended the conversation"),
            "It may not accept our certificate: ask its operator, or exchange peer links.",
        ),
    }
}

fn not_reached(domain: &str, failure: DialFailure) -> Check {
    let todo = "Check the spelling and DNS; for a broker without DNS use `waxwingd peer add`.";
    match failure {
        DialFailure::Timeout => Check::bad(NAME, format!("{domain} does not answer"), todo),
        DialFailure::NotFound => {
            Check::bad(NAME, format!("{domain} cannot be reached, or is not who it should be"), todo)
        }
    }
}

async fn converse(shared: &Shared, domain: &str, pin: Option<[u8; 32]>, link: Link) -> Reached {
    let mut connection = link.connection;
    let mut certificate = link.facts.as_ref().and_then(|facts| facts.peer_certificate.clone());
    let transport = link.facts.map_or(Transport::Plain, Transport::Tls);
    let mut seed = [0; 32];
    shared.broker.env.random.fill(&mut seed);
    let own = shared.broker.config.domain.as_str();
    let mut stream = Initiator::new(InitiatorConfig::new(own, domain), transport, Seed::new(seed));
    loop {
        while let Some(event) = stream.poll_event() {
            match event {
                InitiatorEvent::StartTls => {
                    write(&mut stream, &mut connection).await;
                    match connection.start_tls(&link.tls, domain, Some(own), 0).await {
                        Ok((secured, facts)) => {
                            connection = secured;
                            certificate.clone_from(&facts.peer_certificate);
                            stream.handle_tls(facts);
                        }
                        Err(_) => return Reached::NotTheDomain,
                    }
                }
                InitiatorEvent::VerifyCertificate { domain } => {
                    if !proves(certificate.as_ref(), pin, &domain) {
                        return Reached::NotTheDomain;
                    }
                    stream.certificate_verified(true);
                }
                InitiatorEvent::Authorized { .. } => return Reached::Authorized,
                InitiatorEvent::Opened | InitiatorEvent::Refused { .. } => return Reached::Opened,
                InitiatorEvent::Ended(_) => return Reached::Ended,
                _ => {}
            }
        }
        write(&mut stream, &mut connection).await;
        match connection.read_chunk().await {
            Ok(Some(bytes)) => stream.handle_bytes(&bytes),
            Ok(None) | Err(_) => stream.handle_eof(),
        }
    }
}

fn proves(certificate: Option<&PeerCertificate>, pin: Option<[u8; 32]>, domain: &str) -> bool {
    certificate.is_some_and(|certificate| match pin {
        Some(pin) => certificate.spki_sha256 == pin,
        None => certificate.verified_domain_check.verifies(domain),
    })
}

async fn write(stream: &mut Initiator, connection: &mut Connection) {
    if let Some(bytes) = stream.poll_output() {
        // a connection that has ended tells so when it is read
        let _ = connection.send(&bytes).await;
    }
}
