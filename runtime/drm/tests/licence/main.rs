//! The licence service, as a licensor with a clock of the test's own, and as the target that listens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod fuzzed;
mod hostile;
mod http;
mod kit;
mod oracle;
#[path = "../../../../acceptance-tests/platform/src/ports.rs"]
mod ports;
mod rules;
mod sequences;
