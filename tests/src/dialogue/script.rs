//! Scripts as they are written.

use std::path::Path;

/// One file.
#[derive(Debug, Clone)]
pub struct Script {
    /// The file's name without its extension.
    pub name: String,
    /// The servers that it is true of.
    pub servers: Vec<String>,
    /// The accounts to make before it begins.
    pub people: Vec<String>,
    /// What happens.
    pub(super) steps: Vec<Step>,
}

/// One step and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) who: String,
    pub(super) act: Act,
}

/// What somebody does.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// A word such as `login`.
    Do(String),
    Send(String),
    Expect(String),
    Absent(String),
}

impl Script {
    /// Reads a file.
    ///
    /// # Panics
    ///
    /// When it cannot be read or understood; the message says where.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{name}.dialogue: {e}"));
        Self::parse(&name, &text).unwrap_or_else(|why| panic!("{name}.dialogue {why}"))
    }

    fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut script = Self { name: name.to_owned(), servers: Vec::new(), people: Vec::new(), steps: Vec::new() };
        if !text.starts_with("# ") {
            return Err("has no title".into());
        }
        for (line, text) in logical_lines(text) {
            let words = |list: &str| list.split_whitespace().map(str::to_owned).collect();
            if let Some(list) = text.strip_prefix("servers:") {
                script.servers = words(list);
            } else if let Some(list) = text.strip_prefix("people:") {
                script.people = words(list);
            } else {
                script.steps.push(step(line, &text)?);
            }
        }
        if script.servers.is_empty() || script.steps.is_empty() {
            return Err("names no server or has no steps".into());
        }
        Ok(script)
    }
}

/// Joins continued lines and leaves out comments and empty lines.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        match lines.last_mut() {
            Some((_, before)) if line.starts_with(' ') => before.push_str(line.trim()),
            _ => lines.push((number, line.trim_end().to_owned())),
        }
    }
    lines
}

fn step(line: usize, text: &str) -> Result<Step, String> {
    let (who, rest) = text.split_once(' ').ok_or(format!("line {line}: a step is `who/resource: act`"))?;
    let rest = rest.trim().to_owned();
    let (who, mark) = who.split_at(who.len().saturating_sub(1));
    let act = match mark {
        ":" => Act::Do(rest),
        ">" => Act::Send(rest),
        "<" => Act::Expect(rest),
        "!" => Act::Absent(rest),
        _ => return Err(format!("line {line}: {who}{mark} ends in none of : > < !")),
    };
    if !who.contains('/') {
        return Err(format!("line {line}: {who} has no resource"));
    }
    Ok(Step { line, who: who.to_owned(), act })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_comments_left_out() {
        let script =
            Script::parse("x", "# T\nservers: a b\npeople: p\n\np/1> <a>\n  <b/>\n  </a>\n# c\np/1! <c/>\n").unwrap();
        assert_eq!(script.servers, ["a", "b"]);
        let [send, absent] = script.steps.as_slice() else { panic!("two steps") };
        assert!(matches!(&send.act, Act::Send(xml) if xml == "<a><b/></a>"));
        assert!(matches!(&absent.act, Act::Absent(xml) if xml == "<c/>"));
        assert_eq!((send.line, absent.line), (5, 9));
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for bad in ["p/1> x", "# T\nservers: a\np/1 x", "# T\nservers: a\np> x", "# T\np/1> x", "# T\nservers: a"] {
            assert!(Script::parse("x", bad).is_err(), "{bad}");
        }
    }
}
