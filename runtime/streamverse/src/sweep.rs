//! `streamverse sweep`: finds and removes what a deployment has on sites, whoever made it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use streamverse_core::{Error, Result};
use streamverse_model::platform::Name;
use streamverse_sites::node::{NodeConfig, NodeSite};
use streamverse_sites::{Deletion, Site};

/// What to sweep.
#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// The deployment.
    #[arg(long)]
    deployment: String,
    /// The API socket of a node. May be repeated.
    #[arg(long = "socket", default_value = "/run/streamverse/node.sock")]
    sockets: Vec<PathBuf>,
    /// Only print what would be removed.
    #[arg(long)]
    dry_run: bool,
}

/// How long one owner may take to go.
const PATIENCE: Duration = Duration::from_secs(120);

#[allow(clippy::print_stdout, reason = "what it finds is its answer")]
pub(crate) async fn run(args: SweepArgs) -> Result<()> {
    let deployment =
        Name::parse(&args.deployment).map_err(|error| Error::permanent("usage", error.to_string()))?;
    let mut left = 0;
    for socket in &args.sockets {
        let site = NodeSite::new(NodeConfig::socket("default", socket));
        let owners = site.list(&deployment).await.map_err(told)?;
        for owner in owners {
            println!("{}: {owner}", socket.display());
            if args.dry_run {
                left += 1;
                continue;
            }
            let until = tokio::time::Instant::now() + PATIENCE;
            while let Deletion::Pending(why) = site.delete(&owner).await.map_err(told)? {
                if tokio::time::Instant::now() > until {
                    return Err(Error::passing(
                        "sweep",
                        format!("{owner} is still there after two minutes: {why}"),
                    ));
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
    }
    if args.dry_run {
        println!("{left} would be removed");
    }
    Ok(())
}

#[allow(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn told(error: streamverse_sites::Error) -> Error {
    let next = error.next.clone().map(|next| format!(" {next}")).unwrap_or_default();
    Error::permanent("sweep", format!("{error}.{next}"))
}
