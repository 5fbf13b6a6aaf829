//! The `waxwing` program: everything is in the library.

use std::process::ExitCode;

use waxwing::cli::{self, Console};

fn main() -> ExitCode {
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
