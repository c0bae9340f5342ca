//! What viewers talk to: the origin, channels, the page, and the driver of Traffic Server.

mod calendar;
mod channel;
mod origin;
mod player;
mod traffic_server;

pub use channel::{EPG, FAST_CHANNEL, NoQuestion, Question};

// The bodies of the fuzzers name this crate as others do.
#[cfg(test)]
extern crate self as streamverse_delivery;
pub use origin::ORIGIN;
pub use player::PLAYER;
pub use traffic_server::TrafficServer;
