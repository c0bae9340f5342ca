//! Any bytes as a licence request of W3C ClearKey.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streamverse_fuzz::licence_request::any(data));
