//! The in-process client: what it shows of an honest provider, and that each of Terraform core's assertions
//! fires on a dishonest one.
//!
//! [`acme`] is an honest provider of the framework with every kind of thing. [`puppet`] is a service of the
//! bare protocol, without the framework, whose answers a test spoils.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "helpers of tests stop a test too"
)]

mod acme;
mod dock;
mod evolving;
mod fixed;
mod framework_catches;
mod hand;
mod lifecycle;
mod puppet;
mod refused;
mod schemas;
mod sources;
mod spoiled;
mod unimplemented;
mod vault;
