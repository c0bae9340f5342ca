//! Which tokens were used: each gives a licence at most once.
//!
//! A process without a cache remembers them in memory ([`Window`]) and shares the tokens with the processes before and
//! after it by the time when they were issued: whoever takes over writes down a *cut* a little ahead of all clocks
//! ([`Turn`]); tokens from before it are for the old process, those from after it for the new one. A process that ends in
//! order writes down the newest token that it took, so that the next one need not wait; after a crash it does. Replicas
//! share a cache that inserts what nobody inserted before ([`Shared`]).

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use streamverse_core::stores::{Cache, Records};
use streamverse_core::{Error, Result};
use streamverse_model::drm::entitlement::{Clock, Refusal};

use super::token::Token;

/// Seconds that one part of the window covers.
const SLOT: u64 = 16;
/// Parts that are locked by themselves.
const SHARDS: usize = 16;
/// Tokens that are remembered at most, at some 40 bytes each.
const MOST: usize = 4 << 20;
/// How old what we know of our turn may be.
const FRESH: Duration = Duration::from_secs(1);
/// The collection of the turns.
const TURNS: &str = "entitlement-turns";
/// Longer than any token, and than anybody keeps a cache.
const FOR_EVER: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// What remembers the tokens that were used.
pub(super) enum Replay {
    /// In this process.
    Own(Box<(Window, Turn)>),
    /// In a cache, with other replicas.
    Shared(Shared),
}

impl Replay {
    /// Uses a token: whoever is told `Ok` is the only one ever.
    pub(super) async fn take(&self, token: &Token, clock: Clock) -> Result<(), Refusal> {
        match self {
            Replay::Own(own) => {
                own.1.is_ours(token).await?;
                own.0.take(token, clock)
            }
            Replay::Shared(shared) => shared.take(token, clock).await,
        }
    }

    /// From when on tokens are taken; milliseconds since the Unix epoch.
    pub(super) fn opens_ms(&self) -> u64 {
        match self {
            Replay::Own(own) => own.1.cut_ms,
            Replay::Shared(shared) => shared.opens_ms.load(Ordering::Relaxed),
        }
    }

    /// Writes down that nothing more is taken.
    pub(super) async fn close(&self) -> Result<()> {
        match self {
            Replay::Own(own) => own.1.close(own.0.close()).await,
            Replay::Shared(_) => Ok(()),
        }
    }
}

fn digest(text: &str) -> u128 {
    let digest = Sha256::digest(text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    u128::from_be_bytes(bytes)
}

/// The tokens that this process took and that have not expired.
pub(super) struct Window {
    shards: [Mutex<Shard>; SHARDS],
    held: AtomicUsize,
    most: usize,
    /// When the newest token was issued that was taken; `u64::MAX` once nothing is taken any more.
    newest: Mutex<Option<u64>>,
    closed: std::sync::atomic::AtomicBool,
}

#[derive(Default)]
struct Shard {
    /// By when they expire.
    slots: BTreeMap<u64, HashSet<u128>>,
    /// What expired before this was forgotten: a clock that goes back does not bring it to life again.
    forgotten: u64,
}

impl Window {
    pub(super) fn new() -> Window {
        Window::of(MOST)
    }

    fn of(most: usize) -> Window {
        Window {
            shards: std::array::from_fn(|_| Mutex::default()),
            held: AtomicUsize::new(0),
            most,
            newest: Mutex::new(None),
            closed: false.into(),
        }
    }

    fn take(&self, token: &Token, clock: Clock) -> Result<(), Refusal> {
        {
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            if self.closed.load(Ordering::Relaxed) {
                return Err(Refusal::TokenBeforeStart);
            }
            *newest = Some(newest.map_or(token.issued, |it| it.max(token.issued)));
        }
        let id = digest(&token.id);
        let place = usize::try_from(id % SHARDS as u128).unwrap_or_default();
        let Some(shard) = self.shards.get(place) else { return Err(Refusal::ReplayWindowUnavailable) };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let over = clock.earliest_ms / 1000 / SLOT;
        let Shard { slots, forgotten } = &mut *shard;
        while let Some(entry) = slots.first_entry().filter(|it| *it.key() < over) {
            self.held.fetch_sub(entry.get().len(), Ordering::Relaxed);
            *forgotten = (*forgotten).max(entry.key() + 1);
            entry.remove();
        }
        let slot = token.expires / SLOT;
        if slot < *forgotten {
            return Err(Refusal::TokenExpired);
        }
        // An issuer may give an id twice with different times: it is the same token to us.
        if slots.values().any(|it| it.contains(&id)) {
            return Err(Refusal::TokenReplayed);
        }
        if self.held.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.held.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::ReplayWindowUnavailable);
        }
        slots.entry(slot).or_default().insert(id);
        Ok(())
    }

    /// Takes nothing more, and says when the newest token was issued that was taken.
    fn close(&self) -> Option<u64> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        self.closed.store(true, Ordering::Relaxed);
        *newest
    }
}

/// Whose turn it is to take the tokens of an audience.
pub(super) struct Turn {
    records: Arc<dyn Records>,
    id: String,
    number: u64,
    cut_ms: u64,
    seen: Mutex<Seen>,
    /// One looks, the others wait for what it sees.
    looking: tokio::sync::Mutex<()>,
}

/// What was last seen of the turn's document, by a look that began then.
struct Seen {
    at: Instant,
    /// Up to when a token may be issued that is still for us.
    until_ms: u64,
}

struct Written {
    number: u64,
    cut_ms: u64,
    closed_ms: Option<u64>,
}

impl Written {
    fn read(value: &serde_json::Value) -> Result<Written> {
        let broken = || Error::permanent("catalogue", "the turn of a licence service is of another version");
        let number = |name: &str| value[name].as_u64();
        Ok(Written {
            number: number("turn").ok_or_else(broken)?,
            cut_ms: number("cut_ms").ok_or_else(broken)?,
            closed_ms: number("closed_ms"),
        })
    }

    fn value(&self) -> serde_json::Value {
        json!({ "turn": self.number, "cut_ms": self.cut_ms, "closed_ms": self.closed_ms })
    }
}

impl Turn {
    /// Takes over. `skew_ms` is how far apart clocks may be.
    pub(super) async fn begin(
        records: Arc<dyn Records>,
        scope: &str,
        skew_ms: u64,
        now: &(dyn Fn() -> u64 + Send + Sync),
    ) -> Result<Turn> {
        let id = format!("{:032x}", digest(scope));
        // Until then somebody who does not know of us yet may take a token.
        let fresh = u64::try_from(FRESH.as_millis()).unwrap_or(u64::MAX);
        let ahead = || now().saturating_add(2 * skew_ms).saturating_add(fresh);
        for _ in 0..100 {
            let at = Instant::now();
            let (ours, waits) = match records.get(TURNS, &id).await? {
                None => {
                    let first = Written { number: 1, cut_ms: 0, closed_ms: None };
                    if !records.insert(TURNS, &id, &first.value()).await? {
                        continue;
                    }
                    (first, false)
                }
                Some(record) => {
                    let before = Written::read(&record.value)?;
                    let cut = before.closed_ms.unwrap_or_else(ahead).max(before.cut_ms);
                    let next = Written { number: before.number + 1, cut_ms: cut, closed_ms: None };
                    if !records.replace(TURNS, &id, record.version, &next.value()).await? {
                        continue;
                    }
                    (next, before.closed_ms.is_none())
                }
            };
            // What was written took its time.
            let cut_ms = if waits { ours.cut_ms.max(ahead()) } else { ours.cut_ms };
            let seen = Mutex::new(Seen { at, until_ms: u64::MAX });
            let looking = tokio::sync::Mutex::default();
            return Ok(Turn { records, id, number: ours.number, cut_ms, seen, looking });
        }
        Err(Error::passing("catalogue", "another licence service takes over the same audience all the time"))
    }

    async fn is_ours(&self, token: &Token) -> Result<(), Refusal> {
        let issued = token.issued.saturating_mul(1000);
        if issued <= self.cut_ms && self.cut_ms > 0 {
            return Err(Refusal::TokenBeforeStart);
        }
        let asked = Instant::now();
        let until = match self.seen_since(asked) {
            Some(until) => until,
            None => {
                let _one = self.looking.lock().await;
                match self.seen_since(asked) {
                    Some(until) => until,
                    None => self.look().await.map_err(|error| {
                        tracing::warn!(error = %error.chain(), "Whose turn it is cannot be read.");
                        Refusal::CatalogueUnavailable
                    })?,
                }
            }
        };
        if issued > until { Err(Refusal::TokenBeforeStart) } else { Ok(()) }
    }

    /// What a look saw that began no longer than half of [`FRESH`] before.
    fn seen_since(&self, asked: Instant) -> Option<u64> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (asked.saturating_duration_since(seen.at) <= FRESH / 2).then_some(seen.until_ms)
    }

    async fn look(&self) -> Result<u64> {
        let at = Instant::now();
        let found = self.records.get(TURNS, &self.id).await?;
        let until = match found.map(|it| Written::read(&it.value)).transpose()? {
            Some(it) if it.number == self.number => u64::MAX,
            // Our successor takes what comes after its cut.
            Some(it) if it.number == self.number + 1 => it.cut_ms,
            _ => 0,
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // What was once given away does not come back.
        if until < seen.until_ms {
            tracing::info!("Another licence service takes over this audience.");
        }
        seen.until_ms = until.min(seen.until_ms);
        seen.at = seen.at.max(at);
        Ok(seen.until_ms)
    }

    /// Writes down that all tokens after the newest one that was taken are for the next process.
    async fn close(&self, newest: Option<u64>) -> Result<()> {
        let Some(record) = self.records.get(TURNS, &self.id).await? else { return Ok(()) };
        let written = Written::read(&record.value)?;
        if written.number != self.number {
            return Ok(());
        }
        let last = newest.map_or(0, |it| it.saturating_mul(1000)).max(self.cut_ms);
        let closed = Written { closed_ms: Some(last), ..written };
        self.records.replace(TURNS, &self.id, record.version, &closed.value()).await.map(|_| ())
    }
}

/// The tokens that replicas took, in a cache.
pub(super) struct Shared {
    cache: Arc<dyn Cache>,
    scope: String,
    skew_ms: u64,
    opens_ms: AtomicU64,
}

impl Shared {
    pub(super) async fn begin(
        cache: Arc<dyn Cache>,
        scope: &str,
        skew_ms: u64,
        now_ms: u64,
    ) -> Result<Shared> {
        let scope = format!("{:032x}", digest(scope));
        let shared = Shared { cache, scope, skew_ms, opens_ms: AtomicU64::new(0) };
        shared.since(now_ms).await?;
        Ok(shared)
    }

    /// From when on the cache remembers all. Where it has lost that, it may have lost tokens too: it begins anew, after
    /// all that may have been taken.
    async fn since(&self, now_ms: u64) -> Result<u64> {
        let key = format!("licence-window/{}", self.scope);
        for _ in 0..3 {
            if let Some(value) = self.cache.get(&key).await? {
                let since = std::str::from_utf8(&value).ok().and_then(|it| it.parse().ok());
                let since = since
                    .ok_or_else(|| Error::permanent("cache", "what the cache has of tokens is not ours"))?;
                self.opens_ms.store(since, Ordering::Relaxed);
                return Ok(since);
            }
            let since = now_ms.saturating_add(2 * self.skew_ms);
            self.cache.insert(&key, Bytes::from(since.to_string()), FOR_EVER).await?;
        }
        Err(Error::passing("cache", "the cache keeps nothing"))
    }

    async fn take(&self, token: &Token, clock: Clock) -> Result<(), Refusal> {
        let unavailable = |error: Error| {
            tracing::warn!(error = %error.chain(), "What remembers used tokens does not answer.");
            Refusal::ReplayWindowUnavailable
        };
        let key = format!("licence-token/{}/{:032x}", self.scope, digest(&token.id));
        // Until no clock that may be off takes it any more.
        let until = token.expires.saturating_mul(1000).saturating_add(4 * self.skew_ms + 1000);
        let lifetime = Duration::from_millis(until.saturating_sub(clock.earliest_ms));
        if !self.cache.insert(&key, Bytes::from_static(b"1"), lifetime).await.map_err(unavailable)? {
            return Err(Refusal::TokenReplayed);
        }
        // In this order: a cache that forgot everything in between says so here.
        let since = self.since(clock.latest_ms).await.map_err(unavailable)?;
        if token.issued.saturating_mul(1000) <= since { Err(Refusal::TokenBeforeStart) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: u32, expires: u64) -> Token {
        Token {
            account: "a".to_owned(),
            device: "d".to_owned(),
            session: String::new(),
            country: None,
            id: id.to_string(),
            issued: expires - 60,
            expires,
        }
    }

    #[test]
    fn a_window_that_is_full_refuses_and_forgets_only_what_is_over() {
        let window = Window::of(100);
        let at = |seconds: u64| Clock::around(seconds * 1000, 0);
        let taken = (0..1000).filter(|id| window.take(&token(*id, 1060), at(1000)).is_ok()).count();
        assert_eq!((taken, window.held.load(Ordering::Relaxed)), (100, 100));
        assert_eq!(window.take(&token(2000, 1060), at(1000)), Err(Refusal::ReplayWindowUnavailable));
        assert_eq!(window.take(&token(0, 1060), at(1059)), Err(Refusal::TokenReplayed));
        // Over: there is room again, and a clock that goes back brings no token to life.
        let taken = (3000..4000).filter(|id| window.take(&token(*id, 1200), at(1150)).is_ok()).count();
        assert!(taken > 0 && window.held.load(Ordering::Relaxed) <= 100, "{taken}");
        let again = (0..1000).map(|id| window.take(&token(id, 1060), at(1000)));
        let again: HashSet<_> = again.map(|it| it.map_err(Refusal::code)).collect();
        assert!(!again.contains(&Ok(())), "{again:?}");
        // With another expiry too, an id is the one that was taken.
        let window = Window::of(100);
        assert_eq!(window.take(&token(1, 1060), at(1000)), Ok(()));
        assert_eq!(window.take(&token(1, 1100), at(1001)), Err(Refusal::TokenReplayed));
        assert_eq!(window.close(), Some(1040));
        assert_eq!(window.take(&token(2, 1060), at(1000)), Err(Refusal::TokenBeforeStart));
    }
}
