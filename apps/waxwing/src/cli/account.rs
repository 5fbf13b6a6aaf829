//! `waxwing account`: the password, and the end.

use tokio::time::{Instant, timeout_at};

use super::arguments::AccountChange;
use super::session::Session;
use super::{Context, Exit, password};
use crate::api::{Answer, Event, Kind, Refusal, Request};

pub(super) async fn run(context: &mut Context<'_>, change: AccountChange) -> Result<Exit, Refusal> {
    let (request, done) = match change {
        AccountChange::Password { generate: true, .. } => {
            (Request::ChangePassword { new: None }, "The password is a new one. Waxwing keeps it.")
        }
        AccountChange::Password { password_file, .. } => {
            let file = password_file.as_deref();
            let new = password::of_file_or_prompt(context.console, file, "New password: ").await?;
            if file.is_none() {
                let again = password::of_file_or_prompt(context.console, None, "Once more: ").await?;
                if again != new {
                    return Err(Refusal::new(Kind::BadInput, "The two are not the same. Nothing has changed."));
                }
            }
            (Request::ChangePassword { new: Some(new) }, "The password is changed.")
        }
        AccountChange::Delete { yes } => {
            if !yes && !confirm(context).await? {
                context.console.line("Nothing was deleted.");
                return Ok(Exit::Failed);
            }
            (Request::DeleteAccount, "The account is deleted, at its server and here.")
        }
    };
    let mut session = context.online().await?;
    let answer = when_online(context, &mut session, &request).await;
    context.close(session).await;
    let answer = answer?;
    context.console.line(done);
    context.console.object(&answer);
    Ok(Exit::Ok)
}

async fn when_online(context: &Context<'_>, session: &mut Session, request: &Request) -> Result<Answer, Refusal> {
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
        return Err(Refusal::new(
            Kind::BadInput,
            "This cannot be undone. If you mean it: waxwing account delete --yes",
        ));
    }
    let question = "This deletes the account and all conversations here, and cannot be undone. Type yes: ";
    Ok(context.console.ask(question).await.as_deref() == Some("yes"))
}
