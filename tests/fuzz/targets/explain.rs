//! Texts with errors to explain.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tests::hostile::explain::text(input));
