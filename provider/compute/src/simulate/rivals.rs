//! Other policies, to compare with.

use streamverse_model::compute::Lifecycle;

use super::run::Player;
use super::world::World;

/// SpotHedge as SkyServe has it (EuroSys'25, section 4): two sets of zones, some instances in addition, and on-demand for
/// whatever spot is not ready, without a limit and at once.
#[derive(Clone, Debug)]
pub struct SpotHedge {
    /// How many are needed.
    pub workers: u32,
    /// How many spot instances in addition.
    pub extra: u32,
    /// The most on-demand instances; no limit as published.
    pub limit: Option<u32>,
    /// On-demand instances that always run beside.
    pub always: u32,
    /// Zones that are preempting; the others are available.
    preempting: Vec<bool>,
    /// Where instances were at the last look, by id.
    last: Vec<(std::sync::Arc<str>, usize)>,
}

impl SpotHedge {
    /// As published.
    pub fn published(workers: u32, extra: u32) -> SpotHedge {
        SpotHedge { workers, extra, limit: None, always: 0, preempting: Vec::new(), last: Vec::new() }
    }

    /// With so many on-demand instances at most.
    #[must_use]
    pub fn capped(mut self, limit: u32) -> SpotHedge {
        self.limit = Some(limit);
        self
    }

    /// Beside so many on-demand instances that always run.
    #[must_use]
    pub fn beside(mut self, always: u32) -> SpotHedge {
        self.always = always;
        self
    }

    fn preempted(&mut self, zone: usize) {
        if let Some(it) = self.preempting.get_mut(zone) {
            *it = true;
        }
        if self.preempting.iter().filter(|it| !**it).count() < 2 {
            self.preempting.fill(false);
        }
    }
}

fn count(world: &World<'_>, lifecycle: Lifecycle) -> u32 {
    u32::try_from(world.instances.iter().filter(|it| it.lifecycle == lifecycle).count()).unwrap_or(u32::MAX)
}

impl Player for SpotHedge {
    fn turn(&mut self, world: &mut World<'_>) {
        self.preempting.resize(world.market().zones.len(), false);
        for (id, zone) in std::mem::take(&mut self.last) {
            if !world.instances.iter().any(|it| it.id == id) {
                self.preempted(zone);
            }
        }
        let now = world.now();
        for one in world.instances.iter().filter(|it| it.lifecycle == Lifecycle::Spot && it.ready_ms <= now) {
            if let Some(it) = self.preempting.get_mut(one.zone) {
                *it = false;
            }
        }
        let mut tried = vec![false; self.preempting.len()];
        while count(world, Lifecycle::Spot) < self.workers + self.extra {
            let may =
                |zone: &usize| self.preempting.get(*zone) == Some(&false) && tried.get(*zone) == Some(&false);
            let holds = |zone: &usize| {
                world.instances.iter().any(|it| it.zone == *zone && it.lifecycle == Lifecycle::Spot)
            };
            let all: Vec<usize> = (0..self.preempting.len()).filter(may).collect();
            // All at one price: the cheapest is the first.
            let Some(zone) = all.iter().find(|it| !holds(it)).or(all.first()).copied() else { break };
            if world.launch(zone, Lifecycle::Spot).is_none() {
                if let Some(it) = tried.get_mut(zone) {
                    *it = true;
                }
                self.preempted(zone);
            }
        }
        let short =
            (self.workers + self.extra).saturating_sub(world.ready(Lifecycle::Spot)).min(self.workers);
        let wanted = self.always + short.min(self.limit.unwrap_or(u32::MAX));
        while count(world, Lifecycle::OnDemand) < wanted && world.launch(0, Lifecycle::OnDemand).is_some() {}
        for _ in wanted..count(world, Lifecycle::OnDemand) {
            let last = world.instances.iter().rev().find(|it| it.lifecycle == Lifecycle::OnDemand);
            if let Some(id) = last.map(|it| it.id.clone()) {
                world.terminate(&id);
            }
        }
        let spot = world.instances.iter().filter(|it| it.lifecycle == Lifecycle::Spot);
        self.last = spot.map(|it| (it.id.clone(), it.zone)).collect();
    }
}

/// All of them on demand, all the time.
#[derive(Clone, Copy, Debug)]
pub struct AllOnDemand {
    /// How many are needed.
    pub workers: u32,
}

impl Player for AllOnDemand {
    fn turn(&mut self, world: &mut World<'_>) {
        while count(world, Lifecycle::OnDemand) < self.workers
            && world.launch(0, Lifecycle::OnDemand).is_some()
        {}
    }
}
