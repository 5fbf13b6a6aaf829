//! `waxwing contacts`: who one knows. Needs no connection, except to answer somebody who was accepted.

use serde_json::json;

use super::arguments::ContactChange;
use super::session::Session;
use super::{Context, Exit, write};
use crate::api::{Answer, Refusal, Request};
use crate::words::results;

pub(super) async fn run(context: &mut Context<'_>, change: Option<ContactChange>) -> Result<Exit, Refusal> {
    let mut session = match &change {
        Some(ContactChange::Accept { .. }) => context.online().await?,
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
    let answer = session.ask(&request).await?;
    if let Answer::Contact { contact } = &answer {
        write::warn(context.console, contact);
    }
    context.console.line(&done);
    context.console.object(&answer);
    Ok(Exit::Ok)
}
