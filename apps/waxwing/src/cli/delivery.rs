//! Waiting until a message is where it should be, for as long as the user wants to wait.

use tokio::time::{Instant, timeout_at};

use super::session::Session;
use super::{Context, Exit, write};
use crate::api::{Answer, ContactView, Event, Kind, Refusal, Request};
use crate::terminal::progress::Progress;
use crate::words::{refusals, results};
use serde_json::json;

/// How far back a message is looked for after another process has ended.
const LOOK_BACK: u32 = 200;

/// What became of a message.
enum Delivery {
    Sent,
    /// Not confirmed in time.
    Later,
    /// Not now: kept, and tried again.
    Delayed(Refusal),
    Failed(Refusal),
    /// The person cannot be reached securely.
    NeedsInvite,
    /// The user took it back.
    Cancelled,
}

/// Asks for a message to be sent, waits for it, and tells how it went.
pub(super) async fn send(context: &mut Context<'_>, request: Request) -> Result<Exit, Refusal> {
    let mut session = context.online().await?;
    let delivered = deliver(context, &mut session, &request).await;
    context.close(session).await;
    let (contact, message, delivery) = delivered?;
    Ok(tell(context, &contact, &message, &delivery))
}

async fn deliver(
    context: &mut Context<'_>,
    session: &mut Session,
    request: &Request,
) -> Result<(String, String, Delivery), Refusal> {
    let Answer::Saved { contact, message, replaced } = session.ask(request).await? else {
        return Err(Refusal::new(Kind::NotApplicable, refusals::not_sent()));
    };
    if replaced {
        context.console.note(&results::replaced());
    }
    let mut progress = Progress::new(context.console.shows_progress());
    let until = Instant::now() + context.wait;
    let mut odd = None;
    let delivery = loop {
        let interrupted = context.console.interrupted();
        let may_ask = context.console.can_ask();
        let delivery = tokio::select! {
            delivery = wait(session, &contact, &message, until, &mut progress, &mut odd) => break delivery,
            () = interrupted, if may_ask => {
                progress.clear();
                ask_what_now(context, session, &message).await
            }
        };
        match delivery {
            Ok(None) => {}
            Ok(Some(delivery)) => break Ok(delivery),
            Err(refusal) => break Err(refusal),
        }
    };
    progress.clear();
    if let Some(odd) = &odd {
        write::warn(context.console, odd);
    }
    Ok((contact, message, delivery?))
}

/// After Ctrl-C: what has been given to be sent is kept unless it is taken back. Nothing when it goes on.
async fn ask_what_now(
    context: &mut Context<'_>,
    session: &mut Session,
    message: &str,
) -> Result<Option<Delivery>, Refusal> {
    let question = results::ask_interrupted();
    loop {
        let again = context.console.interrupted();
        let answer = tokio::select! {
            answer = context.console.ask(&question) => answer.unwrap_or_else(|| "later".to_owned()),
            // Whoever presses it twice wants to leave.
            () = again => return Ok(Some(Delivery::Later)),
        };
        match answer.to_lowercase().as_str() {
            "" | "g" | "go" | "go on" => return Ok(None),
            "l" | "later" => return Ok(Some(Delivery::Later)),
            "s" | "stop" => {
                session.ask(&Request::Cancel { id: message.to_owned() }).await?;
                return Ok(Some(Delivery::Cancelled));
            }
            _ => {}
        }
    }
}

/// Whether the own server has a message. A receipt can be faster than its acknowledgement.
pub(crate) fn is_with_server(state: &str) -> bool {
    matches!(state, "sent" | "delivered")
}

async fn wait(
    session: &mut Session,
    contact: &str,
    message: &str,
    until: Instant,
    progress: &mut Progress,
    odd: &mut Option<ContactView>,
) -> Result<Delivery, Refusal> {
    loop {
        let event = match timeout_at(until, session.event()).await {
            Ok(Some(event)) => event,
            Ok(None) => {
                session.reopen().await?;
                match look_up(session, contact, message).await?.as_deref() {
                    Some(state) if is_with_server(state) => return Ok(Delivery::Sent),
                    Some("failed") => return Ok(Delivery::Failed(Refusal::new(Kind::Refused, refusals::not_sent()))),
                    _ => continue,
                }
            }
            Err(_) => return Ok(Delivery::Later),
        };
        match event {
            Event::MessageState { message: id, state, reason, .. } if id == message => match state.as_str() {
                state if is_with_server(state) => return Ok(Delivery::Sent),
                // A contact who is asked to let us see their devices may answer soon.
                "waiting" => match reason {
                    Some(reason) if reason.kind != Kind::NotSecure => return Ok(Delivery::Delayed(reason)),
                    _ => {}
                },
                "failed" => match reason {
                    Some(reason) if reason.kind == Kind::NotSecure => return Ok(Delivery::NeedsInvite),
                    reason => {
                        let unknown = || Refusal::new(Kind::Refused, refusals::not_sent());
                        return Ok(Delivery::Failed(reason.unwrap_or_else(unknown)));
                    }
                },
                _ => {}
            },
            // Somebody who has just become a contact because they are written to.
            Event::Contact { contact: view } if view.address == contact && !view.warnings.is_empty() => {
                *odd = Some(view);
            }
            Event::File { file, .. } => progress.update(&file),
            Event::Account { state, reason: Some(reason) } if state == "refused" => {
                return Ok(Delivery::Failed(reason));
            }
            _ => {}
        }
    }
}

async fn look_up(session: &mut Session, contact: &str, message: &str) -> Result<Option<String>, Refusal> {
    let request = Request::History { who: contact.to_owned(), before: None, limit: LOOK_BACK };
    let messages = match session.ask(&request).await {
        Ok(Answer::Messages { messages }) => messages,
        Ok(_) => return Ok(None),
        // Writing to somebody new has failed meanwhile, so they are no contact.
        Err(refusal) if refusal.kind == Kind::UnknownContact => return Ok(Some("failed".to_owned())),
        Err(refusal) => return Err(refusal),
    };
    Ok(messages.into_iter().find(|found| found.id == message).map(|found| found.state))
}

fn tell(context: &mut Context<'_>, contact: &str, message: &str, delivery: &Delivery) -> Exit {
    let console = &mut *context.console;
    let (state, exit) = match delivery {
        Delivery::Sent => ("sent", Exit::Ok),
        Delivery::Later => ("queued", Exit::NotYetSent),
        Delivery::Delayed(_) => ("waiting", Exit::NotYetSent),
        Delivery::NeedsInvite => ("needs_invite", Exit::NotSecure),
        Delivery::Cancelled => ("cancelled", Exit::Failed),
        Delivery::Failed(refusal) => ("failed", Exit::from(refusal.kind)),
    };
    let mut object = json!({"kind": "message", "contact": contact, "message": message, "state": state});
    match delivery {
        Delivery::Sent => console.line(&results::sent()),
        Delivery::Cancelled => console.line(&results::cancelled()),
        Delivery::Later => {
            console.line(&results::saved());
        }
        Delivery::Delayed(refusal) => {
            object["text"] = json!(refusal.text);
            console.line(&refusal.text);
            console.line(&results::kept_for_days());
        }
        Delivery::Failed(refusal) => {
            object["text"] = json!(refusal.text);
            if !console.is_json() {
                console.note(&refusal.text);
            }
        }
        Delivery::NeedsInvite => {
            let text = results::needs_invite(contact);
            object["text"] = json!(text);
            object["command"] = json!("waxwing invite");
            console.line(&text);
            console.line(&results::make_them_a_link());
        }
    }
    console.object(&object);
    exit
}
