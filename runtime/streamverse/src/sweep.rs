//! `streamverse sweep`: finds and removes what a deployment has on sites and in clouds, whoever made it.
//!
//! What assets made lies in object stores and catalogues, and only their own job removes it: it runs first, while the
//! transcoder that knows these stores is still there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use streamverse_core::{Error, Result};
use streamverse_model::platform::{Name, Owner};
use streamverse_sites::kubernetes::{Access, Expose, Image, KubernetesConfig, KubernetesSite};
use streamverse_sites::node::{AgentAddress, NodeConfig, NodeSite};
use streamverse_sites::{Deletion, Site};

use crate::sweep_back::{Held, take_back};
use crate::sweep_runpod::{self, RunpodArgs};

/// What to sweep.
#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// The deployment.
    #[arg(long)]
    deployment: String,
    /// The API socket of a node. May be repeated. Without it, a node's address, a cluster and a cloud: the usual one of this host.
    #[arg(long = "socket")]
    sockets: Vec<PathBuf>,
    /// A node's API over TCP with mutual TLS, https://HOST:PORT. May be repeated.
    #[arg(long = "address", requires_all = ["ca", "certificate", "key"])]
    addresses: Vec<String>,
    /// The authority of the agents' certificates, PEM.
    #[arg(long, requires = "addresses")]
    ca: Option<PathBuf>,
    /// Our certificate chain, PEM.
    #[arg(long, requires = "addresses")]
    certificate: Option<PathBuf>,
    /// Our private key, PEM.
    #[arg(long, requires = "addresses")]
    key: Option<PathBuf>,
    /// A kubeconfig, whose cluster is swept.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; the current one where none is given.
    #[arg(long, requires = "kubeconfig")]
    context: Option<String>,
    /// The cluster that this pod runs in, as its service account.
    #[arg(long, conflicts_with = "kubeconfig")]
    in_cluster: bool,
    /// The namespace of the cluster's objects; the deployment's name where none is given.
    #[arg(long)]
    namespace: Option<String>,
    /// Our image by digest, NAME:TAG@sha256:…, to run the jobs on a cluster that remove what assets made.
    #[arg(long)]
    image: Option<String>,
    #[command(flatten)]
    runpod: RunpodArgs,
    /// How many seconds the workers of a fleet may take to leave: they finish what they have begun.
    #[arg(long, default_value_t = 600)]
    leaving: u64,
    /// Only print what would be removed.
    #[arg(long)]
    dry_run: bool,
}

/// How long one owner may take to go, or one asset's removal.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
pub(crate) const LOOK: Duration = Duration::from_millis(300);

#[allow(clippy::print_stdout, reason = "what it finds is its answer")]
pub(crate) async fn run(args: SweepArgs) -> Result<()> {
    let deployment =
        Name::parse(&args.deployment).map_err(|error| Error::permanent("usage", error.to_string()))?;
    let (mut left, mut failures) = (0, Vec::new());
    let leaving = Duration::from_secs(args.leaving);
    let (sites, mut held) = (sites(&args, &deployment)?, Held::default());
    // A site that cannot be reached keeps nobody from sweeping the others.
    for (at, (place, site)) in sites.iter().enumerate() {
        let owners = match site.list(&deployment).await.map_err(told) {
            Ok(owners) => in_order(owners),
            Err(error) => {
                failures.push(format!("{place}: {}", error.chain()));
                continue;
            }
        };
        for owner in owners {
            println!("{place}: {owner}");
            if args.dry_run {
                left += 1;
                continue;
            }
            if let Err(error) = take_back(&**site, &owner, leaving).await {
                println!("{place}: {owner}: what it made may be left: {}", error.chain());
                held.fleet(at, &owner, &format!("{place}: {}", error.chain()));
            }
            if held.keeps(at, &owner) {
                continue;
            }
            if let Err(error) = remove(&**site, &owner).await {
                failures.push(format!("{place}: {}", error.chain()));
            }
        }
    }
    // Sites first: what runs there may still buy.
    if args.runpod.runpod {
        let mut swept = sweep_runpod::sweep(&args.runpod, &deployment, args.dry_run).await;
        let over = if swept.is_ok() { held.over() } else { Vec::new() };
        for (at, owner) in &over {
            let Some((place, site)) = sites.get(*at) else { continue };
            if let Err(error) = remove(&**site, owner).await {
                failures.push(format!("{place}: {}", error.chain()));
            }
        }
        // Their controllers may have bought until they went.
        if !over.is_empty() {
            swept = sweep_runpod::sweep(&args.runpod, &deployment, false).await;
        }
        match swept {
            Ok(more) => left += more,
            Err(error) => failures.push(format!("RunPod: {}", error.chain())),
        }
    }
    failures.extend(held.told());
    if args.dry_run {
        println!("{left} would be removed");
    }
    if failures.is_empty() { Ok(()) } else { Err(Error::passing("sweep", failures.join("; "))) }
}

/// Assets before what makes them, and stores after everything that uses them.
fn in_order(mut owners: Vec<Owner>) -> Vec<Owner> {
    let rank = |owner: &Owner| match owner.kind.as_str() {
        "vod-asset" | "runpod-fleet" => 0,
        "transcoder" => 2,
        "object-store" | "event-log" | "catalogue" | "cache" => 3,
        _ => 1,
    };
    owners.sort_by_key(rank);
    owners
}

fn sites(args: &SweepArgs, deployment: &Name) -> Result<Vec<(String, Box<dyn Site>)>> {
    let mut agents: Vec<AgentAddress> = args.sockets.iter().cloned().map(AgentAddress::Socket).collect();
    if let (Some(authority), Some(certificate), Some(key)) = (&args.ca, &args.certificate, &args.key) {
        agents.extend(args.addresses.iter().map(|url| AgentAddress::Tcp {
            url: url.clone(),
            authority: authority.clone(),
            certificate: certificate.clone(),
            key: key.clone(),
        }));
    }
    let access = match (&args.kubeconfig, args.in_cluster) {
        (Some(path), _) => {
            Some(Access::Kubeconfig { path: Some(path.clone()), context: args.context.clone() })
        }
        (None, true) => Some(Access::InCluster),
        (None, false) => None,
    };
    if agents.is_empty() && access.is_none() && !args.runpod.runpod {
        agents.push(AgentAddress::Socket(NodeConfig::usual_socket()));
    }
    let node = |agent: AgentAddress| -> (String, Box<dyn Site>) {
        let config = NodeConfig { agent: agent.clone(), ..NodeConfig::socket("default", "") };
        (agent.to_string(), Box::new(NodeSite::new(config)))
    };
    let mut all: Vec<(String, Box<dyn Site>)> = agents.into_iter().map(node).collect();
    if let Some(access) = access {
        let namespace = args.namespace.clone().unwrap_or_else(|| deployment.to_string());
        let of = args.kubeconfig.as_ref().map_or("this cluster".to_owned(), |it| it.display().to_string());
        let mut images = BTreeMap::new();
        if let Some(image) = &args.image {
            let image = Image::parse(image).map_err(|error| Error::permanent("usage", error))?;
            images.insert("streamverse".to_owned(), image);
        }
        let place = format!("{of}, namespace {namespace}");
        let site = KubernetesSite::new(KubernetesConfig {
            site: deployment.clone(),
            namespace,
            images,
            expose: Expose::default(),
            access,
        });
        all.push((place, Box::new(site)));
    }
    Ok(all)
}

async fn remove(site: &dyn Site, owner: &Owner) -> Result<()> {
    let until = tokio::time::Instant::now() + PATIENCE;
    while let Deletion::Pending(why) = site.delete(owner).await.map_err(told)? {
        if tokio::time::Instant::now() > until {
            return Err(Error::passing("sweep", format!("{owner} is still there after two minutes: {why}")));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

#[allow(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(crate) fn told(error: streamverse_sites::Error) -> Error {
    let next = error.next.clone().map(|next| format!(" {next}")).unwrap_or_default();
    Error::permanent("sweep", format!("{error}.{next}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_go_before_what_makes_them_and_stores_go_last() {
        let owner = |kind: &str| Owner::new("d", kind, "x").unwrap();
        let kinds = ["catalogue", "ats-edge", "transcoder", "object-store", "vod-asset"].map(owner);
        let sorted = in_order(kinds.to_vec());
        let sorted: Vec<&str> = sorted.iter().map(|owner| owner.kind.as_str()).collect();
        assert_eq!(sorted, ["vod-asset", "ats-edge", "transcoder", "catalogue", "object-store"]);
    }
}
