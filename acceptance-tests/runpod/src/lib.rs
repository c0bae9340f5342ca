//! A stand-in for RunPod's REST API v2: stateful, held to RunPod's own API description in both directions, with faults, stock and
//! clocks that a test sets, and a ledger that says what was made and for how long.
//!
//! It is a process of its own. [`StandIn`] is a test's hand on it.

mod cuda;
mod ledger;
mod openapi;
mod pods;
mod process;
mod schema;
mod server;
mod stock;
mod things;
mod world;

use std::path::Path;
use std::sync::{Arc, Mutex};

use streamverse_stand_in::{Ledger, lock};

pub use ledger::{Account, Entry};
pub use process::StandIn;
pub use server::KEY;

/// Runs the stand-in until standard input ends.
///
/// # Errors
/// When it cannot listen, or write its ledger.
pub fn run(ledger: &Path) -> std::io::Result<()> {
    let description = openapi::Description::load();
    if description.is_none() {
        eprintln!(
            "SKIPPED: requests and answers are not held to RunPod's description: {} is not there",
            openapi::Description::place().display()
        );
    }
    let world = Arc::new(Mutex::new(world::World::new(Ledger::new(ledger)?)));
    let server = Arc::new(server::Server { world: Arc::clone(&world), description });
    let serve =
        |listener| streamverse_stand_in::serve(listener, move |call| server::one(Arc::clone(&server), call));
    streamverse_stand_in::run(2, serve, || pods::end_all(&lock(&world)))
}
