//! Passwords: from a file or a prompt, never from the command line, where other users of the machine could see them.

use std::path::Path;

use super::Console;
use crate::api::{Kind, Refusal};
use crate::words::refusals;

pub(super) async fn of_file_or_prompt(console: &Console, file: Option<&Path>, prompt: &str) -> Result<String, Refusal> {
    if let Some(file) = file {
        return of_file(file);
    }
    if !console.can_ask() {
        return Err(bad(refusals::password_needs_file()));
    }
    let prompt = prompt.to_owned();
    let asked = tokio::task::spawn_blocking(move || rpassword::prompt_password(prompt)).await;
    let typed = asked.ok().and_then(Result::ok).ok_or_else(|| bad(refusals::no_password()))?;
    if typed.is_empty() { Err(bad(refusals::no_password())) } else { Ok(typed) }
}

fn of_file(file: &Path) -> Result<String, Refusal> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Refusal::new(Kind::BadInput, refusals::password_file_unusable(file.display(), error)))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(bad(refusals::password_file_empty(file.display()))),
    }
}

fn bad(text: String) -> Refusal {
    Refusal::new(Kind::BadInput, text)
}
