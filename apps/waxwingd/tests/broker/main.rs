//! Real brokers on loopback, in this process and as the program, and people who talk to them over TLS.

mod administration;
mod away;
mod by_link;
mod dependencies;
mod diagnoses;
mod dns;
mod guide;
mod limits;
mod person;
mod privacy;
mod program;
mod scratch;
mod sleep;
mod talk;
mod web;
