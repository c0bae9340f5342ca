//! A real Traffic Server under changes, load and failures, driven by Terraform.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod changes;
mod kit;
mod routes;
mod serving;
mod upstream;
