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
mod fleet;
mod leave;
mod net;
mod pool;
mod seen;
mod settle;
mod state;
mod target;
#[cfg(test)]
mod tests;
mod why;

pub use fleet::{Fleet, Pool, Source};
pub use seen::{Outcome, PoolSeen, QueueSeen, Seen, Worker, WorkerPhase};
pub use state::{Block, FleetState, Known, Order, Place, PoolState, STATE_VERSION};
pub use why::{Action, Decision, Why};

use streamverse_model::compute::{CloudKind, GpuClass, Lifecycle, Money};

/// What is to be done now, and what to remember. The same arguments give the same answer.
pub fn decide(fleet: &Fleet, state: FleetState, seen: &Seen, now: u64) -> (FleetState, Vec<Decision>) {
    let mut state = state;
    align(fleet, &mut state);
    let mut decisions = Vec::new();
    let nothing = PoolSeen::default();
    for ((pool, memory), index) in fleet.pools.iter().zip(&mut state.pools).zip(0..) {
        settle::settle(pool, memory, seen.pools.get(index).unwrap_or(&nothing), now);
    }
    let mut shared = Shared::of(fleet, &state);
    for ((pool, memory), index) in fleet.pools.iter().zip(&mut state.pools).zip(0..) {
        let looked = seen.pools.get(index).unwrap_or(&nothing);
        if looked.complete {
            pool::act(
                &mut pool::Tick {
                    fleet,
                    pool,
                    index,
                    seen: looked,
                    now,
                    shared: &mut shared,
                    out: &mut decisions,
                },
                memory,
            );
        }
    }
    (state, decisions)
}

/// Brings what is remembered into the order of the fleet's pools; what is remembered of others stays behind them.
fn align(fleet: &Fleet, state: &mut FleetState) {
    for (index, pool) in fleet.pools.iter().enumerate() {
        if state.pools.get(index).is_some_and(|it| it.name == pool.name) {
            continue;
        }
        match state.pools.iter().position(|it| it.name == pool.name) {
            Some(found) => state.pools.swap(index, found),
            None => {
                let fresh = PoolState { name: pool.name.clone(), ..PoolState::default() };
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
    fn of(fleet: &Fleet, state: &FleetState) -> Shared {
        let mut shared = Shared { used: Vec::new(), spent: Money::ZERO, hourly: Money::ZERO };
        for (pool, memory) in fleet.pools.iter().zip(&state.pools) {
            shared.spent += memory.spent();
            let known = memory.known.iter().map(|it| (&it.key, it.lifecycle));
            for (key, lifecycle) in known.chain(memory.orders.iter().map(|it| (&it.key, it.lifecycle))) {
                let source = pool.candidates.iter().find(|it| it.candidate.key == *key);
                // What is no candidate any more is taken for the first one's kind.
                let Some(source) = source.or(pool.candidates.first()) else { continue };
                shared.hourly += source.hourly(lifecycle).unwrap_or_default();
                if lifecycle == Lifecycle::OnDemand {
                    shared.take(source);
                }
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
        let (cloud, class) = (source.candidate.cloud, source.candidate.class());
        match self.used.iter_mut().find(|it| it.0 == cloud && it.1 == class) {
            Some(found) => found.2 += 1,
            None => self.used.push((cloud, class, 1)),
        }
    }
}
