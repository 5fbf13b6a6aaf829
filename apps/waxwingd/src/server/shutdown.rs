//! Stopping: everybody is told, and nobody is waited for longer than agreed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use broker::Wake;
use tokio::sync::{Notify, mpsc};

/// Tells tasks that the broker stops.
#[derive(Clone, Default)]
pub(crate) struct Stopping(Arc<Inner>);

#[derive(Default)]
struct Inner {
    is_stopping: AtomicBool,
    notify: Notify,
    connections: Mutex<HashMap<u64, Wake>>,
    next: AtomicU64,
}

impl Stopping {
    /// Waits until the broker stops. Safe to drop in `select!`.
    pub(crate) async fn wait(&self) {
        // Registered before the flag is read, so that no call of `begin` falls in between.
        let notified = self.0.notify.notified();
        if !self.is_stopping() {
            notified.await;
        }
    }

    /// Has a connection woken when the broker stops: cheaper than [`Stopping::wait`] for a task that waits for something
    /// else all the time and is woken through a signal of its own anyway.
    pub(crate) fn register(&self, wake: Wake) -> Registered {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.0.connections().insert(id, Arc::clone(&wake));
        if self.is_stopping() {
            wake();
        }
        Registered { stopping: self.clone(), id }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.0.is_stopping.load(Ordering::Acquire)
    }

    pub(crate) fn begin(&self) {
        self.0.is_stopping.store(true, Ordering::Release);
        self.0.notify.notify_waiters();
        for wake in self.0.connections().values() {
            wake();
        }
    }
}

impl Inner {
    fn connections(&self) -> MutexGuard<'_, HashMap<u64, Wake>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is woken when the broker stops, until this is dropped.
pub(crate) struct Registered {
    stopping: Stopping,
    id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.stopping.0.connections().remove(&self.id);
    }
}

/// Counts tasks that are at work: each holds a [`Token`].
#[derive(Debug)]
pub(crate) struct Tasks {
    token: mpsc::Sender<()>,
    ended: mpsc::Receiver<()>,
}

/// Held by a task as long as it is at work.
pub(crate) type Token = mpsc::Sender<()>;

impl Tasks {
    pub(crate) fn new() -> Self {
        let (token, ended) = mpsc::channel(1);
        Self { token, ended }
    }

    pub(crate) fn token(&self) -> Token {
        self.token.clone()
    }

    /// Waits until all tasks have ended, at most so long.
    pub(crate) async fn wait(self, at_most: Duration) {
        let Self { token, mut ended } = self;
        drop(token);
        let _ = tokio::time::timeout(at_most, ended.recv()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_late_is_told_too() {
        let stopping = Stopping::default();
        let waiting = tokio::spawn({
            let stopping = stopping.clone();
            async move { stopping.wait().await }
        });
        tokio::task::yield_now().await;
        stopping.begin();
        waiting.await.expect("it ends");
        stopping.wait().await;
    }

    #[test]
    fn connections_are_woken_once_registered_and_however_late() {
        let stopping = Stopping::default();
        let count = Arc::new(AtomicU64::new(0));
        let wake: Wake = Arc::new({
            let count = Arc::clone(&count);
            move || {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let early = stopping.register(Arc::clone(&wake));
        drop(stopping.register(Arc::clone(&wake)));
        stopping.begin();
        assert_eq!(count.load(Ordering::Relaxed), 1, "who has gone is not woken");
        let late = stopping.register(wake);
        assert_eq!(count.load(Ordering::Relaxed), 2);
        drop((early, late));
        assert!(stopping.0.connections().is_empty());
    }

    #[tokio::test]
    async fn tasks_are_waited_for_but_not_for_ever() {
        let tasks = Tasks::new();
        let token = tasks.token();
        let started = tokio::time::Instant::now();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            drop(token);
        });
        tasks.wait(Duration::from_secs(60)).await;
        assert!(started.elapsed() < Duration::from_secs(30));
        let tasks = Tasks::new();
        let _held = tasks.token();
        tasks.wait(Duration::from_millis(20)).await;
    }
}
