//! [`Server`]: a running broker, from its settings to the last byte of its shutdown.

pub(crate) mod certificate;
mod descriptors;
pub mod disk;
mod housekeeping;
mod links;
mod name;
pub(crate) mod peers;
pub(crate) mod shutdown;
mod start;
mod workers;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use broker::Broker;
use broker::invites::{InviteError, Spec};
use net::certificate::Pin;
use net::identity::ReloadableIdentity;
use net::verify::VerifyError;
use xmpp::time::Timestamp;

use crate::admin;
use crate::connection::Shared;
use crate::error::StartError;
use crate::settings::{Settings, Storage};

pub use disk::Found;
pub(crate) use links::host_of;
pub use links::parse_peer;
pub use name::{canonical, hostname, own_name};
pub use peers::PeerError;
use shutdown::Tasks;

/// How long connections have to end when the broker stops.
const STOP_TIME: Duration = Duration::from_secs(5);

/// Where a broker listens, with the ports that were chosen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// Clients, STARTTLS.
    pub client: SocketAddr,
    /// Clients, direct TLS.
    pub client_tls: SocketAddr,
    /// Servers, STARTTLS.
    pub server: SocketAddr,
    /// Servers, direct TLS.
    pub server_tls: SocketAddr,
    /// Web pages and files.
    pub https: SocketAddr,
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Addresses(<redacted>)")
    }
}

/// An invitation to hand on.
#[derive(Clone, PartialEq, Eq)]
pub struct Invite {
    /// The `xmpp:` link.
    pub link: String,
    /// The page that shows the same.
    pub page: Option<String>,
    /// The address of the page in the characters that make a small code for a camera.
    pub code: Option<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Invite(<redacted>)")
    }
}

/// What others can know about a running broker.
#[derive(Clone)]
pub struct Facts {
    /// The domain that accounts live under.
    pub domain: String,
    /// The pin of its key.
    pub pin: Pin,
    /// Where it listens.
    pub addresses: Addresses,
    /// An authority that clients know vouches for it.
    pub has_public_certificate: bool,
    /// Why clients will not believe the certificate that the settings name.
    pub certificate_trouble: Option<VerifyError>,
    /// The domain was given, and is not a name that the broker has made up.
    pub is_public_name: bool,
    /// The certificate of its own authority, in PEM.
    pub ca_pem: String,
    /// The link that `peer add` on another broker takes.
    pub peer_link: String,
    /// There was no account at the start: the domain can still be changed.
    pub is_name_open: bool,
    /// What was found about the database.
    pub found: Found,
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts").field("found", &self.found).finish_non_exhaustive()
    }
}

/// A running broker. Dropping it stops it at once; [`Server::stop`] stops it in order.
pub struct Server {
    facts: Arc<Facts>,
    shared: Arc<Shared>,
    identity: Arc<ReloadableIdentity>,
    tasks: Option<Tasks>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server")
    }
}

impl Server {
    /// Starts a broker. It accepts connections when this returns. Needs a `tokio` runtime with time and I/O.
    ///
    /// # Errors
    ///
    /// [`StartError`] says what is wrong and what can be done about it; nothing is left running.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        start::start(settings).await
    }

    /// Returns the domain that accounts live under.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.facts.domain
    }

    /// Returns the pin of the broker's key.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.facts.pin
    }

    /// Returns where the broker listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.facts.addresses
    }

    /// Returns everything that others can know.
    #[must_use]
    pub fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// Returns the broker itself.
    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.shared.broker
    }

    /// Returns the certificate that is in use.
    #[must_use]
    pub fn identity(&self) -> &Arc<ReloadableIdentity> {
        &self.identity
    }

    /// Makes an invitation in the name of the operator: it opens one account.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub async fn invite(&self) -> Result<Invite, InviteError> {
        invite(&self.shared.broker, Spec::default()).await
    }

    /// Returns the invitation for the first person of a broker that nobody has joined yet: the one that an earlier start
    /// has made, as long as it is good for another day, or a new one. Nothing once there is an account.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub async fn first_invite(&self) -> Result<Option<Invite>, InviteError> {
        if !self.facts.is_name_open {
            return Ok(None);
        }
        let broker = &self.shared.broker;
        let soon = broker.env.now() + Duration::from_secs(86_400);
        let before = broker::invites::open_of_operator(broker.core()).await?.filter(|made| made.expires_at > soon);
        Ok(Some(match before {
            Some(made) => made.into(),
            None => self.invite().await?,
        }))
    }

    /// Counts the accounts that are open.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn account_count(&self) -> Result<usize, store::StoreError> {
        Ok(self.shared.broker.accounts().await?.iter().filter(|account| !account.closed).count())
    }

    /// Returns the link that `peer add` on another broker takes: name, addresses and pin.
    #[must_use]
    pub fn peer_link(&self) -> String {
        self.facts.peer_link.clone()
    }

    /// Remembers another broker by its peer link, and returns its domain.
    ///
    /// # Errors
    ///
    /// [`PeerError`].
    pub async fn add_peer(&self, link: &str) -> Result<String, PeerError> {
        peers::add(&self.shared.broker, link).await
    }

    /// Stops in order: streams are closed, what was not acknowledged goes to the offline store.
    pub async fn stop(mut self) {
        // In this order: sessions that wake up because of the second find the notice of the first.
        tracing::info!("the broker is stopping");
        self.shared.broker.shut_down();
        self.shared.stopping.begin();
        if let Some(tasks) = self.tasks.take() {
            tasks.wait(STOP_TIME).await;
        }
        tracing::info!("the broker has stopped");
    }

    /// Opens the socket for administration (file permissions 0600) at `path`, until the broker stops.
    ///
    /// # Errors
    ///
    /// [`StartError::AdminSocket`].
    pub fn administer(&self, path: PathBuf, storage: Storage) -> Result<(), StartError> {
        let context = admin::Context {
            shared: Arc::clone(&self.shared),
            facts: Arc::clone(&self.facts),
            identity: Arc::clone(&self.identity),
            storage,
        };
        admin::serve(path, context, self.tasks.as_ref().map(Tasks::token))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.begin();
    }
}

/// Makes an invitation in the name of the operator.
pub(crate) async fn invite(broker: &Broker, spec: Spec) -> Result<Invite, InviteError> {
    Ok(broker::invites::create(broker.core(), &spec).await?.into())
}

impl From<broker::invites::Invite> for Invite {
    fn from(made: broker::invites::Invite) -> Self {
        Self { link: made.uri, page: made.landing_url, code: made.code_url, expires_at: made.expires_at }
    }
}
