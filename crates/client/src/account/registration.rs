//! From an invite link or a password to a signed-in account.

use xep::ibr::Request;
use xmpp::jid::BareJid;
use xmpp::sasl::PasswordForm;
use xmpp::stanza::{self, Condition, StanzaError};
use xmpp::xml::Element;

use super::moving::prefer;
use super::{Account, endpoints_to_rows};
use crate::command::{Login, Outcome, Reply, RequestId};
use crate::engine::Engine;
use crate::error::{CommandError, EngineError, Failure, LinkProblem};
use crate::event::AccountState;
use crate::invites::Invitation;
use crate::tables::{self, AccountRow};

/// Letters and digits of which no two look alike: 32, so 5 bits each.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A sign-in or registration that the user waits for.
pub(crate) struct Registering {
    request: RequestId,
    step: Step,
    /// A failure leaves no account behind: it was not there before.
    is_new: bool,
    /// The user wanted to join rather than to log in.
    is_registration: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The invitation is being shown (XEP-0445).
    Token,
    /// The account is being made (XEP-0077).
    Register,
    /// Signing in.
    SignIn,
}

impl Engine {
    /// Begins to register by an invite link.
    pub(crate) async fn join(&mut self, link: &str, name: Option<&str>) -> Result<Reply, CommandError> {
        let invitation = Invitation::parse(link)?;
        if let Some(reply) = self.move_by(&invitation) {
            return Ok(reply);
        }
        if !invitation.may_register {
            return Err(if invitation.is_bare { LinkProblem::Ended } else { LinkProblem::OpensNoAccount }.into());
        }
        // Without a token it asks for an account at a server that opens one for everybody (XEP-0077).
        let token = invitation.token.clone();
        let local = match (&invitation.username, name) {
            (Some(fixed), _) => fixed.clone(),
            (None, Some(wished)) => wished.to_owned(),
            (None, None) => return Err(CommandError::NameNeeded),
        };
        let jid = BareJid::from_parts(Some(&local), &invitation.domain).map_err(|_| CommandError::BadName)?;
        let row = AccountRow {
            address: jid.as_str().to_owned(),
            password: self.new_password(),
            endpoints: endpoints_to_rows(&invitation.endpoints),
            pin: invitation.pin.map(|pin| pin.to_vec()),
            register_token: token,
            invited_by: invitation.inviter.is_some().then(|| link.to_owned()),
            resource: self.new_resource(),
            made_here: true,
            ..AccountRow::default()
        };
        self.begin_account(row, Step::Token).await
    }

    /// Begins to sign in to an existing account.
    pub(crate) async fn login(&mut self, login: Login) -> Result<Reply, CommandError> {
        let jid = BareJid::parse(&login.address).map_err(|_| CommandError::BadAddress)?;
        if jid.localpart().is_none() {
            return Err(CommandError::BadAddress);
        }
        let is_ours = self.account.as_ref().is_some_and(|account| account.jid == jid && account.row.registered);
        if is_ours && let Some(reply) = self.try_login(&login) {
            return Ok(reply);
        }
        let row = AccountRow {
            address: jid.as_str().to_owned(),
            password: login.password.expose().to_owned(),
            endpoints: endpoints_to_rows(&login.at),
            pin: login.pin.map(|pin| pin.to_vec()),
            registered: true,
            danger_no_binding: login.danger_no_binding,
            resource: self.new_resource(),
            ..AccountRow::default()
        };
        self.begin_account(row, Step::SignIn).await
    }

    async fn begin_account(&mut self, row: AccountRow, step: Step) -> Result<Reply, CommandError> {
        // An account that is only being made may be made anew: another link, another name.
        if self.account.as_ref().is_some_and(|account| account.row.registered || self.registering.is_some()) {
            return Err(CommandError::AccountExists);
        }
        let mut account = Account::new(row)?;
        if step == Step::SignIn {
            // Nothing is kept of an account that exists elsewhere before it has let this device in.
            account.stored = false;
            (self.account, self.device) = (Some(account), None);
            return Ok(self.begin_sign_in(step, true));
        }
        let mut tx = self.store.transaction();
        tables::save(&mut tx, &tables::ACCOUNT.row(b"", b""), &account.row);
        // The keys exist before the account does, so that nobody ever finds it without.
        let device = self.make_device(&account.jid, &mut tx);
        tx.commit().await?;
        self.account = Some(account);
        self.device = Some(device);
        Ok(self.begin_sign_in(step, true))
    }

    fn begin_sign_in(&mut self, step: Step, is_new: bool) -> Reply {
        let request = self.new_request();
        let is_registration = step == Step::Token;
        self.registering = Some(Registering { request, step, is_new, is_registration });
        self.connect();
        Reply::Accepted(request)
    }

    /// Signs in once more to the account that is here.
    pub(super) fn begin_sign_in_again(&mut self) -> Reply {
        self.begin_sign_in(Step::SignIn, false)
    }

    /// The command that waits for a sign-in, which has ended.
    pub(super) fn take_sign_in_request(&mut self) -> Option<RequestId> {
        self.registering.take().map(|registering| registering.request)
    }

    /// The server waits for a registration: the token first, where there is one (XEP-0445 §3).
    pub(crate) fn ready_to_register(&mut self) {
        let token = self.account.as_ref().and_then(|account| account.row.register_token.clone());
        match token {
            Some(token) => self.registration_step(Step::Token, xep::invites::preauth(&token)),
            None => self.send_registration(),
        }
    }

    fn send_registration(&mut self) {
        let Some(account) = &self.account else { return };
        let (username, password) = (account.username().to_owned(), account.row.password.clone());
        let query = Request::Register { username, password }.to_element();
        self.registration_step(Step::Register, query);
    }

    fn registration_step(&mut self, step: Step, child: Element) {
        if self.registering.is_none() {
            let request = self.new_request(); // continued after a restart: nobody waits for it, but it goes on
            self.registering = Some(Registering { request, step, is_new: true, is_registration: true });
        }
        if let Some(registering) = &mut self.registering {
            registering.step = step;
        }
        let to = self.account.as_ref().map(|account| account.jid.domainpart().to_owned());
        let iq = stanza::iq("set", &self.env.id(), to.as_deref(), child);
        if let Some(stream) = self.connection.stream() {
            stream.send_element(&iq);
        }
    }

    pub(crate) async fn registration_answer(&mut self, iq: &Element) -> Result<(), EngineError> {
        let step = self.registering.as_ref().map(|registering| registering.step);
        let error = (iq.attr("type") == Some("error")).then(|| StanzaError::of_stanza(iq)).flatten();
        match (step, error) {
            (Some(Step::Token), None) => {
                // Noted before it is done: after a crash in between, signing in tells whether it was.
                if let Some(account) = &mut self.account {
                    account.row.registration_sent = true;
                }
                self.save_account().await?;
                self.send_registration();
            }
            (Some(Step::Register), None) => self.sign_in_after_registration().await?,
            (Some(step), Some(error)) => {
                self.disconnect();
                self.login_impossible(registration_failure(step, &error)).await?;
            }
            (Some(Step::SignIn), None) | (None, _) => {}
        }
        Ok(())
    }

    async fn sign_in_after_registration(&mut self) -> Result<(), EngineError> {
        let Some(account) = &mut self.account else { return Ok(()) };
        account.row.registered = true;
        account.row.register_token = None;
        let (username, credential) = (account.username().to_owned(), account.credential());
        self.save_account().await?;
        if let Some(registering) = &mut self.registering {
            registering.step = Step::SignIn;
        }
        let failed = self.connection.stream().and_then(|stream| stream.login(&username, credential));
        if failed.is_some() {
            self.login_impossible(Failure::NoSafeLogin).await?;
        }
        Ok(())
    }

    /// The server knows the account and has proved itself.
    pub(crate) async fn authenticated(&mut self, form: PasswordForm) -> Result<(), EngineError> {
        let Some(account) = &mut self.account else { return Ok(()) };
        let before = account.row.clone();
        if let Some(trial) = account.trial.take() {
            account.row = *trial.row;
        }
        let row = &mut account.row;
        row.registered = true;
        row.registration_sent = false;
        row.register_token = None;
        row.scram_seen = true;
        row.opaque_password = form == PasswordForm::Opaque;
        prefer(row, self.connection.opened_at.as_ref());
        if std::mem::take(&mut account.trying_next_password)
            && let Some(next) = row.next_password.take()
        {
            row.password = next;
        }
        let was_stored = std::mem::replace(&mut account.stored, true);
        if was_stored && account.row == before {
            return Ok(());
        }
        let jid = account.jid.clone();
        let mut tx = self.store.transaction();
        self.put_account(&mut tx);
        // The keys are there as soon as the account is, so that nobody ever finds it without.
        let device = self.device.is_none().then(|| self.make_device(&jid, &mut tx));
        tx.commit().await?;
        self.device = self.device.take().or(device);
        Ok(())
    }

    /// Tells the user's waiting command that the account is signed in, and greets whoever invited.
    pub(crate) async fn finish_sign_in(&mut self) -> Result<(), EngineError> {
        let Some(registering) = self.registering.take() else { return Ok(()) };
        let Some(account) = &mut self.account else { return Ok(()) };
        let address = account.jid.clone();
        let invitation = account.row.invited_by.as_deref().and_then(|link| Invitation::parse(link).ok());
        let outcome = if registering.is_registration {
            Outcome::Joined { address, invited_by: invitation.as_ref().and_then(|i| i.inviter.clone()) }
        } else {
            Outcome::LoggedIn { address }
        };
        if let Some(invitation) = invitation {
            self.introduce(&invitation, None).await?;
            if let Some(account) = &mut self.account {
                account.row.invited_by = None;
            }
            self.save_account().await?;
        }
        self.done(registering.request, Ok(outcome));
        Ok(())
    }

    /// Before giving up: the other password, when a change was interrupted; registering, when that was. `true` when the
    /// connection goes on.
    pub(crate) async fn try_other_password(&mut self) -> Result<bool, EngineError> {
        let Some(account) = self.account.as_mut().filter(|account| account.trial.is_none()) else { return Ok(false) };
        if !account.row.registered && account.row.registration_sent {
            account.row.registration_sent = false;
            self.save_account().await?;
            self.reconnect();
            return Ok(true);
        }
        if account.row.next_password.is_some() && !account.trying_next_password {
            account.trying_next_password = true;
            let (username, credential) = (account.username().to_owned(), account.credential());
            let failed = self.connection.stream().and_then(|stream| stream.login(&username, credential));
            return Ok(failed.is_none());
        }
        Ok(false)
    }

    /// Tells the user's waiting command that it failed; an account that was not there before is not there afterwards.
    pub(crate) async fn fail_sign_in(&mut self, failure: Failure) -> Result<(), EngineError> {
        let Some(registering) = self.registering.take() else { return Ok(()) };
        if registering.is_new && self.account.as_ref().is_some_and(|account| !account.has_been_online()) {
            self.forget_account().await?;
            self.set_account_state(AccountState::None);
        }
        self.done(registering.request, Err(failure));
        Ok(())
    }

    pub(crate) fn new_password(&self) -> String {
        // 26 characters of 5 bits are 130 bits; 256 is a multiple of 32, so none is likelier than another.
        self.env
            .bytes::<26>()
            .iter()
            .filter_map(|byte| ALPHABET.get(usize::from(byte % 32)).copied())
            .map(char::from)
            .collect()
    }

    fn new_resource(&self) -> String {
        hex::encode(self.env.bytes::<8>())
    }
}

fn registration_failure(step: Step, error: &StanzaError) -> Failure {
    if xep::ibr::is_weak_password(error).is_some() {
        return Failure::WeakPassword;
    }
    match (step, error.condition) {
        (Step::Register, Condition::Conflict) => Failure::NameTaken,
        (Step::Register, Condition::NotAcceptable | Condition::JidMalformed | Condition::BadRequest) => {
            Failure::NameRefused
        }
        // an invitation with which too many names were tried is worth nothing any more
        (Step::Register, Condition::PolicyViolation) => Failure::InviteInvalid,
        (Step::Token, Condition::ItemNotFound | Condition::NotAcceptable | Condition::BadRequest) => {
            Failure::InviteInvalid
        }
        (_, Condition::ResourceConstraint) => Failure::Full,
        (_, Condition::RemoteServerTimeout) => Failure::ServerTimeout,
        (_, Condition::FeatureNotImplemented | Condition::ServiceUnavailable) => Failure::NotSupported,
        _ => Failure::RegistrationClosed,
    }
}
