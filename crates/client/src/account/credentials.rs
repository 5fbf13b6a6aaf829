//! Changing the password, and the end of the account (XEP-0077 §3.2 and §3.3).

use xep::ibr::Request;

use crate::command::{Outcome, Password, Reply, RequestId};
use crate::display::displayable;
use crate::engine::{Answer, Engine, Question};
use crate::error::{CommandError, EngineError};
use crate::event::AccountState;
use crate::tables;

impl Engine {
    /// Begins to change the password. The new one is saved first: after a crash one of the two is right.
    pub(crate) async fn change_password(&mut self, new: Option<Password>) -> Result<Reply, CommandError> {
        self.own()?;
        if !self.is_online() {
            return Err(CommandError::Offline);
        }
        let next = new.unwrap_or_else(|| Password::new(self.new_password()));
        if next.expose().is_empty() {
            return Err(CommandError::Empty);
        }
        // The server would be told another one than is kept here: XML cannot carry them all, and no password has them.
        if displayable(next.expose()) != next.expose() || next.expose().chars().any(char::is_control) {
            return Err(CommandError::BadPassword);
        }
        let Some(account) = &mut self.account else { return Err(CommandError::NoAccount) };
        account.row.next_password = Some(next.expose().to_owned());
        let register =
            Request::Register { username: account.username().to_owned(), password: next.expose().to_owned() };
        let query = register.to_element();
        self.save_account().await?;
        let request = self.new_request();
        self.ask("set", None, query, Question::Password { request });
        Ok(Reply::Accepted(request))
    }

    pub(crate) async fn password_answer(&mut self, request: RequestId, answer: &Answer) -> Result<(), EngineError> {
        let Some(account) = &mut self.account else { return Ok(()) };
        let outcome = match answer.failure() {
            None => {
                if let Some(next) = account.row.next_password.take() {
                    account.row.password = next;
                    account.row.opaque_password = false;
                }
                Ok(Outcome::PasswordChanged)
            }
            // Without an answer either may be right; the next sign-in tells.
            Some(failure) if matches!(answer, Answer::Lost) => Err(failure),
            Some(failure) => {
                account.row.next_password = None;
                Err(failure)
            }
        };
        self.save_account().await?;
        self.done(request, outcome);
        Ok(())
    }

    pub(crate) fn delete_account(&mut self) -> Result<Reply, CommandError> {
        self.own()?;
        if !self.is_online() {
            return Err(CommandError::Offline);
        }
        let request = self.new_request();
        self.ask_unregister(request);
        Ok(Reply::Accepted(request))
    }

    fn ask_unregister(&mut self, request: RequestId) {
        self.ask("set", None, Request::Cancel.to_element(), Question::Unregister { request });
    }

    /// The connection broke before the server said whether the account is gone: the next sign-in tells.
    pub(crate) fn unregister_lost(&mut self, request: RequestId) {
        if let Some(account) = &mut self.account {
            account.unregistering = Some(request);
        }
    }

    /// The server still lets the account in, so it had not been asked yet.
    pub(crate) fn unregister_again(&mut self) {
        if let Some(request) = self.account.as_mut().and_then(|account| account.unregistering.take()) {
            self.ask_unregister(request);
        }
    }

    /// The server does not let the account in any more that was to be closed. `true` when that was so.
    pub(crate) async fn unregister_shown_by_refusal(&mut self) -> Result<bool, EngineError> {
        let request = self.account.as_mut().and_then(|account| account.unregistering.take());
        let Some(request) = request else { return Ok(false) };
        self.account_gone(request).await?;
        Ok(true)
    }

    async fn account_gone(&mut self, request: RequestId) -> Result<(), EngineError> {
        self.disconnect();
        self.forget_account().await?;
        self.set_account_state(AccountState::None);
        self.done(request, Ok(Outcome::AccountDeleted));
        Ok(())
    }

    pub(crate) async fn unregister_answer(&mut self, request: RequestId, answer: &Answer) -> Result<(), EngineError> {
        if let Some(failure) = answer.failure() {
            self.done(request, Err(failure));
            return Ok(());
        }
        self.account_gone(request).await
    }

    /// Deletes everything that is known about the account and its contacts.
    pub(crate) async fn forget_account(&mut self) -> Result<(), EngineError> {
        let Some(account) = self.account.take() else { return Ok(()) };
        let own = account.jid;
        self.device = None;
        let mut tx = self.store.transaction();
        tx.delete(&tables::ACCOUNT.row(b"", b""));
        let owner = tables::owner(&own, &[]);
        for contact in self.contact_rows_of(&own).await? {
            self.delete_person(&mut tx, &own, &contact.address).await?;
        }
        self.delete_person(&mut tx, &own, own.as_str()).await?;
        for table in tables::OF_ACCOUNT {
            tables::delete_all(&self.store, &mut tx, *table, &owner).await?;
        }
        for table in tables::OF_ACCOUNT_IN_ORDER {
            tables::delete_seq(&self.store, &mut tx, *table, &owner).await?;
        }
        tx.erase();
        tx.commit().await?;
        Ok(())
    }
}
