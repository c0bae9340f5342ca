//! What viewers talk to: the origin, the page, and the driver of Traffic Server.

mod origin;
mod player;
mod traffic_server;

pub use origin::ORIGIN;
pub use player::PLAYER;
pub use traffic_server::TrafficServer;
