//! Defences taken out one by one: the tests that are named for them must fail.
//!
//! `xtask/mutations.toml` lists the mutations. Each names a function and an expression in it, so that moving files keeps them. They are
//! replayed in a copy of the tree below `target/mutants`, never in the tree itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::{Options, run};

/// A test that a mutation makes wait for ever has noticed it too.
const PATIENCE: Duration = Duration::from_secs(600);

/// What `cargo xtask mutants --all` looks at: where a mistake costs most.
const GUARDED: &[(&str, &[&str])] = &[
    ("waxwing-crypto", &["crates/crypto/src/**"]),
    ("waxwing-client", &["crates/client/src/**"]),
    ("waxwing-xep", &["crates/xep/src/policy/**"]),
    ("waxwing-broker", &["crates/broker/src/route/**", "crates/broker/src/settle/**", "crates/broker/src/settle.rs"]),
];

#[derive(Deserialize)]
struct List {
    mutation: Vec<Mutation>,
}

/// One defence taken out.
#[derive(Deserialize)]
struct Mutation {
    /// What it is about: a row of the attack list, or a promise.
    row: String,
    /// The package that the function is in.
    package: String,
    /// The function, by name; with a type before it (`Engine::release`) where the name alone is not unique in the package.
    function: String,
    /// An expression that stands once in the function, white space aside.
    expression: String,
    /// What stands there instead.
    with: String,
    /// The tests that must fail: a package and a filter each, `package filter`, or `package:target filter`.
    tests: Vec<String>,
}

/// Replays the list, or runs cargo-mutants with `--all`.
pub(crate) fn replay(options: &Options) -> Result<(), String> {
    if options.has("--all") {
        return all(options);
    }
    let list = load()?;
    let tree = copy()?;
    let only = options.word();
    let mut survivors = Vec::new();
    let mut count = 0;
    for mutation in list.iter().filter(|m| only.is_none_or(|word| m.row == word || m.package.ends_with(word))) {
        let path = place(&tree, mutation)?.path;
        let whole = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        std::fs::write(&path, mutated(&tree, mutation)?).map_err(|e| e.to_string())?;
        for test in &mutation.tests {
            count += 1;
            let start = Instant::now();
            let verdict = noticed(&tree, test)?;
            println!(
                "{verdict:9} {:3.0} s  {:4} {} by {test}",
                start.elapsed().as_secs_f32(),
                mutation.row,
                mutation.function
            );
            if verdict != "noticed" {
                survivors.push(format!(
                    "{} {}: {} -> {} ({test}: {verdict})",
                    mutation.row, mutation.function, mutation.expression, mutation.with
                ));
            }
        }
        std::fs::write(&path, whole).map_err(|e| e.to_string())?;
    }
    if survivors.is_empty() {
        println!("{count} tests fail without their defences, as they should");
        return Ok(());
    }
    Err(format!("defences taken out and not missed:\n  {}", survivors.join("\n  ")))
}

/// Checks that every mutation of the list still fits the code.
pub(crate) fn check() -> Result<(), String> {
    let list = load()?;
    let problems: Vec<String> = list.iter().filter_map(|m| mutated(&run::root(), m).err()).collect();
    if problems.is_empty() {
        println!("{} mutations fit the code", list.len());
        return Ok(());
    }
    Err(format!("xtask/mutations.toml does not fit the code:\n  {}", problems.join("\n  ")))
}

fn load() -> Result<Vec<Mutation>, String> {
    let path = run::root().join("xtask/mutations.toml");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let list: List = toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(list.mutation)
}

/// Where a function stands.
struct Place {
    path: PathBuf,
    text: String,
    /// Its body, as a range of bytes.
    body: std::ops::Range<usize>,
}

fn folder(root: &Path, package: &str) -> Result<PathBuf, String> {
    let short = package.strip_prefix("waxwing-").unwrap_or(package);
    ["crates", "apps"]
        .iter()
        .map(|dir| root.join(dir).join(short).join("src"))
        .find(|dir| dir.is_dir())
        .ok_or(format!("no package {package}"))
}

fn place(root: &Path, mutation: &Mutation) -> Result<Place, String> {
    let mut files = Vec::new();
    sources(&folder(root, &mutation.package)?, &mut files);
    let (owner, name) = match mutation.function.rsplit_once("::") {
        Some((owner, name)) => (Some(owner), name),
        None => (None, mutation.function.as_str()),
    };
    let mut found = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        for (at, _) in text.match_indices(&format!("fn {name}")) {
            let after = text[at + 3 + name.len()..].chars().next();
            if !matches!(after, Some('(' | '<')) || owner.is_some_and(|owner| !is_of(&text[..at], owner)) {
                continue;
            }
            if let Some(body) = body(&text, at) {
                found.push(Place { path: path.clone(), text: text.clone(), body });
            }
        }
    }
    let expression = squeezed(&mutation.expression);
    found.retain(|place| squeezed(&place.text[place.body.clone()]).contains(&expression));
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            Err(format!("{} {}: no such function with {:?}", mutation.package, mutation.function, mutation.expression))
        }
        _ => Err(format!(
            "{} {}: several functions fit; put the type before the name",
            mutation.package, mutation.function
        )),
    }
}

/// Whether the last `impl` before a function is of this type.
fn is_of(before: &str, owner: &str) -> bool {
    let Some(at) = before.rfind("\nimpl") else { return false };
    let line = before[at + 1..].lines().next().unwrap_or_default();
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == owner)
}

/// The braces of the function that begins at `at`, and what is between them. Braces in texts and characters are passed over.
fn body(text: &str, at: usize) -> Option<std::ops::Range<usize>> {
    let (mut depth, mut round, mut start) = (0, 0, None);
    let mut chars = text[at..].char_indices().peekable();
    while let Some((offset, c)) = chars.next() {
        match c {
            '"' => {
                while let Some((_, c)) = chars.next() {
                    match c {
                        '\\' => {
                            let _ = chars.next();
                        }
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '\'' if text[at + offset..].starts_with("'{'") || text[at + offset..].starts_with("'}'") => {
                let _ = (chars.next(), chars.next());
            }
            '(' | '[' => round += 1,
            ')' | ']' => round -= 1,
            ';' if depth == 0 && round == 0 => return None, // declared only
            '{' => {
                depth += 1;
                start.get_or_insert(at + offset);
            }
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(start?..at + offset + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The file with the defence taken out.
fn mutated(root: &Path, mutation: &Mutation) -> Result<String, String> {
    let Place { text, body, .. } = place(root, mutation)?;
    let inside = &text[body.clone()];
    // White space does not count, so the expression is found letter by letter.
    let letters: Vec<(usize, char)> = inside.char_indices().filter(|(_, c)| !c.is_whitespace()).collect();
    let wanted: Vec<char> = squeezed(&mutation.expression).chars().collect();
    let fits = |window: &&[(usize, char)]| window.iter().map(|(_, c)| c).eq(&wanted);
    let found: Vec<&[(usize, char)]> = letters.windows(wanted.len().max(1)).filter(fits).collect();
    let [window] = found.as_slice() else {
        return Err(format!("{}: {:?} stands there {} times", mutation.function, mutation.expression, found.len()));
    };
    let (Some((first, _)), Some((last, c))) = (window.first(), window.last()) else {
        return Err("an empty expression".into());
    };
    let (from, to) = (body.start + first, body.start + last + c.len_utf8());
    Ok(format!("{}{}{}", &text[..from], mutation.with, &text[to..]))
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            out.push(path);
        }
    }
}

/// Copies what git knows, as it is in the work tree.
fn copy() -> Result<PathBuf, String> {
    let tree = run::root().join("target/mutants/tree");
    let wanted: BTreeSet<String> = run::output("git", &["ls-files", "--cached", "--others", "--exclude-standard"])?
        .lines()
        .map(str::to_owned)
        .collect();
    let mut there = Vec::new();
    for dir in ["crates", "apps", "tests", "fuzz", "xtask"] {
        sources(&tree.join(dir), &mut there);
    }
    for file in there {
        let name = file.strip_prefix(&tree).unwrap_or(&file).display().to_string();
        if !wanted.contains(&name) {
            std::fs::remove_file(&file).map_err(|e| e.to_string())?;
        }
    }
    for name in wanted {
        let (from, to) = (run::root().join(&name), tree.join(&name));
        let Ok(content) = std::fs::read(&from) else { continue }; // deleted, and not yet told to git
        if std::fs::read(&to).is_ok_and(|old| old == content) {
            continue; // what is the same keeps its time, so that it is not built again
        }
        std::fs::create_dir_all(to.parent().unwrap_or(&tree)).map_err(|e| e.to_string())?;
        std::fs::write(&to, content).map_err(|e| format!("{}: {e}", to.display()))?;
    }
    Ok(tree)
}

/// Runs tests in the copy: `noticed` when one fails, `survived` when all pass, `broken` when nothing could be built or run.
fn noticed(tree: &Path, test: &str) -> Result<&'static str, String> {
    let (place, filter) = test.split_once(' ').ok_or(format!("{test:?} is not a package and a filter"))?;
    let (package, target) = place.split_once(':').map_or((place, None), |(package, target)| (package, Some(target)));
    let mut build = cargo(tree, package, target);
    build.arg("--no-run");
    if !build.status().map_err(|e| e.to_string())?.success() {
        return Ok("broken");
    }
    let log = tree.join("../test.log");
    let out = std::fs::File::create(&log).map_err(|e| e.to_string())?;
    let mut child = cargo(tree, package, target).arg(filter).stdout(out).spawn().map_err(|e| e.to_string())?;
    let start = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(status) => break Some(status),
            None if start.elapsed() > PATIENCE => {
                child.kill().map_err(|e| e.to_string())?;
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(200)),
        }
    };
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    Ok(match status {
        Some(status)
            if status.success() && !text.lines().any(|line| line.starts_with("test ") && line.ends_with(" ok")) =>
        {
            "broken"
        }
        Some(status) if status.success() => "survived",
        _ => "noticed",
    })
}

fn cargo(tree: &Path, package: &str, target: Option<&str>) -> Command {
    let mut command = Command::new("cargo");
    command
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", tree.join("../target"))
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command.args(["test", "--package", package]);
    if package == "waxwing-crypto" {
        command.args(["--features", "e2e,seal"]);
    }
    match target {
        Some(target) => command.args(["--test", target]),
        None => command.arg("--lib"),
    };
    command
}

/// Every mutation that cargo-mutants thinks of, in the guarded code.
fn all(options: &Options) -> Result<(), String> {
    if !run::has("cargo-mutants") {
        run::step("cargo-mutants", "cargo", &["install", "--locked", "cargo-mutants"])?;
    }
    let only = options.word();
    for (package, files) in GUARDED.iter().filter(|(package, _)| only.is_none_or(|word| package.ends_with(word))) {
        let out = format!("target/mutants/{package}");
        let mut args = vec![
            "mutants",
            "--package",
            package,
            "--output",
            &out,
            "--timeout",
            "120",
            "--no-shuffle",
            "--baseline",
            "skip",
        ];
        for file in *files {
            args.extend(["--file", file]);
        }
        if *package == "waxwing-crypto" {
            args.extend(["--features", "e2e,seal"]);
        }
        let shard = options.value("--shard");
        if let Some(shard) = &shard {
            args.extend(["--shard", shard]);
        }
        // It ends with an error where mutants survive; they are in its list, to be read.
        let outcome = run::step(&format!("mutants of {package}"), "cargo", &args);
        println!("survivors: {out}/mutants.out/missed.txt; docs/mutants.md explains those that may ({outcome:?})");
    }
    Ok(())
}
