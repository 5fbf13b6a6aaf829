//! The one command for everything around the code: `cargo xtask test`, `check`, `fuzz`, `bench`, `mutants`, `setup`.

mod licences;
mod mutants;
mod peers;
mod run;
mod style;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command> [options]

  test      everything: format, clippy, tests, interop with other servers and clients, short fuzz, licences
              --yes         install missing peers without asking (also when CI is set)
              --no-interop  leave out what needs other people's programs
  demo      two servers and two people on this machine, and the proof that nobody could read along
  check     the quick part of it: format, house rules, licences, clippy
  fuzz      mutated input against every parser
              --iterations N   per target (default 1000000)
              --seed N         to repeat a run (default 1)
  bench     this broker beside Prosody, ejabberd and a bare relay, in one run; prints the tables of docs/benchmarks.md
              servers, latency, client   only these parts
              load          instead: attacks beside two people who talk, for long (--scale N, default 10)
              --messages N  of the client's conversation (default 10000)
              --quick       shorter runs, for a first look
              --only NAME   one of relay, waxwingd, prosody, ejabberd
  mutants   take defences out one by one (xtask/mutations.toml) and see their tests fail
              NAME          only a row of the attack list (C22) or a crate (crypto)
              --all         instead: everything that cargo-mutants thinks of, in the guarded crates (hours)
              --shard N/M   a part of that
  setup     install the peers that the interop tests talk to, and nothing else
              --yes         without asking
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let options = Options(args.get(1..).unwrap_or_default().to_vec());
    let outcome = match args.first().map(String::as_str) {
        Some("test") => test(&options),
        Some("check") => check(),
        Some("demo") => demo(),
        Some("fuzz") => fuzz(&options),
        Some("bench") => bench(&options),
        Some("mutants") => mutants::replay(&options),
        Some("setup") => peers::install(&options),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\nxtask: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What stands behind the command.
pub(crate) struct Options(Vec<String>);

impl Options {
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.0.iter().any(|a| a == flag)
    }

    /// The word that is no option.
    pub(crate) fn word(&self) -> Option<&str> {
        self.0.iter().map(String::as_str).find(|word| !word.starts_with("--") && !word.contains('/'))
    }

    pub(crate) fn value(&self, flag: &str) -> Option<String> {
        let at = self.0.iter().position(|a| a == flag)?;
        self.0.get(at + 1).cloned()
    }

    fn number(&self, flag: &str, default: u64) -> Result<u64, String> {
        let Some(at) = self.0.iter().position(|a| a == flag) else { return Ok(default) };
        let value = self.0.get(at + 1).ok_or(format!("{flag} needs a number"))?;
        value.parse().map_err(|_| format!("{flag}: {value:?} is not a number"))
    }
}

fn check() -> Result<(), String> {
    style::check()?;
    mutants::check()?;
    licences::check()?;
    run::step("format", "cargo", &["fmt", "--all", "--check"])?;
    run::step("clippy", "cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

/// Tells whoever builds for the first time how long that takes.
fn announce_first_build(profile: &str, words: &str) {
    // This program itself is built without the runtime, everything else with it.
    let built = std::fs::read_dir(run::root().join("target").join(profile).join("deps"));
    if !built.into_iter().flatten().flatten().any(|file| file.file_name().to_string_lossy().starts_with("libtokio-")) {
        println!("{words}");
    }
}

fn demo() -> Result<(), String> {
    announce_first_build(
        "release",
        "The first build, with optimisation, takes several minutes; the demo then takes some seconds.",
    );
    run::step("demo", "cargo", &["run", "--release", "--package", "waxwing", "--", "demo"])
}

fn test(options: &Options) -> Result<(), String> {
    // What needs an answer comes first, so that nobody has to wait for the question.
    let with_interop = !options.has("--no-interop");
    if with_interop {
        peers::install(options)?;
    }
    announce_first_build(
        "debug",
        "The first build takes about 7 minutes (measured with two cores of an AMD EPYC); the tests follow.",
    );
    check()?;
    run::step("docs", "cargo", &["doc", "--workspace", "--no-deps", "--lib"])?;
    run::step("tests", "cargo", &["test", "--workspace"])?;
    run::step("fuzz (short)", "cargo", &fuzz_command("50000", "1"))?;
    let mut differential = fuzz_command("1000000", "2");
    differential.push("stanzas");
    run::step("scanner against rxml", "cargo", &differential)?;
    if !with_interop {
        println!("\n== interop: left out on request, so this was not the whole test ==");
        return Ok(());
    }
    run::step(
        "interop",
        "cargo",
        &["test", "--package", "waxwing-tests", "--test", "interop", "--", "--test-threads=2"],
    )
}

/// The load tests, for long, one after another; each prints a line of a table.
fn bench_load(options: &Options) -> Result<(), String> {
    let scale = options.number("--scale", 10)?.to_string();
    let args = ["test", "--release", "--package", "waxwing-tests", "--test", "load", "--", "--nocapture"];
    println!(
        "| attack | messages | p50 | p99 | bytes held at most | dials | descriptors |\n|---|---|---|---|---|---|---|"
    );
    run::step_with("load", "cargo", &args, &[("WAXWING_LOAD_SCALE", std::path::Path::new(&scale))])
}

fn bench(options: &Options) -> Result<(), String> {
    if options.has("load") {
        return bench_load(options);
    }
    peers::install(options)?;
    // Each program by itself: a build of the whole workspace would unify features.
    run::step("build the broker", "cargo", &["build", "--release", "--package", "waxwingd"])?;
    run::step("build the client", "cargo", &["build", "--release", "--package", "waxwing"])?;
    let mut args = vec!["run", "--release", "--package", "waxwing-tests", "--bin", "bench", "--"];
    args.extend(options.0.iter().map(String::as_str));
    // The released programs, and not those that tests build.
    run::step_with("benchmark", "cargo", &args, &[("WAXWING_PROGRAMS", &run::root().join("target/release"))])
}

fn fuzz(options: &Options) -> Result<(), String> {
    let iterations = options.number("--iterations", 1_000_000)?.to_string();
    let seed = options.number("--seed", 1)?.to_string();
    run::step("fuzz", "cargo", &fuzz_command(&iterations, &seed))
}

fn fuzz_command<'a>(iterations: &'a str, seed: &'a str) -> Vec<&'a str> {
    vec!["run", "--release", "--package", "waxwing-fuzz", "--bin", "driver", "--", iterations, seed]
}
