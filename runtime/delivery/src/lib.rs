//! What viewers talk to: the origin, channels, the page, and the driver of Traffic Server.

mod calendar;
mod channel;
mod origin;
mod player;
mod traffic_server;

pub use channel::{EPG, FAST_CHANNEL};
pub use origin::ORIGIN;
pub use player::PLAYER;
pub use traffic_server::TrafficServer;
