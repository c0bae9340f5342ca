//! The node agent: holds the desired state of one host and keeps it running.
//!
//! It answers the API of `streamverse_model::platform::node` on a Unix socket that only its owner may use, keeps one file
//! per owner, and gives each service, job and engine a keeper. Processes outlive the agent: the next one finds them by
//! process id, start time and boot id, and goes on keeping them.

mod agent;
mod api;
mod cli;
mod files;
mod inside;
mod install;
mod keeper;
mod look;
mod metrics;
mod open_log;
mod probe;
mod process;
mod secrets;
mod tls;

pub use agent::{Agent, Config};
pub use cli::{NodeCommand, run};
