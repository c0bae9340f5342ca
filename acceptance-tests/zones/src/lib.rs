//! A stand-in for clouds whose zones have spot and on-demand groups: one process that is AWS, GCP and Azure at once, on a virtual clock,
//! with a market of traces, notices through each cloud's metadata protocol, faults that a test scripts or dice decide, and a ledger
//! that gives every verdict.
//!
//! [`StandIn`] is a test's hand on the process, [`ZonesCloud`] its adapter: a [`streamverse_compute::cloud::Cloud`] as AWS', GCP's and
//! Azure's are.

mod api;
mod cloud;
mod config;
pub mod controllers;
mod dice;
mod faults;
mod ledger;
mod metadata;
mod process;
mod replay;
pub mod rig;
mod server;
mod verdict;
mod wire;
mod world;

use std::path::Path;
use std::sync::{Arc, Mutex};

use streamverse_stand_in::Ledger;

pub use cloud::ZonesCloud;
pub use config::{Config, EPOCH_MS, KEY, QuotaConfig, Settings, ZoneConfig, made_up, recorded};
pub use dice::Dice;
pub use ledger::{Entry, Event};
pub use process::StandIn;
pub use replay::{differences, first_days, pure, report, through_controller};
pub use verdict::{Account, Life, Timeline};
pub use wire::{Answer, Lost, Wire};

/// Runs the stand-in until standard input ends.
///
/// # Errors
/// When it cannot listen, read its beginning, or write its ledger.
pub fn run(config: &Path, ledger: &Path) -> std::io::Result<()> {
    let config: Config = serde_json::from_slice(&std::fs::read(config)?)?;
    let world = Arc::new(Mutex::new(world::World::new(config, Ledger::new(ledger)?)));
    let serve =
        |listener| streamverse_stand_in::serve(listener, move |call| server::one(Arc::clone(&world), call));
    streamverse_stand_in::run(1, serve, || {})
}
