//! What somebody who knows the market's future would do: a bound for everybody else.
//!
//! All are in one zone, because nothing is uncertain; each time in the one that lasts longest from the moment in which an
//! instance there can be ready, which makes the fewest moves. Replacements start so early that they are ready in time. Where no
//! zone has been up for long enough, on-demand instances, as many as the limit allows, are started so early that they are
//! ready, and kept just as long. That has the most capacity that the limit allows, and pays for hardly more than that.

use super::market::Market;
use super::run::{Report, Setting, Sums};
use super::world::World;

/// A stretch of time in one zone: paid from `start`, ready from `ready` to `end`.
struct Stay {
    start: u64,
    ready: u64,
    end: u64,
}

/// The report of that policy.
pub fn omniscient(market: &Market, setting: &Setting) -> Report {
    let end = market.length_ms();
    let stays = stays(market, setting, end);
    // Nothing of the world is used but its ledger.
    let mut world = World::new(market, setting.cold_ms, 0, 0);
    let mut sums = Sums::new(market, setting);
    let mut gaps: Vec<(u64, u64)> = Vec::new();
    let mut at = 0;
    for stay in &stays {
        if stay.ready > at {
            gaps.push((at, stay.ready));
        }
        at = at.max(stay.end);
    }
    if at < end {
        gaps.push((at, end));
    }
    let workers = setting.workers;
    let step = setting.tick_ms.max(1);
    let mut now = 0;
    // All of them end in their order: what is over is not looked at again.
    let (mut stays, mut open) = (stays.as_slice(), gaps.as_slice());
    let launched = stays.len() as u64 * u64::from(workers) + gaps.len() as u64 * u64::from(setting.limit);
    while now < end {
        let length = step.min(end - now).min(market.gap_ms - now % market.gap_ms);
        while let Some((_, rest)) = stays.split_first().filter(|it| it.0.end <= now) {
            stays = rest;
        }
        while let Some((_, rest)) = open.split_first().filter(|it| it.0.1 <= now) {
            open = rest;
        }
        let paid_for = || stays.iter().take_while(|it| it.start <= now);
        let spot = paid_for().any(|it| it.ready <= now);
        let paying = u32::try_from(paid_for().count()).unwrap_or(0);
        let gap = open.first();
        let net = gap.is_some_and(|it| it.0 <= now) && now >= setting.cold_ms;
        let kept = gap.is_some_and(|it| it.0.saturating_sub(setting.cold_ms) <= now);
        let limit = setting.limit.min(workers);
        let (ready, full) = (if spot { workers } else { 0 }, if net { limit } else { 0 });
        let paid = f64::from(paying * workers) * setting.spot_share + f64::from(if kept { limit } else { 0 });
        sums.add(now, length, ready, full, paid);
        if let Some(sum) = world.ledger.spot_ms.first_mut() {
            *sum += u64::from(paying * workers) * length;
        }
        if let Some(sum) = world.ledger.on_demand_ms.first_mut().filter(|_| kept) {
            *sum += u64::from(limit) * length;
        }
        now += length;
    }
    world.ledger.launches = vec![0; usize::try_from(launched).unwrap_or(0)];
    world.ledger.most_on_demand = if gaps.is_empty() { 0 } else { setting.limit.min(workers) };
    sums.report("omniscient bound", &world)
}

/// Where to be when, by the ends.
fn stays(market: &Market, setting: &Setting, end: u64) -> Vec<Stay> {
    let ready = |run: &(u64, u64)| run.0 + setting.cold_ms;
    let mut runs = runs(market);
    runs.retain(|it| ready(it) < it.1);
    runs.sort_unstable_by_key(|it| (it.0, u64::MAX - it.1));
    let mut runs = runs.iter().peekable();
    let mut stays: Vec<Stay> = Vec::new();
    let (mut at, mut longest) = (0, 0);
    while at < end {
        // Ready by now, and lasting longest; else the one that is ready next.
        while let Some(run) = runs.next_if(|it| ready(it) <= at) {
            longest = longest.max(run.1);
        }
        let (from, until) = match runs.peek() {
            _ if longest > at => (at, longest),
            Some(next) => (ready(next), next.1),
            None => break,
        };
        stays.push(Stay { start: from.saturating_sub(setting.cold_ms), ready: from, end: until });
        at = until;
    }
    stays
}

/// The times in which zones have capacity: from, to.
fn runs(market: &Market) -> Vec<(u64, u64)> {
    let mut runs = Vec::new();
    for series in &market.zones {
        let mut from = None;
        for (tick, available) in series.available.iter().chain([&0]).enumerate() {
            let at = tick as u64 * market.gap_ms;
            match (from, *available > 0) {
                (None, true) => from = Some(at),
                (Some(start), false) => {
                    runs.push((start, at));
                    from = None;
                }
                _ => {}
            }
        }
    }
    runs
}
