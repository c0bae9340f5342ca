//! The key service on a node of this host: the real terraform, a real agent, the real command line, readers of documents
//! that are not ours.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it must be"
)]

mod documents;
mod kills;
mod kit;
mod lifecycle;
mod moved;
mod vault;
