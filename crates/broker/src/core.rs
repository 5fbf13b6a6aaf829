//! [`Core`]: what all parts of a broker share. [`Broker`]: the handle that a program holds.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use store::{ClockGuard, ClockReading, ClockVerdict, Store, StoreError};
use xmpp::jid::{BareJid, Jid};
use xmpp::stream::c2s::ResponderConfig;
use xmpp::time::Timestamp;
use xmpp::xml::Element;

use crate::allowance::Allowances;
use crate::budget::Budgets;
use crate::config::BrokerConfig;
use crate::environment::Environment;
use crate::federation::Federation;
use crate::guesses::Guesses;
use crate::mailbox::Notice;
use crate::offline;
use crate::pace::Pace;
use crate::pep::Interests;
use crate::registry::{Registry, SessionHandle};
use crate::tables::{ACCOUNTS, ACCOUNTS_OWNER, AccountRow};
use crate::turns::Turns;
use crate::upload::Busy;
use crate::web::Recent;

/// What all parts of a broker share.
pub struct Core {
    /// The settings.
    pub config: BrokerConfig,
    /// The disk.
    pub store: Store,
    /// The clock and the random source.
    pub env: Environment,
    /// What is thought of the wall clock.
    clock: ClockGuard,
    /// Names this run, where the machine names none.
    run: [u8; 16],
    /// What the whole holds for others: bytes, dials, descriptors.
    pub budgets: Budgets,
    pub(crate) registry: Registry,
    pub(crate) federation: Federation,
    pub(crate) allowances: Allowances,
    pub(crate) failed_logins: Guesses,
    pub(crate) strangers: Pace,
    pub(crate) password_changes: Pace,
    pub(crate) interests: Interests,
    pub(crate) uploads: Busy,
    pub(crate) recent: Recent,
    pub(crate) turns: Turns,
    pub(crate) offline: offline::Writer,
    /// The settings of all client streams.
    pub(crate) client_streams: Arc<ResponderConfig>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Core")
    }
}

/// Where an address leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// An account of ours (which may not exist).
    Account,
    /// The server itself.
    Server,
    /// A service on a sub-domain of ours.
    Service(&'a str),
    /// Another server.
    Remote(&'a str),
}

impl Core {
    /// Tells where an address leads.
    pub(crate) fn place<'a>(&self, jid: &'a Jid) -> Place<'a> {
        let domain = jid.domainpart();
        if domain == self.config.domain {
            return if jid.localpart().is_some() { Place::Account } else { Place::Server };
        }
        match domain.strip_suffix(self.config.domain.as_str()).and_then(|rest| rest.strip_suffix('.')) {
            Some(service) if self.config.services.iter().any(|s| s == service) => Place::Service(service),
            _ => Place::Remote(domain),
        }
    }

    /// Reads an account.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn account(&self, account: &str) -> Result<Option<AccountRow>, StoreError> {
        let row = self.store.get(&ACCOUNTS.row(ACCOUNTS_OWNER, account.as_bytes())).await?;
        row.map(|value| prost::Message::decode(value.as_slice()).map_err(|_| StoreError::Altered)).transpose()
    }

    /// Lists all accounts, in no useful order; for housekeeping and the administrator.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn accounts(&self) -> Result<Vec<AccountRow>, StoreError> {
        let rows = self.store.list(ACCOUNTS, ACCOUNTS_OWNER).await?;
        let decode = |value: &[u8]| prost::Message::decode(value).map_err(|_| StoreError::Altered);
        rows.iter().map(|(_, value)| decode(value.as_slice())).collect()
    }

    /// Tells whether an account exists and is not closed.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn account_exists(&self, account: &str) -> Result<bool, StoreError> {
        Ok(self.account(account).await?.is_some_and(|row| !row.closed))
    }

    /// Returns the address of a local user by name.
    pub(crate) fn local_jid(&self, localpart: &str) -> Option<BareJid> {
        BareJid::from_parts(Some(localpart), &self.config.domain).ok()
    }

    /// Lists the available resources of an account.
    #[must_use]
    pub fn available_sessions(&self, account: &str) -> Vec<Arc<SessionHandle>> {
        self.registry.sessions(account, SessionHandle::is_available)
    }

    /// Tells whether an account has any session.
    #[must_use]
    pub fn has_sessions(&self, account: &str) -> bool {
        !self.registry.sessions(account, |_| true).is_empty()
    }

    /// Ends all sessions of an account that is gone or must sign in again.
    pub fn end_sessions(&self, account: &str) {
        for session in self.registry.sessions(account, |_| true) {
            session.mailbox.notify(Notice::AccountGone);
        }
    }

    /// Ends all sessions of an account but one, which has just changed the password.
    pub(crate) fn end_other_sessions(&self, account: &str, keep: &Jid) {
        for session in self.registry.sessions(account, |session| session.jid != *keep) {
            session.mailbox.notify(Notice::AccountGone);
        }
    }

    /// Ends all client sessions in order, because the broker stops; what they have not acknowledged is kept.
    pub fn shut_down(&self) {
        for session in self.registry.all() {
            session.mailbox.notify(Notice::Shutdown);
        }
    }

    /// Counts the sessions of all accounts.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.registry.len()
    }
}

/// A broker: a cheap handle to its [`Core`].
#[derive(Debug, Clone)]
pub struct Broker(Arc<Core>);

impl Deref for Broker {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.0
    }
}

impl Broker {
    /// Makes a broker on a store.
    #[must_use]
    pub fn new(config: BrokerConfig, store: Store, env: Environment) -> Self {
        let client_streams = Arc::new(client_streams(&config));
        let recent = Recent::new(&*env.random);
        let budgets = Budgets::new(&config.limits.whole);
        let federation = Federation::new(&config, &env);
        let strangers = Pace::of_strangers(config.limits.strangers_per_minute);
        let mut run = [0; 16];
        env.random.fill(&mut run);
        Self(Arc::new(Core {
            config,
            clock: ClockGuard::new(store.clone()),
            run,
            store,
            failed_logins: Guesses::new(&env),
            env,
            budgets,
            registry: Registry::new(),
            federation,
            allowances: Allowances::new(),
            strangers,
            password_changes: Pace::of_password_changes(),
            interests: Interests::default(),
            uploads: Busy::default(),
            recent,
            turns: Turns::default(),
            offline: offline::Writer::default(),
            client_streams,
        }))
    }

    /// Returns what all parts share.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.0
    }
}

impl Core {
    /// Looks at the clocks: whether the wall clock may be believed when something is to be destroyed or renewed by it
    /// (attack row B10 of the broker's budgets: a machine may start in 1970).
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn look_at_clock(&self) -> Result<ClockVerdict, StoreError> {
        self.clock.look(self.clock_reading()).await
    }

    /// Whether things may be destroyed because their date is over.
    pub(crate) async fn may_expire(&self) -> Result<bool, StoreError> {
        Ok(self.look_at_clock().await? == ClockVerdict::Believed)
    }

    /// Believes the wall clock as it is: the operator says so.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn accept_clock(&self) -> Result<(), StoreError> {
        self.clock.accept(self.clock_reading()).await
    }

    /// The date by which things are kept and come to their end: the wall clock's while that is believed, else the one that
    /// was believed last and what has passed since.
    #[must_use]
    pub fn date(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.time_ms_since_look(self.clock_reading()))
    }

    fn clock_reading(&self) -> ClockReading {
        let up = |passed: Duration| u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let (boot, up_ms) = match self.env.clock.boot() {
            Some((boot, passed)) => (boot, up(passed)),
            None => (self.run, self.env.moment().as_millis()),
        };
        ClockReading { wall_ms: self.env.now().as_millis(), boot, up_ms }
    }
}

fn client_streams(config: &BrokerConfig) -> ResponderConfig {
    let mut streams = ResponderConfig::new(vec![config.domain.clone()]);
    streams.iterations = config.scram_iterations;
    streams.pre_auth_limits = config.limits.pre_auth_xml;
    streams.limits = config.limits.client_xml;
    streams.login_attempts = config.limits.login_attempts;
    streams.registration = config.registration;
    streams.idle_seconds = u32::try_from(config.limits.client_idle.as_secs()).ok();
    streams.ack_request_every = 1; // one request per turn: senders wait for receivers (see `settle`)
    streams.features.clone_from(&config.stream_features);
    streams.features.push(Element::new("sub", "urn:xmpp:features:pre-approval")); // RFC 6121 §3.4
    streams
}
