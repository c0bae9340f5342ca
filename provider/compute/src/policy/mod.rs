//! The policy: a pure function from what is asked for, remembered and seen to what is to be done.
//!
//! Like SpotHedge (SkyServe, EuroSys'25) it walks a list of places, avoids those that just refused or took back, and
//! has on-demand as a net. It differs in three ways, each of which the replay of recorded markets shows to matter:
//! on-demand is capped for all pools together, and held down; a shortage is what could not be *launched* (an on-demand
//! instance takes as long to start as the spot instance that already starts); and having all spot in one place counts as a
//! shortage at once, because a place takes back all or none. `docs/compute.md` has the figures.
//!
//! A tick is: look at clouds and queues, [`decide`], write the state, do what was decided; where a launch was refused, say so
//! in [`PoolSeen::outcomes`] and decide again at the same time, until nothing is refused: that is a sweep over the places.

mod choose;
mod failing;
mod fleet;
mod leave;
mod limit;
mod net;
mod pool;
mod seen;
mod settle;
mod state;
mod target;
#[cfg(test)]
mod tests;
mod why;

pub use failing::Failing;
pub use fleet::{Fleet, Pool, Source};
pub use seen::{Outcome, PoolSeen, QueueSeen, Seen, Worker, WorkerPhase};
pub use state::{Block, FleetState, Known, Order, Place, PoolState, STATE_VERSION};
pub use why::{Action, Decision, Why};

use streamverse_model::compute::{CloudKind, GpuClass, Money};

/// What is to be done now, and what to remember. The same arguments give the same answer.
///
/// What the state has of pools that are no longer in the list counts against limits and budgets; who drains it is said at
/// [`Fleet::fence_left`].
pub fn decide(fleet: &Fleet, state: FleetState, seen: &Seen, now: u64) -> (FleetState, Vec<Decision>) {
    let mut state = state;
    align(fleet, &mut state);
    let mut decisions = Vec::new();
    let nothing = PoolSeen::default();
    let mut closed = Vec::new();
    for ((pool, memory), index) in fleet.pools.iter().zip(&mut state.pools).zip(0..) {
        settle::settle(fleet, pool, memory, seen.pools.get(index).unwrap_or(&nothing), now, &mut closed);
    }
    for memory in state.pools.iter_mut().skip(fleet.pools.len()) {
        settle::left(fleet, memory, now);
    }
    state.forget_gone(fleet.pools.len());
    settle::close(fleet, &mut state, &closed);
    let mut shared = Shared::of(fleet, &state);
    for index in 0..fleet.pools.len() {
        let Some(looked) = seen.pools.get(index).filter(|it| it.complete) else { continue };
        turn(fleet, &mut state, looked, index, now, &mut shared, &mut decisions, &mut pool::act);
    }
    limit::hold(fleet, &mut state, seen, now, &mut shared, &mut decisions);
    (state, decisions)
}

/// A pool's turn.
#[allow(clippy::too_many_arguments, reason = "what a tick is made of")]
fn turn(
    fleet: &Fleet,
    state: &mut FleetState,
    seen: &PoolSeen,
    index: usize,
    now: u64,
    shared: &mut Shared,
    out: &mut Vec<Decision>,
    act: &mut dyn FnMut(&mut pool::Tick<'_>, &mut PoolState),
) {
    if let Some((pool, memory)) = fleet.pools.get(index).zip(state.pools.get_mut(index)) {
        act(&mut pool::Tick { fleet, pool, index, seen, now, starting: false, shared, out }, memory);
    }
}

/// Brings what is remembered into the order of the fleet's pools; what is remembered of others stays behind them. [`decide`] does it
/// first; who looks something up by a pool's place does it before.
pub fn align(fleet: &Fleet, state: &mut FleetState) {
    for (index, pool) in fleet.pools.iter().enumerate() {
        if state.pools.get(index).is_some_and(|it| it.name == pool.name) {
            continue;
        }
        match state.pools.iter().position(|it| it.name == pool.name) {
            Some(found) => state.pools.swap(index, found),
            None => {
                let next_number = state.numbers_from;
                let fresh = PoolState { name: pool.name.clone(), next_number, ..PoolState::default() };
                state.pools.insert(index.min(state.pools.len()), fresh);
            }
        }
    }
}

/// What pools share while a tick lasts.
pub(crate) struct Shared {
    /// On-demand instances that count against a limit, by cloud and class.
    used: Vec<(CloudKind, GpuClass, u32)>,
    /// Spent in this month by all pools.
    spent: Money,
    /// What all that runs, and all that was asked for, costs per hour.
    hourly: Money,
}

impl Shared {
    /// Of all pools, also of those that left the list.
    fn of(fleet: &Fleet, state: &FleetState) -> Shared {
        let mut shared = Shared { used: Vec::new(), spent: Money::ZERO, hourly: Money::ZERO };
        for (index, memory) in state.pools.iter().enumerate() {
            shared.spent += memory.spent();
            shared.hourly += memory.hourly();
            for kind in memory.on_demand(true) {
                limit::each(fleet, index, kind, &mut |cloud, class| {
                    limit::add(&mut shared.used, cloud, class);
                });
            }
        }
        shared
    }

    /// How many more on-demand instances there may be.
    fn left(&self, fleet: &Fleet, source: &Source) -> u32 {
        let (cloud, class) = (source.candidate.cloud, source.candidate.class());
        let used = self.used.iter().find(|it| it.0 == cloud && it.1 == class).map_or(0, |it| it.2);
        fleet.limit(cloud, class).map_or(u32::MAX, |max| max.saturating_sub(used))
    }

    fn take(&mut self, source: &Source) {
        limit::add(&mut self.used, source.candidate.cloud, source.candidate.class());
    }
}
