//! What the DRM configurations of assets let licences allow. It stands in the catalogue, with the asset.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use streamverse_core::Result;
use streamverse_core::stores::Catalogue;
use streamverse_model::drm::UsageSpec;

/// Assets that are remembered at most.
const MOST: u64 = 20_000;
/// For how long: a change of a configuration is a matter of minutes anyway.
const KNOWN: Duration = Duration::from_secs(10);

/// The usage of assets.
pub(super) struct Usages {
    catalogue: Arc<dyn Catalogue>,
    known: Cache<String, Option<Arc<UsageSpec>>>,
}

impl Usages {
    pub(super) fn new(catalogue: Arc<dyn Catalogue>) -> Usages {
        Usages { catalogue, known: Cache::builder().max_capacity(MOST).time_to_live(KNOWN).build() }
    }

    /// What is said of an asset; nothing of one that the catalogue does not list.
    pub(super) async fn of(&self, asset: &str) -> Result<Option<Arc<UsageSpec>>> {
        if let Some(known) = self.known.get(asset).await {
            return Ok(known);
        }
        let found = self.catalogue.asset(asset).await?.and_then(|it| it.usage).map(Arc::new);
        self.known.insert(asset.to_owned(), found.clone()).await;
        Ok(found)
    }
}
