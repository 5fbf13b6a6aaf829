//! `waxwing invite`: a link to give to somebody.

use tokio::time::{Instant, timeout_at};

use super::session::Session;
use super::{Context, Exit};
use crate::api::{Answer, Event, Kind, Refusal, Request};
use crate::words::results;

pub(super) async fn run(context: &mut Context<'_>) -> Result<Exit, Refusal> {
    let mut session = context.online().await?;
    let invited = invite(context, &mut session).await;
    context.close(session).await;
    let answer = invited?;
    if let Answer::Invited { link, page } = &answer {
        context.console.line(&results::invite_link());
        context.console.line(link);
        context.console.code(link);
        if let Some(page) = page {
            context.console.line(&results::invite_page());
            context.console.line(page);
        }
    }
    context.console.object(&answer);
    Ok(Exit::Ok)
}

async fn invite(context: &Context<'_>, session: &mut Session) -> Result<Answer, Refusal> {
    let until = Instant::now() + context.wait;
    loop {
        match session.ask(&Request::Invite).await {
            Err(refusal) if refusal.kind == Kind::Offline && Instant::now() < until => {}
            answer => return answer,
        }
        // Not connected yet.
        match timeout_at(until, session.event()).await {
            Ok(Some(Event::Account { reason: Some(reason), .. })) => return Err(reason),
            Ok(None) => session.reopen().await?,
            Ok(Some(_)) | Err(_) => {}
        }
    }
}
