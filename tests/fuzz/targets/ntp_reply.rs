//! Replies of time servers.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tests::hostile::ntp::reply(input));
