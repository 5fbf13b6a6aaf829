//! The broker program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    waxwingd::cli::run(std::env::args_os())
}
