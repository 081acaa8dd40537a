//! HTTP responses of the metadata service.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tests::hostile::imds::response(input));
