//! `waxwing join`: an account by an invite link.

use tokio::time::{Duration, timeout};

use super::arguments::Join;
use super::session::Session;
use super::{Context, Exit};
use crate::api::{Answer, Kind, Refusal, Request};
use crate::words::{refusals, results};

pub(super) async fn run(context: &mut Context<'_>, join: Join) -> Result<Exit, Refusal> {
    let request = Request::Join { link: join.link, name: join.name };
    let answer = sign_in(context, &request).await?;
    if let Answer::Joined { address, invited_by } = &answer {
        context.console.line(&results::joined(address));
        if let Some(inviter) = invited_by {
            let name = inviter.split('@').next().unwrap_or(inviter);
            context.console.line(&results::invited_by(inviter, name));
        } else {
            context.console.line(&results::invite_somebody());
        }
    }
    context.console.object(&answer);
    Ok(Exit::Ok)
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
