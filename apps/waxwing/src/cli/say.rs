//! `waxwing say`: words to somebody.

use std::io::Read as _;

use super::{Context, Exit, delivery};
use crate::api::{Kind, Refusal, Request};
use crate::words::refusals;

/// Longest message of words; the engine says so too, but standard input may never end.
const TEXT_BYTES_MAX: u64 = 64 * 1024;

pub(super) async fn run(context: &mut Context<'_>, who: String, text: String) -> Result<Exit, Refusal> {
    let text = if text == "-" { read_input().await? } else { text };
    delivery::send(context, Request::Say { who, text }).await
}

async fn read_input() -> Result<String, Refusal> {
    let read = tokio::task::spawn_blocking(|| {
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes).map(|_| bytes)
    });
    let read = read.await.unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()));
    let bytes = read.map_err(|error| Refusal::new(Kind::File, refusals::input_unusable(error)))?;
    if bytes.len() as u64 > TEXT_BYTES_MAX {
        return Err(Refusal::new(Kind::BadInput, refusals::message_too_long()));
    }
    let text = String::from_utf8(bytes).map_err(|_| Refusal::new(Kind::BadInput, refusals::input_not_text()))?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}
