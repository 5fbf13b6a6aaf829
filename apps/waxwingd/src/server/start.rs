//! From settings to a broker that accepts connections.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use broker::invites::InviteSettings;
use broker::tables::{ACCOUNTS, ACCOUNTS_OWNER};
use broker::{Broker, BrokerConfig, Environment};
use net::clock::SystemClock;
use net::dial::{AddressRule, Dialler, IpNetwork, Routes};
use net::dns::Names;
use net::identity::{IdentityError, ReloadableIdentity};
use net::listen::{BindError, Gate, Listener};
use net::random::SystemRandom;
use net::tls::{ClientTls, Purpose, ServerTls};
use net::verify::Trust;
use store::{ClockGuard, ClockReading, ClockVerdict, Store, StoreError};
use xep::uri::Host;
use xmpp::stream::DomainCheck;
use xmpp::time::{Clock as _, Timestamp};

use super::certificate::{self, IdentityRow};
use super::shutdown::{Stopping, Tasks};
use super::{Addresses, Facts, Server, descriptors, disk, housekeeping, links, name};
use crate::connection::{self, Shared};
use crate::error::StartError;
use crate::settings::{Settings, Storage};

/// The services on sub-domains: uploads have an address of their own.
const SERVICES: [&str; 1] = ["upload"];

pub(super) async fn start(settings: Settings) -> Result<Server, StartError> {
    let env =
        Environment::new(Arc::new(SystemClock), Arc::new(SystemRandom)).with_workers(Arc::new(super::workers::Threads));
    let trust = federation_trust(&settings)?;
    let files_identity = settings.certificate.as_ref().map(certificate::read_files).transpose()?;
    let (store, found) = disk::open(&settings.storage, Arc::clone(&env.random)).await?;
    let accounts = store.list(ACCOUNTS, ACCOUNTS_OWNER).await.map_err(|error| store_error(&settings, error))?;
    let is_name_open = accounts.is_empty();
    let row = own_identity(&store, &settings, is_name_open, env.now()).await?;
    let is_from_files = files_identity.is_some();
    let identity = files_identity.map_or_else(|| row.identity(), Ok).map_err(identity_error)?;
    // Links may leave out the pin only where clients will believe the certificate without it.
    let certificate_trouble = certificate::trouble(&identity, &row.domain, &trust, env.now());
    let has_public_certificate = is_from_files && certificate_trouble.is_none();
    let pin = identity.pin();
    let listeners = Listeners::bind(&settings).await?;
    let addresses = listeners.addresses();

    let needs_addresses = !row.is_public_name
        || !settings.announce.is_empty()
        || settings.listen.is_some_and(|address| address.is_loopback())
        || settings.storage == Storage::Memory;
    let hosts = if needs_addresses { links::hosts(&settings.announce, settings.listen) } else { Vec::new() };
    let link_pin = (!has_public_certificate).then_some(pin);
    let peer_link = links::peer_link(&row.domain, link_pin, links::at(&hosts, addresses.server_tls.port()));
    let peer_link = peer_link.ok_or(StartError::BadDomain)?;
    let mut config = broker_config(&settings, &row.domain, &addresses, &hosts);
    config.invites.pin = link_pin.map(|pin| *pin.as_bytes());
    config.peers = peers(&settings)?;
    let by_link = settings.federation.is_enabled && settings.federation.by_link.unwrap_or(!row.is_public_name);
    let rules = settings.federation.clone();
    config.by_link = by_link.then(|| DomainCheck::new(move |domain| rules.permits(domain)));
    let broker = Broker::new(config, store, env);
    broker.load_peers().await.map_err(|error| store_error(&settings, error))?;

    let identity = ReloadableIdentity::new(identity);
    broker.budgets.descriptors.set_capacity(descriptors::raise());
    let near = links::near(&settings.federation.networks, &hosts, row.is_public_name);
    let shared = Arc::new(shared(broker, &settings, &identity, trust, near));
    let facts = Arc::new(Facts {
        domain: row.domain,
        pin,
        addresses,
        has_public_certificate,
        certificate_trouble: certificate_trouble.filter(|_| is_from_files),
        is_public_name: row.is_public_name,
        ca_pem: row.ca_pem,
        peer_link,
        is_name_open,
        found,
    });
    let tasks = Tasks::new();
    listeners.serve(&shared, &tasks);
    connection::start_dialling(&shared, &tasks);
    let keeping = housekeeping::run(Arc::downgrade(&shared), Arc::clone(&identity), settings.certificate.clone());
    tokio::spawn(keeping);
    tokio::spawn(housekeeping::forget_soon(Arc::downgrade(&shared)));
    tokio::spawn(housekeeping::say_how_it_is(Arc::downgrade(&shared)));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        is_federating = settings.federation.is_enabled,
        has_public_certificate,
        "the broker is running"
    );
    if found == disk::Found::RolledBack {
        tracing::warn!("the data is older than when the broker last ran: a backup was put back");
    }
    if let Some(trouble) = facts.certificate_trouble {
        tracing::warn!("apps refuse the certificate: {trouble}");
    }
    Ok(Server { facts, shared, identity, tasks: Some(tasks) })
}

fn shared(
    broker: Broker,
    settings: &Settings,
    identity: &Arc<ReloadableIdentity>,
    trust: Trust,
    near: Vec<IpNetwork>,
) -> Shared {
    let names = settings.federation.dns.map_or_else(Names::system, Names::from_server);
    let pre_auth = settings.limits.pre_auth;
    let tls = |purpose| ServerTls::new(purpose, Arc::clone(identity)).with_timeout(pre_auth);
    let server_tls = tls(Purpose::XmppServers).with_peer_trust(trust.clone(), Routes::default());
    Shared {
        broker,
        client_tls: tls(Purpose::XmppClients).with_servers(server_tls.clone()),
        server_tls,
        https_tls: tls(Purpose::Https),
        dial_tls: ClientTls::new(net::Service::Server, trust).with_identity(Arc::clone(identity)),
        dialler: Dialler::direct(names.clone()),
        names,
        federation: settings.federation.clone(),
        addresses: AddressRule::PublicAnd(near.into()),
        counts_networks: settings.pre_auth_per_network.is_some(),
        tap: settings.danger_tap.clone(),
        stopping: Stopping::default(),
    }
}

fn broker_config(settings: &Settings, domain: &str, addresses: &Addresses, hosts: &[Host]) -> BrokerConfig {
    let port = addresses.https.port();
    let web_base =
        |host: &str| Some(if port == 443 { format!("https://{host}") } else { format!("https://{host}:{port}") });
    let mut config = BrokerConfig::new(domain);
    config.policy = settings.policy;
    config.scram_iterations = settings.scram_iterations;
    config.services = SERVICES.map(str::to_owned).to_vec();
    config.limits = settings.limits.clone();
    config.pep = settings.pep.clone();
    config.accounts.is_open = settings.registration.is_open;
    config.accounts.reserved_names.clone_from(&settings.registration.reserved_names);
    config.upload = settings.upload.clone();
    // Clients know the name of the broker by its certificate, and its place by the link.
    // What leaves XMPP names machines in ASCII (RFC 5890 §2.3.2.1): a browser and every library of HTTP want it so.
    let domain = net::names::to_ascii(domain).unwrap_or_else(|| domain.to_owned());
    config.upload.web_base = web_base(&domain);
    config.invites = InviteSettings {
        lifetime: settings.registration.invite_lifetime,
        per_day: settings.registration.invites_per_day,
        at: links::at(hosts, addresses.client_tls.port()),
        starttls_port: Some(addresses.client.port()),
        // A browser knows only DNS, so without it the page is at an address.
        web_base: web_base(&hosts.first().map_or(domain, Host::to_text)),
        ..InviteSettings::default()
    };
    config
}

fn peers(settings: &Settings) -> Result<Vec<broker::Peer>, StartError> {
    settings.federation.peers.iter().map(|link| links::parse_peer(link).ok_or(StartError::BadPeer)).collect()
}

fn federation_trust(settings: &Settings) -> Result<Trust, StartError> {
    match &settings.federation.authorities_pem {
        Some(pem) => Trust::public_and_pem(pem).map_err(StartError::Authorities),
        None => Ok(Trust::public()),
    }
}

fn identity_error(error: IdentityError) -> StartError {
    StartError::Identity { path: None, error }
}

fn store_error(settings: &Settings, error: StoreError) -> StartError {
    let path = match &settings.storage {
        Storage::Memory => None,
        Storage::Directories { data, .. } => Some(data.clone()),
    };
    StartError::Store { path, error }
}

/// Loads the broker's key and name, or makes them. The name can change until there is an account.
async fn own_identity(
    store: &Store,
    settings: &Settings,
    is_name_open: bool,
    now: Timestamp,
) -> Result<IdentityRow, StartError> {
    let failed = |error| store_error(settings, error);
    let before = certificate::load(store).await.map_err(failed)?;
    let mut row = match &before {
        Some(row) => row.clone(),
        None => certificate::new_key().map_err(identity_error)?,
    };
    let asked = match &settings.domain {
        Some(domain) => Some(name::canonical(domain).ok_or(StartError::BadDomain)?),
        None => None,
    };
    match asked {
        Some(domain) if row.domain != domain => {
            if !is_name_open {
                return Err(StartError::DomainFixed { domain: row.domain });
            }
            row.rename(&domain, true, now).map_err(identity_error)?;
        }
        None if row.domain.is_empty() => {
            let own = name::own_name(&name::hostname(), &row.pin(now).map_err(identity_error)?);
            row.rename(&own, false, now).map_err(identity_error)?;
        }
        _ => {}
    }
    // By a date that cannot be believed nothing is renewed (B10); the next look is six hours away.
    if row.needs_renewal(now) && (before.is_none() || believes_clock(store).await.map_err(failed)?) {
        row.renew(now).map_err(identity_error)?;
    }
    if before.as_ref() != Some(&row) {
        row.save(store).await.map_err(failed)?;
    }
    Ok(row)
}

/// Whether the wall clock is where this store expects it.
async fn believes_clock(store: &Store) -> Result<bool, StoreError> {
    let (boot, passed) = SystemClock.boot().unwrap_or_default();
    let up_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
    let reading = ClockReading { wall_ms: SystemClock.now().as_millis(), boot, up_ms };
    Ok(ClockGuard::new(store.clone()).look(reading).await? == ClockVerdict::Believed)
}

/// The open ports.
struct Listeners {
    client: Listener,
    client_tls: Listener,
    server: Listener,
    server_tls: Listener,
    https: Listener,
    onion_client: Option<Listener>,
    onion_server: Option<Listener>,
}

impl Listeners {
    async fn bind(settings: &Settings) -> Result<Self, BindError> {
        // Other servers that say nothing must not keep clients out, nor the other way round.
        let (clients, servers) = (Gate::new(settings.pre_auth_per_network), Gate::new(settings.pre_auth_per_network));
        // A browser opens several connections to one page, and nobody signs in there.
        let open_gate = Gate::new(settings.pre_auth_per_network.map(|count| count.saturating_mul(8)));
        let proxies: Arc<[IpNetwork]> = settings.proxies.clone().into();
        let ports = settings.ports;
        let bind = async |port, gate: &Gate| {
            let listener = bind(settings.listen, port, gate).await?;
            Ok::<_, BindError>(listener.with_proxies(Arc::clone(&proxies)))
        };
        Ok(Self {
            client: bind(ports.client, &clients).await?,
            client_tls: bind(ports.client_tls, &clients).await?,
            server: bind(ports.server, &servers).await?,
            server_tls: bind(ports.server_tls, &servers).await?,
            https: bind(ports.https, &open_gate).await?,
            onion_client: bind_onion(settings.onion.client, settings.onion.pre_auth).await?,
            onion_server: bind_onion(settings.onion.server, settings.onion.pre_auth).await?,
        })
    }

    fn addresses(&self) -> Addresses {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let address = |listener: &Listener| listener.local_address().unwrap_or(nowhere);
        Addresses {
            client: address(&self.client),
            client_tls: address(&self.client_tls),
            server: address(&self.server),
            server_tls: address(&self.server_tls),
            https: address(&self.https),
        }
    }

    fn serve(self, shared: &Arc<Shared>, tasks: &Tasks) {
        connection::serve_clients(shared, tasks, self.client, connection::Start::Plain);
        connection::serve_clients(shared, tasks, self.client_tls, connection::Start::DirectTls);
        connection::serve_https(shared, tasks, self.https);
        if let Some(listener) = self.onion_client {
            connection::serve_clients(shared, tasks, listener, connection::Start::Plain);
        }
        // Without federation the two ports are closed again.
        if shared.federation.is_enabled {
            connection::serve_servers(shared, tasks, self.server, connection::Start::Plain);
            connection::serve_servers(shared, tasks, self.server_tls, connection::Start::DirectTls);
            if let Some(listener) = self.onion_server {
                connection::serve_servers(shared, tasks, listener, connection::Start::Plain);
            }
        }
    }
}

/// Opens the port that an onion service leads to, if there is one. Whoever comes there, comes from this machine.
async fn bind_onion(address: Option<SocketAddr>, pre_auth: Option<u32>) -> Result<Option<Listener>, BindError> {
    match address {
        Some(address) => Listener::bind(address, Gate::hidden(pre_auth)).await.map(Some),
        None => Ok(None),
    }
}

/// Opens a port at one address, or at all of this machine, IPv6 or not.
async fn bind(listen: Option<IpAddr>, port: u16, gate: &Gate) -> Result<Listener, BindError> {
    if let Some(address) = listen {
        return Listener::bind((address, port).into(), gate.clone()).await;
    }
    match Listener::bind((Ipv6Addr::UNSPECIFIED, port).into(), gate.clone()).await {
        Err(BindError::NotOurAddress | BindError::Failed { .. }) => {
            Listener::bind((Ipv4Addr::UNSPECIFIED, port).into(), gate.clone()).await
        }
        bound_or_refused => bound_or_refused,
    }
}
