//! The small binary for rented workers and edges: no cloud's SDK, no librdkafka, little memory.

mod drain;
mod worker;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use streamverse_core::run::AdminAddress;
use streamverse_core::telemetry;

/// What runs beside a worker, on an edge or in a set-top box.
#[derive(Debug, Parser)]
#[command(name = "streamverse-edge", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a worker, notice when the instance under it is about to go, and have it finish in time.
    Drain {
        /// A file with the drain agent's spec, JSON.
        #[arg(long)]
        spec: PathBuf,
        /// Where it answers about itself (/livez, /metrics): unix:/PATH or tcp:ADDRESS:PORT.
        #[arg(long)]
        admin: Option<AdminAddress>,
        /// The worker and its arguments, after `--`. Without one a node alone is drained.
        #[arg(last = true)]
        worker: Vec<OsString>,
    },
    /// Be a rented worker: enrol at the controller that launched this instance, run its work, leave in time. Its environment
    /// says who it is: STREAMVERSE_CONTROLLER, STREAMVERSE_WORKER, STREAMVERSE_AUTHORITY, STREAMVERSE_TOKEN, and
    /// STREAMVERSE_NOTICES (signal, aws, gcp, azure, runpod). It ends with 0 when all was finished, 1 when it was not, 64 where the
    /// environment is unusable, 69 where the controller does not answer, 77 where it does not want this worker.
    Worker(worker::WorkerArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // One thread is enough, and each more costs memory on every worker.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no event loop: {error}");
            return ExitCode::FAILURE;
        }
    };
    let telemetry = {
        let _inside = runtime.enter();
        telemetry::init("streamverse-edge")
    };
    let code = runtime.block_on(async {
        match cli.command {
            Command::Worker(args) => ExitCode::from(worker::run(args).await),
            Command::Drain { spec, admin, worker } => match drain::run(&spec, admin, &worker).await {
                Ok(code) => ExitCode::from(code),
                Err(error) => {
                    eprintln!("error: {}", error.chain());
                    ExitCode::FAILURE
                }
            },
        }
    });
    drop(telemetry);
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    code
}
