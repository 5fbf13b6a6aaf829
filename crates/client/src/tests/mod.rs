//! Engines against a small server in memory.

mod conversation;
