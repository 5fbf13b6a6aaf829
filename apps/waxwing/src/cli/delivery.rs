//! Waiting until a message is where it should be, for as long as the user wants to wait.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::session::Session;
use super::{Context, Exit};
use crate::api::{Answer, Event, Kind, Refusal, Request};
use crate::terminal::progress::Progress;
use crate::words::{refusals, results};
use serde_json::json;

/// How long the invite link may take, once it is known that one is needed.
const LINK_WAIT: Duration = Duration::from_secs(5);
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
    /// The person cannot be reached securely; a link that helps, where the server made one.
    NeedsInvite(Option<String>),
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
    let delivery = wait(session, &contact, &message, until, &mut progress).await;
    progress.clear();
    Ok((contact, message, delivery?))
}

async fn wait(
    session: &mut Session,
    contact: &str,
    message: &str,
    mut until: Instant,
    progress: &mut Progress,
) -> Result<Delivery, Refusal> {
    let mut refused = None;
    loop {
        let event = match timeout_at(until, session.event()).await {
            Ok(Some(event)) => event,
            Ok(None) => {
                session.reopen().await?;
                match look_up(session, contact, message).await?.as_deref() {
                    Some("sent") => return Ok(Delivery::Sent),
                    Some("failed") => return Ok(Delivery::Failed(Refusal::new(Kind::Refused, refusals::not_sent()))),
                    _ => continue,
                }
            }
            Err(_) => {
                return Ok(match refused {
                    Some(Refusal { kind: Kind::NotSecure, .. }) => Delivery::NeedsInvite(None),
                    Some(refusal) => Delivery::Failed(refusal),
                    None => Delivery::Later,
                });
            }
        };
        match event {
            Event::MessageState { message: id, state, reason, .. } if id == message => match state.as_str() {
                "sent" => return Ok(Delivery::Sent),
                // A contact who is asked to let us see their devices may answer soon.
                "waiting" => match reason {
                    Some(reason) if reason.kind != Kind::NotSecure => return Ok(Delivery::Delayed(reason)),
                    _ => {}
                },
                "failed" => match reason {
                    Some(reason) if reason.kind == Kind::NotSecure => {
                        refused = Some(reason);
                        until = until.max(Instant::now()).min(Instant::now() + LINK_WAIT);
                    }
                    reason => {
                        let unknown = || Refusal::new(Kind::Refused, refusals::not_sent());
                        return Ok(Delivery::Failed(reason.unwrap_or_else(unknown)));
                    }
                },
                _ => {}
            },
            Event::NeedsInvite { message: id, link, .. } if id == message => {
                return Ok(Delivery::NeedsInvite(Some(link).filter(|link| !link.is_empty())));
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
    let Answer::Messages { messages } = session.ask(&request).await? else { return Ok(None) };
    Ok(messages.into_iter().find(|found| found.id == message).map(|found| found.state))
}

fn tell(context: &mut Context<'_>, contact: &str, message: &str, delivery: &Delivery) -> Exit {
    let console = &mut *context.console;
    let (state, exit) = match delivery {
        Delivery::Sent => ("sent", Exit::Ok),
        Delivery::Later => ("queued", Exit::NotYetSent),
        Delivery::Delayed(_) => ("waiting", Exit::NotYetSent),
        Delivery::NeedsInvite(_) => ("needs_invite", Exit::NotSecure),
        Delivery::Failed(refusal) => ("failed", Exit::from(refusal.kind)),
    };
    let mut object = json!({"kind": "message", "contact": contact, "message": message, "state": state});
    match delivery {
        Delivery::Sent => console.line(&results::sent()),
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
        Delivery::NeedsInvite(link) => {
            object["link"] = json!(link);
            console.line(&results::needs_invite(contact));
            match link {
                Some(link) => {
                    console.line(&results::give_them_this());
                    console.line(link);
                    console.code(link);
                }
                None => console.line(&results::make_them_a_link()),
            }
        }
    }
    console.object(&object);
    exit
}
