//! The same resources on a real Kubernetes API server, with its controllers and scheduler, on simulated nodes (kwok).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says aloud what it skips"
)]

mod access;
mod definition;
mod drain;
mod examples;
mod faults;
mod fleet;
mod hcl;
mod kafka;
mod keys;
mod lease;
mod lifecycle;
mod moved;
mod plan;
mod policies;
mod protected;
mod render;
mod scaler;
mod security;
mod timeouts;
