//! The `waxwing` program: everything is in the library.

use std::process::ExitCode;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use waxwing::cli::{self, Console};

/// Keeps the memory, in which keys and words are, out of core dumps and away from other programs of the same user. A system
/// that refuses is no reason to stop.
fn harden() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

fn main() -> ExitCode {
    harden();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let exit = runtime.block_on(cli::run(std::env::args_os(), &mut Console::of_process()));
            // A prompt that waits for the terminal must not hold the end up.
            runtime.shutdown_background();
            exit.into()
        }
        Err(error) => {
            eprintln!("waxwing cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}
