//! A try at another server for `doctor`: the way there, its certificate, and whether it accepts ours.

use std::time::Duration;

use net::connection::Connection;
use net::dial::{DialError, Link, OpenError};
use net::tls::TlsError;
use net::verify::VerifyError;
use xmpp::stream::s2s::{Initiator, InitiatorConfig, InitiatorEvent};
use xmpp::stream::{PeerCertificate, Seed, Transport};

use super::Shared;
use super::dial::{NotReached, try_reach};
use crate::admin::protocol::Check;
use crate::server::{canonical, peers};

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
        return Check::bad("server", "what was given is not a domain", "Give a name like example.org.");
    };
    let name = &format!("server {domain}");
    if domain == shared.broker.config.domain {
        return Check::bad(name, "this is the broker's own domain", "Give the domain of another server.");
    }
    let configured = shared.broker.config.peers.iter().find(|peer| peer.domain == domain).cloned();
    let known = match peers::list(&shared.broker).await {
        Ok(peers) => peers.into_iter().find(|peer| peer.domain == domain).or(configured),
        Err(_) => configured,
    };
    let link = match try_reach(shared, &domain, known.as_ref()).await {
        Ok(link) => link,
        Err(failure) => return not_reached(name, &domain, known.is_some(), &failure),
    };
    let pin = known.and_then(|peer| peer.pin);
    let talked = tokio::time::timeout(PATIENCE, converse(shared, &domain, pin, link)).await;
    said(name, &domain, &talked.unwrap_or(Reached::Ended))
}

fn said(name: &str, domain: &str, reached: &Reached) -> Check {
    match reached {
        Reached::Authorized => Check::good(name, format!("{domain} answers, and each side accepts the other")),
        Reached::Opened => Check::good(name, format!("{domain} answers and will ask back who we are")),
        Reached::NotTheDomain => Check::bad(
            name,
            format!("what answers for {domain} has no certificate that is good for this name"),
            "Ask its operator; for a broker without a public certificate use `waxwingd peer add`.",
        ),
        Reached::Ended => Check::bad(
            name,
            format!("{domain} was reached, and ended the conversation"),
            "It may not accept our certificate: ask its operator, or exchange peer links.",
        ),
    }
}

fn not_reached(name: &str, domain: &str, is_peer: bool, failure: &NotReached) -> Check {
    let spelling = "Check the spelling. A broker without DNS is made known with `waxwingd peer add` and its link.";
    let again =
        "Is it running? If its address has changed, add it again with the link that its `waxwingd status` shows.";
    let ask = "Ask its operator.";
    let bad = |why: String, todo: &str| Check::bad(name, why, todo);
    let error = match failure {
        NotReached::NotPermitted => {
            return bad(format!("the settings forbid {domain}"), "See [federation] in the settings file.");
        }
        NotReached::TimedOut => {
            return bad(format!("{domain} did not answer in time"), "Try again later, or ask its operator.");
        }
        NotReached::Failed(error) => error,
    };
    if let Some(TlsError::Certificate(error)) = error.tls_error() {
        return match error {
            VerifyError::PinMismatch => bad(
                format!(
                    "what answers for {domain} has another key than its link said: it was replaced, or somebody is in between"
                ),
                "Ask its operator whether the key has changed; if so, add the peer again with the new link.",
            ),
            error => bad(format!("{domain} was reached, and its certificate is not accepted: {error}"), ask),
        };
    }
    let attempts = match error {
        DialError::NotOffered => {
            return bad(format!("{domain} says by DNS that it takes nothing from other servers"), ask);
        }
        DialError::Unreachable(attempts) => attempts.as_slice(),
        _ => &[],
    };
    let every = |is: fn(&OpenError) -> bool| !attempts.is_empty() && attempts.iter().all(|attempt| is(&attempt.error));
    if every(|error| matches!(error, OpenError::Name(_))) {
        return bad(format!("DNS knows no host of {domain}"), spelling);
    }
    if every(|error| matches!(error, OpenError::Refused)) {
        let todo = "Ask its operator to start it.";
        return bad(format!("the machine of {domain} answers, and no server is running there"), todo);
    }
    bad(format!("{domain} cannot be reached: {error}"), if is_peer { again } else { spelling })
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

#[cfg(test)]
mod tests {
    use net::dial::{Attempt, Mode};
    use net::dns::DnsError;

    use super::*;

    #[test]
    fn words_of_the_way_to_others() {
        let failed = |errors: &[OpenError]| {
            let attempt = |error: &OpenError| Attempt { mode: Mode::DirectTls, port: 5270, error: *error };
            NotReached::Failed(DialError::Unreachable(errors.iter().map(attempt).collect()))
        };
        let certificate = |error| failed(&[OpenError::Tls(TlsError::Certificate(error))]);
        let failures = [
            NotReached::NotPermitted,
            NotReached::TimedOut,
            NotReached::Failed(DialError::NotOffered),
            certificate(VerifyError::PinMismatch),
            certificate(VerifyError::Expired),
            failed(&[OpenError::Name(DnsError::NotFound)]),
            failed(&[OpenError::Refused]),
            failed(&[OpenError::Refused, OpenError::TimedOut]),
        ];
        let name = "server south.example";
        let mut checks: Vec<Check> = [Reached::Authorized, Reached::Opened, Reached::NotTheDomain, Reached::Ended]
            .iter()
            .map(|reached| said(name, "south.example", reached))
            .collect();
        for is_peer in [true, false] {
            checks.extend(failures.iter().map(|failure| not_reached(name, "south.example", is_peer, failure)));
        }
        let text: String = checks.iter().map(|check| format!("{}\n    -> {}\n", check.why, check.todo)).collect();
        crate::words::assert_matches("servers", &text);
    }
}
