//! Configurations.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tests::hostile::config::text(input));
