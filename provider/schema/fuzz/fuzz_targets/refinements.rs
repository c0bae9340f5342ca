//! Any bytes as what is known of an unknown value.
#![no_main]

use tfplugin_schema::testing::properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::refinements(data));
