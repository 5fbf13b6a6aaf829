//! `waxwingd.toml`: the settings file.
//!
//! Every field has the default of [`Settings`], unknown fields are refused, and `docs/waxwingd.toml` shows all of them
//! (a test compares). Paths are relative to the file.

mod limits;
mod ranges;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use net::dial::{IpNetwork, NotANetwork};
use serde::{Deserialize, Serialize};
use xep::policy::E2eePolicy;

use crate::settings::{CertificateFiles, FederationSettings, OnionListeners, Ports, RegistrationSettings, Settings};
use limits::LimitsSection;

/// Why a settings file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read.
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        kind: io::ErrorKind,
    },
    /// The settings file is not as it should be.
    Malformed {
        /// Which one.
        path: PathBuf,
        /// Where and why, in the words of the parser.
        why: String,
    },
    /// Settings have values that cannot work.
    CannotWork {
        /// The file.
        path: PathBuf,
        /// Each with its name and what is allowed.
        problems: Vec<String>,
    },
}

/// Why a file cannot be read, in words that go after its name.
#[must_use]
pub fn unreadable_because(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "does not exist",
        io::ErrorKind::PermissionDenied => "may not be read by this user",
        io::ErrorKind::IsADirectory => "is a directory",
        io::ErrorKind::InvalidData => "is not text",
        _ => "cannot be read: check the disk",
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, kind } => write!(f, "{} {}", path.display(), unreadable_because(*kind)),
            Self::CannotWork { path, problems } => match problems.as_slice() {
                [problem] => write!(f, "{}: {problem}", path.display()),
                problems => write!(f, "{}:\n  {}", path.display(), problems.join("\n  ")),
            },
            Self::Malformed { path, why } => write!(f, "{}: {}", path.display(), why.trim_end()),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    domain: Option<String>,
    listen: Option<IpAddr>,
    announce: Vec<String>,
    proxies: Vec<NetworkText>,
    ports: PortsSection,
    certificate: Option<CertificateSection>,
    e2ee: E2eeSection,
    login: LoginSection,
    registration: RegistrationSection,
    onion: OnionSection,
    federation: FederationSection,
    limits: LimitsSection,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PortsSection {
    client: u16,
    client_tls: u16,
    server: u16,
    server_tls: u16,
    https: u16,
}

impl Default for PortsSection {
    fn default() -> Self {
        let Ports { client, client_tls, server, server_tls, https } = Ports::STANDARD;
        Self { client, client_tls, server, server_tls, https }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CertificateSection {
    chain: PathBuf,
    key: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Policy {
    #[default]
    Required,
    Preferred,
    Off,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct E2eeSection {
    policy: Policy,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LoginSection {
    scram_iterations: u32,
}

impl Default for LoginSection {
    fn default() -> Self {
        Self { scram_iterations: Settings::in_memory().scram_iterations }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RegistrationSection {
    open: bool,
    reserved_names: Vec<String>,
    invite_days: u64,
    invites_per_day: u64,
}

impl Default for RegistrationSection {
    fn default() -> Self {
        let RegistrationSettings { is_open, reserved_names, invite_lifetime, invites_per_day } =
            RegistrationSettings::default();
        let invite_days = invite_lifetime.as_secs() / DAY_SECONDS;
        Self { open: is_open, reserved_names, invite_days, invites_per_day }
    }
}

/// A network as text: [`IpNetwork`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct NetworkText(IpNetwork);

impl TryFrom<String> for NetworkText {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, NotANetwork> {
        text.parse().map(Self)
    }
}

impl From<NetworkText> for String {
    fn from(network: NetworkText) -> Self {
        network.0.to_text()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OnionSection {
    client: Option<SocketAddr>,
    server: Option<SocketAddr>,
    /// 0 means no bound.
    pre_auth: u32,
}

impl Default for OnionSection {
    fn default() -> Self {
        Self { client: None, server: None, pre_auth: net::listen::PRE_AUTH_HIDDEN }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FederationSection {
    enabled: bool,
    ca_file: Option<PathBuf>,
    allow: Vec<String>,
    deny: Vec<String>,
    dns: Option<SocketAddr>,
    peers: Vec<String>,
    networks: Vec<NetworkText>,
    by_link: Option<bool>,
}

impl Default for FederationSection {
    fn default() -> Self {
        let FederationSettings { is_enabled, allow, deny, dns, peers, .. } = FederationSettings::default();
        Self { enabled: is_enabled, ca_file: None, allow, deny, dns, peers, networks: Vec::new(), by_link: None }
    }
}

const DAY_SECONDS: u64 = 86_400;

fn days(count: u64) -> Duration {
    Duration::from_secs(count.saturating_mul(DAY_SECONDS))
}

/// Reads a settings file into settings.
///
/// # Errors
///
/// [`ConfigError`] names the file, the line and what is wrong with it.
pub fn read(path: &Path, settings: &mut Settings) -> Result<(), ConfigError> {
    let unreadable =
        |path: &Path, error: &io::Error| ConfigError::Unreadable { path: path.to_path_buf(), kind: error.kind() };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    let file: File = toml::from_str(&text)
        .map_err(|error| ConfigError::Malformed { path: path.to_path_buf(), why: error.to_string() })?;
    let problems = ranges::problems(&file);
    if !problems.is_empty() {
        return Err(ConfigError::CannotWork { path: path.to_path_buf(), problems });
    }
    let directory = path.parent().unwrap_or(Path::new(""));
    if let Some(ca_file) = &file.federation.ca_file {
        let ca_file = directory.join(ca_file);
        let pem = std::fs::read_to_string(&ca_file).map_err(|error| unreadable(&ca_file, &error))?;
        settings.federation.authorities_pem = Some(pem);
    }
    file.apply(directory, settings);
    Ok(())
}

impl File {
    fn apply(self, directory: &Path, settings: &mut Settings) {
        settings.domain = self.domain;
        settings.listen = self.listen;
        settings.announce = self.announce;
        let PortsSection { client, client_tls, server, server_tls, https } = self.ports;
        settings.ports = Ports { client, client_tls, server, server_tls, https };
        settings.certificate = self
            .certificate
            .map(|files| CertificateFiles { chain: directory.join(files.chain), key: directory.join(files.key) });
        settings.policy = match self.e2ee.policy {
            Policy::Required => E2eePolicy::Required,
            Policy::Preferred => E2eePolicy::Preferred,
            Policy::Off => E2eePolicy::Off,
        };
        settings.scram_iterations = self.login.scram_iterations;
        settings.registration = RegistrationSettings {
            is_open: self.registration.open,
            reserved_names: self.registration.reserved_names,
            invite_lifetime: days(self.registration.invite_days),
            invites_per_day: self.registration.invites_per_day,
        };
        let networks = |texts: Vec<NetworkText>| texts.into_iter().map(|text| text.0).collect();
        settings.proxies = networks(self.proxies);
        let OnionSection { client, server, pre_auth } = self.onion;
        settings.onion = OnionListeners { client, server, pre_auth: (pre_auth > 0).then_some(pre_auth) };
        let FederationSection { enabled, ca_file: _, allow, deny, dns, peers, networks: near, by_link } =
            self.federation;
        let authorities_pem = settings.federation.authorities_pem.take();
        let networks = networks(near);
        settings.federation =
            FederationSettings { is_enabled: enabled, authorities_pem, allow, deny, dns, peers, networks, by_link };
        self.limits.apply(settings);
    }
}

#[cfg(test)]
mod tests;
