//! What viewers reach: origin, edge, page.

pub mod ats;
mod ats_edge;
mod edge_check;
mod origin;
mod player;

pub use ats_edge::{
    AtsEdgeSpec, AtsEdgeSpecPath, AtsEdgeSpecView, CacheRules, CacheRulesPath, CacheRulesView, HealthCheck,
    HealthCheckPath, HealthCheckView, Parent, ParentPath, ParentPolicy, ParentView, Route, RoutePath,
    RouteView, TlsSpec, TlsSpecPath, TlsSpecView,
};
pub use edge_check::check;
pub use origin::{OriginSpec, OriginSpecPath, OriginSpecView};
pub use player::{
    DemoAccount, DemoAccountPath, DemoAccountView, PlayerChannel, PlayerChannelPath, PlayerChannelView,
    PlayerLicence, PlayerLicencePath, PlayerLicenceView, PlayerSpec, PlayerSpecPath, PlayerSpecView,
    TOKEN_KEY, check_player,
};
