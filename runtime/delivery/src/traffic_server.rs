//! Stub.
/// Stub.
pub struct TrafficServer;
