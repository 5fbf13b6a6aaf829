//! A directory of its own for a test, and the program run in it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

/// Removed with everything in it at the end of the test.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("waxwingd-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).expect("the temporary directory can be written to");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// The program, with this directory's data and settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxwingd"));
        command.arg("--data-dir").arg(self.data()).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Writes the settings of a fast broker at free ports of loopback, that carries readable messages.
    pub(crate) fn write_settings(&self) {
        let keys = self.0.join("data.keys");
        std::fs::create_dir_all(&keys).expect("made");
        let ports = "client = 0\nclient_tls = 0\nserver = 0\nserver_tls = 0\nhttps = 0\n";
        let settings = format!(
            "listen = \"127.0.0.1\"\n[ports]\n{ports}[e2ee]\npolicy = \"off\"\n[login]\nscram_iterations = 4096\n"
        );
        std::fs::write(keys.join("waxwingd.toml"), settings).expect("written");
    }

    /// Adds to what [`Scratch::write_settings`] has written.
    pub(crate) fn add_settings(&self, text: &str) {
        let path = self.0.join("data.keys/waxwingd.toml");
        let before = std::fs::read_to_string(&path).expect("written before");
        std::fs::write(path, before + text).expect("written");
    }

    /// Starts the broker and waits for its ready line.
    pub(crate) fn up(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(&["up", "--json"]);
        Running::start(command.args(arguments))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A broker in a process of its own; killed when the test is done with it.
pub(crate) struct Running {
    child: Child,
    pub(crate) line: String,
    pub(crate) ready: Value,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let stdout = child.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("it says that it is ready");
        let ready = serde_json::from_str(&line).expect("the line is JSON");
        Self { child, line, ready }
    }

    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.ready.pointer(pointer).and_then(Value::as_str).expect(pointer)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// `kill`, and wait for an orderly end.
    pub(crate) fn terminate(mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
