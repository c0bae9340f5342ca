//! The transport on real sockets: against a client that plays go-plugin's host, and under the real CLI.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop at the first wrong thing"
)]
#![cfg(unix)]

mod connection;
mod kit;
mod log;
mod reattach;
mod schemas;
mod terraform;
