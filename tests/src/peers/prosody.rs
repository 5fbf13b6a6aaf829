//! Prosody, as Debian packages it.

use std::process::Command;

use crate::lab::{Host, Lab};
use crate::process::Process;

/// A running Prosody.
#[derive(Debug)]
pub struct Prosody {
    /// The program.
    pub process: Process,
    host: Host,
}

impl Prosody {
    /// Starts one at the place called `name`, with open registration and federation that trusts the laboratory.
    ///
    /// # Panics
    ///
    /// When it does not start: the message shows what it printed.
    #[must_use]
    pub fn start(lab: &Lab, name: &str) -> Self {
        Self::start_with(lab, name, "")
    }

    /// Starts one as its admin would tune it for load: generational garbage collection, 4096 SCRAM iterations, a log of
    /// warnings only.
    ///
    /// # Panics
    ///
    /// When it does not start: the message shows what it printed.
    #[must_use]
    pub fn start_for_benchmark(lab: &Lab, name: &str) -> Self {
        let dir = lab.host(name).dir.display().to_string();
        let tuned = format!(
            "gc = {{ mode = \"generational\" }}\ndefault_iteration_count = 4096\nlog = {{ warn = \"{dir}/prosody.log\" }}\n\
             network_settings = {{ tcp_backlog = 1024 }}\n"
        );
        Self::start_with(lab, name, &tuned)
    }

    /// Starts one that takes servers whose certificate it cannot judge, when it has called them back (XEP-0220).
    ///
    /// # Panics
    ///
    /// When it does not start: the message shows what it printed.
    #[must_use]
    pub fn start_with_dialback(lab: &Lab, name: &str) -> Self {
        Self::start_with(lab, name, "s2s_insecure_domains = { \"waxwing.example\" }\n")
    }

    fn start_with(lab: &Lab, name: &str, more: &str) -> Self {
        let host = lab.host(name).clone();
        let config = configuration(lab, &host).replacen("-- more", more, 1);
        let path = host.dir.join("prosody.cfg.lua");
        std::fs::write(&path, config).expect("a scratch file can be written");
        std::fs::create_dir_all(host.dir.join("certs")).expect("a scratch directory can be made");
        let mut command = Command::new("prosody");
        command.arg("-F").arg("--config").arg(&path);
        let mut process = Process::start(&mut command, &host.dir.join("prosody.out"));
        process.wait_for_port(host.at(5222));
        Self { process, host }
    }

    /// Makes an account.
    ///
    /// # Panics
    ///
    /// When Prosody refuses.
    pub fn register(&self, user: &str, password: &str) {
        let config = self.host.dir.join("prosody.cfg.lua");
        let out = Command::new("prosodyctl")
            .arg("--config")
            .arg(config)
            .args(["register", user, &self.host.domain, password])
            .output()
            .expect("prosodyctl is installed with prosody");
        assert!(out.status.success(), "prosodyctl register: {}", String::from_utf8_lossy(&out.stderr));
    }
}

fn configuration(lab: &Lab, host: &Host) -> String {
    format!(
        r#"
run_as_root = true
daemonize = false
data_path = "{dir}/data"
pidfile = "{dir}/prosody.pid"
certificates = "{dir}/certs"
log = {{ debug = "{dir}/prosody.log" }}
interfaces = {{ "{address}" }}
-- libunbound asks nobody on loopback unless it is told to
unbound = {{ resolvconf = false, hoststxt = false, forward = "{dns_host}@{dns_port}", options = {{ ["do-not-query-localhost:"] = "no" }} }}
modules_enabled = {{ "disco", "roster", "saslauth", "tls", "dialback", "pep", "smacks", "ping", "register", "carbons", "blocklist", "offline" }}
allow_registration = true
c2s_require_encryption = true
s2s_require_encryption = true
s2s_secure_auth = true
authentication = "internal_hashed"
-- more
ssl = {{ certificate = "{chain}", key = "{key}", cafile = "{ca}", capath = false }}
http_ports = {{}}
https_ports = {{ 5281 }}
https_interfaces = {{ "{address}" }}
https_ssl = {{ certificate = "{chain}", key = "{key}" }}
VirtualHost "{domain}"
Component "upload.{domain}" "http_file_share"
http_external_url = "https://upload.{domain}:5281/"
"#,
        dir = host.dir.display(),
        address = host.address,
        dns_host = lab.dns().address().ip(),
        dns_port = lab.dns().address().port(),
        chain = host.chain.display(),
        key = host.key.display(),
        ca = lab.ca_file().display(),
        domain = host.domain,
    )
}
