//! `waxwing login`: an account that exists, at any standard server.

use super::arguments::{Join, Login};
use super::session::Session;
use super::{Context, Exit, devices, join, link, password};
use crate::api::{Answer, Kind, Refusal, Request};
use crate::runtime::page;
use crate::words::{refusals, results};

pub(super) async fn run(context: &mut Context<'_>, login: Login) -> Result<Exit, Refusal> {
    if link::opens_account(&login.address) || page::is_page(&login.address) {
        return join::run(context, Join { link: login.address, name: None }).await;
    }
    // Believed for this sign-in, and kept in the settings once that has worked.
    let absolute = |path: &std::path::PathBuf| std::path::absolute(path).map(|path| path.display().to_string());
    let ca_file = login.ca_file.as_ref().map(absolute).transpose();
    let ca_file = ca_file.map_err(|error| Refusal::new(Kind::BadInput, refusals::ca_file_unusable(error)))?;
    let password =
        password::of_file_or_prompt(context.console, login.password_file.as_deref(), &results::ask_password()).await?;
    let Login { mut address, host: mut at, mut pin, danger_no_binding, .. } = login;
    if let Some(named) = link::named(&address) {
        address = named.address;
        if at.is_empty() {
            at = named.at;
        }
        pin = pin.or(named.pin.filter(|_| ca_file.is_none()));
    }
    let request = Request::Login { address, password, at, pin, ca_file, danger_no_binding };
    let mut session = Session::open(&context.home).await?;
    let signed_in = join::sign_in_over(context.wait, &mut session, &request).await;
    let asked = match &signed_in {
        Ok(_) => devices::ask_about_all(context.console, &mut session, Some(context.wait)).await,
        Err(_) => Ok(()),
    };
    context.close(session).await;
    let answer = signed_in?;
    asked?;
    if let Answer::LoggedIn { address } = &answer {
        context.console.line(&results::signed_in(address));
        context.console.line(&results::invite_somebody());
    }
    context.console.object(&answer);
    Ok(Exit::Ok)
}
