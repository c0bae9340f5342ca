//! The provider on a node of this host: the real terraform, a real agent, a real Traffic Server, real videos.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it must be"
)]

use streamverse_acceptance::kit;

mod attributes;
mod crash;
mod definition;
mod killed;
mod lifecycle;
mod pictures;
mod plan;
mod protected;
mod readers;
mod screen;
mod stage;
mod watched;
mod whole;
