//! [`Threads`]: where long computations are done.

use std::sync::{Mutex, OnceLock, PoisonError, mpsc};

use broker::Workers;

/// Jobs that wait; a flood of registrations waits in its own connections beyond it.
const WAITING_MAX: usize = 256;

type Job = Box<dyn FnOnce() + Send>;

/// A few threads of the process for long computations, in the order in which they were asked for: half as many as there are
/// processors, so that the others are free for stanzas however many ask.
pub(super) struct Threads;

impl Workers for Threads {
    fn run(&self, job: Job) {
        static QUEUE: OnceLock<mpsc::SyncSender<Job>> = OnceLock::new();
        let queue = QUEUE.get_or_init(start);
        // a job that is dropped is an error to whoever waits for it, and is asked for again
        let _ = queue.try_send(job);
    }
}

fn start() -> mpsc::SyncSender<Job> {
    let (queue, jobs) = mpsc::sync_channel::<Job>(WAITING_MAX);
    let jobs = std::sync::Arc::new(Mutex::new(jobs));
    let count = std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2));
    for _ in 0..count {
        let jobs = std::sync::Arc::clone(&jobs);
        let take_next = move || jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let named = std::thread::Builder::new().name("waxwingd-long".to_owned());
        let _ = named.spawn(move || {
            while let Ok(job) = take_next() {
                job();
            }
        });
    }
    queue
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use broker::Environment;
    use net::clock::SystemClock;
    use net::random::SystemRandom;

    use super::*;

    #[tokio::test]
    async fn b03_long_computations_run_on_other_threads() {
        let environment = Environment::new(Arc::new(SystemClock), Arc::new(SystemRandom));
        let here = std::thread::current().id();
        let on_the_spot = environment.work(move || std::thread::current().id() == here).await;
        assert_eq!(on_the_spot, Some(true));
        let environment = environment.with_workers(Arc::new(Threads));
        for n in 0..100 {
            let done = environment.work(move || (std::thread::current().id() == here, n)).await;
            assert_eq!(done, Some((false, n)));
        }
    }
}
