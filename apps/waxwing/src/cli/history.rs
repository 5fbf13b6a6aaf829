//! `waxwing history`: a conversation once more. Needs no connection.

use serde_json::json;

use super::{Context, Exit, write};
use crate::api::{Answer, Refusal, Request};
use crate::words::results;

pub(super) async fn run(context: &mut Context<'_>, who: String, limit: u32) -> Result<Exit, Refusal> {
    let mut session = context.session().await?;
    let read = session.ask(&Request::History { who, before: None, limit }).await;
    context.close(session).await;
    let Answer::Messages { messages } = read? else { return Ok(Exit::Failed) };
    for message in &messages {
        context.console.line(&write::message(message));
        context.console.object(&json!({"kind": "message", "message": message}));
    }
    if messages.is_empty() {
        context.console.line(&results::no_messages());
    }
    Ok(Exit::Ok)
}
