//! `waxwing join`: an account by an invite link.

use tokio::time::{Duration, timeout};

use super::arguments::Join;
use super::session::Session;
use super::{Context, Exit};
use crate::api::{Answer, Kind, Refusal, Request};
use crate::terminal::plain;

pub(super) async fn run(context: &mut Context<'_>, join: Join) -> Result<Exit, Refusal> {
    let request = Request::Join { link: join.link, name: join.name };
    let answer = sign_in(context, &request).await?;
    if let Answer::Joined { address, invited_by } = &answer {
        context.console.line(&format!("Welcome. Your address is {}.", plain::name(address)));
        if let Some(inviter) = invited_by {
            let name = plain::name(inviter.split('@').next().unwrap_or(inviter));
            context
                .console
                .line(&format!("{} invited you. Write to them: waxwing say {name} \"Hello\"", plain::name(inviter)));
        } else {
            context.console.line("Next: `waxwing invite` makes a link for somebody you want to talk to.");
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
    timeout(wait, session.ask(request)).await.unwrap_or_else(|_| {
        let text = "The server cannot be reached. Check the network and the address, then try again.";
        Err(Refusal::new(Kind::Offline, text))
    })
}
