//! Where the next instance comes from.

use streamverse_model::compute::Lifecycle;

use super::fleet::Pool;
use super::pool::{Live, Tick};
use super::state::{PoolState, index};

/// Blocks for want of capacity are lifted at most so often: a sweep.
const SWEEP_MS: u64 = 60_000;

/// The best place that may be asked.
///
/// Spot: the least of price × (1 + losses per hour × (1 + those that are there already)): a loss is reckoned as an hour's
/// price, and a place that holds more loses more at once. On demand: the first in the list where that is how the pool buys,
/// else the cheapest. A place that is as full as `spread` allows is taken only where no other may be.
pub(super) fn choose(
    tick: &Tick<'_>,
    memory: &PoolState,
    live: &[Live],
    lifecycle: Lifecycle,
    wanted: &dyn Fn(usize) -> bool,
) -> Option<usize> {
    let pool = tick.pool;
    let in_order = lifecycle == Lifecycle::OnDemand && pool.primary() == lifecycle;
    let mut best: Option<(bool, f64, usize)> = None;
    for (at, (source, place)) in pool.candidates.iter().zip(&memory.places).enumerate() {
        let Some(price) = source.hourly(lifecycle) else { continue };
        let dear = pool.range.price_ceiling.is_some_and(|ceiling| price > ceiling);
        let net = lifecycle == Lifecycle::OnDemand && tick.shared.left(tick.fleet, source) == 0;
        if dear || net || !place.open(lifecycle, tick.now) || !wanted(at) {
            continue;
        }
        let here = live.iter().filter(|it| it.place == at && it.lifecycle == lifecycle && it.stays()).count();
        let asked =
            memory.orders.iter().filter(|it| it.lifecycle == lifecycle && it.key == place.key).count();
        let held = u32::try_from(here + asked).unwrap_or(u32::MAX);
        let full = pool.policy.spread > 0 && held >= pool.policy.spread;
        let score = match lifecycle {
            _ if in_order => 0.0,
            Lifecycle::OnDemand => price.as_dollars(),
            Lifecycle::Spot => price.as_dollars() * (1.0 + place.losses_per_hour() * (1.0 + f64::from(held))),
        };
        if best.is_none_or(|(its, least, _)| (full, score) < (its, least)) {
            best = Some((full, score, at));
        }
    }
    best.map(|(_, _, at)| at)
}

/// The reset rule: where fewer than two places may be asked, the blocks for want of capacity say nothing any more.
/// Quotas stay.
pub(super) fn lift(pool: &Pool, memory: &mut PoolState, lifecycle: Lifecycle, now: u64) {
    let sold = |at: usize| pool.candidates.get(at).is_some_and(|it| it.hourly(lifecycle).is_some());
    let open = |(at, place): (usize, &super::state::Place)| sold(at) && place.open(lifecycle, now);
    if now.saturating_sub(memory.reset_ms) < SWEEP_MS
        || memory.places.iter().enumerate().filter(|it| open(*it)).count() >= 2
    {
        return;
    }
    memory.reset_ms = now;
    for place in &mut memory.places {
        if let Some(slot) = place.blocks.get_mut(index(lifecycle))
            && slot.is_some_and(|it| it.capacity)
        {
            *slot = None;
        }
    }
}
