//! Files of the queue.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tests::hostile::kept::queue_item(input));
