//! Any bytes as the spec of a channel, which is then checked, shown and played.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streamverse_fuzz::schedule::any(data));
