//! Starting what is measured, each fresh, with accounts `u0`, `u1`, ...

use std::process::Command;

use net::Service;
use net::connection::Connection;
use net::tls::ClientTls;
use waxwing_tests::lab::Lab;
use waxwing_tests::peers::ejabberd::Ejabberd;
use waxwing_tests::peers::prosody::Prosody;
use waxwing_tests::process::Process;
use waxwing_tests::raw::{RawClient, Server};

/// The password of every account.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Relay,
    Waxwingd,
    Prosody,
    Ejabberd,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Relay, Self::Waxwingd, Self::Prosody, Self::Ejabberd];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Waxwingd => "waxwingd",
            Self::Prosody => "prosody",
            Self::Ejabberd => "ejabberd",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Relay => "bare tokio-rustls relay",
            Self::Waxwingd => "waxwingd",
            Self::Prosody => "Prosody, generational GC",
            Self::Ejabberd => "ejabberd, +sbwt none",
        }
    }
}

pub(crate) enum Program {
    Plain(Process),
    Prosody(Prosody),
    Ejabberd(Ejabberd),
}

/// A server under load.
pub(crate) struct Running {
    program: Program,
    xmpp: Option<Server>,
    lab: Lab,
    accounts: usize,
}

impl Running {
    /// Returns the process group whose cost is counted.
    pub(crate) fn group(&self) -> u32 {
        match &self.program {
            Program::Plain(process) => process.id(),
            Program::Prosody(prosody) => prosody.process.id(),
            Program::Ejabberd(ejabberd) => ejabberd.process.id(),
        }
    }

    /// Returns how to sign in; the relay knows no XMPP.
    pub(crate) fn xmpp(&self) -> Option<&Server> {
        self.xmpp.as_ref()
    }

    pub(crate) fn accounts(&self) -> usize {
        self.accounts
    }

    /// Connects to the relay under a number.
    pub(crate) async fn relayed(&self, number: usize) -> Connection {
        let host = self.lab.host("bench");
        let tcp = tokio::net::TcpStream::connect(host.at(5443)).await.expect("the relay listens");
        let trust = Server::new(host.at(5443), &host.domain, &self.lab.ca_file()).trust;
        let tls = ClientTls::new(Service::Https, trust);
        let (mut connection, _) =
            Connection::from(tcp).direct_tls(&tls, &host.domain, None).await.expect("TLS with the relay");
        let number = u32::try_from(number).expect("few connections");
        connection.send(&number.to_be_bytes()).await.expect("the relay reads");
        connection
    }
}

/// Starts a server and makes its accounts.
pub(crate) async fn start(kind: Kind, accounts: usize) -> Running {
    let lab = Lab::new("bench", &["bench"]);
    if kind == Kind::Relay {
        return Running { program: Program::Plain(relay(&lab)), xmpp: None, lab, accounts };
    }
    let (program, server) = start_in(&lab, kind, "bench", accounts).await;
    Running { program, xmpp: Some(server), lab, accounts }
}

/// Starts a server at a place of a laboratory and makes its accounts.
pub(crate) async fn start_in(lab: &Lab, kind: Kind, name: &str, accounts: usize) -> (Program, Server) {
    let host = lab.host(name).clone();
    let server = Server::new(host.at(5222), &host.domain, &lab.ca_file());
    let (program, server) = match kind {
        Kind::Relay => unreachable!("the relay knows no XMPP"),
        Kind::Waxwingd => (Program::Plain(waxwingd(lab, name)), server),
        Kind::Prosody => (Program::Prosody(Prosody::start_for_benchmark(lab, name)), server),
        Kind::Ejabberd => (Program::Ejabberd(Ejabberd::start_for_benchmark(lab, name)), server.without_binding()),
    };
    for number in 0..accounts {
        RawClient::register(&server, &format!("u{number}"), PASSWORD, None).await;
    }
    (program, server)
}

fn relay(lab: &Lab) -> Process {
    let host = lab.host("bench");
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.arg("relay").arg(host.at(5443).to_string()).arg(&host.chain).arg(&host.key);
    let mut process = Process::start(&mut command, &host.dir.join("relay.out"));
    process.wait_for_port(host.at(5443));
    process
}

/// The released program beside this one, with the laboratory's certificate and no rate limits.
fn waxwingd(lab: &Lab, name: &str) -> Process {
    let host = lab.host(name);
    let config = host.dir.join("waxwingd.toml");
    std::fs::write(&config, configuration(lab, name)).expect("a scratch file can be written");
    let program = std::env::current_exe().expect("this program has a path").with_file_name("waxwingd");
    let mut command = Command::new(program);
    command.arg("up").arg("--json").arg("--config").arg(&config).arg("--data-dir").arg(host.dir.join("data"));
    let mut process = Process::start(&mut command, &host.dir.join("waxwingd.out"));
    process.wait_for_port(host.at(5222));
    process
}

fn configuration(lab: &Lab, name: &str) -> String {
    let host = lab.host(name);
    format!(
        "domain = \"{}\"\nlisten = \"{}\"\n[certificate]\nchain = \"{}\"\nkey = \"{}\"\n[login]\nscram_iterations = 4096\n\
         [registration]\nopen = true\n[limits]\npre_auth_per_network = 0\nclient_stanzas_per_second = 0\n\
         client_bytes_per_second = 0\nserver_stanzas_per_second = 0\n[federation]\nca_file = \"{}\"\ndns = \"{}\"\n",
        host.domain,
        host.address,
        host.chain.display(),
        host.key.display(),
        lab.ca_file().display(),
        lab.dns().address(),
    )
}
