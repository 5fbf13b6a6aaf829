//! Somebody with our client: each verb is a process of its own, as at a shell.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::Process;
use crate::programs;
use crate::raw;

/// How long something that is waited for by repeated looking may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// Somebody with a profile of our client.
#[derive(Debug)]
pub struct Person {
    home: PathBuf,
    /// The localpart and the password of the account.
    name: String,
    password: String,
}

/// What a verb printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub out: String,
    /// What it said besides.
    pub err: String,
}

impl Person {
    /// Somebody whose profile lies in `dir`; there is no account yet.
    ///
    /// # Panics
    ///
    /// When the directory cannot be made.
    #[must_use]
    pub fn new(dir: &Path, name: &str) -> Self {
        let home = dir.join(format!("home-{name}"));
        std::fs::create_dir_all(&home).expect("a scratch directory can be made");
        Self { home, name: name.to_owned(), password: format!("the long password of {name}") }
    }

    /// Returns the password that [`Person::register`] uses.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Returns the directory of the profile.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Registers at a server by a bare stream, and leaves the account empty.
    pub async fn register(&self, server: &raw::Server) {
        raw::RawClient::register(server, &self.name, &self.password, None).await.close().await;
    }

    /// Signs in with the file of the authority and what else is said.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub async fn login(&self, server: &raw::Server, ca_file: &Path, more: &[&str]) {
        let ran = self.try_login(server, ca_file, more).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }

    /// Signs in, or not.
    ///
    /// # Panics
    ///
    /// When the program cannot be run.
    pub async fn try_login(&self, server: &raw::Server, ca_file: &Path, more: &[&str]) -> Ran {
        let file = self.home.join("password");
        std::fs::write(&file, &self.password).expect("a scratch file can be written");
        let address = format!("{}@{}", self.name, server.domain);
        let host = server.address.to_string();
        let mut line =
            vec!["login", &address, "--password-file", path(&file), "--host", &host, "--ca-file", path(ca_file)];
        line.extend(more);
        self.run(&line).await
    }

    /// Runs a verb.
    ///
    /// # Panics
    ///
    /// When the program cannot be run, or does not end within two minutes.
    pub async fn run(&self, line: &[&str]) -> Ran {
        let mut command = tokio::process::Command::from(self.command(line));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let ran = tokio::time::timeout(Duration::from_secs(120), command.output()).await;
        let out = ran.unwrap_or_else(|_| panic!("waxwing {line:?} does not end")).expect("waxwing can be started");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ran { code: out.status.code(), out: text(out.stdout), err: text(out.stderr) }
    }

    /// Runs a verb that must succeed.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub async fn ok(&self, line: &[&str]) -> Ran {
        let ran = self.run(line).await;
        assert_eq!(ran.code, Some(0), "waxwing {line:?} of {}: {ran:?}", self.name);
        ran
    }

    /// Runs a verb that must succeed, and returns its objects.
    ///
    /// # Panics
    ///
    /// When it does not, or prints no JSON.
    pub async fn json(&self, line: &[&str]) -> Vec<Value> {
        let line: Vec<&str> = line.iter().copied().chain(["--json"]).collect();
        let ran = self.ok(&line).await;
        ran.out.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }

    /// Looks until a message with this text lies in the inbox (or, with `requests`, among the requests), and returns it.
    ///
    /// # Panics
    ///
    /// When it does not come.
    pub async fn wait_for_message(&self, text: &str, requests: bool) -> Value {
        let line: &[&str] = if requests { &["inbox", "--all", "--requests"] } else { &["inbox", "--all"] };
        let start = Instant::now();
        loop {
            let objects = self.json(line).await;
            let found = objects.iter().find(|o| o["message"]["text"] == text && o["message"]["direction"] == "in");
            if let Some(found) = found {
                return found["message"].clone();
            }
            assert!(start.elapsed() < PATIENCE, "{} does not get {text:?}: {objects:?}", self.name);
        }
    }

    /// Writes until the other side can be reached securely: its keys may still be on their way.
    ///
    /// # Panics
    ///
    /// When it never can.
    pub async fn say(&self, who: &str, text: &str) {
        let start = Instant::now();
        loop {
            let ran = self.run(&["say", who, text]).await;
            match ran.code {
                Some(0) => return,
                Some(4) if start.elapsed() < PATIENCE => {}
                _ => panic!("{} cannot write to {who}: {ran:?}", self.name),
            }
        }
    }

    /// Starts `inbox --follow --json`, which holds the connection and shows what comes.
    #[must_use]
    pub fn follow(&self) -> Process {
        Process::start(&mut self.command(&["inbox", "--follow", "--json"]), &self.home.join("follow.out"))
    }

    fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(programs::path("waxwing"));
        command.arg("--home").arg(&self.home).args(line).env_remove("WAXWING_HOME");
        command
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("scratch paths are text")
}
