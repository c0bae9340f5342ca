//! What makes sure that one controller acts at a time.
//!
//! A lock file on a node, a `coordination.k8s.io/v1` Lease on Kubernetes. Neither is the last line: whoever acts has written the state
//! before, and a write that somebody else's overtook ends the acting.

mod file;
mod kubernetes;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamverse_core::{Result, ServiceContext};
use streamverse_model::compute::FleetReport;
use tokio::time::Instant;

pub use file::FileLease;
pub use kubernetes::KubernetesLease;

/// A lease.
#[async_trait]
pub trait Lease: Send + Sync {
    /// Tries to get or to keep it; whether it is held now. It waits for nobody, and ends within seconds.
    ///
    /// # Errors
    /// What keeps it from being asked. It may still be held, until [`Lease::held_until`].
    async fn renew(&self) -> Result<bool>;
    /// Until when it is held, as far as is known. In the past, or never: not held.
    fn held_until(&self) -> Option<Instant>;
    /// Gives it back, so that another need not wait for its end.
    async fn release(&self);
    /// Says what its holder read of its fleets, where plans look for that: they cannot read the catalogue of a cluster. It is a help,
    /// not a condition: what fails is said with the next renewal.
    async fn tell(&self, _report: &FleetReport) {}
    /// How long to wait between two renewals.
    fn every(&self) -> Duration;
    /// Whether it is held.
    fn held(&self) -> bool {
        self.held_until().is_some_and(|it| Instant::now() < it)
    }
}

/// Resolves as soon as the lease is not held.
pub(crate) async fn lost(lease: &dyn Lease) {
    while let Some(until) = lease.held_until().filter(|it| Instant::now() < *it) {
        tokio::time::sleep_until(until).await;
    }
}

/// The variable that names the Lease of a pod, as its site made it.
pub const LEASE_VARIABLE: &str = "STREAMVERSE_LEASE";
/// Where a pod finds the token of its service account.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// The lease of a service: in a pod with a service account a Lease of its cluster, `DEPLOYMENT-KIND-NAME` unless [`LEASE_VARIABLE`] names
/// another; elsewhere a file beside the deployment's data.
pub(crate) fn open(cx: &ServiceContext) -> Result<Arc<dyn Lease>> {
    let named = std::env::var(LEASE_VARIABLE).ok().filter(|it| !it.is_empty());
    let in_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() && Path::new(TOKEN).exists();
    if named.is_none() && !in_pod {
        let path = cx.data_dir.join("leases").join(format!("{}.lock", cx.owner.key()));
        return Ok(Arc::new(FileLease::new(path)));
    }
    let usual = || format!("{}-{}-{}", cx.owner.deployment, cx.owner.kind, cx.owner.name);
    let holder = std::env::var("HOSTNAME").unwrap_or_else(|_| "controller".to_owned());
    Ok(Arc::new(KubernetesLease::in_cluster(&named.unwrap_or_else(usual), &holder)?))
}
