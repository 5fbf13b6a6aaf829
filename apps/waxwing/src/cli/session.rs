//! [`Session`]: a command's way to the engine of the profile, in this process or in the one that has the lock.

use std::io;
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use crate::api::{Answer, Event, Kind, Refusal, Request};
use crate::runtime::lock::{self, Lock};
use crate::runtime::{Home, Running};
use crate::socket::{Client, ConnectError, Server};
use crate::words::refusals;

/// How long another process may take to begin to listen, or to end.
const TAKEOVER_MAX: Duration = Duration::from_secs(10);
const TAKEOVER_STEP: Duration = Duration::from_millis(30);

/// A way to the engine.
pub(super) struct Session {
    home: Home,
    way: Way,
}

enum Way {
    /// The engine runs here.
    Own(Box<Own>),
    /// It runs in another process.
    Other(Client),
}

struct Own {
    running: Running,
    events: broadcast::Receiver<Event>,
    /// Other processes are served too; not where the file system has no sockets.
    server: Option<Server>,
    _lock: Lock,
}

impl Session {
    /// Runs the engine here, or finds the process that runs it.
    pub(super) async fn open(home: &Home) -> Result<Self, Refusal> {
        Ok(Self { home: home.clone(), way: open(home).await? })
    }

    /// Asks the engine.
    pub(super) async fn ask(&mut self, request: &Request) -> Result<Answer, Refusal> {
        loop {
            let answer = match &mut self.way {
                Way::Own(own) => return own.running.handle().ask(request.clone()).await,
                Way::Other(client) => client.ask(request).await,
            };
            match answer {
                // It has not been looked at: whoever has the profile next gets it.
                Err(refusal) if refusal.kind == Kind::Closing => self.reopen().await?,
                answer => return answer,
            }
        }
    }

    /// The next event; nothing when the other process has ended, see [`Session::reopen`].
    pub(super) async fn event(&mut self) -> Option<Event> {
        match &mut self.way {
            Way::Other(client) => client.event().await,
            Way::Own(own) => loop {
                match own.events.recv().await {
                    Ok(event) => return Some(event),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            },
        }
    }

    /// Goes on after the other process has ended; online, as before.
    pub(super) async fn reopen(&mut self) -> Result<(), Refusal> {
        self.way = open(&self.home).await?;
        let online = match &mut self.way {
            Way::Own(own) => own.running.handle().ask(Request::GoOnline).await,
            Way::Other(client) => client.ask(&Request::GoOnline).await,
        };
        match online {
            Err(refusal) if refusal.kind != Kind::NoAccount => Err(refusal),
            _ => Ok(()),
        }
    }

    /// Ends in order. Whoever asks over the socket meanwhile is answered first.
    pub(super) async fn close(self) {
        if let Way::Own(own) = self.way {
            if let Some(server) = own.server {
                server.close().await;
            }
            own.running.stop().await;
        }
    }
}

async fn open(home: &Home) -> Result<Way, Refusal> {
    let at_home =
        |error: &io::Error| Refusal::new(Kind::Disk, refusals::profile_unusable(home.data().display(), error));
    home.create().map_err(|error| at_home(&error))?;
    let until = Instant::now() + TAKEOVER_MAX;
    loop {
        if let Some(lock) = lock::take(&home.lock()).map_err(|error| at_home(&error))? {
            let running = crate::runtime::start(home).await?;
            let events = running.handle().listen();
            let server = Server::listen(&home.socket(), running.handle()).ok();
            return Ok(Way::Own(Box::new(Own { running, events, server, _lock: lock })));
        }
        match Client::connect(&home.socket()).await {
            Ok(client) => return Ok(Way::Other(client)),
            Err(ConnectError::Refused(refusal)) => return Err(refusal),
            Err(ConnectError::NobodyThere(_)) if Instant::now() < until => {
                tokio::time::sleep(TAKEOVER_STEP).await;
            }
            Err(ConnectError::NobodyThere(_)) => {
                return Err(Refusal::new(Kind::Closing, refusals::profile_in_use()));
            }
        }
    }
}
