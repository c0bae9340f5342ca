//! A stand-in for RunPod's REST API v2: stateful, held to RunPod's own API description in both directions, with faults, stock and
//! clocks that a test sets, and a ledger that says what was made and for how long.
//!
//! It is a process of its own. [`StandIn`] is a test's hand on it.

mod cuda;
mod faults;
mod ledger;
mod openapi;
mod pods;
mod process;
mod schema;
mod server;
mod stock;
mod things;
mod world;

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

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
    let world = Arc::new(Mutex::new(world::World::new(ledger::Ledger::new(ledger)?)));
    let server =
        Arc::new(server::Server { world: Arc::clone(&world), description, holds: faults::Holds::default() });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "http://{}", listener.local_addr()?)?;
    stdout.flush()?;
    runtime.spawn(server::serve(listener, server));
    // Whoever started us went, or wants us gone.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    pods::end_all(&pods::lock(&world));
    runtime.shutdown_background();
    Ok(())
}
