//! The configuration files of Apache Traffic Server, as a pure function of the spec, the version and where things lie.
//!
//! Several origins are told in parent.config, not in strategies.yaml: 9.2.9 marks an origin on the edge's own host as down
//! for good there (`SELF_DETECT`), and with `first_live` and `rr_strict` refuses the key that would forgive it.
//!
//! 9.x is executed in our tests. 10.x is rendered after its documentation (records.yaml, strict ip_allow) and was never
//! executed here.

mod ip_allow;
mod render;

pub use ip_allow::check_ip_allow;
pub use render::{
    Configuration, MARK_HEADER, MARK_PATH, PURGE_HEADER, Paths, Version, configuration, purge_guard,
};
