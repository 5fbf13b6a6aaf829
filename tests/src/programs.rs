//! Our own programs, as people run them.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Returns the path of `waxwing` or `waxwingd`, built as the tests are; `WAXWING_PROGRAMS` names a directory with others.
///
/// # Panics
///
/// When they cannot be built.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let dir = BUILT.get_or_init(|| {
        if let Some(dir) = std::env::var_os("WAXWING_PROGRAMS") {
            return dir.into();
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["build", "--quiet", "--package", "waxwing", "--package", "waxwingd", "--bins"])
            .status()
            .expect("cargo can be started");
        assert!(built.success(), "our programs cannot be built");
        let tests = std::env::current_exe().expect("a test knows its own path");
        // target/debug/deps/interop-... lies beside target/debug/waxwing
        tests.parent().and_then(|deps| deps.parent()).expect("tests lie in a target directory").to_owned()
    });
    dir.join(name)
}
