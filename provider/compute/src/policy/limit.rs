//! The limits of on-demand that all pools share: what counts against them, and who leaves when one was lowered.

use streamverse_model::compute::{CloudKind, GpuClass, Lifecycle};

use super::fleet::{Fleet, Source};
use super::pool::lives;
use super::seen::Seen;
use super::state::{FleetState, Kind};
use super::why::{Decision, Why};
use super::{Shared, leave, turn};

/// Calls for each cloud and class that something of a pool counts against: its own, or, where it never was of a candidate, all
/// that the pool's candidates have; of a pool that left the list, all that the fleet has.
pub(super) fn each(fleet: &Fleet, pool: usize, kind: Kind, call: &mut dyn FnMut(CloudKind, GpuClass)) {
    if let (Some(cloud), Some(class)) = kind {
        return call(cloud, class);
    }
    let mut found: Vec<(CloudKind, GpuClass)> = Vec::new();
    for source in sources(fleet, pool) {
        let its = (source.candidate.cloud, source.candidate.class());
        if !found.contains(&its) {
            found.push(its);
        }
    }
    found.into_iter().for_each(|(cloud, class)| call(cloud, class));
}

/// A pool's candidates; all of the fleet for one that left the list, or whose list is empty because it did.
pub(super) fn sources(fleet: &Fleet, pool: usize) -> impl Iterator<Item = &Source> {
    let own = fleet.pools.get(pool).map(|it| &it.candidates).filter(|it| !it.is_empty());
    let all = if own.is_none() { fleet.pools.as_slice() } else { &[] };
    own.into_iter().flatten().chain(all.iter().flat_map(|it| &it.candidates))
}

/// One more of a cloud and class.
pub(super) fn add(all: &mut Vec<(CloudKind, GpuClass, u32)>, cloud: CloudKind, class: GpuClass) {
    match all.iter_mut().find(|it| it.0 == cloud && it.1 == class) {
        Some(found) => found.2 += 1,
        None => all.push((cloud, class, 1)),
    }
}

/// Where more run than a limit allows, because it was lowered or something appeared that nobody asked for, those that are too
/// many leave, whatever pool they are of: first those that do nothing, of them the youngest.
pub(super) fn hold(
    fleet: &Fleet,
    state: &mut FleetState,
    seen: &Seen,
    now: u64,
    shared: &mut Shared,
    out: &mut Vec<Decision>,
) {
    let mut staying = Vec::new();
    for (index, memory) in state.pools.iter().enumerate() {
        for kind in memory.on_demand(false) {
            each(fleet, index, kind, &mut |cloud, class| add(&mut staying, cloud, class));
        }
    }
    for (cloud, class, have) in staying {
        let Some(max) = fleet.limit(cloud, class).filter(|max| have > *max) else { continue };
        let mut may = Vec::new();
        for (index, looked) in seen.pools.iter().enumerate().filter(|it| it.1.complete) {
            let Some(memory) = state.pools.get(index).filter(|_| index < fleet.pools.len()) else { continue };
            for one in lives(looked, memory) {
                let Some(known) = memory.known.get(one.known) else { continue };
                let mut its = false;
                each(fleet, index, (known.cloud, known.class), &mut |its_cloud, its_class| {
                    its |= its_cloud == cloud && its_class == class;
                });
                if its && one.lifecycle == Lifecycle::OnDemand && one.leaving_ms.is_none() {
                    may.push((!one.busy(), one.since_ms, index, one.worker));
                }
            }
        }
        may.sort_unstable_by(|a, b| b.cmp(a));
        for (_, _, index, worker) in may.into_iter().take(usize::try_from(have - max).unwrap_or(0)) {
            let Some(looked) = seen.pools.get(index) else { continue };
            turn(fleet, state, looked, index, now, shared, out, &mut |tick, memory| {
                if let Some(mut one) = lives(tick.seen, memory).into_iter().find(|it| it.worker == worker) {
                    leave::go(tick, memory, &mut one, Why::Limit { have, max });
                }
            });
        }
    }
}
