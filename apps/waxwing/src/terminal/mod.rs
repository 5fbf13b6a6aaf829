//! The screen: what others wrote shown so that it cannot deceive, codes to scan, questions, progress.

pub mod local;
pub mod plain;
pub mod progress;
pub mod qr;
pub mod wrap;
