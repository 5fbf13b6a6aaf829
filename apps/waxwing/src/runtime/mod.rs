//! The shell around [`client::Engine`]: what the engine wants done in the world is done here, with `tokio`.
//!
//! | module | owns |
//! |---|---|
//! | [`home`] | where a profile lies on the disk, private to its owner |
//! | [`settings`] | what a person can choose (`waxwing config`) |
//! | [`lock`] | one engine per profile |
//! | [`profile`] | opening key file, database and engine; the generation |
//! | `shell` | the loop: requests, connection, timers, transfers |
//! | `line` | one connection: TCP, TLS, bytes |
//! | `web` | HTTPS requests |
//! | [`page`] | the link on the page of an invitation |
//! | [`downloads`] | where received files go |
//! | [`handle`] | how the rest of the program speaks with the loop |

pub mod downloads;
pub mod handle;
pub mod home;
mod line;
pub mod lock;
mod network;
pub mod page;
pub mod profile;
pub mod settings;
mod shell;
mod web;

pub use handle::{Handle, Running};
pub use home::Home;
pub use profile::OpenError;
pub use settings::Settings;

/// Opens the profile in `home` and runs its engine until [`Running::stop`].
///
/// The caller holds the [`lock`].
///
/// # Errors
///
/// [`OpenError`] says what is wrong on this machine.
pub async fn start(home: &Home) -> Result<Running, OpenError> {
    let profile = profile::open(home).await?;
    Ok(shell::spawn(profile, home.clone()))
}
