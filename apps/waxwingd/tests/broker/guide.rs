//! Every command of `docs/running-a-broker.md`, run in its order, in a directory of its own on loopback.
//!
//! What belongs to a whole machine is played by small scripts: `sudo` runs its command, `systemctl` starts and stops what
//! the shipped service file says, `certbot` puts down a certificate of a test authority. Paths below `/etc`, `/var/lib`,
//! `/usr/local` and `/srv` lie in the directory.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use net::clock::SystemClock;
use net::identity::{OwnCa, generate_key_pem};
use net::testing::{DnsResponder, Record};
use xmpp::time::Clock as _;

use crate::scratch::Scratch;

const GUIDE: &str = include_str!("../../../../docs/running-a-broker.md");
const SERVICE: &str = include_str!("../../../../packaging/systemd/waxwingd.service");
const DOMAIN: &str = "example.org";

/// The blocks of commands in a text.
fn blocks(text: &str) -> Vec<&str> {
    text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// Five ports in a row that are free at this moment.
fn free_base() -> u16 {
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    let seed = u16::try_from(std::process::id() % 2000).expect("small") * 10 + 20_000;
    (0..2000).map(|nth| seed.wrapping_add(nth * 5)).find(|base| (0..5).all(|nth| is_free(base + nth))).expect("five")
}

fn write_program(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("ours");
}

/// A machine in a directory.
struct Machine {
    scratch: Scratch,
    base: u16,
}

impl Machine {
    fn new(dns: &DnsResponder) -> Self {
        let machine = Self { scratch: Scratch::new(), base: free_base() };
        let root = machine.root();
        for directory in ["bin", "etc/systemd/system", "var/lib", "usr/local/bin", "srv"] {
            std::fs::create_dir_all(root.join(directory)).expect("made");
        }
        let ca = OwnCa::generate(DOMAIN, SystemClock.now()).expect("made");
        let key = generate_key_pem().expect("made");
        std::fs::write(root.join("fullchain.pem"), ca.issue(DOMAIN, &key, SystemClock.now()).expect("issued"))
            .expect("written");
        std::fs::write(root.join("privkey.pem"), key).expect("written");
        std::fs::write(root.join("authority.pem"), ca.certificate_pem()).expect("written");
        let release = root.join("source/target/release");
        std::fs::create_dir_all(&release).expect("made");
        std::fs::create_dir_all(root.join("source/packaging/systemd")).expect("made");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_waxwingd"), release.join("waxwingd")).expect("linked");
        std::fs::write(root.join("source/packaging/systemd/waxwingd.service"), machine.moved(SERVICE))
            .expect("written");
        machine.write_programs(dns);
        machine
    }

    fn root(&self) -> &Path {
        self.scratch.path()
    }

    /// A text with the paths of the machine in the directory.
    fn moved(&self, text: &str) -> String {
        let root = self.root().display();
        ["/etc/", "/var/lib/", "/usr/local/", "/srv/"]
            .iter()
            .fold(text.to_owned(), |text, path| text.replace(path, &format!("{root}{path}")))
    }

    fn write_programs(&self, dns: &DnsResponder) {
        let (root, base) = (self.root().display(), self.base);
        let bin = self.root().join("bin");
        for nothing in ["cargo", "useradd", "chown"] {
            write_program(&bin.join(nothing), "#!/bin/sh\nexit 0\n");
        }
        // There is no user of that name here.
        write_program(
            &bin.join("install"),
            "#!/bin/bash\narguments=()\nwhile [ $# -gt 0 ]; do\n  case \"$1\" in\n  -o|-g) [ \"$2\" = waxwingd ] || exit 1; \
             shift 2 ;;\n  *) arguments+=(\"$1\"); shift ;;\n  esac\ndone\nexec /usr/bin/install \"${arguments[@]}\"\n",
        );
        write_program(&bin.join("sudo"), "#!/bin/sh\n[ \"$1\" = -u ] && shift 2\nexec \"$@\"\n");
        write_program(
            &bin.join("certbot"),
            &format!("#!/bin/sh\nfor hook; do :; done\nRENEWED_LINEAGE={root} exec \"$hook\"\n"),
        );
        // The settings of the page, at ports of loopback, with the test's name server and authority.
        let ports = format!(
            "{{ client = {base}, client_tls = {}, server = {}, server_tls = {}, https = {} }}",
            base + 1,
            base + 2,
            base + 3,
            base + 4
        );
        let loopback = format!(
            "listen = \\\"127.0.0.1\\\"\\nports = {ports}\\nlogin = {{ scram_iterations = 4096 }}\\n\
             federation = {{ dns = \\\"{}\\\", ca_file = \\\"{root}/authority.pem\\\" }}\\n",
            dns.address()
        );
        // `up` in the foreground would never end: it is ready when it has answered.
        write_program(
            &bin.join("waxwingd"),
            &format!(
                "#!/bin/bash\nset -eu\nreal={}\ncase \" $* \" in\n*' up '*|*' up') ;;\n*) exec $real \"$@\" ;;\nesac\n\
                 settings={root}/settings.toml\nprintf \"{loopback}\" > $settings\narguments=()\n\
                 while [ $# -gt 0 ]; do\n  case \"$1\" in\n  --config) cat \"$2\" >> $settings; shift 2 ;;\n\
                 *) arguments+=(\"$1\"); shift ;;\n  esac\ndone\n\
                 HOME=${{HOME}} setsid $real --config $settings \"${{arguments[@]}}\" >> {root}/journal 2>&1 < /dev/null &\n\
                 echo $! > {root}/pid\n\
                 for _ in $(seq 200); do\n  grep -q 'is running' {root}/journal && exit 0\n\
                 kill -0 $! || {{ cat {root}/journal; exit 1; }}\n  sleep 0.1\ndone\nexit 1\n",
                env!("CARGO_BIN_EXE_waxwingd")
            ),
        );
        write_program(
            &bin.join("systemctl"),
            &format!(
                "#!/bin/bash\nset -eu\nstop() {{\n  [ -e {root}/pid ] || return 0\n  kill $(cat {root}/pid) || true\n\
                 while kill -0 $(cat {root}/pid) 2>/dev/null; do sleep 0.05; done\n  rm {root}/pid\n}}\n\
                 start() {{\n  mkdir -p {root}/var/lib/waxwingd\n  : > {root}/journal\n  line=$(sed -n 's/^ExecStart=//p' {root}/etc/systemd/system/waxwingd.service)\n\
                 test -x \"${{line%% *}}\"\n  waxwingd ${{line#* }}\n}}\n\
                 case \"$1\" in\ndaemon-reload) ;;\nenable|start) stop; start ;;\nstop) stop ;;\nrestart) stop; start ;;\n\
                 *) exit 1 ;;\nesac\n"
            ),
        );
        write_program(&bin.join("journalctl"), &format!("#!/bin/sh\ncat {root}/journal\n"));
    }

    /// Runs a script, and returns what it said.
    fn run(&self, script: &str, peer_link: &str) -> Output {
        let path = format!("{}:{}", self.root().join("bin").display(), std::env::var("PATH").expect("set"));
        let mut command = Command::new("bash");
        command.arg("-c").arg(script).current_dir(self.root().join("source"));
        command.env("PATH", path).env("HOME", self.root().join("home")).env("link", peer_link);
        command.env_remove("XDG_DATA_HOME").env_remove("XDG_CONFIG_HOME");
        command.output().expect("bash runs")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(self.root().join("pid")).ok();
        let pid = pid.and_then(|pid| rustix::process::Pid::from_raw(pid.trim().parse().ok()?));
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

#[test]
fn every_command_of_the_guide_does_what_it_says() {
    let dns = DnsResponder::start(([127, 0, 0, 1], 0).into()).expect("a free port");
    let machine = Machine::new(&dns);
    let services = ["_xmpp-client", "_xmpps-client", "_xmpp-server", "_xmpps-server"];
    dns.add(DOMAIN, Record::Address([127, 0, 0, 1].into()));
    for (nth, service) in (0..).zip(services) {
        dns.add(&format!("{service}._tcp.{DOMAIN}"), Record::srv(DOMAIN, machine.base + nth));
    }
    let other = Scratch::new();
    other.write_settings();
    let peer = other.up(&["--domain", "south.example"]);

    // The first try is a broker of its own, which the page stops with Ctrl-C.
    let blocks = blocks(GUIDE);
    assert!(blocks.len() >= 12, "{}", blocks.len());
    let mut script = "set -euo pipefail\n".to_owned();
    for (nth, block) in (0..).zip(&blocks) {
        // What is put back comes onto a machine that has the program and the service, and had neither data nor a start.
        if block.contains("account list") && block.contains("rm -rf") {
            script.push_str(&machine.moved("systemctl stop waxwingd\nrm -rf /var/lib/waxwingd\n"));
        }
        script.push_str(&format!("echo '## {nth}'\n{}", machine.moved(block)));
        // A second backup takes the place of the first.
        if block.contains("cp -a /var/lib") {
            let again = format!("touch /srv/backup/data/stale-wal /srv/keys/data.keys/stale\n{block}");
            script.push_str(&machine.moved(&again));
            script.push_str(&machine.moved("find /srv -name 'stale*' -o -path '*/data/data*' -type d\n"));
        }
        if nth == 0 {
            script.push_str("systemctl stop waxwingd\n");
        }
    }
    let output = machine.run(&script, peer.text("/peer_link"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));

    let part = |nth: usize| {
        let rest = said.split(&format!("## {nth}\n")).nth(1).expect("it was run");
        rest.split("\n## ").next().unwrap_or(rest)
    };
    let nth_of = |words: &str| blocks.iter().position(|block| block.contains(words)).expect(words);
    let doctor = part(nth_of("broker doctor\nbroker invite"));
    for good in
        ["certificate authority: a known authority vouches", "DNS _xmpps-server: other servers are sent to port"]
    {
        assert!(doctor.contains(&format!("good     {good}")), "{good}: {doctor}");
    }
    assert!(!doctor.contains("BAD"), "{doctor}");
    let link = doctor.lines().last().expect("lines");
    assert!(link.starts_with("xmpp:example.org?register;preauth=") && !link.contains("wx-pin"), "{link}");
    let people = part(nth_of("invite list"));
    assert!(people.contains("keeps bob@example.org") && people.contains("alice@example.org is open."), "{people}");
    assert!(part(nth_of("--admin")).contains("admin@example.org is open."));
    let journal = part(nth_of("journalctl"));
    for words in ["the broker is running", "the certificate is good", "how it is"] {
        assert!(journal.contains(words), "{words}: {journal}");
    }
    for name in ["alice", "bob", "admin@", "preauth", "127.0.0.1"] {
        assert!(!journal.contains(name), "{name}: {journal}");
    }
    assert!(!said.contains("/srv/"), "a backup has something of an older one: {said}");
    assert_eq!(part(nth_of("cp -a /srv")).trim(), "admin@example.org", "what was kept is there again");
    let peers = part(nth_of("peer add"));
    assert!(peers.contains("south.example  at 127.0.0.1:") && peers.contains("server south.example"), "{peers}");
    peer.terminate();
}

#[test]
fn the_service_file_is_one_and_gives_little_away() {
    let has = |line: &str| SERVICE.lines().any(|there| there == line);
    for line in [
        "Type=notify",
        "User=waxwingd",
        "StateDirectory=waxwingd",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "CapabilityBoundingSet=",
        "MemoryDenyWriteExecute=yes",
        "SystemCallFilter=~@privileged",
        "LimitCORE=0",
    ] {
        assert!(has(line), "{line}");
    }
    // The words after the program are a command line of ours.
    let line = SERVICE.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command");
    let mut words = line.split(' ');
    assert_eq!(words.next(), Some("/usr/local/bin/waxwingd"));
    let help = Command::new(env!("CARGO_BIN_EXE_waxwingd")).args(words).arg("--help").output().expect("it runs");
    assert!(help.status.success(), "{}", String::from_utf8_lossy(&help.stderr));
}
