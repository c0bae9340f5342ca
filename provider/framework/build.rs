//! Generates the protocol's Rust types from `proto/`, without protoc.

use std::error::Error;

const FILES: [&str; 3] = ["proto/tfplugin6.proto", "proto/go_plugin.proto", "proto/health.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    let files = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure()
        // Payloads stay slices of the message they came in.
        .bytes(".")
        // Maps in one order, so that equal schemas are equal bytes.
        .btree_map(".")
        .generate_default_stubs(true)
        .build_transport(false)
        .client_mod_attribute(".", "#[cfg(feature = \"client\")]")
        .compile_fds(files)?;
    Ok(())
}
