//! Documents of credentials.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tests::hostile::imds::document(input));
