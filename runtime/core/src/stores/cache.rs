//! Caches: in the process. A server that speaks the Redis protocol comes later.

pub(super) mod memory;
