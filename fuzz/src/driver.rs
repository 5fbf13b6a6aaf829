//! Makes inputs out of corpora and seeds, deterministically, and feeds them to a target.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;

use crate::Target;
use crate::rng::Rng;

/// Longest input made, in bytes.
const INPUT_BYTES_MAX: usize = 16 * 1024;

/// Pieces of our formats, which chance alone would seldom put together.
const DICTIONARY: [&[u8]; 48] = [
    b"<",
    b">",
    b"/>",
    b"</",
    b"='",
    b"\"",
    b"&lt;",
    b"&#",
    b"&#x0;",
    b"&amp;",
    b"]]>",
    b"<![CDATA[",
    b"<!--",
    b"<?xml",
    b"<!DOCTYPE x>",
    b" xmlns='urn:x'",
    b" xmlns=''",
    b"xmlns:a='b'",
    b"xml:lang='en'",
    b"a:b",
    b"<message>",
    b"</message>",
    b"<body>",
    b"\xc3\xa9",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\x00",
    b"\r\n",
    b"@",
    b"/",
    b"%",
    b"%2f",
    b"%00",
    b"?",
    b";",
    b"=",
    b",",
    b"#",
    b":",
    b"AAAA",
    b"==",
    b"4294967295",
    b"-1",
    b"\xff\xff\xff\xff\x0f",
    b"\x80",
];

/// Where the corpora lie.
#[must_use]
pub fn corpus_directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// Reads the corpus of a target in the order of the files' names, and appends the seeds.
#[must_use]
pub fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(corpus_directory().join(target.name))
        .map(|entries| entries.filter_map(|e| e.ok().map(|e| e.path())).collect())
        .unwrap_or_default();
    paths.sort();
    let mut inputs: Vec<Vec<u8>> = paths.iter().filter_map(|path| fs::read(path).ok()).collect();
    inputs.extend((target.seeds)());
    inputs
}

/// Feeds a target its corpus and seeds as they are, then mutations of them; returns how many inputs it got.
///
/// There are `iterations` mutations, divided by the target's cost.
///
/// # Panics
///
/// When the target does: the input is printed first, in hexadecimal.
pub fn run(target: &Target, iterations: u64, seed: u64) -> u64 {
    let inputs = corpus(target);
    for input in &inputs {
        feed(target, input);
    }
    let mut rng = Rng::new(seed);
    let iterations = iterations.div_ceil(target.cost.max(1));
    for _ in 0..iterations {
        let mut input = inputs.get(rng.below(inputs.len())).cloned().unwrap_or_default();
        for _ in 0..=rng.below(4) {
            mutate(&mut input, &inputs, &mut rng);
        }
        input.truncate(INPUT_BYTES_MAX);
        feed(target, &input);
    }
    inputs.len() as u64 + iterations
}

fn feed(target: &Target, input: &[u8]) {
    if let Err(finding) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        let hexadecimal: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("{} fails on {} bytes: {hexadecimal}", target.name, input.len());
        resume_unwind(finding);
    }
}

fn mutate(input: &mut Vec<u8>, inputs: &[Vec<u8>], rng: &mut Rng) {
    let at = rng.below(input.len() + 1);
    let len = rng.below(1 + input.len().saturating_sub(at).min(32));
    match rng.below(9) {
        0 => {
            let bit = rng.below(8);
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        1 => {
            let new = rng.byte();
            if let Some(byte) = input.get_mut(at) {
                *byte = new;
            }
        }
        2 => drop(input.drain(at..at + len)),
        3 => {
            let piece = input.get(at..at + len).unwrap_or_default().to_vec();
            insert(input, rng, &piece);
        }
        4 => {
            let piece: Vec<u8> = (0..=rng.below(8)).map(|_| rng.byte()).collect();
            insert(input, rng, &piece);
        }
        5 | 6 => {
            let piece = DICTIONARY.get(rng.below(DICTIONARY.len())).copied().unwrap_or_default();
            insert(input, rng, piece);
        }
        7 => {
            let other = inputs.get(rng.below(inputs.len())).map(Vec::as_slice).unwrap_or_default();
            let from = rng.below(other.len() + 1);
            let tail = other.get(from..).unwrap_or_default();
            input.truncate(at);
            input.extend_from_slice(tail);
        }
        _ => input.truncate(at),
    }
}

fn insert(input: &mut Vec<u8>, rng: &mut Rng, piece: &[u8]) {
    let at = rng.below(input.len() + 1);
    input.splice(at..at, piece.iter().copied());
}
