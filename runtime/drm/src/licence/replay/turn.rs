//! Whose turn it is to take the tokens of an audience: one document in the catalogue.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use streamverse_core::stores::Records;
use streamverse_core::{Error, Result};
use streamverse_model::drm::entitlement::{Clock, Refusal};

use super::{broken, digest, hex};
use crate::licence::licensor::Now;
use crate::licence::token::Token;

/// The collection of the turns.
const TURNS: &str = "entitlement-turns";

/// Who wants a turn.
pub(super) struct Claim<'a> {
    /// Of which tokens.
    pub(super) scope: &'a str,
    /// Who: a process, or all who share a memory of this name.
    pub(super) holder: &'a str,
    /// A holder that is gone and whose tokens are all known here, with its cut.
    pub(super) inherits: Option<(String, u64)>,
    /// Where given, only these may be followed, by number and holder: whoever came after them is there by right.
    pub(super) follows: Option<(u64, String)>,
    /// How old what anybody knows of a turn may be.
    pub(super) fresh: Duration,
}

/// A turn that was given.
pub(super) struct Turn {
    records: Arc<dyn Records>,
    id: String,
    holder: String,
    number: u64,
    cut_ms: u64,
    fresh: Duration,
    seen: Mutex<Seen>,
    /// One looks, the others wait for what it sees.
    looking: tokio::sync::Mutex<()>,
}

/// What was last seen of the turn's document, by a look that began then.
struct Seen {
    at: Instant,
    /// Up to when a token may be issued that is still for us.
    until_ms: u64,
    /// Whether a later turn is ours as well: others who share our memory have taken it.
    is_ours_again: bool,
}

struct Written {
    number: u64,
    holder: String,
    cut_ms: u64,
    closed_ms: Option<u64>,
    /// Whether the cut is ahead of when everybody could know of it.
    settled: bool,
}

impl Written {
    fn read(value: &serde_json::Value) -> Result<Written> {
        let number = |name: &str| value[name].as_u64();
        Ok(Written {
            number: number("turn").ok_or_else(broken)?,
            holder: value["holder"].as_str().unwrap_or_default().to_owned(),
            cut_ms: number("cut_ms").ok_or_else(broken)?,
            closed_ms: number("closed_ms"),
            settled: value["settled"].as_bool().unwrap_or(true),
        })
    }

    fn value(&self) -> serde_json::Value {
        json!({
            "turn": self.number, "holder": self.holder, "cut_ms": self.cut_ms, "closed_ms": self.closed_ms,
            "settled": self.settled,
        })
    }

    /// What must be written before the claim has the turn; nothing where it has it already.
    fn taken_over(&self, claim: &Claim<'_>, ahead_ms: u64) -> Option<Written> {
        let next = |cut_ms: u64, settled: bool| Written {
            number: self.number + 1,
            holder: claim.holder.to_owned(),
            cut_ms: self.cut_ms.max(cut_ms),
            closed_ms: None,
            settled,
        };
        if self.holder == claim.holder && self.closed_ms.is_none() {
            // Whoever was there before has been able to see it since it was written.
            return (!self.settled).then(|| Written { number: self.number, ..next(ahead_ms, true) });
        }
        match (&claim.inherits, self.closed_ms) {
            (Some((holder, cut_ms)), _) if *holder == self.holder && self.settled => {
                Some(next(*cut_ms, true))
            }
            (_, Some(closed_ms)) => Some(next(closed_ms, true)),
            _ => Some(next(ahead_ms, false)),
        }
    }
}

impl Turn {
    /// Takes over, or takes part. `skew_ms` is how far apart clocks may be.
    pub(super) async fn begin(
        records: Arc<dyn Records>,
        claim: Claim<'_>,
        skew_ms: u64,
        now: &Now,
    ) -> Result<Turn> {
        let id = hex(digest(claim.scope));
        // Until then somebody who does not know of us yet may take a token.
        let fresh_ms = u64::try_from(claim.fresh.as_millis()).unwrap_or(u64::MAX);
        let ahead = || now().saturating_add(2 * skew_ms).saturating_add(fresh_ms);
        for _ in 0..100 {
            let at = Instant::now();
            let written = match records.get(TURNS, &id).await? {
                // Nobody that this catalogue knows of: perhaps it is another catalogue than before.
                None => {
                    let holder = claim.holder.to_owned();
                    let first =
                        Written { number: 1, holder, cut_ms: ahead(), closed_ms: None, settled: true };
                    if !records.insert(TURNS, &id, &first.value()).await? {
                        continue;
                    }
                    first
                }
                Some(record) => {
                    let before = Written::read(&record.value)?;
                    let is_other = before.holder != claim.holder;
                    if claim.follows.as_ref().is_some_and(|(number, holder)| {
                        is_other && (*number != before.number || *holder != before.holder)
                    }) {
                        let text = "another licence service has taken over this audience";
                        return Err(Error::passing("catalogue", text));
                    }
                    match before.taken_over(&claim, ahead()) {
                        None => before,
                        Some(next) => {
                            if !records.replace(TURNS, &id, record.version, &next.value()).await? {
                                continue;
                            }
                            next
                        }
                    }
                }
            };
            if !written.settled {
                continue;
            }
            return Ok(Turn {
                records,
                id,
                holder: written.holder,
                number: written.number,
                cut_ms: written.cut_ms,
                fresh: claim.fresh,
                seen: Mutex::new(Seen { at, until_ms: u64::MAX, is_ours_again: false }),
                looking: tokio::sync::Mutex::default(),
            });
        }
        Err(Error::passing("catalogue", "another licence service takes over the same audience all the time"))
    }

    /// From when on tokens are taken.
    pub(super) fn cut_ms(&self) -> u64 {
        self.cut_ms
    }

    pub(super) fn holder(&self) -> &str {
        &self.holder
    }

    /// What tells it from others.
    pub(super) fn name(&self) -> (u64, String) {
        (self.number, self.holder.clone())
    }

    /// Whether those who share our memory have taken a later turn.
    pub(super) fn is_ours_again(&self) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).is_ours_again
    }

    /// Whether a token comes after our cut.
    pub(super) fn is_past_cut(&self, token: &Token, clock: Clock) -> Result<(), Refusal> {
        if token.issued.saturating_mul(1000) > self.cut_ms {
            return Ok(());
        }
        // Who asks for another one now may be given one that is no better.
        let too_early = clock.earliest_ms <= self.cut_ms;
        Err(if too_early { Refusal::ServiceStarting } else { Refusal::TokenBeforeStart })
    }

    pub(super) async fn is_ours(&self, token: &Token, clock: Clock) -> Result<(), Refusal> {
        self.is_past_cut(token, clock)?;
        let issued = token.issued.saturating_mul(1000);
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

    /// What a look saw that began no longer than half of `fresh` before.
    fn seen_since(&self, asked: Instant) -> Option<u64> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = seen.at >= asked || asked.saturating_duration_since(seen.at) < self.fresh / 2;
        is_new.then_some(seen.until_ms)
    }

    async fn look(&self) -> Result<u64> {
        let at = Instant::now();
        let found = self.records.get(TURNS, &self.id).await?;
        let found = found.map(|it| Written::read(&it.value)).transpose()?;
        let until = match &found {
            Some(it) if it.number == self.number && it.holder == self.holder => u64::MAX,
            // Our successor takes what comes after its cut.
            Some(it) if it.number == self.number + 1 => it.cut_ms,
            _ => 0,
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // What was once given away does not come back.
        if until < seen.until_ms {
            tracing::info!("Another licence service takes over this audience.");
        }
        seen.is_ours_again = found.is_some_and(|it| it.number > self.number && it.holder == self.holder);
        seen.until_ms = until.min(seen.until_ms);
        seen.at = seen.at.max(at);
        Ok(seen.until_ms)
    }

    /// Writes down that all tokens after the newest one that was taken are for the next process.
    pub(super) async fn close(&self, newest: Option<u64>) -> Result<()> {
        let Some(record) = self.records.get(TURNS, &self.id).await? else { return Ok(()) };
        let written = Written::read(&record.value)?;
        if written.number != self.number || written.holder != self.holder {
            return Ok(());
        }
        let last = newest.map_or(0, |it| it.saturating_mul(1000)).max(self.cut_ms);
        let closed = Written { closed_ms: Some(last), ..written };
        self.records.replace(TURNS, &self.id, record.version, &closed.value()).await.map(|_| ())
    }
}
