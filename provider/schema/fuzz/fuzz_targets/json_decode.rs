//! Any text as JSON of any type, read strictly and as a state.
#![no_main]

use tfplugin_schema::testing::properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    properties::json_decode(data, false);
    properties::json_decode(data, true);
});
