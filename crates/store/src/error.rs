//! [`StoreError`]: why the store did not do what it was asked.

use std::fmt;

use crypto::seal::SealError;

use crate::backend::BackendError;

/// Why the store did not do what it was asked. Names no table, owner or value, so it may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// A row that the decision was based on has changed: read again, decide again.
    Conflict,
    /// The caller gave a value that is longer than [`crypto::seal::MAX_VALUE_BYTES`].
    TooLong,
    /// A row does not open: somebody altered the files of the store.
    Altered,
    /// The store was made with another master key.
    WrongKey,
    /// The rows are in a format of a newer version of the program.
    TooNew,
    /// A counter has reached its end; not in the lifetime of a machine.
    CounterExhausted,
    /// The machine: see [`BackendError`].
    Backend(BackendError),
}

/// Who has to act after a [`StoreError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The same decision again, from a fresh read: nobody needs to be told.
    DecideAgain,
    /// The caller must not ask for this.
    Caller,
    /// The machine, for now: the same commit can succeed later (a full disk).
    Later,
    /// The person who runs the machine.
    Operator,
}

impl StoreError {
    /// One of each kind, for whoever keeps watch over what is said to people.
    #[must_use]
    pub fn every() -> Vec<Self> {
        crate::every!(Self {
            Conflict => [Self::Conflict],
            TooLong => [Self::TooLong],
            Altered => [Self::Altered],
            WrongKey => [Self::WrongKey],
            TooNew => [Self::TooNew],
            CounterExhausted => [Self::CounterExhausted],
            Backend => [Self::Backend(BackendError::Closed)],
        })
    }

    /// One sentence: what happened.
    pub fn what_happened(&self) -> &'static str {
        match self {
            Self::Conflict => BackendError::Conflict.what_happened(),
            Self::TooLong => "a value is too long to be stored",
            Self::Altered => "a row of the database was altered and does not open",
            Self::WrongKey => "the key file does not belong to this data directory",
            Self::TooNew => BackendError::TooNew.what_happened(),
            Self::CounterExhausted => "a counter has reached its end",
            Self::Backend(error) => error.what_happened(),
        }
    }

    /// One sentence: what a person can do about it.
    pub fn what_to_do(&self) -> &'static str {
        match self {
            Self::Conflict => BackendError::Conflict.what_to_do(),
            Self::TooLong => "Send less at a time.",
            Self::Altered => "Check the disk, then put back the last backup of the data directory.",
            Self::WrongKey => "Use the key file that was made with this data directory.",
            Self::TooNew => BackendError::TooNew.what_to_do(),
            Self::CounterExhausted => "Report this: it cannot happen.",
            Self::Backend(error) => error.what_to_do(),
        }
    }

    /// Who has to act.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Conflict | Self::Backend(BackendError::Conflict) => Remedy::DecideAgain,
            Self::TooLong => Remedy::Caller,
            Self::Backend(BackendError::DiskFull | BackendError::ReadOnly) => Remedy::Later,
            Self::Altered | Self::WrongKey | Self::TooNew | Self::CounterExhausted | Self::Backend(_) => {
                Remedy::Operator
            }
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what_happened())
    }
}

impl std::error::Error for StoreError {}

impl From<BackendError> for StoreError {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Conflict => Self::Conflict,
            BackendError::TooNew => Self::TooNew,
            other => Self::Backend(other),
        }
    }
}

impl From<SealError> for StoreError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::TooLong => Self::TooLong,
            _ => Self::Altered,
        }
    }
}
