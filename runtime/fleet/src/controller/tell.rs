//! What a tick came to, for jobs, people and Prometheus.

use std::collections::{BTreeMap, HashMap, HashSet};

use streamverse_compute::policy::{Action, Decision, Known, Why, WorkerPhase};
use streamverse_core::Result;
use streamverse_model::compute::{CloudKind, FleetDecision, FleetStatus, GpuClass, Lifecycle, Money, Phase};

use super::Controller;
use super::act::Tick;
use super::definitions::Definition;
use super::keep::{LEFT_OUT, MOST_DECISIONS};
use super::meters::{Bought, CameToNothing, Decided, InPhase, Limited, Lost, Meters, OfFleet, Refused};
use super::view::{View, worker_name};
use crate::clock::ms;

/// What a decision is about: the number of a launch, or an instance's id.
fn subject(action: &Action) -> String {
    match action {
        Action::Launch { number, .. } => number.to_string(),
        Action::Drain { id, .. } | Action::Terminate { id } => id.to_string(),
        Action::DeleteGroups => String::new(),
    }
}

fn nothing(fleet: &str, how: &str) -> CameToNothing {
    CameToNothing { fleet: fleet.to_owned(), how: how.to_owned() }
}

/// A decision is told, and counted.
pub(super) fn say(meters: &Meters, it: &FleetDecision) {
    tracing::info!(why = it.why, "{}", it.line);
    meters.decisions.get_or_create(&Decided { fleet: it.fleet.clone(), why: it.why.clone() }).inc();
}

/// Spot instances that were to stay and are gone, by pool and place.
pub(super) type Losses = Vec<(usize, String)>;

impl Controller {
    /// What was lost since the last look.
    pub(super) fn lost(&self, view: &View) -> Losses {
        let mut lost = Vec::new();
        for (index, (memory, seen)) in self.state.pools.iter().zip(&view.seen.pools).enumerate() {
            let known = |id: &str| memory.known.binary_search_by(|it| it.id.as_str().cmp(id)).is_ok();
            let here = seen.workers.iter().filter(|it| known(&it.id)).count();
            if !seen.complete || here == memory.known.len() {
                continue;
            }
            let here: HashSet<&str> = seen.workers.iter().map(|it| &*it.id).collect();
            let stays =
                memory.known.iter().filter(|it| it.lifecycle == Lifecycle::Spot && it.leaving_ms.is_none());
            lost.extend(stays.filter(|it| !here.contains(it.id.as_str())).map(|it| (index, it.key.clone())));
        }
        lost
    }

    /// What is paid in full, was to stay and is not listed, by pool.
    pub(super) fn missing(&self, view: &View) -> Losses {
        let mut missing = Vec::new();
        for (index, (memory, seen)) in self.state.pools.iter().zip(&view.seen.pools).enumerate() {
            let stays = |it: &&Known| it.lifecycle == Lifecycle::OnDemand && it.leaving_ms.is_none();
            let some = memory.known.iter().filter(stays).filter(|_| seen.complete);
            let here = |id: &str| seen.workers.iter().any(|it| &*it.id == id);
            // Those of earlier looks are few: what is missing now for the first time is only remembered by this one.
            let some = some.filter(|it| it.missing_ms.is_some() && !here(&it.id));
            missing.extend(some.map(|it| (index, it.id.clone())));
        }
        missing
    }

    /// Counts those that the policy takes for gone by now.
    pub(super) fn count_vanished(&self, missing: Losses) {
        for (index, id) in missing {
            let (Some(entry), Some(memory)) = (self.plan.entries.get(index), self.state.pools.get(index))
            else {
                continue;
            };
            if memory.known.binary_search_by(|it| it.id.cmp(&id)).is_err() {
                self.meters.came_to_nothing.get_or_create(&nothing(&entry.name, "vanished")).inc();
            }
        }
    }

    pub(super) async fn tell(&mut self, tick: &Tick, lost: Losses) -> Result<()> {
        let now = tick.now;
        self.count_time(now);
        self.count_events(tick, lost);
        self.levels(tick);
        for (id, at, told) in &tick.kept {
            let outcome =
                tick.decided.get(*at).and_then(|it| tick.came_of.get(&(it.pool, subject(&it.action))));
            if let Some(outcome) = outcome {
                let told = FleetDecision { outcome: Some(outcome.clone()), ..told.clone() };
                self.keep.came_of(*id, &told).await?;
            }
        }
        let retention = ms(self.parts.spec.retention.0);
        self.keep.prune(retention, now).await?;
        self.meters.trouble.clear();
        for (fleet, status) in self.statuses(tick) {
            let of = OfFleet { fleet: fleet.clone() };
            self.meters.trouble.get_or_create(&of).set(i64::from(status.trouble.is_some()));
            self.keep.status(&fleet, status).await?;
        }
        let left: HashSet<&str> =
            self.state.pools.iter().filter(|it| !it.is_gone()).map(|it| it.name.as_str()).collect();
        let definitions = &self.definitions;
        self.keep.forget(|it| left.contains(it) || definitions.0.contains_key(it)).await
    }

    /// What is kept of a round's decisions, before anything of them is done. Where there are too many, it is said how many more there
    /// are, for each fleet.
    pub(super) fn kept(&self, tick: &Tick, decisions: &[Decision]) -> Vec<FleetDecision> {
        let room = MOST_DECISIONS.saturating_sub(tick.decided.len()).min(decisions.len());
        let (kept, more) = decisions.split_at(room);
        let mut all = self.told(tick.now, kept);
        let mut left: BTreeMap<usize, usize> = BTreeMap::new();
        more.iter().for_each(|it| *left.entry(it.pool).or_default() += 1);
        for (pool, count) in left {
            let fleet = self.plan.entries.get(pool).map(|it| it.name.clone()).unwrap_or_default();
            let line = format!("{fleet}: {count} more decisions of this look are in the log alone");
            let why = LEFT_OUT.to_owned();
            all.push(FleetDecision { at_ms: tick.now, fleet, line, why, outcome: None });
        }
        all
    }

    /// Decisions as they are told.
    fn told(&self, now: u64, decisions: &[Decision]) -> Vec<FleetDecision> {
        let told = |it: &Decision| FleetDecision {
            at_ms: now,
            fleet: self.plan.entries.get(it.pool).map(|it| it.name.clone()).unwrap_or_default(),
            line: it.line(&self.plan.fleet),
            why: it.why.as_str().to_owned(),
            outcome: None,
        };
        decisions.iter().map(told).collect()
    }

    /// Decisions that are more than are kept: they are told, and counted.
    pub(super) fn decided(&self, more: &[Decision]) {
        for decision in self.told(0, more) {
            say(&self.meters, &decision);
        }
    }

    /// Decisions that a controller before this one wrote down with its state and did not come to tell.
    pub(super) async fn tell_untold(&mut self) -> Result<()> {
        let meters = &self.meters;
        self.keep.decisions(|it| say(meters, it)).await.map(|_| ())
    }

    fn statuses(&self, tick: &Tick) -> BTreeMap<String, FleetStatus> {
        let mut statuses = BTreeMap::new();
        for (index, (entry, memory)) in self.plan.entries.iter().zip(&self.state.pools).enumerate() {
            let seen = tick.view.seen.pools.get(index);
            let definition = self.definitions.0.get(&entry.name);
            let stays = |id: &str| {
                let at = memory.known.binary_search_by(|it| it.id.as_str().cmp(id)).ok();
                at.and_then(|at| memory.known.get(at)).is_some_and(|it| it.leaving_ms.is_none())
            };
            let workers = seen.map(|it| it.workers.as_slice()).unwrap_or_default();
            let ready = workers.iter().filter(|it| it.phase == WorkerPhase::Ready && stays(&it.id)).count();
            let mut trouble = definition.map(|it| it.trouble.clone()).unwrap_or_default();
            if definition.is_none() {
                trouble.push("its record is gone without a tombstone: what is left of it leaves".to_owned());
            }
            trouble.extend(self.troubles.get(&entry.name).cloned());
            let own = tick.view.own.get(index).copied().unwrap_or_default();
            trouble.extend(own.trouble().map(str::to_owned));
            if let Some(pool) = self.plan.fleet.pools.get(index) {
                trouble.extend(self.refusals.trouble(pool, memory, tick.now));
            }
            if let Some(times) = memory.fails().filter(|_| !entry.frozen) {
                trouble.push(format!(
                    "{times} times in a row what was started for it failed, vanished, or did not get ready within 20 minutes: one at a time is tried, after pauses of up to an hour, until one works or it is described anew (see its image, what the workers log at the cloud, and `streamverse fleet why`)"
                ));
            }
            if seen.is_some_and(|it| !it.complete) && !entry.frozen {
                let said = tick.looks.iter().filter(|it| entry.clouds.contains(it.0));
                let said = said.filter_map(|(kind, it)| Some(format!(" ({kind}: {})", it.error.as_ref()?)));
                trouble.push(format!(
                    "a cloud that it needs does not tell what there is: nothing is done meanwhile{}",
                    said.collect::<String>()
                ));
            }
            let hollow: Vec<&str> =
                tick.view.hollow.iter().filter(|it| it.0 == index).take(5).map(|it| it.1.as_str()).collect();
            if !hollow.is_empty() {
                trouble.push(format!(
                    "workers said that they work while nothing was left to do, and are ended (they hang, or their machines lie): {}",
                    hollow.join(", ")
                ));
            }
            let status = FleetStatus {
                generation: definition.map(Definition::generation).unwrap_or_default(),
                looked_ms: tick.now,
                target: memory.target,
                instances: u32::try_from(memory.known.len() + memory.orders.len()).unwrap_or(u32::MAX),
                ready: u32::try_from(ready).unwrap_or(u32::MAX),
                waiting: seen.and_then(|it| it.queue).map(|it| it.waiting),
                spent_micros: memory.spent_micros,
                deleted: definition.is_some_and(Definition::tombstone) && memory.is_gone(),
                trouble: (!trouble.is_empty()).then(|| trouble.join("; ")),
            };
            statuses.insert(entry.name.clone(), status);
        }
        statuses
    }

    /// What follows from time: seconds and dollars.
    fn count_time(&mut self, now: u64) {
        let passed = self.last_ms.map_or(0, |it| now.saturating_sub(it));
        self.last_ms = Some(now);
        let seconds = passed as f64 / 1000.0;
        for (pool, memory) in self.plan.fleet.pools.iter().zip(&self.state.pools) {
            let fleet = || pool.name.clone();
            let mut count = [0_u32; 2];
            let (mut cost, mut full) = (Money::ZERO, Money::ZERO);
            for known in &memory.known {
                let hourly = known.hourly.unwrap_or_default();
                let source = pool.candidates.iter().find(|it| it.candidate.key == known.key);
                cost += hourly;
                full += source.and_then(|it| it.on_demand).unwrap_or(hourly).max(hourly);
                let at = usize::from(known.lifecycle == Lifecycle::OnDemand);
                if let Some(count) = count.get_mut(at) {
                    *count += 1;
                }
            }
            let [spot, on_demand] = count;
            for (lifecycle, count) in [("spot", spot), ("on_demand", on_demand)] {
                let labels = Bought { fleet: fleet(), lifecycle: lifecycle.to_owned() };
                self.meters.seconds.get_or_create(&labels).inc_by(f64::from(count) * seconds);
            }
            let of = OfFleet { fleet: fleet() };
            let stands_in = on_demand > 0 && pool.primary() == Lifecycle::Spot;
            let fallback = if stands_in { seconds } else { 0.0 };
            self.meters.fallback_seconds.get_or_create(&of).inc_by(fallback);
            self.meters.cost.get_or_create(&of).inc_by(cost.per_hour_for_ms(passed).as_dollars());
            self.meters.on_demand_cost.get_or_create(&of).inc_by(full.per_hour_for_ms(passed).as_dollars());
        }
    }

    fn count_events(&self, tick: &Tick, lost: Losses) {
        let announced = tick.decided.iter().filter_map(|it| match &it.action {
            Action::Drain { id, .. } if it.why == Why::Announced => {
                let memory = self.state.pools.get(it.pool)?;
                let at = memory.known.binary_search_by(|it| it.id.as_str().cmp(id)).ok()?;
                let known = memory.known.get(at).filter(|it| it.lifecycle == Lifecycle::Spot)?;
                Some((it.pool, known.key.clone()))
            }
            _ => None,
        });
        for (index, place) in lost.into_iter().chain(announced) {
            let Some(fleet) = self.plan.entries.get(index).map(|it| it.name.clone()) else { continue };
            self.meters.preemptions.get_or_create(&Lost { fleet, place }).inc();
        }
        for decision in &tick.decided {
            let Some(entry) = self.plan.entries.get(decision.pool) else { continue };
            let fleet = entry.name.clone();
            if let (Action::Drain { .. }, Why::Failed | Why::NeverStarted) = (&decision.action, decision.why)
            {
                let labels = nothing(&fleet, decision.why.as_str());
                self.meters.came_to_nothing.get_or_create(&labels).inc();
            }
            if decision.why == Why::DrainOver || self.overran(tick, decision) {
                self.meters.overruns.get_or_create(&OfFleet { fleet }).inc();
            }
        }
        for (pool, class) in &tick.refused {
            let Some(entry) = self.plan.entries.get(*pool) else { continue };
            let labels = Refused { fleet: entry.name.clone(), class: class.as_str().to_owned() };
            self.meters.refusals.get_or_create(&labels).inc();
        }
    }

    /// Whether who is given back said that it was not done in time.
    fn overran(&self, tick: &Tick, decision: &Decision) -> bool {
        let Action::Terminate { id } = &decision.action else { return false };
        let spot = tick.view.worker(decision.pool, id).map(|(_, spot)| spot);
        let name = spot.and_then(|it| it.instance(&tick.looks)).map(worker_name);
        let told = name.and_then(|it| self.parts.workers.told(&it));
        told.is_some_and(|it| it.phase == Phase::Overrun)
    }

    /// What is, as opposed to what happened.
    fn levels(&self, tick: &Tick) {
        let m = &self.meters;
        for levels in [&m.target, &m.waiting] {
            levels.clear();
        }
        for levels in [&m.backlog, &m.idle, &m.budget, &m.spent, &m.target_p95] {
            levels.clear();
        }
        m.workers.clear();
        let mut on_demand: HashMap<(CloudKind, GpuClass), i64> = HashMap::new();
        for (index, (pool, memory)) in self.plan.fleet.pools.iter().zip(&self.state.pools).enumerate() {
            if memory.is_gone() {
                continue;
            }
            // An alert sees the first, too, where there was a zero before it.
            for how in ["never_started", "failed", "vanished"] {
                drop(m.came_to_nothing.get_or_create(&nothing(&pool.name, how)));
            }
            let of = OfFleet { fleet: pool.name.clone() };
            let seen = tick.view.seen.pools.get(index);
            let workers = seen.map(|it| it.workers.as_slice()).unwrap_or_default();
            let mut phases = [("starting", 0), ("ready", 0), ("leaving", 0), ("failed", 0)];
            let mut idle = 0;
            for worker in workers {
                let at = memory.known.binary_search_by(|it| it.id.as_str().cmp(&worker.id)).ok();
                let leaving =
                    at.and_then(|at| memory.known.get(at)).is_some_and(|it| it.leaving_ms.is_some());
                let phase = match worker.phase {
                    _ if leaving => 2,
                    WorkerPhase::Starting => 0,
                    WorkerPhase::Ready => 1,
                    WorkerPhase::Failed => 3,
                };
                if let Some(phase) = phases.get_mut(phase) {
                    phase.1 += 1;
                }
                idle = idle.max(worker.idle_ms.unwrap_or(0));
            }
            for (phase, count) in phases {
                let labels = InPhase { fleet: pool.name.clone(), phase: phase.to_owned() };
                m.workers.get_or_create(&labels).set(count);
            }
            m.target.get_or_create(&of).set(i64::from(memory.target));
            // Without a queue and without workers that report nobody knows who is idle: that is no zero.
            let knows =
                pool.queue.is_some() || self.plan.entries.get(index).is_some_and(|it| it.work.is_some());
            if knows {
                m.idle.get_or_create(&of).set(idle as f64 / 1000.0);
            }
            m.spent.get_or_create(&of).set(memory.spent().as_dollars());
            if let Some(budget) = pool.range.monthly_budget {
                m.budget.get_or_create(&of).set(budget.as_dollars());
            }
            if let Some(queue) = &pool.queue {
                m.target_p95.get_or_create(&of).set(queue.target_p95.0.as_secs_f64());
            }
            if let (Some(queue), Some(waits)) = (&pool.queue, seen.and_then(|it| it.queue)) {
                m.waiting.get_or_create(&of).set(i64::try_from(waits.waiting).unwrap_or(i64::MAX));
                let ready = phases.get(1).map_or(0, |it| it.1).max(i64::from(waits.others == 0));
                let slots = ready as f64 * f64::from(queue.jobs_per_worker.max(1)) + f64::from(waits.others);
                let job =
                    waits.job_ms.map_or(queue.assumed_job_time.0.as_secs_f64(), |it| it as f64 / 1000.0);
                m.backlog.get_or_create(&of).set(waits.waiting as f64 * job / slots);
            }
            let known = memory.known.iter().map(|it| (it.lifecycle, it.cloud, it.class));
            let all = known.chain(memory.orders.iter().map(|it| (it.lifecycle, it.cloud, it.class)));
            for (lifecycle, cloud, class) in all {
                if let (Lifecycle::OnDemand, Some(cloud), Some(class)) = (lifecycle, cloud, class) {
                    *on_demand.entry((cloud, class)).or_default() += 1;
                }
            }
            for source in &pool.candidates {
                on_demand.entry((source.candidate.cloud, source.candidate.class())).or_default();
            }
        }
        m.on_demand.clear();
        m.on_demand_limit.clear();
        for ((cloud, class), count) in on_demand {
            let Some(limit) = self.plan.fleet.limit(cloud, class) else { continue };
            let labels = Limited { cloud: cloud.to_string(), class: class.to_string() };
            m.on_demand.get_or_create(&labels).set(count);
            m.on_demand_limit.get_or_create(&labels).set(i64::from(limit));
        }
    }
}
