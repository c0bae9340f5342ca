//! The controller: a tick is look, decide, write, act, and again while a cloud refuses.

mod act;
mod backlog;
mod definitions;
mod jobs;
mod keep;
mod look;
mod members;
mod meters;
mod plan;
mod prices;
mod refusals;
mod sizes;
mod tell;
#[cfg(test)]
mod tests;
mod twins;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use streamverse_compute::cloud::GroupSpec;
use streamverse_compute::policy::{self, FleetState, Outcome, PoolState};
use streamverse_core::log::Progress;
use streamverse_core::stores::Records;
use streamverse_core::{Error, Metrics, Ready, Result, Stop};
use streamverse_model::compute::{CloudKind, FleetControllerSpec, GroupName, QueueSpec};
use streamverse_model::platform::Name;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::lease::{Lease, lost};
use crate::queues::Queues;
use crate::roster::Roster;
use crate::service::Clouds;
use crate::workers::Workers;
use definitions::{Checks, Definitions};
use keep::Keep;
use look::look;
use meters::Meters;
use plan::Plan;
use prices::{Prices, Wanted};
use refusals::Refusals;
use view::{Looker, Remembered};

/// A tick that is under way when the service is stopped may take so long.
const FINISH: Duration = Duration::from_secs(10);
/// Between two looks at a lease that somebody else holds.
const STANDBY: Duration = Duration::from_millis(500);
/// A clock that was never set says something before this: the year 2020.
const FIRST_MS: u64 = 1_577_836_800_000;
/// Rounds of one tick: refused launches are decided again, elsewhere.
const MOST_ROUNDS: usize = 64;

/// An event log, a topic and a group.
type QueueKey = (String, String, String);

/// What a controller is made of.
pub struct Parts {
    /// The deployment whose instances it keeps.
    pub deployment: Name,
    /// Its own name, part of its collections' names.
    pub name: String,
    /// Limits, budget, tick, retention.
    pub spec: FleetControllerSpec,
    /// The stores that fleets may have their queues and their workers' work in; any where `None`.
    pub stores: Option<Vec<String>>,
    /// The clouds that it has access to.
    pub clouds: Clouds,
    /// The catalogue.
    pub records: Arc<dyn Records>,
    /// Queues.
    pub queues: Arc<dyn Queues>,
    /// Workers.
    pub workers: Arc<dyn Workers>,
    /// Where those who speak to workers look up who there is.
    pub roster: Arc<Roster>,
    /// What keeps it single.
    pub lease: Arc<dyn Lease>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where it counts.
    pub metrics: Metrics,
}

/// A controller of fleets.
pub struct Controller {
    parts: Parts,
    checks: Checks,
    definitions: Definitions,
    prices: Prices,
    /// What prices are asked for.
    wanted: BTreeMap<CloudKind, Wanted>,
    plan: Plan,
    remembered: Remembered,
    keep: Keep,
    state: FleetState,
    /// Whether `state` is what was written last.
    loaded: bool,
    /// Groups that were brought to these specs.
    ensured: HashMap<GroupName, GroupSpec>,
    /// What is wrong with fleets now, beside their definitions.
    troubles: HashMap<String, String>,
    /// What clouds refused.
    refusals: Refusals,
    /// What came of launches after the last decision.
    carried: Vec<(String, Outcome)>,
    /// Names of workers, by their instances' ids.
    names: HashMap<String, String>,
    meters: Meters,
    /// When the last tick was, for what is counted by time.
    last_ms: Option<u64>,
}

impl Controller {
    /// A controller that has done nothing yet.
    pub fn new(parts: Parts) -> Controller {
        let checks = Checks {
            deployment: parts.deployment.clone(),
            clouds: parts.clouds.iter().map(|(kind, cloud)| (*kind, cloud.capabilities())).collect(),
            stores: parts.stores.clone(),
        };
        let keep = Keep::new(Arc::clone(&parts.records), &parts.name);
        let meters = Meters::new(&parts.metrics);
        let remembered = Remembered { started_ms: parts.clock.now_ms(), ..Remembered::default() };
        Controller {
            checks,
            keep,
            meters,
            remembered,
            definitions: Definitions::default(),
            prices: Prices::default(),
            wanted: BTreeMap::new(),
            plan: Plan::default(),
            state: FleetState::default(),
            loaded: false,
            ensured: HashMap::new(),
            troubles: HashMap::new(),
            refusals: Refusals::default(),
            carried: Vec::new(),
            names: HashMap::new(),
            last_ms: None,
            parts,
        }
    }

    /// Acts while it holds the lease, until it is told to stop. Ready is who holds it.
    pub async fn run(mut self, ready: Ready, stop: Stop) {
        let lease = Arc::clone(&self.parts.lease);
        let renewing = async {
            loop {
                if let Err(error) = lease.renew().await {
                    warn!(error = %error.chain(), "The lease cannot be renewed.");
                }
                let wait = if lease.held() { lease.every() } else { STANDBY.max(lease.every() / 2) };
                tokio::time::sleep(wait.mul_f64(rand::random_range(0.8..1.2))).await;
            }
        };
        tokio::select! {
            () = renewing => {}
            () = self.keep_all(&ready, &stop) => {}
        }
        ready.set(false);
        self.parts.roster.clear();
        self.parts.lease.release().await;
    }

    async fn keep_all(&mut self, ready: &Ready, stop: &Stop) {
        let lease = Arc::clone(&self.parts.lease);
        let mut held = false;
        while !stop.is_stopped() {
            if lease.held() != held {
                held = !held;
                info!(held, "The lease {}.", if held { "is ours" } else { "is not ours" });
                ready.set(held);
                self.meters.leader.set(i64::from(held));
                // What was written since, somebody else wrote, and workers report to this one from now on.
                self.loaded = false;
                // Nothing of an earlier term is true any more: somebody else acted and counted since.
                let started_ms = self.parts.clock.now_ms();
                self.remembered = Remembered { started_ms, ..Remembered::default() };
                self.carried.clear();
                self.ensured.clear();
                self.last_ms = None;
                self.meters.forget();
                if !held {
                    self.parts.roster.clear();
                }
            }
            let wait = if held {
                let tick = async {
                    let stopped = async {
                        stop.stopped().await;
                        tokio::time::sleep(FINISH).await;
                    };
                    tokio::select! {
                        done = self.tick() => done,
                        () = lost(&*lease) => Err(Error::passing("lease", "the lease was lost while it acted")),
                        () = stopped => Err(Error::passing("stopped", "it was told to stop while it acted")),
                    }
                };
                let began = Instant::now();
                let done = tick.await;
                if let Err(error) = &done {
                    warn!(code = error.code, error = %error.chain(), "A look was not finished.");
                    self.loaded = false;
                }
                if done.is_err_and(|it| it.code == "fleet-taken") {
                    lease.release().await;
                }
                self.parts.spec.tick.0.saturating_sub(began.elapsed())
            } else {
                STANDBY
            };
            let clock = Arc::clone(&self.parts.clock);
            let wait = async {
                match held {
                    true => clock.sleep(wait).await,
                    false => tokio::time::sleep(wait).await,
                }
            };
            let gone = async {
                match held {
                    true => lost(&*lease).await,
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                () = wait => {}
                () = gone => {}
                () = stop.stopped() => {}
            }
        }
    }

    /// One look, and all that follows from it. Whoever calls it holds the lease.
    ///
    /// # Errors
    /// A catalogue that does not answer; `clock` where the clock was never set; `fleet-taken` where another controller wrote the state meanwhile. It is repeated
    /// from what was written.
    pub async fn tick(&mut self) -> Result<()> {
        let began = Instant::now();
        let now = self.parts.clock.now_ms();
        if now < FIRST_MS {
            let text = "this machine's clock is before 2020: nothing is bought or given back until it tells the time";
            return Err(Error::passing("clock", text));
        }
        if !self.loaded {
            let (state, measured) = self.keep.load().await?;
            self.state = state;
            self.remembered.take(measured);
            self.tell_untold().await?;
            // Whoever wrote that something is told to leave, or given back, may have been killed before it was: it is said again at once.
            for known in self.state.pools.iter_mut().flat_map(|it| &mut it.known) {
                known.told_ms = known.told_ms.map(|_| 0);
                known.ended_ms = known.ended_ms.map(|_| 0);
            }
            self.plan = Plan::default();
        }
        // What ends this early leaves the state in memory ahead of the one that is written.
        let first = !std::mem::replace(&mut self.loaded, false);
        let records = Arc::clone(&self.parts.records);
        let changed = self.definitions.read(&*records, &self.keep.collection(""), &self.checks).await?;
        // Before any fleet is told that it was taken: a plan that follows sees what was read then, or later.
        self.parts.lease.tell(&self.definitions.report(now)).await;
        if first || changed {
            let pools = self.definitions.0.values().filter_map(|it| it.pool.as_ref());
            let candidates = pools.flat_map(|it| it.candidates.iter().map(|it| &it.candidate));
            self.wanted = prices::wanted(candidates);
        }
        let nothing = self.definitions.0.is_empty() && self.state.pools.iter().all(PoolState::is_gone);
        let queues = Arc::clone(&self.parts.queues);
        let tick = self.parts.spec.tick.0;
        let silent = &self.remembered.silent_queues;
        let asked = self.queues().into_iter().map(|(key, queue)| {
            let limit = silent.patience(&key, tick);
            (key, (queue, limit))
        });
        let asked = asked.collect();
        let of_cloud = |kind: CloudKind| self.remembered.silent_clouds.patience(&kind, tick);
        let (priced, mut looks, undone) = tokio::join!(
            self.prices.refresh(&self.parts.clouds, &self.wanted, first || changed, of_cloud, now),
            look(&self.parts.clouds, |_| !nothing, of_cloud, &self.parts.deployment),
            ask_queues(&*queues, asked),
        );
        for (kind, it) in &looks {
            self.remembered.silent_clouds.heard(*kind, it.complete());
        }
        for (key, it) in &undone {
            self.remembered.silent_queues.heard(key.clone(), it.is_ok());
        }
        // What a look waited for is no reason to leave others one round.
        let looked = Instant::now();
        if first || changed || priced || self.plan.is_old(&self.definitions, &self.state) {
            self.plan =
                Plan::new(&self.parts.spec, &self.definitions, &self.state, &self.prices, &self.parts.clouds);
        }
        policy::align(&self.plan.fleet, &mut self.state);
        let undone = self.told_by_queues(&undone);
        let looker = Looker {
            deployment: &self.parts.deployment,
            plan: &self.plan,
            state: &self.state,
            workers: &*self.parts.workers,
            heard_ms: self.parts.workers.heard_ms(),
            undone: &undone,
            now,
        };
        let mut view = looker.view(&mut looks, &mut self.remembered);
        self.order_orders(&view, &looks);
        self.told_before(&mut view);
        if view.strangers != self.remembered.strangers {
            if !view.strangers.is_empty() {
                let some: Vec<&str> = view.strangers.iter().take(5).map(String::as_str).collect();
                let count = view.strangers.len();
                warn!(
                    count,
                    some = some.join(", "),
                    "Instances of this deployment are of no fleet of this controller: another one's, or nobody's. `streamverse sweep` removes what is nobody's."
                );
            }
            self.remembered.strangers.clone_from(&view.strangers);
        }
        let (lost, missing) = (self.lost(&view), self.missing(&view));
        let mut tick = act::Tick::new(now, looks, view, undone);
        self.act(&mut tick, looked).await?;
        self.count_vanished(missing);
        self.tell(&tick, lost).await?;
        self.loaded = true;
        self.meters.tick.set(began.elapsed().as_secs_f64());
        Ok(())
    }

    /// The queues of fleets, each asked once.
    fn queues(&self) -> BTreeMap<QueueKey, QueueSpec> {
        let pools = self.definitions.0.values().filter(|it| it.queue && !it.tombstone());
        let queues = pools.filter_map(|it| it.pool.as_ref()?.queue.clone());
        queues.map(|it| (queue_key(&it), it)).collect()
    }

    /// What is not done, by pool; what could not be asked is a trouble of its fleets.
    fn told_by_queues(
        &mut self,
        asked: &BTreeMap<QueueKey, Result<Vec<Progress>, String>>,
    ) -> HashMap<usize, Vec<Progress>> {
        let mut undone = HashMap::new();
        self.troubles.clear();
        let mut first: HashMap<QueueKey, &str> = HashMap::new();
        for (index, (entry, pool)) in self.plan.entries.iter().zip(&self.plan.fleet.pools).enumerate() {
            let Some(queue) = pool.queue.as_ref().filter(|_| entry.queue) else { continue };
            let key = queue_key(queue);
            let of = first.entry(key.clone()).or_insert(&entry.name);
            if *of != entry.name {
                self.troubles.insert(
                    entry.name.clone(),
                    format!("the fleet {of:?} takes from the same queue, and each buys for all that waits: give one of them a group of its own, or its candidates to the other"),
                );
            }
            match asked.get(&key) {
                Some(Ok(partitions)) => {
                    undone.insert(index, partitions.clone());
                }
                Some(Err(error)) => {
                    self.troubles
                        .insert(entry.name.clone(), format!("its queue does not tell what waits: {error}"));
                }
                None => {}
            }
        }
        undone
    }
}

fn queue_key(queue: &QueueSpec) -> QueueKey {
    (queue.event_log.clone(), queue.topic.clone(), queue.group.clone())
}

async fn ask_queues(
    queues: &dyn Queues,
    asked: BTreeMap<QueueKey, (QueueSpec, Duration)>,
) -> BTreeMap<QueueKey, Result<Vec<Progress>, String>> {
    let asks = asked.into_iter().map(|(key, (queue, limit))| async move {
        let answer = match tokio::time::timeout(limit, queues.progress(&queue)).await {
            Ok(answer) => answer.map_err(|error| error.chain()),
            Err(_) => Err(format!("no answer within {} s", limit.as_secs())),
        };
        if let Err(error) = &answer {
            warn!(topic = queue.topic, group = queue.group, error, "A queue does not tell what waits.");
        }
        (key, answer)
    });
    futures::future::join_all(asks).await.into_iter().collect()
}
