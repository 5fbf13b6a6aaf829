//! `waxwing` alone: the next sensible step. Looks only at what is on this machine.

use serde_json::json;

use super::session::Session;
use super::{Context, Exit};
use crate::api::{Answer, Kind, Refusal, Request, StatusView};

pub(super) async fn run(context: &mut Context<'_>) -> Result<Exit, Refusal> {
    let mut session = context.session().await?;
    let status = status(&mut session).await;
    context.close(session).await;
    let status = status?;
    let (step, command) = step(&status);
    context.console.line(step);
    context.console.line(&format!("    {command}"));
    if !context.console.is_json() {
        context.console.line("All commands: waxwing --help");
    }
    context.console.object(&json!({"kind": "next_step", "text": step, "command": command, "status": status}));
    Ok(Exit::Ok)
}

/// Asks how things are.
pub(super) async fn status(session: &mut Session) -> Result<StatusView, Refusal> {
    match session.ask(&Request::Status).await? {
        Answer::Status { status } => Ok(status),
        _ => Err(Refusal::new(Kind::Version, "Another version of waxwing is running with this profile.")),
    }
}

/// What matters most comes first.
pub(super) fn step(status: &StatusView) -> (&'static str, &'static str) {
    if status.address.is_none() {
        return ("There is no account here yet. Somebody gave you an invite link? Use it:", "waxwing join <link>");
    }
    if status.account == "refused" {
        return ("Your account cannot sign in. See why:", "waxwing status");
    }
    if status.unread_count > 0 {
        return ("There is something to read:", "waxwing inbox");
    }
    if status.requests_count > 0 {
        return ("Somebody who is no contact wrote to you:", "waxwing inbox --requests");
    }
    if status.waiting_count + status.queued_count > 0 {
        return ("Something has still to be sent. It goes as soon as there is a connection:", "waxwing inbox --follow");
    }
    if status.contacts_count == 0 {
        return ("You know nobody here yet. Make a link and give it to somebody:", "waxwing invite");
    }
    ("All is read and sent. Stay and see what comes:", "waxwing inbox --follow")
}
