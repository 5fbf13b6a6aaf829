//! `waxwing demo`: two brokers and two people in one process, and the proof that nobody could read along.
//!
//! | module | owns |
//! |---|---|
//! | `stage` | brokers, people, directories, and a recorder on every way between them |
//! | `story` | what the people do, and what of it is secret |
//! | `proof` | the search in everything that left a program or lies on a disk, and its control |
//! | `scanner` | finding bytes in other writings |
//! | `recorder` | a TCP forwarder that remembers; also as SOCKS5 proxy |
//! | `picture` | a PNG made from numbers |
//! | `transcript` | what is printed |
//!
//! Brokers and people run with the code and the databases that they always run with. Two things are added: people reach
//! the network through a recording proxy, and brokers show what they see inside TLS (`Settings::danger_tap`). The brokers
//! find each other by peer links, as `waxwingd peer add` makes them.

mod picture;
mod proof;
mod recorder;
mod scanner;
mod stage;
mod story;
mod transcript;
mod trouble;

use std::time::Duration;

use crate::cli::{Console, Exit};
use proof::Proof;
use stage::Stage;
use transcript::Transcript;
use trouble::Trouble;

/// Longer than any machine should need.
const TIME_MAX: Duration = Duration::from_secs(120);

/// Runs the demonstration. Whatever happens, nothing is left behind.
pub async fn run(console: &mut Console) -> Exit {
    let mut transcript = Transcript::new(console);
    let played = tokio::select! {
        played = tokio::time::timeout(TIME_MAX, play(&mut transcript)) => {
            played.unwrap_or_else(|_| Err(Trouble::new("it took too long")))
        }
        () = interrupted() => Err(Trouble::new("interrupted")),
    };
    match played {
        Ok(proof) => {
            transcript.verdict(&proof);
            if proof.holds { Exit::Ok } else { Exit::Failed }
        }
        Err(trouble) => {
            transcript.trouble(&trouble.to_string());
            Exit::Failed
        }
    }
}

async fn play(transcript: &mut Transcript<'_>) -> Result<Proof, Trouble> {
    let mut stage = Stage::build().await?;
    transcript.step("Two brokers are running, north.example and south.example. They know each other by a link.");
    let secrets = story::play(&mut stage, transcript).await?;
    proof::prove(stage, &secrets).await
}

/// Ctrl-C, or the system asks to end.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
