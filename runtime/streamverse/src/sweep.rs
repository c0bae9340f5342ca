//! `streamverse sweep`: finds and removes what a deployment has on sites, whoever made it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use streamverse_core::{Error, Result};
use streamverse_model::platform::{Name, Owner};
use streamverse_sites::kubernetes::{Access, Expose, KubernetesConfig, KubernetesSite};
use streamverse_sites::node::{NodeConfig, NodeSite};
use streamverse_sites::{Deletion, Site};

/// What to sweep.
#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// The deployment.
    #[arg(long)]
    deployment: String,
    /// The API socket of a node. May be repeated. Without it and without a cluster: the usual one of this host.
    #[arg(long = "socket")]
    sockets: Vec<PathBuf>,
    /// A kubeconfig, whose cluster is swept.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; the current one where none is given.
    #[arg(long, requires = "kubeconfig")]
    context: Option<String>,
    /// The namespace of the cluster's objects; the deployment's name where none is given.
    #[arg(long, requires = "kubeconfig")]
    namespace: Option<String>,
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
    for (place, site) in sites(&args, &deployment) {
        for owner in site.list(&deployment).await.map_err(told)? {
            println!("{place}: {owner}");
            if args.dry_run {
                left += 1;
                continue;
            }
            remove(&*site, &owner).await?;
        }
    }
    if args.dry_run {
        println!("{left} would be removed");
    }
    Ok(())
}

fn sites(args: &SweepArgs, deployment: &Name) -> Vec<(String, Box<dyn Site>)> {
    let mut sockets = args.sockets.clone();
    if sockets.is_empty() && args.kubeconfig.is_none() {
        sockets.push(PathBuf::from("/run/streamverse/node.sock"));
    }
    let node = |socket: PathBuf| -> (String, Box<dyn Site>) {
        let site = NodeSite::new(NodeConfig::socket("default", &socket));
        (socket.display().to_string(), Box::new(site))
    };
    let mut all: Vec<(String, Box<dyn Site>)> = sockets.into_iter().map(node).collect();
    if let Some(path) = &args.kubeconfig {
        let namespace = args.namespace.clone().unwrap_or_else(|| deployment.to_string());
        let place = format!("{}, namespace {namespace}", path.display());
        let access = Access::Kubeconfig { path: Some(path.clone()), context: args.context.clone() };
        let site = KubernetesSite::new(KubernetesConfig {
            site: deployment.clone(),
            namespace,
            images: BTreeMap::new(), // nothing is made here
            expose: Expose::default(),
            access,
        });
        all.push((place, Box::new(site)));
    }
    all
}

async fn remove(site: &dyn Site, owner: &Owner) -> Result<()> {
    let until = tokio::time::Instant::now() + PATIENCE;
    while let Deletion::Pending(why) = site.delete(owner).await.map_err(told)? {
        if tokio::time::Instant::now() > until {
            return Err(Error::passing("sweep", format!("{owner} is still there after two minutes: {why}")));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    Ok(())
}

#[allow(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn told(error: streamverse_sites::Error) -> Error {
    let next = error.next.clone().map(|next| format!(" {next}")).unwrap_or_default();
    Error::permanent("sweep", format!("{error}.{next}"))
}
