//! What the user must know: shown by every command until a person has seen it on a terminal, or a program has said that it
//! is taken care of (`waxwing notices --seen`).

use serde_json::{Value, json};

use super::session::Session;
use super::{Console, Context, Exit, write};
use crate::api::{Answer, NoticeView, Refusal, Request};
use crate::words::results;

/// `waxwing notices`. Needs no connection.
pub(super) async fn run(context: &mut Context<'_>, seen: bool) -> Result<Exit, Refusal> {
    let mut session = context.session().await?;
    let notices = unseen(&mut session).await;
    for notice in &notices {
        context.console.line(&write::notice(notice));
        context.console.object(&object(notice));
    }
    if notices.is_empty() {
        context.console.line(&results::no_notices());
    }
    if seen || context.console.is_read_by_a_person() {
        mark_seen(&mut session, &notices).await;
    }
    session.close().await;
    Ok(Exit::Ok)
}

/// Shows people, beside the result, what they have not seen yet.
pub(super) async fn show(console: &mut Console, session: &mut Session) {
    let notices = unseen(session).await;
    for notice in &notices {
        console.note(&write::notice(notice));
    }
    if console.is_read_by_a_person() {
        mark_seen(session, &notices).await;
    }
}

/// What has not been seen yet. A command does not fail because that cannot be told.
pub(super) async fn unseen(session: &mut Session) -> Vec<NoticeView> {
    match session.ask(&Request::Notices).await {
        Ok(Answer::Notices { notices }) => notices,
        _ => Vec::new(),
    }
}

async fn mark_seen(session: &mut Session, notices: &[NoticeView]) {
    if let Some(up_to) = notices.iter().map(|notice| notice.id).max() {
        // When that fails they are shown once more.
        let _ = session.ask(&Request::NoticesSeen { up_to }).await;
    }
}

/// A notice for programs.
pub(super) fn object(notice: &NoticeView) -> Value {
    json!({"kind": "notice", "notice": notice})
}
