//! The event log of one machine: one process owns the files, others reach it over a Unix socket.

mod client;
mod groups;
mod segment;
mod server;
mod topics;

pub(super) use client::EmbeddedLog;
pub use server::EVENT_LOG;

use std::path::PathBuf;

use crate::context::ServiceContext;

/// Where the log of that name is reached.
fn socket(cx: &ServiceContext, name: &str) -> PathBuf {
    cx.run_dir.join(format!("event-log.{name}.sock"))
}
