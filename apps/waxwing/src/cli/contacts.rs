//! `waxwing contacts`: who one knows. Needs no connection, except to answer somebody who was accepted.

use serde_json::json;

use super::account::when_online;
use super::arguments::ContactChange;
use super::session::Session;
use super::{Context, Exit, write};
use crate::api::{Answer, ContactView, Refusal, Request};
use crate::words::results;

pub(super) async fn run(context: &mut Context<'_>, change: Option<ContactChange>) -> Result<Exit, Refusal> {
    let mut session = match &change {
        Some(ContactChange::Accept { .. } | ContactChange::Grant { .. } | ContactChange::Revoke { .. }) => {
            context.online().await?
        }
        _ => context.session().await?,
    };
    let done = match change {
        None => list(context, &mut session).await,
        Some(change) => apply(context, &mut session, change).await,
    };
    context.close(session).await;
    done
}

async fn list(context: &mut Context<'_>, session: &mut Session) -> Result<Exit, Refusal> {
    let Answer::Contacts { contacts } = session.ask(&Request::Contacts).await? else { return Ok(Exit::Failed) };
    for contact in &contacts {
        context.console.line(&write::contact(contact));
        context.console.object(&json!({"kind": "contact", "contact": contact}));
    }
    if contacts.is_empty() {
        context.console.line(&results::no_contacts());
    }
    Ok(Exit::Ok)
}

async fn apply(context: &mut Context<'_>, session: &mut Session, change: ContactChange) -> Result<Exit, Refusal> {
    let (request, done) = match change {
        ContactChange::Accept { who } => {
            let done = results::contact_accepted(&who);
            (Request::Accept { who }, done)
        }
        ContactChange::Grant { who } => {
            let done = results::presence_granted(&who);
            (Request::Grant { who }, done)
        }
        ContactChange::Revoke { who } => {
            let done = results::presence_revoked(&who);
            (Request::Revoke { who }, done)
        }
        ContactChange::Receipts { who, answer } => {
            let on = answer == "on";
            let done = receipts_set(who.as_deref(), on);
            (Request::Receipts { who, on }, done)
        }
        ContactChange::Block { who } => {
            let done = results::contact_blocked(&who);
            (Request::Block { who }, done)
        }
        ContactChange::Remove { who } => {
            let done = results::contact_removed(&who);
            (Request::Remove { who }, done)
        }
        ContactChange::Rename { who, name } => {
            let done = results::contact_renamed(&who, &name);
            (Request::Rename { who, name }, done)
        }
    };
    let needs_connection = matches!(request, Request::Grant { .. } | Request::Revoke { .. });
    let answer = match needs_connection {
        true => when_online(context, session, &request).await?,
        false => session.ask(&request).await?,
    };
    if let Answer::Contact { contact } = &answer {
        write::warn(context.console, contact);
    }
    context.console.line(&done);
    if let (Request::Accept { .. }, Answer::Contact { contact }) = (&request, &answer) {
        if contact.asks_presence {
            answer_presence(context, session, contact).await?;
        }
        ask_about_receipts(context, session, contact).await?;
    }
    context.console.object(&answer);
    Ok(Exit::Ok)
}

fn receipts_set(who: Option<&str>, on: bool) -> String {
    match (who, on) {
        (Some(who), true) => results::receipts_on(who),
        (Some(who), false) => results::receipts_off(who),
        (None, true) => results::receipts_on_for_all(),
        (None, false) => results::receipts_off_for_all(),
    }
}

/// At the first contact, once: whether people may see that their messages arrived. Until then they may not.
pub(super) async fn ask_about_receipts(
    context: &mut Context<'_>,
    session: &mut Session,
    contact: &ContactView,
) -> Result<(), Refusal> {
    if contact.receipts.is_some() || !context.console.can_ask() || context.console.is_json() {
        return Ok(());
    }
    let on = match context.console.ask(&results::ask_receipts()).await.as_deref() {
        Some("yes") => true,
        Some("no") => false,
        _ => return Ok(()),
    };
    session.ask(&Request::Receipts { who: None, on }).await?;
    context.console.line(&receipts_set(None, on));
    Ok(())
}

/// Whoever is accepted and has asked to see when the user is online gets an answer to that too; only the user gives it.
async fn answer_presence(
    context: &mut Context<'_>,
    session: &mut Session,
    contact: &ContactView,
) -> Result<(), Refusal> {
    let who = contact.address.clone();
    if !context.console.can_ask() || context.console.is_json() {
        if !context.console.is_json() {
            context.console.note(&results::asks_presence(&contact.name, &who));
        }
        return Ok(());
    }
    let (request, done) = match context.console.ask(&results::ask_presence(&contact.name)).await.as_deref() {
        Some("yes") => (Request::Grant { who: who.clone() }, results::presence_granted(&contact.name)),
        Some("no") => (Request::Revoke { who: who.clone() }, results::presence_revoked(&contact.name)),
        _ => {
            context.console.note(&results::asks_presence(&contact.name, &who));
            return Ok(());
        }
    };
    when_online(context, session, &request).await?;
    context.console.line(&done);
    Ok(())
}
