//! Any bytes as a token, and as header and claims of one that the issuer signed.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streamverse_fuzz::token::any(data));
