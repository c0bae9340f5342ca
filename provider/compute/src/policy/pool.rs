//! One pool at one tick: who leaves, who is missing, where the missing come from.

use streamverse_model::compute::{Lifecycle, Money};

use super::choose::{choose, lift};
use super::failing;
use super::fleet::{Fleet, Pool, ms};
use super::seen::{PoolSeen, WorkerPhase};
use super::state::{Order, PoolState};
use super::target::{Aim, aim};
use super::why::{Action, Decision, Why};
use super::{Shared, leave, net};

/// A worker that did not get ready in so long never will.
const START_LIMIT_MS: u64 = 1_200_000;
/// Ends of drains, and looks that come late, are paid for out of the budget too.
const SLACK_MS: u64 = 120_000;
/// Nobody is hired for less than an hour.
const USEFUL_MS: u64 = 3_600_000;

/// A pool's turn.
pub(super) struct Tick<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) pool: &'a Pool,
    pub(super) index: usize,
    pub(super) seen: &'a PoolSeen,
    pub(super) now: u64,
    /// Whether one that is to stay starts.
    pub(super) starting: bool,
    pub(super) shared: &'a mut Shared,
    pub(super) out: &'a mut Vec<Decision>,
}

/// A worker, with what is remembered of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    /// Its place in `PoolSeen::workers`, and in `PoolState::known`.
    pub(super) worker: usize,
    pub(super) known: usize,
    pub(super) place: usize,
    pub(super) lifecycle: Lifecycle,
    pub(super) phase: WorkerPhase,
    pub(super) idle_ms: Option<u64>,
    pub(super) doomed_ms: Option<u64>,
    pub(super) at_risk: bool,
    pub(super) since_ms: u64,
    pub(super) leaving_ms: Option<u64>,
    pub(super) hourly: Option<Money>,
}

impl Live {
    /// Neither on its way out nor broken.
    pub(super) fn stays(&self) -> bool {
        self.leaving_ms.is_none() && self.doomed_ms.is_none() && self.phase != WorkerPhase::Failed
    }

    /// Whether it works on something.
    pub(super) fn busy(&self) -> bool {
        self.phase == WorkerPhase::Ready && self.idle_ms.is_none()
    }
}

pub(super) fn act(tick: &mut Tick<'_>, memory: &mut PoolState) {
    let mut live = lives(tick.seen, memory);
    failing::forget(memory, &live, tick.now);
    leave::broken(tick, memory, &mut live, START_LIMIT_MS);
    leave::at_risk(tick, memory, &live);
    tick.starting = live.iter().any(|it| it.stays() && it.phase == WorkerPhase::Starting);
    let aim = aim(tick, memory, &live);
    if aim.all_leave {
        leave::all(tick, memory, &mut live, aim.why);
    } else {
        primary(tick, memory, &mut live, &aim);
        net::net(tick, memory, &mut live, &aim);
    }
    leave::drained(tick, memory, &live, aim.all_leave);
    delete(tick, memory);
}

/// When nothing is left of a pool that is being destroyed, its groups are deleted. That is said until it is known to be done: a
/// controller that dies in between would leave them for ever.
fn delete(tick: &mut Tick<'_>, memory: &mut PoolState) {
    let nothing = memory.known.is_empty() && memory.orders.is_empty();
    if !tick.pool.tombstone || !nothing {
        (memory.deleted, memory.delete_ms) = (false, None);
        return;
    }
    memory.deleted = memory.delete_ms.is_some() && (memory.deleted || tick.seen.groups_deleted);
    if !memory.deleted && memory.delete_ms.is_none_or(|it| tick.now.saturating_sub(it) >= leave::AGAIN_MS) {
        memory.delete_ms = Some(tick.now);
        tick.say(Action::DeleteGroups, Why::Tombstone);
    }
}

/// The workers that are seen, with what is remembered of them.
pub(super) fn lives(seen: &PoolSeen, memory: &PoolState) -> Vec<Live> {
    let workers = seen.workers.iter().enumerate();
    let live = workers.filter_map(|(worker, it)| {
        let known = memory.known.binary_search_by(|one| one.id.as_str().cmp(&it.id)).ok()?;
        let remembered = memory.known.get(known)?;
        Some(Live {
            worker,
            known,
            place: it.candidate,
            lifecycle: it.lifecycle,
            phase: it.phase,
            idle_ms: it.idle_ms,
            doomed_ms: it.doomed_ms,
            at_risk: it.at_risk,
            since_ms: remembered.since_ms,
            leaving_ms: remembered.leaving_ms,
            hourly: remembered.hourly,
        })
    });
    live.collect()
}

/// Instances as they are usually bought: as many as are wanted, not all in one place, and no more.
fn primary(tick: &mut Tick<'_>, memory: &mut PoolState, live: &mut [Live], aim: &Aim) {
    let lifecycle = tick.pool.primary();
    let want = aim.want;
    let waiting = tick.pool.queue.as_ref().and(tick.seen.queue).map(|it| it.waiting);
    if !aim.fenced {
        let mut have = count(live, memory, lifecycle);
        if have < want {
            lift(tick.pool, memory, lifecycle, tick.now);
        }
        while have < want {
            let Some(place) = choose(tick, memory, live, lifecycle, &|_| true) else { break };
            if !tick.launch(memory, place, lifecycle, Why::Short { have, want, waiting }) {
                break;
            }
            have += 1;
        }
        spread_out(tick, memory, live, want);
    }
    leave::surplus(tick, memory, live, aim, lifecycle);
}

/// Where all spot is in one place, one more is started elsewhere; when it is ready, one of the others is surplus.
fn spread_out(tick: &mut Tick<'_>, memory: &mut PoolState, live: &[Live], want: u32) {
    let every = ms(tick.pool.policy.capacity_block.0);
    // Within one look it goes on from place to place while it is refused.
    let waited = memory.moved_ms.is_none_or(|it| it == tick.now || tick.now.saturating_sub(it) >= every);
    if tick.pool.primary() != Lifecycle::Spot || want < 2 || !waited {
        return;
    }
    let places = spot(tick.pool, live, memory, Counted::Asked);
    if size(places.len()) != want || breadth(&places) != 1 {
        return;
    }
    if let Some(place) = choose(tick, memory, live, Lifecycle::Spot, &|it| !places.contains(&it))
        && tick.launch(memory, place, Lifecycle::Spot, Why::OnePlace)
    {
        memory.moved_ms = Some(tick.now);
    }
}

/// How many of a lifecycle run, start, or were asked for.
pub(super) fn count(live: &[Live], memory: &PoolState, lifecycle: Lifecycle) -> u32 {
    let running = live.iter().filter(|it| it.lifecycle == lifecycle && it.stays()).count();
    let asked = memory.orders.iter().filter(|it| it.lifecycle == lifecycle).count();
    u32::try_from(running + asked).unwrap_or(u32::MAX)
}

/// How many of a lifecycle are ready.
pub(super) fn ready(live: &[Live], lifecycle: Lifecycle) -> u32 {
    let ready = |it: &&Live| it.lifecycle == lifecycle && it.stays() && it.phase == WorkerPhase::Ready;
    u32::try_from(live.iter().filter(ready).count()).unwrap_or(u32::MAX)
}

/// Which spot instances count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// Those that are ready.
    Ready,
    /// Those that run, start, or were accepted: not what was asked for a moment ago and may be refused.
    Sure,
    /// Those, and what was asked for.
    Asked,
}

/// The places of spot instances, one for each instance, in order.
pub(super) fn spot(pool: &Pool, live: &[Live], memory: &PoolState, counted: Counted) -> Vec<usize> {
    let spot = live.iter().filter(|it| it.lifecycle == Lifecycle::Spot && it.stays());
    let only_ready = counted == Counted::Ready;
    let mut found: Vec<usize> =
        spot.filter(|it| !only_ready || it.phase == WorkerPhase::Ready).map(|it| it.place).collect();
    if !only_ready {
        let counts =
            |it: &&Order| it.lifecycle == Lifecycle::Spot && (counted == Counted::Asked || it.accepted);
        let index = |it: &Order| pool.candidates.iter().position(|one| one.candidate.key == it.key);
        found.extend(memory.orders.iter().filter(counts).filter_map(index));
    }
    found.sort_unstable();
    found
}

/// How many different ones there are in an ordered list.
pub(super) fn breadth(places: &[usize]) -> u32 {
    let changes = places.windows(2).filter(|it| it.first() != it.last()).count();
    size(changes + usize::from(!places.is_empty()))
}

pub(super) fn size(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Tick<'_> {
    pub(super) fn say(&mut self, action: Action, why: Why) {
        self.out.push(Decision { pool: self.index, action, why });
    }

    /// Asks for one, if the budget and the hour allow it.
    pub(super) fn launch(
        &mut self,
        memory: &mut PoolState,
        place: usize,
        lifecycle: Lifecycle,
        why: Why,
    ) -> bool {
        let Some(source) = self.pool.candidates.get(place) else { return false };
        let Some(hourly) = source.hourly(lifecycle) else { return false };
        let hour = usize::try_from(self.pool.policy.launches_per_hour).unwrap_or(usize::MAX);
        if memory.launches.len() >= hour
            || !failing::may_try(self.pool, memory, self.starting, self.now)
            || self.over_budget(memory, hourly, USEFUL_MS).is_some()
        {
            return false;
        }
        let number = memory.next_number;
        memory.next_number += 1;
        memory.launches.push_back(self.now);
        let key = source.candidate.key.clone();
        memory.orders.push(Order {
            number,
            key,
            lifecycle,
            asked_ms: self.now,
            accepted: false,
            cloud: Some(source.candidate.cloud),
            class: Some(source.candidate.class()),
            hourly: Some(hourly),
        });
        self.shared.hourly += hourly;
        if lifecycle == Lifecycle::OnDemand {
            self.shared.take(source);
        }
        self.say(Action::Launch { number, candidate: place, lifecycle }, why);
        true
    }

    /// The budget that what runs would break, with `more` per hour beside it, before it could be drained or within
    /// `useful` milliseconds: what is spent, and the budget.
    pub(super) fn over_budget(&self, memory: &PoolState, more: Money, useful: u64) -> Option<(Money, Money)> {
        let ahead = ms(self.pool.policy.drain.0).saturating_add(SLACK_MS).saturating_add(useful);
        let breaks = |spent: Money, hourly: Money, budget: Option<Money>| {
            budget.filter(|it| spent + (hourly + more).per_hour_for_ms(ahead) > *it).map(|it| (spent, it))
        };
        let own = self.pool.range.monthly_budget;
        let own = own.and_then(|it| breaks(memory.spent(), memory.hourly(), Some(it)));
        own.or_else(|| breaks(self.shared.spent, self.shared.hourly, self.fleet.monthly_budget))
    }
}
