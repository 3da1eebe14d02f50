//! Noise for every parser that meets bytes from outside: none may panic, hang or break a promise.
//!
//! The corpus of each parser is a folder of `tests/golden/noise`, beside what other tests have as examples. Its files are
//! damaged in the ways that files are damaged, and mixed. The same parsers are the targets of `cargo fuzz` in `fuzz/`.
//!
//! `TRIBUTARY_NOISE=1000000 cargo test --test noise` tries so many damaged files for each parser.

#[allow(dead_code)] // the simulation uses all of it
#[path = "../simulation/dice.rs"]
mod dice;
mod parsers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use dice::Dice;
use parsers::{ALL, Parser};

const TRIES: u64 = 20_000;
/// What parsers treat as special.
const WORDS: [&[u8]; 16] = [
    b"\0",
    b"\xff\xff\xff\xff\x0f",
    b"\x80\x80\x80\x80\x10",
    b"-",
    b"e-400",
    b"1e99999",
    b"99999999999999",
    b"NaN",
    b"null",
    b"{",
    b"]",
    b"\"",
    b"\\u0000",
    b"${X}",
    b"*a",
    b"2026-02-29",
];

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut folders = vec![root.join("tests/golden/noise").join(name)];
    match name {
        "avro" => folders.push(root.join("tests/golden/wire")),
        "config" => folders.extend([root.join("tests/config"), root.join("examples")]),
        _ => {}
    }
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if name != "avro" || path.extension().is_some_and(|extension| extension == "avro") {
                files.push(path);
            }
        }
    }
    files.sort();
    files.iter().map(|path| std::fs::read(path).expect("a file can be read")).collect()
}

/// A file of the corpus after an accident or some.
fn damaged(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[dice.below(corpus.len())].clone();
    for _ in 0..1 + dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        let end = at + dice.below(bytes.len() - at + 1);
        match dice.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => bytes[at] = dice.below(256) as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..(at + 1 + dice.below(8)).min(end.max(at)))),
            4 => drop(bytes.splice(at..at, WORDS[dice.below(WORDS.len())].iter().copied())),
            5 if bytes.len() < 1 << 14 => {
                let part = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, part));
            }
            6 => {
                let other = &corpus[dice.below(corpus.len())];
                let from = dice.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => drop(bytes.splice(at..at, (0..dice.below(6)).map(|_| dice.below(256) as u8).collect::<Vec<_>>())),
        }
    }
    bytes
}

fn check(name: &str, parser: Parser, bytes: &[u8], what: &str) {
    if catch_unwind(AssertUnwindSafe(|| parser(bytes))).is_err() {
        let copy = std::env::temp_dir().join(format!("noise-{name}"));
        let _ = std::fs::write(&copy, bytes);
        panic!("{name}: {what}: see above; the {} bytes are in {}", bytes.len(), copy.display());
    }
}

fn noise(name: &str) {
    let parser = ALL.iter().find(|(known, _)| *known == name).expect("a parser").1;
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "{name} has no corpus");
    for (at, bytes) in corpus.iter().enumerate() {
        check(name, parser, bytes, &format!("file {at} of the corpus"));
    }
    let tries = std::env::var("TRIBUTARY_NOISE").ok().map_or(TRIES, |text| text.parse().expect("a number of tries"));
    for seed in 0..tries {
        let bytes = damaged(&mut Dice::new(seed), &corpus);
        check(name, parser, &bytes, &format!("seed {seed}"));
    }
}

macro_rules! noise {
    ($($name:ident),*) => {$(#[test] fn $name() { noise(stringify!($name)); })*};
}

noise!(avro, key, amount, billing_row, bill, inventory, headers, prometheus, rules, config, dotenv, query, body);
noise!(jwt, jwks, claims, map_file);
