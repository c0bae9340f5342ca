//! Any bytes as an address of a channel, and as what stands behind its question mark.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streamverse_fuzz::playlist_query::any(data));
