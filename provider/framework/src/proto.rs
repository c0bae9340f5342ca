//! The generated protocol: messages, server traits and clients. `proto/` holds their sources.
//!
//! A server trait's RPC that is left out answers `Unimplemented`, which is how a newer host learns that this
//! provider is older. Every `bytes` field is a [`bytes::Bytes`], a slice of the message it came in.

/// The provider protocol, version 6.11.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, rust_2018_idioms)]
pub mod tfplugin6 {
    include!(concat!(env!("OUT_DIR"), "/tfplugin6.rs"));
}

/// The services that go-plugin expects beside the provider.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, rust_2018_idioms)]
pub mod go_plugin {
    include!(concat!(env!("OUT_DIR"), "/plugin.rs"));
}

/// The standard gRPC health service.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, rust_2018_idioms)]
pub mod health {
    include!(concat!(env!("OUT_DIR"), "/grpc.health.v1.rs"));
}
