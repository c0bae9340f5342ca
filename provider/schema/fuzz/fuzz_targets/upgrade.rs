//! A state of an older schema, read with a newer one.
#![no_main]

use tfplugin_schema::testing::properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::upgrade(data));
