//! `waxwing send`: a file to somebody.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::{Context, Exit, delivery};
use crate::api::{Kind, Refusal, Request};
use crate::words::{refusals, results};

pub(super) async fn run(context: &mut Context<'_>, who: String, file: &Path) -> Result<Exit, Refusal> {
    // The engine may run in another process, with another current directory.
    let path = std::path::absolute(file)
        .map_err(|error| Refusal::new(Kind::File, refusals::file_unusable(file.display(), error)))?;
    // Names of files are bytes. What is no text travels in digits to the engine, and is sent under a name that is.
    let path_hex = path.to_str().is_none().then(|| hex::encode(path.as_os_str().as_bytes()));
    if path.file_name().is_some_and(|name| name.to_str().is_none()) {
        context.console.note(&results::replaced());
    }
    delivery::send(context, Request::Send { who, path: path.to_string_lossy().into_owned(), path_hex }).await
}
