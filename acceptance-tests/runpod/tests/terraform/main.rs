//! The resources of RunPod with the real terraform, against the stand-in.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod definition;
mod faults;
mod kills;
mod kit;
mod offers;
mod owners;
mod pointed;
mod replaced;
mod sweep;
