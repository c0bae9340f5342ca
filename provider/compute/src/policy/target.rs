//! How many workers there should be: the range, the queue, the night, the budget.

use streamverse_model::compute::{Money, QueueSpec};

use super::fleet::ms;
use super::pool::{Live, Tick, size};
use super::seen::WorkerPhase;
use super::state::PoolState;
use super::why::Why;

/// What a pool aims at.
pub(super) struct Aim {
    /// So many workers are needed.
    pub(super) goal: u32,
    /// So many are kept: with those in addition.
    pub(super) want: u32,
    /// Nothing new is started.
    pub(super) fenced: bool,
    /// Only those that have nothing to do may leave.
    pub(super) only_idle: bool,
    /// All leave, whatever they do.
    pub(super) all_leave: bool,
    /// Why fewer are needed, where that is not simply a surplus.
    pub(super) why: Option<Why>,
}

pub(super) fn aim(tick: &Tick<'_>, memory: &mut PoolState, live: &[Live]) -> Aim {
    if tick.pool.tombstone {
        return nothing(Why::Tombstone);
    }
    if let Some((spent, budget)) = tick.over_budget(memory, Money::ZERO, 0) {
        return nothing(Why::Budget { spent, budget });
    }
    let working = |all: bool| {
        let counts = |it: &&Live| it.stays() && it.busy() && (all || it.lifecycle == tick.pool.primary());
        size(live.iter().filter(counts).count())
    };
    if tick.pool.night.as_ref().is_some_and(|it| it.contains(tick.now)) {
        let working = working(false);
        memory.target = working;
        return Aim {
            goal: working,
            want: working,
            fenced: true,
            only_idle: true,
            all_leave: false,
            why: Some(Why::Night),
        };
    }
    let range = &tick.pool.range;
    let goal = match &tick.pool.queue {
        None => range.min,
        Some(queue) => asked(tick, memory, live, queue, working(true)).clamp(range.min, range.max),
    };
    memory.target = goal;
    let want = if goal == 0 { 0 } else { goal.saturating_add(tick.pool.policy.extra) };
    Aim { goal, want, fenced: false, only_idle: tick.pool.queue.is_some(), all_leave: false, why: None }
}

fn nothing(why: Why) -> Aim {
    Aim { goal: 0, want: 0, fenced: true, only_idle: false, all_leave: true, why: Some(why) }
}

/// What the queue asks for. Between the thresholds nothing changes, unless what waits would be late.
fn asked(tick: &Tick<'_>, memory: &mut PoolState, live: &[Live], queue: &QueueSpec, working: u32) -> u32 {
    let Some(seen) = tick.seen.queue else {
        (memory.low_since, memory.high_since) = (None, None);
        return memory.target;
    };
    let job_ms = seen.job_ms.unwrap_or(ms(queue.assumed_job_time.0));
    // Those that work are free again before the window ends; more than there are jobs would find nothing.
    let most = u32::try_from(seen.waiting.div_ceil(queue.jobs_per_worker.max(1).into())).unwrap_or(u32::MAX);
    let needed = queue.workers_for(seen.waiting, job_ms, seen.others).min(most.saturating_add(working));
    let low = seen.waiting < queue.scale_in_below;
    memory.low_since = if low { memory.low_since.or(Some(tick.now)) } else { None };
    let high = seen.waiting > queue.scale_out_above;
    memory.high_since = if high { memory.high_since.or(Some(tick.now)) } else { None };
    // Somebody must be there who does what waits. Others may be enough for it.
    let first = u32::from(seen.waiting > 0 && seen.others == 0);
    let late = queue.is_late(seen.waiting, job_ms, memory.target, seen.others);
    // Those that start were asked for by what waits: as long as anything does, they are not sent away before they are there.
    let coming = |it: &&Live| it.stays() && it.phase == WorkerPhase::Starting;
    let coming = live.iter().filter(coming).count().saturating_add(memory.orders.len());
    if high || late {
        let mut goal = memory.target.max(needed).max(first);
        let high_for = memory.high_since.map_or(0, |it| tick.now.saturating_sub(it));
        let all_came = goal == memory.target && coming == 0;
        if all_came && seen.others == 0 && high_for >= ms(queue.target_p95.0) / 2 {
            // All of it should have been begun by now: as much comes as they do, and what waits does not get less.
            let more = goal.saturating_add((goal / 10).max(1));
            goal = goal.max(more.min(most.saturating_add(working)));
        }
        if goal > memory.target && high {
            memory.high_since = Some(tick.now);
        }
        return goal;
    }
    let least = first.max(working);
    let coming = if seen.waiting > 0 { working.saturating_add(size(coming)).min(memory.target) } else { 0 };
    let least = least.max(coming);
    let low_for = memory.low_since.map_or(0, |it| tick.now.saturating_sub(it));
    if low && low_for >= ms(queue.scale_in_after.0) {
        return least;
    }
    let idle = |it: &&Live| it.stays() && it.idle_ms.is_some_and(|for_ms| for_ms >= tick.pool.idle_ms);
    let idle = if seen.waiting == 0 { size(live.iter().filter(idle).count()) } else { 0 };
    memory.target.saturating_sub(idle).max(least)
}
