//! A disk that can be told to take for ever, so that a test can look at an engine in the middle of a commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use store::backend::memory::MemoryBackend;
use store::backend::{Backend, BackendError, Batch, BoxFuture, KeyRange, Row};

#[derive(Clone, Default)]
pub(crate) struct Stalled(Arc<AtomicBool>);

impl Stalled {
    pub(crate) fn set(&self, stalled: bool) {
        self.0.store(stalled, Ordering::Relaxed);
    }
}

/// A backend whose commits do not end while it is stalled; they write nothing then.
pub(super) struct StallingBackend {
    pub(super) inner: MemoryBackend,
    pub(super) stalled: Stalled,
}

impl Backend for StallingBackend {
    fn get<'a>(&'a self, key: &'a [u8]) -> BoxFuture<'a, Result<Option<Vec<u8>>, BackendError>> {
        self.inner.get(key)
    }

    fn scan(&self, range: KeyRange, limit: u32) -> BoxFuture<'_, Result<Vec<Row>, BackendError>> {
        self.inner.scan(range, limit)
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<(), BackendError>> {
        match self.stalled.0.load(Ordering::Relaxed) {
            true => Box::pin(std::future::pending()),
            false => self.inner.commit(batch),
        }
    }
}
