//! Help, next steps, exit codes.
