//! The threat model names the tests that hold its promises; they have to exist.

use std::collections::BTreeSet;
use std::path::Path;

/// Rows of the attack list that are due now, and must each have a test.
const DUE: [&str; 30] = [
    "C23", "C24", "C02", "C03", "C04", "C06", "C08", "C10", "C11", "C12", "C13", "C14", "X01", "X02", "X03", "X04",
    "X05", "X06", "X07", "X08", "X09", "X10", "X13", "X14", "X16", "F01", "F04", "B01", "B02", "B03",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// Collects the names of all functions in the Rust files below a folder.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).expect("a readable file");
            for line in text.lines().filter_map(|line| line.split_once("fn ")) {
                let name: String = line.1.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                names.insert(name);
            }
        }
    }
}

/// What the threat model says of a row: the names in backquotes.
fn named(line: &str) -> Vec<&str> {
    let parts = line.split('`').skip(1).step_by(2);
    parts.filter(|part| part.contains('_') && !part.contains(['/', '.', ' '])).collect()
}

#[test]
fn the_tests_that_the_threat_model_names_exist() {
    let mut known = BTreeSet::new();
    for folder in ["crates", "apps", "tests", "fuzz", "xtask"] {
        functions(&root().join(folder), &mut known);
    }
    let text = std::fs::read_to_string(root().join("docs/threat-model.md")).expect("the threat model");
    let mut count = 0;
    for name in text.lines().flat_map(named) {
        let function = name.rsplit("::").next().unwrap_or(name);
        assert!(known.contains(function), "the threat model names {name}, which does not exist");
        count += 1;
    }
    assert!(count > 100, "the threat model names tests: {count}");
    for row in DUE {
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(&format!("| {row} "))).collect();
        assert!(lines.iter().any(|line| !named(line).is_empty()), "no test is named for {row}");
    }
}
