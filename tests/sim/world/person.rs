//! A machine that runs an engine.

use std::sync::Arc;

use client::command::RequestId;
use client::engine::Origin;
use client::output::{HttpRequest, SaveFile};
use client::{Engine, Environment, Event};
use crypto::random::SeededRandom;
use crypto::seal::{InstanceId, KeyFile, MasterKey};
use store::backend::memory::MemoryBackend;
use store::backend::{Backend as _, Batch, Change, Row};
use store::{Continuity, Store, StoreError, block_on};
use xmpp::time::Clock;

use super::Disk;
use super::link::LinkId;

/// Somebody with a machine.
pub(crate) struct Person {
    pub(crate) disk: MemoryBackend,
    pub(crate) engine: Option<Engine>,
    /// The engine's own handle to its store, for what the program around it writes.
    store: Option<Store>,
    /// What the key file says; it lies on another disk, which never fails here.
    generation: u64,
    /// What opens the disk, when it is not made from the seed.
    key_file: Option<KeyFile>,
    pub(crate) link: Option<LinkId>,
    /// Everything that the user was told, over all starts.
    pub(crate) events: Vec<Event>,
    pub(crate) saved: Vec<SaveFile>,
    pub(crate) requests: Vec<HttpRequest>,
    /// Events before the program was last started belong to other requests.
    started_at: usize,
    seed: u64,
    starts: u64,
}

impl Person {
    /// Sets up an empty machine that is switched off.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            disk: MemoryBackend::new(),
            engine: None,
            store: None,
            generation: 0,
            key_file: None,
            link: None,
            events: Vec::new(),
            saved: Vec::new(),
            requests: Vec::new(),
            started_at: 0,
            seed,
            starts: 0,
        }
    }

    /// As [`Person::new`], with a disk that another program wrote.
    pub(crate) fn with_disk(seed: u64, disk: Disk) -> Self {
        let generation = disk.key_file.generation;
        Self { disk: disk.rows, generation, key_file: Some(disk.key_file), ..Self::new(seed) }
    }

    /// Starts the program on what the disk holds, as the real one does: the store is compared with the key file first.
    ///
    /// # Errors
    ///
    /// What the store says, for example because the power fails while it starts.
    pub(crate) fn start(&mut self, clock: Arc<dyn Clock>) -> Result<(), StoreError> {
        self.starts += 1;
        self.started_at = self.events.len();
        let keys = SeededRandom::new(self.seed);
        let (master, instance) = match &self.key_file {
            Some(file) => (file.open_unattended().expect("the key is not wrapped"), file.instance),
            None => (MasterKey::generate(&keys), InstanceId::generate(&keys)),
        };
        // what a machine draws after a restart, it has never drawn before
        let random = Arc::new(SeededRandom::new(self.seed.wrapping_mul(1_000_003).wrapping_add(self.starts)));
        let disk = Arc::new(self.disk.clone());
        block_on(async {
            let store = Store::open(disk, master, instance, random.clone()).await?;
            let file = KeyFile { instance, generation: self.generation, slots: Vec::new() };
            let origin = match store.continuity(&file).await? {
                Continuity::Same => Origin::Same,
                _ => Origin::Copied,
            };
            self.generation = store.next_generation(self.generation).await?;
            store.set_generation(self.generation).await?;
            let engine = Engine::open(store.clone(), Environment::new(clock, random), origin).await;
            self.engine = Some(engine.map_err(|_| StoreError::Altered)?);
            self.store = Some(store);
            Ok(())
        })
    }

    /// Copies the whole profile: the disk, and what the key file says.
    pub(crate) fn snapshot(&self) -> (Vec<Row>, u64) {
        (self.disk.raw_rows(), self.generation)
    }

    /// Puts a whole profile back; the program does not run.
    pub(crate) fn put_back(&mut self, (rows, generation): (Vec<Row>, u64)) {
        self.disk = MemoryBackend::new();
        let changes = rows.into_iter().map(Change::Put).collect();
        block_on(self.disk.commit(Batch { changes, ..Batch::default() })).expect("an empty disk takes rows");
        self.generation = generation;
    }

    /// The program dies.
    pub(crate) fn stop(&mut self) {
        self.engine = None;
        self.store = None;
        self.link = None;
    }

    /// Writes the next generation: to the key file, then to the store.
    /// A store that is one behind is found so at the next start, and that is allowed; but nothing is sealed then.
    pub(crate) fn advance_generation(&mut self) -> bool {
        let Some(store) = &self.store else { return false };
        let Ok(next) = block_on(store.next_generation(self.generation)) else { return false };
        self.generation = next;
        block_on(store.set_generation(next)).is_ok()
    }

    /// Finds how an earlier command of this start ended.
    pub(crate) fn outcome(&self, wanted: RequestId) -> Option<Result<client::command::Outcome, client::Failure>> {
        self.events.iter().skip(self.started_at).find_map(|event| match event {
            Event::Done { request, outcome } if *request == wanted => Some(outcome.clone()),
            _ => None,
        })
    }
}
