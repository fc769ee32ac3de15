#![no_main]

#[allow(dead_code, reason = "each target runs one of them")]
#[path = "../../tests/it/entries.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entries::import(data));
