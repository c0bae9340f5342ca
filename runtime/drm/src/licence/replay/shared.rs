//! The tokens that replicas took, in a cache.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use streamverse_core::stores::{Cache, Records};
use streamverse_core::{Error, Result};
use streamverse_model::drm::entitlement::{Clock, Refusal};

use super::turn::{Claim, Turn};
use super::{digest, fresh_id, hex};
use crate::licence::licensor::Now;
use crate::licence::token::Token;

/// Longer than any token, and than anybody keeps a cache.
const FOR_EVER: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// A cache that remembers tokens, and the turn of all who use it. The cache has a name that it loses when it loses anything:
/// what has another name is another memory, which begins with a turn of its own.
pub(super) struct Shared {
    cache: Arc<dyn Cache>,
    records: Arc<dyn Records>,
    audience: String,
    scope: String,
    skew_ms: u64,
    fresh: Duration,
    now: Now,
    turn: RwLock<Arc<Turn>>,
    /// One takes part anew, the others wait for it.
    joining: tokio::sync::Mutex<()>,
}

impl Shared {
    pub(super) async fn begin(
        cache: Arc<dyn Cache>,
        records: Arc<dyn Records>,
        audience: String,
        skew_ms: u64,
        fresh: Duration,
        now: Now,
    ) -> Result<Shared> {
        let scope = hex(digest(&audience));
        let holder = name(&*cache, &scope).await?;
        let claim = Claim { scope: &audience, holder: &holder, inherits: None, follows: None, fresh };
        let turn = Turn::begin(Arc::clone(&records), claim, skew_ms, &now).await?;
        let turn = RwLock::new(Arc::new(turn));
        let joining = tokio::sync::Mutex::default();
        Ok(Shared { cache, records, audience, scope, skew_ms, fresh, now, turn, joining })
    }

    pub(super) fn opens_ms(&self) -> u64 {
        self.turn().cut_ms()
    }

    pub(super) fn turn(&self) -> Arc<Turn> {
        Arc::clone(&self.turn.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The turn of the memory of that name, which is not the one that we had.
    async fn joined(&self, holder: &str, than: &Arc<Turn>) -> Result<Arc<Turn>> {
        let _one = self.joining.lock().await;
        let turn = self.turn();
        if !Arc::ptr_eq(&turn, than) && turn.holder() == holder {
            return Ok(turn);
        }
        let follows = Some(turn.name());
        let claim = Claim { scope: &self.audience, holder, inherits: None, follows, fresh: self.fresh };
        let turn = Arc::new(Turn::begin(Arc::clone(&self.records), claim, self.skew_ms, &self.now).await?);
        *self.turn.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&turn);
        Ok(turn)
    }

    pub(super) async fn take(&self, token: &Token, clock: Clock) -> Result<(), Refusal> {
        let unavailable = |error: Error| {
            tracing::warn!(error = %error.chain(), "What remembers used tokens does not answer.");
            Refusal::ReplayWindowUnavailable
        };
        let mut turn = self.turn();
        let key = format!("licence-token/{}/{:032x}", self.scope, digest(&token.id));
        // Until no clock that may be off takes it any more.
        let until = token.expires.saturating_mul(1000).saturating_add(4 * self.skew_ms + 1000);
        let lifetime = Duration::from_millis(until.saturating_sub(clock.earliest_ms));
        if !self.cache.insert(&key, Bytes::from_static(b"1"), lifetime).await.map_err(unavailable)? {
            return Err(Refusal::TokenReplayed);
        }
        // In this order: a cache that forgot everything in between, or is another one now, says so here.
        let holder = name(&*self.cache, &self.scope).await.map_err(unavailable)?;
        if turn.holder() != holder {
            turn = self.joined(&holder, &turn).await.map_err(unavailable)?;
        }
        match turn.is_ours(token, clock).await {
            Err(Refusal::TokenBeforeStart) if turn.is_ours_again() => {
                let turn = self.joined(&holder, &turn).await.map_err(unavailable)?;
                turn.is_ours(token, clock).await
            }
            said => said,
        }
    }
}

/// The name of what a cache remembers, given where it has none.
async fn name(cache: &dyn Cache, scope: &str) -> Result<String> {
    let key = format!("licence-window/{scope}");
    for _ in 0..3 {
        if let Some(value) = cache.get(&key).await? {
            let name = std::str::from_utf8(&value).ok().filter(|it| !it.is_empty() && it.len() <= 64);
            return name
                .map(str::to_owned)
                .ok_or_else(|| Error::permanent("cache", "what the cache has of tokens is not ours"));
        }
        cache.insert(&key, Bytes::from(fresh_id()?), FOR_EVER).await?;
    }
    Err(Error::passing("cache", "the cache keeps nothing"))
}
