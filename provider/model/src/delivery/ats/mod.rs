//! The configuration files of Apache Traffic Server, as a pure function of the spec, the version and where things lie.
//!
//! 9.x is executed in our tests. 10.x is rendered after its documentation (records.yaml, strict ip_allow) and was never
//! executed here.

mod ip_allow;
mod render;

pub use ip_allow::check_ip_allow;
pub use render::{Configuration, Paths, Version, configuration};
