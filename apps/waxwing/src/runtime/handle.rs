//! [`Handle`]: how the rest of the program speaks with the engine that runs in this process.

use tokio::sync::{broadcast, mpsc, oneshot};

use crate::api::{Answer, Event, Kind, Refusal, Request};
use crate::words::refusals;

/// How many events wait for a listener that is slow; older ones are lost to it.
pub(super) const EVENTS_WAITING: usize = 4096;

/// A request on its way, and where its answer goes.
pub(super) struct Job {
    pub(super) request: Request,
    pub(super) answer: oneshot::Sender<Result<Answer, Refusal>>,
}

/// A way to the engine. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) events: broadcast::Sender<Event>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

impl Handle {
    /// Asks the engine, and waits for its answer.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says why not; [`Kind::Closing`] when the engine has ended.
    pub async fn ask(&self, request: Request) -> Result<Answer, Refusal> {
        let closing = || Refusal::new(Kind::Closing, refusals::closing());
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { request, answer }).await.map_err(|_| closing())?;
        answered.await.unwrap_or_else(|_| Err(closing()))
    }

    /// Listens to what happens from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

/// How an engine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// The server is told.
    InOrder,
    /// At once.
    AtOnce,
}

/// An engine that runs in this process. Dropping it ends it as a crash would: nothing is lost.
#[derive(Debug)]
pub struct Running {
    pub(super) handle: Handle,
    pub(super) stop: oneshot::Sender<Leave>,
    pub(super) ended: oneshot::Receiver<()>,
}

impl Running {
    /// A way to the engine.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Takes leave of the server and closes the profile.
    pub async fn stop(self) {
        let _ = self.stop.send(Leave::InOrder);
        let _ = self.ended.await;
    }

    /// Ends at once, as a crash would.
    pub async fn kill(self) {
        let _ = self.stop.send(Leave::AtOnce);
        let _ = self.ended.await;
    }
}
