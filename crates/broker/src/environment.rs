//! [`Environment`]: what the outside world lends to the broker.

use std::fmt;
use std::sync::Arc;

use crypto::Random;
use xmpp::time::{Clock, Moment, Timestamp};

/// The clock, the random source and threads for long computations; the broker knows no other machine.
#[derive(Clone)]
pub struct Environment {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Draws unpredictable bytes.
    pub random: Arc<dyn Random>,
    /// Computes what takes long.
    pub workers: Arc<dyn Workers>,
}

/// Threads for what takes long, such as deriving keys from passwords: nobody's stanzas wait behind it.
pub trait Workers: Send + Sync {
    /// Has a job done some time, on whichever thread. Jobs that cannot be done are dropped.
    fn run(&self, job: Box<dyn FnOnce() + Send>);
}

/// Does every job at once, on the thread that asks: for tests, where everything happens in one order.
#[derive(Debug, Clone, Copy, Default)]
pub struct OnTheSpot;

impl Workers for OnTheSpot {
    fn run(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

impl Environment {
    /// Makes one in which long computations are done on the spot.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random, workers: Arc::new(OnTheSpot) }
    }

    /// Has long computations done by somebody else.
    #[must_use]
    pub fn with_workers(self, workers: Arc<dyn Workers>) -> Self {
        Self { workers, ..self }
    }

    /// Computes something that takes long, and waits for it. `None` when it was not done, because the program ends.
    pub async fn work<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (done, result) = tokio::sync::oneshot::channel();
        // whoever waited may have gone meanwhile
        self.workers.run(Box::new(move || drop(done.send(job()))));
        result.await.ok()
    }

    /// Returns the time of the wall clock: for what is written down and what others are told. It may be wrong and may jump.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the present moment, which only ever gets later: for rates and deadlines.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.clock.moment()
    }

    /// Draws an identifier of 128 bits, as 32 hexadecimal digits: nobody can guess it (attack row X06).
    #[must_use]
    pub fn random_id(&self) -> String {
        let mut bytes = [0u8; 16];
        self.random.fill(&mut bytes);
        format!("{:032x}", u128::from_be_bytes(bytes))
    }
}

/// Wakes the task that drives a session; called from any thread, never blocks.
pub type Wake = Arc<dyn Fn() + Send + Sync>;
