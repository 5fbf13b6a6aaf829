//! Stopping: everybody is told, and nobody is waited for longer than agreed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

/// Tells tasks that the broker stops.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stopping(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    is_stopping: AtomicBool,
    notify: Notify,
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

    pub(crate) fn is_stopping(&self) -> bool {
        self.0.is_stopping.load(Ordering::Acquire)
    }

    pub(crate) fn begin(&self) {
        self.0.is_stopping.store(true, Ordering::Release);
        self.0.notify.notify_waiters();
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
