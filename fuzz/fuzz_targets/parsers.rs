//! The parser that `TRIBUTARY_FUZZ_TARGET` names, on whatever libFuzzer makes up.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/noise/parsers.rs"]
mod parsers;

static CHOSEN: OnceLock<parsers::Parser> = OnceLock::new();

fn choose() {
    let wanted = std::env::var("TRIBUTARY_FUZZ_TARGET").unwrap_or_default();
    let Some((_, parser)) = parsers::ALL.iter().find(|(name, _)| *name == wanted) else {
        let names: Vec<&str> = parsers::ALL.iter().map(|(name, _)| *name).collect();
        eprintln!("TRIBUTARY_FUZZ_TARGET is {wanted:?}; it has to be one of {}", names.join(", "));
        std::process::exit(2);
    };
    CHOSEN.get_or_init(|| *parser);
}

fuzz_target!(init: choose(), |bytes: &[u8]| {
    if let Some(parser) = CHOSEN.get() {
        parser(bytes);
    }
});
