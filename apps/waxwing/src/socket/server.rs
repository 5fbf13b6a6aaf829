//! The end of the socket at the engine.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::BufReader;
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, mpsc, watch};

use super::wire::{self, Asked, Lines, REQUEST_BYTES_MAX};
use crate::api::{Event, Kind, Refusal};
use crate::runtime::Handle;
use crate::words::refusals;

/// How long an ending engine listens for requests that are on their way.
const LAST_MOMENT: Duration = Duration::from_millis(50);

/// A listening socket; dropping it stops listening.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    closing: watch::Sender<bool>,
    /// Closed when the last conversation has ended.
    ended: mpsc::Receiver<()>,
}

impl Server {
    /// Listens for other processes of the same user. The caller holds the lock of the profile, so a socket that is
    /// there already belongs to a process that has ended.
    ///
    /// # Errors
    ///
    /// What the machine says, most often that the path is too long for a socket (some 100 characters).
    pub fn listen(path: &Path, handle: Handle) -> io::Result<Self> {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path)?;
        // The directory is 0700, so nobody was faster.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let (closing, told) = watch::channel(false);
        let (token, ended) = mpsc::channel(1);
        tokio::spawn(accept(listener, handle, told, token));
        Ok(Self { path: path.to_path_buf(), closing, ended })
    }

    /// Takes no new requests, answers those under way, and ends.
    pub async fn close(mut self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = self.closing.send(true);
        let _ = self.ended.recv().await;
    }
}

async fn accept(listener: UnixListener, handle: Handle, mut told: watch::Receiver<bool>, token: mpsc::Sender<()>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = told.changed() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(converse(stream, handle.clone(), told.clone(), token.clone()));
            }
            // Out of file descriptors, mostly: give those who leave some time instead of spinning.
            Err(_) => tokio::time::sleep(LAST_MOMENT).await,
        }
    }
}

/// Answers one process until it leaves, breaks the rules or the engine ends.
async fn converse(stream: UnixStream, handle: Handle, mut told: watch::Receiver<bool>, _token: mpsc::Sender<()>) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = Lines::new(BufReader::new(reader), REQUEST_BYTES_MAX);
    let (mut greeted, mut closing, mut events) = (false, false, None);
    loop {
        let line = tokio::select! {
            biased;
            line = next_line(&mut lines, closing) => match line {
                Some(line) => line,
                None => return,
            },
            event = next(&mut events) => {
                let notification = json!({"jsonrpc": "2.0", "method": "event", "params": event});
                if wire::write_line(&mut writer, &notification).await.is_err() {
                    return;
                }
                continue;
            }
            _ = told.changed(), if !closing => {
                closing = true;
                continue;
            }
        };
        let (id, asked) = wire::parse_call(&line);
        let result = match asked {
            Err(error) => Err(error),
            Ok(Asked::Hello { version }) => {
                let greeting = wire::greeting(version);
                greeted = greeting.is_ok();
                greeting
            }
            Ok(_) if !greeted => wire::greeting(None),
            Ok(_) if closing => Err(wire::refused(&Refusal::new(Kind::Closing, refusals::closing()))),
            Ok(Asked::Listen) => {
                events = Some(handle.listen());
                Ok(json!({"kind": "done"}))
            }
            Ok(Asked::Request(request)) => match handle.ask(request).await {
                Ok(answer) => serde_json::to_value(answer).map_err(|_| Value::Null),
                Err(refusal) => Err(wire::refused(&refusal)),
            },
        };
        if wire::write_line(&mut writer, &wire::answered(id, result)).await.is_err() {
            return;
        }
    }
}

/// The next request. What was asked in the last moment is told to ask again, elsewhere.
async fn next_line(lines: &mut Lines<BufReader<OwnedReadHalf>>, closing: bool) -> Option<Vec<u8>> {
    let line = if closing { tokio::time::timeout(LAST_MOMENT, lines.next()).await.ok()? } else { lines.next().await };
    line.ok().flatten()
}

/// The next event; never, for a process that does not listen.
async fn next(events: &mut Option<broadcast::Receiver<Event>>) -> Event {
    loop {
        let Some(listening) = events else { return std::future::pending().await };
        match listening.recv().await {
            Ok(event) => return event,
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => *events = None,
        }
    }
}
