//! The threads that read.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, OptionalExtension};
use tokio::sync::oneshot;

use crate::backend::{BackendError, BoxFuture, Direction, KeyRange, Row};

/// Reads are short and mostly answered by the cache in front: two threads keep a long scan from holding up the rest.
const READERS: usize = 2;

enum Job {
    Get { key: Vec<u8>, reply: oneshot::Sender<Result<Option<Vec<u8>>, BackendError>> },
    Scan { range: KeyRange, limit: u32, reply: oneshot::Sender<Result<Vec<Row>, BackendError>> },
}

pub(super) struct Readers {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(super) fn start(connect: impl Fn() -> Result<Connection, BackendError>) -> Result<Self, BackendError> {
        let (sender, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut readers = Self { jobs: Some(sender), threads: Vec::with_capacity(READERS) };
        for _ in 0..READERS {
            let (connection, receiver) = (connect()?, Arc::clone(&receiver));
            let thread = thread::Builder::new()
                .name("store-read".to_owned())
                .spawn(move || run(&connection, &receiver))
                .map_err(|error| BackendError::from(&error))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    pub(super) fn get(&self, key: Vec<u8>) -> BoxFuture<'_, Result<Option<Vec<u8>>, BackendError>> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Get { key, reply });
        Box::pin(async { answer.await.unwrap_or(Err(BackendError::Closed)) })
    }

    pub(super) fn scan(&self, range: KeyRange, limit: u32) -> BoxFuture<'_, Result<Vec<Row>, BackendError>> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Scan { range, limit, reply });
        Box::pin(async { answer.await.unwrap_or(Err(BackendError::Closed)) })
    }

    fn submit(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // If the threads are gone the job is dropped, and with it the reply: the caller learns that it is closed.
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.jobs = None; // ends the threads
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // a panic in it was reported when it happened
        }
    }
}

fn run(connection: &Connection, jobs: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is held while waiting, so that exactly one thread takes the next job.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            // A caller that no longer listens is not an error.
            Ok(Job::Get { key, reply }) => drop(reply.send(get(connection, &key))),
            Ok(Job::Scan { range, limit, reply }) => drop(reply.send(scan(connection, &range, limit))),
            Err(mpsc::RecvError) => return,
        }
    }
}

fn get(connection: &Connection, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError> {
    let mut statement = connection.prepare_cached("SELECT value FROM rows WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

fn scan(connection: &Connection, range: &KeyRange, limit: u32) -> Result<Vec<Row>, BackendError> {
    let statement = match (&range.end, range.direction) {
        (Some(_), Direction::Forward) => {
            "SELECT key, value FROM rows WHERE key >= ?1 AND key < ?3 ORDER BY key LIMIT ?2"
        }
        (Some(_), Direction::Backward) => {
            "SELECT key, value FROM rows WHERE key >= ?1 AND key < ?3 ORDER BY key DESC LIMIT ?2"
        }
        (None, Direction::Forward) => "SELECT key, value FROM rows WHERE key >= ?1 ORDER BY key LIMIT ?2",
        (None, Direction::Backward) => "SELECT key, value FROM rows WHERE key >= ?1 ORDER BY key DESC LIMIT ?2",
    };
    let mut statement = connection.prepare_cached(statement)?;
    statement.raw_bind_parameter(1, range.start.as_slice())?;
    statement.raw_bind_parameter(2, limit)?;
    if let Some(end) = &range.end {
        statement.raw_bind_parameter(3, end.as_slice())?;
    }
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Row { key: row.get(0)?, value: row.get(1)? });
    }
    Ok(found)
}
