//! Engines against a small server in memory.

mod account;
mod attacks;
mod conversation;
mod crash;
mod downgrade;
mod origins;
mod people;
mod repair;
