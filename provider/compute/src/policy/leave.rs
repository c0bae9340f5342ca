//! Who leaves, in which order, and how.

use streamverse_model::compute::{Lifecycle, MARGIN};

use super::failing;
use super::fleet::ms;
use super::pool::{Live, Tick, count, ready};
use super::seen::WorkerPhase;
use super::state::PoolState;
use super::target::Aim;
use super::why::{Action, Why};

/// That an instance is to leave, or is given back, is said again after so long, if it is still there.
pub(super) const AGAIN_MS: u64 = 60_000;
/// How long a place is left alone that cost more than it said.
const DEAR_MS: u64 = 600_000;
/// One is on its way to another place for at most so long.
const MOVE_MS: u64 = 900_000;

/// Those that are taken away, broke, never started, became too dear, or are no candidates any more.
pub(super) fn broken(tick: &mut Tick<'_>, memory: &mut PoolState, live: &mut [Live], start_limit: u64) {
    for one in live.iter_mut().filter(|it| it.leaving_ms.is_none()) {
        let source = tick.pool.candidates.get(one.place);
        let dear = tick.pool.range.price_ceiling.zip(one.hourly).filter(|(ceiling, hourly)| hourly > ceiling);
        let late = one.phase == WorkerPhase::Starting && tick.now.saturating_sub(one.since_ms) >= start_limit;
        let why = match (one.doomed_ms, source, dear) {
            (Some(_), _, _) => {
                let until = tick.now.saturating_add(ms(tick.pool.policy.capacity_block.0));
                if let Some(place) =
                    memory.places.get_mut(one.place).filter(|_| one.lifecycle == Lifecycle::Spot)
                {
                    // Several in one place are one event.
                    place.lost += u64::from(place.open(Lifecycle::Spot, tick.now));
                    place.block(Lifecycle::Spot, until, true);
                }
                Why::Announced
            }
            _ if one.phase == WorkerPhase::Failed => Why::Failed,
            (None, None, _) if !tick.pool.tombstone => Why::NoCandidate,
            (None, Some(_), Some((_, hourly))) => {
                // Where only the instance is so dear, and not the offer, the next one there would be, too.
                if let Some(place) = memory.places.get_mut(one.place) {
                    place.block(one.lifecycle, tick.now.saturating_add(DEAR_MS), false);
                }
                Why::Ceiling { hourly }
            }
            _ if late => Why::NeverStarted,
            _ => continue,
        };
        if matches!(why, Why::Failed | Why::NeverStarted) {
            failing::failed(tick.pool, memory, one.place, one.lifecycle, one.since_ms, tick.now);
        }
        go(tick, memory, one, why);
    }
}

/// Where the cloud says that it may soon take one back, no other is started for as long as after a loss. That one works on: it may
/// never be taken, and what it would lose then is less than what an instance costs that starts in its place.
pub(super) fn at_risk(tick: &Tick<'_>, memory: &mut PoolState, live: &[Live]) {
    for one in live.iter().filter(|it| it.at_risk && it.stays() && it.lifecycle == Lifecycle::Spot) {
        let known = memory.known.get_mut(one.known).filter(|it| it.at_risk_ms.is_none());
        let (Some(known), Some(place)) = (known, memory.places.get_mut(one.place)) else { continue };
        known.at_risk_ms = Some(tick.now);
        let until = tick.now.saturating_add(ms(tick.pool.policy.capacity_block.0));
        place.block(Lifecycle::Spot, until, true);
    }
}

/// Everybody.
pub(super) fn all(tick: &mut Tick<'_>, memory: &mut PoolState, live: &mut [Live], why: Option<Why>) {
    for one in live.iter_mut().filter(|it| it.leaving_ms.is_none()) {
        go(tick, memory, one, why.unwrap_or(Why::Tombstone));
    }
}

/// Those of a lifecycle that are more than is wanted.
pub(super) fn surplus(
    tick: &mut Tick<'_>,
    memory: &mut PoolState,
    live: &mut [Live],
    aim: &Aim,
    lifecycle: Lifecycle,
) {
    // While one is on its way to another place, what starts does not make what is ready superfluous.
    let moving = memory.moved_ms.is_some_and(|it| tick.now.saturating_sub(it) < MOVE_MS);
    let have = if moving { ready(live, lifecycle) } else { count(live, memory, lifecycle) };
    let idle = |it: &Live| if it.lifecycle == lifecycle && it.stays() { it.idle_ms } else { None };
    let longest = live.iter().filter_map(idle).max().unwrap_or(0);
    let why = match aim.why {
        Some(why) => why,
        None if aim.only_idle => Why::Idle { for_ms: longest },
        None => Why::Surplus { have, want: aim.want },
    };
    some(tick, memory, live, lifecycle, have.saturating_sub(aim.want), aim.only_idle, why);
}

/// So many of a lifecycle: first those that do nothing, of them first those in the fullest place, of them those that may soon
/// be taken, then the youngest.
pub(super) fn some(
    tick: &mut Tick<'_>,
    memory: &mut PoolState,
    live: &mut [Live],
    lifecycle: Lifecycle,
    how_many: u32,
    only_idle: bool,
    why: Why,
) {
    for _ in 0..how_many {
        let crowd = |place: usize| {
            live.iter().filter(|it| it.place == place && it.lifecycle == lifecycle && it.stays()).count()
        };
        let may = |it: &&Live| it.lifecycle == lifecycle && it.stays() && !(only_idle && it.busy());
        let rank = |it: &Live| (!it.busy(), crowd(it.place), it.at_risk, it.since_ms, it.worker);
        let Some(worker) = live.iter().filter(may).max_by_key(|it| rank(it)).map(|it| it.worker) else {
            return;
        };
        if let Some(one) = live.iter_mut().find(|it| it.worker == worker) {
            go(tick, memory, one, why);
        }
    }
}

/// Tells one to finish what it has begun.
pub(super) fn go(tick: &mut Tick<'_>, memory: &mut PoolState, one: &mut Live, why: Why) {
    let Some(worker) = tick.seen.workers.get(one.worker) else { return };
    if let Some(known) = memory.known.get_mut(one.known) {
        known.leaving_ms = Some(tick.now);
        known.told_ms = Some(tick.now);
    }
    one.leaving_ms = Some(tick.now);
    let deadline_ms = deadline(tick, one, tick.now);
    tick.say(Action::Drain { id: worker.id.clone(), deadline_ms }, why);
}

/// When one that was told to leave at an instant must be gone.
fn deadline(tick: &Tick<'_>, one: &Live, leaving: u64) -> u64 {
    let full = leaving.saturating_add(ms(tick.pool.policy.drain.0));
    one.doomed_ms.map_or(full, |it| it.min(full))
}

/// Those that are done, or had their time. What the cloud takes away it takes by itself; but in its place a group that keeps its size
/// starts another. So where nothing is to come any more it is given back before: that makes the group smaller.
pub(super) fn drained(tick: &mut Tick<'_>, memory: &mut PoolState, live: &[Live], nothing: bool) {
    for one in live {
        let Some(leaving) = one.leaving_ms else { continue };
        if one.doomed_ms.is_some_and(|it| !nothing && tick.now < it.saturating_add(AGAIN_MS)) {
            continue;
        }
        // Its own time ends this much before it is taken.
        let last = one.doomed_ms.is_some_and(|it| nothing && tick.now >= it.saturating_sub(MARGIN));
        let over = last || tick.now.saturating_sub(leaving) >= ms(tick.pool.policy.drain.0);
        let why = match () {
            () if one.phase == WorkerPhase::Failed => Why::Failed,
            () if !one.busy() => Why::Drained,
            () if over => Why::DrainOver,
            () => Why::Again,
        };
        let (Some(worker), Some(known)) =
            (tick.seen.workers.get(one.worker), memory.known.get_mut(one.known))
        else {
            continue;
        };
        if why == Why::Again {
            if known.told_ms.is_none_or(|it| tick.now.saturating_sub(it) >= AGAIN_MS) {
                known.told_ms = Some(tick.now);
                let (id, deadline_ms) = (worker.id.clone(), deadline(tick, one, leaving));
                tick.say(Action::Drain { id, deadline_ms }, why);
            }
            continue;
        }
        if known.ended_ms.is_some_and(|it| tick.now.saturating_sub(it) < AGAIN_MS) {
            continue;
        }
        known.ended_ms = Some(tick.now);
        let id = worker.id.clone();
        tick.say(Action::Terminate { id }, why);
    }
}
