//! `doctor`: asks the running broker, or looks at what a start would find.

use std::process::ExitCode;

use super::{ask_running, print};
use crate::admin::doctor::examine_stopped;
use crate::admin::protocol::{Check, Command, Done, Failure, State};
use crate::paths::Places;
use crate::settings::Settings;

/// Prints the checks. The exit code is 1 when something does not work.
pub(super) fn run(
    places: &Places,
    settings: impl FnOnce() -> Result<Settings, Failure>,
    domain: Option<String>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let checks = if std::os::unix::net::UnixStream::connect(crate::admin::socket(&places.data)).is_ok() {
        match ask_running(places, Command::Doctor { domain })? {
            Done::Checks(mut checks) => {
                checks.insert(0, file(settings()));
                checks
            }
            _ => return Err(Failure::new("the broker did not answer the question")),
        }
    } else {
        stopped(places, settings)?
    };
    print::checks(&checks, json);
    let is_bad = checks.iter().any(|check| check.state == State::Bad);
    Ok(if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Whether the next start could use the settings; the running broker read them when it started.
fn file(settings: Result<Settings, Failure>) -> Check {
    match settings {
        Ok(_) => {
            Check::good("settings", "they can be read, and every value can work; changes count from the next start")
        }
        Err(failure) => Check::bad("settings", failure.what, failure.todo),
    }
}

fn stopped(places: &Places, settings: impl FnOnce() -> Result<Settings, Failure>) -> Result<Vec<Check>, Failure> {
    let settings = match settings() {
        Ok(settings) => settings,
        Err(failure) => return Ok(vec![Check::bad("settings", failure.what, failure.todo)]),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|_| Failure::new("the system gives no file descriptors"))?;
    Ok(runtime.block_on(examine_stopped(places, &settings)))
}
