//! The tokens that a process took, in its memory.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use streamverse_model::drm::entitlement::{Clock, Refusal};

use crate::licence::token::Token;

/// Seconds that one part of the window covers.
const SLOT: u64 = 16;
/// Parts that are locked by themselves.
const SHARDS: usize = 16;
/// Tokens that are remembered at most, at some 60 bytes each.
pub(super) const MOST: usize = 4 << 20;
/// Tokens that are over and forgotten with each one that is taken: nobody waits for thousands of them.
const AT_ONCE: usize = 32;

/// The tokens that this process took and that have not expired.
pub(super) struct Window {
    shards: [Mutex<Shard>; SHARDS],
    held: AtomicUsize,
    most: usize,
    /// When the newest token was issued that was taken; 0 where none was.
    newest: AtomicU64,
    /// Whoever takes a token reads it; once it is `true` nothing is taken any more.
    closed: RwLock<bool>,
}

#[derive(Default)]
struct Shard {
    all: HashSet<u128, BuildHasherDefault<Digest>>,
    /// By when they expire.
    slots: BTreeMap<u64, Vec<u128>>,
    /// What expired before this was forgotten: a clock that goes back does not bring it to life again.
    forgotten: u64,
}

/// What is a digest already needs no other.
#[derive(Default)]
struct Digest(u64);

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, id: u128) {
        // The low half; the shard took of it what it needed.
        self.0 = u64::try_from(id & u128::from(u64::MAX)).unwrap_or_default().rotate_right(7);
    }
}

impl Shard {
    /// Forgets some of what was over at that slot.
    fn forget(&mut self, over: u64) -> usize {
        let mut gone = 0;
        while let Some(mut entry) = self.slots.first_entry().filter(|it| *it.key() < over) {
            self.forgotten = self.forgotten.max(entry.key() + 1);
            let slot = entry.get_mut();
            while gone < AT_ONCE
                && let Some(id) = slot.pop()
            {
                self.all.remove(&id);
                gone += 1;
            }
            if !slot.is_empty() {
                break;
            }
            entry.remove();
        }
        gone
    }
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
            newest: AtomicU64::new(0),
            closed: RwLock::new(false),
        }
    }

    fn shard(&self, id: u128) -> Option<&Mutex<Shard>> {
        self.shards.get(usize::try_from(id % SHARDS as u128).unwrap_or_default())
    }

    /// Something that a process before this one took.
    pub(super) fn remember(&self, id: u128, expires: u64) {
        let Some(shard) = self.shard(id) else { return };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.all.insert(id) {
            shard.slots.entry(expires / SLOT).or_default().push(id);
            self.held.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn take(&self, id: u128, token: &Token, clock: Clock) -> Result<(), Refusal> {
        // Held to the end: what closes the window waits for who is taking.
        let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
        if *closed {
            return Err(Refusal::TokenBeforeStart);
        }
        self.newest.fetch_max(token.issued, Ordering::Relaxed);
        let Some(shard) = self.shard(id) else { return Err(Refusal::ReplayWindowUnavailable) };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = shard.forget(clock.earliest_ms / 1000 / SLOT);
        self.held.fetch_sub(gone, Ordering::Relaxed);
        let slot = token.expires / SLOT;
        if slot < shard.forgotten {
            return Err(Refusal::TokenExpired);
        }
        // An issuer may give an id twice with different times: it is the same token to us.
        if shard.all.contains(&id) {
            return Err(Refusal::TokenReplayed);
        }
        if self.held.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.held.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::ReplayWindowUnavailable);
        }
        shard.all.insert(id);
        shard.slots.entry(slot).or_default().push(id);
        Ok(())
    }

    /// Takes nothing more, and says when the newest token was issued that was taken.
    pub(super) fn close(&self) -> Option<u64> {
        *self.closed.write().unwrap_or_else(PoisonError::into_inner) = true;
        Some(self.newest.load(Ordering::Relaxed)).filter(|it| *it > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::licence::replay::digest;

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

    fn take(window: &Window, id: u32, expires: u64, seconds: u64) -> Result<(), Refusal> {
        let token = token(id, expires);
        window.take(digest(&token.id), &token, Clock::around(seconds * 1000, 0))
    }

    #[test]
    fn a_window_that_is_full_refuses_and_forgets_only_what_is_over() {
        let window = Window::of(100);
        let taken = (0..1000).filter(|id| take(&window, *id, 1060, 1000).is_ok()).count();
        assert_eq!((taken, window.held.load(Ordering::Relaxed)), (100, 100));
        assert_eq!(take(&window, 2000, 1060, 1000), Err(Refusal::ReplayWindowUnavailable));
        assert_eq!(take(&window, 0, 1060, 1059), Err(Refusal::TokenReplayed));
        // Over: there is room again, and a clock that goes back brings no token to life.
        let taken = (3000..4000).filter(|id| take(&window, *id, 1200, 1150).is_ok()).count();
        assert!(taken > 0 && window.held.load(Ordering::Relaxed) <= 100, "{taken}");
        let again = (0..1000).filter(|id| take(&window, *id, 1060, 1000).is_ok()).count();
        assert_eq!(again, 0);
        // With another expiry too, an id is the one that was taken.
        let window = Window::of(100);
        assert_eq!(take(&window, 1, 1060, 1000), Ok(()));
        assert_eq!(take(&window, 1, 1100, 1001), Err(Refusal::TokenReplayed));
        assert_eq!(window.close(), Some(1040));
        assert_eq!(take(&window, 2, 1060, 1000), Err(Refusal::TokenBeforeStart));
    }

    #[test]
    fn many_tokens_that_are_over_are_forgotten_a_few_at_a_time_and_none_is_taken_again() {
        let window = Window::of(100_000);
        for id in 0..20_000 {
            assert_eq!(take(&window, id, 1060, 1000), Ok(()));
        }
        for id in 0..20_000 {
            assert_eq!(take(&window, 30_000 + id, 1300, 1100), Ok(()));
            assert!(take(&window, id, 1060, 1000).is_err());
        }
        assert_eq!(window.held.load(Ordering::Relaxed), 20_000, "the old ones are gone");
    }
}
