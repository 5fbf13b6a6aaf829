//! `waxwing send`: a file to somebody.

use std::path::Path;

use super::{Context, Exit, delivery};
use crate::api::{Kind, Refusal, Request};

pub(super) async fn run(context: &mut Context<'_>, who: String, file: &Path) -> Result<Exit, Refusal> {
    // The engine may run in another process, with another current directory.
    let path =
        std::path::absolute(file).map_err(|error| Refusal::new(Kind::File, format!("{}: {error}", file.display())))?;
    let path = path.to_str().ok_or_else(|| Refusal::new(Kind::File, "The name of this file is no text."))?.to_owned();
    delivery::send(context, Request::Send { who, path }).await
}
