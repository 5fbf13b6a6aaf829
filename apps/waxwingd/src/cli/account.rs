//! `account delete`: the one verb that cannot be taken back, so it asks.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use super::{ask_running, print};
use crate::admin::protocol::{Command, Failure};
use crate::paths::Places;

pub(super) fn delete(places: &Places, name: String, yes: bool) -> Result<ExitCode, Failure> {
    if !yes && !is_confirmed(&name)? {
        return Err(Failure::new("nothing was changed"));
    }
    let done = ask_running(places, Command::AccountDelete { name })?;
    print::done(&done, false);
    Ok(ExitCode::SUCCESS)
}

fn is_confirmed(name: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::with_todo(
            "closing an account cannot be undone, and there is no terminal to ask for confirmation",
            "Add --yes if you mean it.",
        ));
    }
    eprint!("Messages, contacts and files of {name} will be gone for ever. Type the name again to go on: ");
    let _ = io::stderr().flush();
    let mut typed = String::new();
    let _ = io::stdin().lock().read_line(&mut typed);
    Ok(typed.trim() == name)
}
