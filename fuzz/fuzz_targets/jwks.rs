#![no_main]
#[allow(dead_code)] // each target is one of them
#[path = "../../tests/noise/parsers.rs"]
mod parsers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parsers::jwks(bytes));
