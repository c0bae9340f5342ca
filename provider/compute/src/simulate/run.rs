//! Plays a policy on a market and reckons what it was worth.

use streamverse_model::compute::Lifecycle;
use streamverse_model::platform::SpecError;

use super::bound::omniscient;
use super::market::Market;
use super::ours::Ours;
use super::rivals::{AllOnDemand, SpotHedge};
use super::world::World;
use crate::policy::Pool;

/// What is the same for all policies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// How many workers are needed all the time.
    pub workers: u32,
    /// How long one takes to get ready, in milliseconds.
    pub cold_ms: u64,
    /// The price of spot as a share of that on demand.
    pub spot_share: f64,
    /// How long before it takes an instance away the cloud says so, in milliseconds; 0: not at all.
    pub notice_ms: u64,
    /// The time between two looks, in milliseconds.
    pub tick_ms: u64,
    /// How many on-demand instances there may be.
    pub limit: u32,
}

impl Default for Setting {
    /// That of the published comparisons: four workers, five minutes to start, spot at a third, one on demand.
    fn default() -> Setting {
        Setting { workers: 4, cold_ms: 300_000, spot_share: 0.33, notice_ms: 0, tick_ms: 15_000, limit: 1 }
    }
}

/// The most days × zones × workers, looked at each 15 s, that are simulated: 3 to 13 s on one core (2026-11-26), by how many launches
/// there are.
const MOST_WORK: u64 = 20_000;
/// Looks of a day.
const LOOKS: u64 = 5760;

impl Setting {
    /// Refuses what would take minutes: a market of so many zones, `length_ms` long in ticks of `gap_ms`.
    ///
    /// # Errors
    /// More work than a machine does in seconds: how much it is, and how many days would do.
    pub fn check(&self, length_ms: u64, gap_ms: u64, zones: usize) -> Result<(), SpecError> {
        let look_ms = self.tick_ms.min(gap_ms).max(1);
        let per_look = (zones as u64).saturating_mul(u64::from(self.workers.max(1)));
        let work = (length_ms / look_ms).saturating_mul(per_look);
        let most = MOST_WORK * LOOKS;
        if work <= most {
            return Ok(());
        }
        let days = |ms: u64| ms as f64 / 86_400_000.0;
        let enough = days((most / per_look).saturating_mul(look_ms));
        Err(SpecError::new(format!(
            "{:.1} days of {zones} zones with {} workers take minutes to simulate: days × zones × workers may be {MOST_WORK}{}. Give at most \
             {enough:.1} days, or fewer zones or workers",
            days(length_ms),
            self.workers,
            if look_ms < 15_000 { ", and less where the market has ticks of less than 15 s" } else { "" },
        )))
    }
}

/// A policy that plays on a simulated cloud.
pub trait Player {
    /// Its turn, at each look.
    fn turn(&mut self, world: &mut World<'_>);
}

/// What was ready at a tick of the market, on average over it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moment {
    /// Spot instances that were ready.
    pub spot: f32,
    /// On-demand instances that were ready.
    pub on_demand: f32,
    /// The share of the tick in which all that is needed was ready.
    pub all: f32,
    /// The share of it in which none was.
    pub none: f32,
    /// What was paid, as a share of as many on-demand instances as are needed.
    pub cost: f32,
    /// How many instances were taken away.
    pub preempted: f32,
}

/// What a policy was worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The policy.
    pub name: String,
    /// The share of the time in which all that is needed was ready.
    pub all_ready: f64,
    /// The share of it in which nothing was.
    pub none_ready: f64,
    /// What was ready of what is needed, on average.
    pub capacity: f64,
    /// What was paid, as a share of as many on-demand instances all the time.
    pub cost: f64,
    /// Instances that were launched.
    pub launches: u64,
    /// Instances that were taken away.
    pub preemptions: u64,
    /// Hours of on-demand instances.
    pub on_demand_hours: f64,
    /// The most on-demand instances at any time.
    pub most_on_demand: u32,
    /// Tick by tick of the market.
    pub moments: Vec<Moment>,
}

/// Plays a policy from the beginning of a market to its end.
pub fn play(name: &str, market: &Market, setting: &Setting, player: &mut dyn Player) -> Report {
    let per_zone = setting.workers.max(1);
    let mut world = World::new(market, setting.cold_ms, setting.notice_ms, per_zone);
    let mut sums = Sums::new(market, setting);
    let end = market.length_ms();
    while world.now() < end {
        player.turn(&mut world);
        // A look never crosses a tick of the market: what it takes away it takes away on time.
        let tick_end = (world.now() / market.gap_ms + 1) * market.gap_ms;
        let step = setting.tick_ms.max(1).min(tick_end - world.now());
        sums.see(&world, step);
        let now = world.now();
        world.advance(step);
        sums.lose(now, world.ledger.preemptions.iter().sum());
    }
    sums.report(name, &world)
}

/// Adds up what was ready.
pub(super) struct Sums<'a> {
    setting: &'a Setting,
    gap_ms: u64,
    moments: Vec<Moment>,
    all_ms: u64,
    none_ms: u64,
    ready_ms: u64,
    total_ms: u64,
    preempted: u64,
}

impl<'a> Sums<'a> {
    pub(super) fn new(market: &Market, setting: &'a Setting) -> Sums<'a> {
        let moments = vec![Moment::default(); market.ticks()];
        Sums {
            setting,
            gap_ms: market.gap_ms.max(1),
            moments,
            all_ms: 0,
            none_ms: 0,
            ready_ms: 0,
            total_ms: 0,
            preempted: 0,
        }
    }

    fn see(&mut self, world: &World<'_>, step: u64) {
        let mut paid = 0.0;
        for one in &world.instances {
            paid += if one.lifecycle == Lifecycle::Spot { self.setting.spot_share } else { 1.0 };
        }
        let (spot, on_demand) = (world.ready(Lifecycle::Spot), world.ready(Lifecycle::OnDemand));
        self.add(world.now(), step, spot, on_demand, paid);
    }

    /// So many were ready for so long, and so much was paid per time.
    pub(super) fn add(&mut self, now: u64, step: u64, spot: u32, on_demand: u32, paid: f64) {
        let need = self.setting.workers.max(1);
        let ready = spot.saturating_add(on_demand).min(need);
        self.total_ms += step;
        self.all_ms += if ready >= need { step } else { 0 };
        self.none_ms += if ready == 0 { step } else { 0 };
        self.ready_ms += u64::from(ready) * step;
        let index = usize::try_from(now / self.gap_ms).unwrap_or(usize::MAX);
        if let Some(moment) = self.moments.get_mut(index) {
            let share = step as f32 / self.gap_ms as f32;
            moment.spot += spot as f32 * share;
            moment.on_demand += on_demand as f32 * share;
            moment.all += if ready >= need { share } else { 0.0 };
            moment.none += if ready == 0 { share } else { 0.0 };
            moment.cost += (paid / f64::from(need)) as f32 * share;
        }
    }

    /// So many were taken away until the end of the look that began at `now`.
    fn lose(&mut self, now: u64, preempted: u64) {
        let lost = preempted.saturating_sub(self.preempted);
        let index = usize::try_from(now / self.gap_ms).unwrap_or(usize::MAX);
        if let Some(moment) = self.moments.get_mut(index).filter(|_| lost > 0) {
            moment.preempted += lost as f32;
        }
        self.preempted = preempted;
    }

    pub(super) fn report(self, name: &str, world: &World<'_>) -> Report {
        let total = self.total_ms.max(1) as f64;
        let need = f64::from(self.setting.workers.max(1));
        let hours = |column: &[u64]| column.iter().sum::<u64>() as f64;
        let (spot, full) = (hours(&world.ledger.spot_ms), hours(&world.ledger.on_demand_ms));
        Report {
            name: name.to_owned(),
            all_ready: self.all_ms as f64 / total,
            none_ready: self.none_ms as f64 / total,
            capacity: self.ready_ms as f64 / (total * need),
            cost: (spot * self.setting.spot_share + full) / (total * need),
            launches: world.ledger.launches.len() as u64,
            preemptions: world.ledger.preemptions.iter().sum(),
            on_demand_hours: full / 3_600_000.0,
            most_on_demand: world.ledger.most_on_demand,
            moments: self.moments,
        }
    }
}

/// Ours, the others, and the bound, on one market.
pub fn compare(market: &Market, setting: &Setting, pool: Pool) -> Vec<Report> {
    let mut reports = vec![play("StreamVerse", market, setting, &mut Ours::new(pool, setting.limit))];
    let workers = setting.workers;
    let mut rival =
        |name: &str, mut player: SpotHedge| reports.push(play(name, market, setting, &mut player));
    rival("SpotHedge as published, 1 in addition", SpotHedge::published(workers, 1));
    rival("SpotHedge, none in addition, limit 1", SpotHedge::published(workers, 0).capped(1));
    rival("spot only", SpotHedge::published(workers, 0).capped(0));
    let rest = SpotHedge::published(workers.saturating_sub(1), 0).capped(0);
    rival("one on demand always, the rest spot", rest.beside(1));
    reports.push(play("all on demand", market, setting, &mut AllOnDemand { workers }));
    reports.push(omniscient(market, setting));
    reports
}

/// A table for people.
pub fn table(reports: &[Report], setting: &Setting) -> String {
    let mut text = format!(
        "{:<38} {:>9} {:>9} {:>9} {:>6} {:>9} {:>11} {:>11} {:>5}\n",
        "policy",
        format!("{} ready", setting.workers),
        "0 ready",
        "capacity",
        "cost",
        "launches",
        "preemptions",
        "on-demand h",
        "most"
    );
    for it in reports {
        text += &format!(
            "{:<38} {:>8.2}% {:>8.3}% {:>8.2}% {:>6.3} {:>9} {:>11} {:>11.1} {:>5}\n",
            it.name,
            it.all_ready * 100.0,
            it.none_ready * 100.0,
            it.capacity * 100.0,
            it.cost,
            it.launches,
            it.preemptions,
            it.on_demand_hours,
            it.most_on_demand
        );
    }
    text
}
