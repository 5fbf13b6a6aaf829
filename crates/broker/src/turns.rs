//! [`Turns`]: whoever changes rows that others change too takes turns with them, first come, first served.
//!
//! The store is optimistic: a commit fails when a row that the decision was based on has changed meanwhile. Where many
//! change the same row at once (the queue of somebody who is away, a node that hundreds subscribe to), each success makes
//! everybody else decide again, and the last of fifty would have to be patient beyond any bound that is set for it. So
//! they wait before they read, in order, and no number of them makes any fail. A commit can still meet a conflict where
//! another process uses the same database: then it decides again, and somebody has got on.
//!
//! Whoever has a turn may take the turn of an offline queue ([`crate::offline`]) besides, and no other; whoever has that
//! takes none. So nobody waits in a circle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::Table;
use tokio::sync::OwnedMutexGuard;

type Line = Arc<tokio::sync::Mutex<()>>;

/// Who is at which rows. Remembers nothing of rows that nobody is at.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<Box<str>, Line>>);

/// The right to change the rows of one table and owner, until this is dropped.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    key: Box<str>,
    /// Given back before the line is looked at.
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until nobody else changes the rows of `owner` in `table`.
    pub(crate) async fn take(&self, table: Table, owner: &str) -> Turn<'_> {
        let key: Box<str> = format!("{}\0{owner}", table.name).into();
        let line = Arc::clone(self.lines().entry(key.clone()).or_default());
        // made first: whoever stops waiting leaves nothing behind either
        let mut turn = Turn { turns: self, key, held: None };
        turn.held = Some(line.lock_owned().await);
        turn
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<Box<str>, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.held = None;
        let mut lines = self.turns.lines();
        // new ones come by this lock, so what nobody but the map holds now, nobody will
        if lines.get(&self.key).is_some_and(|line| Arc::strong_count(line) == 1) {
            lines.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::tables::{OFFLINE, ROSTER};
    use crate::testing::run;

    #[test]
    fn who_came_first_is_first_and_nothing_is_remembered() {
        let turns = Turns::default();
        let mut context = Context::from_waker(Waker::noop());
        let first = run(turns.take(ROSTER, "a@example.org"));
        let mut second = pin!(turns.take(ROSTER, "a@example.org"));
        let mut third = Box::pin(turns.take(ROSTER, "a@example.org"));
        let mut fourth = pin!(turns.take(ROSTER, "a@example.org"));
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert!(third.as_mut().poll(&mut context).is_pending());
        assert!(fourth.as_mut().poll(&mut context).is_pending());
        drop((run(turns.take(ROSTER, "b@example.org")), run(turns.take(OFFLINE, "a@example.org")))); // in nobody's way
        drop(first);
        assert!(fourth.as_mut().poll(&mut context).is_pending(), "not its turn");
        let Poll::Ready(turn) = second.as_mut().poll(&mut context) else { panic!("it is the second's turn") };
        drop(third); // somebody who stops waiting holds nobody up
        drop(turn);
        let Poll::Ready(turn) = fourth.as_mut().poll(&mut context) else { panic!("it is the fourth's turn") };
        drop(turn);
        assert!(turns.lines().is_empty());
    }
}
