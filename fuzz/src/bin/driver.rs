//! Runs targets for as long as one likes: `driver [iterations] [seed] [target…]`, all targets by default.

use std::process::ExitCode;

use waxwing_fuzz::{TARGETS, driver};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |fallback: u64| match arguments.next() {
        Some(text) => text.parse().map_err(|_| text),
        None => Ok(fallback),
    };
    let (iterations, seed) = match (number(100_000), number(1)) {
        (Ok(iterations), Ok(seed)) => (iterations, seed),
        (Err(text), _) | (_, Err(text)) => {
            eprintln!("not a number: {text}\nusage: driver [iterations] [seed] [target…]");
            return ExitCode::from(2);
        }
    };
    let wanted: Vec<String> = arguments.collect();
    if let Some(unknown) = wanted.iter().find(|name| !TARGETS.iter().any(|t| t.name == *name)) {
        let names: Vec<_> = TARGETS.iter().map(|t| t.name).collect();
        eprintln!("there is no target called {unknown}; there are: {}", names.join(" "));
        return ExitCode::from(2);
    }
    for target in TARGETS.iter().filter(|t| wanted.is_empty() || wanted.iter().any(|name| name == t.name)) {
        let ran = driver::run(target, iterations, seed);
        println!("{}: {ran} inputs, nothing found", target.name);
    }
    ExitCode::SUCCESS
}
