//! The program against real brokers on loopback: commands in this process, and processes where it matters.

mod harness;
mod notices;
mod own_devices;

mod by_link;
mod conversation;
mod demo;
mod diagnoses;
mod endings;
mod links;
mod processes;
mod terminal;
mod way;
