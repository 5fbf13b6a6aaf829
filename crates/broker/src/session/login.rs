//! From the first byte to a bound resource: credentials, the pace of guessing, resources.

use std::sync::Arc;
use std::time::Duration;

use xmpp::sasl::{Hash, SaslCondition, ScramVerifier, VerifierKeys};
use xmpp::stanza::{Condition, StanzaError};
use xmpp::stream::StreamCondition;
use xmpp::stream::c2s::ResponderEvent;
use xmpp::time::{Moment, Timestamp};

use super::{Bound, ClientSession, OfflineReading, Phase};
use crate::accounts::PreAuth;
use crate::budget::Unread;
use crate::guesses::Admitted;
use crate::mailbox::{Bounds, Mailbox, Notice};
use crate::registry::SessionHandle;
use crate::settle::{Sender, Unsettled};
use crate::tables::{AccountRow, VerifierRow};

/// How long messages for a session wait for what the one before it, which had its resource, leaves behind. That one ends
/// at once, unless its connection is stuck in the middle of a write.
const HEIR_PATIENCE: Duration = Duration::from_secs(2);

/// A session that is not bound yet.
pub(super) struct Login {
    pub(super) deadline: Moment,
    /// A login that has to wait because of failures before it.
    pub(super) held: Option<Held>,
    /// What the password that is being shown is charged as until it is right.
    admitted: Option<Admitted>,
    /// The account that has signed in.
    account: Option<Box<str>>,
    /// The salt of the password that the exchange is about: another password has another one.
    salt: Option<Box<[u8]>>,
    /// What was shown in order to register.
    pre_auth: PreAuth,
    /// A name for where the connection comes from, gone with the login.
    network: Option<Box<str>>,
}

/// A question of the stream whose answer is held back.
pub(super) struct Held {
    pub(super) until: Moment,
    username: String,
    hash: Hash,
}

impl Login {
    pub(super) fn new(deadline: Moment, network: Option<&str>) -> Self {
        let network = network.map(Into::into);
        Self { deadline, held: None, admitted: None, account: None, salt: None, pre_auth: PreAuth::default(), network }
    }
}

impl ClientSession {
    pub(super) async fn handle_login(&mut self, event: ResponderEvent) {
        match event {
            ResponderEvent::Authenticate { username, mechanism } => self.begin_login(username, mechanism.hash).await,
            ResponderEvent::LoginFailed { .. } => {
                if let Phase::Login(login) = &mut self.phase {
                    login.admitted = None; // charged when it began
                }
            }
            ResponderEvent::Authenticated { username, .. } => self.signed_in(&username).await,
            ResponderEvent::PreAuthIq(request) => {
                if let Phase::Login(login) = &mut self.phase {
                    let reply = login.pre_auth.handle(&self.core, &request).await;
                    self.stream.send_element(&reply);
                }
            }
            ResponderEvent::Bind { resource } => self.bind(resource.as_deref()).await,
            _ => {}
        }
    }

    /// Looks the account up, or waits first when it has seen too many failures (security-design §4).
    async fn begin_login(&mut self, username: String, hash: Hash) {
        let now = self.core.env.moment();
        let account = self.core.local_jid(&username);
        let Phase::Login(login) = &mut self.phase else { return };
        let network = login.network.as_deref();
        // what can be no name of an account has no password either
        match account.map(|account| self.core.failed_logins.admit(account.as_str(), network, now)).transpose() {
            Err(until) => login.held = Some(Held { until, username, hash }),
            Ok(admitted) => {
                login.admitted = admitted;
                self.provide_credentials(&username, hash).await;
            }
        }
    }

    /// Asks again for a login that was held back, once its time has come: of many only one goes on.
    pub(super) async fn release_held_login(&mut self) {
        let now = self.core.env.moment();
        let Phase::Login(login) = &mut self.phase else { return };
        if let Some(held) = login.held.take_if(|held| held.until <= now) {
            self.begin_login(held.username, held.hash).await;
        }
    }

    async fn provide_credentials(&mut self, username: &str, hash: Hash) {
        let account = self.core.local_jid(username);
        // an unknown name gets a salt all the same, by its canonical form where it has one, and another one for each
        // hash, as accounts have (attack X11); no name holds NUL
        let name = format!("{}\0{}", account.as_ref().map_or(username, |a| a.as_str()), hash.name());
        let fake_salt = self.core.store.fake_salt(name.as_bytes());
        let row = match &account {
            Some(account) => self.core.account(account.as_str()).await,
            None => Ok(None),
        };
        match row {
            Ok(row) => {
                let row = row.filter(|row| !row.closed);
                let verifier = row.as_ref().and_then(|row| verifier_of(row, hash));
                if let Phase::Login(login) = &mut self.phase {
                    login.salt = verifier.as_ref().map(|verifier| verifier.salt.as_slice().into());
                }
                self.stream.provide_credentials(verifier, fake_salt);
            }
            Err(_) => self.stream.refuse_credentials(SaslCondition::TemporaryAuthFailure),
        }
    }

    async fn signed_in(&mut self, username: &str) {
        let Some(account) = self.core.local_jid(username) else { return };
        if let Phase::Login(login) = &mut self.phase {
            login.account = Some(account.as_str().into());
            let admitted = login.admitted.take();
            self.core.failed_logins.succeeded(account.as_str(), login.network.as_deref(), admitted);
        }
    }

    /// Tells whether the account is still there, with the password that was shown: between the login and the resource it
    /// may have been closed, or given another password because somebody else knew the old one.
    async fn may_still_sign_in(&self) -> bool {
        let Phase::Login(login) = &self.phase else { return false };
        let (Some(account), Some(salt)) = (&login.account, &login.salt) else { return false };
        let row = self.core.account(account).await;
        row.is_ok_and(|row| row.is_some_and(|row| !row.closed && row.verifiers.iter().any(|v| *v.salt == **salt)))
    }

    async fn bind(&mut self, resource: Option<&str>) {
        let Phase::Login(login) = &self.phase else { return };
        let generated = self.core.env.random_id();
        let account = login.account.as_deref().and_then(|account| xmpp::jid::Jid::parse(account).ok());
        let Some(account) = account else { return self.stream.fail(StreamCondition::InternalServerError) };
        // a resource that is no valid one is replaced, as RFC 6120 §7.7.1 allows
        let jid = account.with_resource(resource.unwrap_or(&generated)).or_else(|_| account.with_resource(&generated));
        let Ok(jid) = jid else { return self.stream.fail(StreamCondition::InternalServerError) };
        let limits = &self.core.config.limits;
        let bounds = Bounds { count: limits.session_queue_count, bytes: limits.session_queue_bytes };
        let mailbox = Arc::new(Mailbox::new(Arc::clone(&self.wake), bounds));
        let by = self.core.source(&jid);
        let handle = Arc::new(SessionHandle::new(self.core.registry.next_id(), jid, mailbox, by));
        match self.core.registry.bind(Arc::clone(&handle), limits.sessions_per_account) {
            Ok(replaced) => {
                let heir_of = replaced.map(|old| {
                    old.mailbox.notify(Notice::Conflict);
                    (old.id, self.core.env.moment() + HEIR_PATIENCE)
                });
                // read after the session can be found: rows that are written from here on are noted
                if let Ok(newest) = crate::offline::newest(&self.core, handle.jid.bare_str()).await {
                    handle.note_row(newest);
                }
                // asked after the session can be found: a change before this is seen here, one after it ends the session
                if !self.may_still_sign_in().await {
                    self.stream.fail(StreamCondition::NotAuthorized);
                    // as any session: what was posted to it meanwhile finds another place
                    self.phase = Phase::Bound(Box::new(Bound { heir_of, ..Bound::new(handle) }));
                    return Box::pin(self.end()).await;
                }
                self.unread = Unread::new(Arc::clone(&handle.by));
                self.stream.bound(&handle.jid);
                self.allowance = self.core.allowances.of(handle.jid.bare_str(), limits, self.core.env.moment());
                tracing::debug!(session = handle.id, "a client has bound a resource");
                self.phase = Phase::Bound(Box::new(Bound { heir_of, ..Bound::new(handle) }));
            }
            Err(_) => self.stream.bind_refused(&StanzaError::new(Condition::ResourceConstraint)),
        }
    }
}

impl Bound {
    fn new(handle: Arc<SessionHandle>) -> Self {
        Self {
            handle,
            last_to: None,
            acks: false,
            unsettled: Unsettled::new(Sender::Client),
            in_flight: std::collections::VecDeque::new(),
            sent_bytes: 0,
            done_rows: Vec::new(),
            offline: OfflineReading::Idle,
            looks_again: false,
            heir_of: None,
            deferred: std::collections::VecDeque::new(),
            directed: None,
            advised: false,
        }
    }
}

/// Finds what checks a password by one hash.
fn verifier_of(row: &AccountRow, hash: Hash) -> Option<ScramVerifier> {
    let number = VerifierRow::number_of(hash)?;
    let verifier = row.verifiers.iter().find(|v| v.hash == number)?;
    Some(ScramVerifier {
        iterations: verifier.iterations,
        salt: verifier.salt.clone(),
        keys: VerifierKeys { stored_key: verifier.stored_key.clone(), server_key: verifier.server_key.clone() },
        other: match (&verifier.other_stored_key, &verifier.other_server_key) {
            (Some(stored), Some(server)) => {
                Some(VerifierKeys { stored_key: stored.clone(), server_key: server.clone() })
            }
            _ => None,
        },
    })
}

impl VerifierRow {
    /// Returns the number that stands for a hash in a row.
    #[must_use]
    pub fn number_of(hash: Hash) -> Option<u32> {
        match hash {
            Hash::Sha1 => Some(1),
            Hash::Sha256 => Some(2),
        }
    }

    /// Makes the row of a verifier.
    #[must_use]
    pub fn of(hash: Hash, verifier: &ScramVerifier) -> Option<Self> {
        Some(Self {
            hash: Self::number_of(hash)?,
            iterations: verifier.iterations,
            salt: verifier.salt.clone(),
            stored_key: verifier.keys.stored_key.clone(),
            server_key: verifier.keys.server_key.clone(),
            other_stored_key: verifier.other.as_ref().map(|other| other.stored_key.clone()),
            other_server_key: verifier.other.as_ref().map(|other| other.server_key.clone()),
        })
    }
}

/// Counts months of 30.44 days since 1970: enough to tell old accounts from new ones, and no finer on purpose.
#[must_use]
pub fn month_of(at: Timestamp) -> u32 {
    u32::try_from(at.as_secs() / 2_629_746).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_gives_back_the_verifier_with_each_form() {
        for password in ["correct horse", "\u{fb01}sh and chips"] {
            for hash in Hash::ALL {
                let verifier = ScramVerifier::derive(hash, password, b"0123456789abcdef", 4096).expect("a password");
                let row = AccountRow {
                    verifiers: VerifierRow::of(hash, &verifier).into_iter().collect(),
                    ..Default::default()
                };
                assert_eq!(verifier.other.is_some(), password.contains('\u{fb01}'));
                assert_eq!(verifier_of(&row, hash), Some(verifier));
            }
        }
    }
}
