//! What the tests of this crate share.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crypto::Secret;
use crypto::random::SeededRandom;
use crypto::seal::{InstanceId, MasterKey};

use crate::backend::Backend;
use crate::{Store, StoreError};

pub(crate) use crate::block_on;

/// A directory of its own, removed with everything in it at the end of the test.
pub(crate) struct TempDirectory(PathBuf);

impl TempDirectory {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("waxwing-store-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).expect("the temporary directory can be written to");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn master() -> MasterKey {
    MasterKey::new(Secret::new([7; 32]))
}

pub(crate) fn try_open(backend: Arc<dyn Backend>, master: MasterKey) -> Result<Store, StoreError> {
    // A seed of its own each time: a store that is opened again must not repeat nonces.
    static SEED: AtomicU64 = AtomicU64::new(1);
    let random = Arc::new(SeededRandom::new(SEED.fetch_add(1, Ordering::Relaxed)));
    block_on(Store::open(backend, master, InstanceId([1; 16]), random))
}

pub(crate) fn open(backend: Arc<dyn Backend>) -> Store {
    try_open(backend, master()).expect("the store opens")
}
