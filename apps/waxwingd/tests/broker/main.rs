//! Real brokers on loopback, in this process and as the program, and people who talk to them over TLS.

mod administration;
mod person;
mod program;
mod scratch;
mod talk;
mod web;
