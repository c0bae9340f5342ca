//! What can go wrong on a host: memory, disk, ports and programs that are not there, a user of services that plants links. Each
//! is a clear state of the resource, and passes by itself where its cause does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "../node/kit.rs"]
#[allow(dead_code, reason = "shared with the tests of a node")]
mod kit;

mod host;
mod inside;
mod kept;
mod links;
mod parts;
mod upgrade;
