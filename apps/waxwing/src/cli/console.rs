//! [`Console`]: where a command writes, and how.

use std::fmt;
use std::io::{self, BufRead, IsTerminal as _, Write};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::quiet::{Shared, Watch};
use crate::api::{Refusal, VERSION};
use crate::terminal::{qr, wrap};

/// Where a command writes.
pub struct Console {
    out: Box<dyn Write + Send>,
    err: Shared,
    json: bool,
    /// How many columns the terminal has.
    width: Option<usize>,
    out_is_terminal: bool,
    err_is_terminal: bool,
    /// What a person answers who is not at this process's own terminal.
    answers: Option<Box<dyn BufRead + Send>>,
    /// When such a person presses Ctrl-C.
    interrupts: Option<Arc<Notify>>,
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
            err: Shared::new(Box::new(io::stderr())),
            json: false,
            width: columns(),
            out_is_terminal: io::stdout().is_terminal(),
            err_is_terminal: io::stderr().is_terminal(),
            answers: None,
            interrupts: None,
        }
    }

    /// Other places, which are no terminals.
    #[must_use]
    pub fn to(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        let err = Shared::new(err);
        Self {
            out,
            err,
            json: false,
            width: None,
            out_is_terminal: false,
            err_is_terminal: false,
            answers: None,
            interrupts: None,
        }
    }

    /// A person elsewhere, who sees both and answers in lines.
    #[must_use]
    pub fn of_person(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, answers: Box<dyn BufRead + Send>) -> Self {
        let (err, answers) = (Shared::new(err), Some(answers));
        Self {
            out,
            err,
            json: false,
            width: None,
            out_is_terminal: true,
            err_is_terminal: true,
            answers,
            interrupts: None,
        }
    }

    /// That person presses Ctrl-C whenever `interrupts` says so.
    #[must_use]
    pub fn interrupted_by(mut self, interrupts: Arc<Notify>) -> Self {
        self.interrupts = Some(interrupts);
        self
    }

    /// Ends when the user presses Ctrl-C, which from then on ends nothing by itself.
    pub(crate) fn interrupted(&self) -> impl Future<Output = ()> + Send + use<> {
        let elsewhere = self.interrupts.clone();
        async move {
            match elsewhere {
                Some(interrupts) => interrupts.notified().await,
                None => {
                    let _ = tokio::signal::ctrl_c().await;
                }
            }
        }
    }

    /// Tells a person who looks at the screen that something is waited for, while it is.
    pub(super) fn watch_silence(&self) -> Option<Watch> {
        self.is_read_by_a_person().then(|| {
            self.err.heard();
            self.err.watch()
        })
    }

    /// Whether silence is right: a bar moves, or what comes is not waited for.
    pub(crate) fn set_at_ease(&self, at_ease: bool) {
        self.err.set_at_ease(at_ease);
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
        self.err.write(question);
        self.err.set_at_ease(true);
        let answer = self.read_line().await;
        self.err.set_at_ease(false);
        answer
    }

    async fn read_line(&mut self) -> Option<String> {
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
        self.err.heard();
    }

    /// Writes a line of a result for people; nothing with `--json`.
    pub(crate) fn line(&mut self, text: &str) {
        if !self.json {
            // Messages and lists begin with a time or a number; their lines are those of others.
            let is_ours = !text.starts_with(|c: char| c.is_ascii_digit());
            match self.width.filter(|_| self.out_is_terminal && is_ours) {
                Some(width) => self.print(&format!("{}\n", wrap::at_words(text, width))),
                None => self.print(&format!("{text}\n")),
            }
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
        let text = match self.width.filter(|_| self.err_is_terminal && !self.json) {
            Some(width) => wrap::at_words(text.trim_end(), width),
            None => text.trim_end().to_owned(),
        };
        self.err.write(&format!("{text}\n"));
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

/// The width of the terminal that the lines beside the result go to.
fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns >= 20)
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
