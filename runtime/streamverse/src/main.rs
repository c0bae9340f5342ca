//! The main binary: chosen targets per process, the node agent, and what people do with a platform at a terminal.

mod clouds;
mod fleet;
mod keys;
mod render;
mod simulate;
mod simulate_load;
mod simulate_spot;
mod sweep;
mod sweep_back;
mod sweep_runpod;
mod targets;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use streamverse_core::run::{AdminAddress, JobEnd, RunOptions, keep_memory_private, run};
use streamverse_core::telemetry;
use streamverse_platform::NodeCommand;

/// A video platform: its services, and the agent that keeps them running.
#[derive(Debug, Parser)]
#[command(name = "streamverse", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one service or job to its end. Sites call this.
    Run {
        /// The row of the target table.
        #[arg(long)]
        target: String,
        /// A file with its spec, JSON.
        #[arg(long)]
        spec: PathBuf,
        /// A file that says where it runs, JSON.
        #[arg(long)]
        context: PathBuf,
        /// Where it answers about itself: unix:/PATH or tcp:ADDRESS:PORT.
        #[arg(long)]
        admin: AdminAddress,
        /// Where it writes how it ended.
        #[arg(long)]
        outcome: Option<PathBuf>,
        /// How many seconds it may take to finish what it has begun once it is told to stop, where that is more than usual.
        #[arg(long)]
        drain_seconds: Option<u64>,
        /// Stops as at SIGTERM when its standard input ends: whoever started it holds the other end of it, and is gone then.
        #[arg(long)]
        tied: bool,
    },
    /// The agent of a node.
    #[command(subcommand)]
    Node(NodeCommand),
    /// Back up, restore, export, import and rotate content keys, and see who asked for them.
    Keys(keys::KeysArgs),
    /// What a fleet controller keeps, and why it did what it did.
    Fleet(fleet::FleetArgs),
    /// Remove what a deployment has on sites and in clouds, after a crashed apply or a lost state.
    Sweep(sweep::SweepArgs),
    /// Write the Kubernetes objects of a plan to files, for GitOps.
    Render(render::RenderArgs),
    /// What a service would do, without running it, and rehearsals.
    #[command(subcommand)]
    Simulate(simulate::SimulateCommand),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    // What traces call a process: `streamverse-origin`.
    let service = match &cli.command {
        Command::Run { target, .. } => format!("streamverse-{target}"),
        Command::Node(_) => "streamverse-node".to_owned(),
        _ => "streamverse".to_owned(),
    };
    let telemetry = {
        let _inside = runtime.enter();
        telemetry::init(&service)
    };
    // An agent is replaced by whoever may ask which program it runs, and looks after its memory itself.
    if !matches!(cli.command, Command::Node(_)) {
        keep_memory_private();
    }
    let code = runtime.block_on(act(cli.command));
    // While the runtime lives: what is still to be sent goes over a connection of it.
    drop(telemetry);
    // A thread that hangs in a system call must not keep a process that is done.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    code
}

async fn act(command: Command) -> ExitCode {
    let outcome = match command {
        Command::Run { target, spec, context, admin, outcome, drain_seconds, tied } => {
            let options = RunOptions { target, spec, context, admin, outcome };
            let drain = drain_seconds.map(std::time::Duration::from_secs);
            return match run(options, drain, tied, targets::ALL).await {
                JobEnd::Succeeded(_) => ExitCode::SUCCESS,
                JobEnd::Failed { retry: true, .. } => ExitCode::from(1),
                JobEnd::Failed { .. } => ExitCode::from(2),
            };
        }
        Command::Node(command) => {
            streamverse_platform::run(
                command,
                targets::ALL,
                vec![Arc::new(streamverse_delivery::TrafficServer)],
            )
            .await
        }
        Command::Keys(args) => keys::run(args).await,
        Command::Fleet(args) => fleet::run(args).await,
        Command::Sweep(args) => sweep::run(args).await,
        Command::Render(args) => render::run(&args),
        Command::Simulate(command) => simulate::run(command).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}
