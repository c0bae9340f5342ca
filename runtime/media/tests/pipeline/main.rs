//! The whole way of an asset, with the real ffmpeg and Shaka Packager: fetched, encoded, packaged, published; broken and
//! odd sources; workers that are killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it must be"
)]

mod again;
mod faults;
mod hostile;
mod kit;
mod pictures;
mod protected;
mod rehearsal;
mod stopped;
mod tiers;
mod whole;
