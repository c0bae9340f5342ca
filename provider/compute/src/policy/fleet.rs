//! What the policy is given: pools with their candidates, and the limits that all of them share.

use streamverse_model::compute::{
    CloudKind, FleetControllerSpec, GpuClass, Lifecycle, Money, Night, NightSpec, PolicySpec, QueueSpec,
    RangeSpec, ScheduleSpec,
};
use streamverse_model::platform::SpecError;

use super::state::FleetState;
use crate::cloud::Candidate;

/// All pools of a controller.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// The pools, in the order in which they are served: what is scarce goes to the first.
    pub pools: Vec<Pool>,
    /// How many on-demand instances a cloud's class may have, all pools together. One that is not listed has 1.
    pub limits: Vec<(CloudKind, GpuClass, u32)>,
    /// The most that all pools cost in a calendar month.
    pub monthly_budget: Option<Money>,
}

/// A pool, read and checked.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Its name, unique in a deployment.
    pub name: String,
    /// Where instances are bought, the preferred one first.
    pub candidates: Vec<Source>,
    /// How few and how many.
    pub range: RangeSpec,
    /// How it meets the market.
    pub policy: PolicySpec,
    /// How long an idle worker is kept, in milliseconds.
    pub idle_ms: u64,
    /// When nothing new is started.
    pub night: Option<Night>,
    /// The queue that decides its size; without one it is `min`.
    pub queue: Option<QueueSpec>,
    /// It is being destroyed: nothing is started any more, what runs leaves, then its groups are deleted.
    pub tombstone: bool,
    /// What changes when it is described anew: what failed before says nothing of it then.
    pub revision: String,
}

/// A candidate and what it costs per hour now. A price that is `None` cannot be bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What and where.
    pub candidate: Candidate,
    /// As spot.
    pub spot: Option<Money>,
    /// On demand.
    pub on_demand: Option<Money>,
}

impl Source {
    /// Its price per hour.
    pub fn hourly(&self, lifecycle: Lifecycle) -> Option<Money> {
        match lifecycle {
            Lifecycle::Spot => self.spot,
            Lifecycle::OnDemand => self.on_demand,
        }
    }
}

impl Fleet {
    /// No pools yet, under a controller's limits.
    pub fn of(controller: &FleetControllerSpec) -> Fleet {
        let limits = controller.on_demand_limits.iter().map(|it| (it.cloud, it.class, it.max)).collect();
        Fleet { pools: Vec::new(), limits, monthly_budget: controller.monthly_budget }
    }

    /// Fences what left the list without a tombstone: each pool that the state still has something of, or whose groups are not
    /// deleted, is put behind the others as one that is being destroyed. The controller calls it before it looks, as soon as
    /// it has read *all* of what it is to keep: a pool whose file could not be read has not left. How many there are.
    ///
    /// [`decide`](super::decide) counts what such pools have against limits and budgets in any case; without this it drains none of it.
    pub fn fence_left(&mut self, state: &FleetState) -> usize {
        let before = self.pools.len();
        for left in state.pools.iter().filter(|it| !it.is_gone()) {
            if !self.pools.iter().any(|it| it.name == left.name) {
                self.pools.push(Pool::left(&left.name));
            }
        }
        self.pools.len() - before
    }

    /// The on-demand limit; `None` where there is none, because the cloud has no spot.
    pub fn limit(&self, cloud: CloudKind, class: GpuClass) -> Option<u32> {
        if cloud == CloudKind::Runpod {
            return None;
        }
        let found = self.limits.iter().find(|(its, of, _)| *its == cloud && *of == class);
        Some(found.map_or(1, |(_, _, max)| *max))
    }
}

impl Pool {
    /// A pool.
    ///
    /// # Errors
    /// No candidate, keys that are not unique, and a night that is none.
    pub fn new(
        name: &str,
        candidates: Vec<Source>,
        range: RangeSpec,
        policy: PolicySpec,
        schedule: &ScheduleSpec,
        queue: Option<QueueSpec>,
    ) -> Result<Pool, SpecError> {
        if candidates.is_empty() {
            return Err(SpecError::new(format!(
                "pool {name} has no candidate: give one place to buy from at least"
            )));
        }
        for (index, one) in candidates.iter().enumerate() {
            let key = &one.candidate.key;
            if candidates.iter().take(index).any(|other| other.candidate.key == *key) {
                return Err(SpecError::new(format!(
                    "pool {name} has two candidates {key:?}: a key names one"
                )));
            }
        }
        if range.max < range.min {
            return Err(SpecError::new(format!(
                "pool {name}: max {} is less than min {}",
                range.max, range.min
            )));
        }
        let night = schedule.night.as_ref().map(NightSpec::read).transpose()?;
        let idle_ms = ms(schedule.idle.0);
        Ok(Pool {
            name: name.to_owned(),
            candidates,
            range,
            policy,
            idle_ms,
            night,
            queue,
            tombstone: false,
            revision: String::new(),
        })
    }

    /// A pool of which only the name is left: what runs of it leaves.
    pub fn left(name: &str) -> Pool {
        Pool {
            name: name.to_owned(),
            candidates: Vec::new(),
            range: RangeSpec { min: 0, max: 0, price_ceiling: None, monthly_budget: None },
            policy: PolicySpec::default(),
            idle_ms: 0,
            night: None,
            queue: None,
            tombstone: true,
            revision: String::new(),
        }
    }

    /// How instances are bought as long as all is well: as spot where any candidate has it.
    pub fn primary(&self) -> Lifecycle {
        let spot = self.candidates.iter().any(|it| it.spot.is_some());
        if spot { Lifecycle::Spot } else { Lifecycle::OnDemand }
    }
}

/// Milliseconds of a duration.
pub(crate) fn ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
