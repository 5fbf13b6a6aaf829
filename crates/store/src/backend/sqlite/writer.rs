//! The thread that writes: group commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, OptionalExtension};
use tokio::sync::oneshot;

use crate::backend::{BackendError, Batch, BoxFuture, Change};

/// How many changes one sync may cover at most, so that the first caller of a group does not wait for ever.
const MAX_GROUP_CHANGES: usize = 4096;

type Outcome = Result<(), BackendError>;

struct Request {
    batch: Batch,
    reply: oneshot::Sender<Outcome>,
}

pub(super) struct Writer {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, group_commits: Arc<AtomicU64>) -> Result<Self, BackendError> {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("store-write".to_owned())
            .spawn(move || run(&connection, &receiver, &group_commits))
            .map_err(|error| BackendError::from(&error))?;
        Ok(Self { requests: Some(sender), thread: Some(thread) })
    }

    /// Submits at once, not at the first poll: commits take effect in the order in which this is called.
    pub(super) fn commit(&self, batch: Batch) -> BoxFuture<'_, Outcome> {
        let (reply, answer) = oneshot::channel();
        if let Some(requests) = &self.requests {
            // If the thread is gone the request is dropped, and with it the reply: the caller learns that it is closed.
            let _ = requests.send(Request { batch, reply });
        }
        Box::pin(async { answer.await.unwrap_or(Err(BackendError::Closed)) })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None; // the thread ends when it has done what was submitted
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic in it was reported when it happened
        }
    }
}

fn run(connection: &Connection, requests: &Receiver<Request>, group_commits: &AtomicU64) {
    let mut erase_due = false;
    while let Ok(first) = requests.recv() {
        let group = collect(first, requests);
        erase_due |= group.iter().any(|request| request.batch.erase);
        let outcomes = commit_group(connection, &group, group_commits);
        if erase_due {
            erase_due = !erase_journal(connection);
        }
        for (request, outcome) in group.into_iter().zip(outcomes) {
            let _ = request.reply.send(outcome); // a caller that no longer listens is not an error
        }
    }
}

/// Takes what has come in while the last group was being written. Nobody waits for a group to fill.
fn collect(first: Request, requests: &Receiver<Request>) -> Vec<Request> {
    let mut changes = first.batch.changes.len();
    let mut group = vec![first];
    while changes < MAX_GROUP_CHANGES
        && let Ok(next) = requests.try_recv()
    {
        changes += next.batch.changes.len();
        group.push(next);
    }
    group
}

fn commit_group(connection: &Connection, group: &[Request], group_commits: &AtomicU64) -> Vec<Outcome> {
    match commit_together(connection, group) {
        Ok(outcomes) => {
            group_commits.fetch_add(1, Ordering::Relaxed);
            outcomes
        }
        Err(error) if group.len() == 1 => vec![Err(error)],
        // Something does not fit on the disk, say. What does fit shall not fail with it: each on its own.
        Err(_) => group
            .iter()
            .flat_map(|request| commit_group(connection, std::slice::from_ref(request), group_commits))
            .collect(),
    }
}

/// Commits a group as one transaction. An error of the machine undoes all of it; a conflict only leaves its batch out.
fn commit_together(connection: &Connection, group: &[Request]) -> Result<Vec<Outcome>, BackendError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let written = group
        .iter()
        .map(|request| match write(connection, &request.batch) {
            Err(BackendError::Conflict) => Ok(Err(BackendError::Conflict)),
            other => other.map(Ok),
        })
        .collect::<Result<Vec<_>, _>>()
        .and_then(|outcomes| {
            connection.execute_batch("COMMIT")?;
            Ok(outcomes)
        });
    // After some errors SQLite has rolled back by itself.
    if written.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    written
}

fn write(connection: &Connection, batch: &Batch) -> Outcome {
    // All expectations before the first change: a batch that conflicts has written nothing that would need undoing.
    let mut read = connection.prepare_cached("SELECT value FROM rows WHERE key = ?1")?;
    for expectation in &batch.expectations {
        let holds = read
            .query_row([&expectation.key], |row| Ok(expectation.holds(Some(row.get_ref(0)?.as_blob()?))))
            .optional()?;
        if !holds.unwrap_or_else(|| expectation.holds(None)) {
            return Err(BackendError::Conflict);
        }
    }
    let mut put = connection.prepare_cached(
        "INSERT INTO rows (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )?;
    let mut delete = connection.prepare_cached("DELETE FROM rows WHERE key = ?1")?;
    for change in &batch.changes {
        match change {
            Change::Put(row) => put.execute([&row.key, &row.value])?,
            Change::Delete { key } => delete.execute([key])?,
        };
    }
    Ok(())
}

/// Folds the journal into the file and empties it; `false` when a reader was in the way for too long, to try again later.
fn erase_journal(connection: &Connection) -> bool {
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    busy.is_ok_and(|busy| busy == 0)
}
