//! `streamverse sweep --runpod`: what a deployment has at RunPod. It costs for as long as it is there, whether or not a state knows
//! of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use streamverse_compute_runpod::{ApiKey, Belonging, Class, Client, Config, DEFAULT_ENDPOINT, Limit};
use streamverse_core::{Error, Result};
use streamverse_model::platform::Name;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// The variable that RunPod's own tools read.
const KEY: &str = "RUNPOD_API_KEY";
/// How long all of it may take to go.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks: lists may miss for a while what was just made.
const LOOK: Duration = Duration::from_secs(1);
/// So many looks in a row must find nothing.
const EMPTY: u32 = 2;

/// Which account.
#[derive(Debug, Args)]
pub(crate) struct RunpodArgs {
    /// Sweep the RunPod account whose key is RUNPOD_API_KEY: pods, endpoints, templates, credentials, and volumes with what is in them. Sites
    /// are swept only if they are named, and first: a fleet's controller that runs would buy its pods again.
    #[arg(long)]
    pub(crate) runpod: bool,
    /// A file with the account's key, instead of RUNPOD_API_KEY.
    #[arg(long, requires = "runpod")]
    runpod_key_file: Option<PathBuf>,
    /// RunPod's API.
    #[arg(long, requires = "runpod", default_value = DEFAULT_ENDPOINT)]
    runpod_endpoint: String,
}

/// Removes everything of the deployment, or only prints it. How much is left.
#[allow(clippy::print_stdout, reason = "what it finds is its answer")]
pub(crate) async fn sweep(args: &RunpodArgs, deployment: &Name, dry_run: bool) -> Result<usize> {
    let client = client(args)?;
    let end = Instant::now() + PATIENCE;
    let limit = || Limit::within(end.saturating_duration_since(Instant::now()));
    let mut told: BTreeMap<Belonging, String> = BTreeMap::new();
    let mut empty = 0;
    loop {
        let (found, faults) = client.belongings(deployment.as_str(), limit()).await;
        for it in &found {
            if !told.contains_key(it) {
                println!("RunPod: {} {} ({})", it.what, it.name, it.id);
                told.insert(it.clone(), String::new());
            }
        }
        // A key that may not see one kind may still give back the others.
        let refused = faults.iter().find(|fault| fault.class == Class::Auth);
        if let Some(fault) = refused.filter(|_| found.is_empty()).or(faults.first().filter(|_| dry_run)) {
            return Err(failed(fault));
        }
        if dry_run {
            return Ok(found.len());
        }
        for it in &found {
            // What is still in use is tried again once its user is gone.
            if let Err(fault) = client.give_back(it, limit()).await {
                told.insert(it.clone(), fault.to_string());
            }
        }
        empty = if found.is_empty() && faults.is_empty() { empty + 1 } else { 0 };
        if empty >= EMPTY {
            return Ok(0);
        }
        if Instant::now() + LOOK > end {
            let kept =
                found.iter().filter_map(|it| Some(format!("{} {}: {}", it.what, it.name, told.get(it)?)));
            let all: Vec<String> = kept.chain(faults.iter().map(ToString::to_string)).collect();
            return Err(Error::passing("sweep", format!("RunPod still has: {}", all.join("; "))));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn client(args: &RunpodArgs) -> Result<Client> {
    let usage = |text: String| Error::permanent("usage", text);
    let key =
        match &args.runpod_key_file {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| usage(format!("{}: {error}", path.display())))?,
            None => std::env::var(KEY)
                .map_err(|_| usage(format!("give --runpod-key-file, or the key as {KEY}")))?,
        };
    let key = ApiKey::new(&Zeroizing::new(key)).map_err(|fault| failed(&fault))?;
    Config::new(&args.runpod_endpoint, key).and_then(Client::new).map_err(|fault| failed(&fault))
}

fn failed(fault: &streamverse_compute_runpod::Error) -> Error {
    Error::permanent("sweep", format!("{fault}. {}", fault.next()))
}
