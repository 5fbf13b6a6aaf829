//! ejabberd, as Debian packages it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use net::testing::{DnsResponder, Record};

use crate::lab::{Host, Lab};
use crate::process::Process;

/// A running ejabberd.
#[derive(Debug)]
pub struct Ejabberd {
    /// The program.
    pub process: Process,
    _dns: DnsResponder,
}

impl Ejabberd {
    /// Starts one at the place called `name`, with open registration and federation that trusts the laboratory.
    ///
    /// # Panics
    ///
    /// When it does not start: the message shows what it printed.
    #[must_use]
    pub fn start(lab: &Lab, name: &str) -> Self {
        Self::start_with(lab, name, "debug", &[])
    }

    /// Starts one as its admin would tune it for load: schedulers that do not spin, a log of warnings only.
    ///
    /// # Panics
    ///
    /// When it does not start: the message shows what it printed.
    #[must_use]
    pub fn start_for_benchmark(lab: &Lab, name: &str) -> Self {
        let flags = ["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none", "+P", "250000", "+Q", "65536"];
        Self::start_with(lab, name, "warning", &flags)
    }

    fn start_with(lab: &Lab, name: &str, log_level: &str, flags: &[&str]) -> Self {
        let host = lab.host(name).clone();
        let config = configuration(lab, &host).replacen("loglevel: debug", &format!("loglevel: {log_level}"), 1);
        std::fs::write(host.dir.join("ejabberd.yml"), config).expect("a scratch file can be written");
        let dns = own_dns(lab);
        std::fs::write(host.dir.join("inetrc"), resolver(&dns)).expect("a scratch file can be written");
        let dir = host.dir.display();
        let mut command = Command::new("erl");
        command
            .env("ERL_INETRC", host.dir.join("inetrc"))
            .env("HOME", &host.dir)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("EJABBERD_CONFIG_PATH", host.dir.join("ejabberd.yml"))
            // Not distributed: no epmd is started and none is left behind.
            .args(flags)
            .args(["-noinput", "-pa"])
            .arg(code_path())
            .args(["-mnesia", "dir", &format!("\"{dir}/data\"")])
            .args(["-ejabberd", "config", &format!("\"{dir}/ejabberd.yml\"")])
            .args(["log_path", &format!("\"{dir}/ejabberd.log\"")])
            .args(["-s", "ejabberd"]);
        let mut process = Process::start(&mut command, &host.dir.join("ejabberd.out"));
        process.wait_for_port(host.at(5222));
        Self { process, _dns: dns }
    }
}

/// Where Debian puts ejabberd's compiled code; the directory carries the version.
fn code_path() -> PathBuf {
    let libs = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
    let found = libs.iter().filter_map(|lib| std::fs::read_dir(lib).ok()).flatten().flatten().find(|entry| {
        entry.file_name().to_string_lossy().starts_with("ejabberd-") && entry.path().join("ebin/ejabberd.app").exists()
    });
    found.map(|entry| entry.path().join("ebin")).expect("ejabberd is installed (`cargo xtask setup`)")
}

/// ejabberd asks the name server that Erlang knows for SRV records, and the C library, which cannot be told of ours, for
/// addresses. So its records name the addresses themselves.
fn own_dns(lab: &Lab) -> DnsResponder {
    let dns = DnsResponder::start(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a loopback port is free");
    for host in lab.hosts() {
        dns.add(&format!("_xmpp-server._tcp.{}", host.domain), Record::srv(&host.address.to_string(), 5269));
    }
    dns
}

fn resolver(dns: &DnsResponder) -> String {
    let dns = dns.address();
    let ip = dns.ip().to_string().replace('.', ",");
    // Without the empty file name the machine's own name servers would come back at the first question.
    format!("{{lookup, [dns]}}.\n{{resolv_conf, \"\"}}.\n{{nameserver, {{{ip}}}, {}}}.\n", dns.port())
}

fn configuration(lab: &Lab, host: &Host) -> String {
    format!(
        r#"
loglevel: debug
log_rotate_count: 0
hosts: ["{domain}"]
certfiles: ["{all}"]
ca_file: "{ca}"
c2s_cafile: "{ca}"
s2s_cafile: "{ca}"
listen:
  - {{port: 5222, ip: "{address}", module: ejabberd_c2s, max_stanza_size: 262144, shaper: none, access: all, starttls_required: true}}
  - {{port: 5269, ip: "{address}", module: ejabberd_s2s_in, cafile: "{ca}", max_stanza_size: 524288, shaper: none}}
  - {{port: 5443, ip: "{address}", module: ejabberd_http, tls: true, request_handlers: {{"/upload": mod_http_upload}}}}
s2s_use_starttls: required
s2s_dns_timeout: 2
s2s_dns_retries: 1
outgoing_s2s_families: [ipv4]
auth_method: [internal]
auth_password_format: scram
disable_sasl_mechanisms: ["digest-md5", "X-OAUTH2"]
registration_timeout: infinity
access_rules:
  trusted_network: {{allow: all}}
modules:
  mod_blocking: {{}}
  mod_privacy: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_disco: {{}}
  mod_http_upload: {{access: all, put_url: "https://@HOST@:5443/upload", docroot: "{dir}/upload"}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_private: {{}}
  mod_pubsub: {{plugins: [flat, pep], max_items_node: 1000, force_node_config: {{"eu.siacs.conversations.axolotl.*": {{access_model: open}}}}}}
  mod_register: {{ip_access: all, access: all}}
  mod_roster: {{versioning: true}}
  mod_s2s_dialback: {{}}
  mod_stream_mgmt: {{resend_on_timeout: if_offline}}
"#,
        domain = host.domain,
        all = host.all.display(),
        ca = lab.ca_file().display(),
        address = host.address,
        dir = host.dir.display(),
    )
}
