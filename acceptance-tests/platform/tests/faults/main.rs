//! What can go wrong on a host: memory, disk, ports and programs that are not there, a user of services that plants links. Each
//! is a clear state of the resource, and passes by itself where its cause does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

use streamverse_acceptance::kit;

mod host;
mod inside;
mod kept;
mod links;
mod parts;
mod upgrade;
