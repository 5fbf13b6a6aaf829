//! The commands: one file each, all of them clients of the one engine of the profile.
//!
//! Results go to standard output, everything else to standard error. With `--json` standard output carries JSON: one
//! object, or one per line for lists and streams, each with the field `version`.

mod account;
mod add;
mod arguments;
mod config;
mod console;
mod contacts;
mod delivery;
mod devices;
mod exit;
mod history;
mod inbox;
mod invite;
mod join;
mod link;
mod login;
mod next_step;
mod notices;
mod outbox;
mod password;
mod quiet;
mod say;
mod send;
mod session;
mod status;
#[cfg(test)]
mod tests;
mod verify;
mod write;

use std::ffi::OsString;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};

pub use arguments::{Arguments, Verb};
pub use console::Console;
pub use exit::Exit;

use crate::api::{Kind, NoticeView, Refusal};
use crate::runtime::{Home, Settings};
use crate::words::refusals;
use session::Session;

/// How long a command waits for the server to confirm, unless told otherwise.
const WAIT: Duration = Duration::from_secs(30);

/// What every command has at hand.
struct Context<'c> {
    home: Home,
    settings: Settings,
    wait: Duration,
    console: &'c mut Console,
    /// What the user must know, for programs: it follows the result.
    notices: Vec<NoticeView>,
}

impl Context<'_> {
    /// A session. Whoever is at a terminal is asked first about a new app of their own account.
    async fn session(&mut self) -> Result<Session, Refusal> {
        let mut session = Session::open(&self.home).await?;
        match devices::ask_about_new(self.console, &mut session).await {
            Ok(()) => Ok(session),
            Err(refusal) => {
                session.close().await;
                Err(refusal)
            }
        }
    }

    /// A session that is connected, or about to be.
    async fn online(&mut self) -> Result<Session, Refusal> {
        let mut session = self.session().await?;
        match session.ask(&crate::api::Request::GoOnline).await {
            Ok(_) => Ok(session),
            Err(refusal) => {
                self.close(session).await;
                Err(refusal)
            }
        }
    }

    /// Shows what the user must know, whatever they asked for, and ends the session.
    async fn close(&mut self, mut session: Session) {
        if self.console.is_json() {
            self.notices = notices::unseen(&mut session).await;
        } else {
            notices::show(self.console, &mut session).await;
        }
        session.close().await;
    }
}

/// Runs a command line to its end and tells how it ended.
pub async fn run(line: impl IntoIterator<Item = OsString>, console: &mut Console) -> Exit {
    let line: Vec<OsString> = line.into_iter().collect();
    let wants_json = line.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    let arguments = match parse(line) {
        Ok(arguments) => arguments,
        Err(error) => {
            console.set_json(wants_json);
            return usage(&error, console);
        }
    };
    console.set_json(arguments.json);
    match act(arguments, console).await {
        Ok(exit) => exit,
        Err(refusal) => {
            console.refuse(&refusal);
            Exit::from(refusal.kind)
        }
    }
}

/// Reads a command line.
pub(crate) fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(line)
}

/// Help and versions are results; everything else is a mistake in the command line.
fn usage(error: &clap::Error, console: &mut Console) -> Exit {
    if error.use_stderr() {
        console.refuse(&Refusal::new(Kind::Usage, error.render().to_string().trim_end()));
        return Exit::Usage;
    }
    console.print(&error.render().to_string());
    Exit::Ok
}

async fn act(arguments: Arguments, console: &mut Console) -> Result<Exit, Refusal> {
    let Arguments { home, wait, verb, .. } = arguments;
    match &verb {
        Some(Verb::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "waxwing", &mut script);
            console.print(&String::from_utf8_lossy(&script));
            return Ok(Exit::Ok);
        }
        Some(Verb::Demo) => return Ok(crate::demo::run(console).await),
        _ => {}
    }
    let home = home
        .or_else(|| std::env::var_os("WAXWING_HOME").filter(|home| !home.is_empty()).map(Into::into))
        .map(|directory| Home::at(&directory))
        .or_else(|| Home::usual(|name| std::env::var_os(name)))
        .ok_or_else(|| Refusal::new(Kind::Disk, refusals::no_home()))?;
    let settings = Settings::load(home.settings())?;
    let wait = wait.or(settings.wait).map_or(WAIT, Duration::from_secs);
    let _watch = console.watch_silence();
    let mut context = Context { home, settings, wait, console, notices: Vec::new() };
    let done = act_on(&mut context, verb).await;
    for notice in &context.notices {
        context.console.object(&notices::object(notice));
    }
    done
}

async fn act_on(context: &mut Context<'_>, verb: Option<Verb>) -> Result<Exit, Refusal> {
    match verb {
        None => next_step::run(context).await,
        Some(Verb::Join(join)) => join::run(context, join).await,
        Some(Verb::Login(login)) => login::run(context, login).await,
        Some(Verb::Say { who, text }) => say::run(context, who, text).await,
        Some(Verb::Send { who, file }) => send::run(context, who, &file).await,
        Some(Verb::Outbox) => outbox::list(context).await,
        Some(Verb::Retry { message }) => outbox::retry(context, message).await,
        Some(Verb::Cancel { message }) => outbox::cancel(context, message).await,
        Some(Verb::Inbox(inbox)) => inbox::run(context, inbox).await,
        Some(Verb::History { who, limit }) => history::run(context, who, limit).await,
        Some(Verb::Contacts { change }) => contacts::run(context, change).await,
        Some(Verb::Verify { who, proof, number_matches, accept_change }) => {
            verify::run(context, who, proof, number_matches, accept_change).await
        }
        Some(Verb::Notices { seen }) => notices::run(context, seen).await,
        Some(Verb::Devices { of, decision }) => devices::run(context, of, decision).await,
        Some(Verb::Status { accept_clock }) => status::run(context, accept_clock).await,
        Some(Verb::Invite) => invite::run(context).await,
        Some(Verb::Add { link, name }) => add::run(context, link, name).await,
        Some(Verb::Account { change }) => account::run(context, change).await,
        Some(Verb::Config { change }) => config::run(context, change),
        Some(Verb::Completions { .. } | Verb::Demo) => Ok(Exit::Ok), // done above
    }
}
