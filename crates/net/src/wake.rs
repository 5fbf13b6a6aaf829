//! From the callbacks of sans-I/O crates to a task that sleeps.

use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes one task. The sans-I/O side gets [`WakeSignal::callback`], the task waits in [`WakeSignal::woken`].
///
/// Calls made before the task waits are remembered, and many calls become one waking: whoever wakes up must look at
/// everything that may have changed.
#[derive(Debug, Clone, Default)]
pub struct WakeSignal {
    notify: Arc<Notify>,
}

impl WakeSignal {
    /// Makes a signal that nobody has used yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a function that wakes the task. It never blocks and may be called from any thread.
    pub fn callback(&self) -> Arc<dyn Fn() + Send + Sync> {
        let notify = Arc::clone(&self.notify);
        Arc::new(move || notify.notify_one())
    }

    /// Waits until the callback has been called. Safe to drop and to call again, as `select!` does.
    pub async fn woken(&self) {
        self.notify.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_before_the_wait_is_not_lost_and_calls_merge() {
        let signal = WakeSignal::new();
        let wake = signal.callback();
        wake();
        wake();
        signal.woken().await;
        let again = tokio::time::timeout(std::time::Duration::from_millis(20), signal.woken()).await;
        assert!(again.is_err(), "two calls before the wait are one waking");
    }
}
