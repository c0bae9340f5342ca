//! The fleet controller and a fleet of pods on a node, with the real terraform, the real controller, and the stand-in for RunPod.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod account;
mod credential;
mod definition;
mod faults;
mod fence;
mod gate;
mod killed;
mod kills;
mod kit;
mod plan;
mod references;
