//! What every StreamVerse service shares: how it starts, tells that it is ready, drains and stops; health and metrics;
//! tracing; child processes under limits; stores.

mod context;
pub mod engine;
mod error;
pub mod http;
mod lifecycle;
pub mod log;
mod metrics;
pub mod run;
pub mod stores;
mod target;
pub mod telemetry;
pub mod tool;

pub use context::ServiceContext;
pub use error::{Error, Result};
pub use lifecycle::{Ready, Service, Stop};
pub use metrics::Metrics;
pub use target::{Job, JobHandle, JobNews, Start, Starting, Target, TargetTable};
