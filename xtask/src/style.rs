//! House rules that no tool checks: sizes of files, words that do not belong, what pure crates must not touch.

use std::path::{Path, PathBuf};

use crate::run;

/// A file beyond this many lines is two things (tests and tables of data aside).
const LINES_MAX: usize = 700;

pub(crate) fn check() -> Result<(), String> {
    println!("\n== house rules ==");
    let mut problems = Vec::new();
    let mut files = Vec::new();
    for dir in ["crates", "apps", "tests", "fuzz", "xtask"] {
        sources(&run::root().join(dir), &mut files);
    }
    for file in &files {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let name = file.strip_prefix(run::root()).unwrap_or(file).display().to_string();
        let lines = text.lines().count();
        if lines > LINES_MAX && !name.contains("test") {
            problems.push(format!("{name}: {lines} lines; split it"));
        }
        let pure = ["crates/xmpp/src", "crates/crypto/src", "crates/xep/src"].iter().any(|p| name.starts_with(p));
        let bounds =
            ["std::net::Tcp", "std::net::Udp", "std::fs", "std::thread", "SystemTime", "Instant::now", "async fn"];
        for word in bounds.iter().filter(|w| pure && text.contains(**w)) {
            problems.push(format!("{name}: {word} is out of bounds in this crate"));
        }
        for word in ["todo!(", "unimplemented!(", "#[ignore"].iter().filter(|w| text.contains(**w)) {
            if !name.starts_with("xtask/src/style.rs") {
                problems.push(format!("{name}: {word}"));
            }
        }
    }
    if problems.is_empty() {
        println!("{} source files, all within the rules", files.len());
        return Ok(());
    }
    Err(format!("house rules:\n  {}", problems.join("\n  ")))
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}
