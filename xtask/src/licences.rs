//! Licences and bans of all dependencies, from `cargo metadata`; and `cargo deny`, with its advisories, where it is
//! installed.
//!
//! The rules stand once, in `deny.toml`; this reads the two lists that it needs from there.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::run;

pub(crate) fn check() -> Result<(), String> {
    println!("\n== licences and bans ==");
    let rules = std::fs::read_to_string(run::root().join("deny.toml")).map_err(|e| format!("deny.toml: {e}"))?;
    let allowed = list(&rules, "allow");
    let banned = list(&rules, "deny");
    let metadata = run::output("cargo", &["metadata", "--format-version", "1", "--locked"])?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|e| format!("cargo metadata: {e}"))?;
    let used = used_packages()?;
    let mut problems = Vec::new();
    let mut count = 0;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        if !used.contains(name) {
            continue;
        }
        count += 1;
        let licence = package["license"].as_str().unwrap_or("none");
        if !fits(licence, &allowed) {
            problems.push(format!("{name}: licence {licence}"));
        }
        if banned.iter().any(|b| matches(b, name)) {
            problems.push(format!("{name}: banned by deny.toml"));
        }
    }
    if !problems.is_empty() {
        return Err(format!("dependencies break the rules of deny.toml:\n  {}", problems.join("\n  ")));
    }
    println!("{count} packages, all licences allowed, none banned");
    if run::has("cargo-deny") {
        return run::step("cargo deny", "cargo", &["deny", "check", "bans", "licenses", "sources"]);
    }
    println!("NOT CHECKED: advisories (cargo-deny is not installed, or its database cannot be reached)");
    Ok(())
}

/// The packages that are built, not merely named in the lock file.
fn used_packages() -> Result<BTreeSet<String>, String> {
    let tree = run::output(
        "cargo",
        &["tree", "--workspace", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}"],
    )?;
    Ok(tree.lines().filter_map(|l| l.split_whitespace().next()).map(str::to_owned).collect())
}

/// Reads the quoted words of `key = [ ... ]`.
fn list(rules: &str, key: &str) -> Vec<String> {
    let start = rules.lines().position(|l| l.trim_start().starts_with(&format!("{key} = [")));
    let lines = rules.lines().skip(start.unwrap_or(usize::MAX)).take_while(|l| l.trim() != "]");
    lines.flat_map(|l| l.split('"').skip(1).step_by(2).take(1)).map(str::to_owned).collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}

/// Judges an SPDX expression without parentheses inside parentheses: any alternative of `OR`, all of `AND`.
fn fits(expression: &str, allowed: &[String]) -> bool {
    let is_allowed = |licence: &str| allowed.iter().any(|a| a == licence.trim());
    let flat = expression.replace(['(', ')'], "").replace('/', " OR ");
    if expression.contains('(') {
        // `(A OR B) AND C`: every part joined by AND must have an allowed alternative.
        return flat.split(" AND ").all(|part| part.split(" OR ").any(is_allowed));
    }
    flat.split(" OR ").any(|alternative| alternative.split(" AND ").all(is_allowed))
}
