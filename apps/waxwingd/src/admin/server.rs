//! The broker's end of the administration socket.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::commands::{Context, execute};
use super::protocol::{Answer, Failure, Outcome, REQUEST_BYTES_MAX, Request, VERSION};
use crate::error::StartError;
use crate::server::shutdown::Token;

/// Administrators at once.
const CONNECTIONS_MAX: usize = 8;

/// How long an administrator may think.
const SILENCE: Duration = Duration::from_secs(60);

/// Opens the socket and serves it until the broker stops; the file goes with it.
///
/// An old socket at this place is left from a broker that was killed: the database is locked by us, so no other broker
/// runs with this data.
/// `token` is held until the file is gone.
pub(crate) fn serve(path: PathBuf, context: Context, token: Option<Token>) -> Result<(), StartError> {
    let listener = bind(&path).map_err(|_| StartError::AdminSocket { path: path.clone() })?;
    let context = Arc::new(context);
    tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let stopping = context.shared.stopping.clone();
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let accepted = tokio::select! {
                () = stopping.wait() => break,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let context = Arc::clone(&context);
            tokio::spawn(async move {
                tokio::select! {
                    () = context.shared.stopping.wait() => {}
                    _ = converse(stream, &context) => {}
                }
                drop(place);
            });
        }
        let _ = std::fs::remove_file(&path);
        drop(token);
    });
    Ok(())
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    // The program's umask has made it so already; this is for those who use the library.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn converse(stream: UnixStream, context: &Context) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    loop {
        let mut line = Vec::new();
        // One byte more than allowed tells a line that is too long from one that just fits.
        let limit = REQUEST_BYTES_MAX as u64 + 1;
        let mut bounded = (&mut reading).take(limit);
        let read = tokio::time::timeout(SILENCE, bounded.read_until(b'\n', &mut line));
        let length = read.await.map_err(|_| io::ErrorKind::TimedOut)??;
        if length == 0 {
            return Ok(());
        }
        let is_too_long = line.len() > REQUEST_BYTES_MAX;
        let outcome = match serde_json::from_slice::<Request>(&line) {
            _ if is_too_long => Outcome::Error(Failure::new("the request is too long")),
            Ok(request) if request.v == VERSION => execute(context, request.command).await,
            Ok(_) => Outcome::Error(Failure::with_todo(
                "the running broker speaks another version of this protocol",
                "Restart the broker after an update.",
            )),
            Err(_) => Outcome::Error(Failure::with_todo(
                "the running broker does not know this request",
                "Restart the broker after an update.",
            )),
        };
        let mut answer = serde_json::to_vec(&Answer { v: VERSION, outcome })?;
        answer.push(b'\n');
        writing.write_all(&answer).await?;
        if is_too_long {
            return Ok(()); // the rest of the line is not a request
        }
    }
}
