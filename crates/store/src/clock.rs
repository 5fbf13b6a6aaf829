//! [`ClockGuard`]: whether the wall clock may be believed when something is to be destroyed or renewed on its word.
//!
//! A machine without a battery starts in 1970, and a typing mistake is a year. So the store remembers when it was last. A wall
//! clock that is more than a day from there is doubted: nothing expires, no key is erased or renewed by it, and what is
//! written is dated by the time that was believed last. It is believed again when it is back within a day, when it has run
//! steadily for 24 hours (added up over restarts, and measured by a clock that cannot be set), or when somebody says so.
//!
//! The programs hand the readings in; this module knows no clock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Store, StoreError, Table};

/// One row: format u8, believed i64, doubt u8, steady u64, wall i64, boot bytes[16], uptime u64. Times in milliseconds.
const CLOCK: Table = Table::new("store.clock");
const FORMAT: u8 = 1;

const MINUTE: i64 = 60 * 1000;
const DAY: i64 = 24 * 60 * MINUTE;
/// A clock that is set by less than this runs steadily.
const STEADY: i64 = 10 * MINUTE;
/// From one boot to the next a doubted clock may move on by so much without beginning anew.
const BETWEEN_BOOTS: i64 = 30 * DAY;
/// How often what was seen is written down, in milliseconds of the clock that cannot be set.
const WRITE_EVERY: u64 = 10 * 60 * 1000;

/// What the clocks of a machine say at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// The wall clock, in milliseconds since the Unix epoch.
    pub wall_ms: i64,
    /// Names the run of the machine, or of the program, that `up_ms` counts from.
    pub boot: [u8; 16],
    /// Milliseconds since then, by a clock that nobody sets.
    pub up_ms: u64,
}

/// What is thought of the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockVerdict {
    /// It may be believed.
    Believed,
    /// It is more than a day from the time that was believed last.
    Doubted {
        /// By how much it is ahead, in milliseconds; negative when it is behind.
        ahead_ms: i64,
        /// For how long it has run steadily, in milliseconds; at 24 hours it is believed.
        steady_ms: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    /// The time that is believed as of `last`.
    believed_ms: i64,
    /// For how long the clock has run steadily since it is doubted.
    doubted_ms: Option<u64>,
    last: ClockReading,
}

#[derive(Default)]
struct State {
    /// `None` before the first look.
    seen: Option<Seen>,
    written_up_ms: u64,
}

/// Watches the wall clock of one store. Ask it before anything is destroyed or renewed by the date.
pub struct ClockGuard {
    store: Store,
    state: Mutex<State>,
}

impl ClockGuard {
    /// Watches for `store`; nothing is read before the first look.
    pub fn new(store: Store) -> Self {
        Self { store, state: Mutex::default() }
    }

    /// Looks at the clocks, and says what to think of the wall clock.
    ///
    /// # Errors
    ///
    /// As [`Store::get`], at the first look. What was seen is written down now and then; a disk that takes nothing does not
    /// matter here.
    pub async fn look(&self, now: ClockReading) -> Result<ClockVerdict, StoreError> {
        let before = self.lock().seen;
        let before = match before {
            Some(seen) => Some(seen),
            None => self.load().await?,
        };
        // A store that has no such row yet is as old as its newest day, if it has one: that much is known.
        let seen = match before {
            Some(before) => before.then(now),
            None => match self.store.newest_day() {
                Some(day) => Seen::of_day(day, now).then(now),
                None => Seen { believed_ms: now.wall_ms, doubted_ms: None, last: now },
            },
        };
        let due = {
            let mut state = self.lock();
            let changed = state.seen.is_none_or(|old| old.doubted_ms.is_some() != seen.doubted_ms.is_some());
            let due = changed || now.up_ms.saturating_sub(state.written_up_ms) >= WRITE_EVERY;
            state.seen = Some(seen);
            if due {
                state.written_up_ms = now.up_ms;
            }
            due
        };
        if due {
            let _ = self.write(seen).await;
        }
        Ok(seen.verdict())
    }

    /// The time that things are dated by, in milliseconds since the Unix epoch: the wall clock's while it is believed.
    ///
    /// # Errors
    ///
    /// As [`ClockGuard::look`].
    pub async fn time_ms(&self, now: ClockReading) -> Result<i64, StoreError> {
        self.look(now).await?;
        Ok(self.lock().seen.map_or(now.wall_ms, |seen| seen.believed_ms))
    }

    /// As [`ClockGuard::time_ms`] by what the last look found, without looking: for places that cannot wait.
    pub fn time_ms_since_look(&self, now: ClockReading) -> i64 {
        self.lock().seen.map_or(now.wall_ms, |seen| seen.then(now).believed_ms)
    }

    /// Believes the wall clock as it is: whoever runs the machine says so.
    ///
    /// # Errors
    ///
    /// As [`crate::Transaction::commit`].
    pub async fn accept(&self, now: ClockReading) -> Result<(), StoreError> {
        let seen = Seen { believed_ms: now.wall_ms, doubted_ms: None, last: now };
        self.write(seen).await?;
        self.lock().seen = Some(seen);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is replaced by single assignments: a panic leaves none in between.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn load(&self) -> Result<Option<Seen>, StoreError> {
        let row = self.store.get(&CLOCK.row(b"", b"")).await?;
        row.map(|row| Seen::parse(&row).ok_or(StoreError::Altered)).transpose()
    }

    async fn write(&self, seen: Seen) -> Result<(), StoreError> {
        let mut transaction = self.store.transaction();
        transaction.put(&CLOCK.row(b"", b""), seen.encode());
        transaction.commit().await
    }
}

impl Seen {
    /// What a store knows that has only its newest day.
    fn of_day(day: crate::Day, now: ClockReading) -> Self {
        let believed_ms = i64::from(day.0).saturating_mul(DAY);
        // Another boot, because nothing is known of that one.
        Self {
            believed_ms,
            doubted_ms: None,
            last: ClockReading { wall_ms: believed_ms, boot: [0; 16], up_ms: now.up_ms },
        }
    }

    /// What is known after another look at the clocks.
    fn then(self, now: ClockReading) -> Self {
        let same_boot = self.last.boot == now.boot && now.up_ms >= self.last.up_ms;
        let elapsed = if same_boot { now.up_ms - self.last.up_ms } else { 0 };
        let elapsed_ms = i64::try_from(elapsed).unwrap_or(i64::MAX);
        let believed_ms = self.believed_ms.saturating_add(elapsed_ms);
        if is_within(now.wall_ms, believed_ms, DAY) {
            return Self { believed_ms: now.wall_ms, doubted_ms: None, last: now };
        }
        let steady = match self.doubted_ms {
            None => 0,
            Some(steady) if same_boot => {
                let expected = self.last.wall_ms.saturating_add(elapsed_ms);
                if is_within(now.wall_ms, expected, STEADY) { steady.saturating_add(elapsed) } else { 0 }
            }
            // What ran between two boots nobody has seen; but a clock that begins anew with each boot never moves on.
            Some(steady) => match now.wall_ms.saturating_sub(self.last.wall_ms) {
                moved if (0..=BETWEEN_BOOTS).contains(&moved) => {
                    steady.saturating_add(now.up_ms.min(u64::try_from(moved).unwrap_or(0)))
                }
                _ => 0,
            },
        };
        if i64::try_from(steady).is_ok_and(|steady| steady < DAY) {
            Self { believed_ms, doubted_ms: Some(steady), last: now }
        } else {
            Self { believed_ms: now.wall_ms, doubted_ms: None, last: now }
        }
    }

    fn verdict(&self) -> ClockVerdict {
        match self.doubted_ms {
            None => ClockVerdict::Believed,
            Some(steady_ms) => {
                ClockVerdict::Doubted { ahead_ms: self.last.wall_ms.saturating_sub(self.believed_ms), steady_ms }
            }
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(&self.believed_ms.to_le_bytes());
        bytes.push(u8::from(self.doubted_ms.is_some()));
        bytes.extend_from_slice(&self.doubted_ms.unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(&self.last.wall_ms.to_le_bytes());
        bytes.extend_from_slice(&self.last.boot);
        bytes.extend_from_slice(&self.last.up_ms.to_le_bytes());
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (&[FORMAT], rest) = bytes.split_first_chunk::<1>()? else { return None };
        let (believed, rest) = rest.split_first_chunk::<8>()?;
        let (doubted, rest) = rest.split_first()?;
        let (steady, rest) = rest.split_first_chunk::<8>()?;
        let (wall, rest) = rest.split_first_chunk::<8>()?;
        let (boot, up) = rest.split_first_chunk::<16>()?;
        Some(Self {
            believed_ms: i64::from_le_bytes(*believed),
            doubted_ms: (*doubted != 0).then_some(u64::from_le_bytes(*steady)),
            last: ClockReading {
                wall_ms: i64::from_le_bytes(*wall),
                boot: *boot,
                up_ms: u64::from_le_bytes(up.try_into().ok()?),
            },
        })
    }
}

fn is_within(a: i64, b: i64, limit: i64) -> bool {
    a.saturating_sub(b).saturating_abs() <= limit
}

#[cfg(test)]
mod tests;
