//! A cloud that refuses, forgets, answers late or not at all, and lists late. Its ledger is the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use streamverse_model::compute::{
    CloudKind, GpuClass, Lifecycle, Money, NightSpec, PolicySpec, QueueSpec, RangeSpec, ScheduleSpec, Tenancy,
};

use crate::cloud::{Candidate, ErrorClass};
use crate::policy::{
    Action, Decision, Fleet, FleetState, Outcome, Pool, PoolSeen, QueueSeen, Seen, Source, Worker,
    WorkerPhase, decide,
};
use crate::simulate::Dice;

pub(super) const TICK_MS: u64 = 15_000;
/// A Sunday at noon, in the middle of a month.
pub(super) const START_MS: u64 = 1_794_744_000_000;

/// What a zone is called.
fn zone_key(zone: usize) -> String {
    format!("zone-{zone}")
}

/// A pool on AWS with so many zones, spot at 33 cents and on demand at a dollar.
pub(super) fn pool(name: &str, zones: usize, min: u32, max: u32) -> Pool {
    let source = |zone: usize| Source {
        candidate: Candidate {
            key: zone_key(zone),
            cloud: CloudKind::Aws,
            region: format!("region-{}", zone / 3),
            zone: None,
            shape: "g6.xlarge".to_owned(),
            gpus: 1,
            tenancy: Tenancy::Secure,
        },
        spot: Some(Money::micros(330_000)),
        on_demand: Some(Money::micros(1_000_000)),
    };
    let range = RangeSpec { min, max, price_ceiling: None, monthly_budget: None };
    let schedule = ScheduleSpec::default();
    Pool::new(name, (0..zones).map(source).collect(), range, PolicySpec::default(), &schedule, None).unwrap()
}

pub(super) fn queue() -> QueueSpec {
    serde_json::from_value(serde_json::json!({
        "topic": "jobs", "group": "transcoder", "event_log": "kafka://kafka:9092", "scale_out_above": 100,
        "scale_in_below": 10, "scale_in_after": "20m", "target_p95": "30m", "jobs_per_worker": 1, "assumed_job_time": "60s",
    }))
    .unwrap()
}

pub(super) fn at_night(pool: &mut Pool) {
    let night = NightSpec { from: "20:00".into(), to: "06:00".into(), time_zone: "UTC".into() };
    pool.night = Some(night.read().unwrap());
}

#[derive(Clone, Debug)]
pub(super) struct Paid {
    pub(super) id: Arc<str>,
    pub(super) zone: usize,
    pub(super) lifecycle: Lifecycle,
    pub(super) from_ms: u64,
    listed_ms: u64,
    ready_ms: u64,
    pub(super) to_ms: Option<u64>,
    busy: bool,
    idle_since: u64,
    doomed_ms: Option<u64>,
    at_risk: bool,
    /// Whether a list ever had it.
    seen: bool,
}

/// How hostile it is, in parts of a thousand, and what it has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) zone_flips: u64,
    pub(super) quota: u64,
    pub(super) throttle: u64,
    pub(super) lost_answers: u64,
    pub(super) blind: u64,
    pub(super) late_lists: u64,
    pub(super) dropped_decisions: u64,
    pub(super) forgotten: u64,
}

/// The cloud, for one pool each.
pub(super) struct Hostile {
    pub(super) fleet: Fleet,
    pub(super) state: FleetState,
    pub(super) dice: Dice,
    pub(super) faults: Faults,
    pub(super) now: u64,
    /// Which zones have capacity.
    pub(super) up: Vec<bool>,
    /// By pool.
    pub(super) ledger: Vec<Vec<Paid>>,
    pub(super) waiting: Vec<u64>,
    /// Jobs that others do side by side.
    pub(super) others: u32,
    /// The share of workers that have work, in parts of a thousand.
    pub(super) busy: u64,
    outcomes: Vec<Vec<Outcome>>,
    next: u64,
    pub(super) said: Vec<(u64, Decision)>,
    /// The pools of the ledger: the list may lose some.
    names: Vec<String>,
    /// Numbers of launches that were asked for, by pool.
    numbers: BTreeSet<(String, u64)>,
    /// When each was told to leave, and until when.
    pub(super) drains: BTreeMap<Arc<str>, (u64, u64)>,
    /// When a quota was last reached.
    pub(super) quota_ms: u64,
    /// When the answer to a launch was last lost, or a launch dropped.
    pub(super) lost_ms: u64,
    /// The lines of what was deleted.
    deleted: BTreeSet<String>,
}

impl Hostile {
    pub(super) fn new(pools: Vec<Pool>, limit: u32, seed: u64, faults: Faults) -> Hostile {
        let count = pools.len();
        let names = pools.iter().map(|it| it.name.clone()).collect();
        let zones = pools.iter().map(|it| it.candidates.len()).max().unwrap_or(0);
        Hostile {
            fleet: Fleet {
                pools,
                limits: vec![(CloudKind::Aws, GpuClass::Gpu, limit)],
                monthly_budget: None,
            },
            state: FleetState::default(),
            dice: Dice::new(seed),
            faults,
            now: START_MS,
            up: vec![true; zones],
            ledger: vec![Vec::new(); count],
            waiting: vec![0; count],
            others: 0,
            busy: 1000,
            outcomes: vec![Vec::new(); count],
            next: 0,
            said: Vec::new(),
            names,
            numbers: BTreeSet::new(),
            drains: BTreeMap::new(),
            quota_ms: 0,
            lost_ms: 0,
            deleted: BTreeSet::new(),
        }
    }

    fn chance(&mut self, thousandths: u64) -> bool {
        self.dice.below(1000) < thousandths
    }

    /// A tick: the market moves, the controller looks and acts.
    pub(super) fn tick(&mut self) {
        self.now += TICK_MS;
        for zone in 0..self.up.len() {
            if self.chance(self.faults.zone_flips) {
                self.up[zone] = !self.up[zone];
            }
        }
        let now = self.now;
        for pool in 0..self.ledger.len() {
            for index in 0..self.ledger[pool].len() {
                let busy = self.chance(self.busy);
                let one = &mut self.ledger[pool][index];
                if one.to_ms.is_none() && one.lifecycle == Lifecycle::Spot && !self.up[one.zone] {
                    one.to_ms = Some(now);
                }
                if one.ready_ms <= now && busy != one.busy {
                    (one.busy, one.idle_since) = (busy, now);
                }
            }
        }
        for _ in 0..8 {
            if !self.round() {
                break;
            }
        }
    }

    fn look(&mut self) -> Seen {
        let mut seen = Seen::default();
        for place in 0..self.fleet.pools.len() {
            let pool = self.slot(place);
            let complete = !self.chance(self.faults.blind);
            let mut workers = Vec::new();
            let keys: Vec<String> =
                self.fleet.pools[place].candidates.iter().map(|it| it.candidate.key.clone()).collect();
            for index in 0..self.ledger[pool].len() {
                let forgotten = self.chance(self.faults.forgotten);
                let one = &mut self.ledger[pool][index];
                if one.to_ms.is_some() || one.listed_ms > self.now || forgotten {
                    continue;
                }
                one.seen |= complete;
                let ready = one.ready_ms <= self.now;
                workers.push(Worker {
                    id: one.id.clone(),
                    candidate: keys.iter().position(|it| *it == zone_key(one.zone)).unwrap_or(usize::MAX),
                    lifecycle: one.lifecycle,
                    phase: if ready { WorkerPhase::Ready } else { WorkerPhase::Starting },
                    idle_ms: (ready && !one.busy).then(|| self.now - one.idle_since.max(one.ready_ms)),
                    doomed_ms: one.doomed_ms,
                    at_risk: one.at_risk,
                    hourly: None,
                });
            }
            let queue = self.fleet.pools[place].queue.is_some();
            let queue = queue.then(|| QueueSeen {
                waiting: self.waiting[pool],
                job_ms: Some(60_000),
                others: self.others,
            });
            seen.pools.push(PoolSeen {
                complete,
                workers,
                outcomes: std::mem::take(&mut self.outcomes[pool]),
                queue,
                groups_deleted: self.fleet.pools[place].tombstone && self.deleted(place),
            });
        }
        seen
    }

    /// Which pool of the ledger one of the list is.
    fn slot(&self, place: usize) -> usize {
        self.names.iter().position(|it| *it == self.fleet.pools[place].name).unwrap()
    }

    /// Whether the groups of a pool were deleted since it was fenced.
    fn deleted(&self, place: usize) -> bool {
        let line =
            format!("{}: delete its groups: the pool is being destroyed", self.fleet.pools[place].name);
        self.deleted.contains(&line)
    }

    /// Looks, decides and acts; whether something was refused.
    fn round(&mut self) -> bool {
        let seen = self.look();
        let (state, decisions) = decide(&self.fleet, self.state.clone(), &seen, self.now);
        let again = decide(&self.fleet, self.state.clone(), &seen, self.now);
        assert_eq!((&state, &decisions), (&again.0, &again.1), "the same arguments gave another answer");
        // It is written before anything is done, and read by the next controller.
        self.state = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        assert_eq!(self.state, state);
        for decision in &decisions {
            if self.chance(self.faults.dropped_decisions) {
                self.lost_ms = self.now;
                return false; // killed in the middle
            }
            self.act(decision);
        }
        self.said.extend(decisions.into_iter().map(|it| (self.now, it)));
        self.outcomes.iter().flatten().any(|it| it.error == Some(ErrorClass::Capacity))
    }

    fn act(&mut self, decision: &Decision) {
        assert!(!decision.line(&self.fleet).contains('?'), "{}", decision.line(&self.fleet));
        let (place, pool) = (decision.pool, self.slot(decision.pool));
        match &decision.action {
            Action::Launch { number, candidate, lifecycle } => {
                let new = self.numbers.insert((self.names[pool].clone(), *number));
                assert!(new, "number {number} was given twice in pool {}", self.names[pool]);
                assert!(!self.fleet.pools[place].tombstone, "launched after the fence");
                let zone = &self.fleet.pools[place].candidates[*candidate].candidate.key;
                let zone: usize = zone.strip_prefix("zone-").unwrap().parse().unwrap();
                let error = if self.chance(self.faults.throttle) {
                    Some(ErrorClass::Throttle)
                } else if self.chance(self.faults.quota) {
                    self.quota_ms = self.now;
                    Some(ErrorClass::Quota)
                } else if *lifecycle == Lifecycle::Spot && !self.up[zone] {
                    Some(ErrorClass::Capacity)
                } else {
                    None
                };
                if error.is_none() {
                    self.next += 1;
                    let late = if self.chance(self.faults.late_lists) { 3 * TICK_MS } else { 0 };
                    self.ledger[pool].push(Paid {
                        id: format!("i-{:06}", self.next).into(),
                        zone,
                        lifecycle: *lifecycle,
                        from_ms: self.now,
                        listed_ms: self.now + late,
                        ready_ms: self.now + 300_000,
                        to_ms: None,
                        busy: false,
                        idle_since: self.now,
                        doomed_ms: None,
                        // Some are said to be, for as long as they are there.
                        at_risk: self.next.is_multiple_of(5),
                        seen: false,
                    });
                }
                let lost = self.chance(self.faults.lost_answers);
                if lost {
                    self.lost_ms = self.now;
                }
                let retry_after = (error == Some(ErrorClass::Throttle)).then(|| Duration::from_secs(20));
                let error = if lost { Some(ErrorClass::Unknown) } else { error };
                self.outcomes[pool].push(Outcome { number: *number, error, retry_after });
            }
            Action::Drain { id, deadline_ms } => {
                self.drains.entry(id.clone()).or_insert((self.now, *deadline_ms));
            }
            Action::DeleteGroups => {
                assert_eq!(
                    self.all_running(pool),
                    0,
                    "groups of {} are deleted with instances",
                    self.names[pool]
                );
                self.deleted.insert(decision.line(&self.fleet));
            }
            Action::Terminate { id } => {
                let now = self.now;
                let busy = |it: &&Paid| it.id == *id && it.to_ms.is_none() && it.busy && it.ready_ms <= now;
                if self.ledger[pool].iter().any(|it| busy(&it)) {
                    let (_, deadline) = self.drains[id];
                    assert!(deadline <= now, "{id} works and had until {deadline}, it is {now}");
                }
                if let Some(one) = self.ledger[pool].iter_mut().find(|it| it.id == *id && it.to_ms.is_none())
                {
                    one.to_ms = Some(now);
                }
            }
        }
    }

    pub(super) fn running(&self, pool: usize, lifecycle: Lifecycle) -> usize {
        self.ledger[pool].iter().filter(|it| it.to_ms.is_none() && it.lifecycle == lifecycle).count()
    }

    pub(super) fn all_running(&self, pool: usize) -> usize {
        self.running(pool, Lifecycle::Spot) + self.running(pool, Lifecycle::OnDemand)
    }

    pub(super) fn spent(&self, pool: usize) -> Money {
        let cost = |it: &Paid| {
            let hourly = if it.lifecycle == Lifecycle::Spot { 330_000 } else { 1_000_000 };
            Money::micros(hourly).per_hour_for_ms(it.to_ms.unwrap_or(self.now) - it.from_ms)
        };
        self.ledger[pool].iter().map(cost).sum()
    }

    /// Those of the last quarter of an hour that were taken before a list had them.
    pub(super) fn taken_unseen(&self, pool: usize) -> usize {
        let taken = |it: &&Paid| it.to_ms.is_some() && !it.seen && self.now - it.from_ms < 900_000;
        self.ledger[pool].iter().filter(taken).count()
    }

    /// Those who were told to leave and are still there long after their time: what was to be done may have been dropped, or the
    /// list been late, and is said again each minute.
    pub(super) fn overstayed(&self) -> Vec<Arc<str>> {
        let late = |it: &&Paid| {
            let until = self.drains.get(&it.id).map(|(_, deadline)| deadline + 300_000);
            until.is_some_and(|until| it.to_ms.unwrap_or(self.now) > until)
        };
        self.ledger.iter().flatten().filter(late).map(|it| it.id.clone()).collect()
    }

    /// How many used up all of their time, because they worked until its end.
    pub(super) fn worked_until_told(&self) -> usize {
        let all = |it: &&Paid| self.drains.get(&it.id).is_some_and(|(_, until)| it.to_ms >= Some(*until));
        self.ledger.iter().flatten().filter(all).count()
    }

    /// The most launches in any hour.
    pub(super) fn most_launches(&self, pool: usize) -> usize {
        let times: Vec<u64> = self.ledger[pool].iter().map(|it| it.from_ms).collect();
        let in_hour = |end: usize| times[..=end].iter().filter(|it| times[end] - **it < 3_600_000).count();
        (0..times.len()).map(in_hour).max().unwrap_or(0)
    }
}
