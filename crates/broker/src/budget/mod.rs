//! [`Budgets`]: what the whole broker may hold, and who holds it.
//!
//! Bounds per connection and per stanza say nothing about the whole: a thousand connections within their bounds can be
//! too much. So everything that others can make the broker hold is charged to a [`Budget`] of the whole, in the name of
//! who caused it: its [`Share`]. There are three budgets: bytes in memory, dials under way, descriptors.
//!
//! A charge passes when all of this holds:
//!
//! 1. There is room: the budget is not exhausted, and what is reserved for clients is left to clients.
//! 2. The source is within its part of the whole, which depends on its [`Scope`].
//! 3. The source then holds no more than what was left before. So whoever holds the most is refused first, and `n` sources
//!    that take side by side what they can get leave one part in `n + 1` free. (This is the dynamic threshold of Choudhury
//!    and Hahne for shared buffers.) Sources that come one after the other and hold on leave less: each may take half of
//!    what it finds, so a few dozen of them leave nothing. Nothing is guaranteed to whoever comes then, until one of
//!    them gives back; rule 2 and what it costs to be a source are what stands against that.
//!
//! A [`Charge`] gives back what it holds when it is dropped, and nothing else does. Charging takes no lock: a share is
//! looked up once, by a session or for a domain, and then counts by itself.
//!
//! Absent: names. Numbers come out as [`Level`]s, for `doctor` and for metrics.

mod held;
mod pool;
#[cfg(test)]
mod tests;

use std::fmt;

pub(crate) use held::{Held, Source, Unread};
pub use pool::{Budget, Charge, Refusal, Share};

/// What a source is. Its part of the whole follows from it, unless a share is made with another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One connection of somebody unknown.
    Connection,
    /// A network: a /24 or /48, or a listener that hides where people come from.
    Network,
    /// An account of ours. What is reserved for clients is for accounts.
    Account,
    /// Another server's registered domain.
    Domain,
}

impl Scope {
    /// A source of this kind may hold one part in so many of the whole.
    #[must_use]
    pub const fn divisor(self) -> usize {
        match self {
            Self::Connection => 32,
            Self::Network | Self::Account => 8,
            Self::Domain => 4,
        }
    }
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetSettings {
    /// Bytes in memory for others: mailboxes, queues for other servers, input that is not read to its end.
    pub bytes: usize,
    /// Connections that are being made, questions to DNS among them.
    pub dials: usize,
    /// Descriptors of connections. The program sets what the operating system grants it.
    pub descriptors: usize,
    /// One part in so many of each is for clients alone.
    pub reserve_divisor: usize,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self { bytes: 256 * 1024 * 1024, dials: 64, descriptors: 1024, reserve_divisor: 2 }
    }
}

/// The budgets of one broker.
#[derive(Debug, Clone)]
pub struct Budgets {
    /// Bytes in memory for others, by capacity and not by length.
    pub bytes: Budget,
    /// Dials under way.
    pub dials: Budget,
    /// Descriptors of connections.
    pub descriptors: Budget,
}

impl Budgets {
    /// Makes empty budgets.
    #[must_use]
    pub fn new(settings: &BudgetSettings) -> Self {
        let budget = |capacity| Budget::new(capacity, settings.reserve_divisor);
        Self { bytes: budget(settings.bytes), dials: budget(settings.dials), descriptors: budget(settings.descriptors) }
    }

    /// Returns the numbers of all budgets by name.
    #[must_use]
    pub fn levels(&self) -> [(&'static str, Level); 3] {
        [("bytes", self.bytes.level()), ("dials", self.dials.level()), ("descriptors", self.descriptors.level())]
    }
}

/// The numbers of one budget, without names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Held now.
    pub held: usize,
    /// Held now in the name of accounts.
    pub held_by_clients: usize,
    /// The most that was held at once since the start.
    pub peak: usize,
    /// What may be held.
    pub capacity: usize,
    /// What of it is for accounts alone.
    pub reserved: usize,
    /// Sources by name that hold something or may soon.
    pub sources: usize,
    /// What the source that holds the most of them holds.
    pub largest: usize,
    /// Charges that were refused since the start.
    pub refused: u64,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { held, capacity, peak, refused, .. } = self;
        write!(f, "{held} of {capacity} (at most {peak} since the start, {refused} refused)")
    }
}
