//! The account: joining by invite, signing in, the password, the end.

mod credentials;
mod moving;
mod registration;

use store::Transaction;
use xmpp::jid::BareJid;
use xmpp::sasl::select::Policy;
use xmpp::sasl::{Credential, PasswordForm};
use xmpp::stream::TlsFacts;
use xmpp::stream::c2s::Purpose;

pub(crate) use registration::Registering;

use crate::command::{Reply, RequestId};
use crate::engine::{Engine, Origin};
use crate::error::{CommandError, EngineError, Failure};
use crate::event::AccountState;
use crate::output::{Endpoint, ServerIdentity};
use crate::tables::{self, AccountRow, EndpointRow};

/// The account of the profile.
pub(crate) struct Account {
    pub(crate) jid: BareJid,
    pub(crate) row: AccountRow,
    /// The connection under way tries the password that a change may or may not have set.
    trying_next_password: bool,
    /// The command that waits for the end of the account, when the connection broke before the server answered it.
    unregistering: Option<RequestId>,
    /// Another way to sign in that is being tried: it replaces `row` once it has proved to work.
    trial: Option<Trial>,
    /// Whether the row is in the store. An account that exists elsewhere is not before it has let this device in.
    stored: bool,
}

/// Another way to sign in to the account.
struct Trial {
    row: Box<AccountRow>,
    /// Whether the account was connected, or connecting, by the known way.
    was_online: bool,
}

impl Account {
    pub(crate) fn new(row: AccountRow) -> Result<Self, EngineError> {
        let jid = BareJid::parse(&row.address).map_err(|_| EngineError::BadRow)?;
        Ok(Self { jid, row, trying_next_password: false, unregistering: None, trial: None, stored: true })
    }

    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        endpoints_from_rows(&self.row.endpoints)
    }

    pub(crate) fn pin(&self) -> Option<[u8; 32]> {
        self.row.pin.as_deref().and_then(|pin| pin.try_into().ok())
    }

    /// What the connection under way signs in by.
    fn signing_in(&self) -> &AccountRow {
        self.trial.as_ref().map_or(&self.row, |trial| &trial.row)
    }

    fn signing_in_pin(&self) -> Option<[u8; 32]> {
        self.signing_in().pin.as_deref().and_then(|pin| pin.try_into().ok())
    }

    /// Where to connect.
    pub(crate) fn places(&self) -> Vec<Endpoint> {
        endpoints_from_rows(&self.signing_in().endpoints)
    }

    pub(crate) fn server_identity(&self) -> ServerIdentity {
        self.signing_in_pin().map_or(ServerIdentity::PublicCertificate, ServerIdentity::Pin)
    }

    /// Whether a TLS connection leads to the right server, as far as a pin tells. Without one the program around has
    /// checked the certificate.
    pub(crate) fn accepts(&self, facts: &TlsFacts) -> bool {
        self.signing_in_pin()
            .is_none_or(|pin| facts.peer_certificate.as_ref().is_some_and(|peer| peer.spki_sha256 == pin))
    }

    pub(crate) fn purpose(&self) -> Purpose {
        // A registration that was sent and not answered may have happened: signing in tells.
        if !self.row.registered && !self.row.registration_sent {
            return Purpose::Register;
        }
        Purpose::Login { username: self.username().to_owned(), credential: self.credential() }
    }

    pub(crate) fn login_policy(&self) -> Policy {
        let row = self.signing_in();
        Policy { scram_seen: row.scram_seen, danger_no_binding: row.danger_no_binding, ..Policy::default() }
    }

    /// Whether the server has ever let this device in.
    pub(crate) fn has_been_online(&self) -> bool {
        self.row.scram_seen
    }

    pub(crate) fn username(&self) -> &str {
        self.jid.localpart().unwrap_or_default()
    }

    pub(crate) fn credential(&self) -> Credential {
        let row = self.signing_in();
        let next = row.next_password.as_deref().filter(|_| self.trying_next_password);
        // what was learnt is about the password that was taken
        match next {
            Some(next) => Credential::password(next),
            None if row.opaque_password => Credential::password_in(PasswordForm::Opaque, &row.password),
            None => Credential::password(&row.password),
        }
    }
}

pub(crate) fn endpoints_to_rows(endpoints: &[Endpoint]) -> Vec<EndpointRow> {
    endpoints.iter().map(|e| EndpointRow { host: e.host.clone(), port: u32::from(e.port) }).collect()
}

pub(crate) fn endpoints_from_rows(rows: &[EndpointRow]) -> Vec<Endpoint> {
    rows.iter().map(|e| Endpoint { host: e.host.clone(), port: u16::try_from(e.port).unwrap_or(0) }).collect()
}

impl Engine {
    pub(crate) async fn load_account(&mut self, origin: Origin) -> Result<(), EngineError> {
        let Some(row) = tables::load::<AccountRow>(&self.store, &tables::ACCOUNT.row(b"", b"")).await? else {
            return Ok(());
        };
        self.account = Some(Account::new(row)?);
        self.account_state = AccountState::Offline;
        self.load_device().await?;
        self.ask_about_own_devices_again().await?;
        if origin == Origin::Copied {
            self.renew_device().await?;
        }
        Ok(())
    }

    pub(crate) fn go_online(&mut self) -> Result<Reply, CommandError> {
        self.own()?;
        if let Some(trial) = self.account.as_mut().and_then(|account| account.trial.as_mut()) {
            trial.was_online = true;
        }
        self.connect();
        Ok(Reply::Nothing)
    }

    pub(crate) fn go_offline(&mut self) -> Reply {
        if let Some(trial) = self.account.as_mut().and_then(|account| account.trial.as_mut()) {
            trial.was_online = false;
        }
        self.end_trial(Failure::Disconnected);
        self.disconnect();
        Reply::Nothing
    }

    pub(crate) async fn save_account(&mut self) -> Result<(), EngineError> {
        let mut tx = self.store.transaction();
        self.put_account(&mut tx);
        Ok(tx.commit().await?)
    }

    pub(crate) fn put_account(&self, tx: &mut Transaction) {
        if let Some(account) = self.account.as_ref().filter(|account| account.stored) {
            tables::save(tx, &tables::ACCOUNT.row(b"", b""), &account.row);
        }
    }
}
