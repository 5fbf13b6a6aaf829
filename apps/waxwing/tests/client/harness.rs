//! A broker, people with homes of their own, and commands whose output is caught.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::sync::Notify;
use waxwing::cli::{self, Console, Exit};
use waxwingd::{Server, Settings};

/// A directory that goes away with its owner.
pub(crate) struct Directory(pub PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("wx-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Starts a broker in memory.
pub(crate) async fn broker(domain: &str) -> Server {
    start(Some(domain), false).await
}

/// Starts a broker in memory that names itself.
pub(crate) async fn nameless_broker() -> Server {
    start(None, false).await
}

/// Starts a broker that opens an account for everybody.
pub(crate) async fn open_broker(domain: &str) -> Server {
    start(Some(domain), true).await
}

/// Password hashing is cheap, as these tests hash a lot.
async fn start(domain: Option<&str>, is_open: bool) -> Server {
    let mut settings = Settings::in_memory();
    settings.domain = domain.map(str::to_owned);
    settings.registration.is_open = is_open;
    settings.scram_iterations = 4096;
    Server::start(settings).await.expect("a broker starts")
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: Exit,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The lines of JSON.
    pub(crate) fn objects(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }

    /// The only line of JSON.
    pub(crate) fn object(&self) -> Value {
        let mut objects = self.objects();
        assert_eq!(objects.len(), 1, "{self:?}");
        objects.remove(0)
    }
}

/// Somebody with a home.
pub(crate) struct Person {
    pub(crate) home: Directory,
}

impl Person {
    pub(crate) fn new() -> Self {
        Self { home: Directory::new() }
    }

    pub(crate) fn home_text(&self) -> &str {
        self.home.0.to_str().expect("a temporary directory is text")
    }

    /// Runs a command.
    pub(crate) async fn run(&self, line: &[&str]) -> Ran {
        let words = ["waxwing", "--home", self.home_text()].iter().chain(line).map(Into::into).collect();
        self.run_words(words).await
    }

    /// Runs a command line of any words.
    pub(crate) async fn run_words(&self, words: Vec<std::ffi::OsString>) -> Ran {
        let (out, err) = (Caught::default(), Caught::default());
        let mut console = Console::to(Box::new(out.clone()), Box::new(err.clone()));
        let exit = cli::run(words, &mut console).await;
        Ran { exit, out: out.text(), err: err.text() }
    }

    /// Runs a command at a terminal, where a person reads and answers.
    pub(crate) async fn at_terminal(&self, line: &[&str], answers: &'static str) -> Ran {
        let words: Vec<_> = ["waxwing", "--home", self.home_text()].iter().chain(line).map(Into::into).collect();
        let (out, err) = (Caught::default(), Caught::default());
        let mut console =
            Console::of_person(Box::new(out.clone()), Box::new(err.clone()), Box::new(answers.as_bytes()));
        let exit = cli::run(words, &mut console).await;
        Ran { exit, out: out.text(), err: err.text() }
    }

    /// Runs a command at a terminal, where a person presses Ctrl-C as soon as `is_time` says so of what they see.
    pub(crate) async fn interrupted(&self, line: &[&str], answers: &'static str, is_time: fn(&str) -> bool) -> Ran {
        let words: Vec<_> = ["waxwing", "--home", self.home_text()].iter().chain(line).map(Into::into).collect();
        let (out, err, interrupts) = (Caught::default(), Caught::default(), Arc::new(Notify::new()));
        let mut console =
            Console::of_person(Box::new(out.clone()), Box::new(err.clone()), Box::new(answers.as_bytes()))
                .interrupted_by(Arc::clone(&interrupts));
        let seen = [out.clone(), err.clone()];
        let press = async {
            while !is_time(&seen.each_ref().map(Caught::text).concat()) {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            interrupts.notify_one();
            std::future::pending().await
        };
        let exit = tokio::select! {
            exit = cli::run(words, &mut console) => exit,
            exit = press => exit,
        };
        Ran { exit, out: out.text(), err: err.text() }
    }

    /// Runs a command that must succeed, with `--json`.
    pub(crate) async fn json(&self, line: &[&str]) -> Vec<Value> {
        let line: Vec<&str> = line.iter().copied().chain(["--json"]).collect();
        let ran = self.run(&line).await;
        assert_eq!(ran.exit, Exit::Ok, "{line:?}: {ran:?}");
        ran.objects()
    }

    /// Opens an account by an invitation of the broker.
    pub(crate) async fn joined(server: &Server, name: &str) -> Self {
        let person = Self::new();
        let link = server.invite().await.expect("an invitation").link;
        let ran = person.run(&["join", &link, "--name", name]).await;
        assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
        person
    }

    /// Makes a link for somebody.
    pub(crate) async fn link(&self) -> String {
        self.json(&["invite"]).await[0]["link"].as_str().expect("a link").to_owned()
    }

    /// The texts in the inbox, now read.
    pub(crate) async fn read(&self) -> Vec<String> {
        let objects = self.json(&["inbox"]).await;
        objects.iter().filter_map(|object| object["message"]["text"].as_str().map(str::to_owned)).collect()
    }
}

#[derive(Clone, Default)]
struct Caught(Arc<Mutex<Vec<u8>>>);

impl Caught {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("not poisoned")).into_owned()
    }
}

impl Write for Caught {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
