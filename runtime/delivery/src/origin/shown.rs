//! What the catalogue shows, asked for at most once per so many milliseconds, and remembered while it is away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use streamverse_core::stores::{AssetRecord, Catalogue};
use streamverse_core::{Error, Result};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Between two looks into the catalogue.
const FRESH: Duration = Duration::from_millis(500);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The assets that are shown, and whether the catalogue still says so.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    pub(super) assets: Arc<BTreeMap<String, AssetRecord>>,
    pub(super) stale: bool,
}

pub(super) struct Shown {
    catalogue: Arc<dyn Catalogue>,
    // Held while asking: many requests become one question.
    known: Mutex<Option<(Instant, Listing)>>,
}

impl Shown {
    pub(super) fn new(catalogue: Arc<dyn Catalogue>) -> Shown {
        Shown { catalogue, known: Mutex::new(None) }
    }

    /// What is shown. Fails only when the catalogue is away and never answered.
    pub(super) async fn listing(&self) -> Result<Listing> {
        let mut known = self.known.lock().await;
        if let Some((asked, listing)) = known.as_ref()
            && asked.elapsed() < FRESH
        {
            return Ok(listing.clone());
        }
        // A catalogue that hangs is away: nobody waits for it longer than for a page.
        let asked = tokio::time::timeout(PATIENCE, self.catalogue.assets()).await;
        let asked = asked
            .unwrap_or_else(|_| Err(Error::passing("catalogue", "the catalogue does not answer in time")));
        let listing = match (asked, known.take()) {
            (Ok(assets), _) => {
                let assets = assets.into_iter().map(|asset| (asset.name.clone(), asset)).collect();
                Listing { assets: Arc::new(assets), stale: false }
            }
            (Err(error), Some((_, before))) => {
                tracing::warn!(error = %error.chain(), "The catalogue is away; what is known is served on.");
                Listing { stale: true, ..before }
            }
            (Err(error), None) => return Err(error),
        };
        *known = Some((Instant::now(), listing.clone()));
        Ok(listing)
    }
}
