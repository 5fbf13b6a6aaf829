//! `waxwing outbox`, `retry` and `cancel`: what has not been sent yet.

use std::collections::BTreeSet;

use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::delivery::is_with_server;
use super::session::Session;
use super::{Context, Exit, delivery, write};
use crate::api::{Answer, Event, QueuedView, Refusal, Request};
use crate::words::results;

/// Lists what waits. Needs no connection.
pub(super) async fn list(context: &mut Context<'_>) -> Result<Exit, Refusal> {
    let mut session = context.session().await?;
    let queued = ask(&mut session, &Request::Outbox).await;
    session.close().await;
    let queued = queued?;
    print(context, &queued);
    if queued.is_empty() {
        context.console.line(&results::outbox_empty());
    }
    Ok(Exit::Ok)
}

/// Tries one message again, or everything that waits.
pub(super) async fn retry(context: &mut Context<'_>, message: String) -> Result<Exit, Refusal> {
    if message != "all" {
        return delivery::send(context, Request::Retry { id: message }).await;
    }
    let mut session = context.online().await?;
    let left = retry_all(context, &mut session).await;
    session.close().await;
    let left = left?;
    print(context, &left);
    if left.is_empty() {
        context.console.line(&results::outbox_empty());
        return Ok(Exit::Ok);
    }
    Ok(Exit::NotYetSent)
}

/// Takes a message back. Needs no connection.
pub(super) async fn cancel(context: &mut Context<'_>, message: String) -> Result<Exit, Refusal> {
    let mut session = context.session().await?;
    let answer = session.ask(&Request::Cancel { id: message }).await;
    session.close().await;
    let answer = answer?;
    context.console.line(&results::cancelled());
    context.console.object(&answer);
    Ok(Exit::Ok)
}

async fn ask(session: &mut Session, request: &Request) -> Result<Vec<QueuedView>, Refusal> {
    match session.ask(request).await? {
        Answer::Outbox { queued } => Ok(queued),
        _ => Ok(Vec::new()),
    }
}

/// Waits until each of them has gone, or is known not to go now.
async fn retry_all(context: &Context<'_>, session: &mut Session) -> Result<Vec<QueuedView>, Refusal> {
    let until = Instant::now() + context.wait;
    let queued = ask(session, &Request::RetryAll).await?;
    let is_greeting = |queued: &QueuedView| queued.text.is_none() && queued.file.is_none();
    let mut open: BTreeSet<String> =
        queued.into_iter().filter(|queued| !is_greeting(queued)).map(|queued| queued.message).collect();
    while !open.is_empty() {
        match timeout_at(until, session.event()).await {
            Ok(Some(Event::MessageState { message, state, reason, .. })) => {
                if is_with_server(&state) || state == "failed" || reason.is_some() {
                    open.remove(&message);
                }
            }
            Ok(Some(Event::Account { reason: Some(reason), .. })) => return Err(reason),
            Ok(Some(_)) => {}
            Ok(None) => session.reopen().await?,
            Err(_) => break,
        }
    }
    ask(session, &Request::Outbox).await
}

fn print(context: &mut Context<'_>, queued: &[QueuedView]) {
    for one in queued {
        for line in write::queued(one) {
            context.console.line(&line);
        }
        context.console.object(&json!({"kind": "queued", "queued": one}));
    }
}
