//! Our broker in the laboratory: at its own address, at the standard ports, with the laboratory's DNS.

use waxwing_tests::lab::{Host, Lab};
use waxwing_tests::raw;
use waxwingd::server::Server;
use waxwingd::settings::{CertificateFiles, Ports, Settings};
use xep::policy::E2eePolicy;

/// Who vouches for our broker's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vouched {
    /// The authority that everybody in the laboratory believes.
    ByLab,
    /// Only itself, so that other servers must call back (XEP-0220).
    ByItself,
}

/// A running broker.
pub(crate) struct Ours {
    pub(crate) broker: Server,
    host: Host,
    ca_pem: String,
}

impl Ours {
    /// Starts one at the place called `name`, with open registration.
    pub(crate) async fn start(lab: &Lab, name: &str, policy: E2eePolicy, vouched: Vouched) -> Self {
        let host = lab.host(name).clone();
        let lab_ca = std::fs::read_to_string(lab.ca_file()).expect("the laboratory has authorities");
        let mut settings = Settings::in_memory();
        settings.domain = Some(host.domain.clone());
        settings.listen = Some(host.address.into());
        settings.ports = Ports::STANDARD;
        settings.policy = policy;
        settings.registration.is_open = true;
        settings.scram_iterations = 4096;
        settings.federation.authorities_pem = Some(lab_ca.clone());
        settings.federation.dns = Some(lab.dns().address());
        if vouched == Vouched::ByLab {
            settings.certificate = Some(CertificateFiles { chain: host.chain.clone(), key: host.key.clone() });
        }
        let broker = Server::start(settings).await.expect("the broker starts");
        let ca_pem = if vouched == Vouched::ByLab { lab_ca } else { broker.facts().ca_pem.clone() };
        Self { broker, host, ca_pem }
    }

    /// How clients reach it.
    pub(crate) fn server(&self) -> raw::Server {
        let trust = net::verify::Trust::only_pem(&self.ca_pem).expect("its authority has a certificate");
        raw::Server { address: self.host.at(5222), domain: self.host.domain.clone(), trust, danger_no_binding: false }
    }
}
