//! Who may ask: a request is of somebody who knows the access key, is fresh, and comes once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use streamverse_core::stores::key_wire::{AccessKey, Claim, SKEW};

/// Requests that are remembered in each half of the window. All are of those who know the access key.
const MOST: usize = 200_000;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not of somebody who knows the access key.
    Denied,
    /// The clocks are too far apart.
    Clock,
    /// It came before.
    Replayed,
    /// More requests than can be told apart.
    Busy,
}

pub(super) struct Guard {
    access: AccessKey,
    seen: Mutex<Seen>,
}

/// Two halves, so that what is too old to be taken is forgotten at once.
#[derive(Default)]
struct Seen {
    turn: u64,
    now: HashSet<[u8; 16]>,
    before: HashSet<[u8; 16]>,
}

impl Guard {
    pub(super) fn new(access: AccessKey) -> Guard {
        Guard { access, seen: Mutex::default() }
    }

    pub(super) fn access(&self) -> &AccessKey {
        &self.access
    }

    /// The claim of a request, when it holds.
    pub(super) fn admit(
        &self,
        header: Option<&str>,
        path: &str,
        body: &[u8],
        now_ms: u64,
    ) -> Result<Claim, Refusal> {
        let claim = header.and_then(Claim::read).ok_or(Refusal::Denied)?;
        if !self.access.verify(&claim, path, body) {
            return Err(Refusal::Denied);
        }
        let skew = u64::try_from(SKEW.as_millis()).unwrap_or(u64::MAX);
        if claim.time_ms.abs_diff(now_ms) > skew {
            return Err(Refusal::Clock);
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // A request is taken for two spans of SKEW; a turn is as long, so two turns remember enough.
        let turn = now_ms / (2 * skew).max(1);
        // A clock that is put back forgets nothing.
        if turn > seen.turn {
            let last = std::mem::take(&mut seen.now);
            seen.before = if turn == seen.turn + 1 { last } else { HashSet::new() };
            seen.turn = turn;
        }
        if seen.before.contains(&claim.nonce) || seen.now.contains(&claim.nonce) {
            return Err(Refusal::Replayed);
        }
        if seen.now.len() >= MOST {
            return Err(Refusal::Busy);
        }
        seen.now.insert(claim.nonce);
        Ok(claim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATH: &str = "/v1/find";
    // base64 of 32 bytes of 7
    const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

    fn guard() -> Guard {
        Guard::new(AccessKey::parse(KEY).unwrap())
    }

    #[test]
    fn a_request_is_taken_once_while_it_is_fresh_and_from_those_who_may() {
        let guard = guard();
        let now = 1_700_000_000_000;
        let header = |time: u64, nonce: u8| guard.access.sign("a/b", time, &[nonce; 16], PATH, b"x");
        let asked =
            |header: Option<&str>, now| guard.admit(header, PATH, b"x", now).map(|claim| claim.client);
        assert_eq!(asked(Some(&header(now, 1)), now), Ok("a/b".to_owned()));
        assert_eq!(asked(Some(&header(now, 1)), now + 1), Err(Refusal::Replayed));
        assert_eq!(asked(Some(&header(now, 2)), now + 120_001), Err(Refusal::Clock));
        assert_eq!(asked(Some(&header(now, 2)), now - 120_001), Err(Refusal::Clock));
        assert_eq!(asked(Some(&header(0, 2)), now), Err(Refusal::Clock));
        assert_eq!(asked(Some(&header(u64::MAX, 2)), now), Err(Refusal::Clock));
        assert_eq!(asked(None, now), Err(Refusal::Denied));
        assert_eq!(asked(Some("Bearer x"), now), Err(Refusal::Denied));
        assert_eq!(guard.admit(Some(&header(now, 3)), PATH, b"y", now).unwrap_err(), Refusal::Denied);
    }

    proptest! {
        /// However far the clock goes on in between, no request is taken twice within its window.
        #[test]
        fn no_request_is_taken_twice(steps in proptest::collection::vec((0_u8..6, 0_u64..300_000), 1..60)) {
            let guard = guard();
            let start = 1_700_000_000_000_u64;
            let mut now = start;
            let mut taken = HashSet::new();
            for (nonce, step) in steps {
                now += step;
                // The same six requests again and again, each signed at the start.
                let header = guard.access.sign("a/b", start + 100_000, &[nonce; 16], PATH, b"x");
                if guard.admit(Some(&header), PATH, b"x", now).is_ok() {
                    prop_assert!(taken.insert(nonce), "{nonce} twice");
                }
            }
        }
    }
}
