//! Caches: in the process, or a server that speaks the Redis protocol (Dragonfly, Valkey).

pub(super) mod memory;
#[cfg(feature = "redis")]
pub(super) mod redis;
