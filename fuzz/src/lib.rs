//! What every parser must survive: one plain function per parser, and a driver that runs on stable Rust.
//!
//! A target takes any bytes and must return. Inside, it asserts what must hold for whatever was accepted: reading what
//! was written gives the same again, a refusal changes nothing, two ways of reading agree. A panic is a finding.
//!
//! | to | do |
//! |---|---|
//! | run everything briefly | `cargo test -p waxwing-fuzz`: corpora, seeds, some mutations of them |
//! | look longer | `cargo run -p waxwing-fuzz --release --bin driver -- 10000000 1 scanner` (count, seed, targets; all by default) |
//! | keep a finding | put its bytes into `corpus/<target>/`; they are replayed from then on |
//! | use a coverage-guided fuzzer | call the function from its entry point; none is needed here |
//!
//! Everything is deterministic: a finding is repeated from target, seed and count alone.

pub mod differential;
pub mod driver;
pub mod rng;
pub mod targets;

/// One parser.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Feeds it; panics when something is wrong.
    pub run: fn(&[u8]),
    /// How many times longer an input takes than one of the quickest target; it gets that many times fewer.
    pub cost: u64,
    /// Inputs that it accepts, made rather than stored because they hold keys or are long.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 11] = [
    Target { name: "stanzas", cost: 1, run: targets::scanner::stanzas, seeds: targets::scanner::stanza_seeds },
    Target { name: "scanner", cost: 2, run: targets::scanner::scanner, seeds: no_seeds },
    Target { name: "jid", cost: 1, run: targets::jid::jid, seeds: no_seeds },
    Target { name: "sasl", cost: 20, run: targets::sasl::sasl, seeds: targets::sasl::seeds },
    Target { name: "ratchet", cost: 200, run: targets::ratchet::ratchet, seeds: targets::ratchet::seeds },
    Target { name: "state", cost: 50, run: targets::state::state, seeds: targets::state::seeds },
    Target { name: "keyfile", cost: 1, run: targets::state::keyfile, seeds: targets::state::keyfile_seeds },
    Target { name: "envelope", cost: 4, run: targets::envelope::envelope, seeds: targets::envelope::seeds },
    Target { name: "omemo", cost: 10, run: targets::omemo::omemo, seeds: targets::omemo::seeds },
    Target { name: "proxy", cost: 1, run: targets::proxy::proxy, seeds: targets::proxy::proxy_seeds },
    Target { name: "uris", cost: 1, run: targets::uris::uris, seeds: no_seeds },
];

fn no_seeds() -> Vec<Vec<u8>> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many mutated inputs each target gets in an ordinary test run.
    const ITERATIONS: u64 = 2000;

    #[test]
    fn every_corpus_is_replayed_and_mutated() {
        let asked = std::env::var("WAXWING_FUZZ_ITERATIONS").ok().and_then(|n| n.parse().ok());
        for target in TARGETS {
            assert!(!driver::corpus(&target).is_empty(), "{} has neither corpus nor seeds", target.name);
            driver::run(&target, asked.unwrap_or(ITERATIONS), 1);
        }
    }

    #[test]
    fn corpora_belong_to_targets() {
        for entry in std::fs::read_dir(driver::corpus_directory()).expect("the corpus is in the repository") {
            let name = entry.expect("a readable directory").file_name();
            assert!(TARGETS.iter().any(|t| name == t.name), "no target is called {name:?}");
        }
    }

    /// The driver must find what is there to be found.
    #[test]
    fn a_broken_parser_is_found_out() {
        fn chokes_on_two_brackets(data: &[u8]) {
            assert!(!data.windows(2).any(|w| w == b"<<"), "found");
        }
        fn seeds() -> Vec<Vec<u8>> {
            vec![b"<a></a>".to_vec()]
        }
        let broken = Target { name: "broken", cost: 1, run: chokes_on_two_brackets, seeds };
        let found = std::panic::catch_unwind(|| driver::run(&broken, 20_000, 1));
        assert!(found.is_err());
    }
}
