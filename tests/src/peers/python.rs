//! Scripts on the Python packages of `target/peers/python`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the interpreter that has the packages.
///
/// # Panics
///
/// When they are not installed.
#[must_use]
pub fn interpreter() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace");
    let python = root.join("target/peers/python/bin/python");
    assert!(python.exists(), "the Python packages are missing: `cargo xtask setup` installs them");
    python
}

/// Makes the command that runs a script of `tests/interop/`.
#[must_use]
pub fn script(name: &str) -> Command {
    let mut command = Command::new(interpreter());
    command.arg("-u").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(name));
    command
}
