//! What the program asks of the operating system for itself.

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Keeps the memory out of core dumps and away from debuggers of the same user, and new files readable by their owner
/// only. What the system refuses is a line of `doctor`, not a reason to stop.
pub(crate) fn harden() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    umask(Mode::RWXG | Mode::RWXO);
}

/// The crates whose log lines are written. Libraries are not among them: theirs name hosts.
const TARGETS: [&str; 4] = ["waxwingd", "waxwing_broker", "waxwing_net", "waxwing_store"];

/// Sends log lines to standard error: messages and levels, and nothing that names anybody, because no line in our
/// crates does.
pub(crate) fn log_to_stderr(level: LevelFilter) {
    let targets = Targets::new().with_targets(TARGETS.map(|target| (target, level)));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(targets);
    // A program that uses this library may have chosen its own way already.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}
