//! What `cargo xtask bench framework` runs: providers to measure, and the driver that measures them. Figures are
//! reported and never asserted; `docs/framework/performance.md` has the last ones.

pub mod driver;
pub mod providers;
