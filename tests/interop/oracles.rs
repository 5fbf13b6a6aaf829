//! Random conversations of our ratchets with independent implementations, in both roles and both versions: the Python packages, and
//! libomemo-c, the code under several deployed clients.

use std::path::{Path, PathBuf};
use std::process::Command;

use waxwing_tests::peers::python;

/// How many seeds; each is one conversation in either version.
const SEEDS: &str = "20";

fn our_device() -> PathBuf {
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--package", "waxwing-crypto", "--features", "e2e", "--example", "omemo_peer"])
        .status()
        .expect("cargo can be started");
    assert!(built.success(), "the example cannot be built");
    let tests = std::env::current_exe().expect("a test knows its own path");
    // target/debug/deps/interop-... lies beside target/debug/examples/
    tests.ancestors().nth(2).expect("tests lie in a target directory").join("examples/omemo_peer")
}

fn converse(more: &[&str]) {
    let out = Command::new(python::interpreter())
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors"))
        .arg("live.py")
        .arg(our_device())
        .args(["--count", SEEDS])
        .args(more)
        .output()
        .expect("the script can be started");
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{said}\n{}", String::from_utf8_lossy(&out.stderr));
    assert!(said.contains("messages delivered in 40 conversations"), "{said}");
}

#[test]
fn the_python_packages_converse_with_us() {
    converse(&[]);
}

#[test]
fn libomemo_c_converses_with_us() {
    converse(&["--libomemo", "libomemo-c.so.0"]);
}
