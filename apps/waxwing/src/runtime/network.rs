//! The way out, as the settings and an engine's plan want it.

use std::path::Path;

use client::output::{ConnectFailure, ConnectPlan, ServerIdentity};
use net::Service;
use net::certificate::Pin;
use net::dial::{DialError, Dialler, Endpoint, HostPort, Link, Mode, OpenError, Proxy, Target};
use net::dns::{DnsError, Names};
use net::http::HttpClient;
use net::tls::{ClientTls, TlsError};
use net::verify::Trust;

use super::Settings;
use super::settings::proxy_address;
use crate::api::{Kind, Refusal};
use crate::words::refusals;

/// How connections are made.
#[derive(Debug, Clone)]
pub(super) struct Network {
    dialler: Dialler,
    authorities: Trust,
}

impl Network {
    /// Reads what the settings name.
    pub(super) fn new(settings: &Settings) -> Result<Self, Refusal> {
        let mut dialler = Dialler::direct(Names::system());
        if let Some(proxy) = &settings.proxy {
            dialler = dialler.with_proxy(Proxy::new(proxy_address(proxy)?));
        }
        let authorities = settings.ca_file.as_deref().map_or_else(|| Ok(Trust::public()), authorities)?;
        Ok(Self { dialler, authorities })
    }

    /// Connects to a server: to the addresses of the plan one after the other, and tells which it was; or to what DNS knows.
    pub(super) async fn dial(
        &self,
        plan: &ConnectPlan,
    ) -> Result<(Link, Option<client::output::Endpoint>), ConnectFailure> {
        if plan.addresses.is_empty() {
            let dialled = self.dial_at(plan, Vec::new()).await;
            return dialled.map(|link| (link, None)).map_err(|error| failure(&error));
        }
        let mut first = None;
        let each = plan.addresses.iter().flat_map(|named| endpoints(named).into_iter().map(move |way| (named, way)));
        for (named, endpoint) in each {
            match self.dial_at(plan, vec![endpoint]).await.map_err(|error| failure(&error)) {
                Ok(link) => return Ok((link, Some(named.clone()))),
                // It speaks TLS and is somebody else: not to be asked again in clear.
                Err(ConnectFailure::NotTrusted) => return Err(ConnectFailure::NotTrusted),
                Err(failure) => first = first.or(Some(failure)),
            }
        }
        Err(first.unwrap_or(ConnectFailure::Unreachable))
    }

    async fn dial_at(&self, plan: &ConnectPlan, at: Vec<Endpoint>) -> Result<Link, DialError> {
        let target = Target::new(&plan.domain, Service::Client).at(at);
        let tls = ClientTls::new(Service::Client, self.trust(&plan.identity));
        self.dialler.connect_link(&target, &tls, None).await
    }

    /// The authorities that are believed.
    pub(super) fn authorities(&self) -> Trust {
        self.authorities.clone()
    }

    /// HTTPS by the same way.
    pub(super) fn http(&self) -> HttpClient {
        HttpClient::new(self.dialler.clone()).with_trust(self.authorities.clone())
    }

    /// Whom to believe about a server.
    pub(super) fn trust(&self, identity: &ServerIdentity) -> Trust {
        match identity {
            ServerIdentity::PublicCertificate => self.authorities.clone(),
            ServerIdentity::Pin(pin) => Trust::pins([Pin::from_bytes(*pin)]),
        }
    }
}

/// The public authorities and those in a file.
pub(super) fn authorities(path: &Path) -> Result<Trust, Refusal> {
    let refuse = |text| Refusal::new(Kind::BadInput, text);
    let unusable = |error| refuse(refusals::authorities_unusable(path.display(), error));
    let pem = std::fs::read_to_string(path).map_err(unusable)?;
    Trust::public_and_pem(&pem).map_err(|_| refuse(refusals::authorities_missing(path.display())))
}

/// A link or a person names host and port, and not how the connection is secured: both ways are tried.
fn endpoints(named: &client::output::Endpoint) -> Vec<Endpoint> {
    if named.port == 0 {
        let (secure, plain) = (Service::Client.direct_tls_port(), Service::Client.starttls_port());
        return vec![
            Endpoint::new(named.host.as_str(), secure, Mode::DirectTls),
            Endpoint::new(named.host.as_str(), plain, Mode::StartTls),
        ];
    }
    Endpoint::either(HostPort::new(named.host.as_str(), named.port)).to_vec()
}

fn failure(error: &DialError) -> ConnectFailure {
    let DialError::Unreachable(attempts) = error else { return ConnectFailure::NoSuchServer };
    let certificate = |error| matches!(error, OpenError::Tls(TlsError::Certificate(_)));
    if attempts.iter().any(|attempt| certificate(attempt.error)) {
        return ConnectFailure::NotTrusted;
    }
    if !attempts.is_empty() && attempts.iter().all(|a| a.error == OpenError::Tls(TlsError::NothingInCommon)) {
        return ConnectFailure::Tls;
    }
    let unknown = |error| matches!(error, OpenError::Name(DnsError::NotFound | DnsError::Forbidden));
    if !attempts.is_empty() && attempts.iter().all(|attempt| unknown(attempt.error)) {
        return ConnectFailure::NoSuchServer;
    }
    ConnectFailure::Unreachable
}

#[cfg(test)]
mod tests {
    use net::dial::Attempt;
    use net::verify::VerifyError;

    use super::*;

    fn unreachable(errors: &[OpenError]) -> DialError {
        let attempt = |error: &OpenError| Attempt { mode: Mode::DirectTls, port: 5223, error: *error };
        DialError::Unreachable(errors.iter().map(attempt).collect())
    }

    #[test]
    fn failures_say_whether_waiting_helps() {
        let wrong = OpenError::Tls(TlsError::Certificate(VerifyError::PinMismatch));
        let unknown = OpenError::Name(DnsError::NotFound);
        for (errors, expected) in [
            (&[OpenError::Refused, wrong][..], ConnectFailure::NotTrusted),
            (&[OpenError::Tls(TlsError::NotTls), OpenError::Refused], ConnectFailure::Unreachable),
            (&[OpenError::Tls(TlsError::NothingInCommon)], ConnectFailure::Tls),
            (&[unknown, unknown], ConnectFailure::NoSuchServer),
            (&[unknown, OpenError::TimedOut], ConnectFailure::Unreachable),
            (&[OpenError::Name(DnsError::Failed)], ConnectFailure::Unreachable),
            (&[], ConnectFailure::Unreachable),
        ] {
            assert_eq!(failure(&unreachable(errors)), expected, "{errors:?}");
        }
        assert_eq!(failure(&DialError::NotOffered), ConnectFailure::NoSuchServer);
    }

    #[test]
    fn a_host_without_a_port_has_the_usual_ones() {
        let named = |port| client::output::Endpoint { host: "host.example".to_owned(), port };
        let ports = |port| endpoints(&named(port)).iter().map(|e| (e.host.port, e.mode)).collect::<Vec<_>>();
        assert_eq!(ports(0), [(5223, Mode::DirectTls), (5222, Mode::StartTls)]);
        assert_eq!(ports(7), [(7, Mode::DirectTls), (7, Mode::StartTls)]);
    }
}
