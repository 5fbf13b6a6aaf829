//! `waxwing inbox`: what has arrived; with `--follow`, what arrives.

use std::collections::BTreeSet;

use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::arguments::Inbox;
use super::session::Session;
use super::{Context, Exit, next_step, notices, write};
use crate::api::{Answer, Event, MessageView, Refusal, Request};
use crate::terminal::progress::Progress;
use crate::words::results;

/// How many messages of each conversation are looked through.
const LIMIT: u32 = 1000;

pub(super) async fn run(context: &mut Context<'_>, inbox: Inbox) -> Result<Exit, Refusal> {
    let mut session = context.online().await?;
    let shown = show(context, &mut session, &inbox).await;
    context.close(session).await;
    shown
}

async fn show(context: &mut Context<'_>, session: &mut Session, inbox: &Inbox) -> Result<Exit, Refusal> {
    let caught_up = catch_up(context, session).await?;
    let request = Request::Inbox { requests: inbox.requests, unread_only: !inbox.all, limit: LIMIT };
    let Answer::Messages { messages } = session.ask(&request).await? else { return Ok(Exit::Failed) };
    let messages: Vec<MessageView> =
        messages.into_iter().filter(|message| inbox.all || message.direction == "in").collect();
    for message in &messages {
        print(context, message);
    }
    if messages.is_empty() && !inbox.follow {
        context.console.line(&results::nothing_new());
    }
    let mut all_here = true;
    if !inbox.requests {
        for message in &messages {
            all_here &= fetch(context, session, inbox, message).await?;
        }
        all_here &= !caught_up || fetch_wanted(context, session, inbox, &messages).await?;
        mark_read(session, &messages).await?;
    }
    point_at_requests(context, session, inbox).await?;
    if inbox.follow {
        if !context.console.is_json() {
            notices::show(context.console, session).await;
        }
        return follow(context, session, inbox).await;
    }
    if !caught_up {
        context.console.note(&results::server_not_reached());
        return Ok(Exit::Offline);
    }
    Ok(if all_here { Exit::Ok } else { Exit::Failed })
}

/// Waits until everything that had waited at the server is here.
async fn catch_up(context: &Context<'_>, session: &mut Session) -> Result<bool, Refusal> {
    // An engine that has been running for a while has caught up long ago.
    if let Answer::Status { status } = session.ask(&Request::Status).await?
        && status.account == "online"
    {
        return Ok(true);
    }
    let until = Instant::now() + context.wait;
    loop {
        match timeout_at(until, session.event()).await {
            Ok(Some(Event::CaughtUp)) => return Ok(true),
            Ok(Some(Event::Account { state, reason: Some(reason) })) if state == "refused" => return Err(reason),
            Ok(Some(_)) => {}
            Ok(None) => session.reopen().await?,
            Err(_) => return Ok(false),
        }
    }
}

fn print(context: &mut Context<'_>, message: &MessageView) {
    context.console.line(&write::message_with_contact(message));
    context.console.object(&json!({"kind": "message", "message": message}));
}

/// Files that were wanted before and are not here: perhaps there is room now, or their server is back.
async fn fetch_wanted(
    context: &mut Context<'_>,
    session: &mut Session,
    inbox: &Inbox,
    shown: &[MessageView],
) -> Result<bool, Refusal> {
    if inbox.no_files {
        return Ok(true);
    }
    let Answer::Messages { messages } = session.ask(&Request::WantedFiles).await? else { return Ok(true) };
    let mut all_here = true;
    for message in messages.iter().filter(|message| !shown.iter().any(|known| known.id == message.id)) {
        context.console.line(&write::message_with_contact(message));
        all_here &= fetch_file(context, session, message).await?;
    }
    Ok(all_here)
}

/// Reading the inbox is the user's word that files of contacts may come. Tells whether the file is here, or was not wanted.
async fn fetch(
    context: &mut Context<'_>,
    session: &mut Session,
    inbox: &Inbox,
    message: &MessageView,
) -> Result<bool, Refusal> {
    let wanted = |state: &str| state == "offered" || (inbox.all && state == "failed");
    let is_wanted = message.file.as_ref().is_some_and(|file| wanted(&file.state));
    if inbox.no_files || message.request || message.direction != "in" || !is_wanted {
        return Ok(true);
    }
    fetch_file(context, session, message).await
}

async fn fetch_file(context: &mut Context<'_>, session: &mut Session, message: &MessageView) -> Result<bool, Refusal> {
    let mut progress = Progress::new(context.console.shows_progress());
    if let Some(file) = &message.file {
        progress.update(file);
    }
    let request = Request::Fetch { who: message.contact.clone(), message: message.id.clone() };
    let fetched = session.ask(&request).await;
    progress.clear();
    match fetched {
        Ok(Answer::Fetched { path: Some(path) }) => {
            context.console.line(&results::file_saved(&path));
            context.console.object(&json!({"kind": "file_saved", "message": message.id, "path": path}));
        }
        Ok(_) => {}
        Err(refusal) => {
            context.console.object(&json!({"kind": "file_failed", "message": message.id, "reason": &refusal}));
            if !context.console.is_json() {
                context.console.note(&results::file_not_fetched(&refusal.text));
            }
            return Ok(false);
        }
    }
    Ok(true)
}

async fn mark_read(session: &mut Session, messages: &[MessageView]) -> Result<(), Refusal> {
    let people: BTreeSet<&str> =
        messages.iter().filter(|message| !message.read).map(|message| message.contact.as_str()).collect();
    for who in people {
        session.ask(&Request::MarkRead { who: who.to_owned() }).await?;
    }
    Ok(())
}

async fn point_at_requests(context: &mut Context<'_>, session: &mut Session, inbox: &Inbox) -> Result<(), Refusal> {
    if inbox.requests {
        show_who_asks_presence(context, session).await?;
    }
    let Answer::Contacts { contacts } = session.ask(&Request::Requests).await? else { return Ok(()) };
    if context.console.is_json() {
        for contact in contacts.iter().filter(|_| inbox.requests) {
            context.console.object(&json!({"kind": "contact", "contact": contact}));
        }
        return Ok(());
    }
    for contact in contacts.iter().filter(|_| inbox.requests) {
        write::warn(context.console, contact);
    }
    match (contacts.first(), inbox.requests) {
        (Some(first), true) => {
            context.console.note(&results::answer_requests(&first.address));
        }
        (Some(_), false) => {
            context.console.note(&match contacts.len() {
                1 => results::one_request(),
                count => results::many_requests(count),
            });
        }
        (None, _) => {}
    }
    Ok(())
}

/// People whose apps ask to see when the user is online, contacts or not.
async fn show_who_asks_presence(context: &mut Context<'_>, session: &mut Session) -> Result<(), Refusal> {
    for request in [Request::Contacts, Request::Requests] {
        let Answer::Contacts { contacts } = session.ask(&request).await? else { continue };
        for contact in contacts.iter().filter(|contact| contact.asks_presence) {
            context.console.line(&results::asks_presence(&contact.name, &contact.address));
            context.console.object(&json!({"kind": "asks_presence", "contact": contact}));
        }
    }
    Ok(())
}

/// Shows what arrives, until the user ends it or the account cannot sign in.
async fn follow(context: &mut Context<'_>, session: &mut Session, inbox: &Inbox) -> Result<Exit, Refusal> {
    // What a fetch of ours has told already is told once.
    let mut fetched: BTreeSet<String> = BTreeSet::new();
    let mut is_connected = next_step::status(session).await?.account == "online";
    if !context.console.is_json() {
        context.console.note(&if is_connected { results::listening() } else { results::listening_offline() });
    }
    context.console.set_at_ease(true);
    loop {
        let event = tokio::select! {
            event = session.event() => event,
            () = context.console.interrupted() => return Ok(Exit::Ok),
        };
        let Some(event) = event else {
            session.reopen().await?;
            continue;
        };
        if context.console.is_json() {
            context.console.object(&json!({"kind": "event", "event": &event}));
        }
        match event {
            Event::Message { message } if message.request == inbox.requests => {
                context.console.line(&write::message_with_contact(&message));
                if !message.request && message.direction == "in" {
                    if message.file.is_some() && !inbox.no_files {
                        fetched.insert(message.id.clone());
                    }
                    fetch(context, session, inbox, &message).await?;
                    mark_read(session, &[message]).await?;
                }
            }
            // One that failed before and came when it was tried again.
            Event::FileSaved { message, path } if !fetched.remove(&message) => {
                context.console.line(&results::late_file_saved(&path));
            }
            Event::Request { contact } if !inbox.requests => {
                context.console.line(&results::new_request(&contact.address));
                write::warn(context.console, &contact);
            }
            // Trouble with this machine is told as it comes; everything else is kept until it has been seen.
            Event::Notice { notice, text, .. } if notice == "trouble" => context.console.note(&text),
            Event::Notice { .. } if !context.console.is_json() => notices::show(context.console, session).await,
            Event::Account { state, reason: Some(reason) } if state == "refused" => return Err(reason),
            Event::Account { state, .. } => tell_connection(context, &state, &mut is_connected),
            Event::MessageState { contact, state, reason, .. } => {
                tell_state(context, &contact, &state, reason.as_ref())
            }
            _ => {}
        }
    }
}

/// The connection goes and comes.
fn tell_connection(context: &mut Context<'_>, state: &str, is_connected: &mut bool) {
    let is_so = state == "online";
    if is_so != *is_connected && !context.console.is_json() {
        context.console.note(&if is_so { results::connected_again() } else { results::connection_lost() });
    }
    *is_connected = is_so;
}

/// What becomes of messages that were written meanwhile, in this profile.
fn tell_state(context: &mut Context<'_>, contact: &str, state: &str, reason: Option<&Refusal>) {
    if context.console.is_json() {
        return;
    }
    match (state, reason) {
        ("delivered", _) => context.console.line(&results::own_message_delivered(contact)),
        ("sent", _) => context.console.line(&results::own_message_sent(contact)),
        ("failed", Some(reason)) => context.console.line(&results::own_message_failed(contact, &reason.text)),
        ("waiting", Some(reason)) => context.console.line(&results::own_message_waits(contact, &reason.text)),
        _ => {}
    }
}
