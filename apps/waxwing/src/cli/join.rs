//! `waxwing join`: an account by an invite link.

use tokio::time::{Duration, timeout};

use super::arguments::Join;
use super::session::Session;
use super::{Context, Exit, link};
use crate::api::{Answer, Kind, Refusal, Request};
use crate::words::{refusals, results};

pub(super) async fn run(context: &mut Context<'_>, join: Join) -> Result<Exit, Refusal> {
    let link = link::resolve(context, join.link).await?;
    let answer = open_account(context, &link, join.name).await?;
    if let Answer::Joined { address, invited_by } = &answer {
        context.console.line(&results::joined(address));
        if let Some(inviter) = invited_by {
            let name = inviter.split('@').next().unwrap_or(inviter);
            context.console.line(&results::invited_by(inviter, name));
        } else {
            context.console.line(&results::invite_somebody());
        }
    }
    if let Answer::LoggedIn { address } = &answer {
        context.console.line(&results::server_moved(address));
    }
    context.console.object(&answer);
    Ok(Exit::Ok)
}

/// Opens the account; at a terminal a name is asked for, until one can be had.
async fn open_account(context: &mut Context<'_>, link: &str, name: Option<String>) -> Result<Answer, Refusal> {
    let can_ask = context.console.can_ask() && !context.console.is_json();
    let mut name = name;
    loop {
        let request = Request::Join { link: link.to_owned(), name: name.clone() };
        match sign_in(context, &request).await {
            Err(refusal) if refusal.kind == Kind::BadName && can_ask => {
                if name.is_some() {
                    context.console.note(&refusal.text);
                }
                name = Some(ask_name(context).await.ok_or(refusal)?);
            }
            answer => return answer,
        }
    }
}

/// A name; nothing when there is no answer.
async fn ask_name(context: &mut Context<'_>) -> Option<String> {
    context.console.ask(&results::ask_name()).await.filter(|name| !name.is_empty())
}

/// Asks for what ends signed in, and waits for it.
pub(super) async fn sign_in(context: &mut Context<'_>, request: &Request) -> Result<Answer, Refusal> {
    let mut session: Session = context.session().await?;
    let answer = sign_in_over(context.wait, &mut session, request).await;
    context.close(session).await;
    answer
}

/// As [`sign_in`], over a session that stays.
pub(super) async fn sign_in_over(wait: Duration, session: &mut Session, request: &Request) -> Result<Answer, Refusal> {
    timeout(wait, session.ask(request))
        .await
        .unwrap_or_else(|_| Err(Refusal::new(Kind::Offline, refusals::server_not_reached(wait.as_secs()))))
}
