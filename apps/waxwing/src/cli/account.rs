//! `waxwing account`: the password, and the end.

use tokio::time::{Instant, timeout_at};

use super::arguments::AccountChange;
use super::session::Session;
use super::{Context, Exit, password};
use crate::api::{Answer, Event, Kind, Refusal, Request};
use crate::words::{refusals, results};

pub(super) async fn run(context: &mut Context<'_>, change: AccountChange) -> Result<Exit, Refusal> {
    let (request, done) = match change {
        AccountChange::Password { generate: true, .. } => {
            (Request::ChangePassword { new: None }, results::password_generated())
        }
        AccountChange::Password { password_file, .. } => {
            let file = password_file.as_deref();
            let new = password::of_file_or_prompt(context.console, file, &results::ask_new_password()).await?;
            if file.is_none() {
                let again = password::of_file_or_prompt(context.console, None, &results::ask_password_again()).await?;
                if again != new {
                    return Err(Refusal::new(Kind::BadInput, refusals::passwords_differ()));
                }
            }
            (Request::ChangePassword { new: Some(new) }, results::password_changed())
        }
        AccountChange::Delete { yes } => {
            if !yes && !confirm(context).await? {
                context.console.line(&results::nothing_deleted());
                return Ok(Exit::Failed);
            }
            (Request::DeleteAccount, results::account_deleted())
        }
    };
    let mut session = context.online().await?;
    let answer = when_online(context, &mut session, &request).await;
    context.close(session).await;
    let answer = answer?;
    context.console.line(&done);
    context.console.object(&answer);
    Ok(Exit::Ok)
}

/// Asks as soon as there is a connection.
pub(super) async fn when_online(
    context: &Context<'_>,
    session: &mut Session,
    request: &Request,
) -> Result<Answer, Refusal> {
    let until = Instant::now() + context.wait;
    loop {
        match session.ask(request).await {
            Err(refusal) if refusal.kind == Kind::Offline && Instant::now() < until => {}
            answer => return answer,
        }
        match timeout_at(until, session.event()).await {
            Ok(Some(Event::Account { reason: Some(reason), .. })) => return Err(reason),
            Ok(None) => session.reopen().await?,
            Ok(Some(_)) | Err(_) => {}
        }
    }
}

async fn confirm(context: &mut Context<'_>) -> Result<bool, Refusal> {
    if !context.console.can_ask() {
        return Err(Refusal::new(Kind::BadInput, refusals::delete_needs_yes()));
    }
    Ok(context.console.ask(&results::ask_delete()).await.as_deref() == Some("yes"))
}
