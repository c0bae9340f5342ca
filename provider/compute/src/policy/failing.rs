//! Instances that come to nothing: an image that does not start, workers that never enrol, hosts that vanish. The first of them may be
//! chance, and is replaced elsewhere. From the second wave on there is a pause before the next, longer each time, and only one is tried
//! until one has proved itself: what never works costs little, however many are wanted.

use serde::{Deserialize, Serialize};
use streamverse_model::compute::Lifecycle;

use super::fleet::{Pool, ms};
use super::pool::Live;
use super::seen::WorkerPhase;
use super::state::PoolState;

/// The longest pause.
const LONGEST_MS: u64 = 3_600_000;
/// Who is ready so long after it was asked for works.
const PROVEN_MS: u64 = 600_000;
/// What failed is forgotten after so long without another failure: longer than the longest pause and a start.
const FORGET_MS: u64 = 6 * 3_600_000;

/// Instances that came to nothing, with none between that worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failing {
    /// How many waves of them: those that were asked for before the last failure was seen are of its wave.
    pub waves: u32,
    /// When the first failure of the last wave was seen.
    pub seen_ms: u64,
}

impl Failing {
    /// How long nothing is tried after so many waves.
    fn pause(pool: &Pool, waves: u32) -> u64 {
        let doubled = 1_u64.checked_shl(waves.saturating_sub(1)).unwrap_or(u64::MAX);
        ms(pool.policy.capacity_block.0).saturating_mul(doubled).min(LONGEST_MS)
    }

    /// Whether it is more than chance.
    fn persists(self) -> bool {
        self.waves >= 2
    }
}

/// One that was asked for at `asked_ms` failed now.
fn count(slot: &mut Option<Failing>, asked_ms: u64, now: u64) -> u32 {
    match slot {
        Some(it) if asked_ms <= it.seen_ms => {}
        Some(it) => *it = Failing { waves: it.waves.saturating_add(1), seen_ms: now },
        None => *slot = Some(Failing { waves: 1, seen_ms: now }),
    }
    slot.map_or(0, |it| it.waves)
}

/// One of this place came to nothing.
pub(super) fn failed(
    pool: &Pool,
    memory: &mut PoolState,
    place: usize,
    lifecycle: Lifecycle,
    asked_ms: u64,
    now: u64,
) {
    count(&mut memory.failing, asked_ms, now);
    let Some(place) = memory.places.get_mut(place) else { return };
    let waves = count(&mut place.failing, asked_ms, now);
    // The first is taken for want of capacity: where there is no other place this one is asked again.
    place.block(lifecycle, now.saturating_add(Failing::pause(pool, waves)), waves < 2);
}

/// What worked since, and what is long ago, ends it.
pub(super) fn forget(memory: &mut PoolState, live: &[Live], now: u64) {
    let old = |it: &mut Failing| {
        // A clock that was put back.
        it.seen_ms = it.seen_ms.min(now);
        now - it.seen_ms >= FORGET_MS
    };
    let proven = |it: &&Live| {
        it.stays() && it.phase == WorkerPhase::Ready && now.saturating_sub(it.since_ms) >= PROVEN_MS
    };
    let ends = |it: &mut Failing, place: Option<usize>| {
        let here = |one: &&Live| place.is_none_or(|place| one.place == place);
        old(it) || live.iter().filter(proven).filter(here).any(|one| one.since_ms > it.seen_ms)
    };
    if memory.failing.as_mut().is_some_and(|it| ends(it, None)) {
        memory.failing = None;
    }
    for (at, place) in memory.places.iter_mut().enumerate() {
        if place.failing.as_mut().is_some_and(|it| ends(it, Some(at))) {
            place.failing = None;
        }
    }
}

/// Whether another one may be tried: after its pause, and one at a time.
pub(super) fn may_try(pool: &Pool, memory: &PoolState, starting: bool, now: u64) -> bool {
    let Some(failing) = memory.failing.filter(|it| it.persists()) else { return true };
    let until = failing.seen_ms.saturating_add(Failing::pause(pool, failing.waves - 1));
    now >= until && !starting && memory.orders.is_empty()
}

impl PoolState {
    /// How often in a row what was started came to nothing, where that is more than chance.
    pub fn fails(&self) -> Option<u32> {
        self.failing.filter(|it| it.persists()).map(|it| it.waves)
    }
}
