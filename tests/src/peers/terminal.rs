//! A program for the terminal, used as somebody at the keyboard would: keys in, a screen to read (tmux).

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// How long something may take to appear.
const PATIENCE: Duration = Duration::from_secs(40);

/// A terminal with a program in it; both end with it.
#[derive(Debug)]
pub struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    /// Starts a program in a terminal of its own; `socket` is where tmux listens.
    ///
    /// # Panics
    ///
    /// When tmux cannot start it.
    #[must_use]
    pub fn start(socket: PathBuf, environment: &[(&str, String)], program: &str) -> Self {
        let terminal = Self { socket };
        let mut line: Vec<String> =
            ["-f", "/dev/null", "new-session", "-d", "-x", "200", "-y", "50"].map(str::to_owned).to_vec();
        for (name, value) in environment {
            line.extend(["-e".to_owned(), format!("{name}={value}")]);
        }
        line.push(program.to_owned());
        let started = terminal.tmux(&line);
        assert!(started.status.success(), "tmux: {}", String::from_utf8_lossy(&started.stderr));
        terminal
    }

    /// Types a line and the enter key.
    pub fn type_line(&self, line: &str) {
        let _ = self.tmux(&["send-keys", "-l", "--", line].map(str::to_owned));
        let _ = self.tmux(&["send-keys", "Enter"].map(str::to_owned));
    }

    /// Returns what is on the screen.
    #[must_use]
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p", "-J"].map(str::to_owned)).stdout).into_owned()
    }

    /// Waits until a text is on the screen.
    ///
    /// # Panics
    ///
    /// When it does not appear: the message shows the screen.
    pub fn wait_for(&self, text: &str) {
        let _ = self.wait_for_one_of(&[text]);
    }

    /// Waits until one of several texts is on the screen, and returns the screen.
    ///
    /// # Panics
    ///
    /// When none appears: the message shows the screen.
    #[must_use]
    pub fn wait_for_one_of(&self, texts: &[&str]) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if texts.iter().any(|text| screen.contains(text)) {
                return screen;
            }
            assert!(start.elapsed() < PATIENCE, "none of {texts:?} appears on this screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn tmux(&self, line: &[String]) -> Output {
        Command::new("tmux").arg("-S").arg(&self.socket).args(line).output().expect("tmux is installed")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server".to_owned()]);
    }
}
