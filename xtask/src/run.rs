//! Running other programs, with a headline and a clear end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Returns the root of the workspace: the one that `cargo xtask` was called in, even where the program was built in
/// another copy of it.
pub(crate) fn root() -> PathBuf {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&xtask).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// Runs a program in the root of the workspace, showing its output.
pub(crate) fn step(title: &str, program: &str, args: &[&str]) -> Result<(), String> {
    step_with(title, program, args, &[])
}

/// As [`step`], with more in the environment.
pub(crate) fn step_with(
    title: &str,
    program: &str,
    args: &[&str],
    environment: &[(&str, &Path)],
) -> Result<(), String> {
    println!("\n== {title}: {program} {} ==", args.join(" "));
    let start = Instant::now();
    let status = Command::new(program)
        .args(args)
        .current_dir(root())
        .env("RUSTDOCFLAGS", "-D warnings")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .status()
        .map_err(|e| format!("{program} could not be started: {e}"))?;
    println!("== {title}: {:.0} s ==", start.elapsed().as_secs_f32());
    if status.success() { Ok(()) } else { Err(format!("{title} failed: {program} {}", args.join(" "))) }
}

/// Runs a program quietly and returns what it printed.
pub(crate) fn output(program: &str, args: &[&str]) -> Result<String, String> {
    let out = Command::new(program)
        .args(args)
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{program} could not be started: {e}"))?;
    if !out.status.success() {
        return Err(format!("{program} {} failed:\n{}", args.join(" "), String::from_utf8_lossy(&out.stderr)));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Tells whether a program is on the search path.
pub(crate) fn has(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
        || ["/usr/sbin", "/sbin"].iter().any(|dir| Path::new(dir).join(program).is_file())
}
