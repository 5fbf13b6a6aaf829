//! `waxwing add`: the person of a link becomes a contact, and is greeted so that they see it.

use super::session::Session;
use super::{Context, Exit, contacts, link};
use crate::api::{Answer, Refusal, Request};
use crate::words::results;

pub(super) async fn run(context: &mut Context<'_>, link: String, name: Option<String>) -> Result<Exit, Refusal> {
    let link = link::resolve(context, link).await?;
    let may_be_cut_off = link::may_be_cut_off(&link);
    let mut session = context.online().await?;
    let added = add(context, &mut session, Request::Add { link, name }).await;
    context.close(session).await;
    let answer = added?;
    if may_be_cut_off {
        context.console.note(&results::link_may_be_cut_off());
    }
    context.console.object(&answer);
    Ok(Exit::Ok)
}

async fn add(context: &mut Context<'_>, session: &mut Session, request: Request) -> Result<Answer, Refusal> {
    let answer = session.ask(&request).await?;
    if let Answer::Contact { contact } = &answer {
        context.console.line(&results::contact_added(&contact.name, &contact.address));
        context.console.line(&results::write_to(&contact.name));
        contacts::ask_about_receipts(context, session, contact).await?;
    }
    Ok(answer)
}
