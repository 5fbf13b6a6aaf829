//! Fuzz targets as plain functions, with a seeded driver that needs nothing but stable Rust.

pub mod differential;
pub mod rng;
