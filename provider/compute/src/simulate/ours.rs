//! Our policy on a simulated cloud, as the controller would run it: look, decide, do, and again while something is refused.

use std::sync::Arc;

use streamverse_model::compute::{
    CloudKind, FallbackSpec, GpuClass, Money, PolicySpec, RangeSpec, ScheduleSpec,
};
use streamverse_model::platform::SpecError;

use super::market::Market;
use super::run::{Player, Setting};
use super::world::World;
use crate::cloud::{Candidate, ErrorClass};
use crate::policy::{
    Action, Decision, Fleet, FleetState, Outcome, Pool, PoolSeen, Seen, Source, Worker, WorkerPhase, decide,
};

/// Our policy.
pub struct Ours {
    fleet: Fleet,
    state: FleetState,
    seen: Seen,
    /// What was decided, in order, where it is kept.
    pub decisions: Option<Vec<(u64, Decision)>>,
}

impl Ours {
    /// One pool whose candidates are the market's zones in their order, under an on-demand limit.
    pub fn new(pool: Pool, limit: u32) -> Ours {
        let limits = pool.candidates.first().map(|it| (it.candidate.cloud, GpuClass::Gpu, limit));
        let fleet = Fleet { pools: vec![pool], limits: limits.into_iter().collect(), monthly_budget: None };
        Ours {
            fleet,
            state: FleetState::default(),
            seen: Seen { pools: vec![PoolSeen::default()] },
            decisions: None,
        }
    }

    /// What it is asked for; a test changes it while it plays.
    pub fn fleet(&mut self) -> &mut Fleet {
        &mut self.fleet
    }

    /// What it remembers.
    pub fn state(&mut self) -> &mut FleetState {
        &mut self.state
    }
}

impl Player for Ours {
    fn turn(&mut self, world: &mut World<'_>) {
        // Each round asks other places: there are no more rounds than places, for each lifecycle, and one.
        for _ in 0..=2 * world.market().zones.len() {
            let now = world.now();
            let Some(seen) = self.seen.pools.first_mut() else { return };
            seen.complete = true;
            seen.workers.clear();
            seen.workers.extend(world.instances.iter().map(|it| Worker {
                id: it.id.clone(),
                candidate: it.zone,
                lifecycle: it.lifecycle,
                phase: if it.ready_ms <= now { WorkerPhase::Ready } else { WorkerPhase::Starting },
                idle_ms: None,
                doomed_ms: it.doomed_ms,
                at_risk: false,
                hourly: None,
            }));
            let (state, decisions) = decide(&self.fleet, std::mem::take(&mut self.state), &self.seen, now);
            self.state = state;
            let Some(seen) = self.seen.pools.first_mut() else { return };
            seen.outcomes.clear();
            for decision in &decisions {
                match &decision.action {
                    Action::Launch { number, candidate, lifecycle } => {
                        let given: Option<Arc<str>> = world.launch(*candidate, *lifecycle);
                        let error = given.is_none().then_some(ErrorClass::Capacity);
                        seen.outcomes.push(Outcome { number: *number, error, retry_after: None });
                    }
                    // The segments of a worker end within a tick: what is told to leave leaves.
                    Action::Drain { id, .. } => {
                        let taken = world.instances.iter().any(|it| it.id == *id && it.doomed_ms.is_some());
                        if !taken {
                            world.terminate(id);
                        }
                    }
                    Action::Terminate { id } => world.terminate(id),
                    Action::DeleteGroups => {}
                }
            }
            let refused = seen.outcomes.iter().any(|it| it.error.is_some());
            if let Some(kept) = &mut self.decisions {
                kept.extend(decisions.into_iter().map(|it| (now, it)));
            }
            if !refused {
                return;
            }
        }
    }
}

/// The policy of a pool that is simulated under an on-demand limit. Where none is given, it is the usual one, and the pool takes the
/// whole limit. One that is given is taken as it is.
///
/// # Errors
/// A limit that the given policy does not use: it would change nothing.
pub fn policy_under(policy: Option<PolicySpec>, limit: u32) -> Result<PolicySpec, SpecError> {
    let Some(policy) = policy else {
        let fallback = Some(FallbackSpec { max: limit, ..FallbackSpec::default() });
        return Ok(PolicySpec { fallback, ..PolicySpec::default() });
    };
    let max = policy.net().max;
    if limit > max.max(1) {
        return Err(SpecError::new(format!(
            "the limit of {limit} on-demand instances does nothing: this policy takes at most {max} of it. Set the policy's fallback.max to \
             {limit}, or the limit to {max}"
        )));
    }
    Ok(policy)
}

/// A pool of a fixed size over a market's zones, all at one price.
///
/// # Errors
/// A market without zones.
pub fn pool_of(market: &Market, setting: &Setting, policy: PolicySpec) -> Result<Pool, SpecError> {
    let source = |zone: &super::market::Zone| Source {
        candidate: Candidate {
            key: zone.name.clone(),
            cloud: CloudKind::Aws,
            region: zone.region.clone(),
            zone: Some(zone.name.clone()),
            shape: "simulated".to_owned(),
            gpus: 1,
            tenancy: streamverse_model::compute::Tenancy::Secure,
        },
        spot: Money::dollars(setting.spot_share),
        on_demand: Some(Money::micros(1_000_000)),
    };
    let range =
        RangeSpec { min: setting.workers, max: setting.workers, price_ceiling: None, monthly_budget: None };
    Pool::new(
        "simulated",
        market.zones.iter().map(source).collect(),
        range,
        policy,
        &ScheduleSpec::default(),
        None,
    )
}
