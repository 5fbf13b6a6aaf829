//! Dino, as Debian packages it: its window on a screen that nobody sees, its settings and messages in SQLite files.
//!
//! It finds servers and authorities as any program of the desktop does, so it runs in a mount namespace of its own, in which
//! the machine's host names and authorities are the laboratory's. Its questions about SRV records go nowhere.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::lab::Lab;
use crate::process::Process;

/// How long something may take to appear.
const PATIENCE: Duration = Duration::from_secs(40);

/// Where Debian keeps the authorities that programs believe.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A running Dino with one account.
#[derive(Debug)]
pub struct Dino {
    process: Process,
    _screen: Process,
    home: PathBuf,
    display: String,
}

impl Dino {
    /// Starts one with an empty home and the account `user` at `domain`.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start(lab: &Lab, user: &str, domain: &str, password: &str) -> Self {
        let home = lab.dir().join(format!("dino-{user}"));
        for part in ["data", "run"] {
            std::fs::create_dir_all(home.join(part)).expect("a scratch directory can be made");
        }
        let mut hosts = String::from("127.0.0.1 localhost\n");
        for host in lab.hosts() {
            hosts.push_str(&format!("{} {} upload.{}\n", host.address, host.domain, host.domain));
        }
        let write = |name: &str, text: &str| {
            std::fs::write(home.join(name), text).expect("a scratch file can be written");
        };
        write("hosts", &hosts);
        // It reads files when nothing is to be drawn: without a graphics card that would be never.
        std::fs::create_dir_all(home.join("config/gtk-4.0")).expect("a scratch directory can be made");
        write("config/gtk-4.0/settings.ini", "[Settings]\ngtk-enable-animations=false\n");
        write("resolv.conf", "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n");
        write("ca.pem", &std::fs::read_to_string(lab.ca_file()).expect("the laboratory has authorities"));
        let (screen, display) = screen(&home);
        // Its first start makes the database, in which the account is then entered, as its window would do it.
        let mut first = run(&home, &display);
        let database = home.join("data/dino/dino.db");
        let asked = "SELECT COUNT(*) FROM account";
        wait("the database", &first, || peek(&database, asked).as_deref() == Some("0"));
        first.kill();
        let account = format!(
            "INSERT INTO account (bare_jid, resourcepart, password, alias, enabled, roster_version, mam_earliest_synced) \
             VALUES ('{user}@{domain}', 'dino', '{password}', '', 1, '', -1)"
        );
        sqlite(&database, &account).expect("the account can be entered");
        Self { process: run(&home, &display), _screen: screen, home, display }
    }

    /// Waits until a message with this text is in its database.
    ///
    /// # Panics
    ///
    /// When it does not come.
    pub fn wait_for_message(&self, text: &str) {
        let database = self.home.join("data/dino/dino.db");
        wait(text, &self.process, || {
            peek(&database, &format!("SELECT body FROM message WHERE body = '{text}'")).as_deref() == Some(text)
        });
    }

    /// Waits until a received file is complete, and returns what is in it.
    ///
    /// # Panics
    ///
    /// When it does not come.
    #[must_use]
    pub fn wait_for_file(&self) -> Vec<u8> {
        let database = self.home.join("data/dino/dino.db");
        let mut path = String::new();
        wait("a file", &self.process, || {
            // 0 is `COMPLETE` in Dino's `FileTransfer.State`.
            let found = peek(&database, "SELECT path FROM file_transfer WHERE state = 0 LIMIT 1");
            path = found.unwrap_or_default();
            !path.is_empty()
        });
        std::fs::read(self.home.join("data/dino/files").join(path)).expect("Dino keeps files there")
    }

    /// Clicks in its window, and waits for what the click opens.
    ///
    /// # Panics
    ///
    /// When `xdotool` is not there.
    pub fn click(&self, (x, y): (u32, u32)) {
        self.xdotool(&["mousemove", &x.to_string(), &y.to_string(), "click", "1"]);
        std::thread::sleep(Duration::from_secs(1));
    }

    /// Types in its window, and presses the enter key.
    ///
    /// # Panics
    ///
    /// When `xdotool` is not there.
    pub fn type_line(&self, text: &str) {
        self.xdotool(&["type", "--delay", "20", text]);
        self.xdotool(&["key", "Return"]);
    }

    fn xdotool(&self, line: &[&str]) {
        let done = Command::new("xdotool").env("DISPLAY", &self.display).args(line).status();
        assert!(done.expect("xdotool is installed").success(), "xdotool {line:?}");
    }
}

/// Starts a screen that nobody sees; it chooses a free number itself.
fn screen(home: &Path) -> (Process, String) {
    let log = home.join("screen.out");
    let mut command = Command::new("Xvfb");
    command.args(["-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp"]);
    let screen = Process::start(&mut command, &log);
    let mut number = String::new();
    wait("a screen", &screen, || {
        number = screen
            .printed()
            .lines()
            .find_map(|line| line.trim().parse::<u32>().ok())
            .map(|n| format!(":{n}"))
            .unwrap_or_default();
        !number.is_empty()
    });
    (screen, number)
}

fn run(home: &Path, display: &str) -> Process {
    let script = "mount --bind \"$HOME/hosts\" /etc/hosts && mount --bind \"$HOME/resolv.conf\" /etc/resolv.conf && \
                  mount --bind \"$HOME/ca.pem\" \"$AUTHORITIES\" && \
                  exec dbus-run-session -- dino-im";
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .env("HOME", home)
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("XDG_RUNTIME_DIR", home.join("run"))
        .env("GSETTINGS_BACKEND", "memory")
        .env("GSK_RENDERER", "cairo")
        .env("NO_AT_BRIDGE", "1")
        .env("GTK_A11Y", "none")
        .env("AUTHORITIES", AUTHORITIES)
        .env("LC_ALL", "C.UTF-8")
        .env("DISPLAY", display);
    Process::start(&mut command, &home.join("dino.out"))
}

/// Asks a copy: a second reader makes Dino lose what it wants to write at the same moment.
fn peek(database: &Path, question: &str) -> Option<String> {
    let copy = database.with_extension("copy");
    let beside = |name: &Path| name.with_file_name(format!("{}-wal", name.file_name().unwrap_or_default().display()));
    let _ = std::fs::remove_file(beside(&copy));
    std::fs::copy(database, &copy).ok()?;
    let _ = std::fs::copy(beside(database), beside(&copy));
    sqlite(&copy, question)
}

fn sqlite(database: &Path, question: &str) -> Option<String> {
    let out = Command::new("sqlite3").arg("-cmd").arg(".timeout 2000").arg(database).arg(question).output();
    let out = out.expect("sqlite3 is installed");
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim_end().to_owned())
}

fn wait(what: &str, dino: &Process, mut is_there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < PATIENCE, "Dino: {what} does not come:\n{}", dino.printed());
        std::thread::sleep(Duration::from_millis(200));
    }
}
