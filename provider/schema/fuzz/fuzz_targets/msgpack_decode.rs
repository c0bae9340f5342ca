//! Any bytes as msgpack of any type.
#![no_main]

use tfplugin_schema::testing::properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::msgpack_decode(data));
