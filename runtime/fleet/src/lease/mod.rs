//! What makes sure that one controller acts at a time.
//!
//! A lock file on a node, a `coordination.k8s.io/v1` Lease on Kubernetes. Neither is the last line: whoever acts has written the state
//! before, and a write that somebody else's overtook ends the acting.

mod file;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamverse_core::{Result, ServiceContext};
use tokio::time::Instant;

pub use file::FileLease;

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

/// The lease of a service: a file beside the deployment's data.
pub(crate) fn open(cx: &ServiceContext) -> Result<Arc<dyn Lease>> {
    let path = cx.data_dir.join("leases").join(format!("{}.lock", cx.owner.key()));
    Ok(Arc::new(FileLease::new(path)))
}
