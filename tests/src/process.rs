//! Other programs, killed with all that they started when they go out of scope.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running program.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program in its own process group; what it prints goes to the file `log`.
    ///
    /// # Panics
    ///
    /// When it cannot be started: the message names the program.
    #[must_use]
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let file = std::fs::File::create(log).expect("a log can be made in the scratch directory");
        let second = file.try_clone().expect("a file handle can be copied");
        let program = command.get_program().to_string_lossy().into_owned();
        let child =
            command.stdin(Stdio::null()).stdout(file).stderr(second).process_group(0).spawn().unwrap_or_else(|e| {
                panic!("{program} could not be started ({e}); `cargo xtask setup` installs the peers")
            });
        Self { child, log: log.to_owned() }
    }

    /// Waits until the program accepts connections.
    ///
    /// # Panics
    ///
    /// When it ends before, or takes longer than 30 s: the message shows what it printed.
    pub fn wait_for_port(&mut self, address: SocketAddr) {
        let start = Instant::now();
        while TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("a peer ended at once ({status}):\n{}", self.printed());
            }
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "a peer does not listen after 30 s:\n{}",
                self.printed()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the program has printed `text`.
    ///
    /// # Panics
    ///
    /// When it does not within `limit`: the message shows what it did print.
    pub fn wait_for_text(&self, text: &str, limit: Duration) {
        let start = Instant::now();
        while !self.printed().contains(text) {
            assert!(start.elapsed() < limit, "a peer did not print {text:?} within {limit:?}:\n{}", self.printed());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns what the program has printed so far.
    #[must_use]
    pub fn printed(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = std::fs::File::open(&self.log) {
            let _ = file.read_to_string(&mut text);
        }
        text
    }

    /// Returns the process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the program as a power cut would.
    pub fn kill(&mut self) {
        // The whole group: Prosody and Erlang start helpers.
        let _ =
            Command::new("kill").args(["-9", "--", &format!("-{}", self.child.id())]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
