//! Nothing is mute for long: whoever looks at a terminal is told after two seconds that something is waited for.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::words::results;

/// So long nothing needs to be said.
const MUTE_MAX: Duration = Duration::from_secs(2);
/// Afterwards a line now and then is enough.
const AGAIN: Duration = Duration::from_secs(15);

/// Where lines beside the result go, and when the last one went there.
pub(super) struct Aside {
    err: Box<dyn Write + Send>,
    last: Instant,
    /// Somebody is asked, or what comes is not waited for.
    at_ease: bool,
}

/// The same, shared with the one who watches the silence.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Aside>>);

impl Shared {
    pub(super) fn new(err: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(Aside { err, last: Instant::now(), at_ease: false })))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Aside) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn write(&self, text: &str) {
        self.with(|aside| {
            let _ = aside.err.write_all(text.as_bytes());
            let _ = aside.err.flush();
            aside.last = Instant::now();
        });
    }

    /// Something was written elsewhere on the same screen.
    pub(super) fn heard(&self) {
        self.with(|aside| aside.last = Instant::now());
    }

    /// Silence is right, or is not any more.
    pub(super) fn set_at_ease(&self, at_ease: bool) {
        self.with(|aside| {
            aside.at_ease = at_ease;
            aside.last = Instant::now();
        });
    }

    /// Watches until the watch is dropped.
    pub(super) fn watch(&self) -> Watch {
        let shared = self.clone();
        Watch(tokio::spawn(async move {
            let mut patience = MUTE_MAX;
            loop {
                let due = shared.with(|aside| aside.last) + patience;
                tokio::time::sleep_until(due).await;
                let is_mute = shared.with(|aside| !aside.at_ease && aside.last + patience <= Instant::now());
                if is_mute {
                    let first = patience == MUTE_MAX;
                    shared.write(&format!("{}\n", if first { results::waiting() } else { results::still_waiting() }));
                    patience = AGAIN;
                } else if shared.with(|aside| aside.at_ease) {
                    shared.heard();
                }
            }
        }))
    }
}

/// Ends the watching when dropped.
pub(super) struct Watch(tokio::task::JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}
