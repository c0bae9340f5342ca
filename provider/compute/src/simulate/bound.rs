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
    while now < end {
        let length = step.min(end - now).min(market.gap_ms - now % market.gap_ms);
        let spot = stays.iter().any(|it| it.ready <= now && now < it.end);
        let paying =
            u32::try_from(stays.iter().filter(|it| it.start <= now && now < it.end).count()).unwrap_or(0);
        let net = gaps.iter().any(|(from, to)| *from <= now && now < *to && now >= setting.cold_ms);
        let kept = gaps.iter().any(|(from, to)| from.saturating_sub(setting.cold_ms) <= now && now < *to);
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
    let launched = stays.len() as u64 * u64::from(workers) + gaps.len() as u64 * u64::from(setting.limit);
    world.ledger.launches = vec![0; usize::try_from(launched).unwrap_or(0)];
    world.ledger.most_on_demand = if gaps.is_empty() { 0 } else { setting.limit.min(workers) };
    sums.report("omniscient bound", &world)
}

/// Where to be when.
fn stays(market: &Market, setting: &Setting, end: u64) -> Vec<Stay> {
    let runs = runs(market);
    let mut stays: Vec<Stay> = Vec::new();
    let mut at = 0;
    while at < end {
        // Ready by now, and lasting longest; else the one that is ready next.
        let ready = |run: &(u64, u64)| run.0 + setting.cold_ms;
        let usable = || runs.iter().filter(|it| ready(it) < it.1);
        let now = usable().filter(|it| ready(it) <= at && it.1 > at).max_by_key(|it| it.1);
        let next = || usable().filter(|it| ready(it) > at).min_by_key(|it| (ready(it), u64::MAX - it.1));
        let Some(run) = now.or_else(next) else { break };
        let from = ready(run).max(at);
        stays.push(Stay { start: from - setting.cold_ms, ready: from, end: run.1 });
        at = run.1;
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
