//! Another way to sign in to the same account: a new password, another place, another proof of the server. It is tried
//! first and replaces what is known when it has worked. And a broker that moves takes its people along.

use xep::address::Address;
use xmpp::jid::Jid;

use super::{Trial, endpoints_from_rows, endpoints_to_rows};
use crate::command::{Login, Reply};
use crate::engine::{Answer, Engine, Question};
use crate::error::{EngineError, Failure};
use crate::invites::{Invitation, endpoint_from_uri};
use crate::output::Endpoint;
use crate::tables::AccountRow;

/// So many places of a server are kept.
const PLACES_MAX: usize = 16;

impl Engine {
    /// Tries to sign in to the account of this profile as the user says now. What the user does not name stays.
    pub(super) fn try_login(&mut self, login: &Login) -> Option<Reply> {
        let mut row = self.account.as_ref()?.row.clone();
        login.password.expose().clone_into(&mut row.password);
        (row.next_password, row.opaque_password) = (None, false);
        row.danger_no_binding = login.danger_no_binding;
        if !login.at.is_empty() {
            row.endpoints = endpoints_to_rows(&login.at);
        }
        if login.pin.is_some() || login.by_certificate {
            row.pin = login.pin.map(|pin| pin.to_vec());
        }
        self.begin_trial(row);
        Some(self.begin_sign_in_again())
    }

    /// Whether a link leads to the server of the account, known by the same key, at a place that it names: then the server
    /// may have moved there.
    fn row_moved_by(&self, invitation: &Invitation) -> Option<AccountRow> {
        let account = self.account.as_ref().filter(|account| account.row.registered)?;
        let is_same = account.jid.domainpart() == invitation.domain
            && account.pin().is_some_and(|pin| Some(pin) == invitation.pin)
            && !invitation.endpoints.is_empty();
        is_same.then(|| AccountRow { endpoints: endpoints_to_rows(&invitation.endpoints), ..account.row.clone() })
    }

    /// Tries the place that a link of the same server names, because the user wants it.
    pub(super) fn move_by(&mut self, invitation: &Invitation) -> Option<Reply> {
        let row = self.row_moved_by(invitation)?;
        self.begin_trial(row);
        Some(self.begin_sign_in_again())
    }

    /// Tries the place that a link of the same server names, because the known one does not answer.
    pub(crate) fn move_by_the_way(&mut self, invitation: &Invitation) {
        if self.is_online() || self.registering.is_some() {
            return;
        }
        if let Some(row) = self
            .row_moved_by(invitation)
            .filter(|row| self.account.as_ref().is_some_and(|account| account.row.endpoints != row.endpoints))
        {
            self.begin_trial(row);
            self.connect();
        }
    }

    fn begin_trial(&mut self, row: AccountRow) {
        self.end_trial(Failure::Disconnected); // the user wants something else now
        let was_online = self.is_connecting_or_connected();
        self.disconnect();
        if let Some(account) = &mut self.account {
            account.trial = Some(Trial { row: Box::new(row), was_online });
        }
    }

    /// The other way did not work: the known one stays, and is taken up again if it was in use. `false` when none is tried.
    pub(crate) fn end_trial(&mut self, failure: Failure) -> bool {
        let Some(trial) = self.account.as_mut().and_then(|account| account.trial.take()) else { return false };
        self.flush();
        self.disconnect();
        if let Some(request) = self.take_sign_in_request() {
            self.done(request, Err(failure));
        }
        if trial.was_online {
            self.connect();
        }
        true
    }

    /// At the start of a session: where a server that DNS does not know can be reached.
    pub(crate) fn ask_address(&mut self) {
        let Some(account) = self.account.as_ref().filter(|account| account.pin().is_some()) else { return };
        if let Ok(domain) = Jid::parse(account.jid.domainpart()) {
            self.ask("get", Some(&domain), xep::address::question(), Question::Address);
        }
    }

    /// The own server says where it is. Only one with the same key is believed, and the place that works stays the first one:
    /// nobody is locked out by a broker that is wrong about itself.
    pub(crate) async fn address_answer(&mut self, answer: &Answer) -> Result<(), EngineError> {
        let Answer::Result(Some(element)) = answer else { return Ok(()) };
        let Ok(Address { pin, at }) = Address::parse(element) else { return Ok(()) };
        let Some(account) = &mut self.account else { return Ok(()) };
        if account.pin() != Some(pin) || at.is_empty() {
            return Ok(());
        }
        let known = account.endpoints();
        let announced = at.iter().map(endpoint_from_uri);
        let mut places: Vec<Endpoint> = Vec::new();
        for place in known.iter().take(1).cloned().chain(announced).chain(known.iter().skip(1).cloned()) {
            if !places.contains(&place) && places.len() < PLACES_MAX {
                places.push(place);
            }
        }
        let rows = endpoints_to_rows(&places);
        if account.row.endpoints == rows {
            return Ok(());
        }
        account.row.endpoints = rows;
        self.save_account().await
    }
}

/// Puts the place that has worked first, where it is one of those that are known.
pub(super) fn prefer(row: &mut AccountRow, place: Option<&Endpoint>) {
    let Some(place) = place else { return };
    if let Some(at) = endpoints_from_rows(&row.endpoints).iter().position(|known| known == place) {
        row.endpoints.get_mut(..=at).unwrap_or_default().rotate_right(1);
    }
}
