//! The state of an earlier process.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tests::hostile::kept::state(input));
