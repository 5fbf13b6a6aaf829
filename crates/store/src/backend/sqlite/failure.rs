//! What SQLite's result codes mean to us.

use std::io;

use rusqlite::ErrorCode;

use crate::backend::BackendError;

impl From<rusqlite::Error> for BackendError {
    /// Drops the text of the error: it can quote a statement, and tells a person nothing.
    fn from(error: rusqlite::Error) -> Self {
        let rusqlite::Error::SqliteFailure(failure, _) = error else {
            // A column of the wrong type, a missing row: this is not the schema that we wrote.
            return Self::Damaged;
        };
        match failure.code {
            ErrorCode::DiskFull => Self::DiskFull,
            ErrorCode::ReadOnly => Self::ReadOnly,
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
                Self::NoAccess
            }
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => Self::InUse,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::SchemaChanged => Self::Damaged,
            ErrorCode::OutOfMemory => Self::Io(io::ErrorKind::OutOfMemory),
            _ => Self::Io(io::ErrorKind::Other),
        }
    }
}
