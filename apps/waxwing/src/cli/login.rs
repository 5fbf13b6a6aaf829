//! `waxwing login`: an account that exists, at any standard server.

use super::arguments::Login;
use super::{Context, Exit, join, password};
use crate::api::{Answer, Refusal, Request};
use crate::terminal::plain;

pub(super) async fn run(context: &mut Context<'_>, login: Login) -> Result<Exit, Refusal> {
    if let Some(ca_file) = &login.ca_file {
        context.settings.set("ca-file", ca_file.to_str())?;
        context.settings.save(context.home.settings())?;
    }
    let password = password::of_file_or_prompt(context.console, login.password_file.as_deref(), "Password: ").await?;
    let Login { address, host: at, danger_no_binding, .. } = login;
    let request = Request::Login { address, password, at, danger_no_binding };
    let answer = join::sign_in(context, &request).await?;
    if let Answer::LoggedIn { address } = &answer {
        context.console.line(&format!("Signed in as {}.", plain::name(address)));
        context.console.line("Next: `waxwing invite` makes a link for somebody you want to talk to.");
    }
    context.console.object(&answer);
    Ok(Exit::Ok)
}
