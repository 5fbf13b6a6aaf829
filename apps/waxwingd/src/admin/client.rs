//! The command line's end of the administration socket.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::protocol::{ANSWER_BYTES_MAX, Answer, Command, Done, Failure, Outcome, Request, VERSION};

/// How long the broker may take: the check of another domain takes longest.
const PATIENCE: Duration = Duration::from_secs(90);

/// Asks the broker whose data is in `data`.
///
/// # Errors
///
/// What to tell the person: the broker's own words, or that it does not run.
pub fn ask(data: &Path, command: Command) -> Result<Done, Failure> {
    let path = super::socket(data);
    let stream = UnixStream::connect(&path).map_err(|error| unreachable(data, &error))?;
    let broken = |_: io::Error| Failure::new("the broker did not answer");
    converse(stream, command).map_err(broken)?.map_err(|_| {
        let what = "the running broker is of another version than this program";
        Failure::with_todo(what, "Restart the broker after an update.")
    })?
}

fn unreachable(data: &Path, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Failure::with_todo(
            format!("the broker in {} belongs to another user", data.display()),
            "Run this command as the user that runs the broker (for a service: sudo -u waxwingd).",
        )
        .named("not_permitted"),
        _ => Failure::with_todo(
            format!("no broker is running with the data in {}", data.display()),
            "Start it with `waxwingd up`, or say with --data-dir where its data is.",
        )
        .named("not_running"),
    }
}

type Answered = Result<Result<Done, Failure>, serde_json::Error>;

fn converse(mut stream: UnixStream, command: Command) -> io::Result<Answered> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(&Request { v: VERSION, command })?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    BufReader::new(stream).take(ANSWER_BYTES_MAX as u64).read_until(b'\n', &mut answer)?;
    Ok(serde_json::from_slice::<Answer>(&answer).map(|answer| match answer.outcome {
        Outcome::Ok(done) => Ok(done),
        Outcome::Error(failure) => Err(failure),
    }))
}
