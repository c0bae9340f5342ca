//! What the policy is shown: instances and what their workers told, matched to pools.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use streamverse_compute::cloud::{Instance, NoticeKind, Phase};
use streamverse_compute::policy::{FleetState, PoolSeen, QueueSeen, Seen, Worker, WorkerPhase};
use streamverse_core::log::Progress;
use streamverse_model::compute::{CloudKind, GroupName, Lifecycle, Phase as WorkPhase};
use streamverse_model::platform::Name;

use super::backlog::{Backlog, Own, Patience};
use super::keep::Measured;
use super::look::{CloudLook, Silent};
use super::plan::{Entry, Plan};
use super::twins;
use crate::clock::ms;
use crate::workers::Workers;

/// Who has not been heard for so long is taken for broken: it would hold work that nobody does.
const UNHEARD_MS: u64 = 600_000;
/// Where nobody at all is heard, all have so long.
const ALL_UNHEARD_MS: u64 = 3 * UNHEARD_MS;
/// Once a new controller knows them, workers have so long to be heard before they are taken for ones that never were.
const REJOIN_MS: u64 = 180_000;
/// What was launched and is not listed yet is taken for listed for so long.
const LISTED_MS: u64 = 120_000;
/// An order of a pool whose time is over, and that nobody saw for so long, came to nothing.
pub(super) const UNSEEN_MS: u64 = 120_000;
/// Where a cloud gives notice without a time.
const NOTICE_MS: u64 = 30_000;
/// Who says that it works while nothing is left to do is believed for so long, or for four usual jobs where that is longer:
/// whoever was given a partition anew may finish what another one has done meanwhile. After that it hangs, or lies.
const BUSY_MS: u64 = 900_000;
/// … and for no longer than this: how long a job takes is what workers tell, too.
const BUSY_MOST_MS: u64 = 4 * 3_600_000;

/// Where a worker's instance is listed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) cloud: CloudKind,
    pub(super) index: usize,
}

impl Spot {
    /// Its instance, as it was listed.
    pub(super) fn instance(self, looks: &HashMap<CloudKind, CloudLook>) -> Option<&Instance> {
        looks.get(&self.cloud)?.instances.as_ref()?.get(self.index)
    }
}

/// What is remembered between looks. What was measured outlives the process; the rest is lost with it, and is not needed to be right, only to
/// be quick.
#[derive(Default)]
pub(super) struct Remembered {
    /// When this term of the lease began.
    pub(super) started_ms: u64,
    /// Since when workers could be heard in this term, by their instances' ids: before that this controller does not know them,
    /// and refuses their reports.
    pub(super) known_ms: HashMap<String, u64>,
    /// When launches were last asked for, by fleet and number, and whether nobody knows what came of it.
    pub(super) tried: HashMap<(String, u64), (u64, bool)>,
    /// Instances that are told to be nobody's.
    pub(super) strangers: Vec<String>,
    /// Instances that were launched and may not be listed yet.
    pub(super) launched: Vec<(CloudKind, Instance, u64)>,
    /// When what is on its way out goes, by id.
    pub(super) doomed: HashMap<String, u64>,
    /// Instances whose names another instance's worker has, by id.
    pub(super) twins: HashSet<String>,
    /// Since when a pool's queue has been empty.
    pub(super) empty_since: HashMap<String, u64>,
    /// Since when workers have said that they work while nothing was left to do, by their instances' ids.
    pub(super) busy_since: HashMap<String, u64>,
    /// Of fleets beside a site's own workers, how old what waits is.
    pub(super) backlogs: HashMap<String, Backlog>,
    /// How long a job of each fleet took when that was last measured.
    pub(super) job_ms: HashMap<String, u64>,
    /// Who did not answer of late.
    pub(super) silent_clouds: Silent<CloudKind>,
    pub(super) silent_queues: Silent<super::QueueKey>,
    /// When the last look was.
    pub(super) looked_ms: u64,
}

/// What was seen, for the policy and for those who act.
#[derive(Default)]
pub(super) struct View {
    pub(super) seen: Seen,
    /// By pool, one for each worker.
    pub(super) spots: Vec<Vec<Spot>>,
    /// By pool, how many jobs its workers do.
    running: Vec<u64>,
    /// By pool, what may be expected of a site's own workers.
    pub(super) own: Vec<Own>,
    /// Workers that have worked on nothing for too long, with their pools.
    pub(super) hollow: Vec<(usize, String)>,
    /// Instances of this deployment that are of no pool of this controller: another controller's, or nobody's.
    pub(super) strangers: Vec<String>,
}

impl Remembered {
    /// Goes on with what an earlier controller measured.
    pub(super) fn take(&mut self, measured: Measured) {
        self.job_ms = measured.job_ms.into_iter().collect();
        let backlogs = measured.doubts.into_iter().map(|(fleet, doubt)| (fleet, Backlog::doubting(doubt)));
        self.backlogs = backlogs.collect();
    }

    /// What is to outlive this controller.
    pub(super) fn measured(&self, now: u64) -> Measured {
        let doubts = self.backlogs.iter().filter_map(|(fleet, it)| Some((fleet.clone(), it.doubt(now)?)));
        Measured {
            job_ms: self.job_ms.iter().map(|(fleet, ms)| (fleet.clone(), *ms)).collect(),
            doubts: doubts.collect(),
        }
    }

    /// Whether something may still appear that was launched for a fleet: also once its order is forgotten.
    pub(super) fn in_doubt(&self, fleet: &str, now: u64) -> bool {
        let recent = |at: u64| now.saturating_sub(at) < UNSEEN_MS;
        self.tried.iter().any(|((of, _), (at, unknown))| *unknown && of == fleet && recent(*at))
    }
}

impl View {
    /// A pool's worker of this id, and where its instance is listed.
    pub(super) fn worker(&self, pool: usize, id: &str) -> Option<(&Worker, Spot)> {
        let workers = &self.seen.pools.get(pool)?.workers;
        let at = workers.iter().position(|it| &*it.id == id)?;
        Some((workers.get(at)?, *self.spots.get(pool)?.get(at)?))
    }
}

/// A [`super::QueueKey`], borrowed.
type QueueRef<'a> = (&'a str, &'a str, &'a str);

/// What a view is made of.
pub(super) struct Looker<'a> {
    pub(super) deployment: &'a Name,
    pub(super) plan: &'a Plan,
    pub(super) state: &'a FleetState,
    pub(super) workers: &'a dyn Workers,
    /// When any of them was last heard.
    pub(super) heard_ms: Option<u64>,
    /// How far the workers are in each partition of its queue, by pool.
    pub(super) undone: &'a HashMap<usize, Vec<Progress>>,
    pub(super) now: u64,
}

impl Looker<'_> {
    /// Puts it together. What was launched and is not listed is put into the looks.
    pub(super) fn view(&self, looks: &mut HashMap<CloudKind, CloudLook>, memory: &mut Remembered) -> View {
        self.add_launched(looks, memory);
        memory.twins = twins::unheard(looks, self.workers);
        let mut view = View::default();
        let groups = looks.values().filter_map(|it| it.groups.as_ref()).flat_map(HashMap::keys);
        let with_groups: HashSet<&str> = groups.map(|it| it.pool.as_str()).collect();
        for (index, entry) in self.plan.entries.iter().enumerate() {
            let complete = !entry.frozen && self.complete(index, entry, looks);
            let groups_deleted = complete
                && !with_groups.contains(entry.name.as_str())
                && !memory.in_doubt(&entry.name, self.now);
            view.seen.pools.push(PoolSeen { complete, groups_deleted, ..PoolSeen::default() });
            view.spots.push(Vec::new());
            view.running.push(0);
            view.own.push(Own::Trusted);
        }
        let mut doomed = HashMap::new();
        for (cloud, look) in looks.iter() {
            self.place(*cloud, look, memory, &mut doomed, &mut view);
        }
        memory.doomed = doomed;
        self.queues(&mut view, memory);
        memory.looked_ms = self.now;
        view
    }

    /// Whether all clouds answered that the pool has anything to do with. One that this controller has lost its access to
    /// never does: what is there is not taken for gone.
    fn complete(&self, index: usize, entry: &Entry, looks: &HashMap<CloudKind, CloudLook>) -> bool {
        let answered = |kind: &CloudKind| looks.get(kind).is_some_and(CloudLook::complete);
        let has = self.state.pools.get(index).filter(|it| it.name == entry.name);
        let known = has.into_iter().flat_map(|it| it.known.iter().filter_map(|it| it.cloud));
        let orders = has.into_iter().flat_map(|it| it.orders.iter().filter_map(|it| it.cloud));
        entry.clouds.iter().all(answered) && known.chain(orders).all(|kind| answered(&kind))
    }

    fn add_launched(&self, looks: &mut HashMap<CloudKind, CloudLook>, memory: &mut Remembered) {
        memory.launched.retain(|(_, _, at)| self.now.saturating_sub(*at) < LISTED_MS);
        memory.launched.retain(|(cloud, instance, _)| {
            let Some(list) = looks.get_mut(cloud).and_then(|it| it.instances.as_mut()) else { return true };
            if list.iter().any(|it| it.id == instance.id) {
                return false;
            }
            list.push(instance.clone());
            true
        });
    }

    fn place(
        &self,
        cloud: CloudKind,
        look: &CloudLook,
        memory: &Remembered,
        doomed: &mut HashMap<String, u64>,
        view: &mut View,
    ) {
        let rebalanced = look.notices.iter().filter(|it| it.kind == NoticeKind::Rebalance);
        let at_risk: HashSet<&str> = rebalanced.map(|it| it.id.as_str()).collect();
        let announced: HashMap<&str, Option<u64>> = look
            .notices
            .iter()
            .filter(|it| it.kind == NoticeKind::Preemption)
            .map(|it| (it.id.as_str(), it.at_ms))
            .collect();
        let mut ids: HashSet<&str> = HashSet::new();
        for (index, instance) in look.instances.iter().flatten().enumerate() {
            // A list in pages may have one twice.
            if instance.group.deployment != *self.deployment || !ids.insert(&instance.id) {
                continue;
            }
            let pool = self.plan.by_name.get(instance.group.pool.as_str());
            let Some((pool, entry)) = pool.and_then(|at| Some((*at, self.plan.entries.get(*at)?))) else {
                view.strangers.push(instance.id.clone());
                continue;
            };
            let first = memory.doomed.get(&instance.id).copied();
            let stopping = (instance.phase == Phase::Stopping).then(|| first.unwrap_or(self.now));
            let notice = announced.get(instance.id.as_str()).map(|at| {
                at.or(first).unwrap_or_else(|| {
                    let notice = look
                        .can
                        .notice
                        .map_or(NOTICE_MS, |it| u64::try_from(it.as_millis()).unwrap_or(NOTICE_MS));
                    self.now.saturating_add(notice)
                })
            });
            let (mut worker, running) =
                self.worker(cloud, pool, entry, instance, stopping.or(notice), memory);
            worker.at_risk |= at_risk.contains(instance.id.as_str());
            if let Some(at) = worker.doomed_ms {
                doomed.insert(instance.id.clone(), at);
            }
            if let Some(sum) = view.running.get_mut(pool) {
                *sum += running;
            }
            if let (Some(seen), Some(spots)) = (view.seen.pools.get_mut(pool), view.spots.get_mut(pool)) {
                seen.workers.push(worker);
                spots.push(Spot { cloud, index });
            }
        }
    }

    fn worker(
        &self,
        cloud: CloudKind,
        pool: usize,
        entry: &Entry,
        instance: &Instance,
        doomed_ms: Option<u64>,
        memory: &Remembered,
    ) -> (Worker, u64) {
        // How many jobs one does that does not say so.
        let queue = self.plan.fleet.pools.get(pool).and_then(|it| it.queue.as_ref());
        let lanes = queue.map_or(1, |it| u64::from(it.jobs_per_worker.max(1)));
        let candidate = candidate(self.plan, pool, entry, cloud, instance);
        let mut worker = Worker {
            id: Arc::from(instance.id.as_str()),
            candidate,
            lifecycle: instance.lifecycle,
            phase: match instance.phase {
                Phase::Starting => WorkerPhase::Starting,
                Phase::Running | Phase::Stopping => WorkerPhase::Ready,
                Phase::Failed => WorkerPhase::Failed,
            },
            idle_ms: None,
            doomed_ms,
            at_risk: false,
            hourly: instance.hourly,
        };
        // Of a fleet whose record is gone the workers may still be heard.
        let twin = memory.twins.contains(&instance.id);
        let told = (!twin && (entry.work.is_some() || entry.record.is_none()))
            .then(|| self.workers.told(&worker_name(instance)))
            .flatten();
        if entry.work.is_none() && told.is_none() {
            // Without a queue nobody has work that is known of, and nobody listens to who says that it should leave.
            let queue = self.plan.fleet.pools.get(pool).filter(|it| it.queue.is_some() && !it.tombstone);
            worker.idle_ms = queue.is_none().then_some(0);
            return (worker, 0);
        }
        if worker.phase != WorkerPhase::Ready || instance.phase == Phase::Stopping {
            return (worker, 0);
        }
        let Some(told) = told else {
            // It may have been heard by the controller before this one, and can be heard by this one since it knows it.
            let older = self.known(pool, &instance.id).is_some_and(|it| it.since_ms < memory.started_ms);
            let known_ms = memory.known_ms.get(&instance.id);
            if twin || !older || known_ms.is_some_and(|it| self.now.saturating_sub(*it) >= REJOIN_MS) {
                worker.phase = WorkerPhase::Starting;
                return (worker, 0);
            }
            return (worker, lanes);
        };
        worker.at_risk = told.at_risk;
        if told.preempted {
            // What it says is its machine's word alone: it is believed once, and for no longer than a drain takes. Whoever is taken
            // away is not given back before that.
            let drain = self.plan.fleet.pools.get(pool).map_or(Duration::ZERO, |it| it.policy.drain.0);
            let most = self.now.saturating_add(u64::try_from(drain.as_millis()).unwrap_or(NOTICE_MS));
            let said = told.until_ms.unwrap_or(self.now).min(most);
            let first = memory.doomed.get(&instance.id).copied().unwrap_or(said);
            worker.doomed_ms = worker.doomed_ms.or(Some(first.min(said)));
        }
        // Where nobody is heard, the way to us is broken, or our clock leapt: not each of them.
        let anybody_ms = self.heard_ms.unwrap_or(self.now).min(self.now);
        let unheard = anybody_ms.saturating_sub(told.heard_ms) >= UNHEARD_MS
            || self.now.saturating_sub(told.heard_ms) >= ALL_UNHEARD_MS;
        match told.phase {
            WorkPhase::Drained | WorkPhase::Overrun if self.is_leaving(pool, &instance.id) => {
                worker.idle_ms = Some(0);
            }
            // It ended, and nobody told it to.
            WorkPhase::Drained | WorkPhase::Overrun => worker.phase = WorkerPhase::Failed,
            _ if unheard => worker.phase = WorkerPhase::Failed,
            WorkPhase::Draining => {}
            WorkPhase::Working => {
                worker.idle_ms = told.idle_since_ms.map(|since| self.now.saturating_sub(since));
            }
        }
        let busy = worker.phase == WorkerPhase::Ready && worker.idle_ms.is_none();
        // A worker that says more than it has lanes would hide what waits.
        (worker, if busy { told.running.unwrap_or(lanes).min(lanes) } else { 0 })
    }

    /// For how long somebody may say that it works while nothing is left to do.
    fn busy_ms(&self, pool: usize, job_ms: Option<u64>) -> u64 {
        let queue = self.plan.fleet.pools.get(pool).and_then(|it| it.queue.as_ref());
        let assumed = queue.map_or(0, |it| ms(it.assumed_job_time.0));
        job_ms.unwrap_or(0).max(assumed).saturating_mul(4).clamp(BUSY_MS, BUSY_MOST_MS)
    }

    fn known(&self, pool: usize, id: &str) -> Option<&streamverse_compute::policy::Known> {
        let memory = self.state.pools.get(pool)?;
        let at = memory.known.binary_search_by(|it| it.id.as_str().cmp(id)).ok()?;
        memory.known.get(at)
    }

    fn is_leaving(&self, pool: usize, id: &str) -> bool {
        self.known(pool, id).is_some_and(|it| it.leaving_ms.is_some())
    }

    /// What waits: what is not done, less what somebody works on.
    fn queues(&self, view: &mut View, memory: &mut Remembered) {
        let busy_since = std::mem::take(&mut memory.busy_since);
        memory.backlogs.retain(|name, _| self.plan.by_name.contains_key(name.as_str()));
        memory.job_ms.retain(|name, _| self.plan.by_name.contains_key(name.as_str()));
        let mut by_queue: HashMap<QueueRef<'_>, Vec<usize>> = HashMap::new();
        for index in self.undone.keys() {
            if let Some(queue) = self.queue(*index) {
                by_queue.entry(queue).or_default().push(*index);
            }
        }
        for (index, entry) in self.plan.entries.iter().enumerate() {
            let Some(partitions) = self.undone.get(&index) else { continue };
            let jobs = Progress::undone_of(partitions);
            if jobs > 0 {
                memory.empty_since.remove(&entry.name);
            } else {
                memory.empty_since.entry(entry.name.clone()).or_insert(self.now);
            }
            let Some(record) = entry.record.as_ref().filter(|_| entry.work.is_some()) else {
                let Some(seen) = view.seen.pools.get_mut(index) else { continue };
                seen.queue = Some(QueueSeen { waiting: jobs, job_ms: None, others: 0 });
                // Nobody says whether it works: as long as there is work, it does.
                let idle = memory.empty_since.get(&entry.name).map(|it| self.now.saturating_sub(*it));
                for worker in seen.workers.iter_mut().filter(|it| it.phase == WorkerPhase::Ready) {
                    worker.idle_ms = idle;
                }
                continue;
            };
            if let Some(measured) = self.workers.job_ms(&record.definition.name) {
                memory.job_ms.insert(entry.name.clone(), measured);
            }
            let job_ms = memory.job_ms.get(&entry.name).copied();
            // Other fleets' workers may take from the same queue.
            let with = self.queue(index).and_then(|it| by_queue.get(&it)).map_or(&[][..], Vec::as_slice);
            let working: u64 = with.iter().filter_map(|it| view.running.get(*it)).sum();
            // The site's own workers say nothing to us: they do as many as they can, as long as nothing speaks against it.
            let queue = record.definition.queue.as_ref();
            let beside = entry.work.as_ref().zip(queue).map(|(work, queue)| (queue, work.own_members(queue)));
            let (mut hands, mut others) = (0, 0);
            if let Some((queue, own)) = beside.filter(|(_, own)| *own > 0) {
                let alone =
                    !with.iter().any(|it| worked(view, *it, self.now.saturating_sub(memory.looked_ms)));
                let patience = Patience {
                    target: queue.target_p95.0,
                    job_ms: job_ms.unwrap_or(ms(queue.assumed_job_time.0)),
                };
                let backlog = memory.backlogs.entry(entry.name.clone()).or_default();
                let trust = backlog.look(partitions, patience, alone, self.now);
                (hands, others) = match trust {
                    Own::Trusted => (own, own),
                    Own::Slow => (own, 0),
                    Own::Absent => (0, 0),
                };
                if let Some(it) = view.own.get_mut(index) {
                    *it = trust;
                }
            }
            let waiting = jobs.saturating_sub(working).saturating_sub(u64::from(hands));
            if let Some(seen) = view.seen.pools.get_mut(index) {
                seen.queue = Some(QueueSeen { waiting, job_ms, others });
            }
            if jobs == 0 {
                self.hollow(index, entry, job_ms, &busy_since, view, memory);
            }
            tracing::debug!(fleet = entry.name, undone = jobs, working, "Looked at the queue.");
        }
    }

    /// Which queue a pool's workers take from.
    fn queue(&self, pool: usize) -> Option<QueueRef<'_>> {
        let queue = self.plan.fleet.pools.get(pool)?.queue.as_ref()?;
        Some((&queue.event_log, &queue.topic, &queue.group))
    }

    /// Whoever says for too long that it works, where nothing is left to do, has failed.
    fn hollow(
        &self,
        index: usize,
        entry: &Entry,
        job_ms: Option<u64>,
        busy_since: &HashMap<String, u64>,
        view: &mut View,
        memory: &mut Remembered,
    ) {
        let most = self.busy_ms(index, job_ms);
        let workers = view.seen.pools.get_mut(index).into_iter().flat_map(|it| &mut it.workers);
        for worker in workers.filter(|it| it.phase == WorkerPhase::Ready && it.idle_ms.is_none()) {
            let since = busy_since.get(&*worker.id).copied().unwrap_or(self.now);
            memory.busy_since.insert(worker.id.to_string(), since);
            if self.now.saturating_sub(since) < most {
                continue;
            }
            worker.phase = WorkerPhase::Failed;
            view.hollow.push((index, worker.id.to_string()));
            if !self.is_leaving(index, &worker.id) {
                tracing::warn!(
                    fleet = entry.name,
                    worker = &*worker.id,
                    "A worker says that it works, and nothing has been left to do for {} s: it is ended.",
                    most / 1000
                );
            }
        }
    }
}

/// Whether a pool's workers may have done anything within so long.
fn worked(view: &View, pool: usize, within_ms: u64) -> bool {
    let workers = view.seen.pools.get(pool).into_iter().flat_map(|it| &it.workers);
    let mut ready = workers.filter(|it| it.phase != WorkerPhase::Starting);
    ready.any(|it| it.idle_ms.is_none_or(|idle| idle <= within_ms))
}

/// Which of a pool's candidates an instance is; none of them where the group's name says another place or cloud.
fn candidate(plan: &Plan, pool: usize, entry: &Entry, cloud: CloudKind, instance: &Instance) -> usize {
    let key = candidate_key(&instance.group, instance.lifecycle);
    let at = key.and_then(|it| entry.keys.get(it)).copied();
    let source = |at: &usize| plan.fleet.pools.get(pool).and_then(|it| it.candidates.get(*at));
    at.filter(|at| source(at).is_some_and(|it| it.candidate.cloud == cloud)).unwrap_or(usize::MAX)
}

/// The key of the candidate that a group is of, where it is one of this lifecycle.
pub(super) fn candidate_key(group: &GroupName, lifecycle: Lifecycle) -> Option<&str> {
    let prefix = match lifecycle {
        Lifecycle::Spot => "s-",
        Lifecycle::OnDemand => "d-",
    };
    group.key.as_str().strip_prefix(prefix)
}

/// What an instance's worker calls itself: the name that it was launched by, else the cloud's id.
pub(super) fn worker_name(instance: &Instance) -> String {
    instance.name.as_ref().map_or_else(|| instance.id.clone(), ToString::to_string)
}
