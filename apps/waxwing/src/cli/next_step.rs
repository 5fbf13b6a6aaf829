//! `waxwing` alone: the next sensible step. Looks only at what is on this machine.

use serde_json::json;

use super::session::Session;
use super::{Context, Exit};
use crate::api::{Answer, Kind, Refusal, Request, StatusView};
use crate::words::{refusals, results};

pub(super) async fn run(context: &mut Context<'_>) -> Result<Exit, Refusal> {
    let mut session = context.session().await?;
    let status = status(&mut session).await;
    context.close(session).await;
    let status = status?;
    let (step, command) = step(&status);
    context.console.line(&step);
    context.console.line(&format!("    {command}"));
    if !context.console.is_json() {
        context.console.line(&results::all_commands());
    }
    context.console.object(&json!({"kind": "next_step", "text": step, "command": command, "status": status}));
    Ok(Exit::Ok)
}

/// Asks how things are.
pub(super) async fn status(session: &mut Session) -> Result<StatusView, Refusal> {
    match session.ask(&Request::Status).await? {
        Answer::Status { status } => Ok(status),
        _ => Err(Refusal::new(Kind::Version, refusals::other_version())),
    }
}

/// What matters most comes first.
pub(super) fn step(status: &StatusView) -> (String, &'static str) {
    if status.address.is_none() {
        return (results::step_join(), "waxwing join 'xmpp:...'");
    }
    if status.account == "refused" {
        return (results::step_refused(), "waxwing status");
    }
    if status.unread_count > 0 {
        return (results::step_read(), "waxwing inbox");
    }
    if status.requests_count > 0 {
        return (results::step_requests(), "waxwing inbox --requests");
    }
    if status.waiting_count + status.queued_count > 0 {
        return (results::step_send(), "waxwing inbox --follow");
    }
    if status.contacts_count == 0 {
        return (results::step_invite(), "waxwing invite");
    }
    (results::step_follow(), "waxwing inbox --follow")
}
