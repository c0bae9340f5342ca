//! Content keys, remembered for a while: a thousand viewers of a film are not a thousand questions to the key service.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use streamverse_core::Result;
use streamverse_core::stores::{ContentKey, ContentKeys};
use streamverse_model::drm::KeyId;

/// Keys that are remembered at most.
const MOST: u64 = 20_000;
/// For how long.
const KNOWN: Duration = Duration::from_secs(10 * 60);
/// For how long it is remembered that there is none: it may be made any moment.
const UNKNOWN: Duration = Duration::from_secs(2);

/// The keys of a key service.
pub(super) struct Keys {
    service: Arc<dyn ContentKeys>,
    known: Cache<KeyId, Arc<ContentKey>>,
    unknown: Cache<KeyId, ()>,
}

impl Keys {
    pub(super) fn new(service: Arc<dyn ContentKeys>) -> Keys {
        let known = Cache::builder().max_capacity(MOST).time_to_live(KNOWN).build();
        let unknown = Cache::builder().max_capacity(MOST).time_to_live(UNKNOWN).build();
        Keys { service, known, unknown }
    }

    /// Those that are there, in the order asked for.
    pub(super) async fn find(&self, kids: &[KeyId]) -> Result<Vec<Option<Arc<ContentKey>>>> {
        let mut found = Vec::with_capacity(kids.len());
        let mut missing = Vec::new();
        for (place, kid) in kids.iter().enumerate() {
            let known = self.known.get(kid).await;
            if known.is_none() && self.unknown.get(kid).await.is_none() {
                missing.push((place, *kid));
            }
            found.push(known);
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let asked: Vec<KeyId> = missing.iter().map(|(_, kid)| *kid).collect();
        let answers = self.service.find(&asked).await?;
        for ((place, kid), answer) in missing.into_iter().zip(answers) {
            match answer.filter(|it| it.kid == kid) {
                Some(key) => {
                    let key = Arc::new(key);
                    self.known.insert(kid, Arc::clone(&key)).await;
                    if let Some(found) = found.get_mut(place) {
                        *found = Some(key);
                    }
                }
                None => self.unknown.insert(kid, ()).await,
            }
        }
        Ok(found)
    }
}
