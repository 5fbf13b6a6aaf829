//! [`Console`]: where a command writes, and how.

use std::fmt;
use std::io::{self, BufRead, IsTerminal as _, Write};

use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{Refusal, VERSION};
use crate::terminal::qr;

/// Where a command writes.
pub struct Console {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    json: bool,
    out_is_terminal: bool,
    err_is_terminal: bool,
    /// What a person answers who is not at this process's own terminal.
    answers: Option<Box<dyn BufRead + Send>>,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Console")
    }
}

impl Console {
    /// The terminal, or whatever the streams of this process are connected to.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            json: false,
            out_is_terminal: io::stdout().is_terminal(),
            err_is_terminal: io::stderr().is_terminal(),
            answers: None,
        }
    }

    /// Other places, which are no terminals.
    #[must_use]
    pub fn to(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        Self { out, err, json: false, out_is_terminal: false, err_is_terminal: false, answers: None }
    }

    /// A person elsewhere, who sees both and answers in lines.
    #[must_use]
    pub fn of_person(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, answers: Box<dyn BufRead + Send>) -> Self {
        Self { out, err, json: false, out_is_terminal: true, err_is_terminal: true, answers: Some(answers) }
    }

    pub(crate) fn set_json(&mut self, json: bool) {
        self.json = json;
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether somebody watches transfers.
    pub(crate) fn shows_progress(&self) -> bool {
        self.err_is_terminal && !self.json
    }

    /// Whether what is written beside the result reaches the eyes of a person.
    pub(crate) fn is_read_by_a_person(&self) -> bool {
        self.err_is_terminal && !self.json
    }

    /// Whether somebody can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        self.err_is_terminal && (self.answers.is_some() || io::stdin().is_terminal())
    }

    /// Asks, and reads one line; nothing when there is none to be had.
    pub(crate) async fn ask(&mut self, question: &str) -> Option<String> {
        let _ = write!(self.err, "{question}");
        let _ = self.err.flush();
        if let Some(answers) = &mut self.answers {
            let mut line = String::new();
            return answers.read_line(&mut line).ok().filter(|read| *read > 0).map(|_| line.trim().to_owned());
        }
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            io::stdin().read_line(&mut line).map(|read| (read > 0).then_some(line))
        });
        read.await.ok()?.ok()?.map(|line| line.trim().to_owned())
    }

    /// Writes a result as it is.
    pub(crate) fn print(&mut self, text: &str) {
        // Somebody who closes the pipe has read enough.
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }

    /// Writes a line of a result for people; nothing with `--json`.
    pub(crate) fn line(&mut self, text: &str) {
        if !self.json {
            self.print(&format!("{text}\n"));
        }
    }

    /// Draws a link as a code, where a phone could see it.
    pub(crate) fn code(&mut self, link: &str) {
        if !self.json
            && self.out_is_terminal
            && let Some(drawn) = qr::draw(link)
        {
            self.print(&drawn);
        }
    }

    /// Writes a line about what goes on; standard error, so that results stay clean.
    pub(crate) fn note(&mut self, text: &str) {
        let _ = writeln!(self.err, "{}", text.trim_end());
    }

    /// Writes an object for programs; nothing without `--json`.
    pub(crate) fn object(&mut self, value: &impl Serialize) {
        if self.json {
            let object = versioned(serde_json::to_value(value).unwrap_or_default());
            self.print(&format!("{object}\n"));
        }
    }

    /// Tells why not.
    pub(crate) fn refuse(&mut self, refusal: &Refusal) {
        if self.json {
            self.object(&json!({"kind": "error", "error": refusal.kind, "text": refusal.text}));
        } else {
            self.note(&refusal.text);
        }
    }
}

/// Every object says its version.
fn versioned(value: Value) -> Value {
    let mut object = serde_json::Map::from_iter([("version".to_owned(), json!(VERSION))]);
    match value {
        Value::Object(fields) => object.extend(fields),
        other => {
            object.insert("value".to_owned(), other);
        }
    }
    Value::Object(object)
}
