//! HTTPS, as far as files and the broker's pages need it: a small client with the rules for strangers' links, and
//! the serving side of one connection.
//!
//! Deliberately absent: plain HTTP, cookies, caches, compression, redirects to other hosts, connection reuse.

mod body;
mod client;
mod exchange;
mod serve;
#[cfg(test)]
mod tests;
mod url;

pub use body::Upload;
pub use hyper_util::service::TowerToHyperService;

pub use client::{Access, Fetch, HttpClient, HttpError, Place, Received};
pub use serve::serve_http;
pub use url::HttpsUrl;
