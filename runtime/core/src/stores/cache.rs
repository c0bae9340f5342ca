//! Caches: in the process, or in a server that speaks the Redis protocol.

pub(super) mod memory;
#[cfg(feature = "redis")]
pub(super) mod redis;
