//! Placeholder.

pub mod log;
pub mod proto;
pub mod transport;
