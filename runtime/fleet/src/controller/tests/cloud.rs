//! A cloud in memory, with groups or without, that refuses, loses answers, lists late and takes back. Its ledger is the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use streamverse_compute::cloud::*;
use streamverse_model::compute::{CloudKind, GroupName, InstanceName, Lifecycle, Money};
use streamverse_model::platform::Name;

/// How hostile it is, in parts of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    /// It is done, and the answer is lost; or the request is.
    pub(super) lost: u32,
    pub(super) throttle: u32,
    pub(super) blind: u32,
    /// Lists lack what was launched for up to so long, in milliseconds.
    pub(super) late_ms: u64,
}

/// What is lost of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lose {
    Request,
    Answer,
}

#[derive(Clone, Debug)]
pub(super) struct Paid {
    pub(super) id: String,
    pub(super) name: Option<InstanceName>,
    pub(super) group: GroupName,
    pub(super) place: String,
    pub(super) lifecycle: Lifecycle,
    pub(super) from_ms: u64,
    pub(super) listed_ms: u64,
    pub(super) to_ms: Option<u64>,
    pub(super) stopping: bool,
}

/// A group: what it is, its size, and why it is short.
type Held = (GroupSpec, u32, Option<(ErrorClass, String)>);

pub(super) struct Inside {
    pub(super) ledger: Vec<Paid>,
    pub(super) groups: BTreeMap<GroupName, Held>,
    /// Places that give no spot; on a cloud without groups: nothing.
    pub(super) down: BTreeSet<String>,
    /// Places that have none of anything.
    pub(super) empty: BTreeSet<String>,
    /// Places where launches by name are answered so.
    pub(super) answers: BTreeMap<String, (ErrorClass, &'static str)>,
    pub(super) faults: Faults,
    pub(super) notices: Vec<Notice>,
    pub(super) environments: BTreeMap<String, BTreeMap<String, String>>,
    dice: StdRng,
    /// More than so many on demand at a time is a breach.
    pub(super) limit: usize,
    pub(super) breaches: Vec<String>,
    /// After so many calls the caller is killed: at that call, before or after it is done.
    pub(super) fuse: Option<u32>,
    pub(super) calls: BTreeMap<&'static str, u32>,
    /// All that is asked for is lost: before it is done, or its answer.
    pub(super) lose: Option<Lose>,
    /// Fleets whose groups it does not delete.
    pub(super) stuck: BTreeSet<String>,
    /// Calls of this name never return.
    pub(super) hang: Option<&'static str>,
}

pub(super) struct TestCloud {
    kind: CloudKind,
    groups: bool,
    now: Arc<AtomicU64>,
    inside: Mutex<Inside>,
    pub(super) blown: tokio::sync::Notify,
}

pub(super) const COLD_MS: u64 = 60_000;

fn error<T>(class: ErrorClass) -> Result<T> {
    Err(CloudError::new(class, "the test said so").after(Duration::from_secs(1)))
}

impl TestCloud {
    pub(super) fn new(kind: CloudKind, now: Arc<AtomicU64>, seed: u64) -> TestCloud {
        let inside = Inside {
            ledger: Vec::new(),
            groups: BTreeMap::new(),
            down: BTreeSet::new(),
            empty: BTreeSet::new(),
            answers: BTreeMap::new(),
            faults: Faults::default(),
            notices: Vec::new(),
            environments: BTreeMap::new(),
            dice: StdRng::seed_from_u64(seed),
            limit: usize::MAX,
            breaches: Vec::new(),
            fuse: None,
            calls: BTreeMap::new(),
            lose: None,
            stuck: BTreeSet::new(),
            hang: None,
        };
        let groups = kind != CloudKind::Runpod;
        TestCloud { kind, groups, now, inside: Mutex::new(inside), blown: tokio::sync::Notify::new() }
    }

    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// The market moves: places that are down take their spot back, groups that are short try again.
    pub(super) fn advance(&self) {
        let now = self.now();
        let mut inside = self.inside();
        let down = inside.down.clone();
        for one in inside.ledger.iter_mut().filter(|it| it.to_ms.is_none()) {
            if one.lifecycle == Lifecycle::Spot && down.contains(&one.place) {
                one.to_ms = Some(now);
            }
        }
        inside.fill(now);
    }

    pub(super) fn running(&self) -> Vec<Paid> {
        self.inside().ledger.iter().filter(|it| it.to_ms.is_none()).cloned().collect()
    }

    pub(super) fn calls(&self, what: &str) -> u32 {
        self.inside().calls.get(what).copied().unwrap_or(0)
    }

    /// Does something that changes what there is, as hostile as it is set.
    async fn change<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(&mut Inside, u64) -> Result<T>,
    ) -> Result<T> {
        let (killed, done) = {
            let mut inside = self.inside();
            *inside.calls.entry(what).or_default() += 1;
            let faults = inside.faults;
            let mut chance = |thousandths: u32| inside.dice.random_range(0..1000) < thousandths;
            let (lost, throttled, half) = (chance(faults.lost), chance(faults.throttle), chance(500));
            let (lost, half) = match inside.lose {
                Some(what) => (true, what == Lose::Request),
                None => (lost, half),
            };
            let killed = inside.burn();
            if inside.hang == Some(what) {
                (true, None)
            } else if throttled && !killed {
                return error(ErrorClass::Throttle);
            } else if (lost || killed) && half {
                (killed, None)
            } else {
                let done = work(&mut inside, self.now());
                (killed, Some(if lost { error(ErrorClass::Unknown) } else { done }))
            }
        };
        if killed {
            self.blown.notify_one();
            std::future::pending::<()>().await;
        }
        done.unwrap_or_else(|| error(ErrorClass::Unknown))
    }

    async fn read<T>(&self, what: &'static str, work: impl FnOnce(&Inside) -> T) -> Result<T> {
        let done = {
            let mut inside = self.inside();
            *inside.calls.entry(what).or_default() += 1;
            let blind = inside.faults.blind;
            let blind = inside.dice.random_range(0..1000) < blind;
            let killed = inside.burn() || inside.hang == Some(what);
            match (killed, blind) {
                (true, _) => None,
                (_, true) => Some(error(ErrorClass::Transient)),
                _ => Some(Ok(work(&inside))),
            }
        };
        match done {
            Some(done) => done,
            None => {
                self.blown.notify_one();
                std::future::pending().await
            }
        }
    }
}

impl Inside {
    fn burn(&mut self) -> bool {
        match &mut self.fuse {
            Some(0) => {
                self.fuse = None;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn alive(&self, group: &GroupName) -> u32 {
        self.ledger.iter().filter(|it| it.to_ms.is_none() && it.group == *group).count() as u32
    }

    fn has(&self, candidate: &Candidate, lifecycle: Lifecycle) -> bool {
        let spot = lifecycle == Lifecycle::Spot && self.down.contains(&candidate.region);
        !spot && !self.empty.contains(&candidate.region)
    }

    fn start(&mut self, spec: &GroupSpec, name: Option<InstanceName>, now: u64) -> Instance {
        let late = match self.faults.late_ms {
            0 => 0,
            most => self.dice.random_range(0..=most),
        };
        let paid = Paid {
            id: format!("i-{:06}", self.ledger.len()),
            name,
            group: spec.name.clone(),
            place: spec.candidate.region.clone(),
            lifecycle: spec.lifecycle,
            from_ms: now,
            listed_ms: now + late,
            to_ms: None,
            stopping: false,
        };
        let listed = instance(&paid, now);
        self.ledger.push(paid);
        let on_demand = |it: &&Paid| it.to_ms.is_none() && it.lifecycle == Lifecycle::OnDemand;
        let on_demand = self.ledger.iter().filter(on_demand).count();
        if on_demand > self.limit {
            self.breaches.push(format!("{on_demand} on demand at {now}"));
        }
        listed
    }

    /// Groups are filled as far as there is anything.
    fn fill(&mut self, now: u64) {
        let names: Vec<GroupName> = self.groups.keys().cloned().collect();
        for name in names {
            let Some((spec, size, _)) = self.groups.get(&name).cloned() else { continue };
            let mut refused = None;
            while self.alive(&name) < size {
                if !self.has(&spec.candidate, spec.lifecycle) {
                    refused = Some((ErrorClass::Capacity, "there is none".to_owned()));
                    break;
                }
                self.start(&spec, None, now);
            }
            if let Some(group) = self.groups.get_mut(&name) {
                group.2 = refused;
            }
        }
    }
}

fn instance(paid: &Paid, now: u64) -> Instance {
    let phase = match () {
        () if paid.stopping => Phase::Stopping,
        () if now < paid.from_ms + COLD_MS => Phase::Starting,
        () => Phase::Running,
    };
    Instance {
        id: paid.id.clone(),
        group: paid.group.clone(),
        name: paid.name.clone(),
        lifecycle: paid.lifecycle,
        phase,
        zone: Some(paid.place.clone()),
        hourly: None,
        launched_ms: Some(paid.from_ms),
    }
}

#[async_trait]
impl Cloud for TestCloud {
    fn kind(&self) -> CloudKind {
        self.kind
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { groups: self.groups, spot: self.groups, notice: None }
    }

    async fn offers(&self, query: &OfferQuery) -> Result<Vec<Offer>> {
        let groups = self.groups;
        let offers = |candidate: &Candidate| {
            let offer = |lifecycle, cents: u64| Offer {
                candidate: candidate.clone(),
                lifecycle,
                hourly: Money::micros(cents * 10_000),
                stock: Stock::Unknown,
            };
            let spot = groups.then(|| offer(Lifecycle::Spot, 33));
            spot.into_iter().chain([offer(Lifecycle::OnDemand, 100)]).collect::<Vec<_>>()
        };
        self.read("offers", |_| query.candidates.iter().flat_map(offers).collect()).await
    }

    async fn quotas(&self) -> Result<Vec<Quota>> {
        Ok(Vec::new())
    }

    async fn groups(&self, deployment: &Name) -> Result<Vec<Group>> {
        self.read("groups", |inside| {
            let ours = inside.groups.iter().filter(|(name, _)| name.deployment == *deployment);
            let group = |(name, (_, size, refused)): (&GroupName, &(GroupSpec, u32, _))| Group {
                name: name.clone(),
                size: *size,
                refused: Option::clone(refused),
            };
            ours.map(group).collect()
        })
        .await
    }

    async fn ensure_group(&self, spec: &GroupSpec) -> Result<()> {
        self.change("ensure", |inside, _| {
            let group = inside.groups.entry(spec.name.clone()).or_insert_with(|| (spec.clone(), 0, None));
            group.0 = spec.clone();
            Ok(())
        })
        .await
    }

    async fn resize(&self, group: &GroupName, size: u32) -> Result<()> {
        self.change("resize", |inside, now| {
            let alive = inside.alive(group);
            let Some(found) = inside.groups.get_mut(group) else { return error(ErrorClass::Permanent) };
            if size < alive {
                return error(ErrorClass::Permanent);
            }
            (found.1, found.2) = (size, None);
            inside.fill(now);
            Ok(())
        })
        .await
    }

    async fn delete_group(&self, group: &GroupName) -> Result<()> {
        self.change("delete", |inside, _| {
            if inside.alive(group) > 0 || inside.stuck.contains(group.pool.as_str()) {
                return error(ErrorClass::Permanent);
            }
            inside.groups.remove(group);
            Ok(())
        })
        .await
    }

    async fn launch(&self, spec: &GroupSpec, name: &InstanceName) -> Result<Instance> {
        assert!(!self.groups, "launched by name on a cloud with groups");
        self.change("launch", |inside, now| {
            let there = inside.ledger.iter().find(|it| it.to_ms.is_none() && it.name.as_ref() == Some(name));
            if let Some(there) = there {
                return Ok(instance(there, now));
            }
            if let Some((class, text)) = inside.answers.get(&spec.candidate.region) {
                return Err(CloudError::new(*class, *text));
            }
            if !inside.has(&spec.candidate, spec.lifecycle) {
                return error(ErrorClass::Capacity);
            }
            inside.environments.insert(name.to_string(), spec.environment.clone());
            Ok(inside.start(spec, Some(name.clone()), now))
        })
        .await
    }

    async fn instances(&self, deployment: &Name) -> Result<Vec<Instance>> {
        let now = self.now();
        self.read("instances", |inside| {
            let there = |it: &&Paid| it.to_ms.is_none() && it.listed_ms <= now;
            let there = inside.ledger.iter().filter(there);
            there.filter(|it| it.group.deployment == *deployment).map(|it| instance(it, now)).collect()
        })
        .await
    }

    async fn terminate(&self, instance: &Instance) -> Result<()> {
        self.change("terminate", |inside, now| {
            let there = |it: &&mut Paid| it.id == instance.id && it.to_ms.is_none();
            if let Some(one) = inside.ledger.iter_mut().find(there) {
                one.to_ms = Some(now);
                if let Some(group) = inside.groups.get_mut(&instance.group) {
                    group.1 = group.1.saturating_sub(1);
                }
            }
            Ok(())
        })
        .await
    }

    async fn notices(&self, _: &Name) -> Result<Vec<Notice>> {
        self.read("notices", |inside| inside.notices.clone()).await
    }
}
