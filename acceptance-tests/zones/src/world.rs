//! The clouds: zones that give and take as the market says, instances that start, are announced and go, on a virtual clock.

use std::collections::BTreeMap;
use std::time::Instant;

use streamverse_model::compute::{CloudKind, GpuClass, GroupName, Lifecycle, Money};
use streamverse_stand_in::{Ledger, Minute, Steering};

use crate::config::{Config, ZoneConfig};
use crate::faults::{Faults, What};
use crate::ledger::{Entry, Event};

/// A launch that nobody asked for now: the group keeps its size.
pub(crate) const KEPT: &str = "kept";

/// An instance.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) id: String,
    pub(crate) group: String,
    pub(crate) cloud: CloudKind,
    pub(crate) zone: usize,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) class: GpuClass,
    pub(crate) hourly: Money,
    pub(crate) launched_ms: u64,
    /// Lists show it from then on.
    pub(crate) listed_ms: u64,
    pub(crate) ready_ms: u64,
    pub(crate) ready: bool,
    /// When it is taken away, once that is announced.
    pub(crate) doomed_ms: Option<u64>,
    /// When it went.
    pub(crate) gone_ms: Option<u64>,
}

/// A group.
#[derive(Clone, Debug)]
pub(crate) struct Herd {
    pub(crate) cloud: CloudKind,
    pub(crate) deployment: String,
    pub(crate) spec: HerdSpec,
    pub(crate) size: u32,
    pub(crate) refused: Option<Refusal>,
    pub(crate) listed_ms: u64,
}

/// What a group's instances are.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HerdSpec {
    #[serde(default)]
    pub(crate) zone: Option<String>,
    pub(crate) region: String,
    pub(crate) shape: String,
    pub(crate) gpus: u32,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) max: u32,
    #[serde(default)]
    pub(crate) max_hourly: Option<Money>,
    pub(crate) image: String,
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) options: BTreeMap<String, String>,
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refusal {
    /// There is none.
    Capacity,
    /// The account may not have more.
    Quota,
    /// Not so fast.
    Throttle,
    /// The account has no balance.
    Balance,
    /// The key may not do it.
    Forbidden,
    /// A server fails.
    Internal,
    /// It is not there.
    Missing,
    /// The request is wrong.
    Invalid,
    /// It cannot be done as things are.
    Conflict,
}

/// The clock: it moves when it is told to, or as fast as a multiple of real time.
enum Pace {
    Told,
    Runs { from: Instant, since_ms: u64, factor: f64 },
}

/// Everything.
pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) now: u64,
    pace: Pace,
    pub(crate) machines: Vec<Machine>,
    pub(crate) groups: BTreeMap<String, Herd>,
    /// What a test says that zones give, whatever the market says.
    pub(crate) said: BTreeMap<usize, u32>,
    pub(crate) steering: Steering<Refusal>,
    pub(crate) faults: Faults,
    ledger: Ledger<Entry>,
    made: u64,
    minutes: BTreeMap<CloudKind, Minute>,
    /// Until when somebody waits for the clock.
    pub(crate) sleepers: Vec<u64>,
}

impl World {
    pub(crate) fn new(config: Config, ledger: Ledger<Entry>) -> World {
        World {
            now: config.epoch_ms,
            config,
            pace: Pace::Told,
            machines: Vec::new(),
            groups: BTreeMap::new(),
            said: BTreeMap::new(),
            steering: Steering::default(),
            faults: Faults::default(),
            ledger,
            made: 0,
            minutes: BTreeMap::new(),
            sleepers: Vec::new(),
        }
    }

    /// From now on the clock runs so many times as fast as a real one; it stands still at zero.
    pub(crate) fn run(&mut self, factor: f64) {
        self.catch_up();
        let runs = factor > 0.0;
        let pace = Pace::Runs { from: Instant::now(), since_ms: self.now, factor };
        self.pace = if runs { pace } else { Pace::Told };
    }

    /// Where the clock runs by itself: brings the world up to it.
    pub(crate) fn catch_up(&mut self) {
        if let Pace::Runs { from, since_ms, factor } = self.pace {
            let passed = from.elapsed().as_secs_f64() * 1000.0 * factor;
            self.advance_to(since_ms.saturating_add(passed as u64));
        }
    }

    /// Time passes, one event after the other.
    pub(crate) fn advance_to(&mut self, target: u64) {
        while let Some(next) = self.next_event().filter(|it| *it < target) {
            self.now = next;
            self.settle();
        }
        self.now = self.now.max(target);
        self.settle();
        let (now, told) = (self.now, self.config.settings.gone_late_ms);
        self.machines.retain(|it| it.gone_ms.is_none_or(|gone| gone.saturating_add(told) > now));
    }

    fn next_event(&self) -> Option<u64> {
        let ahead = |it: &u64| *it > self.now;
        let own = self
            .machines
            .iter()
            .filter(|it| it.gone_ms.is_none())
            .flat_map(|it| [Some(it.ready_ms).filter(|_| !it.ready), it.doomed_ms].into_iter().flatten());
        let boundaries = self.config.zones.iter().flat_map(|zone| {
            let notice = self.config.settings.notice_ms(zone.cloud);
            [self.boundary(self.now), self.boundary(self.now.saturating_add(notice)).saturating_sub(notice)]
        });
        own.chain(boundaries).filter(ahead).min()
    }

    /// The first tick of the market after an instant.
    fn boundary(&self, at: u64) -> u64 {
        let (gap, epoch) = (self.config.gap_ms.max(1), self.config.epoch_ms);
        epoch + (at.saturating_sub(epoch) / gap + 1) * gap
    }

    /// How many spot instances a zone gives at an instant.
    pub(crate) fn capacity(&self, zone: usize, at: u64) -> u32 {
        if let Some(said) = self.said.get(&zone) {
            return *said;
        }
        let Some(of) = self.config.zones.get(zone) else { return 0 };
        let tick = at.saturating_sub(self.config.epoch_ms) / self.config.gap_ms.max(1);
        let tick = usize::try_from(tick).unwrap_or(usize::MAX);
        of.available.get(tick).or(of.available.last()).copied().unwrap_or(0)
    }

    /// What is due now happens.
    fn settle(&mut self) {
        let now = self.now;
        for index in 0..self.machines.len() {
            let Some(one) = self.machines.get_mut(index) else { return };
            if one.gone_ms.is_none()
                && !one.ready
                && one.ready_ms <= now
                && one.doomed_ms.is_none_or(|it| it > one.ready_ms)
            {
                one.ready = true;
                let at = one.ready_ms;
                self.note(index, at, Event::Ready, String::new());
            }
        }
        self.take();
        for zone in 0..self.config.zones.len() {
            self.doom(zone);
        }
        self.take();
        if self.config.settings.keeps {
            let names: Vec<String> = self.groups.keys().cloned().collect();
            names.iter().for_each(|it| _ = self.fill(it, KEPT));
        }
    }

    /// Takes away what was announced for now.
    fn take(&mut self) {
        for index in 0..self.machines.len() {
            let due = self.machines.get(index).filter(|it| it.gone_ms.is_none()).and_then(|it| it.doomed_ms);
            if let Some(at) = due.filter(|it| *it <= self.now) {
                self.end(index, at, Event::Preempt);
            }
        }
    }

    /// Announces what a zone will take away.
    fn doom(&mut self, zone: usize) {
        let Some(cloud) = self.config.zones.get(zone).map(|it| it.cloud) else { return };
        let alive = |it: &Machine| {
            it.zone == zone
                && it.lifecycle == Lifecycle::Spot
                && it.gone_ms.is_none()
                && it.doomed_ms.is_none()
        };
        if !self.machines.iter().any(&alive) {
            return;
        }
        let notice = self.config.settings.notice_ms(cloud);
        // What a test says is not known before: the notice begins when it is said.
        let late = if self.said.contains_key(&zone) { notice } else { 0 };
        let mut at = self.now;
        loop {
            let allowed = usize::try_from(self.capacity(zone, at)).unwrap_or(usize::MAX);
            let mut stay = 0;
            for index in 0..self.machines.len() {
                let Some(one) = self.machines.get_mut(index).filter(|it| alive(it)) else { continue };
                stay += 1;
                if stay > allowed {
                    let gone = at + late;
                    one.doomed_ms = Some(gone);
                    self.note(index, self.now, Event::Notice, gone.to_string());
                }
            }
            at = self.boundary(at);
            if at > self.now.saturating_add(notice) || self.said.contains_key(&zone) {
                return;
            }
        }
    }

    /// A line of the ledger about an instance.
    pub(crate) fn note(&mut self, index: usize, at_ms: u64, event: Event, why: String) {
        let Some(one) = self.machines.get(index) else { return };
        let zone = self.config.zones.get(one.zone).map(|it| it.name.clone()).unwrap_or_default();
        self.ledger.write(&Entry {
            at_ms,
            event,
            id: one.id.clone(),
            group: one.group.clone(),
            zone,
            cloud: one.cloud,
            class: one.class,
            lifecycle: one.lifecycle,
            hourly: one.hourly,
            why,
        });
    }

    /// A line about a group.
    pub(crate) fn note_group(&mut self, name: &str, event: Event, why: String) {
        let Some(herd) = self.groups.get(name) else { return };
        let entry = Entry {
            at_ms: self.now,
            event,
            id: String::new(),
            group: name.to_owned(),
            zone: herd.spec.zone.clone().unwrap_or_default(),
            cloud: herd.cloud,
            class: class_of(herd.spec.gpus),
            lifecycle: herd.spec.lifecycle,
            hourly: Money::ZERO,
            why,
        };
        self.ledger.write(&entry);
    }

    /// An instance ends.
    pub(crate) fn end(&mut self, index: usize, at_ms: u64, event: Event) {
        let Some(one) = self.machines.get_mut(index).filter(|it| it.gone_ms.is_none()) else { return };
        one.gone_ms = Some(at_ms);
        let group = one.group.clone();
        self.note(index, at_ms, event, String::new());
        let shrinks = event == Event::Terminate || !self.config.settings.keeps;
        if let Some(herd) = self.groups.get_mut(&group).filter(|_| shrinks) {
            herd.size = herd.size.saturating_sub(1);
        }
    }

    /// How many of a group run.
    pub(crate) fn held(&self, group: &str) -> u32 {
        count(self.machines.iter().filter(|it| it.gone_ms.is_none() && it.group == group))
    }

    /// Brings a group to its size; how many were launched, and why no more were. `why` is for the ledger.
    pub(crate) fn fill(&mut self, name: &str, why: &str) -> (u32, Option<Refusal>) {
        let mut made = 0;
        let refused = loop {
            let Some(herd) = self.groups.get(name).cloned() else { break Some(Refusal::Missing) };
            if self.held(name) >= herd.size {
                break None;
            }
            match self.place(&herd) {
                Err(refusal) => break Some(refusal),
                Ok(zone) => self.launch(name, &herd, zone, why),
            }
            made += 1;
        };
        if let Some(herd) = self.groups.get_mut(name) {
            herd.refused = refused;
        }
        (made, refused)
    }

    /// The zone in which a group gets its next one.
    fn place(&mut self, herd: &Herd) -> Result<usize, Refusal> {
        if self.config.settings.no_balance {
            return Err(Refusal::Balance);
        }
        if self.faults.refuses() {
            return Err(Refusal::Capacity);
        }
        let region = &herd.spec.region;
        for quota in &self.config.quotas {
            let counts = |it: &&Machine| {
                let zone = self.config.zones.get(it.zone);
                let there = quota.region.is_empty() || zone.is_some_and(|it| it.region == quota.region);
                it.gone_ms.is_none() && it.cloud == quota.cloud && it.lifecycle == quota.lifecycle && there
            };
            let asked = quota.region.is_empty() || quota.region == *region;
            let its = quota.cloud == herd.cloud && quota.lifecycle == herd.spec.lifecycle && asked;
            if its && count(self.machines.iter().filter(counts)) >= quota.limit {
                return Err(Refusal::Quota);
            }
        }
        let found = (0..self.config.zones.len()).find(|index| self.gives(herd, *index));
        found.ok_or(Refusal::Capacity)
    }

    fn gives(&self, herd: &Herd, index: usize) -> bool {
        let Some(zone) = self.config.zones.get(index) else { return false };
        let its = zone.cloud == herd.cloud
            && herd.spec.zone.as_ref().map_or(zone.region == herd.spec.region, |it| *it == zone.name);
        let lifecycle = herd.spec.lifecycle;
        let Some(price) = price(zone, lifecycle).filter(|_| its) else { return false };
        let here = |it: &&Machine| it.gone_ms.is_none() && it.zone == index && it.lifecycle == lifecycle;
        let free = match lifecycle {
            Lifecycle::Spot => self.capacity(index, self.now),
            Lifecycle::OnDemand => zone.on_demand_available.unwrap_or(u32::MAX),
        };
        herd.spec.max_hourly.is_none_or(|most| price <= most)
            && count(self.machines.iter().filter(here)) < free
    }

    fn launch(&mut self, name: &str, herd: &Herd, zone: usize, why: &str) {
        self.made += 1;
        let Some(of) = self.config.zones.get(zone) else { return };
        let late = self.config.settings.list_late_ms.max(self.faults.late_list());
        self.machines.push(Machine {
            id: format!("i-{:08}", self.made),
            group: name.to_owned(),
            cloud: herd.cloud,
            zone,
            lifecycle: herd.spec.lifecycle,
            class: class_of(herd.spec.gpus),
            hourly: price(of, herd.spec.lifecycle).unwrap_or_default(),
            launched_ms: self.now,
            listed_ms: self.now + late,
            ready_ms: self.now + self.config.cold_ms,
            ready: false,
            doomed_ms: None,
            gone_ms: None,
        });
        self.note(self.machines.len() - 1, self.now, Event::Launch, why.to_owned());
    }

    /// The index of an instance that runs.
    pub(crate) fn find(&self, id: &str) -> Option<usize> {
        self.machines.iter().position(|it| it.id == id && it.gone_ms.is_none())
    }

    /// The fault of a call, if one waits for it or the dice have one.
    pub(crate) fn meet(&mut self, method: &str, path: &str) -> Option<What> {
        self.steering.faults.meet(method, path).or_else(|| self.faults.by_chance(path))
    }

    /// Whether a call of a cloud is let in; else how many milliseconds to wait.
    pub(crate) fn admit(&mut self, cloud: CloudKind) -> Result<(), u64> {
        let limit = self.config.settings.per_minute;
        let admitted = self.minutes.entry(cloud).or_default().admit(self.now, limit);
        if limit == 0 || admitted.yes { Ok(()) } else { Err(admitted.wait_ms) }
    }
}

/// What a zone asks per hour.
pub(crate) fn price(zone: &ZoneConfig, lifecycle: Lifecycle) -> Option<Money> {
    match lifecycle {
        Lifecycle::Spot => zone.spot,
        Lifecycle::OnDemand => zone.on_demand,
    }
}

/// The deployment that a group's name carries.
pub(crate) fn deployment_of(group: &str) -> Option<String> {
    GroupName::parse(group).map(|it| it.deployment.to_string())
}

pub(crate) fn class_of(gpus: u32) -> GpuClass {
    if gpus == 0 { GpuClass::Cpu } else { GpuClass::Gpu }
}

fn count<'a>(machines: impl Iterator<Item = &'a Machine>) -> u32 {
    u32::try_from(machines.count()).unwrap_or(u32::MAX)
}
