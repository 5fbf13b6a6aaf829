//! The other people's programs that the interop tests talk to: what is missing is named, then installed.

use std::io::{IsTerminal, Write};
use std::path::Path;

use crate::{Options, run};

/// Debian packages, and the program that shows that each is there.
const PACKAGES: &[(&str, &str)] = &[
    ("prosody", "prosody"),
    (
        "lua-unbound",
        "/usr/share/lua/5.4/unbound.lua:/usr/lib/x86_64-linux-gnu/lua/5.4/lunbound.so:/usr/lib/aarch64-linux-gnu/lua/5.4/lunbound.so",
    ),
    ("ejabberd", "ejabberdctl"),
    ("profanity", "profanity"),
    ("go-sendxmpp", "go-sendxmpp"),
    ("tmux", "tmux"),
    ("dino-im", "dino-im"),
    ("xvfb", "Xvfb"),
    ("xdotool", "xdotool"),
    ("dbus-daemon", "dbus-run-session"),
    ("sqlite3", "sqlite3"),
    ("libomemo-c0", "/usr/lib/x86_64-linux-gnu/libomemo-c.so.0:/usr/lib/aarch64-linux-gnu/libomemo-c.so.0"),
];

/// Python packages of the virtual environment `target/peers/python`.
const PYTHON: &[&str] = &["slixmpp==1.17.0", "slixmpp-omemo==2.2.0"];

/// Installs what is missing; asks first unless `--yes` is given or `CI` is set.
pub(crate) fn install(options: &Options) -> Result<(), String> {
    println!("\n== peers for the interop tests ==");
    let missing: Vec<&str> =
        PACKAGES.iter().filter(|(_, proof)| !is_there(proof)).map(|(package, _)| *package).collect();
    let venv = run::root().join("target/peers/python");
    let python_missing = !venv.join("ready").exists();
    if missing.is_empty() && !python_missing {
        println!("all there");
        return Ok(());
    }
    if !missing.is_empty() {
        println!("Debian packages to install: {}", missing.join(" "));
    }
    if python_missing {
        println!("Python packages to install into {}: {}", venv.display(), PYTHON.join(" "));
    }
    if !options.has("--yes") && std::env::var_os("CI").is_none() && !confirmed()? {
        return Err("nothing installed; `cargo xtask test --no-interop` runs everything else".into());
    }
    if !missing.is_empty() {
        apt(&missing)?;
    }
    if python_missing {
        python(&venv)?;
    }
    Ok(())
}

fn is_there(proof: &str) -> bool {
    proof.split(':').any(|p| if p.starts_with('/') { Path::new(p).exists() } else { run::has(p) })
}

fn confirmed() -> Result<bool, String> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    print!("Install them now? [y/N] ");
    std::io::stdout().flush().map_err(|e| e.to_string())?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|e| e.to_string())?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}

fn apt(missing: &[&str]) -> Result<(), String> {
    // Debian starts services when it installs them; the tests start their own, so nothing may be left running.
    let policy = Path::new("/usr/sbin/policy-rc.d");
    let ours = !policy.exists() && std::fs::write(policy, "#!/bin/sh\nexit 101\n").is_ok();
    if ours {
        run::step("no services", "chmod", &["755", "/usr/sbin/policy-rc.d"])?;
    }
    let mut args = vec!["install", "-y", "--no-install-recommends"];
    args.extend(missing);
    let outcome =
        run::step("package lists", "apt-get", &["update", "-q"]).and_then(|()| run::step("packages", "apt-get", &args));
    if ours {
        std::fs::remove_file(policy).map_err(|e| format!("{}: {e}", policy.display()))?;
    }
    outcome
}

fn python(venv: &Path) -> Result<(), String> {
    let dir = venv.display().to_string();
    run::step("python environment", "python3", &["-m", "venv", &dir])?;
    let pip = format!("{dir}/bin/pip");
    let mut args = vec!["install", "--quiet", "--disable-pip-version-check"];
    args.extend(PYTHON);
    run::step("python packages", &pip, &args)?;
    std::fs::write(venv.join("ready"), PYTHON.join("\n")).map_err(|e| e.to_string())
}
