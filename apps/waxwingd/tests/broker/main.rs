//! Real brokers on loopback, in this process, and people who talk to them over TLS.

mod person;
mod talk;
